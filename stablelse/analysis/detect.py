"""What went wrong in an evaluation, where, and whether it reached the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.findings import Finding, FindingKind
from stablelse.analysis.losses import loss_finding, losses
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.formula import Evaluation, Kind, Operation


def find(evaluation: Evaluation) -> list[list[Finding]]:
    """Find what went wrong in each vector of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
        Of m vectors of n elements: results of shape (m, n) and (m, 1).

    Returns
    -------
    list of list of Finding
        For each of the m vectors its findings, in the order of the operations.
    """
    found: list[list[Finding]] = [[] for _ in range(evaluation.value.shape[0])]
    lost = list(losses(evaluation))
    for operation in evaluation.operations:
        for kind, where in _masks(evaluation, operation):
            for vector in np.flatnonzero(where.any(axis=-1)).tolist():
                row = evaluation.row(vector)
                found[vector].append(_finding(row, operation, kind, where[vector]))
        for loss in lost:
            if loss.operation is operation:
                for vector in np.flatnonzero(loss.where.any(axis=-1)).tolist():
                    found[vector].append(loss_finding(evaluation.row(vector), loss.row(vector)))
    return found


def find_in_part(evaluation: Evaluation) -> Iterator[Finding]:
    """Find what went wrong in some elements of a vector, sums and losses apart.

    Parameters
    ----------
    evaluation : Evaluation
        As of `evaluate_part`.

    Yields
    ------
    Finding
        In the order of the operations; elements are numbered within the part.
    """
    for operation in evaluation.operations:
        if operation.kind is not Kind.SUM:
            for kind, where in _masks(evaluation, operation):
                yield _finding(evaluation, operation, kind, where)


def kinds(evaluation: Evaluation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield what went wrong, losses apart, with which of the vectors: a mask of shape (m,)."""
    for operation in evaluation.operations:
        for kind, where in _masks(evaluation, operation):
            yield kind, np.logical_or.reduce(where, axis=-1)


class _Applied(NamedTuple):
    """An operation with what went in and what came out, for m vectors at once."""

    format: Format
    x: Array
    operands: tuple[Array, ...]
    result: Array

    @property
    def from_finite(self) -> Array:
        return _broadcast(np.logical_and, [np.isfinite(operand) for operand in self.operands])

    @property
    def from_nan(self) -> Array:
        return _broadcast(np.logical_or, [np.isnan(operand) for operand in self.operands])

    @property
    def from_zeros(self) -> Array:
        return _broadcast(np.logical_and, [operand == 0 for operand in self.operands])


def _broadcast(combine: Callable[[Array, Array], Array], masks: list[Array]) -> Array:
    return reduce(combine, masks)


def _both(first: Array, second: Array) -> Array:
    where: Array = np.logical_and(first, second)
    return where


def _overflow(applied: _Applied) -> Array:
    return _both(~np.isfinite(applied.result), applied.from_finite)


def _sum_overflow(applied: _Applied) -> Array:
    terms_finite = np.all(applied.from_finite, axis=-1, keepdims=True)
    return _both(~np.isfinite(applied.result), terms_finite)


def _term_underflow(applied: _Applied) -> Array:
    return _both(applied.result == 0, applied.from_finite)


def _quotient_underflow(applied: _Applied) -> Array:
    numerator, _ = applied.operands
    return _both((applied.result == 0) & (numerator > 0), applied.from_finite)


def _subnormal(applied: _Applied) -> Array:
    return _both(applied.result > 0, applied.result < applied.format.smallest_normal)


def _log_of_zero(applied: _Applied) -> Array:
    # The zero must have come of an underflow: exp(-inf) is zero by right.
    (operand,) = applied.operands
    x_finite: Array = np.isfinite(applied.x)
    if operand.shape != x_finite.shape:
        x_finite = np.any(x_finite, axis=-1, keepdims=True)
    return _both(operand == 0, x_finite)


def _invalid(applied: _Applied) -> Array:
    # A NaN from finite operands that are not both zero is an overflow of a format without inf.
    made_here = np.isnan(applied.result) & ~applied.from_nan
    return _both(made_here, ~applied.from_finite | applied.from_zeros)


_Detector = Callable[[_Applied], Array]

#: What can go wrong in each operation, and how it is seen.
_DETECTORS: dict[Kind, tuple[tuple[FindingKind, _Detector], ...]] = {
    Kind.ROUND: ((FindingKind.INPUT_OVERFLOW, _overflow),),
    Kind.SHIFT: (),
    Kind.SUBTRACT: ((FindingKind.OVERFLOW, _overflow), (FindingKind.INVALID, _invalid)),
    Kind.EXP: (
        (FindingKind.OVERFLOW, _overflow),
        (FindingKind.TERM_UNDERFLOW, _term_underflow),
        (FindingKind.SUBNORMAL, _subnormal),
    ),
    Kind.SUM: ((FindingKind.OVERFLOW, _sum_overflow),),
    Kind.DIVIDE: (
        (FindingKind.QUOTIENT_UNDERFLOW, _quotient_underflow),
        (FindingKind.SUBNORMAL, _subnormal),
        (FindingKind.INVALID, _invalid),
    ),
    Kind.LOG: ((FindingKind.LOG_OF_ZERO, _log_of_zero),),
    Kind.ADD: ((FindingKind.OVERFLOW, _overflow), (FindingKind.INVALID, _invalid)),
}

#: The bound that an operation crosses when it overflows or underflows.
_THRESHOLDS: dict[tuple[Kind, FindingKind], Callable[[Format], Any]] = {
    (Kind.ROUND, FindingKind.INPUT_OVERFLOW): lambda format_: format_.largest,
    (Kind.EXP, FindingKind.OVERFLOW): lambda format_: format_.overflow_threshold,
    (Kind.EXP, FindingKind.TERM_UNDERFLOW): lambda format_: format_.underflow_threshold,
    (Kind.EXP, FindingKind.SUBNORMAL): lambda format_: format_.subnormal_threshold,
    (Kind.SUBTRACT, FindingKind.OVERFLOW): lambda format_: format_.largest,
    (Kind.SUM, FindingKind.OVERFLOW): lambda format_: format_.largest,
    (Kind.ADD, FindingKind.OVERFLOW): lambda format_: format_.largest,
    (Kind.DIVIDE, FindingKind.QUOTIENT_UNDERFLOW): lambda format_: format_.smallest_subnormal,
    (Kind.DIVIDE, FindingKind.SUBNORMAL): lambda format_: format_.smallest_normal,
}


def _masks(evaluation: Evaluation, operation: Operation) -> Iterator[tuple[FindingKind, Array]]:
    """Yield each kind of trouble there is at an operation, its mask of shape (m, n) or (m, 1)."""
    applied = _Applied(
        evaluation.format,
        evaluation.results["x"],
        tuple(evaluation.results[symbol] for symbol in operation.operands),
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


def _finding(
    evaluation: Evaluation, operation: Operation, kind: FindingKind, where: Array
) -> Finding:
    """Describe one kind of trouble in one vector, its mask of shape (n,) or (1,)."""
    indices = np.flatnonzero(where)
    first = int(indices[0])
    per_element = operation.symbol in evaluation.per_element
    if kind is FindingKind.LOG_OF_ZERO and not per_element:
        kind = FindingKind.SUM_UNDERFLOW
    threshold = _THRESHOLDS.get((operation.kind, kind))
    return Finding(
        kind=kind,
        symbol=operation.symbol,
        element=first + 1 if per_element else None,
        span=None,
        occurrences=len(indices),
        operands=evaluation.operands(operation, first),
        result=evaluation.results[operation.symbol][first],
        threshold=threshold(evaluation.format) if threshold else None,
        harmless=_harmless(evaluation, operation, kind, indices),
        bits_lost=None,
        indices=indices if per_element else indices[:0],
    )


def _harmless(
    evaluation: Evaluation, operation: Operation, kind: FindingKind, indices: Array
) -> bool:
    """Whether what was lost is too small to be seen in the result."""
    if operation.kind is Kind.SUBTRACT and kind is FindingKind.OVERFLOW:
        # Where x - a < -largest, exp(x - a) is zero in the format, and so it is of -inf.
        return bool(np.all(np.isneginf(evaluation.results[operation.symbol][indices])))
    if kind not in _UNDERFLOWS:
        return False
    last = evaluation.formula.operations[-1]
    if operation is last:
        return True  # no number is nearer
    if last.kind is Kind.DIVIDE:
        # An error of half the smallest subnormal, divided by a sum of at least 1, is no more
        # than the rounding of a quotient of that size.
        return bool(np.longdouble(evaluation.results["s"][0]) >= 1)  # NaN warns in bfloat16
    if any(op.kind is Kind.DIVIDE for op in evaluation.formula.operations):
        return False  # the logarithm of the quotient makes the small as visible as the large
    # Gradual underflow is wrong by at most half the smallest subnormal a term (Higham 2002,
    # equation 2.8), n terms by n halves: harmless if that is no more than one rounding of s.
    lost = np.longdouble(evaluation.format.smallest_subnormal) * evaluation.n / 2
    total = np.longdouble(evaluation.results["s"][0])
    return bool(lost <= evaluation.format.unit_roundoff * total)


_UNDERFLOWS = frozenset(
    {FindingKind.TERM_UNDERFLOW, FindingKind.SUBNORMAL, FindingKind.QUOTIENT_UNDERFLOW}
)
