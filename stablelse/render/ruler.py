"""The ruler: where the exponents lie, and the window in which e^x fits the format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isnan
from typing import NamedTuple

from rich.text import Text

from stablelse.analysis.results import MethodResult
from stablelse.numerics.formats import Array, Format
from stablelse.render.numbers import bound_text
from stablelse.render.wording import Glyphs

#: The signs for points, for the line inside and outside the window, and for its ends.
_SIGNS = {False: tuple("●━╌┤├◀▶"), True: tuple("o=-][<>")}

_OUTSIDE, _WINDOW, _HARMLESS = "red", "green", "yellow"


class Line(NamedTuple):
    """Points on the ruler: their name, their places, and whether e^x = 0 is harmless."""

    label: str
    points: Sequence[float]
    zero_is_harmless: bool


class _Axis:
    """From left to right: where e^x is 0, where it fits, where it overflows."""

    def __init__(self, format_: Format, width: int) -> None:
        self.low, self.high = float(format_.underflow_threshold), float(format_.overflow_threshold)
        self.side = width // 5
        self.width = width
        self.right = width - self.side  # the first cell beyond the window's right end

    def zone(self, x: float) -> range:
        """Return the cells that a point may be drawn in; the window's ends have one each."""
        if x < self.low:
            return range(1, self.side - 1)  # the ends are for infinities
        if x > self.high:
            return range(self.right + 1, self.width - 1)
        return range(self.side, self.right)

    def cell(self, x: float) -> int:
        """Return the cell of a point: evenly spaced in the window, ever denser outside."""
        zone, span = self.zone(x), self.high - self.low
        if x < self.low:
            d = (self.low - x) / span
            share = 0.0 if d == inf else 1 / (1 + d)
        elif x > self.high:
            d = (x - self.high) / span
            share = 1.0 if d == inf else d / (1 + d)
        else:
            share = (x - self.low) / span
        return zone[min(int(share * len(zone)), len(zone) - 1)]


def ruler(
    lines: Sequence[Line], format_: Format, glyphs: Glyphs, width: int, spread: bool
) -> Iterator[Text]:
    """Yield a line with the window's ends, and a line for each set of points.

    Points that would cover each other are drawn side by side if they are to be spread.
    """
    gutter = max(len(line.label) for line in lines) + 3
    axis = _Axis(format_, min(width, 100) - gutter - 1)
    yield Text(" " * gutter) + _heading(axis, format_, glyphs)
    for line in lines:
        label = Text(f" {line.label:<{gutter - 1}}", "bold")
        yield label + _drawn(axis, line, _SIGNS[glyphs.infinity.isascii()], spread)


def _heading(axis: _Axis, format_: Format, glyphs: Glyphs) -> Text:
    beyond = glyphs.infinity if format_.has_infinity else "NaN"
    low, high = bound_text(axis.low), bound_text(axis.high)
    window = axis.width - 2 * axis.side
    middle = _fitting(window - len(low) - len(high), f"e^x fits {format_.name}", "e^x fits", "")
    return Text.assemble(
        (_fitting(axis.side, "e^x is 0", "0").center(axis.side), _OUTSIDE),
        low + middle.center(window - len(low) - len(high)) + high,
        (_fitting(axis.side, f"e^x is {beyond}", beyond).center(axis.side).rstrip(), _OUTSIDE),
    )


def _fitting(room: int, *texts: str) -> str:
    """Return the first of texts that has a blank on either side, or else the last."""
    return next((text for text in texts if len(text) + 2 <= room), texts[-1])


def _drawn(axis: _Axis, line: Line, signs: Sequence[str], spread: bool) -> Text:
    point, inside, outside, left, right, first, last = signs
    cells = [(outside, _OUTSIDE)] * axis.width
    cells[axis.side : axis.right] = [(inside, _WINDOW)] * (axis.right - axis.side)
    cells[axis.side - 1], cells[axis.right] = (left, "bold"), (right, "bold")
    taken: set[int] = set()
    for x in sorted(x for x in line.points if not isnan(x)):
        if abs(x) == inf:
            cells[-1 if x > 0 else 0] = (last, "bold red") if x > 0 else (first, "bold")
            continue
        cell, zone = axis.cell(x), axis.zone(x)
        if spread:
            free = [(abs(other - cell), other) for other in zone if other not in taken]
            cell = min(free, default=(0, cell))[1]
        taken.add(cell)
        harmless = line.zero_is_harmless and x < axis.low
        style = "" if cell in range(axis.side, axis.right) else _HARMLESS if harmless else _OUTSIDE
        cells[cell] = (point, f"bold {style}")
    return Text.assemble(*cells)


def exponents(result: MethodResult, x: Array) -> list[float]:
    """Return what e is raised to by a method: x, or x less the shift."""
    evaluation = result.evaluation
    if evaluation is not None and "d" in evaluation.results:
        return [float(d) for d in evaluation.results["d"]]
    shift = 0.0 if result.a is None else float(result.a)
    return [float(value) - shift for value in x]
