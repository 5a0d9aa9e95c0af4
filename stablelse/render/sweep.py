"""A survival map on the screen: a chart with a row per method, or the list of all intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil

from rich.text import Text

from stablelse.analysis.results import DIGIT, VERDICTS, Verdict
from stablelse.analysis.sweep import Motion, Segment, Sweep
from stablelse.render.axis import Stretch, present, stretches, ticks
from stablelse.render.layout import hanging, named_grid, picture
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import number_text, place_text
from stablelse.render.words import FUNCTION_NAMES, VERDICT_WORDS, method_name, ulps_number

#: What the marks of a map mean.
LEGEND = VERDICT_WORDS | {Verdict.RIGHT: f"right (at most {DIGIT} ulp off)"}

MOTIONS: dict[Motion, tuple[str, str]] = {
    Motion.OFFSET: ("moved", "x + t"),
    Motion.SCALE: ("stretched", "t x"),
}

_TITLE = "{function} of {n:,} {numbers}, {motion}: {moved} for t from {start} to {end}"
_NOTES = (
    "Results are compared with the exact ones for {moved} rounded to the format. Tried: {tried}."
)
_BETWEEN = " (results between may be worse)"
_LIST = " --intervals lists the intervals."
_ENDS = " Between two intervals the format has no number."
_LINE = "{method}, {format}: {verdict} from {first} to {last}, {tried}"

#: Of each verdict: its character, that of a screen without Unicode, and its style.
MARKS: dict[Verdict, tuple[str, str, str]] = {
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

_LEAST_WIDTH = 10


def by_method(sweep: Sweep) -> list[list[Segment]]:
    """Return the segments of each method in each format."""
    groups = groupby(sweep.segments, key=lambda s: (s.format, s.method, s.shift))
    return [list(segments) for _, segments in groups]


def sweep_title(sweep: Sweep, minus: str = "-") -> str:
    """Return where the numbers are from, what is computed, and of what."""
    motion, moved = MOTIONS[sweep.motion]
    title = _TITLE.format(
        function=FUNCTION_NAMES[sweep.function],
        n=sweep.n,
        numbers="number" if sweep.n == 1 else "numbers",
        motion=motion,
        moved=moved,
        start=number_text(sweep.start).replace("-", minus),
        end=number_text(sweep.end).replace("-", minus),
    )
    return ": ".join(filter(None, (place_text(sweep), title)))


def _verdict_text(segment: Segment) -> str:
    if segment.verdict is not Verdict.DIGITS_LOST:
        return VERDICT_WORDS[segment.verdict]
    return f"up to {ulps_number(segment.ulps or 0)} ulp off"


def _tried_text(segments: Sequence[Segment]) -> str:
    """Return how many t were tried in segments of one method."""
    if all(segment.every for segment in segments):
        return "every t tried"
    return f"{sum(segment.tried for segment in segments):,} points tried"


def sweep_lines(sweep: Sweep) -> Iterator[str]:
    """Yield a line per segment."""
    yield sweep_title(sweep)
    for segment in sweep.segments:
        text = _verdict_text(segment)
        yield _LINE.format(
            method=method_name(segment),
            format=segment.format,
            verdict=f"digits lost ({text})" if segment.verdict is Verdict.DIGITS_LOST else text,
            first=number_text(segment.first),
            last=number_text(segment.last),
            tried=_tried_text([segment]),
        )


@picture
def sweep_picture(sweep: Sweep, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a title, the chart or the list of intervals, and what was tried."""
    rows = by_method(sweep)
    yield hanging(sweep_title(sweep), width, indent=1, style="bold")
    if sweep.intervals:
        for name, group in groupby(rows, key=lambda row: row[0].format):
            of_format = list(group)
            tried = max((_tried_text(row) for row in of_format), key=len)
            yield Text.assemble((f" {name}", "bold"), (f"  {tried}", "dim"))
            yield from _intervals(of_format, width, glyphs)
    else:
        yield Text()
        yield from _chart(sweep, rows, width, glyphs)
    more = _ENDS if sweep.intervals else _LIST
    yield hanging(_notes(sweep, rows) + more, width, indent=1, style="dim")


def _chart(
    sweep: Sweep, rows: Sequence[Sequence[Segment]], width: int, glyphs: Glyphs
) -> Iterator[Text]:
    """Yield a row per method, the axis, and what the characters mean."""
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
        yield _line(head, _bar(bar, cells, glyphs))
    yield from _axis(sweep, cells, margin, glyphs)
    yield _legend(present(bars), width, glyphs)


def _intervals(rows: Sequence[Sequence[Segment]], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the intervals of the methods in one format, beside or below their names."""
    names = [f"  {method_name(s)} " if s is row[0] else "" for row in rows for s in row]
    cells: list[list[Text | str]] = []
    for segment in (segment for row in rows for segment in row):
        mark, style = _mark(segment.verdict, glyphs)
        first, last = glyphs.number(segment.first), glyphs.number(segment.last)
        verdict = Text(f"{mark} {_verdict_text(segment)}", style)
        cells.append([verdict, f" {first}", f"to {last}"])
    named = [[name, *row] for name, row in zip(names, cells, strict=True)]
    yield from named_grid(named, "llrl", width, gap=1)


def _notes(sweep: Sweep, rows: Sequence[Sequence[Segment]]) -> str:
    """Return what is compared with what, and how many t were tried in each format."""
    every, some = [], []
    for name, group in groupby(rows, key=lambda row: row[0].format):
        segments = next(group)
        if all(segment.every for segment in segments):
            every.append(name)
        else:
            some.append(f"{sum(segment.tried for segment in segments):,} of {name}")
    tried = [f"every t of {' and '.join(every)}"] if every else []
    text = ", ".join([*tried, *some]) + (_BETWEEN if some else "")
    return _NOTES.format(moved=MOTIONS[sweep.motion][1], tried=text)


def _line(*parts: Text) -> Text:
    return Text(no_wrap=True, overflow="ignore").append_text(Text().join(parts))


def _mark(verdict: Verdict, glyphs: Glyphs) -> tuple[str, str]:
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
    return legend.append_text(line)
