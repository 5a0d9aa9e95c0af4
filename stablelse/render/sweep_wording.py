"""The words for a survival map, on the screen, in plain lines and in a figure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from stablelse.analysis.findings import DIGIT
from stablelse.analysis.survival import Motion, Segment, State, Sweep
from stablelse.render.numbers import number_text
from stablelse.render.wording import FUNCTION_NAMES, Glyphs, method_name, place_text, ulps_number

STATE_NAMES: dict[State, str] = {
    State.RIGHT: f"right (less than {DIGIT} ulp off)",
    State.DIGITS_LOST: "digits lost",
    State.UNDERFLOW: "underflow",
    State.OVERFLOW: "overflow",
    State.NAN: "NaN",
    State.OUT_OF_RANGE: "beyond the format",
}

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


def state_text(segment: Segment) -> str:
    """Return the state in a word or two, with the error where digits are lost."""
    if segment.state is State.DIGITS_LOST:
        assert segment.ulps is not None, "the error of a finite result is known"
        return f"up to {ulps_number(segment.ulps)} ulp off"
    return STATE_NAMES[segment.state].partition(" (")[0]


def what_is_computed(sweep: Sweep) -> str:
    """Return what is computed of x and t, and held against what."""
    moved = moved_text(sweep)
    return (
        f"x and t are rounded to the format, then {moved} is; right is what is less than {DIGIT} "
        "ulp off the exact result for that. Between the end of a stretch and the beginning of the "
        "next one the format has no number."
    )


def sweep_lines(sweep: Sweep) -> Iterator[str]:
    """Yield a line per segment."""
    source, function, of = sweep_title(sweep)
    yield f"{source}{function}{of}"
    for segment in sweep.segments:
        lost = segment.state is State.DIGITS_LOST
        state = f"digits lost ({state_text(segment)})" if lost else state_text(segment)
        name = f"{method_name(segment)}, {segment.format}"
        yield f"{name}: {state} from {number_text(segment.first)} to {number_text(segment.last)}"


def ends_text(segment: Segment, glyphs: Glyphs) -> tuple[str, str]:
    """Return the first and the last t of a segment, to be read back."""
    return glyphs.number(segment.first), glyphs.number(segment.last)
