"""Columns of numbers laid out so that no digit is ever cut: too wide, and they stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import ConsoleOptions
from rich.table import Table
from rich.text import Text

from stablelse.render.wording import ASCII, UNICODE, Glyphs

#: What a column of a table takes beside its text: a blank on either side and a rule.
_FRAME = 3


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    header : str
        What the column holds.
    cells : sequence of Text
        One a row.
    above : str
        A line above the header: what the columns from here on belong to, or a note.
    """

    header: str
    cells: Sequence[Text]
    above: str = ""

    @property
    def width(self) -> int:
        """The cells the column takes on the screen, its frame included."""
        heads = len(self.header), len(self.above)
        return max(*heads, *(cell.cell_len for cell in self.cells)) + _FRAME


def glyphs_for(options: ConsoleOptions) -> Glyphs:
    """Return the symbols that the console's encoding can show."""
    return ASCII if options.ascii_only else UNICODE


def stack(
    labels: Sequence[Column],
    groups: Sequence[Sequence[Column]],
    sections: frozenset[int],
    width: int,
) -> Iterator[Table]:
    """Lay groups of columns side by side, in as many tables as the width asks for.

    Parameters
    ----------
    labels : sequence of Column
        Begin every table; after the first table, all but the first label give way where there
        is no room for them.
    groups : sequence of sequences of Column
        Columns that belong together; a group is split only where it is too wide alone. The
        first must be at least one column.
    sections : frozenset of int
        The rows after which a rule is drawn.
    width : int
        The cells there are. A column that is too wide alone makes a table that is wider.
    """
    pending = list(_split(groups[0], width - _total(labels)))
    for group in groups[1:]:
        pending += _split(group, width - _total(labels[:1]))
    first = True
    while pending:
        part = pending.pop(0)
        begin = labels if first or _total([*labels, *part]) <= width else labels[:1]
        first = False
        columns = [*begin, *part]
        while pending and _total([*columns, *pending[0]]) <= width:
            columns.extend(pending.pop(0))
        yield _table(columns, sections)


def _split(group: Sequence[Column], width: int) -> list[Sequence[Column]]:
    if sum(column.width for column in group) <= width:
        return [group]
    return [[column] for column in group]


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + 1


def _table(columns: Sequence[Column], sections: frozenset[int]) -> Table:
    table = Table(box=box.ROUNDED, width=_total(columns), border_style="dim", header_style="bold")
    two_lines = any(column.above for column in columns)
    for column in columns:
        # A width of its own for every column: Rich would rather cut digits than run over.
        table.add_column(
            Text(f"{column.above}\n{column.header}" if two_lines else column.header),
            justify="right",
            no_wrap=True,
            width=column.width - _FRAME,
        )
    for index, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        table.add_row(*cells, end_section=index in sections)
    return table
