"""One evaluation as a list of elementary operations, each with its operands and its result."""

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
    """List the elementary operations of an evaluation, each with its findings."""
    n = len(evaluation.results["x"])
    return (step for _, step in chosen_steps(evaluation, findings, range(1, n + 1)))


def chosen_steps(
    evaluation: Evaluation, findings: tuple[Finding, ...], elements: Iterable[int]
) -> Iterator[tuple[int, Step]]:
    """List the steps of some elements, their sums, and findings, each with its number."""
    indices = [element - 1 for element in elements]
    number = 1
    for operation in evaluation.operations:
        here = [found for found in findings if found.symbol == operation.symbol]
        count = len(evaluation.results[operation.symbol])
        found = _elementwise(evaluation, operation, here, indices)
        if operation.kind is Kind.SUM:
            count = max(1, len(evaluation.partial_sums[0]) - 1)
            found = _partial_sums(evaluation, operation.symbol, here, indices)
        yield from ((number + offset, step) for offset, step in found)
        number += count


def _elementwise(
    evaluation: Evaluation,
    operation: Operation,
    findings: Sequence[Finding],
    indices: Sequence[int],
) -> Iterator[tuple[int, Step]]:
    symbol, of_each = operation.symbol, operation.per_element
    struck = {found.kind: frozenset(found.indices.tolist()) for found in findings}
    for index in indices if of_each else [0]:
        yield (
            index,
            Step(
                kind=operation.kind,
                symbol=symbol,
                element=index + 1 if of_each else None,
                span=None,
                operands=evaluation.operands(operation, index),
                value=evaluation.results[symbol][index],
                findings=tuple(k for k, where in struck.items() if index in where or not of_each),
            ),
        )


def _partial_sums(
    evaluation: Evaluation, symbol: str, findings: Sequence[Finding], indices: Sequence[int]
) -> Iterator[tuple[int, Step]]:
    """Walk the summation tree level by level; an unpaired number is carried up, not added."""
    kinds: tuple[FindingKind, ...] = tuple(found.kind for found in findings)
    of_sum = tuple(kind for kind in kinds if kind is not FindingKind.ABSORPTION)
    absorbs = of_sum != kinds
    spans = {found.span for found in findings if found.span}
    levels = evaluation.partial_sums
    n = levels[0].shape[-1]
    if n == 1:
        (only,) = levels[0]
        yield 0, Step(Kind.SUM, symbol, None, (1, 1), (only,), only, of_sum)
    chosen, before = set(indices), 0
    for depth, (below, above) in enumerate(pairwise(levels), start=1):
        width, pairs = below.shape[-1], below.shape[-1] // 2
        chosen = {i // 2 for i in chosen if i ^ 1 in chosen or i ^ 1 >= width}
        struck = {(first - 1) >> depth: (first, last) for first, last in spans}
        places = chosen | {i for i, span in struck.items() if span == span_of(i, depth, n)}
        places |= {0} if above.shape[-1] == 1 else set()
        for index in sorted(place for place in places if place < pairs):
            left, right, total = below[2 * index], below[2 * index + 1], above[index]
            span = span_of(index, depth, n)
            kinds = of_sum if span == (1, n) else ()
            if absorbs and absorbed(left, right, total):
                kinds = (FindingKind.ABSORPTION, *kinds)
            yield before + index, Step(Kind.ADD, symbol, None, span, (left, right), total, kinds)
        before += pairs
