"""The negative log-likelihood of labels, or its gradient: the methods side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from stablelse.analysis.likelihood import Summary
from stablelse.analysis.results import BROKEN, Comparison, MethodResult, Places, Total, Verdict
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import LossFunction
from stablelse.render.layout import VERDICT_STYLES, Column, Group, glyphs_for, hanging, stack
from stablelse.render.numbers import number_text
from stablelse.render.overview import left_out_text
from stablelse.render.wording import (
    ASCII,
    FUNCTION_NAMES,
    VERDICT_WORDS,
    Glyphs,
    exactness_text,
    method_name,
    naming,
    place_text,
    ulps_number,
    ulps_text,
)

#: Of a gradient of more elements, so many of the first are shown, and the label's.
_WHOLE, _HEAD = 20, 10


class LikelihoodPicture:
    """A row a vector, or the methods on the only one, for a console of any width and encoding.

    Parameters
    ----------
    likelihood : Summary
        What is shown.
    """

    def __init__(self, likelihood: Summary) -> None:
        self.likelihood = likelihood

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the table, and for each method what became of all vectors."""
        glyphs, width = glyphs_for(options), options.max_width
        found = self.likelihood
        yield _title(found, glyphs)
        if found.vectors == 1 and found.function is LossFunction.GRADIENT:
            yield from _elements(found.comparisons[0], glyphs, width)
        if found.vectors == 1:
            yield from _methods(found.comparisons[0], glyphs, width)
        elif found.comparisons:
            yield from _rows(found, glyphs, width)
            if found.left_out:
                yield hanging(left_out_text(found.left_out), width, indent=1, style="dim")
            yield from _entries(found, glyphs, width)
        if found.ignored:
            yield hanging(ignored_text(found.ignored), width, indent=1)
        yield Text()


def ignored_text(count: int) -> str:
    """Return what is said of vectors that were left out for their labels."""
    plural = "vector is" if count == 1 else "vectors are"
    return f"{count:,} {plural} left out, for the label says so"


def entry_text(entry: Total, glyphs: Glyphs) -> str:
    """Return in words what became of all vectors by one method."""
    counts = [
        (VERDICT_WORDS[Verdict.RIGHT], entry.right),
        (VERDICT_WORDS[Verdict.DIGITS_LOST], entry.digits_lost),
        ("broken", entry.broken),
    ]
    told = ", ".join(f"{word} {count:,}" for word, count in counts if count)
    if entry.method is Method.EXACT and not entry.broken:
        told = "correctly rounded"
    elif entry.worst is not None:
        told += f"; at most {ulps_text(entry.worst)}" + (" where finite" if entry.broken else "")
    kinds = [("nan", entry.nan), ("inf", entry.infinite)]
    for name, places in kinds:
        if places.occurrences:
            told += f"; {glyphs.number(float(name))} {_places_text(places, glyphs)}"
    return told


def _places_text(places: Places, glyphs: Glyphs) -> str:
    named = naming(places.first)
    names = [named(place) for place in places.first]
    if not names[0]:
        return "there"
    more = places.occurrences - len(names)
    if len(names) > 1 and all(name.startswith("row ") for name in names):
        names = ["rows " + names[0].removeprefix("row "), *(name[4:] for name in names[1:])]
    return f"in {', '.join(names)}" + (f" and {more:,} more" if more else "")


def _title(found: Summary, glyphs: Glyphs) -> Text:
    text = Text(" ")
    sources = {loss.source for loss in found.comparisons}
    if found.vectors == 1:
        place = place_text(found.comparisons[0])
    else:
        place = next(iter(sources)) or "" if len(sources) == 1 else ""
    if place:
        text.append(f"{place}: ")
    text.append(FUNCTION_NAMES[found.function], style="bold")
    if found.vectors == 1:
        (loss,) = found.comparisons
        symbol = ""
        if found.function is LossFunction.LOSS and loss.label is not None:
            symbol = f", {glyphs.minus}log p_{loss.label + 1},"
        text.append(f" of label {loss.label}{symbol} in ")
    else:
        text.append(f" of {found.vectors:,} labels in ")
    formats = dict.fromkeys(entry.format for entry in found.totals)
    text.append(", ".join(formats), style="bold")
    return text


def _methods(loss: Comparison, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Yield a row a method: its loss, its error, its verdict."""
    several = len({result.format for result in loss.results}) > 1
    names = [
        Text(f"{result.format} {method_name(result)}" if several else method_name(result))
        for result in loss.results
    ]
    columns = [
        Column("ulps off", [_ulps_cell(result.ulps, glyphs) for result in loss.results]),
        Column("", [_verdict_cell(result) for result in loss.results]),
    ]
    if loss.function is LossFunction.LOSS:
        columns.insert(0, Column("loss", [_cell(result, loss, glyphs) for result in loss.results]))
    yield from stack(Column("", names), [Group(columns)], frozenset(), width)


def _elements(loss: Comparison, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Yield the elements of a gradient, a column a method."""
    head = loss.n if loss.n <= _WHOLE else _HEAD
    shown = sorted({*range(head), loss.label})
    several = len({result.format for result in loss.results}) > 1
    labels = [
        Text(f"{index + 1:,}" + (" (label)" if index == loss.label else "")) for index in shown
    ]
    groups = [
        Group(
            [
                Column(
                    method_name(result),
                    [_number(result.value[index], glyphs) for index in shown],
                    result.format if several else "",
                )
            ]
        )
        for result in loss.results
    ]
    yield from stack(Column("i", labels), groups, frozenset(), width)
    if len(labels) < loss.n:
        yield Text(f" {loss.n - len(labels):,} elements more: --format csv gives all", "dim")


def _rows(found: Summary, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Yield a row a vector, and the reduced losses below."""
    named = naming(found.comparisons)
    reduced = found.reduction != "none"
    rows = [Text(named(loss)) for loss in found.comparisons]
    labels = [Text(str(loss.label)) for loss in found.comparisons]
    if reduced:
        rows.append(Text(found.reduction, "bold"))
        labels.append(Text())
    several = len({entry.format for entry in found.totals}) > 1
    groups = []
    beside = Column("label", labels)
    for place, entry in enumerate(found.totals):
        results = [(loss.results[place], loss) for loss in found.comparisons]
        cells = [_cell(result, loss, glyphs) for result, loss in results]
        ulps = [_ulps_cell(result.ulps, glyphs) for result, _ in results]
        if reduced:
            cells.append(_marked(entry.value, entry.verdict, entry.method, glyphs))
            ulps.append(_ulps_cell(entry.ulps, glyphs))
        name = method_name(entry)
        what = "loss" if found.function is LossFunction.LOSS else "at the label"
        columns = [Column(what, cells, f"{entry.format} {name}" if several else name)]
        if _is_formula(entry.method) and any(cell.plain for cell in ulps):
            columns.append(Column("ulps off", ulps))
        groups.append(Group(columns, beside))
    sections = frozenset({len(found.comparisons) - 1}) if reduced else frozenset()
    yield from stack(Column("", rows), groups, sections, width)


def _entries(found: Summary, glyphs: Glyphs, width: int) -> Iterator[Text]:
    several = len({entry.format for entry in found.totals}) > 1
    for entry in found.totals:
        name = f"{entry.format} {method_name(entry)}" if several else method_name(entry)
        verdict = Verdict.DIGITS_LOST if entry.digits_lost else Verdict.RIGHT
        if entry.broken:
            verdict = BROKEN[0]
        is_formula = _is_formula(entry.method) or verdict.is_broken
        mark = glyphs.mark(verdict)
        lead = f"{mark} " if is_formula else " " * (len(mark) + 1)
        text = hanging(f"{name}: {entry_text(entry, glyphs)}", width - len(lead), indent=0)
        style = VERDICT_STYLES[verdict] if is_formula else ""
        indented = str(text).replace("\n", "\n" + " " * (len(lead) + 1))
        yield Text(f" {lead}{indented}", style, no_wrap=True, overflow="ignore")


def _is_formula(method: Method) -> bool:
    """Whether it is a textbook's line, whose errors are shown vector by vector."""
    return method is not Method.EXACT


def _cell(result: MethodResult, loss: Comparison, glyphs: Glyphs) -> Text:
    value = result.value[loss.label] if np.ndim(result.value) else result.value
    return _marked(value, result.verdict, result.method, glyphs)


def _marked(value: Any, verdict: Verdict | None, method: Method, glyphs: Glyphs) -> Text:
    if verdict is None or not (_is_formula(method) or verdict.is_broken):
        return _number(value, glyphs)
    mark = glyphs.mark(verdict)
    style = "" if verdict is Verdict.RIGHT else VERDICT_STYLES[verdict]
    return Text(f"{glyphs.number(value)} {mark}", style)


def _number(value: Any, glyphs: Glyphs) -> Text:
    return Text(glyphs.number(value), "" if np.isfinite(value) else "red")


def _ulps_cell(ulps: float | None, glyphs: Glyphs) -> Text:
    if ulps is None:
        return Text()
    return Text(glyphs.infinity if np.isinf(ulps) else ulps_number(ulps))


def _verdict_cell(result: MethodResult) -> Text:
    if result.method is Method.EXACT:
        style = VERDICT_STYLES[result.verdict] if result.verdict.is_broken else ""
        return Text(exactness_text(result), style)
    return Text(VERDICT_WORDS[result.verdict], VERDICT_STYLES[result.verdict])


def total_lines(found: Summary) -> Iterator[str]:
    """Yield a line per method on all vectors together, if there are several."""
    for entry in found.totals if found.vectors > 1 else ():
        value = "" if entry.value is None else f"{found.reduction} {number_text(entry.value)}, "
        name = f"{method_name(entry)}, {entry.format}"
        yield f"all {found.vectors:,}, {name}: {value}{entry_text(entry, ASCII)}"
    if found.ignored:
        yield ignored_text(found.ignored)
