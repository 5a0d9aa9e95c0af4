"""The columns of a comparison: what every method made of each element, and of the vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from stablelse.analysis.results import (
    BROKEN,
    HEAD,
    TAIL,
    Comparison,
    Finding,
    MethodResult,
    Verdict,
)
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render.layout import Column, Group, stack
from stablelse.render.wording import Glyphs, shift_text, struck_text, symbol_text

#: A vector of up to this many elements is shown whole.
_WHOLE = 20

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.RIGHT: "bold green",
    Verdict.DIGITS_LOST: "bold yellow",
    **dict.fromkeys(BROKEN, "bold red"),
}
_HARMFUL, _HARMLESS = "bold red", "yellow"

#: The results that the vector has one of, row by row below the elements: a method shows
#: the first of the symbols that its formula has.
_SCALAR_ROWS: dict[Function | LossFunction, tuple[tuple[str, ...], ...]] = {
    Function.LOGSUMEXP: (("s",), ("l", "y"), ("a",), ("y",)),
    Function.SOFTMAX: (("s",), ("l",), ("y",)),
    Function.LOG_SOFTMAX: (("s",), ("l",)),
}


def tables(
    comparison: Comparison, by_format: Sequence[Sequence[MethodResult]], glyphs: Glyphs, width: int
) -> Iterator[RenderableType]:
    """Yield the columns of every method in every format, side by side as far as they fit."""
    evaluated = [result for results in by_format for result in results if result.evaluation]
    shown = shown_elements(comparison, evaluated)
    rows = _scalar_rows(comparison.function, evaluated)
    labels = [_label(comparison, index, glyphs) for index in shown]
    namesake = (evaluated or by_format[-1])[-1]
    labels += [Text(symbol_text(namesake, names[0], glyphs), "bold") for names in rows]
    groups: list[Group] = []
    for results in by_format:
        above = results[0].format if len(by_format) > 1 else ""
        x = None
        if shown:
            x = Column("x", _x_cells(comparison, results[0], shown, len(rows), glyphs), above)
        for result in results:
            if result.evaluation and not shown:  # of a stream, which keeps no elements
                below = [_scalar_cell(result, "e", names, glyphs) for names in rows]
                groups.append(Group([Column(result.method.value, below, above)]))
            elif result.evaluation:
                groups.append(Group(_method_columns(result, shown, rows, glyphs), x))
            elif comparison.function is not Function.LOGSUMEXP:
                groups.append(Group([_library_column(result, shown, rows, glyphs)], x))
    sections = {len(shown) - 1} if shown else set()
    if comparison.function is Function.LOGSUMEXP:
        sections.add(len(shown) + len(rows) - 2)
    if groups:
        yield from stack(Column("i" if shown else "", labels), groups, frozenset(sections), width)


def _scalar_rows(
    function: Function | LossFunction, evaluated: Sequence[MethodResult]
) -> Sequence[tuple[str, ...]]:
    """Return the rows below the elements in which anything stands."""
    having = {op.symbol for r in evaluated if r.evaluation for op in r.evaluation.operations}
    if function is Function.SOFTMAX:
        having.add("s")  # the total of the probabilities
    return [names for names in _SCALAR_ROWS[function] if having.intersection(names)]


def _label(comparison: Comparison, index: int | None, glyphs: Glyphs) -> Text:
    if index is None:
        return Text(glyphs.ellipsis, "dim")
    return Text(f"{int(comparison.elements[index]) + 1:,}")


def _library_column(
    result: MethodResult,
    shown: Sequence[int | None],
    rows: Sequence[tuple[str, ...]],
    glyphs: Glyphs,
) -> Column:
    cells = [Text() if index is None else _cell(result.value[index], glyphs) for index in shown]
    header = "p" if result.total is not None else "log p"
    total = Text() if result.total is None else _cell(result.total, glyphs)
    below = [total if names == ("s",) else Text() for names in rows]
    return Column(header, cells + below, above=result.method.value)


def shown_elements(comparison: Comparison, results: Sequence[MethodResult]) -> list[int | None]:
    """Choose the elements to show, ``None`` where some are left out between them.

    All of a short vector; of a long one its head, its tail, its extremes, and of every kind
    of finding the first element. What holds some elements alone shows those.
    """
    if not comparison.is_whole:
        jumps = np.flatnonzero(np.diff(comparison.elements) > 1) + 1
        parts = np.split(np.arange(len(comparison.elements)), jumps)
        return [*parts[0].tolist(), *(i for part in parts[1:] for i in (None, *part.tolist()))]
    n = comparison.n
    if n <= _WHOLE:
        return list(range(n))
    chosen = {*range(HEAD), *range(n - TAIL, n)}
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
    if result.evaluation is not None:
        cells = _element_cells(result, "x", shown, glyphs)
    else:
        x = FORMATS[result.format].round(comparison.x)
        cells = [Text() if index is None else _cell(x[index], glyphs) for index in shown]
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
    if symbol == result.evaluation.operations[-1].symbol and names == ("y",):
        mark = glyphs.mark(result.verdict)
        return Text(f"{glyphs.number(results[symbol][0])} {mark}", VERDICT_STYLES[result.verdict])
    finding = next((f for f in result.findings if f.symbol == symbol), None)
    return _result_cell(result, symbol, 0, finding, glyphs)
