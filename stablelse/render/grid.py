"""Cells in aligned columns, without a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.text import Text


def grid(rows: Sequence[Sequence[Text | str]], justify: str = "", gap: int = 2) -> Iterator[Text]:
    """Yield a line for each row of cells; no cell is ever cut.

    ``justify`` has a letter for each column: l (for columns without a letter, too), c or r.
    """
    table = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    columns = zip_longest(*table, fillvalue=Text())
    widths = [max(cell.cell_len for cell in column) for column in columns]
    for row in table:
        line = Text(" ", no_wrap=True, overflow="ignore")
        for index, (cell, width) in enumerate(zip(row, widths, strict=False)):
            space = width - cell.cell_len
            side = justify[index : index + 1]
            left = space if side == "r" else space // 2 if side == "c" else 0
            line.append(" " * (left + (gap if index else 0))).append_text(cell)
            line.append(" " * (space - left))
        line.rstrip()
        yield line


def named_grid(
    rows: Sequence[Sequence[Text | str]], justify: str, width: int, gap: int = 2
) -> list[Text]:
    """Return a line for each row; if that is too wide, the first cell gets a line of its own."""
    lines = list(grid(rows, justify, gap))
    if max(line.cell_len for line in lines) <= width:
        return lines
    names = [row[0] if isinstance(row[0], Text) else Text(row[0].strip()) for row in rows]
    lines = list(grid([[" ", *row[1:]] for row in rows], justify, gap))
    return [
        Text.assemble(" ", name, "\n", line) if name else line
        for name, line in zip(names, lines, strict=True)
    ]
