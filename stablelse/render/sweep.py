"""A survival map on the screen: a chart with a row per method, or the list of all intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import ceil, floor, log10
from sys import float_info
from typing import NamedTuple

import numpy as np
from rich.text import Text

from stablelse.analysis.results import DIGIT, VERDICTS, Verdict
from stablelse.analysis.sweep import Motion, Range, Segment, Sweep
from stablelse.numerics.formats import FORMATS
from stablelse.printable import counted
from stablelse.render.layout import hanging, named_grid, picture, plain_lines
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import number_text, place_text, rough_text
from stablelse.render.words import FUNCTION_NAMES, VERDICT_WORDS, method_name, ulps_number

#: The meaning of the marks in a map.
LEGEND = VERDICT_WORDS | {Verdict.RIGHT: f"right (at most {DIGIT} ulp off)"}

MOTIONS: dict[Motion, tuple[str, str]] = {
    Motion.OFFSET: ("moved", "x + t"),
    Motion.SCALE: ("stretched", "t x"),
}

_LIST = "--intervals lists the intervals."
_ENDS = "Between two intervals the format has no number."

#: For each verdict: its character, the one without Unicode, and its style.
MARKS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.RIGHT: ("━", "=", "green"),
    Verdict.DIGITS_LOST: ("▒", "~", "yellow"),
    Verdict.NO_DIGITS: ("░", "o", "red"),
    Verdict.UNDERFLOW: ("▼", "v", "red"),
    Verdict.OVERFLOW: ("▲", "^", "red"),
    Verdict.NAN: ("✗", "!", "red"),
    Verdict.DOES_NOT_FIT: ("·", ".", "dim"),
}

_LEAST_WIDTH = 10


def by_method(sweep: Sweep) -> list[list[Segment]]:
    """Return the segments of each method in each format."""
    groups = groupby(sweep.segments, key=lambda s: (s.format, s.method, s.shift))
    return [list(segments) for _, segments in groups]


def sweep_title(sweep: Sweep, minus: str = "-") -> str:
    """Return the source of the numbers, the function, and the numbers."""
    motion, moved = MOTIONS[sweep.motion]
    start, end = (number_text(end).replace("-", minus) for end in (sweep.start, sweep.end))
    numbers = f"{FUNCTION_NAMES[sweep.function]} of {counted(sweep.n, 'number')}"
    title = f"{numbers}, {motion}: {moved} for t from {start} to {end}"
    return ": ".join(filter(None, (place_text(sweep), title)))


def _verdict_text(segment: Segment) -> str:
    if segment.verdict is not Verdict.DIGITS_LOST:
        return VERDICT_WORDS[segment.verdict]
    return f"up to {ulps_number(segment.ulps or 0)} ulp off"


@picture
def sweep_picture(sweep: Sweep, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a title, the chart or the list of intervals, and what was tried."""
    rows = by_method(sweep)
    yield hanging(sweep_title(sweep), width, indent=1, style="bold")
    if sweep.intervals:
        for name, group in groupby(rows, key=lambda row: row[0].format):
            yield Text(f" {name}", "bold")
            yield from _intervals(list(group), width, glyphs)
    else:
        yield Text()
        yield from _chart(sweep, rows, width, glyphs)
    notes = f"{_notes(sweep, rows)} {_ENDS if sweep.intervals else _LIST}"
    yield hanging(notes, width, indent=1, style="dim")


def _chart(
    sweep: Sweep, rows: Sequence[Sequence[Segment]], width: int, glyphs: Glyphs
) -> Iterator[Text]:
    """Yield a row per method, the axis, and the legend."""
    names = max(len(row[0].format) for row in rows)
    margin = names + max(len(method_name(row[0])) for row in rows) + 5
    cells = max(_LEAST_WIDTH, width - margin - 1)
    bars = [stretches(row, sweep.range) for row in rows]
    above = ""
    for row, bar in zip(rows, bars, strict=True):
        name = "" if row[0].format == above else row[0].format
        above = row[0].format
        head = Text.assemble((f" {name:<{names}}", "bold"), f"  {method_name(row[0])}")
        head.pad_right(margin - head.cell_len)
        yield Text.assemble(head, _bar(bar, cells, glyphs), no_wrap=True, overflow="ignore")
    yield from _axis(sweep, cells, margin, glyphs)
    yield _legend(present(bars), width, glyphs)


def sweep_lines(sweep: Sweep) -> list[str]:
    """Return the intervals as plain text, since a screen reader cannot read a chart."""
    return plain_lines(sweep_picture(replace(sweep, intervals=True)))


def _intervals(rows: Sequence[Sequence[Segment]], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the intervals of the methods in one format, next to or below their names."""
    cells: list[list[Text | str]] = []
    for row in rows:
        for segment in row:
            name = f"  {method_name(segment)} " if segment is row[0] else ""
            symbol, style = mark(segment.verdict, glyphs)
            verdict = Text(f"{symbol} {_verdict_text(segment)}", style)
            first, last = glyphs.number(segment.first), glyphs.number(segment.last)
            cells.append([name, verdict, f" {first}", f"to {last}"])
    yield from named_grid(cells, "llrl", width, gap=1)


def _notes(sweep: Sweep, rows: Sequence[Sequence[Segment]]) -> str:
    """Return the notes: what is compared, and how many t were tried in each format."""
    tried = []
    for name, group in groupby(rows, key=lambda row: row[0].format):
        segments = next(group)
        is_every = all(segment.every for segment in segments)
        count = "every t" if is_every else f"{sum(segment.tried for segment in segments):,}"
        tried.append(f"{count} of {name}")
    is_sampled = not all(segment.every for segment in sweep.segments)
    between = " (results between may be worse)" * is_sampled
    right = f"the exact ones for {MOTIONS[sweep.motion][1]} rounded to the format"
    return f"Results are compared with {right}. Tried: {', '.join(tried)}{between}."


def mark(verdict: Verdict, glyphs: Glyphs) -> tuple[str, str]:
    """Return the symbol of a verdict in a chart, and its style."""
    unicode, ascii_only, style = MARKS[verdict]
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
        symbol, style = mark(VERDICTS[place], glyphs)
        bar.append(symbol * len(list(run)), style)
    return bar


def _axis(sweep: Sweep, cells: int, margin: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the axis, and below it the numbers at its ticks."""
    line, tick = ("-", "+") if glyphs is ASCII else ("─", "┬")
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
    """Return the legend, with as many entries on a line as fit."""
    marks = [mark(verdict, glyphs) for verdict in verdicts]
    entries = [
        f"{symbol * 2} {LEGEND[verdict]}".replace(" ", "\xa0")  # does not wrap
        for verdict, (symbol, _) in zip(verdicts, marks, strict=True)
    ]
    legend = Text(hanging("  ".join(entries), width, indent=1).plain.replace("\xa0", " "))
    for symbol, style in marks:
        legend.highlight_words([symbol * 2], style)
    return legend


class Stretch(NamedTuple):
    """Where a segment lies on the axis, from 0 to 1, and its verdict."""

    verdict: Verdict
    begin: float
    end: float


def stretches(segments: Sequence[Segment], range_: Range) -> list[Stretch]:
    """Return where the segments of one method lie, from one end of the axis to the other.

    A point between two neighbouring numbers of the format belongs to the nearer one, to which it
    would be rounded. Beyond the largest number, and below the smallest of a scale, the format has
    no t.
    """
    format_ = FORMATS[segments[0].format]
    largest = float(format_.largest)
    least = float(format_.smallest_subnormal) if range_.motion is Motion.SCALE else -largest
    firsts = range_.along(np.array([segment.first for segment in segments])).tolist()
    lasts = range_.along(np.array([segment.last for segment in segments])).tolist()
    begin = 0.0 if range_.start >= least else firsts[0]
    end = 1.0 if range_.end <= largest else lasts[-1]
    middles = [(last + first) / 2 for last, first in zip(lasts, firsts[1:], strict=False)]
    ends = pairwise([0.0, begin, *middles, end, 1.0])
    unfit = Verdict.DOES_NOT_FIT
    bar = [
        Stretch(verdict, *bounds)
        for verdict, bounds in zip(
            [unfit, *(s.verdict for s in segments), unfit], ends, strict=True
        )
        if verdict is not unfit or bounds[0] < bounds[1]
    ]
    groups = (list(group) for _, group in groupby(bar, key=lambda stretch: stretch.verdict))
    return [Stretch(group[0].verdict, group[0].begin, group[-1].end) for group in groups]


def present(rows: Iterable[Sequence[Stretch]]) -> list[Verdict]:
    """Return the verdicts that occur, from good to bad."""
    verdicts = {stretch.verdict for row in rows for stretch in row}
    return [verdict for verdict in Verdict if verdict in verdicts]


class Tick(NamedTuple):
    """A mark on the axis: where, from 0 to 1, and the number there."""

    place: float
    text: str


def ticks(range_: Range, width: int) -> list[Tick]:
    """Return as many ticks as fit on an axis; its width is in characters."""
    marks: list[Tick] = []
    for most in range(max(2, width // 6), 1, -1):
        numbers = _round_numbers(range_, most)
        places = range_.along(np.array(numbers)).clip(0, 1).tolist()
        marks = [Tick(at, _short_text(t)) for at, t in zip(places, numbers, strict=True)]
        # There are at least two blanks between the numbers of two ticks.
        if all(
            (len(one.text) + len(other.text)) / 2 + 2 <= width * (other.place - one.place)
            for one, other in pairwise(marks)
        ):
            return marks
    return marks[:1]


def _short_text(t: float) -> str:
    return min((s for s in (number_text(t), rough_text(t, 4)) if float(s) == t), key=len)


def _round_numbers(range_: Range, most: int) -> list[float]:
    """Return up to about `most` round numbers of the range: powers of ten for a scale, if any."""
    motion, start, end = range_
    if motion is Motion.SCALE:
        first, last = ceil(log10(start)), floor(log10(end))
        step = max(1, ceil((last - first) / most))
        if last > first:
            return [float(f"1e{e}") for e in range(ceil(first / step) * step, last + 1, step)]
    least = end / most - start / most
    if least < float_info.min:
        return [end]
    power = floor(log10(least))
    digit = next(k for k in (1, 2, 5, 10) if k * 10.0**power >= least * (1 - 1e-9))
    unit = digit * 10.0**power
    counts = range(ceil(start / unit - 1e-9), floor(end / unit + 1e-9) + 1)
    numbers = [float(f"{count * digit}e{power}") for count in counts]
    return [t for t in numbers if t > 0 or motion is Motion.OFFSET]
