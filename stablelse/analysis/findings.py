"""What went wrong in an evaluation, where, and whether it mattered: findings and verdicts.

Overflow, underflow and NaN are seen at the operation that made them. Absorption and cancellation
lose digits although everything is finite; both happen all the time and mostly do no harm: adding
1 and 1e-20 gives 1, which is right to half an ulp. So they are reported only where they cost a
decimal digit of the result. To first order, in units of u times the result:

- a sum s that misses lost, relatively lost/s, makes log s wrong by lost/s;
- a sum s that is right to half an ulp, relatively to u, makes log s wrong by u: next to s = 1 the
  logarithm is small, the 1 cancels, and that u is a large part of what is left;
- a logarithm l of such a sum that is right to half an ulp, to u |l|, makes y = a + l wrong by
  u and u |l|, the larger of which is many ulps of y if a and l nearly cancel; so it is with
  x - a - l, and with x - y. The a of the identity is any number of the format, and no error:
  x - a cancels exactly.

A result that is small enough for u to be a digit of it is the logarithm, and that is small, or
less than half of it, and the rest cancels.

The error of the result is relative for logsumexp and log_softmax, whose last operation passes an
absolute one on; softmax makes a relative error of an absolute one in an exponent, and a sum's
relative error stays one.

Verdicts are given here alone, so that everything that judges agrees on every vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.results import DIGIT, VERDICTS, Finding, FindingKind, Verdict
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import (
    Evaluation,
    Formula,
    Kind,
    Operation,
    evaluate_part,
    pairwise_sum,
)
from stablelse.numerics.functions import Function, correct_digits, relative_error, ulp_error

# ---- What went wrong


class _Trouble(NamedTuple):
    """One kind of trouble at an operation in m vectors.

    `where` has shape (m, n), or (m, 1) for a result of the whole vector; `harmless` has (m,). Where
    digits were lost `factor`, shaped as `where`, is the result's error in units of u times it.
    """

    operation: Operation
    kind: FindingKind
    where: Array
    harmless: Array
    factor: Array | None = None


class Findings:
    """What went wrong in each of m vectors of n elements; described when asked for.

    Labels, shape (m,), name the one element of each value that is used. Lost digits are looked for
    only where `is_wrong`, shape (m,).
    """

    def __init__(
        self, evaluation: Evaluation, labels: Array | None = None, is_wrong: Array | None = None
    ) -> None:
        self._evaluation = evaluation
        self._found: list[_Trouble] = []
        n = evaluation.results["x"].shape[-1]
        losses = list(_losses(evaluation, labels))
        is_seen = np.ones(1, bool)
        for operation in evaluation.operations:
            if operation.kind is Kind.SUM and labels is not None:
                is_seen = labels[:, np.newaxis] == np.arange(n)
            for kind, where in _masks(evaluation, operation):
                where = where & is_seen if where.shape[-1] == n else where
                harmless = _harmless(evaluation, operation, kind, where, n, labels)
                if kind is FindingKind.LOG_OF_ZERO and is_wrong is not None:
                    harmless = harmless | ~is_wrong  # weighted terms may cancel to 0 by right
                self._found.append(_Trouble(operation, kind, where, harmless))
            for loss in losses:
                if loss.operation is operation:
                    where = loss.where & is_seen if loss.where.shape[-1] == n else loss.where
                    where = where if is_wrong is None else where & is_wrong[:, np.newaxis]
                    self._found.append(loss._replace(where=where))

    def __len__(self) -> int:
        return len(self._evaluation.value)

    def __getitem__(self, vector: int) -> list[Finding]:
        found = [trouble for trouble in self._found if trouble.where[vector].any()]
        row = self._evaluation.row(vector) if found else self._evaluation
        return [_described(row, trouble, vector) for trouble in found]

    def occurrences(self) -> Array:
        """Return how often at most one of the findings that are not harmless occurred: (m,)."""
        most = np.zeros(len(self), np.intp)
        for trouble in self._found:
            counts = np.asarray(np.count_nonzero(trouble.where, axis=-1)) * ~trouble.harmless
            if trouble.kind is FindingKind.ABSORPTION:
                rows = np.flatnonzero(counts)
                additions = _additions(self._evaluation.row(rows))
                counts[rows] = sum(np.count_nonzero(absorbed(*each), axis=-1) for each in additions)
            most = np.maximum(most, counts)
        return most


def find_in_part(evaluation: Evaluation, n: int) -> Iterator[Finding]:
    """Find what went wrong in a part of a vector of n, without sums and losses."""
    for operation in evaluation.operations:
        if operation.kind is not Kind.SUM:
            for kind, where in _masks(evaluation, operation):
                harmless = _harmless(evaluation, operation, kind, where, n)
                yield _described(evaluation, _Trouble(operation, kind, where, harmless), ...)


def find_at(formula: Formula, number: Any, format_: Format) -> Iterator[Finding]:
    """Find what goes wrong in one number of a stream, which is its own shift; sums apart."""
    x = np.array([number])
    shift = format_.round(x)
    evaluation = evaluate_part(formula, x, format_, {"a": shift, "s": np.ones_like(shift)})
    yield from find_in_part(evaluation, 1)


def sum_overflow(total: Any, format_: Format) -> Finding:
    """Return that a sum of finite terms, of which only the total is known, overflowed."""
    return Finding(kind=FindingKind.OVERFLOW, symbol="s", result=total, threshold=format_.largest)


#: The operations that overflow, those whose result can be too small, and those that make NaN.
_OVERFLOWING = frozenset({Kind.ROUND, Kind.SUBTRACT, Kind.EXP, Kind.MULTIPLY, Kind.SUM, Kind.ADD})
_SHRINKING = {
    Kind.ROUND: FindingKind.INPUT_UNDERFLOW,
    Kind.EXP: FindingKind.TERM_UNDERFLOW,
    Kind.MULTIPLY: FindingKind.TERM_UNDERFLOW,
    Kind.DIVIDE: FindingKind.QUOTIENT_UNDERFLOW,
}
_INVALID = frozenset({Kind.SUBTRACT, Kind.MULTIPLY, Kind.DIVIDE, Kind.ADD, Kind.SUM})


def _masks(evaluation: Evaluation, operation: Operation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield each kind of trouble there is at an operation, its mask of shape (m, n) or (m, 1)."""
    kind, result = operation.kind, evaluation.results[operation.symbol]
    operands = [evaluation.results[operand.symbol] for operand in operation.operands]
    masks: dict[FindingKind, Any] = {}
    with np.errstate(all="ignore"):
        finite: Any = reduce(np.logical_and, map(np.isfinite, operands))
        if kind is Kind.SUM:
            finite = finite.all(axis=-1, keepdims=True)
        if kind in _OVERFLOWING:
            overflow = FindingKind.INPUT_OVERFLOW if kind is Kind.ROUND else FindingKind.OVERFLOW
            masks[overflow] = ~np.isfinite(result) & finite
        if kind in _SHRINKING and operation.symbol != "x":  # an x that is rounded to 0 does no harm
            nonzero = kind is Kind.EXP or reduce(np.logical_and, [o != 0 for o in operands])
            masks[_SHRINKING[kind]] = (result == 0) & nonzero & finite
            # the last result is as small as that by right
            if kind is not Kind.ROUND and operation is not evaluation.formula.tree:
                is_small = np.abs(result) < evaluation.format.smallest_normal
                masks[FindingKind.SUBNORMAL] = (result != 0) & is_small
        if kind is Kind.LOG:
            # The zero must have come of an underflow: exp(-inf) and a weight of 0 are so by right.
            is_term: Any = np.isfinite(evaluation.results["x"])
            if "weights" in evaluation.results:
                is_term &= evaluation.results["weights"] != 0
            if result.shape != is_term.shape:
                is_term = is_term.any(axis=-1, keepdims=True)
            masks[FindingKind.LOG_OF_ZERO] = (operands[0] == 0) & is_term
        if kind in _INVALID:
            # A NaN of finite operands that are not both zero is an overflow without an infinity.
            were_nan: Any = reduce(np.logical_or, map(np.isnan, operands))
            were_zero = kind is not Kind.SUM and reduce(np.logical_and, [o == 0 for o in operands])
            if kind is Kind.SUM:
                were_nan = were_nan.any(axis=-1, keepdims=True)
            masks[FindingKind.INVALID] = np.isnan(result) & ~were_nan & (~finite | were_zero)
    return ((trouble, where) for trouble, where in masks.items() if where.any())


#: The bound that an operation crosses when it overflows or underflows: an attribute of the format.
_THRESHOLDS = {
    FindingKind.INPUT_OVERFLOW: "largest",
    FindingKind.INPUT_UNDERFLOW: "smallest_subnormal",
    FindingKind.OVERFLOW: "largest",
    FindingKind.TERM_UNDERFLOW: "smallest_subnormal",
    FindingKind.SUBNORMAL: "smallest_normal",
    FindingKind.QUOTIENT_UNDERFLOW: "smallest_subnormal",
}
_THRESHOLDS_OF_EXP = {
    FindingKind.OVERFLOW: "overflow_threshold",
    FindingKind.TERM_UNDERFLOW: "underflow_threshold",
    FindingKind.SUBNORMAL: "subnormal_threshold",
}


def _described(evaluation: Evaluation, trouble: _Trouble, vector: Any) -> Finding:
    """Describe a trouble in one of its vectors, which the evaluation is of."""
    operation, kind = trouble.operation, trouble.kind
    if kind is FindingKind.LOG_OF_ZERO and not operation.per_element:
        kind = FindingKind.SUM_UNDERFLOW
    indices = np.flatnonzero(trouble.where[vector])
    first, bits = int(indices[0]), None
    if trouble.factor is not None:
        lost = float(np.log2(trouble.factor[vector][first]))
        bits = round(min(lost, float(evaluation.format.significand_bits)), 1)
    operands = evaluation.operands(operation, first)
    if operation.kind is Kind.SUM and kind is FindingKind.INVALID:
        infinity = evaluation.format.round(np.inf)[()]
        operands = (infinity, -infinity)
    if operation.kind is Kind.SUM and kind is FindingKind.CANCELLATION:
        terms = evaluation.partial_sums[0]
        sides = (pairwise_sum(np.where(side, terms, 0)) for side in (terms > 0, terms < 0))
        operands = tuple(side[0] for side in sides)
    thresholds = _THRESHOLDS_OF_EXP if operation.kind is Kind.EXP else _THRESHOLDS
    threshold = thresholds.get(kind)
    finding = Finding(
        kind=kind,
        symbol=operation.symbol,
        element=first + 1 if operation.per_element else None,
        occurrences=len(indices),
        operands=operands,
        result=evaluation.results[operation.symbol][first],
        threshold=threshold and getattr(evaluation.format, threshold),
        harmless=bool(trouble.harmless[vector]),
        bits_lost=bits,
        indices=indices if operation.per_element else indices[:0],
    )
    return _at_first_sum(finding, evaluation) if kind is FindingKind.ABSORPTION else finding


def _at_first_sum(finding: Finding, evaluation: Evaluation) -> Finding:
    """Return an absorption with the first partial sum that absorbed an operand."""
    places = [
        (depth, index, addition)
        for depth, addition in enumerate(_additions(evaluation), start=1)
        for index in np.flatnonzero(absorbed(*addition)).tolist()
    ]
    depth, index, addition = places[0]
    left, right, total = (numbers[index] for numbers in addition)
    span = span_of(index, depth, len(evaluation.partial_sums[0]))
    return replace(
        finding, span=span, occurrences=len(places), operands=(left, right), result=total
    )


def span_of(index: int, depth: int, n: int) -> tuple[int, int]:
    """Return the first and the last element, from 1, of a sum at some depth of the tree."""
    return index * 2**depth + 1, min((index + 1) * 2**depth, n)


def absorbed(left: Any, right: Any, total: Any) -> Any:
    """Tell whether a sum of two terms equals one of them although the other is not zero."""
    return ((total == left) & (right != 0)) | ((total == right) & (left != 0))


def _additions(evaluation: Evaluation) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the operands and the results of the additions, level by level of the tree."""
    for below, above in pairwise(evaluation.partial_sums):
        pairs = below.shape[-1] // 2
        yield below[..., 0 : 2 * pairs : 2], below[..., 1 : 2 * pairs : 2], above[..., :pairs]


# ---- Whether it mattered

_SMALL = frozenset(
    {
        FindingKind.INPUT_UNDERFLOW,
        FindingKind.TERM_UNDERFLOW,
        FindingKind.SUBNORMAL,
        FindingKind.QUOTIENT_UNDERFLOW,
    }
)


def _harmless(
    evaluation: Evaluation,
    operation: Operation,
    kind: FindingKind,
    where: Array,
    n: int,
    labels: Array | None = None,
) -> Any:
    """Tell where what was lost is too small to be seen in the result, shape (m,)."""
    harmless = np.zeros(where.shape[:-1], bool)
    if operation.kind is Kind.SUBTRACT and kind is FindingKind.OVERFLOW:
        # Where x - a < -largest, exp(x - a) is zero in the format, and so it is of -inf.
        is_zero = np.isneginf(evaluation.results[operation.symbol])
        return np.logical_and.reduce(is_zero | ~where, axis=-1)
    if kind not in _SMALL:
        return harmless
    last = evaluation.formula.tree
    if operation is last:
        return ~harmless  # no number is nearer
    total = evaluation.results["s"][..., 0].astype(np.longdouble)  # NaN warns in bfloat16
    if last.kind is Kind.DIVIDE:
        # An error of half the smallest subnormal, divided by a sum of at least 1, is no more
        # than the rounding of a quotient of that size.
        return total >= 1
    # Gradual underflow is wrong by at most half the smallest subnormal a term (Higham 2002,
    # equation 2.8), n terms by n halves: harmless if that is no more than one rounding of s.
    # What is lost of a weight counts e^x times, and of e^x weight times.
    factor = evaluation.results.get({"b": "e", "e": "b"}.get(operation.symbol, ""))
    if factor is not None:
        n = np.abs(factor.astype(np.longdouble)).sum(axis=-1)
        total = np.abs(total)
    lost = np.longdouble(evaluation.format.smallest_subnormal) * n / 2
    harmless = lost <= evaluation.format.unit_roundoff * total
    if any(op.kind is Kind.DIVIDE for op in evaluation.formula.operations):
        # the logarithm of the quotient makes the small as visible as the large
        harmless &= labels is not None and ~where[np.arange(len(where)), labels]
    return harmless


#: An error that costs a digit, in units of u times the result: an ulp is 2 u of it at most, so
#: that this many are DIGIT ulps at least.
_HARM = 2 * DIGIT

#: What is less than this part of an operand is what a cancellation left of it.
_CANCELLED = 0.5


def _losses(evaluation: Evaluation, labels: Array | None) -> Iterator[_Trouble]:
    """Find where an evaluation lost a decimal digit of the result or more."""
    results = evaluation.results
    normal = float(evaluation.format.smallest_normal)  # below it the ulps no longer shrink
    with np.errstate(all="ignore"):
        smallest = np.maximum(_smallest(evaluation, labels), normal)
        inexact = ~_is_exact(evaluation)
        for operation in evaluation.operations:
            if operation.kind not in _LOSING or operation.symbol == "d":
                continue
            size = np.maximum(_size(evaluation, operation.symbol), normal)
            scale = size if operation is evaluation.formula.tree else smallest
            kind = FindingKind.CANCELLATION
            if operation.kind is Kind.SUM:
                kind, where = FindingKind.ABSORPTION, np.ones_like(size, bool)
                factor = _absorbed_part(evaluation, size, scale)
                if "b" in results and not (factor >= _HARM).any():
                    # What is left of terms of both signs shows how these were rounded.
                    terms = _size(evaluation, operation.operands[0].symbol)
                    sizes = terms.sum(axis=-1, keepdims=True)
                    kind = FindingKind.CANCELLATION
                    where = (_CANCELLED * sizes >= size) & np.isfinite(sizes)
                    factor = sizes / size / scale
            elif operation.kind is Kind.LOG:
                # The logarithm of a number next to 1 shows how that number was rounded. A quotient
                # is exactly 1 where the sum is e_j and nothing else.
                is_rounded = inexact
                if operation.per_element:
                    is_rounded = results["e"] != results["s"]
                where = (_HARM * _CANCELLED * size <= 1) & is_rounded
                factor = 1 / scale
            else:
                # What is left of two numbers shows how the second was rounded.
                first, second = (_size(evaluation, each.symbol) for each in operation.operands)
                cancels = _CANCELLED * np.maximum(first, second) >= size
                where = cancels & np.isfinite(first) & np.isfinite(second) & inexact
                factor = np.maximum(second, 1) / scale
            where = where & (factor >= _HARM)
            if where.any():
                factors = np.broadcast_to(factor, where.shape)
                yield _Trouble(operation, kind, where, np.zeros(len(where), bool), factors)


_LOSING = frozenset({Kind.SUM, Kind.LOG, Kind.ADD, Kind.SUBTRACT})


def _size(evaluation: Evaluation, symbol: str) -> Array:
    """Return the absolute values of a result, in double precision at least."""
    result = evaluation.results[symbol]
    wide: Array = np.abs(result.astype(np.result_type(result.dtype, np.float64)))
    return wide


def _smallest(evaluation: Evaluation, labels: Array | None) -> Array:
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
    """Tell which sums are exp(0) = 1 and what was absorbed, so that nothing is rounded: (m, 1)."""
    if "b" in evaluation.results:
        return np.zeros((len(evaluation.value), 1), bool)
    (exponential,) = (op for op in evaluation.operations if op.symbol == "e")
    exponents = evaluation.results[exponential.operands[0].symbol]
    exact: Array = (exponents == 0).any(axis=-1, keepdims=True) & (evaluation.results["s"] == 1)
    return exact


def _absorbed_part(evaluation: Evaluation, total: Array, scale: Array) -> Array:
    """Return what sums miss, in units of u times the result; 0 where it costs no digit: (m, 1).

    An addition absorbs half an ulp of its sum at most, u times it, and the sums of one level add
    up to s: over all levels no more than depth u s is lost. Only where that could be seen the
    tree is searched.
    """
    depth = len(evaluation.partial_sums) - 1
    factor = np.zeros_like(total)
    suspected = np.flatnonzero((depth >= _HARM * scale) & np.isfinite(total))
    if suspected.size:
        lost = np.zeros((len(suspected), 1), total.dtype)
        for left, right, sums in _additions(evaluation.row(suspected)):
            missed = np.where(absorbed(left, right, sums), np.minimum(abs(left), abs(right)), 0)
            lost += missed.astype(total.dtype).sum(axis=-1, keepdims=True)
        unit = evaluation.format.unit_roundoff * total[suspected] * scale[suspected]
        factor[suspected] = lost / unit
    return factor


# ---- Verdicts

_PLACES = {verdict: place for place, verdict in enumerate(VERDICTS)}

_UNDERFLOWS = frozenset(
    {
        FindingKind.INPUT_UNDERFLOW,
        FindingKind.TERM_UNDERFLOW,
        FindingKind.QUOTIENT_UNDERFLOW,
        FindingKind.SUM_UNDERFLOW,
        FindingKind.LOG_OF_ZERO,
    }
)


class Departure(NamedTuple):
    """How far the results on m vectors are from the right ones, each array of shape (m,).

    `ulps` is infinite and `wrong_class` true where one of both alone is infinite or NaN; `error`
    and `size` are over finite entries; what has vanished is zero and should be a normal number.
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
            # NumPy compares half precision in software, and ml_dtypes' in a loop
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
        """Return that of vectors of which this is one part and the other another."""
        return Departure(*map(np.maximum, self, other))

    def is_ruined(self, format_: Format, function: Function | None) -> Array:
        """Tell which results have a NaN, a wrong infinity, or no right digit, shape (m,).

        No digit is right where the error is as large as the right result, of several entries the
        largest of each. Below the normal range there are few digits to lose: there it takes more
        than 10 ulp besides. A probability has underflowed if it is zero and should be a normal
        number; a logarithm is zero for want of digits alone.
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
        """Return the verdicts on m vectors: places in `VERDICTS`, shape (m,).

        Of the ruined ones it is known what happened while they were evaluated; `unfit` is as of
        `does_not_fit`. A right result may be `max_ulp` ulps off.
        """
        found: Array = np.where(
            self.ulps > max_ulp, _PLACES[Verdict.DIGITS_LOST], _PLACES[Verdict.RIGHT]
        )
        no_number = self.wrong_class | self.has_nan
        may_vanish = no_number | (function is Function.SOFTMAX)
        # of what ruined a result, the last that holds is the reason
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
            found[ruined & holds] = _PLACES[verdict]
        found[unfit] = _PLACES[Verdict.DOES_NOT_FIT]
        return found


def verdict_on(
    departure: Departure,
    format_: Format,
    function: Function,
    findings: Iterable[Finding],
    has_unfit: bool,
) -> Verdict:
    """Return the verdict on one vector, of whose evaluation this was found."""
    kinds = {finding.kind for finding in findings}
    overflowed, underflowed = FindingKind.OVERFLOW in kinds, bool(_UNDERFLOWS & kinds)
    unfit = np.array([has_unfit])
    (place,) = departure.verdicts(format_, function, overflowed, underflowed, unfit)
    return VERDICTS[int(place)]


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
    """Return the verdicts on results, places in `VERDICTS`, and their errors in ulps, shape (m,).

    The values and the right ones have shape (m, k) and the format; `evaluated` gives the evaluation
    of the rows that are marked: the ruined ones, to tell why. An error is infinite where one of
    both alone is finite, and where a result is marked as `opposite`: it has the wrong sign. The
    rest is as of `Departure.verdicts`.
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
                elif kind in _UNDERFLOWS:
                    underflowed[ruined] |= struck
    codes = departure.verdicts(format_, function, overflowed, underflowed, unfit, max_ulp)
    return codes, departure.ulps


def measured(values: Array, reference: Array, format_: Format) -> list[tuple[float, float]]:
    """Return for each row the relative error of a result, and how many digits that leaves.

    Errors are given to two digits, and digits to a hundredth: the reference is rounded too, to
    11 bits more than float64 has, and blurs the rest of half an ulp.
    """
    errors = relative_error(values, reference)
    digits = correct_digits(errors, format_)
    return [
        (float(f"{error:.2g}"), round(digit, 2))
        for error, digit in zip(errors.tolist(), digits.tolist(), strict=True)
    ]


def surely_right(value: Array, right: Array, format_: Format, max_ulp: float) -> Array:
    """Tell quickly for which rows `judge` has nothing to say: finite, and close enough.

    k numbers of the format further on is at most 2 k ulps, which double at the end of a binade; and
    so few never reach from one number to another kind, or to as much as it is itself.
    """
    most = min(max_ulp, DIGIT, 2.0 ** (format_.significand_bits - 2))
    if value.dtype.itemsize not in (1, 2, 4, 8):
        return np.zeros(len(value), bool)
    # the numbers in order, as integers; those of different signs are far from each other
    code = np.dtype(f"u{value.dtype.itemsize}").type
    k = code(most / 2)
    near = value.view(code) - right.view(code) + k <= 2 * k
    finite = (right.view(code) & code(~code(0) >> 1)) <= format_.largest.view(code) - k
    sure: Array = np.logical_and.reduce(near & finite, axis=-1)
    return sure
