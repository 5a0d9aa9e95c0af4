"""Turns comma-, tab-, semicolon-, bar- and blank-separated text into blocks of numbers.

Text is cut into pieces of whole lines. NumPy's parser reads each, or pyarrow's if it is installed
and the file is large. If they cannot, or might differ, `_read_cells` reads the piece.
"""

import os
import re
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from stablelse.printable import counted
from stablelse.readers import tables
from stablelse.readers.blocks import (
    Array,
    Block,
    Mask,
    Note,
    ReadError,
    ReadOptions,
    in_order,
    quoted,
)
from stablelse.readers.layout import (
    BEGINS_COMMENT,
    COMMENTS,
    DELIMITERS,
    USE_HEADER,
    Layout,
    Line,
    detect_layout,
    split,
)
from stablelse.readers.literals import (
    MAX_LITERAL,
    SPELLINGS,
    BadLiteralError,
    is_missing,
    looks_numeric,
    number_reader,
)
from stablelse.readers.sources import Source, not_text

#: Bytes read at once: many lines, but few enough to fit in memory as objects.
PIECE_BYTES = 1 << 20

#: The longest line; it takes up to 25 times as much memory.
MAX_LINE_BYTES = 1 << 23

#: After this many pieces pyarrow takes over, if it can: importing it takes as long as parsing these
#: with NumPy (0.1 to 0.2 s, measured). If a file is known to have more, pyarrow reads it all.
_PIECES_OF_NUMPY = 8

#: More threads than this would parse faster than a disk and one consumer can keep up with.
_MOST_THREADS = 4

#: To report an error in a part, lines are counted up to here: about a second, from a disk.
_MOST_RECOUNTED = 1 << 30

#: Bytes read at once to find the end of a line: most are far shorter.
_LINE_END_BYTES = 1 << 12

#: Characters that NumPy takes for blanks, but `split` does not.
_OTHER_BLANKS = [c for c in map(chr, range(0x3001)) if c.isspace() and c not in " \t\r\n"]

#: Found in literals that may be too small for their format; one pattern per letter is faster.
_TINY = [re.compile(rf"{letter}[-\u2212](?:[3-9]\d\d|\d{{4}})") for letter in "eEdD"]
_TINY.append(re.compile("0" * 300))


class Piece(NamedTuple):
    """Whole lines that end in LF, with the number of the first one."""

    first: int
    text: str

    def content(self) -> Iterator[Line]:
        """Yield the lines that are neither blank nor comments."""
        for number, text in enumerate(self.text.split("\n"), self.first):
            stripped = text.lstrip()
            if stripped and not BEGINS_COMMENT.match(stripped):
                yield Line(number, text)


def pieces_of(
    source: Source,
    first: int = 1,
    piece_bytes: int | None = None,
    end: int = sys.maxsize,
    most: int | None = None,
    other_end: bytes = b"\n",
) -> Iterator[Piece]:
    """Cut the bytes of a text, up to `end`, after line ends, or after what else may end a piece.

    The first piece begins in the line `first`. No line, or piece, is longer than `most`.
    """
    buffer, most = bytearray(), most or MAX_LINE_BYTES
    before = 0  # bytes of the line in earlier pieces
    while data := source.read(min(piece_bytes or PIECE_BYTES, end - source.tell())):
        begin = max(0, len(buffer) - 1)
        buffer += data
        if b"\0" in data:
            line = first + _one_line_end(buffer[: buffer.index(0)]).count(b"\n")
            what = f"line {line} has a NUL byte, so it is not text"
            raise not_text(source, what, "give text (CSV), or an array in a .npy file")
        # A CR at the very end is not a line end yet: its LF may follow.
        ends = [buffer.rfind(sign, begin) for sign in (b"\n", other_end)]
        if cut := 1 + max(*ends, buffer.rfind(b"\r", begin, len(buffer) - 1)):
            lines = _one_line_end(buffer[:cut])
            yield _decoded(source, lines, first, before)
            last = lines.rfind(b"\n")
            before = len(lines) - 1 - last + (before if last < 0 else 0)
            # For lines as short as numbers, this is several times as fast as bytes.count.
            first += int(np.count_nonzero(np.frombuffer(lines, np.uint8) == ord("\n")))
            del buffer[:cut]
        if len(buffer) > most:
            raise ReadError(
                f"{source.name}, line {first} is longer than {most >> 20} MiB; "
                "put fewer numbers on a line, or save them with numpy.save"
            )
    if buffer:
        yield _decoded(source, _one_line_end(buffer), first, before)


def _one_line_end(data: bytearray) -> bytearray:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _decoded(source: Source, data: bytearray, first: int, before: int) -> Piece:
    """Return lines without a byte order mark, if they are text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = first + data.count(b"\n", 0, error.start)
        last = data.rfind(b"\n", 0, error.start)
        byte = error.start - last + (before if last < 0 else 0)
        what = f"line {line}, byte {byte}: 0x{data[error.start]:02x} is not UTF-8"
        hint = "convert the file, for example: iconv -f LATIN1 -t UTF-8"
        raise not_text(source, what, hint) from None
    return Piece(first, text if before or first > 1 else text.removeprefix("\ufeff"))


def text(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read UTF-8 text whose lines end in LF, CR LF or CR, piece by piece.

    A line belongs to the part where it begins, but the header and all before it to the first part.
    """
    (part, parts), size = options.part, source.size or 0
    piece_bytes = min(PIECE_BYTES, max(1, size // parts)) if parts > 1 else PIECE_BYTES
    layout, pieces = _laid_out(pieces_of(source, 1, piece_bytes), source.name, options)
    if part == 0:
        options.notify(layout.notes)
    if parts == 1:
        yield from _rows(
            pieces, layout, 0 if size > _PIECES_OF_NUMPY * PIECE_BYTES else _PIECES_OF_NUMPY
        )
        return
    head = source.tell()
    begin, end = (_line_start(source, place and max(head, place)) for place in options.share(size))
    source.seek(begin)
    if part == 0:
        yield from _rows(_below_header(pieces_of(source, end=end), layout), layout)
        return
    try:
        # Not from 1: the first line of a text may begin with a byte order mark.
        yield from _rows(pieces_of(source, 2, end=end), layout)
    except ReadError:  # the lines before are counted only now
        first, name = 1, f"{source.name} (lines counted from byte {begin + 1:,})"
        if begin <= _MOST_RECOUNTED:
            source.seek(0)
            first = 1 + sum(piece.text.count("\n") for piece in pieces_of(source, end=begin))
            name = source.name
        source.seek(begin)
        source.name = name
        deque(_rows(pieces_of(source, first, end=end), layout._replace(source=name)), 0)
        raise


def _line_start(source: Source, place: int) -> int:
    """Return where the first line at or after this place begins."""
    size = source.size or 0
    if not 0 < place < size:
        return place
    # A line end may have two bytes.
    for begin in range(place - 1, min(size, place + MAX_LINE_BYTES), _LINE_END_BYTES):
        source.seek(begin)
        end = re.search(rb"\r\n|[\r\n]", source.read(_LINE_END_BYTES + 1))
        if end is not None and end.start() < _LINE_END_BYTES:
            return begin + end.end()
    return size


def _laid_out(
    pieces: Iterator[Piece], source: str, options: ReadOptions
) -> tuple[Layout, Iterator[Piece]]:
    """Return the layout of a text, and the pieces below its header."""
    head: list[Piece] = []
    lines: list[Line] = []
    for piece in pieces:
        if content := list(islice(piece.content(), 2)):
            head.append(piece)  # comments at the top may be of any length
            lines += content
        if len(lines) > 1:
            break
    if not lines:
        raise ReadError(
            f"{source} is empty: it has only blank lines and comments; give it rows of numbers"
        )
    layout = detect_layout(lines[:2], source, options)
    return layout, _below_header(chain(head, pieces), layout)


def _below_header(pieces: Iterator[Piece], layout: Layout) -> Iterator[Piece]:
    header = 0 if layout.columns.names is None else layout.first_line
    for first, text in pieces:
        *_, rest = text.split("\n", max(0, header + 1 - first))
        yield Piece(max(first, header + 1), rest)


def _rows(pieces: Iterator[Piece], layout: Layout, begin: int = 0) -> Iterator[Block]:
    """Read pieces, those from `begin` on with pyarrow if it can."""
    offset = 0
    for piece, parsed in _parsed(pieces, layout, begin):
        values, missing = _read(piece, layout, parsed)
        if len(values):
            yield Block(values, layout.source, offset, missing, layout.columns.headings)
            offset += len(values)


def _parsed(
    pieces: Iterator[Piece], layout: Layout, begin: int
) -> Iterator[tuple[Piece, Array | None]]:
    """Yield each piece with the numbers that pyarrow read, from `begin` on, or None."""
    yield from ((piece, None) for piece in islice(pieces, begin))
    is_for_arrow = layout.delimiter is not None or layout.width == 1
    is_for_arrow &= np.dtype(layout.options.dtype) == np.float64
    if not (is_for_arrow and tables.is_installed()):
        yield from ((piece, None) for piece in pieces)
        return

    def parse(piece: Piece) -> Array | None:
        text, positions = _plain(piece.text, layout), layout.columns.positions
        if text is None:
            return None
        return tables.parse_text(text, layout.width, positions, layout.delimiter)

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, "stablelse-readers") as pool:
        yield from in_order(lambda piece: pool.submit(parse, piece), pieces, threads + 1)


def _read(piece: Piece, layout: Layout, values: Array | None) -> tuple[Array, Mask | None]:
    """Read what pyarrow has not, and check each inf, and each 0 that may have underflowed."""
    if values is None:
        values = _read_fast(piece.text, layout)
    if values is None:
        return _read_cells(piece.content(), layout)
    # An inf was either written so or is a literal that overflowed: only its cell tells which.
    infinite = np.isinf(values).any(axis=1)
    zero = (values == 0).any(axis=1)
    zero &= bool(zero.any()) and _may_be_tiny(piece.text)
    if infinite.any() or zero.any():
        lines = list(piece.content())
        zero[zero] = [_may_be_tiny(lines[row].text) for row in np.flatnonzero(zero)]
        _read_cells((lines[row] for row in np.flatnonzero(infinite | zero)), layout)
    return values, None


def _may_be_tiny(text: str) -> bool:
    return any(pattern.search(text) for pattern in _TINY)


def _plain(text: str, layout: Layout) -> str | None:
    """Return whole lines without quotes and comments, if all parsers then read them the same."""
    delimiter = "[ \t]" if layout.delimiter is None else re.escape(layout.delimiter)
    if any(blank in text for blank in _OTHER_BLANKS):
        return None
    if "#" in text and '"' not in text:
        text = COMMENTS.sub("", text)
    if '"' in text:
        # A quote at the beginning or end of a cell can be dropped, with the blanks beside it.
        pieces = text.split('"')  # alternately outside and inside quotes
        outside, inside = pieces[::2], pieces[1::2]
        ends = {piece[-1:] for piece in outside[:-1]} | {piece[:1] for piece in outside[1:]}
        signs = {"\n", *(layout.delimiter or " \t")}
        is_odd = len(pieces) % 2 == 0 or "" in inside or "" in outside[1:-1]
        if is_odd or ends - signs - {"", " ", "\t"} or any(map("".join(inside).count, signs)):
            return None
        text = "".join(pieces)
    if layout.is_closed:
        text = re.sub(rf"(?m)(?<=\S){delimiter}[ \t]*$", "", text)
    if layout.options.decimal == ",":
        if "." in text or layout.delimiter == ",":
            return None
        text = text.replace(",", ".")
    if not text.isascii() or "d" in text or "D" in text:
        text = text.translate(SPELLINGS)
    return None if "#" in text else text


def _read_fast(text: str, layout: Layout) -> Array | None:
    """Read whole lines with ``numpy.loadtxt``; None where `_read_cells` might differ.

    With ``usecols`` NumPy ignores rows of another width; it does not bound the length of a cell. A
    literal that overflows is inf here.
    """
    delimiter, positions = layout.delimiter, layout.columns.positions
    text = _plain(text, layout) or ""
    lines = text.split("\n")
    is_all = positions == range(layout.width)
    # If NumPy gets all columns, it counts cells itself.
    widths = set() if is_all else {len(line.split(delimiter)) for line in lines if line}
    long = (line.split(delimiter) for line in lines if len(line) > MAX_LITERAL)
    is_long = any(max(map(len, cells)) > MAX_LITERAL for cells in long)
    if not text or is_long or widths - {layout.width}:
        return None
    # float64's spelling counts for every dtype: NumPy's longdouble also takes 0x10, nan(1) and,
    # as zero, a blank.
    values = None
    for dtype in dict.fromkeys((np.dtype(np.float64), np.dtype(layout.options.dtype))):
        try:
            with warnings.catch_warnings():
                # NumPy warns of a longdouble outside the normal range, and of missing data.
                warnings.simplefilter("ignore")
                values = np.loadtxt(
                    lines,
                    dtype=dtype,
                    comments=None,
                    delimiter=delimiter,
                    usecols=None if is_all else positions,
                    ndmin=2,
                )
        except ValueError:
            return None
    return values if values is not None and values.shape[1] == len(positions) else None


def _read_cells(lines: Iterable[Line], layout: Layout) -> tuple[Array, Mask | None]:
    """Return the wanted numbers of lines, and where one is missing: this defines the format."""
    options, positions = layout.options, layout.columns.positions

    def note(text: str) -> None:
        options.notify([Note(text, f"{layout.source}, line {line.number}")])

    read_number = number_reader(options.dtype, options.decimal, options.words, note)
    numbers: list[Any] = []
    missing: list[int] = []
    for line in lines:
        cells = split(line, layout.delimiter, layout.source)
        if layout.is_closed and len(cells) == layout.width + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != layout.width:
            raise _uneven(line, len(cells), layout)
        for position in positions:
            try:
                numbers.append(read_number(cells[position]))
            except BadLiteralError as bad:
                if not (options.skip_na and is_missing(cells[position])):
                    raise _bad_cell(line, position, cells[position], layout, bad) from None
                missing.append(len(numbers))
                numbers.append(np.nan)
    values = np.array(numbers, dtype=options.dtype).reshape(-1, len(positions))
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[missing] = True
    return values, mask.reshape(values.shape) if missing else None


def _uneven(line: Line, cells: int, layout: Layout) -> ReadError:
    """Return the error about a line with more or fewer cells than the first one."""
    hint = "give all rows as many cells, or say what is between them with --delimiter"
    if "#" in line.text and cells < layout.width:
        hint = "a # after a blank starts a comment: put a cell that holds one in quotes"
    return ReadError(
        f"{layout.source}, line {line.number} has {counted(cells, 'cell')}, but line "
        f"{layout.first_line} has {layout.width}; {hint}"
    )


def _bad_cell(
    line: Line, position: int, cell: str, layout: Layout, bad: BadLiteralError
) -> ReadError:
    """Return the error about a cell that is not a number, with its place and how to fix it."""
    place = f"{layout.source}, line {line.number}, {layout.columns.label(position)}"
    hint = ""
    if line.number == layout.first_line and not (layout.options.header or bad.is_overflow):
        no_header = "leave out --no-header if it holds names"
        hint = f", or {USE_HEADER if layout.options.header is None else no_header}"
    if is_missing(cell):
        what = f"is {quoted(cell)}, which is not a number" if cell else "is blank"
        return ReadError(
            f"{place} {what}; fill it in, or leave out such cells with --skip-na{hint}"
        )
    return ReadError(f"{place}: {bad}; {bad.fix or _fix(cell, layout)}{hint}")


def _fix(cell: str, layout: Layout) -> str:
    if layout.options.decimal == "." and "," in cell and looks_numeric(cell):
        return "use --decimal , if its comma is a decimal comma"
    for delimiter in (*DELIMITERS, " ", ":"):
        pieces = cell.split(delimiter)
        if len(pieces) > 1 and all(map(looks_numeric, pieces)):
            shown = "\\t" if delimiter == "\t" else delimiter
            return f"if it is {len(pieces)} numbers, use --delimiter '{shown}'"
    if layout.width > 1:
        return "correct it, or choose the columns of numbers with --column"
    return "correct it, or write NA instead and use --skip-na"
