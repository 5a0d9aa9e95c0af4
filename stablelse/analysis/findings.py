"""What went wrong in an evaluation, where, and whether it mattered: findings and verdicts.

Overflow, underflow and NaN are found at the operation that made them. Absorption and cancellation
lose digits although everything is finite. Both happen all the time and are mostly harmless: adding
1 and 1e-20 gives 1, which is right to half an ulp. So they are reported only if they cost a decimal
digit of the result. To first order, in units of u times the result:

- if a sum s misses the amount lost, log s is wrong by lost/s;
- if a sum s is right to half an ulp (a relative error of u), log s is wrong by u. Near s = 1 the
  logarithm is small, the 1 cancels, and u is a large part of what is left;
- if the logarithm l of such a sum is right to half an ulp (u |l|), y = a + l is wrong by u and by
  u |l|. The larger of these is many ulps of y if a and l nearly cancel. The same holds for
  x - a - l and x - y. The a of the identity may be any number of the format and adds no error:
  x - a cancels exactly.

If a result is so small that u is one of its digits, either it is the logarithm itself and that is
small, or it is less than half of the logarithm and the rest cancels.

The last operation of logsumexp and log_softmax passes on an absolute error, which is made relative
to the result. In softmax, an absolute error of an exponent becomes a relative error of the result,
and the relative error of a sum stays relative.

All verdicts come from here, so that all commands agree on every vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.results import DIGIT, VERDICTS, Finding, FindingKind, Verdict
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import REDUCING, Evaluation, Kind, Operation, pairwise_sum
from stablelse.numerics.functions import Function, correct_digits, relative_error, ulp_error

# ---- What went wrong


class _Trouble(NamedTuple):
    """One kind of trouble at an operation in m vectors.

    `where` has shape (m, n), or (m, 1) for a result of the whole vector; `harmless` has (m,). If
    digits were lost, `factor`, shaped like `where`, is the result's error in units of u times it.
    """

    operation: Operation
    kind: FindingKind
    where: Array
    harmless: Array
    factor: Array | None = None


class Findings:
    """What went wrong in each of m vectors of n elements; described on demand.

    Labels, shape (m,), are the only elements of the values that are used. Only vectors that are
    wrong (`is_wrong`, shape (m,)) are searched for lost digits.
    """

    def __init__(self, evaluation: Evaluation, labels: Array | None, is_wrong: Array) -> None:
        self._evaluation = evaluation
        self._found: list[_Trouble] = []
        n = evaluation.results["x"].shape[-1]
        wrong = np.flatnonzero(is_wrong)
        lost: dict[str, tuple[FindingKind, Array]] = {}
        if wrong.size:
            lost = dict(_losses(evaluation.row(wrong), None if labels is None else labels[wrong]))
        is_seen = np.ones(1, bool)
        for operation in evaluation.operations:
            if operation.kind is Kind.SUM and labels is not None:
                is_seen = labels[:, np.newaxis] == np.arange(n)
            for kind, where in _masks(evaluation, operation):
                here = where & is_seen if operation.per_element else where
                harmless = _harmless(evaluation, operation, kind, here, n, labels)
                if kind is FindingKind.LOG_OF_ZERO:
                    harmless |= ~is_wrong  # weighted terms may truly cancel to 0
                self._found.append(_Trouble(operation, kind, here, harmless))
            if operation.symbol in lost:
                kind, factor = lost[operation.symbol]
                factors = np.zeros((len(is_wrong), factor.shape[-1]))
                factors[wrong] = factor
                here = factors >= _harm(evaluation.format)
                here = here & is_seen if operation.per_element else here
                self._found.append(_Trouble(operation, kind, here, ~is_wrong, factors))

    def of(self, row: int) -> list[Finding]:
        """Return the findings in a vector."""
        found = [trouble for trouble in self._found if trouble.where[row].any()]
        evaluation = self._evaluation.row(row) if found else self._evaluation
        return [_described(evaluation, trouble, row) for trouble in found]


def find_in_part(evaluation: Evaluation, n: int) -> Iterator[Finding]:
    """Find what went wrong in a part of a vector of n, apart from a, sums and lost digits."""
    for operation in evaluation.operations:
        if operation.kind not in REDUCING:
            for kind, where in _masks(evaluation, operation):
                harmless = _harmless(evaluation, operation, kind, where, n)
                yield _described(evaluation, _Trouble(operation, kind, where, harmless), ...)


def overflow(symbol: str, result: Any, format_: Format) -> Finding:
    """Return the finding that a shift, or a sum of finite terms, is too large for the format."""
    kind, largest = FindingKind.OVERFLOW, format_.largest
    return Finding(kind=kind, symbol=symbol, result=result, threshold=largest)


#: The operations that can overflow, those that can underflow, and those that can make NaN.
_OVERFLOWING = frozenset(
    {Kind.ROUND, Kind.SHIFT, Kind.SUBTRACT, Kind.EXP, Kind.MULTIPLY, Kind.SUM, Kind.ADD}
)
_SHRINKING = {
    Kind.ROUND: FindingKind.INPUT_UNDERFLOW,
    Kind.EXP: FindingKind.TERM_UNDERFLOW,
    Kind.MULTIPLY: FindingKind.TERM_UNDERFLOW,
    Kind.DIVIDE: FindingKind.QUOTIENT_UNDERFLOW,
}
_INVALID = frozenset({Kind.SUBTRACT, Kind.MULTIPLY, Kind.DIVIDE, Kind.ADD, Kind.SUM})


def _masks(evaluation: Evaluation, operation: Operation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield each kind of trouble at an operation and its mask, shape (m, n) or (m, 1)."""
    kind, result = operation.kind, evaluation.results[operation.symbol]
    operands = [evaluation.results[operand.symbol] for operand in operation.operands]
    masks: dict[FindingKind, Any] = {}
    with np.errstate(all="ignore"):
        finite: Any = reduce(np.logical_and, map(np.isfinite, operands))
        if kind in REDUCING:
            finite = finite.all(axis=-1, keepdims=True)
        if kind in _OVERFLOWING:
            overflow = FindingKind.INPUT_OVERFLOW if kind is Kind.ROUND else FindingKind.OVERFLOW
            masks[overflow] = ~np.isfinite(result) & finite
        if kind in _SHRINKING and operation.symbol != "x":  # an x that is rounded to 0 does no harm
            nonzero = kind is Kind.EXP or reduce(np.logical_and, [o != 0 for o in operands])
            masks[_SHRINKING[kind]] = (result == 0) & nonzero & finite
            # the last result may truly be that small
            if kind is not Kind.ROUND and operation is not evaluation.formula.tree:
                is_small = np.abs(result) < evaluation.format.smallest_normal
                masks[FindingKind.SUBNORMAL] = (result != 0) & is_small
        if kind is Kind.LOG:
            # Only zeros from an underflow count: exp(-inf) and a weight of 0 are truly zero.
            is_term: Any = np.isfinite(evaluation.results["x"])
            if "weights" in evaluation.results:
                is_term &= evaluation.results["weights"] != 0
            if result.shape != is_term.shape:
                is_term = is_term.any(axis=-1, keepdims=True)
            masks[FindingKind.LOG_OF_ZERO] = (operands[0] == 0) & is_term
        if kind in _INVALID:
            # A NaN from finite operands, not both 0, is an overflow in a format without infinity.
            were_nan: Any = reduce(np.logical_or, map(np.isnan, operands))
            were_zero = kind is not Kind.SUM and reduce(np.logical_and, [o == 0 for o in operands])
            if kind is Kind.SUM:
                were_nan = were_nan.any(axis=-1, keepdims=True)
            masks[FindingKind.INVALID] = np.isnan(result) & ~were_nan & (~finite | were_zero)
    return ((trouble, where) for trouble, where in masks.items() if where.any())


#: The attribute of the format that an operation crosses when it overflows or underflows.
_THRESHOLDS = dict.fromkeys(_SHRINKING.values(), "smallest_subnormal") | {
    FindingKind.INPUT_OVERFLOW: "largest",
    FindingKind.OVERFLOW: "largest",
    FindingKind.SUBNORMAL: "smallest_normal",
}
_THRESHOLDS_OF_EXP = {
    FindingKind.OVERFLOW: "overflow_threshold",
    FindingKind.TERM_UNDERFLOW: "underflow_threshold",
    FindingKind.SUBNORMAL: "subnormal_threshold",
}


def _described(evaluation: Evaluation, trouble: _Trouble, vector: Any) -> Finding:
    """Describe a trouble in one vector of the evaluation."""
    operation, kind = trouble.operation, trouble.kind
    if kind is FindingKind.LOG_OF_ZERO and not operation.per_element:
        kind = FindingKind.SUM_UNDERFLOW
    indices = np.flatnonzero(trouble.where[vector])
    first, bits = int(indices[0]), None
    if trouble.factor is not None:
        lost = float(np.log2(trouble.factor[vector][first]))
        bits = round(min(lost, float(evaluation.format.significand_bits)), 1)
    thresholds = _THRESHOLDS_OF_EXP if operation.kind is Kind.EXP else _THRESHOLDS
    threshold = thresholds.get(kind)
    facts: dict[str, Any] = {
        "element": first + 1 if operation.per_element else None,
        "occurrences": len(indices),
        "operands": evaluation.operands(operation, first),
        "result": evaluation.results[operation.symbol][first],
        "indices": indices if operation.per_element else indices[:0],
    }
    if kind is FindingKind.ABSORPTION:
        facts |= _first_absorption(evaluation)
    elif operation.kind is Kind.SUM and kind is FindingKind.INVALID:
        infinity = evaluation.format.round(np.inf)[()]
        facts["operands"] = (infinity, -infinity)
    elif operation.kind is Kind.SUM and kind is FindingKind.CANCELLATION:
        terms = evaluation.partial_sums[0]
        sides = (pairwise_sum(np.where(side, terms, 0)) for side in (terms > 0, terms < 0))
        facts["operands"] = tuple(side[0] for side in sides)
    return Finding(
        kind=kind,
        symbol=operation.symbol,
        threshold=threshold and getattr(evaluation.format, threshold),
        harmless=bool(trouble.harmless[vector]),
        bits_lost=bits,
        **facts,
    )


def _first_absorption(evaluation: Evaluation) -> dict[str, Any]:
    """Return where the first partial sum absorbed an operand, and how many did."""
    places = [
        (depth, index, addition)
        for depth, addition in enumerate(additions(evaluation.partial_sums), start=1)
        for index in np.flatnonzero(absorbed(*addition)).tolist()
    ]
    depth, index, addition = places[0]
    left, right, total = (numbers[index] for numbers in addition)
    span = span_of(index, depth, len(evaluation.partial_sums[0]))
    return {"span": span, "occurrences": len(places), "operands": (left, right), "result": total}


def span_of(index: int, depth: int, n: int) -> tuple[int, int]:
    """Return the first and last element, from 1, of a partial sum at a depth of the tree."""
    return index * 2**depth + 1, min((index + 1) * 2**depth, n)


def absorbed(left: Any, right: Any, total: Any) -> Any:
    """Return whether a sum of two terms equals one although the other is not zero."""
    return ((total == left) & (right != 0)) | ((total == right) & (left != 0))


def additions(levels: Sequence[Array]) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the operands and the results of the additions, level by level of the tree."""
    for below, above in pairwise(levels):
        pairs = below.shape[-1] // 2
        yield below[..., 0 : 2 * pairs : 2], below[..., 1 : 2 * pairs : 2], above[..., :pairs]


# ---- Whether it mattered

_SMALL = frozenset({*_SHRINKING.values(), FindingKind.SUBNORMAL})


def _harmless(
    evaluation: Evaluation,
    operation: Operation,
    kind: FindingKind,
    where: Array,
    n: int,
    labels: Array | None = None,
) -> Any:
    """Return where the loss is too small to show in the result, shape (m,)."""
    harmless = np.zeros(where.shape[:-1], bool)
    if operation.kind is Kind.SUBTRACT and kind is FindingKind.OVERFLOW:
        # If x - a < -largest, exp(x - a) is zero in the format, as exp(-inf) is.
        is_zero = np.isneginf(evaluation.results[operation.symbol])
        return np.logical_and.reduce(is_zero | ~where, axis=-1)
    if kind not in _SMALL:
        return harmless
    last = evaluation.formula.tree
    if operation is last:
        return ~harmless  # no number is nearer
    total = evaluation.results["s"][..., 0].astype(np.longdouble)  # NaN warns in bfloat16
    if last.kind is Kind.DIVIDE:
        if kind is FindingKind.TERM_UNDERFLOW:  # is e^x / s = e^(x - log s) 0 too?
            x = evaluation.results[operation.operands[0].symbol]
            with np.errstate(divide="ignore", invalid="ignore"):
                quotients = x.T - np.log(total)
            return np.all(~where.T | (quotients < evaluation.format.underflow_threshold), axis=0)
        # Half the smallest subnormal, divided by a sum of at least 1/2, is at most one unit in the
        # last place of a quotient of that size.
        return total >= 0.5
    # Gradual underflow makes each term wrong by at most half the smallest subnormal (Higham 2002,
    # equation 2.8): harmless if n such halves are no more than one rounding of s.
    # A weight's loss is multiplied by e^x, and that of e^x by the weight.
    factor = evaluation.results.get({"b": "e", "e": "weights"}.get(operation.symbol, ""))
    if factor is not None:
        n = np.abs(factor.astype(np.longdouble)).sum(axis=-1)
        total = np.abs(total)
    lost = np.longdouble(evaluation.format.smallest_subnormal) * n / 2
    harmless = lost <= evaluation.format.unit_roundoff * total
    if any(op.kind is Kind.DIVIDE for op in evaluation.formula.operations):
        # in the logarithm of the quotient, small terms matter as much as large ones
        harmless &= labels is not None and ~where[np.arange(len(where)), labels]
    return harmless


def _harm(format_: Format) -> float:
    """Return the least error to report, in units of u times the result."""
    # It costs a digit: an ulp is at most 2 u times the result. Or, if there are fewer digits, two
    # such errors ruin it: if they are as large as the exact result, they are half of this one.
    return min(2 * DIGIT, 0.25 / format_.unit_roundoff)


#: A result below this part of an operand is what a cancellation left.
_CANCELLED = 0.5


def _losses(
    evaluation: Evaluation, labels: Array | None
) -> Iterator[tuple[str, tuple[FindingKind, Array]]]:
    """Yield the error that operations left in each result, in units of u times it, or else 0."""
    results = evaluation.results
    normal = float(evaluation.format.smallest_normal)  # below it the ulps no longer shrink
    with np.errstate(all="ignore"):
        smallest = np.maximum(_smallest_of(evaluation, labels), normal)
        inexact, harm = ~_is_exact(evaluation), _harm(evaluation.format)
        for operation in evaluation.operations:
            if operation.kind not in _LOSING or operation.symbol == "d":
                continue
            size = np.maximum(_size(evaluation, operation.symbol), normal)
            scale = size if operation is evaluation.formula.tree else smallest
            kind = FindingKind.CANCELLATION
            if operation.kind is Kind.SUM:
                kind = FindingKind.ABSORPTION
                factor = _missed(evaluation, size) / size / scale
                if "b" in results and not (factor >= harm).any():
                    # The difference of terms of both signs shows how they were rounded.
                    terms = _size(evaluation, operation.operands[0].symbol)
                    sizes = terms.sum(axis=-1, keepdims=True)
                    kind, cancels = FindingKind.CANCELLATION, _CANCELLED * sizes >= size
                    factor = np.where(cancels & np.isfinite(sizes), sizes / size / scale, 0)
            elif operation.kind is Kind.LOG:
                # The logarithm of a number near 1 shows how that number was rounded. A quotient
                # is exactly 1 if the sum is just e_j.
                is_rounded = results["e"] != results["s"] if operation.per_element else inexact
                is_near = size <= max(1 / DIGIT, 2 * evaluation.format.unit_roundoff)
                factor = np.where(is_near & is_rounded, 1 / scale, 0)
            else:
                # The difference of two numbers shows how the second was rounded.
                first, second = (_size(evaluation, each.symbol) for each in operation.operands)
                cancels = (_CANCELLED * np.maximum(first, second) >= size) & inexact
                cancels &= np.isfinite(first) & np.isfinite(second)
                factor = np.where(cancels, np.maximum(second, 1) / scale, 0)
            if (factor >= harm).any():
                yield operation.symbol, (kind, factor)


_LOSING = frozenset({Kind.SUM, Kind.LOG, Kind.ADD, Kind.SUBTRACT})


def _size(evaluation: Evaluation, symbol: str) -> Array:
    """Return the absolute values of a result, at least in double precision."""
    result = evaluation.results[symbol]
    wide: Array = np.abs(result.astype(np.result_type(result.dtype, np.float64)))
    return wide


def _smallest_of(evaluation: Evaluation, labels: Array | None) -> Array:
    """Return the smallest entry of each result, or 1 if the result is an exponential: (m, 1)."""
    last = evaluation.formula.tree
    if last.kind in (Kind.EXP, Kind.DIVIDE):
        return np.ones((len(evaluation.value), 1))
    sizes = _size(evaluation, last.symbol)
    if labels is not None:
        sizes = np.take_along_axis(sizes, labels[:, np.newaxis], axis=-1)
    smallest: Array = sizes.min(axis=-1, keepdims=True)
    return smallest


def _is_exact(evaluation: Evaluation) -> Array:
    """Return which sums are exp(0) = 1 plus what was absorbed, so nothing is rounded: (m, 1)."""
    if "b" in evaluation.results:
        return np.zeros((len(evaluation.value), 1), bool)
    exponents = evaluation.results["d" if evaluation.formula.is_shifted else "x"]
    exact: Array = (exponents == 0).any(axis=-1, keepdims=True) & (evaluation.results["s"] == 1)
    return exact


def _missed(evaluation: Evaluation, total: Array) -> Array:
    """Return what finite sums miss, in units of u: (m, 1)."""
    lost = np.zeros_like(total)
    for left, right, sums in additions(evaluation.partial_sums):
        missed = np.where(absorbed(left, right, sums), np.minimum(abs(left), abs(right)), 0)
        lost += missed.astype(total.dtype).sum(axis=-1, keepdims=True)
    return np.where(np.isfinite(total), lost / evaluation.format.unit_roundoff, 0)


# ---- Verdicts

UNDERFLOWS = frozenset({*_SHRINKING.values(), FindingKind.SUM_UNDERFLOW, FindingKind.LOG_OF_ZERO})


class Departure(NamedTuple):
    """How far the results on m vectors are from the right ones; all arrays have shape (m,).

    If only one of the two is infinite or NaN, `ulps` is infinite and `wrong_class` true. `error`
    and `size` are those of finite entries. An entry `vanished` if it is zero and should be normal.
    """

    ulps: Array
    error: Array
    size: Array
    wrong_class: Array
    has_nan: Array
    has_infinity: Array
    right_has_nan: Array
    has_vanished: Array

    @classmethod
    def of(cls, value: Array, right: Array, format_: Format) -> Departure:
        """Measure results, shape (m, k), against the right ones."""
        with np.errstate(all="ignore"):
            # NumPy compares half precision in software, and ml_dtypes formats in a loop
            is_narrow = value.dtype.itemsize < FORMATS["float32"].dtype.itemsize
            number = FORMATS["float32"].dtype if is_narrow else value.dtype
            wide, best = value.astype(number, copy=False), right.astype(number, copy=False)
            differs = wide != best  # NaN differs from NaN
            ulps = np.zeros(value.shape)
            ulps[differs] = ulp_error(value[differs], right[differs], format_)
            is_nan, right_is_nan = np.isnan(wide), np.isnan(best)
            gaps, sizes = np.abs(wide - best), np.abs(best)
            finite = np.isfinite(wide) & np.isfinite(best)
            wrong = differs & ~finite & ~(is_nan & right_is_nan)
            gaps[~finite] = 0
            sizes[~np.isfinite(sizes)] = 0
            vanished = (wide == 0) & (sizes >= number.type(format_.smallest_normal))
        return cls(
            ulps=ulps.max(axis=-1, initial=0),
            error=gaps.max(axis=-1, initial=0),
            size=sizes.max(axis=-1, initial=0),
            wrong_class=wrong.any(axis=-1),
            has_nan=np.logical_or.reduce(is_nan, axis=-1),
            has_infinity=(wrong & (wide == np.inf)).any(axis=-1),
            right_has_nan=np.logical_or.reduce(right_is_nan, axis=-1),
            has_vanished=vanished.any(axis=-1),
        )

    def merged(self, other: Departure) -> Departure:
        """Return the departure of whole vectors from those of their two parts."""
        return Departure(*map(np.maximum, self, other))

    def is_ruined(self, format_: Format, function: Function | None) -> Array:
        """Return which results have a NaN, a wrong infinity, or no right digit, shape (m,).

        No digit is right if the largest error of the entries is as large as the largest right
        entry. Below the normal range there are few digits to lose, so there the error must also
        exceed 10 ulp. A probability has underflowed if it is zero and should be a normal number; a
        logarithm is only zero because it lost its digits.
        """
        is_large = (self.size >= float(format_.smallest_normal)) | (self.ulps > DIGIT)
        digitless = (self.error > 0) & (self.error >= self.size) & is_large
        vanished = self.has_vanished & (function is Function.SOFTMAX)
        ruined: Array = self.wrong_class | self.has_nan | digitless | vanished
        return ruined

    def verdicts(
        self,
        format_: Format,
        function: Function | None,
        overflowed: Any,
        underflowed: Any,
        unfit: Any,
        max_ulp: float = DIGIT,
    ) -> Array:
        """Return the verdicts on m vectors: indices into `VERDICTS`, shape (m,).

        For the ruined ones, the arguments say what happened while they were evaluated; `unfit`
        comes from `does_not_fit`. A right result may be `max_ulp` ulps off.
        """
        right, digits_lost = map(VERDICTS.index, (Verdict.RIGHT, Verdict.DIGITS_LOST))
        found: Array = np.where(self.ulps > max_ulp, digits_lost, right)
        no_number = self.wrong_class | self.has_nan
        may_vanish = no_number | (function is Function.SOFTMAX)
        # if several things ruined a result, the last one that holds is the reason
        reasons = (
            (True, Verdict.NO_DIGITS),
            (no_number | self.has_vanished & may_vanish, Verdict.UNDERFLOW),
            (self.has_infinity, Verdict.OVERFLOW),
            (self.has_nan, Verdict.NAN),
            (underflowed & may_vanish, Verdict.UNDERFLOW),
            (overflowed, Verdict.OVERFLOW),
            (self.right_has_nan, Verdict.NAN),
        )
        ruined = self.is_ruined(format_, function)
        for holds, verdict in reasons:
            found[ruined & holds] = VERDICTS.index(verdict)
        found[unfit] = VERDICTS.index(Verdict.DOES_NOT_FIT)
        return found


def judge(
    value: Array,
    right: Array,
    format_: Format,
    function: Function | None,
    unfit: Array,
    evaluated: Callable[[Array], Evaluation] | None = None,
    max_ulp: float = DIGIT,
    opposite: Array | None = None,
) -> tuple[Array, Array]:
    """Return the verdicts on results, indices into `VERDICTS`, and their errors in ulps: (m,).

    The values and the right ones have shape (m, k), in the format. `evaluated` evaluates the rows
    of a mask: the ruined ones, to find out why. An error is infinite if only one of the two is
    finite, or if the result is marked as `opposite`: it has the wrong sign. For the rest see
    `Departure.verdicts`.
    """
    departure = Departure.of(value, right, format_)
    if opposite is not None:
        error, ulps = (np.where(opposite, np.inf, part) for part in departure[1::-1])
        departure = departure._replace(error=error, ulps=ulps)
    overflowed, underflowed = np.zeros((2, len(value)), bool)
    ruined = departure.is_ruined(format_, function)
    if evaluated is not None and ruined.any():
        evaluation = evaluated(ruined)
        for operation in evaluation.operations:
            for kind, where in _masks(evaluation, operation):
                struck = np.logical_or.reduce(where, axis=-1)
                if kind is FindingKind.OVERFLOW:
                    overflowed[ruined] |= struck
                elif kind in UNDERFLOWS:
                    underflowed[ruined] |= struck
    codes = departure.verdicts(format_, function, overflowed, underflowed, unfit, max_ulp)
    return codes, departure.ulps


def measured(values: Array, reference: Array, format_: Format) -> list[tuple[float, float]]:
    """Return for each row the relative error of a result, and how many digits are right.

    Errors have two digits, and digits two decimals: the reference itself is rounded, to 11 bits
    more than float64 has, which blurs the rest. NaN has no relative error: it is NaN, too.
    """
    errors = np.where(np.isnan(reference).any(axis=-1), np.nan, relative_error(values, reference))
    digits = correct_digits(errors, format_)
    return [
        (float(f"{error:.2g}"), round(digit, 2))
        for error, digit in zip(errors.tolist(), digits.tolist(), strict=True)
    ]


def surely_right(value: Array, right: Array, format_: Format, max_ulp: float) -> Array:
    """Return quickly the rows that are right without `judge`: finite and close enough.

    k numbers of the format away is at most 2 k ulps, since the ulp doubles at the end of a binade.
    So few steps never lead to another kind of number, or to an error of the number's own size.
    """
    most = min(max_ulp, DIGIT, 2.0 ** (format_.significand_bits - 2))
    if value.dtype.itemsize not in (1, 2, 4, 8):
        return np.zeros(len(value), bool)
    # the numbers as ordered integers; numbers of different signs are far apart
    code = np.dtype(f"u{value.dtype.itemsize}").type
    k = code(most / 2)
    near = value.view(code) - right.view(code) + k <= 2 * k
    finite = (right.view(code) & code(~code(0) >> 1)) <= format_.largest.view(code) - k
    sure: Array = np.logical_and.reduce(near & finite, axis=-1)
    return sure
