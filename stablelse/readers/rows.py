"""Whole lines of text into rows of numbers: by NumPy's parser where it agrees, or cell by cell.

`read_cells` defines what a text means, and knows each cell's place. It is several times as slow as
``numpy.loadtxt``, which reads wherever it would read the same, cell for cell. What differs is kept
from it: with ``usecols`` it ignores rows with too few or too many cells; it cuts cells at a ``#``;
it has other rules for quotes; it does not bound the length of a cell.
"""

import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, ReadError, quoted
from stablelse.readers.columns import count
from stablelse.readers.dialect import DELIMITERS, USE_HEADER, Layout, Line, split
from stablelse.readers.literals import (
    MAX_LITERAL,
    SPELLINGS,
    SPREADSHEET_ERROR,
    BadLiteralError,
    is_missing,
    looks_numeric,
    number_reader,
)

#: Where these part a cell into numbers, an error proposes them as delimiters.
_PROPOSED = (*DELIMITERS, " ", ":")

#: What NumPy takes for a blank, and `split` does not.
_OTHER_BLANKS = (
    *"\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000",
    *map(chr, range(0x2000, 0x200B)),
)

_SPREADSHEET_ERROR = re.compile(SPREADSHEET_ERROR)


def read_text(text: str, layout: Layout) -> Array | None:
    """Read the wanted columns of whole lines with NumPy's parser.

    Returns None where it fails, or might not agree. A literal that overflows is inf here.
    """
    if not _is_simple(text, layout):
        return None
    text = text.replace('"', "")
    if layout.is_closed:
        text = re.sub(rf"(?m)(?<=\S){re.escape(layout.delimiter or ' ')}[ \t]*$", "", text)
    if layout.options.decimal == ",":
        text = text.replace(",", ".")
    if not text.isascii() or "d" in text or "D" in text:
        text = text.translate(SPELLINGS)
    lines = text.split("\n")
    cells = text.split(layout.delimiter) if max(map(len, lines)) > MAX_LITERAL else lines
    if max(map(len, cells)) > MAX_LITERAL:
        return None
    if layout.chosen is not None:  # then NumPy does not count cells
        widths = {len(line.split(layout.delimiter)) for line in lines if line}
        if "#" in text or widths != {layout.width}:
            return None
    # Whatever the type, float64's spelling is what counts: NumPy's longdouble also takes 0x10,
    # nan(1) and, as zero, a blank.
    values = _load(lines, text, layout, np.dtype(np.float64))
    if values is None or layout.dtype == np.float64:
        return values
    return _load(lines, text, layout, layout.dtype)


def _is_simple(text: str, layout: Layout) -> bool:
    """Whether blanks, comments, quotes and decimal signs mean the same to NumPy's parser."""
    if any(blank in text for blank in _OTHER_BLANKS):
        return False
    if layout.options.decimal == "," and ("." in text or layout.delimiter == ","):
        return False
    if "#" in text:
        before = sum(map(text.count, (" #", "\n#"))) + text.startswith("#")
        if '"' in text or text.count("#") != before or _SPREADSHEET_ERROR.search(text):
            return False
    if '"' not in text:
        return True
    # Each quote has to be where a cell begins or ends; then it can be left out. A blank may be
    # there too: it is no part of a number.
    pieces = text.split('"')  # in turn outside and inside quotes
    outside, inside = pieces[::2], pieces[1::2]
    delimiters = layout.delimiter or " \t"
    bounds = {piece[-1:] for piece in outside[:-1]} | {piece[:1] for piece in outside[1:]}
    cells = "".join(inside)
    return (
        len(pieces) % 2 == 1
        and not any(sign in cells for sign in ("\n", *delimiters))
        and "" not in inside
        and "" not in outside[1:-1]
        and bounds <= {"", "\n", " ", "\t", *delimiters}
    )


def _load(lines: list[str], text: str, layout: Layout, dtype: np.dtype[Any]) -> Array | None:
    try:
        with warnings.catch_warnings():
            # NumPy warns of a longdouble that leaves the normal range, and of no data.
            warnings.simplefilter("ignore")
            values = np.loadtxt(
                lines,
                dtype=dtype,
                comments="#" if "#" in text else None,
                delimiter=layout.delimiter,
                usecols=layout.chosen,
                ndmin=2,
            )
    except ValueError:
        return None
    return values if values.shape[1] == len(layout.positions) else None


def read_cells(lines: Iterable[Line], layout: Layout) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Read the wanted cells of lines of content, one by one.

    Returns the numbers, NaN where a cell is missing, and where that is, if it is anywhere.
    """
    options = layout.options
    read_number = number_reader(layout.dtype, options.decimal, options.words)
    numbers: list[Any] = []
    missing: list[int] = []
    for line in lines:
        cells = split(line, layout.delimiter, layout.source)
        if layout.is_closed and len(cells) == layout.width + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != layout.width:
            raise _ragged(line, len(cells), layout)
        for position in layout.positions:
            try:
                numbers.append(read_number(cells[position]))
            except BadLiteralError as bad:
                if not (options.skip_na and is_missing(cells[position])):
                    raise _bad_cell(line, position, cells[position], layout, bad) from None
                missing.append(len(numbers))
                numbers.append(np.nan)
    values = np.array(numbers, dtype=layout.dtype).reshape(-1, len(layout.positions))
    if not missing:
        return values, None
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[missing] = True
    return values, mask.reshape(values.shape)


def _ragged(line: Line, cells: int, layout: Layout) -> ReadError:
    fix = "give all rows as many cells, or say what is between them with --delimiter"
    if "#" in line.text and cells < layout.width:
        fix = "a # behind a blank starts a comment: put a cell that holds one in quotes"
    return ReadError(
        f"{layout.source}, line {line.number} has {count(cells, 'cell')}, where line "
        f"{layout.first_line} has {layout.width}; {fix}"
    )


def _bad_cell(
    line: Line, position: int, cell: str, layout: Layout, bad: BadLiteralError
) -> ReadError:
    """Return the error about a cell that is not a number, with its place and how to fix it."""
    name = f" ({quoted(layout.names[position])})" if layout.names else ""
    place = f"{layout.source}, line {line.number}, column {position + 1}{name}"
    hint = ""
    if line.number == layout.first_line and not (layout.options.header or bad.is_overflow):
        no_header = "leave out --no-header if it holds names"
        hint = f", or {USE_HEADER if layout.options.header is None else no_header}"
    if is_missing(cell):
        what = f"is {quoted(cell)}, which is not a number" if cell else "is blank"
        fix = "fill it in, or leave out such cells with --skip-na"
        return ReadError(f"{place} {what}; {fix}{hint}")
    return ReadError(f"{place}: {bad}; {bad.fix or _fix(cell, layout)}{hint}")


def _fix(cell: str, layout: Layout) -> str:
    if layout.options.decimal == "." and "," in cell and looks_numeric(cell):
        return "use --decimal , if its comma is a decimal comma"
    for delimiter in _PROPOSED:
        pieces = cell.split(delimiter)
        if len(pieces) > 1 and all(map(looks_numeric, pieces)):
            shown = "\\t" if delimiter == "\t" else delimiter
            return f"if it is {len(pieces)} numbers, use --delimiter '{shown}'"
    if layout.width > 1:
        return "correct it, or choose the columns of numbers with --column"
    return "correct it, or write NA for it and use --skip-na"
