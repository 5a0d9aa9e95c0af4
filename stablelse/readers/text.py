"""Text files of numbers, separated by commas, tabs, semicolons or blanks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

import numpy as np

from stablelse.readers.block import BLOCK_BYTES, Array, Block, ReadError, ReadOptions
from stablelse.readers.dialect import Dialect, is_content, read_dialect
from stablelse.readers.slow import parse_lines

#: A line may have a million numbers, but a file without any line end is not text.
MOST_LINE_BYTES = 1 << 28

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(stream: BinaryIO, source: str, options: ReadOptions) -> Iterator[Block]:
    """Read text in blocks of bounded size.

    Parameters
    ----------
    stream : binary stream
        UTF-8, with or without a byte order mark; lines end with LF, CR LF or CR.
    source : str
        The file's name, for the blocks and for complaints.
    options : ReadOptions
        How to read it. Lines that are blank or begin with # are passed over; a # after the
        numbers begins a comment.

    Yields
    ------
    Block
        At least one row each.

    Raises
    ------
    ReadError
        For whatever cannot be read, with line and column where there is one.
    """
    chunks = _chunks(stream, source)
    opening_lines: list[str] = []
    for lines in chunks:
        opening_lines += lines
        if len(_opening(opening_lines)) == 2:
            break
    opening = _opening(opening_lines)
    if not opening:
        raise ReadError(_nothing(source))
    dialect = read_dialect(opening, source, options)
    first, offset = 1, 0
    for lines in chain([opening_lines], chunks):
        values, missing = _parsed(lines, first, dialect, source, options)
        if len(values):
            yield Block(values, source, offset, missing, dialect.names)
        first += len(lines)
        offset += len(values)
    if offset == 0:
        raise ReadError(f"{source} has a header and no numbers below it")


def _nothing(source: str) -> str:
    if source == "standard input":
        return "standard input is empty: give numbers as arguments, by --file, or pipe some in"
    return f"{source} is empty: there are no numbers in it"


def _opening(lines: list[str]) -> list[tuple[int, str]]:
    """Return the first two lines of content, with their numbers from 1."""
    return list(islice(((n, line) for n, line in enumerate(lines, 1) if is_content(line)), 2))


def _parsed(
    lines: list[str], first: int, dialect: Dialect, source: str, options: ReadOptions
) -> tuple[Array, Array | None]:
    """Parse lines by NumPy's C parser, and by the slow path where that one stumbles."""
    skipped = max(0, dialect.begins - first)
    first, lines = first + skipped, lines[skipped:]
    values = _fast(lines, dialect, options)
    if values is None:
        values, missing = parse_lines(enumerate(lines, first), dialect, source, options)
        return values, missing if missing.any() else None
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if len(infinite):  # as written, or a number too large: the slow path tells
        content = [(n, line) for n, line in enumerate(lines, first) if is_content(line)]
        parse_lines((content[row] for row in infinite), dialect, source, options)
    return values, None


def _fast(lines: list[str], dialect: Dialect, options: ReadOptions) -> Array | None:
    """Return the numbers of well-formed lines; ``None`` if any needs a closer look."""
    if not any(map(is_content, lines)):
        return np.empty((0, len(dialect.chosen)), options.dtype)
    if options.dtype != "float64" and any("x" in line or "X" in line for line in lines):
        return None  # NumPy reads hexadecimals as longdouble, though not as float64
    if dialect.decimal != ".":
        lines = [line.replace(dialect.decimal, ".") for line in lines]
    whole = dialect.chosen == tuple(range(dialect.width))
    try:
        values: Array = np.loadtxt(
            lines,
            dtype=options.dtype,
            delimiter=dialect.delimiter,
            quotechar='"',
            usecols=None if whole else dialect.chosen,
            ndmin=2,
        )
    except ValueError:
        return None
    return values if values.shape[1] == len(dialect.chosen) else None


def _chunks(stream: BinaryIO, source: str) -> Iterator[list[str]]:
    """Yield the lines of a stream in lists of bounded size, their ends taken off."""
    data = stream.read(BLOCK_BYTES)
    if data.startswith(_UTF16_MARKS):
        raise ReadError(f"{source} is UTF-16: convert it with iconv -f UTF-16 -t UTF-8")
    data = data.removeprefix(_BYTE_ORDER_MARK)
    number = 1
    while data:
        more = stream.read(BLOCK_BYTES)
        end = _last_line_end(data) if more else len(data)
        if end == 0 and len(data) > MOST_LINE_BYTES:
            raise ReadError(f"{source}, line {number} is longer than {MOST_LINE_BYTES:,} bytes")
        if end:
            lines = _lines(data[:end], number, source)
            number += len(lines)
            yield lines
        data = data[end:] + more


def _last_line_end(data: bytes) -> int:
    """Return where the last whole line ends; a final CR may be half of a CR LF."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1


def _lines(data: bytes, number: int, source: str) -> list[str]:
    if b"\0" in data:
        line = number + data[: data.index(b"\0")].count(b"\n")
        raise ReadError(f"{source}, line {line} has a NUL byte: it is not text")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = number + data[: error.start].count(b"\n")
        raise ReadError(
            f"{source}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8: "
            "convert it, for instance with iconv -f LATIN1 -t UTF-8"
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
