"""What went wrong in an evaluation, where, and whether it reached the result.

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
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.results import DIGIT, Finding, FindingKind
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import (
    Evaluation,
    Formula,
    Kind,
    Operation,
    evaluate_part,
    pairwise_sum,
)


class Findings:
    """What went wrong in each of m vectors of n elements; described when asked for.

    Labels, shape (m,), name the one element of each value that is used. Lost digits are looked for
    only where `is_wrong`, shape (m,).
    """

    def __init__(
        self, evaluation: Evaluation, labels: Array | None = None, is_wrong: Array | None = None
    ) -> None:
        self._evaluation = evaluation
        n = evaluation.results["x"].shape[-1]
        lost = list(losses(evaluation, labels))
        is_seen = np.ones(1, bool)
        self._found: list[_Trouble | Loss] = []
        for operation in evaluation.operations:
            if operation.kind is Kind.SUM and labels is not None:
                is_seen = labels[:, np.newaxis] == np.arange(n)
            for kind, where in _masks(evaluation, operation):
                where = where & is_seen if where.shape[-1] == n else where
                harmless = _harmless(evaluation, operation, kind, where, n, labels)
                if is_wrong is not None and "b" in evaluation.results:
                    harmless = harmless | ~is_wrong  # terms may cancel to 0 by right
                self._found.append(_Trouble(operation, kind, where, harmless))
            for loss in lost:
                if loss.operation is operation:
                    where = loss.where & is_seen if loss.where.shape[-1] == n else loss.where
                    where = where if is_wrong is None else where & is_wrong[:, np.newaxis]
                    self._found.append(loss._replace(where=where))

    def __len__(self) -> int:
        return len(self._evaluation.value)

    def __getitem__(self, vector: int) -> list[Finding]:
        row = self._evaluation.row(vector)
        found = [one.row(vector) for one in self._found if one.where[vector].any()]
        return [one.finding(row) for one in found]

    def __iter__(self) -> Iterator[list[Finding]]:
        return map(self.__getitem__, range(len(self)))

    def occurrences(self) -> Array:
        """Return how often at most one of the findings that are not harmless occurred: (m,)."""
        counts = [one.occurrences(self._evaluation) for one in self._found]
        most: Array = np.max(counts, axis=0) if counts else np.zeros(len(self), np.intp)
        return most


def find_in_part(evaluation: Evaluation, n: int) -> Iterator[Finding]:
    """Find what went wrong in a part of a vector of n, without sums and losses."""
    for operation in evaluation.operations:
        if operation.kind is not Kind.SUM:
            for kind, where in _masks(evaluation, operation):
                harmless = _harmless(evaluation, operation, kind, where, n)
                yield _Trouble(operation, kind, where, harmless).finding(evaluation)


def find_at(formula: Formula, number: Any, format_: Format) -> Iterator[Finding]:
    """Find what goes wrong in one number of a stream, which is its own shift; sums apart."""
    x = np.array([number])
    shift = format_.round(x)
    evaluation = evaluate_part(formula, x, format_, {"a": shift, "s": np.ones_like(shift)})
    yield from find_in_part(evaluation, 1)


def sum_overflow(total: Any, format_: Format) -> Finding:
    """Return that a sum of finite terms, of which only the total is known, overflowed."""
    return Finding(
        kind=FindingKind.OVERFLOW,
        symbol="s",
        result=total,
        threshold=format_.largest,
    )


def kinds(evaluation: Evaluation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield what went wrong, losses apart, with which of the vectors: a mask of shape (m,)."""
    for operation in evaluation.operations:
        for kind, where in _masks(evaluation, operation):
            yield kind, np.logical_or.reduce(where, axis=-1)


class _Applied(NamedTuple):
    """An operation with what went in and what came out, for m vectors at once."""

    format: Format
    x: Array
    weights: Array | None
    operands: tuple[Array, ...]
    result: Array

    @property
    def from_finite(self) -> Array:
        return reduce(np.logical_and, map(np.isfinite, self.operands))

    @property
    def from_nan(self) -> Array:
        return reduce(np.logical_or, map(np.isnan, self.operands))

    @property
    def from_zeros(self) -> Array:
        return reduce(np.logical_and, [operand == 0 for operand in self.operands])


def _overflow(applied: _Applied) -> Any:
    return ~np.isfinite(applied.result) & applied.from_finite


def _sum_overflow(applied: _Applied) -> Any:
    terms_finite = np.all(applied.from_finite, axis=-1, keepdims=True)
    return ~np.isfinite(applied.result) & terms_finite


def _term_underflow(applied: _Applied) -> Any:
    return (applied.result == 0) & applied.from_finite


def _vanished(applied: _Applied) -> Any:
    nonzero = reduce(np.logical_and, [operand != 0 for operand in applied.operands])
    return (applied.result == 0) & nonzero & applied.from_finite


def _lost_weight(applied: _Applied) -> Any:
    # An x that is rounded to 0 does no harm.
    return _vanished(applied) & (applied.result is not applied.x)


def _subnormal(applied: _Applied) -> Any:
    return (applied.result != 0) & (np.abs(applied.result) < applied.format.smallest_normal)


def _log_of_zero(applied: _Applied) -> Any:
    # The zero must have come of an underflow: exp(-inf) is zero by right, and so is a weight of 0.
    (operand,) = applied.operands
    x_finite = np.isfinite(applied.x)
    if applied.weights is not None:
        x_finite &= applied.weights != 0
    if operand.shape != x_finite.shape:
        x_finite = np.any(x_finite, axis=-1, keepdims=True)
    return (operand == 0) & x_finite


def _invalid(applied: _Applied) -> Any:
    # A NaN from finite operands that are not both zero is an overflow of a format without inf.
    made_here = np.isnan(applied.result) & ~applied.from_nan
    return made_here & (~applied.from_finite | applied.from_zeros)


def _invalid_sum(applied: _Applied) -> Any:
    # Only weights give infinities of both signs.
    (terms,) = applied.operands
    from_nan = np.isnan(terms).any(axis=-1, keepdims=True)
    from_infinity = np.isinf(terms).any(axis=-1, keepdims=True)
    return np.isnan(applied.result) & ~from_nan & from_infinity


#: What can go wrong in each operation, and how it is seen.
_DETECTORS: dict[Kind, tuple[tuple[FindingKind, Callable[[_Applied], Any]], ...]] = {
    Kind.ROUND: (
        (FindingKind.INPUT_OVERFLOW, _overflow),
        (FindingKind.INPUT_UNDERFLOW, _lost_weight),
    ),
    Kind.SHIFT: (),
    Kind.SUBTRACT: ((FindingKind.OVERFLOW, _overflow), (FindingKind.INVALID, _invalid)),
    Kind.EXP: (
        (FindingKind.OVERFLOW, _overflow),
        (FindingKind.TERM_UNDERFLOW, _term_underflow),
        (FindingKind.SUBNORMAL, _subnormal),
    ),
    Kind.MULTIPLY: (
        (FindingKind.OVERFLOW, _overflow),
        (FindingKind.TERM_UNDERFLOW, _vanished),
        (FindingKind.SUBNORMAL, _subnormal),
        (FindingKind.INVALID, _invalid),
    ),
    Kind.SUM: ((FindingKind.OVERFLOW, _sum_overflow), (FindingKind.INVALID, _invalid_sum)),
    Kind.DIVIDE: (
        (FindingKind.QUOTIENT_UNDERFLOW, _vanished),
        (FindingKind.SUBNORMAL, _subnormal),
        (FindingKind.INVALID, _invalid),
    ),
    Kind.LOG: ((FindingKind.LOG_OF_ZERO, _log_of_zero),),
    Kind.ADD: ((FindingKind.OVERFLOW, _overflow), (FindingKind.INVALID, _invalid)),
}

#: The bound that an operation crosses when it overflows or underflows: an attribute of the format.
_THRESHOLDS: dict[tuple[Kind, FindingKind], str] = {
    (Kind.ROUND, FindingKind.INPUT_OVERFLOW): "largest",
    (Kind.ROUND, FindingKind.INPUT_UNDERFLOW): "smallest_subnormal",
    (Kind.EXP, FindingKind.OVERFLOW): "overflow_threshold",
    (Kind.EXP, FindingKind.TERM_UNDERFLOW): "underflow_threshold",
    (Kind.EXP, FindingKind.SUBNORMAL): "subnormal_threshold",
    (Kind.SUBTRACT, FindingKind.OVERFLOW): "largest",
    (Kind.MULTIPLY, FindingKind.OVERFLOW): "largest",
    (Kind.MULTIPLY, FindingKind.TERM_UNDERFLOW): "smallest_subnormal",
    (Kind.MULTIPLY, FindingKind.SUBNORMAL): "smallest_normal",
    (Kind.SUM, FindingKind.OVERFLOW): "largest",
    (Kind.ADD, FindingKind.OVERFLOW): "largest",
    (Kind.DIVIDE, FindingKind.QUOTIENT_UNDERFLOW): "smallest_subnormal",
    (Kind.DIVIDE, FindingKind.SUBNORMAL): "smallest_normal",
}


def _masks(evaluation: Evaluation, operation: Operation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield each kind of trouble there is at an operation, its mask of shape (m, n) or (m, 1)."""
    applied = _Applied(
        evaluation.format,
        evaluation.results["x"],
        evaluation.results.get("weights"),
        tuple(evaluation.results[operand.symbol] for operand in operation.operands),
        evaluation.results[operation.symbol],
    )
    is_last = operation is evaluation.operations[-1]
    for kind, detect in _DETECTORS[operation.kind]:
        if kind is FindingKind.SUBNORMAL and is_last:
            continue  # the result is as small as that by right
        with np.errstate(all="ignore"):
            where = detect(applied)
        if where.any():
            yield kind, where


class _Trouble(NamedTuple):
    """One kind of trouble at an operation: its mask, and in which of m vectors it did no harm."""

    operation: Operation
    kind: FindingKind
    where: Array
    harmless: Array

    def row(self, vector: int) -> _Trouble:
        """Return that of one vector."""
        return self._replace(where=self.where[vector], harmless=self.harmless[vector])

    def occurrences(self, evaluation: Evaluation) -> Array:
        """Return how often it happened, 0 where it did no harm, shape (m,)."""
        counts: Array = np.count_nonzero(self.where, axis=-1) * ~self.harmless
        return counts

    def finding(self, evaluation: Evaluation) -> Finding:
        """Describe it in one vector."""
        operation, kind = self.operation, self.kind
        if kind is FindingKind.LOG_OF_ZERO and operation.symbol not in evaluation.per_element:
            kind = FindingKind.SUM_UNDERFLOW
        threshold = _THRESHOLDS.get((operation.kind, kind))
        found = replace(
            _bare_finding(evaluation, operation, kind, self.where),
            threshold=getattr(evaluation.format, threshold) if threshold else None,
            harmless=bool(self.harmless),
        )
        if (operation.kind, kind) != (Kind.SUM, FindingKind.INVALID):
            return found
        infinity = evaluation.format.round(np.inf)[()]
        return replace(found, operands=(infinity, -infinity))


def _bare_finding(
    evaluation: Evaluation, operation: Operation, kind: FindingKind, where: Array
) -> Finding:
    """Describe where something happened, and what was made of what."""
    indices = np.flatnonzero(where)
    first = int(indices[0])
    per_element = operation.symbol in evaluation.per_element
    return Finding(
        kind=kind,
        symbol=operation.symbol,
        element=first + 1 if per_element else None,
        occurrences=len(indices),
        operands=evaluation.operands(operation, first),
        result=evaluation.results[operation.symbol][first],
        indices=indices if per_element else indices[:0],
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
    if kind not in _UNDERFLOWS:
        return harmless
    last = evaluation.formula.operations[-1]
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


_UNDERFLOWS = frozenset(
    {
        FindingKind.INPUT_UNDERFLOW,
        FindingKind.TERM_UNDERFLOW,
        FindingKind.SUBNORMAL,
        FindingKind.QUOTIENT_UNDERFLOW,
    }
)

#: An error that costs a digit, in units of u times the result: an ulp is 2 u of it at most, so
#: that this many are DIGIT ulps at least.
_HARM = 2 * DIGIT

#: What is less than this part of an operand is what a cancellation left of it.
_CANCELLED = 0.5


class Loss(NamedTuple):
    """Where an operation lost digits, and the error of the result in units of u times that."""

    operation: Operation
    kind: FindingKind
    where: Array
    factor: Array

    def row(self, vector: int) -> Loss:
        """Return that of one vector."""
        return self._replace(where=self.where[vector], factor=self.factor[vector])

    def occurrences(self, evaluation: Evaluation) -> Array:
        """Return how often it happened, shape (m,): of an absorption the partial sums."""
        counts: Array = np.asarray(np.count_nonzero(self.where, axis=-1))
        if self.kind is FindingKind.ABSORPTION:
            rows = np.flatnonzero(counts)
            levels = pairwise(evaluation.row(rows).partial_sums)
            counts[rows] = sum(
                np.count_nonzero(absorbed(*_additions(*pair)), axis=-1) for pair in levels
            )
        return counts

    def finding(self, evaluation: Evaluation) -> Finding:
        """Describe it in one vector."""
        finding = _bare_finding(evaluation, self.operation, self.kind, self.where)
        factor = self.factor[int(np.argmax(self.where))]
        bits = min(float(np.log2(factor)), float(evaluation.format.significand_bits))
        finding = replace(finding, bits_lost=round(bits, 1))
        if self.kind is FindingKind.CANCELLATION and self.operation.kind is Kind.SUM:
            terms = evaluation.partial_sums[0]
            sides = (pairwise_sum(np.where(side, terms, 0)) for side in (terms > 0, terms < 0))
            return replace(finding, operands=tuple(side[0] for side in sides))
        if self.kind is FindingKind.CANCELLATION:
            return finding
        places = [
            (depth, index, levels)
            for depth, levels in enumerate(pairwise(evaluation.partial_sums), start=1)
            for index in np.flatnonzero(absorbed(*_additions(*levels))).tolist()
        ]
        depth, index, levels = places[0]
        left, right, total = _additions(*levels)
        n = len(evaluation.partial_sums[0])
        return replace(
            finding,
            span=(index * 2**depth + 1, min((index + 1) * 2**depth, n)),
            occurrences=len(places),
            operands=(left[index], right[index]),
            result=total[index],
        )


def absorbed(left: Any, right: Any, total: Any) -> Any:
    """Tell whether a sum of two terms equals one of them although the other is not zero."""
    return ((total == left) & (right != 0)) | ((total == right) & (left != 0))


def losses(evaluation: Evaluation, labels: Array | None = None) -> Iterator[Loss]:
    """Find where an evaluation, as of `find`, lost a decimal digit of the result or more."""
    with np.errstate(all="ignore"):
        scale = _scale(evaluation, labels)
        inexact = ~_is_exact(evaluation)
        for operation in evaluation.formula.operations:
            if operation.kind is Kind.SUM:
                loss = _absorption(evaluation, operation, scale)
                if "b" in evaluation.results and not loss.where.any():
                    loss = _cancellation_in_sum(evaluation, operation, scale)
            elif operation.kind is Kind.LOG:
                loss = _cancellation_in_log(evaluation, operation, scale, inexact)
            elif operation.kind in (Kind.ADD, Kind.SUBTRACT) and operation.symbol != "d":
                loss = _cancellation(evaluation, operation, scale, inexact)
            else:
                continue
            if loss.where.any():
                yield loss


def _wide(evaluation: Evaluation, symbol: str) -> Array:
    """Return the absolute values of a result, in double precision at least."""
    result = evaluation.results[symbol]
    wide: Array = np.abs(result.astype(np.result_type(result.dtype, np.float64)))
    return wide


def _scale(evaluation: Evaluation, labels: Array | None) -> Array:
    """Return the smallest entry of each result, or 1 if the result is an exponential: (m, 1)."""
    last = evaluation.formula.operations[-1]
    if last.kind in (Kind.EXP, Kind.DIVIDE):
        return np.ones((len(evaluation.value), 1))
    sizes = _wide(evaluation, last.symbol)
    if labels is not None:
        sizes = np.take_along_axis(sizes, labels[:, np.newaxis], axis=-1)
    smallest = sizes.min(axis=-1, keepdims=True)
    return _no_less_than_normal(evaluation, smallest)


def _no_less_than_normal(evaluation: Evaluation, value: Array) -> Array:
    """Return at least the smallest normal number: below it the ulps no longer shrink."""
    normal: Array = np.maximum(value, float(evaluation.format.smallest_normal))
    return normal


def _is_exact(evaluation: Evaluation) -> Array:
    """Tell which sums are exp(0) = 1 and what was absorbed, so that nothing is rounded: (m, 1)."""
    if "b" in evaluation.results:
        return np.zeros((len(evaluation.value), 1), bool)
    (exponential,) = (op for op in evaluation.operations if op.symbol == "e")
    exponents = evaluation.results[exponential.operands[0].symbol]
    exact: Array = (exponents == 0).any(axis=-1, keepdims=True) & (evaluation.results["s"] == 1)
    return exact


def _absorption(evaluation: Evaluation, operation: Operation, scale: Array) -> Loss:
    """Find the sums that miss what they absorbed.

    An addition absorbs half an ulp of its sum at most, u times it, and the sums of one level add
    up to s: over all levels no more than depth u s is lost. Only where that could be seen the
    tree is searched.
    """
    levels = evaluation.partial_sums
    depth = len(levels) - 1
    total = _wide(evaluation, operation.symbol)
    factor = np.zeros_like(total)
    suspected = np.flatnonzero((depth >= _HARM * scale) & np.isfinite(total))
    if suspected.size:
        lost = sum(_lost(below[suspected], above[suspected]) for below, above in pairwise(levels))
        unit = evaluation.format.unit_roundoff * total[suspected] * scale[suspected]
        factor[suspected] = lost / unit
    return Loss(operation, FindingKind.ABSORPTION, factor >= _HARM, factor)


def _lost(below: Array, above: Array) -> Array:
    """Return the sum of what the additions of one level absorbed, shape (m, 1)."""
    left, right, total = _additions(below, above)
    lost = np.where(absorbed(left, right, total), np.minimum(np.abs(left), np.abs(right)), 0)
    wide = lost.astype(np.result_type(below.dtype, np.float64))
    total_lost: Array = wide.sum(axis=-1, keepdims=True)
    return total_lost


def _additions(below: Array, above: Array) -> tuple[Array, Array, Array]:
    """Return the operands and the results of the additions of one level of the tree."""
    pairs = below.shape[-1] // 2
    return below[..., 0 : 2 * pairs : 2], below[..., 1 : 2 * pairs : 2], above[..., :pairs]


def _cancellation_in_sum(evaluation: Evaluation, operation: Operation, scale: Array) -> Loss:
    """Find the sums of terms of both signs that show the rounding of the terms."""
    sizes = _wide(evaluation, operation.operands[0].symbol).sum(axis=-1, keepdims=True)
    total = _wide(evaluation, operation.symbol)
    cancels = (_CANCELLED * sizes >= total) & np.isfinite(sizes)
    factor = sizes / _no_less_than_normal(evaluation, total) / scale
    return Loss(operation, FindingKind.CANCELLATION, cancels & (factor >= _HARM), factor)


def _cancellation_in_log(
    evaluation: Evaluation, operation: Operation, scale: Array, inexact: Array
) -> Loss:
    """Find the logarithms of numbers next to 1 that show the rounding of those numbers."""
    result = _wide(evaluation, operation.symbol)
    is_last = operation is evaluation.formula.operations[-1]
    factor = 1 / (_no_less_than_normal(evaluation, result) if is_last else scale)
    is_near = _HARM * _CANCELLED * result <= 1
    if operation.symbol in evaluation.per_element:
        # as in _is_exact: the quotient is 1 where the sum is e_j and nothing
        inexact = evaluation.results["e"] != evaluation.results["s"]
    where = is_near & (factor >= _HARM) & inexact
    return Loss(operation, FindingKind.CANCELLATION, where, np.broadcast_to(factor, where.shape))


def _cancellation(
    evaluation: Evaluation, operation: Operation, scale: Array, inexact: Array
) -> Loss:
    """Find the sums and differences that show the rounding of their second operand."""
    first, second = (_wide(evaluation, operand.symbol) for operand in operation.operands)
    result = _no_less_than_normal(evaluation, _wide(evaluation, operation.symbol))
    is_last = operation is evaluation.formula.operations[-1]
    factor = np.maximum(second, 1) / (result if is_last else scale)
    cancels = _CANCELLED * np.maximum(first, second) >= result
    where = cancels & (factor >= _HARM) & np.isfinite(first) & np.isfinite(second) & inexact
    return Loss(operation, FindingKind.CANCELLATION, where, np.broadcast_to(factor, where.shape))
