"""Text cell by cell: slower than NumPy's parser, but it knows each cell's place.

It defines what a text means; NumPy's parser is let in where it agrees. It runs where that one
fails, to name the cell or to read what only this one can: blank and NA cells, blank lines that
have blanks, rows of which only some cells are numbers.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, ReadError, quoted
from stablelse.readers.columns import count
from stablelse.readers.dialect import DELIMITERS, Layout, Line, split
from stablelse.readers.literals import (
    BadLiteralError,
    is_missing,
    looks_numeric,
    number_reader,
)

#: Delimiters that a complaint proposes, where they part a cell into numbers.
_PROPOSED = (*DELIMITERS, " ", "|", ":")


def read_lines(lines: Iterable[Line], layout: Layout) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Read the wanted cells of some lines.

    Parameters
    ----------
    lines : iterable of Line
        Neither blank ones nor comments.
    layout : Layout
        How to read them.

    Returns
    -------
    values : ndarray, shape (lines, columns)
        The numbers; NaN where a cell is missing.
    missing : ndarray of bool, shape (lines, columns), or None
        Where a blank or NA cell was left out, ``None`` where none was.

    Raises
    ------
    ReadError
        At the first line with too few or too many cells, the first blank or NA cell that is
        not to be left out, and the first cell that is no number.
    """
    read_number = number_reader(layout.dtype, layout.decimal, layout.words)
    numbers: list[Any] = []
    missing: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for line in lines:
            cells = split(line, layout.delimiter, layout.source)
            if len(cells) != layout.width:
                raise _ragged(line, len(cells), layout)
            for position in layout.positions:
                cell = cells[position]
                if is_missing(cell):
                    if not layout.skip_na:
                        raise _blank(line, position, cell, layout)
                    missing.append(len(numbers))
                    numbers.append(np.nan)
                    continue
                try:
                    numbers.append(read_number(cell))
                except BadLiteralError as bad:
                    mend = bad.mend or _mend(line, cell, layout)
                    place = _place(line, position, layout)
                    raise ReadError(f"{place}: {bad}; {mend}") from None
    return _shaped(numbers, missing, layout)


def _shaped(
    numbers: list[Any], missing: list[int], layout: Layout
) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    values = np.array(numbers, dtype=layout.dtype).reshape(-1, len(layout.positions))
    if not missing:
        return values, None
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[missing] = True
    return values, mask.reshape(values.shape)


def _place(line: Line, position: int, layout: Layout) -> str:
    name = f" ({quoted(layout.names[position])})" if layout.names else ""
    return f"{layout.source}, line {line.number}, column {position + 1}{name}"


def _ragged(line: Line, cells: int, layout: Layout) -> ReadError:
    return ReadError(
        f"{layout.source}, line {line.number} has {count(cells, 'cell')}, where line "
        f"{layout.first_line} has {layout.width}; "
        "give all rows as many cells, or say what is between them with --delimiter"
    )


def _blank(line: Line, position: int, cell: str, layout: Layout) -> ReadError:
    what = f"is {quoted(cell)}, no number" if cell else "is blank"
    return ReadError(
        f"{_place(line, position, layout)} {what}; fill it in, or leave out such cells "
        "with --skip-na"
    )


def _mend(line: Line, cell: str, layout: Layout) -> str:
    if layout.decimal == "." and "," in cell and looks_numeric(cell):
        return "if its comma is a decimal comma, use --decimal ,"
    for delimiter in _PROPOSED:
        pieces = cell.split(delimiter)
        if len(pieces) > 1 and all(map(looks_numeric, pieces)):
            return f"if it is {len(pieces)} numbers, use --delimiter {_spelled(delimiter)}"
    if line.number == layout.first_line and layout.has_header_choice:
        return "leave out --no-header if the line holds names"
    if layout.width > 1:
        return "correct it, or choose the columns of numbers with --column"
    return "correct it, or write NA for it and use --skip-na"


def _spelled(delimiter: str) -> str:
    return "'\\t'" if delimiter == "\t" else f"'{delimiter}'"
