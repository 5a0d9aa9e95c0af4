"""Text cell by cell: to name the one that is wrong, or to leave out those that are missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from stablelse.readers.block import Array, ReadError, ReadOptions, shortened, to_number
from stablelse.readers.dialect import Dialect, cells, is_content, is_na


def parse_lines(
    lines: Iterable[tuple[int, str]], dialect: Dialect, source: str, options: ReadOptions
) -> tuple[Array, Array]:
    """Parse lines with every check there is.

    Parameters
    ----------
    lines : iterable of (int, str)
        Lines with their numbers; those without content are passed over.
    dialect : Dialect
        How they are written.
    source : str
        For complaints.
    options : ReadOptions
        Whether cells may be missing, and what is parsed to.

    Returns
    -------
    values : ndarray
        Shape (rows, columns).
    missing : ndarray of bool
        Of the same shape; all False unless ``skip_na``.

    Raises
    ------
    ReadError
        At the first cell that is wrong, with file, line and column.
    """
    values: list[list[Any]] = []
    missing: list[list[bool]] = []
    for number, line in lines:
        if not is_content(line):
            continue
        row = cells(line, dialect.delimiter)
        if len(row) != dialect.width:
            raise ReadError(_ragged(source, number, len(row), dialect))
        chosen = [row[index] for index in dialect.chosen]
        gaps = [options.skip_na and is_na(cell) for cell in chosen]
        missing.append(gaps)
        values.append(
            [
                np.nan if gap else _number(cell, place, number, dialect, source, options)
                for place, (cell, gap) in enumerate(zip(chosen, gaps, strict=True))
            ]
        )
    shape = (len(values), len(dialect.chosen))
    return (
        np.array(values, dtype=options.dtype).reshape(shape),
        np.array(missing, dtype=bool).reshape(shape),
    )


def _number(
    cell: str, place: int, line: int, dialect: Dialect, source: str, options: ReadOptions
) -> Any:
    at = f"{source}, line {line}, column {dialect.chosen[place] + 1}"
    if dialect.names:
        at += f" ({dialect.names[place]})"
    if is_na(cell):
        what = f"the cell is {shortened(cell)}" if cell else "the cell is blank"
        raise ReadError(f"{at}: {what}: fill it in, or leave such cells out with --skip-na")
    try:
        return to_number(cell.replace(dialect.decimal, "."), options.dtype)
    except ReadError as error:
        mend = ""
        if dialect.decimal == "." and "," in cell:
            mend = ": if the comma is its decimal sign, give --decimal ,"
        elif "not a number" in str(error):
            mend = ": correct it, or choose other columns with --column"
        raise ReadError(f"{at}: {error}{mend}") from None


def _ragged(source: str, line: int, count: int, dialect: Dialect) -> str:
    cells_here = f"{count} cell" + ("" if count == 1 else "s")
    return (
        f"{source}, line {line}: {cells_here}, where line {dialect.begins} has {dialect.width}: "
        "make the lines as long as one another, or give --delimiter"
    )
