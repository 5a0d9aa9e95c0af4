"""Detects how each line of a text is to be read: delimiter, header, index and columns."""

import csv
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple
from unicodedata import category

from stablelse.readers.blocks import (
    Columns,
    Note,
    ReadError,
    ReadOptions,
    choose_columns,
    is_index_name,
    list_names,
    quoted,
)
from stablelse.readers.literals import SPREADSHEET_ERROR, is_missing, looks_numeric, word_value

#: The delimiters to detect, in order: if a line also has another one, a comma is part of a cell.
DELIMITERS = ("\t", ";", "|", ",")

#: The most cells of a line: each takes up to 70 bytes.
_MOST_CELLS = 1 << 20

#: Never occurs in a line, so each line is one cell.
_NO_DELIMITER = "\x1f"

#: Begins a comment at the start of a line or after a blank, unless it is a spreadsheet's error
#: cell: a delimiter, a number or a word for one (nan, inf, null) follows that.
_COMMENT = rf"(?!{SPREADSHEET_ERROR}[ \t]*(?:$|[^a-zA-Z_ \t]|(?i:nan?|inf|n/a|null|none)\b))#"
BEGINS_COMMENT = re.compile(_COMMENT)
COMMENTS = re.compile(rf"(?m)(?:^[ \t]*|(?<= )){_COMMENT}.*")
_QUOTED_OR_COMMENT = re.compile(rf'"[^"]*"?|(?:^|(?<= )){_COMMENT}')

#: Unicode categories of characters that do not begin a word: numbers, signs, dashes, currencies and
#: invisible characters.
_BEGINS_NUMBER = ("N", "Sm", "Sc", "Pd", "C", "Z")

USE_HEADER = "use --header if these are column names"


class Line(NamedTuple):
    """One line that is neither blank nor a comment, with its number from 1."""

    number: int
    text: str


class Layout(NamedTuple):
    """How to read each line of a text."""

    source: str  # what errors call the text
    options: ReadOptions  # the user's choices
    delimiter: str | None  # None is any run of blanks and tabs
    columns: Columns  # the columns to read
    first_line: int  # the number of the first line, header or not
    width: int  # number of cells in a line
    is_closed: bool  # whether lines end in a delimiter, so that a blank cell follows
    notes: tuple[Note, ...]  # for the user


def detect_layout(lines: Sequence[Line], source: str, options: ReadOptions) -> Layout:
    """Detect the layout of a text from its first two lines of content, or the only one."""
    first, *below = lines
    # A header may contain blanks and commas of its own: a row of numbers decides.
    sample = first if options.header is False else lines[-1]
    delimiter = _find_delimiter(first, sample, options, source)
    row = split(below[0], delimiter, source) if below else []
    is_one_column = options.delimiter is None and len(row) == 1
    titles = split(first, _NO_DELIMITER if is_one_column else delimiter, source)
    has_header = options.header
    if has_header is None:
        has_header = _is_header(titles, row, lines, options.words, source)
    if has_header and not below:
        raise ReadError(
            f"{source} has a header ({list_names(titles)}) and no numbers below it; "
            + ("leave out --header" if options.header else "add rows of numbers")
        )
    cells = titles if has_header or not is_one_column else split(first, delimiter, source)
    rows = [line for line in ([] if has_header else cells, row) if line]
    is_closed = (
        delimiter is not None
        and not options.skip_na
        and all(len(cells) > 1 and not cells[-1] for cells in rows)
        and not (has_header and len(titles) == len(row) and titles[-1])
    )
    names = None
    if has_header:
        # A header may begin or end in another way than its rows.
        is_index = f'"{row[0]}"' in below[0].text or not looks_numeric(row[0])
        is_index |= delimiter is None and first.text[0].isspace()  # above an index
        if not titles[-1] and (is_closed or len(row) == len(titles) - 1):
            titles = titles[:-1]
        # Row names have no title in R's write.table and in what pandas prints.
        if is_index and len(row) - is_closed == len(titles) + 1:
            titles = ["", *titles]
        names = tuple(titles)
    width = len(cells) - is_closed if names is None else len(names)
    # Of pandas or R: columns at the beginning, but not all.
    of_index = (not name or is_index_name(name) for name in (names or ())[:-1])
    index = range(sum(takewhile(bool, of_index)))
    columns = choose_columns(options, names, width, source, index)
    if columns.left_out and not row[0]:
        raise ReadError(
            f"{source}, line {below[0].number}, column 1 is blank, where the index of a row "
            "belongs; if the line holds more names, delete it, or choose the columns with --column"
        )
    notes = columns.index_notes()
    if names is not None:
        headings = names[len(columns.left_out) :]
        text = f"line {first.number} is a header: {list_names(headings, is_brief=True)}"
        notes.insert(0, Note(text, source, headings))
    elif (
        options.header is None
        and len(cells) > 1
        and _counts(cells)  # and the line below holds something else
        and not all(map(str.isdigit, row))
    ):
        what = f"line {first.number} is 0 to {width - 1}"
        notes.append(Note(f"{what}; if these are column names, use --header", source))
    options = options._replace(gauge=None)
    return Layout(source, options, delimiter, columns, first.number, width, is_closed, tuple(notes))


def split(line: Line, delimiter: str | None, source: str) -> list[str]:
    """Return the cells of a line, without its comment, quotes and the blanks around cells."""
    text = without_comment(line.text)
    if len(text) > _MOST_CELLS and text.count(delimiter or " ") > _MOST_CELLS:
        raise ReadError(
            f"{source}, line {line.number} has more than {_MOST_CELLS:,} delimiters; put fewer "
            "numbers on a line, or save them with numpy.save"
        )
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


def without_comment(text: str) -> str:
    """Return a line up to its comment, if it has one."""
    if "#" in text:
        for match in _QUOTED_OR_COMMENT.finditer(text):
            if match[0] == "#":
                return text[: match.start()]
    return text


def _find_delimiter(first: Line, sample: Line, options: ReadOptions, source: str) -> str | None:
    """Return the chosen or detected delimiter; None means blanks."""
    detected = _detect_delimiter(sample, options.decimal)
    if options.delimiter is not None:
        if options.delimiter == options.decimal == "," and detected != ",":
            raise ReadError(
                "the comma cannot be both delimiter and decimal sign, unless the numbers are in "
                "quotes; choose one of them"
            )
        sign = {" ": None, "\\t": "\t"}.get(options.delimiter, options.delimiter)
        if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in '+-.#"\r\n\0'):
            raise ReadError(
                f"{quoted(options.delimiter)} cannot be a delimiter; "
                "give one character such as , ; | or a blank, or \\t for a tab"
            )
        return sign
    if detected is not None or len(split(sample, None, source)) > 1:
        return detected
    # One number below several cells is a short row, or all but one of its cells are blank;
    # below anything else it is the first number of a column, whatever the header contains.
    of_first = _detect_delimiter(first, options.decimal)
    is_blank_beside = of_first is not None and of_first in sample.text
    are_numbers = all(map(looks_numeric, split(first, of_first, source)))
    return of_first if is_blank_beside or are_numbers else None


def _detect_delimiter(line: Line, decimal: str) -> str | None:
    """Return the first delimiter outside quotes; with decimal commas, one is next to a quote."""
    outside = re.sub(r'"[^"]*"', '""', without_comment(line.text)).strip()
    signs = [delimiter for delimiter in DELIMITERS if delimiter in outside]
    if "," in signs and decimal == "," and not re.search(r'" *,|, *"', outside):
        signs.remove(",")
    return signs[0] if signs else None


def _is_header(
    titles: Sequence[str], row: Sequence[str], lines: Sequence[Line], words: bool, source: str
) -> bool:
    """Whether the first line holds names; one that also holds numbers is refused."""
    in_quotes = {cell.strip() for cell in re.findall(r'"([^"]*)"', lines[0].text)}
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
            f"{source}, line {lines[0].number} mixes names and numbers, such as {quoted(name)} and "
            f"{quoted(number)}; {USE_HEADER}, and --no-header if not"
        )
    is_corner = len(titles) > 1 and not titles[0] and any(row[:1])
    is_corner &= name is None and all(map(str.isdigit, titles[1:]))
    # pandas writes a frame without names like this: a blank above the index, then 0, 1, 2, ...
    if name is not None or (is_corner and _counts(titles[1:])):
        return True
    # R puts all names in quotes, and no numbers.
    are_quoted = len(re.findall('"[-+.0-9eE]+"', lines[0].text)) == len(titles)
    are_quoted &= all(map(looks_numeric, titles)) and '"' not in lines[-1].text
    if is_corner or are_quoted:
        raise ReadError(
            f"{source}, line {lines[0].number} has numbers that may be names; {USE_HEADER}, and "
            "--no-header if not"
        )
    return False


def _is_like_number(cell: str, words: bool) -> bool:
    """Whether a cell is a number, or begins like one: that is a typo, not a name."""
    if looks_numeric(cell) or (words and word_value(cell) is not None):
        return True
    start = cell.lstrip("([{ ")[:1] or cell[:1]
    is_start = start in ".," or category(start).startswith(_BEGINS_NUMBER)
    is_start |= cell.casefold().startswith(("nan(", "qnan", "snan"))
    return is_start and not is_missing(cell)


def _counts(cells: Sequence[str]) -> bool:
    return all(cell == str(number) for number, cell in enumerate(cells))
