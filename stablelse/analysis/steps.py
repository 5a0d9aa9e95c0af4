"""One evaluation as a list of its elementary operations, each with what went in and came out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from stablelse.analysis.findings import absorbed, span_of
from stablelse.analysis.results import Finding, FindingKind
from stablelse.numerics.formulas import Evaluation, Kind, Operation


class Step(NamedTuple):
    """One elementary operation of an evaluation: ``symbol = kind(operands) = value``."""

    kind: Kind
    symbol: str
    element: int | None
    span: tuple[int, int] | None
    operands: tuple[Any, ...]
    value: Any
    findings: tuple[FindingKind, ...]


def steps(evaluation: Evaluation, findings: tuple[Finding, ...] = ()) -> Iterator[Step]:
    """List the elementary operations of an evaluation, each with what was found there."""
    n = len(evaluation.results["x"])
    return (step for _, step in chosen_steps(evaluation, findings, range(1, n + 1)))


def chosen_steps(
    evaluation: Evaluation, findings: tuple[Finding, ...], elements: Iterable[int]
) -> Iterator[tuple[int, Step]]:
    """List the steps of some elements, sums of these alone, and findings, each with its number."""
    indices = [element - 1 for element in elements]
    before = 1
    for operation in evaluation.operations:
        here = tuple(found for found in findings if found.symbol == operation.symbol)
        if operation.kind is Kind.SUM:
            yield from _partial_sums(evaluation, operation, here, indices, before)
            before += max(1, len(evaluation.partial_sums[0]) - 1)
        else:
            is_one = operation.symbol not in evaluation.per_element
            yield from _elementwise(evaluation, operation, here, [0] if is_one else indices, before)
            before += len(evaluation.results[operation.symbol])


def _elementwise(
    evaluation: Evaluation,
    operation: Operation,
    findings: tuple[Finding, ...],
    indices: Sequence[int],
    before: int,
) -> Iterator[tuple[int, Step]]:
    per_element = operation.symbol in evaluation.per_element
    struck = {found.kind: frozenset(found.indices.tolist()) for found in findings}
    for index in indices:
        kinds = (kind for kind, where in struck.items() if index in where or not per_element)
        yield (
            before + index,
            Step(
                kind=operation.kind,
                symbol=operation.symbol,
                element=index + 1 if per_element else None,
                span=None,
                operands=evaluation.operands(operation, index),
                value=evaluation.results[operation.symbol][index],
                findings=tuple(kinds),
            ),
        )


def _partial_sums(
    evaluation: Evaluation,
    operation: Operation,
    findings: tuple[Finding, ...],
    indices: Sequence[int],
    before: int,
) -> Iterator[tuple[int, Step]]:
    """Walk the summation tree level by level; what is carried up unpaired is no operation."""
    absorbs = any(found.kind is FindingKind.ABSORPTION for found in findings)
    kinds = tuple(f.kind for f in findings if f.kind is not FindingKind.ABSORPTION)
    told = {found.span for found in findings}
    levels = evaluation.partial_sums
    n = levels[0].shape[-1]
    if n == 1:
        (only,) = levels[0]
        yield before, Step(Kind.SUM, operation.symbol, None, (1, 1), (only,), only, kinds)
    chosen = set(indices)
    for depth, (below, above) in enumerate(pairwise(levels), start=1):
        width, pairs = below.shape[-1], below.shape[-1] // 2
        chosen = {i // 2 for i in chosen if i ^ 1 in chosen or i ^ 1 >= width}
        places = chosen | {place for span in told if (place := _place(span, depth, n)) is not None}
        places |= {0} if pairs and above.shape[-1] == 1 else set()
        for index in sorted(place for place in places if place < pairs):
            left, right, total = below[2 * index], below[2 * index + 1], above[index]
            span = span_of(index, depth, n)
            here = (FindingKind.ABSORPTION,) if absorbs and absorbed(left, right, total) else ()
            yield (
                before + index,
                Step(
                    kind=Kind.ADD,
                    symbol=operation.symbol,
                    element=None,
                    span=span,
                    operands=(left, right),
                    value=total,
                    findings=here + (kinds if span == (1, n) else ()),
                ),
            )
        before += pairs


def _place(span: tuple[int, int] | None, depth: int, n: int) -> int | None:
    """Return the index of the sum at some depth that has this span, if one has."""
    index = (span[0] - 1) >> depth if span else 0
    return index if span == span_of(index, depth, n) else None
