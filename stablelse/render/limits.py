"""The limits of the formats, as a table and as plain lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.limits import FormatLimits, Limits
from stablelse.render.layout import grid, hanging
from stablelse.render.numbers import bound_text

_ABOUT = (
    "u is the unit roundoff, the largest relative error of one rounding. Numbers are cut to a few "
    "digits, thresholds on the safe side; --json has every digit."
)


class LimitsPicture:
    """A row a format, for a console of any encoding."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the table, and notes."""
        rows = self.limits.formats
        above = ["", "", "largest", "e^x fits", "loses digits", "e^x > 0"]
        below = ["format", "u", "number", "up to", "below", "down to"]
        heads: list[list[Text | str]] = [
            [Text(text, "bold") for text in line] for line in (above, below)
        ]
        yield Text.assemble(" where e^x leaves the ", ("floating-point formats", "bold"))
        yield Text()
        heads += [[Text(row.format, "bold"), *_cells(row)] for row in rows]
        yield from grid(heads, "lrrrrr")
        yield Text()
        for row in rows:
            if not row.has_infinity:
                yield Text(f" {row.format} has no infinity: what is too large becomes NaN")
        yield hanging(_ABOUT, options.max_width, indent=1, style="dim")
        yield Text()


def _cells(row: FormatLimits) -> tuple[str, ...]:
    thresholds = (row.overflow_threshold, row.subnormal_threshold, row.underflow_threshold)
    return (f"2^-{row.significand_bits}", bound_text(row.largest, 7), *map(bound_text, thresholds))


def limits_lines(limits: Limits) -> Iterator[str]:
    """Yield a plain line per format."""
    for row in limits.formats:
        u, largest, finite, subnormal, positive = _cells(row)
        yield (
            f"{row.format}: u {u}, largest number {largest}, e^x is finite up to {finite}, "
            f"loses digits below {subnormal}, is positive down to {positive}"
        )
