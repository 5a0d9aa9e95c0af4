"""How a text file is written: its delimiter, its header, its columns."""

from __future__ import annotations

import re
from typing import NamedTuple

from stablelse.readers.block import ReadError, ReadOptions, shortened, to_number

#: What stands in a cell that has no number, in any case: R, SQL, pandas and spreadsheets.
NA_CELLS = frozenset({"", "na", "n/a", "#n/a", "<na>", "null", "none", "-"})

_QUOTED = re.compile(r'"[^"]*"')
_COMMENT = "#"


class Dialect(NamedTuple):
    """How the lines of a text are divided.

    Attributes
    ----------
    delimiter : str or None
        One character; ``None`` for runs of blanks.
    decimal : str
        The decimal sign.
    width : int
        The number of cells in a line.
    chosen : tuple of int
        The columns to read, from 0.
    names : tuple of str or None
        The names of the chosen columns.
    begins : int
        The number of the line where the numbers begin, from 1.
    """

    delimiter: str | None
    decimal: str
    width: int
    chosen: tuple[int, ...]
    names: tuple[str, ...] | None
    begins: int


def is_content(line: str) -> bool:
    """Whether a line holds anything but blanks and a comment."""
    return not line.isspace() and line != "" and not line.lstrip().startswith(_COMMENT)


def cells(line: str, delimiter: str | None) -> list[str]:
    """Divide a line into its cells, quotes and the blanks around cells taken off."""
    if '"' not in line:
        line = line.partition(_COMMENT)[0]
        return [cell.strip() for cell in line.split(delimiter)] if delimiter else line.split()
    import csv

    line = _QUOTED.sub(lambda m: m[0].replace(_COMMENT, "\0"), line).partition(_COMMENT)[0]
    if delimiter is None:
        line, delimiter = " ".join(line.split()), " "
    (row,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip().replace("\0", _COMMENT) for cell in row]


def is_na(cell: str) -> bool:
    """Whether a cell says that it has no number."""
    return cell.lower() in NA_CELLS


def read_dialect(lines: list[tuple[int, str]], source: str, options: ReadOptions) -> Dialect:
    """Find out how a text is written from its first lines of content.

    Parameters
    ----------
    lines : list of (int, str)
        At least one line with its number, the first two of content if there are as many.
    source : str
        For complaints.
    options : ReadOptions
        What is given goes before what is found.

    Raises
    ------
    ReadError
        If the options do not fit the text.
    """
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise ReadError(f"the delimiter must be one character, not {options.delimiter!r}")
    if options.delimiter == options.decimal == ",":
        raise ReadError("a comma cannot be both --delimiter and --decimal")
    (number, first), (_, last) = lines[0], lines[-1]
    delimiter = options.delimiter or _delimiter(last, options.decimal)
    if delimiter == " ":
        delimiter = None
    head = cells(first, delimiter)
    has_header = _is_header(head, options) if options.header is None else options.header
    width = len(cells(last, delimiter)) if has_header else len(head)
    if has_header and len(lines) > 1 and width == 1:
        head = [first.strip().strip('"')]  # one column may be headed by several words
    if has_header and len(head) != width:
        raise ReadError(
            f"{source}, line {number}: {_counted(len(head))} in the header, "
            f"where line {lines[-1][0]} has {width}: make them as many, or give --delimiter"
        )
    names = tuple(head) if has_header else None
    chosen = choose_columns(options.columns, names, width, source)
    return Dialect(
        delimiter=delimiter,
        decimal=options.decimal,
        width=width,
        chosen=chosen,
        names=tuple(names[index] for index in chosen) if names else None,
        begins=number + 1 if has_header else number,
    )


def _delimiter(line: str, decimal: str) -> str | None:
    bare = _QUOTED.sub("", line).partition(_COMMENT)[0].strip()
    return next((sign for sign in "\t;," if sign in bare and sign != decimal), None)


def _is_header(head: list[str], options: ReadOptions) -> bool:
    """Whether one cell is neither a number nor missing, nor a number but for its decimals."""
    for cell in head:
        if is_na(cell):
            continue
        try:
            to_number(cell.replace(options.decimal, "."))
        except ReadError as error:
            if "overflowed" in str(error) or re.fullmatch(r"[-+]?\d+,\d+", cell):
                continue
            return True
    return False


def choose_columns(
    columns: tuple[str, ...], names: tuple[str, ...] | None, width: int, source: str
) -> tuple[int, ...]:
    """Return the places, from 0, of columns given by name or number; of all, if none is given."""
    return tuple(_index(column, names, width, source) for column in columns) or tuple(range(width))


def _index(column: str, names: tuple[str, ...] | None, width: int, source: str) -> int:
    """Return the place of a column, from 0, by its name or else by its number from 1."""
    found = [index for index, name in enumerate(names or ()) if name == column.strip()]
    if len(found) > 1:
        places = " and ".join(str(index + 1) for index in found)
        raise ReadError(f"{source}: columns {places} are both named {column!r}: give a number")
    if found:
        return found[0]
    if column.strip().isdigit() and 1 <= int(column) <= width:
        return int(column) - 1
    having = f"{width} column" + ("s" if width > 1 else "")
    if names is None:
        raise ReadError(f"{source} has no column {column!r}: it has {having} and no header")
    listed = ", ".join(map(shortened, names[:12])) + (", ..." if len(names) > 12 else "")
    raise ReadError(f"{source} has no column {column!r}: it has {listed}")


def _counted(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"
