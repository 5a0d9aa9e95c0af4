"""One evaluation as a list of elementary operations, each with its operands and its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from stablelse.analysis.findings import absorbed, additions, span_of
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


def steps(
    evaluation: Evaluation, findings: Sequence[Finding] = (), elements: Iterable[int] | None = None
) -> Iterator[tuple[int, Step]]:
    """List the elementary operations, numbered; or those of some elements, sums and findings."""
    n, number = len(evaluation.results["x"]), 1
    indices = range(n) if elements is None else [element - 1 for element in elements]
    for operation in evaluation.operations:
        here = [found for found in findings if found.symbol == operation.symbol]
        is_sum = operation.kind is Kind.SUM
        walk = _partial_sums if is_sum else _elementwise
        for offset, step in walk(evaluation, operation, here, indices):
            yield number + offset, step
        number += max(1, n - 1) if is_sum else len(evaluation.results[operation.symbol])


def _elementwise(
    evaluation: Evaluation,
    operation: Operation,
    findings: Sequence[Finding],
    indices: Sequence[int],
) -> Iterator[tuple[int, Step]]:
    kind, symbol, of_each = operation.kind, operation.symbol, operation.per_element
    struck = {found.kind: frozenset(found.indices.tolist()) for found in findings}
    for index in indices if of_each else [0]:
        element = index + 1 if of_each else None
        operands, value = evaluation.operands(operation, index), evaluation.results[symbol][index]
        kinds = tuple(each for each, where in struck.items() if index in where or not of_each)
        yield index, Step(kind, symbol, element, None, operands, value, kinds)


def _partial_sums(
    evaluation: Evaluation,
    operation: Operation,
    findings: Sequence[Finding],
    indices: Sequence[int],
) -> Iterator[tuple[int, Step]]:
    """Walk the summation tree level by level; an unpaired number is carried up, not added."""
    symbol, levels = operation.symbol, evaluation.partial_sums
    of_sum: tuple[FindingKind, ...] = tuple(
        found.kind for found in findings if found.kind is not FindingKind.ABSORPTION
    )
    spans = [found.span for found in findings if found.span]
    n = len(levels[0])
    if n == 1:
        (only,) = levels[0]
        yield 0, Step(Kind.SUM, symbol, None, (1, 1), (only,), only, of_sum)
    chosen, before = set(indices), 0
    for depth, (left, right, total) in enumerate(additions(levels), start=1):
        width, pairs = len(levels[depth - 1]), len(total)
        chosen = {i // 2 for i in chosen if i ^ 1 in chosen or i ^ 1 >= width}
        firsts = {(first - 1) >> depth for first, _ in spans}
        shown = chosen | {i for i in firsts if span_of(i, depth, n) in spans}
        shown |= {0} if depth == len(levels) - 1 else set()
        for i in sorted(place for place in shown if place < pairs):
            span = span_of(i, depth, n)
            kinds = of_sum if span == (1, n) else ()
            if spans and absorbed(left[i], right[i], total[i]):
                kinds = (FindingKind.ABSORPTION, *kinds)
            operands = left[i], right[i]
            yield before + i, Step(Kind.ADD, symbol, None, span, operands, total[i], kinds)
        before += pairs
