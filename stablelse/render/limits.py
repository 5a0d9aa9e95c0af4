"""The table of the formats' limits."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.limits import FormatLimits, Limits
from stablelse.render.layout import Column, Group, stack
from stablelse.render.numbers import exact_text

#: Each column: its header, in two lines at most, and the text of a format's cell.
_COLUMNS: tuple[tuple[str, str, Callable[[FormatLimits], str]], ...] = (
    ("", "u", lambda row: f"2^-{row.significand_bits}"),
    ("largest", "finite", lambda row: exact_text(row.largest)),
    ("largest x with", "e^x finite", lambda row: exact_text(row.overflow_threshold)),
    ("smallest x with", "e^x > 0", lambda row: exact_text(row.underflow_threshold)),
    ("e^x loses digits", "below", lambda row: f"{row.subnormal_threshold:.3f}"),
)


class LimitsPicture:
    """A row a format, for a console of any width and encoding.

    Parameters
    ----------
    limits : Limits
        What is shown.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the table, and a note on formats without infinity."""
        rows = self.limits.formats
        yield Text.assemble(" where exp leaves the ", ("floating-point formats", "bold"))
        names = Column("format", [Text(row.format, "bold") for row in rows])
        columns = [
            Group([Column(header, [Text(cell(row)) for row in rows], above=above)])
            for above, header, cell in _COLUMNS
        ]
        yield from stack(names, columns, frozenset(), options.max_width)
        for row in rows:
            if not row.has_infinity:
                yield Text(f" {row.format} has no infinity: overflow gives NaN")
        yield Text(" u is the unit roundoff, the largest relative error of one rounding")
        yield Text()
