"""How a text file is laid out: its delimiter, its header, the cells of a line."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.readers.block import Note, ReadError, ReadOptions, quoted
from stablelse.readers.columns import choose_columns, list_names, show_names
from stablelse.readers.literals import is_missing, looks_numeric, word_value

#: What a delimiter may be without being told, in the order in which it is looked for. A comma
#: comes last, for beside one of the others it is a decimal comma or part of a text.
DELIMITERS = ("\t", ";", ",")

#: Spellings on a command line; None is any run of blanks and tabs.
_SPELLINGS: dict[str, str | None] = {" ": None, "\\t": "\t"}

#: Never in a line, so that a line is one cell.
_NO_DELIMITER = "\n"

#: Stands for a delimiter inside quotes; text has no NUL, `text` has made sure of that.
_PROTECTED = "\0"


class Line(NamedTuple):
    """One line that is neither blank nor a comment, with its number from 1."""

    number: int
    text: str


class Layout(NamedTuple):
    """How every line of one text is to be read.

    Attributes
    ----------
    source : str
        What complaints call the text.
    delimiter : str or None
        One character, ``None`` for any run of blanks and tabs.
    decimal : str
        The decimal sign.
    dtype : dtype
        What numbers are parsed to.
    names : tuple of str or None
        The header, if there is one.
    first_line : int
        The number of the line that says how many cells a line has, header or not.
    width : int
        How many cells that line has.
    chosen : tuple of int or None
        The positions, from 0, of the wanted columns; ``None`` for all.
    skip_na : bool
        Whether blank and NA cells are left out.
    has_header_choice : bool
        Whether the user has said if there is a header.
    words : bool
        Whether true and false are numbers.
    notes : tuple of Note
        What the user is told of it.
    """

    source: str
    delimiter: str | None
    decimal: str
    dtype: np.dtype[Any]
    names: tuple[str, ...] | None
    first_line: int
    width: int
    chosen: tuple[int, ...] | None
    skip_na: bool
    has_header_choice: bool
    words: bool
    notes: tuple[Note, ...]

    @property
    def positions(self) -> Sequence[int]:
        """The positions, from 0, of the columns to read."""
        return range(self.width) if self.chosen is None else self.chosen

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns to read, if there is a header."""
        return self.names and tuple(self.names[position] for position in self.positions)


def detect_layout(lines: Sequence[Line], source: str, options: ReadOptions) -> Layout:
    """Tell from the first two lines how a text is laid out.

    Parameters
    ----------
    lines : sequence of Line
        The first two lines that are neither blank nor comments, or the only one.
    source : str
        What complaints call the text.
    options : ReadOptions
        Settles what the user has said.

    Raises
    ------
    ReadError
        If the options contradict each other or the text, or there is a header and nothing else.
    """
    first = lines[0]
    # Headers are prose, with blanks and commas of their own: ask a row of numbers.
    sample = first if options.header is False else lines[-1]
    delimiter = _delimiter(first, sample, options, source)
    cells = split(first, delimiter, source)
    names = None
    if options.header or (options.header is None and _has_name(cells, options.words)):
        if len(lines) == 1:
            raise ReadError(
                f"{source} has a header ({list_names(cells)}) and no numbers below it; "
                + ("leave out --header" if options.header else "add rows of numbers")
            )
        if options.delimiter is None and len(split(sample, delimiter, source)) == 1:
            cells = split(first, _NO_DELIMITER, source)
        names = tuple(cells)
    width = len(names or cells)
    notes = () if names is None else (_header_note(first.number, names, source),)
    return Layout(
        source,
        delimiter,
        options.decimal,
        np.dtype(options.dtype),
        names,
        first.number,
        width,
        choose_columns(options.columns, names, width, source),
        options.skip_na,
        options.header is not None,
        options.words,
        notes,
    )


def _header_note(number: int, names: tuple[str, ...], source: str) -> Note:
    return Note(f"line {number} is a header: {show_names(names)}", source, names)


def split(line: Line, delimiter: str | None, source: str) -> list[str]:
    """Return the cells of a line, without comment, quotes and the blanks around them.

    Raises
    ------
    ReadError
        If a quote is opened and not closed.
    """
    if '"' not in line.text:
        return [cell.strip() for cell in line.text.partition("#")[0].split(delimiter)]
    pieces = line.text.split('"')  # by turns outside and inside quotes
    for index, piece in enumerate(pieces):
        if index % 2:
            pieces[index] = _PROTECTED.join(piece.split(delimiter))
        elif "#" in piece:
            pieces[index:] = [piece.partition("#")[0]]
            break
    if len(pieces) % 2 == 0:
        raise ReadError(
            f"{source}, line {line.number}: a quote is opened and not closed; "
            "close it on the same line"
        )
    cells = '"'.join(pieces).split(delimiter)
    return [_unquote(cell.strip()).replace(_PROTECTED, delimiter or " ") for cell in cells]


def _delimiter(first: Line, sample: Line, options: ReadOptions, source: str) -> str | None:
    if options.delimiter is not None:
        return _said(options.delimiter, options.decimal)
    of_first = _found(first.text, options.decimal)
    cells_of_first = split(first, of_first, source)
    delimiter = _found(sample.text, options.decimal)
    if delimiter is not None or len(split(sample, None, source)) > 1:
        return delimiter
    # One number below several cells is a short row, or all but one of its cells are blank;
    # below anything else it is the first number of a column, whatever its header has in it.
    is_blank_beside = of_first is not None and of_first in sample.text
    return of_first if is_blank_beside or all(map(looks_numeric, cells_of_first)) else None


def _said(delimiter: str, decimal: str) -> str | None:
    if delimiter == decimal == ",":
        raise ReadError("the comma cannot be both delimiter and decimal sign; choose one of them")
    delimiter_or_blanks = _SPELLINGS.get(delimiter, delimiter)
    if delimiter_or_blanks is not None and (
        len(delimiter_or_blanks) != 1
        or delimiter_or_blanks.isalnum()
        or delimiter_or_blanks in '+-.#"\r\n\0'
    ):
        raise ReadError(
            f"{quoted(delimiter)} cannot be a delimiter; "
            "give one character such as , ; | or a blank, or \\t for a tab"
        )
    return delimiter_or_blanks


def _found(line: str, decimal: str) -> str | None:
    pieces = line.split('"')
    outside = " ".join(pieces[::2]).partition("#")[0].strip()
    return next((d for d in DELIMITERS if d in outside and d != decimal), None)


def _has_name(cells: Sequence[str], words: bool) -> bool:
    """Whether a cell is no number, and does not stand for one or for none."""
    return not all(
        looks_numeric(cell) or is_missing(cell) or (words and word_value(cell) is not None)
        for cell in cells
    )


def _unquote(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell
