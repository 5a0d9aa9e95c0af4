"""One evaluation as a list of its elementary operations, each with what went in and came out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from stablelse.analysis.findings import Finding, FindingKind
from stablelse.analysis.losses import absorbed
from stablelse.numerics.formulas.formula import Evaluation, Kind, Operation


class Step(NamedTuple):
    """One elementary operation of an evaluation: ``symbol = kind(operands) = value``.

    Attributes
    ----------
    kind : Kind
        The operation; a partial sum is an `Kind.ADD`, the choice of the shift a `Kind.SHIFT`.
    symbol : str
        The symbol of the result in the formula: ``"e"``, ``"s"``, ...
    element : int or None
        Which element it belongs to, from 1; ``None`` for what the vector has one of.
    span : tuple of int or None
        The first and last element, from 1, that a partial sum covers.
    operands : tuple of scalars
        In the format; those of the rounding of the input as they were before.
    value : scalar
        In the format.
    findings : tuple of FindingKind
        What went wrong here.
    """

    kind: Kind
    symbol: str
    element: int | None
    span: tuple[int, int] | None
    operands: tuple[Any, ...]
    value: Any
    findings: tuple[FindingKind, ...]


def steps(evaluation: Evaluation, findings: tuple[Finding, ...] = ()) -> Iterator[Step]:
    """List the elementary operations of the evaluation of one vector, in order.

    Parameters
    ----------
    evaluation : Evaluation
        Of one vector: results of shape (n,) and (1,).
    findings : tuple of Finding
        What was found in it, to be told at the step where it happened.

    Yields
    ------
    Step
        The value of the last one (the last n, one per element, where the function has a
        result per element) is the value of the evaluation, bit for bit.
    """
    for operation in evaluation.operations:
        here = tuple(found for found in findings if found.symbol == operation.symbol)
        if operation.kind is Kind.SUM:
            yield from _partial_sums(evaluation, operation, here)
        else:
            yield from _elementwise(evaluation, operation, here)


def _elementwise(
    evaluation: Evaluation, operation: Operation, findings: tuple[Finding, ...]
) -> Iterator[Step]:
    per_element = operation.symbol in evaluation.per_element
    struck = {found.kind: frozenset(found.indices.tolist()) for found in findings}
    for index, value in enumerate(evaluation.results[operation.symbol]):
        kinds = (kind for kind, where in struck.items() if index in where or not per_element)
        yield Step(
            kind=operation.kind,
            symbol=operation.symbol,
            element=index + 1 if per_element else None,
            span=None,
            operands=evaluation.operands(operation, index),
            value=value,
            findings=tuple(kinds),
        )


def _partial_sums(
    evaluation: Evaluation, operation: Operation, findings: tuple[Finding, ...]
) -> Iterator[Step]:
    """Walk the summation tree level by level; what is carried up unpaired is no operation."""
    absorbs = any(found.kind is FindingKind.ABSORPTION for found in findings)
    kinds = tuple(f.kind for f in findings if f.kind is not FindingKind.ABSORPTION)
    levels = evaluation.partial_sums
    n = levels[0].shape[-1]
    if n == 1:
        (only,) = levels[0]
        yield Step(Kind.SUM, operation.symbol, None, (1, 1), (only,), only, kinds)
    for depth, (below, above) in enumerate(pairwise(levels), start=1):
        for index in range(below.shape[-1] // 2):
            span = (index * 2**depth + 1, min((index + 1) * 2**depth, n))
            left, right, total = below[2 * index], below[2 * index + 1], above[index]
            here = (FindingKind.ABSORPTION,) if absorbs and absorbed(left, right, total) else ()
            yield Step(
                kind=Kind.ADD,
                symbol=operation.symbol,
                element=None,
                span=span,
                operands=(left, right),
                value=total,
                findings=here + (kinds if span == (1, n) else ()),
            )
