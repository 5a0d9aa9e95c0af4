"""How a text file is laid out: its delimiter, header and index columns, the cells of a line."""

import csv
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from unicodedata import category

import numpy as np

from stablelse.readers.block import Note, ReadError, ReadOptions, quoted
from stablelse.readers.columns import bare, choose_columns, index_note, index_width, list_names
from stablelse.readers.literals import SPREADSHEET_ERROR, is_missing, looks_numeric, word_value

#: The delimiters that are detected, in the order in which they are looked for. A comma comes
#: last, for next to one of the others it is a decimal comma or part of a text.
DELIMITERS = ("\t", ";", "|", ",")

#: Never in a line, so that a line is one cell.
_NO_DELIMITER = "\x1f"

#: Spellings on a command line; None is any run of blanks and tabs.
_SPELLINGS: dict[str, str | None] = {" ": None, "\\t": "\t"}

#: What begins a comment, where a line begins or behind a blank: not an error of a spreadsheet that
#: is a whole cell. What follows such a cell is a delimiter, a number or what stands for one.
COMMENT = rf"(?!{SPREADSHEET_ERROR}[ \t]*(?:$|[^a-zA-Z_ \t]|(?i:nan?|inf|n/a|null|none)\b))#"
_QUOTED_OR_COMMENT = re.compile(rf'"[^"]*"?|(?:^|(?<= )){COMMENT}')

#: Where no word begins, by the kind of a character in Unicode: numbers, signs, dashes, currencies,
#: and what is invisible. A decimal sign and, before one of these, a bracket are of other kinds.
_BEGINS_NUMBER = ("N", "Sm", "Sc", "Pd", "C", "Z")

USE_HEADER = "use --header if these are column names"


class Line(NamedTuple):
    """One line that is neither blank nor a comment, with its number from 1."""

    number: int
    text: str


class Layout(NamedTuple):
    """How every line of one text is read."""

    source: str  # what errors call the text
    options: ReadOptions  # what the user has decided
    delimiter: str | None  # None is any run of blanks and tabs
    names: tuple[str, ...] | None  # the header
    first_line: int  # the number of the first line, header or not
    width: int  # how many cells a line has
    is_closed: bool  # whether a blank cell follows them, as lines end in a delimiter
    left_out: tuple[int, ...]  # the positions, from 0, of index columns
    chosen: tuple[int, ...] | None  # those of the columns to read; None is all
    notes: tuple[Note, ...]  # what the user is told

    @property
    def dtype(self) -> np.dtype[Any]:
        """What numbers are parsed to."""
        return np.dtype(self.options.dtype)

    @property
    def positions(self) -> Sequence[int]:
        """The positions, from 0, of the columns to read."""
        return range(self.width) if self.chosen is None else self.chosen

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns to read, if there is a header."""
        return self.names and tuple(self.names[position] for position in self.positions)


def detect_layout(lines: Sequence[Line], source: str, options: ReadOptions) -> Layout:
    """Tell from the first two lines of content, or the only one, how a text is laid out."""
    first, *below = lines
    # A header may contain blanks and commas of its own: a row of numbers decides.
    sample = first if options.header is False else lines[-1]
    delimiter = _delimiter(first, sample, options, source)
    row = split(below[0], delimiter, source) if below else []
    is_one_column = options.delimiter is None and len(row) == 1
    titles = split(first, _NO_DELIMITER if is_one_column else delimiter, source)
    has_header = options.header
    if has_header is None:
        has_header = _is_header(titles, row, first, options.words, source)
    if has_header and not below:
        raise ReadError(
            f"{source} has a header ({list_names(titles)}) and no numbers below it; "
            + ("leave out --header" if options.header else "add rows of numbers")
        )
    cells = titles if has_header else split(first, delimiter, source)
    rows = [line for line in ([] if has_header else cells, row) if line]
    is_closed = (
        delimiter is not None
        and not options.skip_na
        and all(len(cells) > 1 and not cells[-1] for cells in rows)
        and not (has_header and len(titles) == len(row) and titles[-1])
    )
    names, width = None, len(cells) - is_closed
    if has_header:
        is_index = f'"{row[0]}"' in below[0].text or not looks_numeric(row[0])
        is_index |= delimiter is None and first.text[0].isspace()  # above an index
        names = _names(titles, row, is_closed, is_index)
        width = len(names)
    left_out = range(0 if options.columns or names is None else index_width(names))
    if left_out and not row[0]:
        raise ReadError(
            f"{source}, line {below[0].number}, column 1 is blank, where the index of a row "
            "belongs; if the line holds more names, delete it, or choose the columns with --column"
        )
    chosen = choose_columns(options.columns, names, width, source)
    notes = []
    if names is not None:
        named = names[len(left_out) :]
        text = f"line {first.number} is a header: {list_names(named, bare)}"
        notes.append(Note(text, source, named))
        notes += index_note(names, left_out, source)
    elif options.header is None and _counts_columns(cells, row):
        text = f"line {first.number} is 0 to {width - 1}; if these are column names, use --header"
        notes.append(Note(text, source))
    return Layout(
        source,
        options._replace(gauge=None, note=None),
        delimiter,
        names,
        first.number,
        width,
        is_closed,
        tuple(left_out),
        chosen or (tuple(range(len(left_out), width)) if left_out else None),
        tuple(notes),
    )


def split(line: Line, delimiter: str | None, source: str) -> list[str]:
    """Return the cells of a line, without comment, quotes and the blanks around them."""
    text = _without_comment(line.text)
    if '"' not in text:
        if delimiter is None:
            return [cell.strip() for cell in text.replace("\t", " ").split(" ") if cell]
        return [cell.strip() for cell in text.split(delimiter)]
    if delimiter is None:
        text = text.replace("\t", " ").strip(" ")
    else:
        text = re.sub(rf'"[ \t]+(?={re.escape(delimiter)}|$)', '"', text)
    try:
        (cells,) = csv.reader(
            [text], delimiter=delimiter or " ", skipinitialspace=True, strict=True
        )
    except csv.Error:
        raise ReadError(
            f"{source}, line {line.number}: a quote is not closed, or text follows it; close it "
            "on the same line, where the cell ends"
        ) from None
    return [cell.strip() for cell in cells]


def _without_comment(text: str) -> str:
    if "#" in text:
        for match in _QUOTED_OR_COMMENT.finditer(text):
            if match[0] == "#":
                return text[: match.start()]
    return text


def _delimiter(first: Line, sample: Line, options: ReadOptions, source: str) -> str | None:
    if options.delimiter is not None:
        return _said(options.delimiter, options.decimal, sample)
    found = _found(sample, options.decimal)
    if found is not None or len(split(sample, None, source)) > 1:
        return found
    # One number below several cells is a short row, or all but one of its cells are blank;
    # below anything else it is the first number of a column, whatever its header has in it.
    of_first = _found(first, options.decimal)
    is_blank_beside = of_first is not None and of_first in sample.text
    are_numbers = all(map(looks_numeric, split(first, of_first, source)))
    return of_first if is_blank_beside or are_numbers else None


def _said(delimiter: str, decimal: str, sample: Line) -> str | None:
    if delimiter == decimal == "," and _found(sample, decimal) != ",":
        raise ReadError(
            "the comma cannot be both delimiter and decimal sign, unless the numbers are in "
            "quotes; choose one of them"
        )
    sign = _SPELLINGS.get(delimiter, delimiter)
    if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in '+-.#"\r\n\0'):
        raise ReadError(
            f"{quoted(delimiter)} cannot be a delimiter; "
            "give one character such as , ; | or a blank, or \\t for a tab"
        )
    return sign


def _found(line: Line, decimal: str) -> str | None:
    """Return the first delimiter outside quotes; a decimal comma is one only next to a quote."""
    outside = re.sub(r'"[^"]*"', '""', _without_comment(line.text)).strip()
    found = [delimiter for delimiter in DELIMITERS if delimiter in outside]
    if "," in found and decimal == "," and not re.search(r'" *,|, *"', outside):
        found.remove(",")
    return found[0] if found else None


def _is_header(
    titles: Sequence[str], row: Sequence[str], line: Line, words: bool, source: str
) -> bool:
    """Whether the first line holds names; one that also holds numbers is refused."""
    in_quotes = {cell.strip() for cell in re.findall(r'"([^"]*)"', line.text)}
    number = name = None
    for cell in titles:
        if _is_like_number(cell, words):
            number = number or cell
        elif any(map(str.isalpha, cell if cell in in_quotes else cell[:1].replace("_", "a"))):
            name = name or (None if is_missing(cell) else cell)
    if name is not None:
        number = number or next((cell for cell in titles if cell and is_missing(cell)), None)
    if name is not None and number is not None:
        raise ReadError(
            f"{source}, line {line.number} mixes names and numbers, such as {quoted(name)} and "
            f"{quoted(number)}; {USE_HEADER}, and --no-header if not"
        )
    is_corner = len(titles) > 1 and not titles[0] and any(row[:1])
    if name is not None or not (is_corner and all(map(str.isdigit, titles[1:]))):
        return name is not None
    # pandas writes a frame without names so: a blank above the index, then 0, 1, 2, ...
    if not _counts(titles[1:]):
        raise ReadError(
            f"{source}, line {line.number} has a blank first cell and then whole numbers; "
            f"{USE_HEADER}, and --no-header if not"
        )
    return True


def _is_like_number(cell: str, words: bool) -> bool:
    """Whether a cell is a number, or begins like one: that is a typo, and not a name."""
    if looks_numeric(cell) or (words and word_value(cell) is not None):
        return True
    start = cell.lstrip("([{ ")[:1] or cell[:1]
    is_start = start in ".," or category(start).startswith(_BEGINS_NUMBER)
    return (is_start or cell.casefold().startswith(("nan(", "qnan", "snan"))) and not is_missing(
        cell
    )


def _names(
    titles: Sequence[str], row: Sequence[str], is_closed: bool, is_index: bool
) -> tuple[str, ...]:
    """Return the names of the columns, for a header that ends or begins otherwise than its rows."""
    if not titles[-1] and (is_closed or len(row) == len(titles) - 1):
        titles = titles[:-1]
    # R's write.table gives the row names no title, and neither does pandas when it prints.
    if is_index and len(row) - is_closed == len(titles) + 1:
        titles = ["", *titles]
    return tuple(titles)


def _counts(cells: Sequence[str]) -> bool:
    return all(cell == str(number) for number, cell in enumerate(cells))


def _counts_columns(cells: Sequence[str], row: Sequence[str]) -> bool:
    """Whether a line numbers the columns, and the one below it holds something else."""
    return len(cells) > 1 and _counts(cells) and bool(row) and not all(map(str.isdigit, row))
