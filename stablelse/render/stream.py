"""The picture of a stream: what every method made of all its numbers, and where it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from stablelse.analysis.results import FindingKind, Verdict
from stablelse.analysis.stream import StreamComparison, StreamFinding, StreamResult
from stablelse.numerics.formulas.formula import Kind
from stablelse.render.columns import VERDICT_STYLES
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.sentences import safe_bound
from stablelse.render.table import hanging
from stablelse.render.wording import (
    ASCII,
    FUNCTION_NAMES,
    Glyphs,
    accuracy_text,
    judged_text,
    operation_text,
    ulps_number,
)


class StreamPicture:
    """The picture of a stream, for a console of any width and encoding.

    Parameters
    ----------
    comparison : StreamComparison
        What is shown.
    """

    def __init__(self, comparison: StreamComparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the methods side by side, and the verdicts."""
        glyphs = glyphs_for(options)
        by_format = [
            list(results)
            for _, results in groupby(self.comparison.results, key=lambda result: result.format)
        ]
        formats = ", ".join(results[0].format for results in by_format)
        yield hanging(_title(self.comparison, formats, glyphs), options.max_width, indent=1)
        yield from _tables(by_format, glyphs, options.max_width)
        for results in by_format:
            if len(by_format) > 1:
                yield Text(f" {results[0].format}", "bold")
            yield from _verdicts(results, self.comparison.n, glyphs, options.max_width)
        yield Text()


def stream_lines(comparison: StreamComparison, errors: bool = False) -> Iterator[str]:
    """Yield a line per method, what was found in it, and how wrong it is, indented below."""
    place = _place(comparison)
    name = FUNCTION_NAMES[comparison.function]
    for result in comparison.results:
        told = f"{_name(result, ASCII)}, {result.format}: {ASCII.number(result.value)}"
        yield f"{place}{name} of {comparison.n:,} numbers {told} ({_told(result)})"
        for found in result.findings:
            yield f"    {_sentence(found, result, comparison.n, ASCII)}"
        if errors and (accuracy := accuracy_text(result, ASCII)):
            yield f"    {accuracy}"


def _title(comparison: StreamComparison, formats: str, glyphs: Glyphs) -> str:
    low, high = glyphs.number(comparison.minimum), glyphs.number(comparison.maximum)
    return (
        f"{_place(comparison)}{FUNCTION_NAMES[comparison.function]} of {comparison.n:,} numbers "
        f"between {low} and {high}, in {formats}"
    )


def _place(comparison: StreamComparison) -> str:
    column = None if comparison.column is None else f"column {comparison.column}"
    place = ", ".join(filter(None, (comparison.source, column)))
    return f"{place}: " if place else ""


def _tables(
    by_format: Sequence[Sequence[StreamResult]], glyphs: Glyphs, width: int
) -> Iterator[RenderableType]:
    """Yield a column per method, as many side by side as fit."""
    has_ulps = any(result.ulps is not None for results in by_format for result in results)
    labels = ["lse", "a", "ulps off"] if has_ulps else ["lse", "a"]
    groups = []
    for results in by_format:
        columns = [_column(result, len(labels), glyphs) for result in results]
        if len(by_format) > 1:
            columns[0] = columns[0]._replace(above=results[0].format)
        groups.append(Group(columns))
    yield from stack(Column("", [Text(label) for label in labels]), groups, frozenset(), width)


def _column(result: StreamResult, rows: int, glyphs: Glyphs) -> Column:
    ulps = "" if result.ulps is None else _ulps(result.ulps, glyphs)
    style = "" if result.verdict is Verdict.RIGHT else VERDICT_STYLES[result.verdict]
    mark = glyphs.mark(result.verdict)
    value = Text(f"{glyphs.number(result.value)} {mark}", style)
    shift = Text("" if result.a is None else f"{result.shift} = {glyphs.number(result.a)}")
    return Column(result.method.value, [value, shift, Text(ulps)][:rows])


def _ulps(ulps: float, glyphs: Glyphs) -> str:
    return glyphs.infinity if ulps == float("inf") else ulps_number(ulps)


def _verdicts(
    results: Sequence[StreamResult], n: int, glyphs: Glyphs, screen: int
) -> Iterator[Text]:
    names = [_name(result, glyphs) for result in results]
    width = max(map(len, names)) + 1
    for result, name in zip(results, names, strict=True):
        mark = glyphs.mark(result.verdict)
        line = Text(f" {mark} {name:<{width}}", VERDICT_STYLES[result.verdict])
        line.append(_told(result))
        yield line
        for found in result.findings:
            yield hanging(_sentence(found, result, n, glyphs), screen, indent=5)


def _name(result: StreamResult, glyphs: Glyphs) -> str:
    if result.a is None:
        return result.method.value
    return f"{result.method.value}, a = {result.shift} = {glyphs.number(result.a)}"


def _told(result: StreamResult) -> str:
    """Return what became of a method, and how far off it is or can be."""
    if result.error_bound is not None and result.verdict is Verdict.NAN:
        return "NaN by convention"
    if result.error_bound is not None and not result.verdict.is_broken:
        if result.error_bound <= 0.5:
            return "correctly rounded"
        return f"within {result.error_bound:.2g} ulp"
    return judged_text(result.verdict, result.ulps)


def _sentence(found: StreamFinding, result: StreamResult, n: int, glyphs: Glyphs) -> str:
    """Return a finding as a sentence: what happened, how often, and where first."""
    sentence = _SENTENCES[found.kind](found, result, glyphs)
    if found.element is None:
        return sentence
    column = f"column {found.column}" if found.column else None
    place = ", ".join(filter(None, (found.source, f"row {found.row:,}", column)))
    if not found.operands:
        return f"{sentence} (by {place}, after {found.element:,} of {n:,} numbers)"
    return f"{sentence} ({found.occurrences:,} of {n:,} numbers, first {place})"


def _overflow(found: StreamFinding, result: StreamResult, glyphs: Glyphs) -> str:
    largest = f"largest {result.format}"
    if not found.operands:
        what = glyphs.sum if result.a is None else f"{glyphs.sum} e^(x {glyphs.minus} a)"
        return f"{what} passes the {largest}, {glyphs.number(found.threshold)}"
    bound = safe_bound(float(found.threshold), "x", "below", glyphs)
    return f"{operation_text(Kind.EXP, found.operands, glyphs)} > {largest}: {bound}"


def _input_overflow(found: StreamFinding, result: StreamResult, glyphs: Glyphs) -> str:
    (x,) = found.operands
    return (
        f"{glyphs.number(x)} does not fit {result.format}, largest "
        f"{glyphs.number(found.threshold)}: it is {glyphs.number(found.result)} before any "
        "formula runs"
    )


def _sum_underflow(found: StreamFinding, result: StreamResult, glyphs: Glyphs) -> str:
    return f"every term is 0, and log 0 is {glyphs.number(result.value)}"


def _invalid(found: StreamFinding, result: StreamResult, glyphs: Glyphs) -> str:
    return f"{operation_text(Kind.SUBTRACT, found.operands, glyphs)} is NaN"


_SENTENCES: dict[FindingKind, Callable[[StreamFinding, StreamResult, Glyphs], str]] = {
    FindingKind.INPUT_OVERFLOW: _input_overflow,
    FindingKind.OVERFLOW: _overflow,
    FindingKind.SUM_UNDERFLOW: _sum_underflow,
    FindingKind.INVALID: _invalid,
}
