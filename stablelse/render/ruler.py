"""Where e^x fits a format: the ruler with the window and the exponents, and the table of limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np
from rich.text import Text

from stablelse.analysis.results import Comparison, Limits, MethodResult
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.render.layout import grid, hanging, picture
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import bound_text
from stablelse.render.words import ABOUT_LIMITS

#: The characters for points, for the line inside and outside the window, for the window's ends, for
#: infinities, and for the selected point.
_SIGNS = {False: tuple("●━╌┤├◀▶◆"), True: tuple("o=-][<>@")}

#: Up to this length, coinciding points are drawn side by side.
_SHORT = 12

_OUTSIDE, _WINDOW, _HARMLESS = "red", "green", "yellow"


#: The columns left of the ruler if there is one shift, and the widest ruler with them.
GUTTER, _WIDEST = 8, 100


class RulerAxis:
    """From left to right: where e^x is 0, where it fits, where it overflows."""

    def __init__(self, format_: Format, room: int, gutter: int = GUTTER) -> None:
        self.low, self.high = float(format_.underflow_threshold), float(format_.overflow_threshold)
        self.span = self.high - self.low
        self.width = width = min(room, _WIDEST) - gutter - 1
        self.side = side = width // 5
        self.right = right = width - side  # the first cell beyond the window's right end
        # Each end of the window has a cell, and the ends of the axis are for infinities.
        self.zones = range(1, side - 1), range(side, right), range(right + 1, width - 1)

    def place(self, x: Array) -> tuple[Array, Array]:
        """Return the index of each point's zone, and its cell.

        Cells are evenly spaced in the window; beyond it they get denser.
        """
        zone = np.where(x < self.low, 0, np.where(x > self.high, 2, 1))
        near = 1 / (1 + np.maximum(self.low - x, x - self.high) / self.span)
        share = np.choose(zone, [near, (x - self.low) / self.span, 1 - near])
        start = np.array([cells[0] for cells in self.zones])[zone]
        size = np.array([len(cells) for cells in self.zones])[zone]
        return zone, start + np.minimum((share * size).astype(int), size - 1)

    def nearest(self, numbers: Sequence[float], cell: int) -> int:
        """Return which number is drawn nearest to a cell; the first if none is drawn."""
        x = np.array(numbers)
        known = np.flatnonzero(~np.isnan(x))
        far = np.abs(self.place(x[known])[1] - cell)
        return int(known[np.argmin(far)]) if len(known) else 0

    def number(self, cell: int) -> float:
        """Return the number in the middle of a cell: the inverse of `place`."""
        part = (cell >= self.side) + (cell >= self.right)
        zone = self.zones[part]
        share = (min(max(cell, zone[0]), zone[-1]) - zone[0] + 0.5) / len(zone)
        if part == 0:
            return self.low - self.span * (1 / share - 1)
        return self.low + self.span * (share if part == 1 else 1 / (1 - share))


def ruler(
    comparison: Comparison,
    formulas: Sequence[MethodResult],
    glyphs: Glyphs,
    width: int,
    selected: int | None = None,
) -> Iterator[Text]:
    """Yield a line with the window's ends, and a line for x and for each x - a.

    Coinciding points of a short vector are drawn side by side.
    """
    format_ = FORMATS[formulas[0].format]
    ends = np.array([comparison.minimum, comparison.maximum])
    x = format_.round(comparison.x if comparison.elements else ends)
    shifted = {result.shift: result for result in formulas if result.shift is not None}
    naive = next((result for result in formulas if result.shift is None), None)
    lines = [("x", _minus(x, 0), naive)]
    for shift, result in shifted.items():
        name = f"x {glyphs.minus} {'a' if len(shifted) == 1 else shift}"
        lines.append((name, _minus(x, float(result.a)), result))
    gutter = max(len(name) for name, *_ in lines) + 3
    axis = RulerAxis(format_, width, gutter)
    yield Text(" " * gutter) + _heading(axis, format_, glyphs)
    for name, points, drawn in lines:
        is_harm = drawn is None or any(f.symbol == "e" and not f.harmless for f in drawn.findings)
        zero = _OUTSIDE if is_harm else _HARMLESS
        cells = _drawn(axis, points, zero, glyphs, comparison.n <= _SHORT, selected)
        yield Text(f" {name:<{gutter - 1}}", "bold") + cells


def _heading(axis: RulerAxis, format_: Format, glyphs: Glyphs) -> Text:
    beyond = glyphs.infinity if format_.has_infinity else "NaN"
    window = axis.width - 2 * axis.side
    low, high = bound_text(axis.low), bound_text(axis.high)
    if len(low) + len(high) >= window:  # they would look like one number
        low, high = bound_text(axis.low, 3), bound_text(axis.high, 3)
    middle = _fitting(window - len(low) - len(high), f"e^x fits {format_.name}", "e^x fits", "")
    return Text.assemble(
        (_fitting(axis.side, "e^x is 0", "0").center(axis.side), _OUTSIDE),
        low + middle.center(window - len(low) - len(high)) + high,
        (_fitting(axis.side, f"e^x is {beyond}", beyond).center(axis.side).rstrip(), _OUTSIDE),
    )


def _fitting(room: int, *texts: str) -> str:
    """Return the first text that fits with a blank on either side, or else the last."""
    return next((text for text in texts if len(text) + 2 <= room), texts[-1])


def _drawn(
    axis: RulerAxis, points: Array, zero: str, glyphs: Glyphs, spread: bool, selected: int | None
) -> Text:
    point, inside, outside, left, right, first, last, chosen = _SIGNS[glyphs is ASCII]
    cells = [(outside, _OUTSIDE)] * axis.width
    cells[axis.side : axis.right] = [(inside, _WINDOW)] * (axis.right - axis.side)
    cells[axis.side - 1], cells[axis.right] = (left, "bold"), (right, "bold")
    if (points == -inf).any():
        cells[0] = (first, "bold")
    if (points == inf).any():
        cells[-1] = (last, "bold red")
    order = np.argsort(points, kind="stable")
    order = order[np.isfinite(points[order])]
    zones, places = axis.place(points[order])
    if not spread:  # one point a cell is enough
        seen = np.unique(places, return_index=True)[1]
        seen = np.union1d(seen, np.flatnonzero(order == selected))
        order, zones, places = order[seen], zones[seen], places[seen]
    taken: set[int] = set()
    for index, zone, cell in zip(order.tolist(), zones.tolist(), places.tolist(), strict=True):
        if spread:
            free = [(abs(other - cell), other) for other in axis.zones[zone] if other not in taken]
            cell = min(free, default=(0, cell))[1]
        taken.add(cell)
        style = (zero, "", _OUTSIDE)[zone]
        if index == selected:
            cells[cell] = (chosen, f"bold {style}")
        elif cells[cell][0] != chosen:
            cells[cell] = (point, f"bold {style}")
    return Text.assemble(*cells)


def _minus(x: Array, a: float) -> Array:
    # A longdouble beyond float64 lies outside the ruler; inf - inf has no place on it.
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(float) - a


@picture
def limits_picture(limits: Limits, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a title, a row per format, and notes."""
    above = ["", "", "largest", "e^x fits", "loses digits", "e^x > 0"]
    below = ["format", "u", "number", "up to", "below", "down to"]
    rows: list[list[Text | str]] = [
        [Text(text, "bold") for text in line] for line in (above, below)
    ]
    for row in limits.formats:
        thresholds = (row.overflow_threshold, row.subnormal_threshold, row.underflow_threshold)
        u, largest = f"2^-{row.significand_bits}", bound_text(row.largest, 7)
        rows.append([Text(row.format, "bold"), u, largest, *map(bound_text, thresholds)])
    yield hanging("where e^x leaves the floating-point formats", width, 1, "bold")
    yield Text()
    yield from grid(rows, "lrrrrr")
    yield Text()
    for row in limits.formats:
        if not row.has_infinity:
            yield hanging(f"{row.format} has no infinity: larger numbers become NaN", width, 1)
    yield hanging(ABOUT_LIMITS, width, indent=1, style="dim")
    yield Text()
