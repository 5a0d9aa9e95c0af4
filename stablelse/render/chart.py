"""The picture of a survival map: a chart with a row per method, and the stretches one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.sweep import Segment, Sweep
from stablelse.render.axis import Stretch, present, stretches, ticks
from stablelse.render.layout import glyphs_for
from stablelse.render.sweep_wording import (
    LEGEND,
    by_method,
    ends_text,
    extent_text,
    sweep_title,
    verdict_text,
    what_is_computed,
)
from stablelse.render.table import hanging
from stablelse.render.wording import ASCII, Glyphs, method_name

#: Of each verdict: its character, that of a screen without Unicode, and its style.
_MARKS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.RIGHT: ("━", "=", "green"),
    Verdict.DIGITS_LOST: ("▒", "~", "yellow"),
    Verdict.NO_DIGITS: ("░", "o", "red"),
    Verdict.UNDERFLOW: ("▼", "v", "red"),
    Verdict.OVERFLOW: ("▲", "^", "red"),
    Verdict.NAN: ("✗", "!", "red"),
    Verdict.DOES_NOT_FIT: ("·", ".", "dim"),
}

#: The axis: its line, and a tick on it.
_AXIS, _AXIS_ASCII = ("─", "┬"), ("-", "+")

#: No chart is narrower, and of a method no more stretches are told.
_LEAST_WIDTH, _MOST_STRETCHES = 10, 12


class SweepPicture:
    """A chart of the verdicts over t, for a console of any width and encoding.

    Parameters
    ----------
    sweep : Sweep
        What is shown.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the chart with its axis and legend, and the stretches."""
        glyphs, width = glyphs_for(options), options.max_width
        rows = by_method(self.sweep)
        source, function, of = sweep_title(self.sweep)
        yield hanging(f"{source}{function}{of}", width, indent=1, style="bold")
        margin = 5 + max(len(method_name(row[0])) for row in rows)
        cells = max(_LEAST_WIDTH, width - margin - 1)
        bars = [stretches(row, self.sweep.range) for row in rows]
        above = ""
        for row, bar in zip(rows, bars, strict=True):
            if row[0].format != above:
                above = row[0].format
                yield Text(f" {above}", "bold")
            label = Text(f"   {method_name(row[0]):<{margin - 3}}")
            yield _line(label, _bar(bar, cells, glyphs))
        yield from _axis(self.sweep, cells, margin, glyphs)
        yield _legend(present(bars), width, glyphs)
        yield from _listing(rows, width, glyphs)
        yield hanging(what_is_computed(self.sweep), width, indent=1, style="dim")
        yield Text()


def _line(*parts: Text) -> Text:
    return Text(no_wrap=True, overflow="ignore").append_text(Text().join(parts))


def _mark(verdict: Verdict, glyphs: Glyphs) -> tuple[str, str]:
    unicode, ascii_only, style = _MARKS[verdict]
    return (ascii_only if glyphs is ASCII else unicode), style


def _bar(row: Sequence[Stretch], cells: int, glyphs: Glyphs) -> Text:
    """Return a row of the chart: in each cell the worst of the verdicts it covers."""
    worst = [0] * cells
    for stretch in row:
        first = min(int(stretch.begin * cells), cells - 1)
        last = max(ceil(stretch.end * cells), first + 1)
        for cell in range(first, min(last, cells)):
            worst[cell] = max(worst[cell], VERDICTS.index(stretch.verdict))
    bar = Text()
    for place, run in groupby(worst):
        mark, style = _mark(VERDICTS[place], glyphs)
        bar.append(mark * len(list(run)), style)
    return bar


def _axis(sweep: Sweep, cells: int, margin: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the axis, and below it the numbers at its ticks."""
    line, tick = _AXIS_ASCII if glyphs is ASCII else _AXIS
    marks = [line] * cells
    numbers = " " * (margin + cells)
    for place, text in ticks(sweep.range, cells):
        at = min(int(place * cells), cells - 1)
        marks[at] = tick
        begin = min(max(margin + at - len(text) // 2, 0), margin + cells + 1 - len(text))
        end = begin + len(text)
        if numbers[max(begin - 1, 0) : end].isspace():
            numbers = f"{numbers[:begin]}{text}{numbers[end:]}"
    yield Text(f"{'t':>{margin - 1}} {''.join(marks)}", "dim", no_wrap=True, overflow="ignore")
    yield Text(numbers.rstrip(), "dim", no_wrap=True, overflow="ignore")


def _legend(verdicts: Sequence[Verdict], width: int, glyphs: Glyphs) -> Text:
    """Return what the characters mean, as many on a line as there is room for."""
    legend, line = Text(), Text()
    for verdict in verdicts:
        mark, style = _mark(verdict, glyphs)
        entry = Text.assemble("  " if line else " ", (mark * 2, style), f" {LEGEND[verdict]}")
        if line and line.cell_len + entry.cell_len > width:
            legend.append_text(line).append("\n")
            line, entry = Text(), Text.assemble(" ", entry[2:])
        line.append_text(entry)
    return legend.append_text(line).append("\n")


def _listing(rows: Sequence[Sequence[Segment]], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield for every method its stretches, a line each."""
    for name, group in groupby(rows, key=lambda row: row[0].format):
        of_format = list(group)
        labels = [method_name(row[0]) for row in of_format]
        margin = max(map(len, labels)) + 5
        shown = [segment for row in of_format for segment in row[:_MOST_STRETCHES]]
        words = max(len(verdict_text(segment)) for segment in shown)
        firsts, lasts = zip(*(ends_text(segment, glyphs) for segment in shown), strict=True)
        first, last = max(map(len, firsts)), max(map(len, lasts))
        beside = margin + words + first + last + len("xx   to ") <= width
        tried = extent_text([segment for row in of_format for segment in row])
        yield Text.assemble((f" {name}", "bold"), (f"  {tried}", "dim"))
        for label, row in zip(labels, of_format, strict=True):
            head = f"   {label}"
            if not beside:
                yield Text(head)
                head = ""
            for segment in row[:_MOST_STRETCHES]:
                begin, end = ends_text(segment, glyphs)
                mark, style = _mark(segment.verdict, glyphs)
                told = f" {verdict_text(segment):<{words}}"
                yield _line(
                    Text(f"{head:<{margin if beside else 5}}"),
                    Text(mark + told, style),
                    Text(f"  {begin:>{first}} to {end}"),
                )
                head = ""
            if len(row) > _MOST_STRETCHES:
                more = f"and {len(row) - _MOST_STRETCHES} more: --format csv has all of them"
                yield hanging(more, width, indent=margin if beside else 5, style="dim")
    yield Text()
