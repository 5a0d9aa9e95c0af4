"""The words for a survival map, on the screen, in plain lines and in a figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from stablelse.analysis.results import DIGIT, Verdict
from stablelse.analysis.sweep import Motion, Segment, Sweep
from stablelse.render.numbers import number_text
from stablelse.render.wording import (
    FUNCTION_NAMES,
    VERDICT_WORDS,
    Glyphs,
    method_name,
    place_text,
    ulps_number,
)

#: What the marks of a map mean.
LEGEND = VERDICT_WORDS | {Verdict.RIGHT: f"right (at most {DIGIT} ulp off)"}

_MOTION_WORDS: dict[Motion, tuple[str, str]] = {
    Motion.OFFSET: ("moved", "x + t"),
    Motion.SCALE: ("stretched", "t x"),
}


def by_method(sweep: Sweep) -> list[list[Segment]]:
    """Return the segments of each method in each format."""
    groups = groupby(sweep.segments, key=lambda s: (s.format, s.method, s.shift))
    return [list(segments) for _, segments in groups]


def sweep_title(sweep: Sweep) -> tuple[str, str, str]:
    """Return where the numbers are from, what is computed, and of what."""
    place = place_text(sweep)
    plural = "number" if sweep.n == 1 else "numbers"
    word, _ = _MOTION_WORDS[sweep.motion]
    start, end = (number_text(t) for t in (sweep.start, sweep.end))
    return (
        f"{place}: " if place else "",
        FUNCTION_NAMES[sweep.function],
        f" of {sweep.n:,} {plural}, {word}: {moved_text(sweep)} for t from {start} to {end}",
    )


def moved_text(sweep: Sweep) -> str:
    """Return what x becomes, as a formula."""
    return _MOTION_WORDS[sweep.motion][1]


def verdict_text(segment: Segment) -> str:
    """Return the verdict in a word or two, with the error where digits are lost."""
    if segment.verdict is Verdict.DIGITS_LOST:
        assert segment.ulps is not None, "the error of a finite result is known"
        return f"up to {ulps_number(segment.ulps)} ulp off"
    return VERDICT_WORDS[segment.verdict]


def extent_text(segments: Sequence[Segment]) -> str:
    """Return how many t were tried in segments of one format: all, or so many."""
    if all(segment.every for segment in segments):
        return "every t tried"
    of_method: dict[str, int] = {}
    for segment in segments:
        name = method_name(segment)
        of_method[name] = of_method.get(name, 0) + segment.tried
    return f"{max(of_method.values()):,} points tried"


def what_is_computed(sweep: Sweep) -> str:
    """Return what is computed of x and t, and held against what."""
    moved = moved_text(sweep)
    return (
        f"x and t are rounded to the format, then {moved} is; right is what is at most {DIGIT} ulp "
        "off the exact result for that. Between the end of a stretch and the beginning of the "
        "next one the format has no number. Where not every t was tried, a worse result may lie "
        "between the points."
    )


def sweep_lines(sweep: Sweep) -> Iterator[str]:
    """Yield a line per segment."""
    source, function, of = sweep_title(sweep)
    yield f"{source}{function}{of}"
    for segment in sweep.segments:
        lost = segment.verdict is Verdict.DIGITS_LOST
        told = f"digits lost ({verdict_text(segment)})" if lost else verdict_text(segment)
        name = f"{method_name(segment)}, {segment.format}"
        ends = f"from {number_text(segment.first)} to {number_text(segment.last)}"
        yield f"{name}: {told} {ends}, {extent_text([segment])}"


def ends_text(segment: Segment, glyphs: Glyphs) -> tuple[str, str]:
    """Return the first and the last t of a segment, to be read back."""
    return glyphs.number(segment.first), glyphs.number(segment.last)
