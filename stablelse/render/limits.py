"""The limits of the formats: where e^x leaves them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from stablelse.analysis.limits import Limits
from stablelse.render.layout import grid, hanging, picture
from stablelse.render.notation import Glyphs
from stablelse.render.numbers import bound_text
from stablelse.render.words import ABOUT_LIMITS


@picture
def limits_picture(limits: Limits, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a title, a row a format, and notes."""
    above = ["", "", "largest", "e^x fits", "loses digits", "e^x > 0"]
    below = ["format", "u", "number", "up to", "below", "down to"]
    rows: list[list[Text | str]] = [
        [Text(text, "bold") for text in line] for line in (above, below)
    ]
    for row in limits.formats:
        thresholds = (row.overflow_threshold, row.subnormal_threshold, row.underflow_threshold)
        u, largest = f"2^-{row.significand_bits}", bound_text(row.largest, 7)
        rows.append([Text(row.format, "bold"), u, largest, *map(bound_text, thresholds)])
    yield Text.assemble(" where e^x leaves the ", ("floating-point formats", "bold"))
    yield Text()
    yield from grid(rows, "lrrrrr")
    yield Text()
    for row in limits.formats:
        if not row.has_infinity:
            yield Text(f" {row.format} has no infinity: what is too large becomes NaN")
    yield hanging(ABOUT_LIMITS, width, indent=1, style="dim")
    yield Text()
