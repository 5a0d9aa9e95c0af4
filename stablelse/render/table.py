"""The picture of a comparison: the methods side by side, element by element, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from textwrap import fill
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from stablelse.analysis.comparison import Comparison, MethodResult, Verdict
from stablelse.analysis.findings import Finding
from stablelse.numerics.formats import Array
from stablelse.numerics.formula import Method
from stablelse.numerics.functions import Function
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.sentences import finding_text
from stablelse.render.wording import (
    FUNCTION_NAMES,
    Glyphs,
    exactness_text,
    method_text,
    place_text,
    shift_text,
    struck_text,
    symbol_text,
    ulps_text,
    verdict_text,
)

#: A vector of up to this many elements is shown whole.
_WHOLE = 20
_HEAD, _TAIL = 6, 3

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.OK: "bold green",
    Verdict.DIGITS_LOST: "bold yellow",
    Verdict.BROKEN: "bold red",
}
_HARMFUL, _HARMLESS = "bold red", "yellow"

#: The results that the vector has one of, row by row below the elements: a method shows
#: the first of the symbols that its formula has.
_SCALAR_ROWS: dict[Function, tuple[tuple[str, ...], ...]] = {
    Function.LOGSUMEXP: (("s",), ("l", "y"), ("a",), ("y",)),
    Function.SOFTMAX: (("s",),),
    Function.LOG_SOFTMAX: (("s",), ("l",)),
}


class ComparisonPicture:
    """The picture of a comparison, for a console of any width and encoding.

    Parameters
    ----------
    comparison : Comparison
        What is shown.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, one or more tables, and the verdicts."""
        glyphs = glyphs_for(options)
        by_format = [
            list(results)
            for _, results in groupby(self.comparison.results, key=lambda result: result.format)
        ]
        yield title(self.comparison, [results[0].format for results in by_format])
        yield from _tables(self.comparison, by_format, glyphs, options.max_width)
        for results in by_format:
            if len(by_format) > 1:
                yield Text(f" {results[0].format}", "bold")
            yield from verdicts(results, glyphs, options.max_width)
        yield Text()


def title(comparison: Comparison, formats: Sequence[str]) -> Text:
    """Return the line above the picture: where the numbers are from, what is computed, in what."""
    text = Text(" ")
    place = place_text(comparison)
    if place:
        text.append(f"{place}: ")
    text.append(FUNCTION_NAMES[comparison.function], style="bold")
    plural = "number" if comparison.n == 1 else "numbers"
    text.append(f" of {comparison.n:,} {plural} in ")
    text.append(", ".join(formats), style="bold")
    return text


def verdicts(results: Sequence[MethodResult], glyphs: Glyphs, screen: int) -> Iterator[Text]:
    """Yield a line per method with its verdict, and below it its findings."""
    names = [method_text(result, glyphs) for result in results]
    width = max(map(len, names)) + 1
    for result, name in zip(results, names, strict=True):
        if result.evaluation is None:
            value = "column above" if result.value.ndim else glyphs.number(result.value)
            margin = " " * (len(glyphs.good) + 2)
            yield Text(f"{margin}{name:<{width}}{value}, {_TOLD[result.method](result)}")
            continue
        mark = glyphs.good if result.verdict is Verdict.OK else glyphs.bad
        line = Text(f" {mark} {name:<{width}}", VERDICT_STYLES[result.verdict])
        line.append(verdict_text(result))
        yield line
        for finding in result.findings:
            sentence = finding_text(finding, result, glyphs)
            yield hanging(sentence, screen, indent=5, style="" if not finding.harmless else "dim")


#: What is said of the methods whose operations are not shown.
_TOLD: dict[Method, Callable[[MethodResult], str]] = {
    Method.COMPENSATED: lambda result: (
        "the library's own" if result.ulps is None else ulps_text(result.ulps)
    ),
    Method.EXACT: exactness_text,
}


def hanging(sentence: str, width: int, indent: int, style: str = "") -> Text:
    """Return a sentence wrapped at blanks only, every line indented."""
    margin = " " * indent
    wrapped = fill(
        sentence,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return Text(wrapped, style, no_wrap=True, overflow="ignore")


def _tables(
    comparison: Comparison, by_format: Sequence[Sequence[MethodResult]], glyphs: Glyphs, width: int
) -> Iterator[RenderableType]:
    """Yield the columns of every method in every format, side by side as far as they fit."""
    evaluated = [result for results in by_format for result in results if result.evaluation]
    shown = shown_elements(comparison, evaluated)
    rows = _SCALAR_ROWS[comparison.function]
    labels = [_label(index, glyphs) for index in shown]
    labels += [Text(symbol_text(evaluated[-1], names[0], glyphs), "bold") for names in rows]
    groups: list[Group] = []
    for results in by_format:
        above = results[0].format if len(by_format) > 1 else ""
        x = Column("x", _x_cells(comparison, results[0], shown, len(rows), glyphs), above)
        for result in results:
            if result.evaluation:
                groups.append(Group(_method_columns(result, shown, rows, glyphs), x))
            elif comparison.function is not Function.LOGSUMEXP:
                groups.append(Group([_library_column(result, shown, rows, glyphs)], x))
    sections = {len(shown) - 1}
    if rows[-1] == ("y",):
        sections.add(len(shown) + len(rows) - 2)
    yield from stack(Column("i", labels), groups, frozenset(sections), width)


def _label(index: int | None, glyphs: Glyphs) -> Text:
    return Text(glyphs.ellipsis, "dim") if index is None else Text(f"{index + 1:,}")


def _library_column(
    result: MethodResult,
    shown: Sequence[int | None],
    rows: Sequence[tuple[str, ...]],
    glyphs: Glyphs,
) -> Column:
    cells = [Text() if index is None else _cell(result.value[index], glyphs) for index in shown]
    header = "p" if result.total is not None else "log p"
    total = [Text() if result.total is None else _cell(result.total, glyphs)]
    below = [*total, *([Text()] * (len(rows) - 1))]
    return Column(header, cells + below, above=result.method.value)


def shown_elements(comparison: Comparison, results: Sequence[MethodResult]) -> list[int | None]:
    """Choose the elements to show, ``None`` where some are left out between them.

    All of a short vector; of a long one its head, its tail, its extremes, and of every kind
    of finding the first element.
    """
    n = comparison.n
    if n <= _WHOLE:
        return list(range(n))
    chosen = {*range(_HEAD), *range(n - _TAIL, n)}
    chosen |= {int(np.argmax(comparison.x)), int(np.argmin(comparison.x))}
    chosen |= {f.element - 1 for r in results for f in r.findings if f.element is not None}
    shown: list[int | None] = []
    for index in sorted(chosen):
        if shown and shown[-1] != index - 1:
            shown.append(None)
        shown.append(index)
    return shown


def _x_cells(
    comparison: Comparison,
    result: MethodResult,
    shown: Sequence[int | None],
    scalars: int,
    glyphs: Glyphs,
) -> list[Text]:
    cells = _element_cells(result, "x", shown, glyphs)
    if None in shown:
        left_out = comparison.n - sum(index is not None for index in shown)
        cells[shown.index(None)] = Text(f"{left_out:,} left out", "dim italic")
    return cells + [Text()] * scalars


def _method_columns(
    result: MethodResult,
    shown: Sequence[int | None],
    rows: Sequence[tuple[str, ...]],
    glyphs: Glyphs,
) -> list[Column]:
    """Return a column for each result that the formula has per element; the x is shared."""
    assert result.evaluation is not None
    symbols = [op.symbol for op in result.evaluation.operations]
    columns: list[Column] = []
    for symbol in symbols:
        if symbol not in result.evaluation.per_element or symbol == "x":
            continue
        cells = _element_cells(result, symbol, shown, glyphs)
        below = [_scalar_cell(result, symbol, names, glyphs) for names in rows]
        above = "" if columns else result.method.value
        if symbol == "e" and result.shift is not None:
            above = f"a = {shift_text(result, glyphs)}"
        columns.append(Column(symbol_text(result, symbol, glyphs), cells + below, above))
    return columns


def _element_cells(
    result: MethodResult, symbol: str, shown: Sequence[int | None], glyphs: Glyphs
) -> list[Text]:
    struck = [finding for finding in result.findings if finding.symbol == symbol]
    cells = []
    for index in shown:
        if index is None:
            cells.append(Text())
            continue
        here = next((f for f in struck if _strikes(f.indices, index)), None)
        cells.append(_result_cell(result, symbol, index, here, glyphs))
    return cells


def _strikes(indices: Array, index: int) -> bool:
    place = int(np.searchsorted(indices, index))
    return place < len(indices) and int(indices[place]) == index


def _result_cell(
    result: MethodResult, symbol: str, index: int, finding: Finding | None, glyphs: Glyphs
) -> Text:
    evaluation = result.evaluation
    assert evaluation is not None
    value = evaluation.results[symbol][index]
    if finding is None:
        return _cell(value, glyphs)
    operation = next(op for op in evaluation.operations if op.symbol == symbol)
    operands = evaluation.operands(operation, index)
    text = struck_text(finding, operation.kind, operands, value, glyphs)
    return Text(text, _HARMLESS if finding.harmless else _HARMFUL)


def _cell(value: Any, glyphs: Glyphs) -> Text:
    return Text(glyphs.number(value), "" if np.isfinite(value) else "red")


def _scalar_cell(result: MethodResult, column: str, names: tuple[str, ...], glyphs: Glyphs) -> Text:
    """Return what stands below a column: in the column of the terms the results of the vector."""
    assert result.evaluation is not None
    if column == "p" and names == ("s",) and result.total is not None:
        return _cell(result.total, glyphs)
    results = result.evaluation.results
    symbol = next((name for name in names if name in results), None)
    if column != "e" or symbol is None:
        return Text()
    if names == ("y",):
        mark = glyphs.good if result.verdict is Verdict.OK else glyphs.bad
        return Text(f"{glyphs.number(results[symbol][0])} {mark}", VERDICT_STYLES[result.verdict])
    finding = next((f for f in result.findings if f.symbol == symbol), None)
    return _result_cell(result, symbol, 0, finding, glyphs)
