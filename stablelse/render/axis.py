"""The axis of a chart: where each stretch of t lies on it, and its ticks with their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from math import ceil, floor, log10
from sys import float_info
from typing import NamedTuple

import numpy as np

from stablelse.analysis.results import Verdict
from stablelse.analysis.sweep import Motion, Range, Segment
from stablelse.numerics.formats import FORMATS, context
from stablelse.render.numbers import number_text, rough_text


class Stretch(NamedTuple):
    """Where a segment lies on the axis, from 0 to 1, and its verdict."""

    verdict: Verdict
    begin: float
    end: float


def stretches(segments: Sequence[Segment], range_: Range) -> list[Stretch]:
    """Return where the segments of one method lie, from one end of the axis to the other.

    What lies between two neighbouring numbers of the format belongs to the nearer one, for that
    is what it would be rounded to. Beyond the largest number, and below the smallest of a scale,
    no t is one of the format.
    """
    format_ = FORMATS[segments[0].format]
    largest = float(format_.largest)
    least = float(format_.smallest_subnormal) if range_.motion is Motion.SCALE else -largest
    firsts = range_.along(np.array([segment.first for segment in segments])).tolist()
    lasts = range_.along(np.array([segment.last for segment in segments])).tolist()
    begin = 0.0 if range_.start >= least else firsts[0]
    end = 1.0 if range_.end <= largest else lasts[-1]
    middles = [(last + first) / 2 for last, first in zip(lasts, firsts[1:], strict=False)]
    bar = [
        Stretch(segment.verdict, *bound)
        for segment, bound in zip(segments, pairwise([begin, *middles, end]), strict=True)
    ]
    if begin > 0:
        bar.insert(0, Stretch(Verdict.DOES_NOT_FIT, 0.0, begin))
    if end < 1:
        bar.append(Stretch(Verdict.DOES_NOT_FIT, end, 1.0))
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
    """Return as many ticks as fit on an axis, whose width is in characters."""
    marks: list[Tick] = []
    for most in range(max(2, width // 6), 1, -1):
        marks = _ticks_at(range_, _round_numbers(range_, most))
        if all(_apart(one, other) <= width for one, other in pairwise(marks)):
            return marks
    return marks[:1]


def _apart(one: Tick, other: Tick) -> float:
    """Return how wide the axis must be for two blanks between the numbers of two ticks."""
    return ((len(one.text) + len(other.text)) / 2 + 2) / (other.place - one.place)


def _round_numbers(range_: Range, most: int) -> list[tuple[float, str]]:
    """Return about so many round numbers of the range, with their texts."""
    if range_.motion is Motion.SCALE:
        marks = _powers(range_, most)
        if len(marks) > 1:
            return marks
    least = range_.end / most - range_.start / most
    if least < float_info.min:
        return [(range_.end, number_text(range_.end))]
    power = floor(log10(least))
    step = next(k for k in (*_SERIES, 10) if k * 10.0**power >= least * (1 - 1e-9))
    unit = step * 10.0**power
    counts = range(ceil(range_.start / unit - 1e-9), floor(range_.end / unit + 1e-9) + 1)
    return [(count * unit, _decimal(count * step, power)) for count in counts]


def _powers(range_: Range, most: int) -> list[tuple[float, str]]:
    """Return powers of ten, and numbers between them if there is room."""
    first, last = ceil(log10(range_.start)), floor(log10(range_.end))
    if last - first >= _DECADES:
        step = max(1, ceil((last - first) / most))
        powers = [float(f"1e{e}") for e in range(ceil(first / step) * step, last + 1, step)]
        return [(power, rough_text(power, 4)) for power in powers]
    series = [(k * 10.0**e, _decimal(k, e)) for e in range(first - 1, last + 1) for k in _SERIES]
    within = [entry for entry in series if range_.start <= entry[0] <= range_.end]
    return within if 2 < len(within) <= most else []


#: A logarithmic axis of fewer powers of ten has ticks at other round numbers.
_DECADES = 2

#: Numbers about evenly spaced on a logarithmic axis.
_SERIES = (1, 2, 5)


def _decimal(digits: int, power: int) -> str:
    """Return digits times a power of ten: in full, if that is not long."""
    from decimal import Decimal

    exact = context(40)
    number = exact.normalize(exact.scaleb(Decimal(digits), power))
    if not number:
        return "0"
    return f"{number:f}" if -5 < number.adjusted() < 7 else f"{number:g}".replace("e+", "e")


def _ticks_at(range_: Range, numbers: Sequence[tuple[float, str]]) -> list[Tick]:
    within = [(t, text) for t, text in numbers if t > 0 or range_.motion is Motion.OFFSET]
    places = range_.along(np.array([t for t, _ in within])).clip(0, 1).tolist()
    return [Tick(place, text) for place, (_, text) in zip(places, within, strict=True)]
