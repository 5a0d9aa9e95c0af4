"""Comma-, tab-, semicolon- and blank-separated text into blocks of numbers.

Text is cut into chunks of whole lines. NumPy's parser reads each, or pyarrow's where it is
installed and there is much to read; where neither can, or would read something else than `careful`
defines, that one reads the chunk or names the bad cell.
"""

from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, Block, ReadError, ReadOptions
from stablelse.readers.careful import read_lines
from stablelse.readers.dialect import Layout, Line, detect_layout
from stablelse.readers.fast import parse
from stablelse.readers.signatures import no_text
from stablelse.readers.source import Source

#: What is read at once. Large enough that the cost of a chunk does not show beside that of its
#: lines, small enough that the half a million lines it has at most fit in memory as objects.
CHUNK_BYTES = 1 << 20

#: The longest line: a million numbers of 17 digits, sign, point, exponent and delimiter, 25
#: characters each, fit in.
MAX_LINE_BYTES = 1 << 25

#: Behind so many chunks pyarrow reads, if it can: importing it takes as long as NumPy's parser
#: takes for these (0.1 to 0.2 s, measured). A file that is known to have more it reads all.
_CHUNKS_OF_NUMPY = 8


class Piece:
    """Some whole lines, the first of which has this number.

    Text and lines are made of the bytes only where something wants them: that takes as long as to
    parse them.

    Parameters
    ----------
    first : int
        The line's number.
    data : bytearray
        UTF-8, whose lines end in LF, but for the last one.
    """

    def __init__(self, first: int, data: bytearray) -> None:
        self.first = first
        self.data = data

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends; behind the last end is one more, empty."""
        return self.data.decode().split("\n")

    def ends(self) -> int:
        """Return how many lines end here."""
        # With lines as short as numbers are, several times as fast as bytes.count.
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord("\n")))

    def content(self) -> Iterator[Line]:
        """Yield the lines that are neither blank nor comments."""
        for number, text in enumerate(self.lines, self.first):
            stripped = text.lstrip()
            if stripped and stripped[0] != "#":
                yield Line(number, text)

    def below(self, number: int) -> "Piece":
        """Return the lines below the one with this number."""
        rest = "\n".join(self.lines[number + 1 - self.first :])
        return Piece(number + 1, bytearray(rest.encode()))


def blocks(source: Source, options: ReadOptions, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Block]:
    """Read text in blocks of bounded size.

    Parameters
    ----------
    source : Source
        UTF-8, with or without byte order mark; lines end in LF, CR LF or CR.
    options : ReadOptions
        How to read it.
    chunk_bytes : int
        How much to read at once; a longer line is read whole.

    Yields
    ------
    Block
        The rows of one chunk.

    Raises
    ------
    ReadError
        With file, line and column, where something is no number or no text.
    """
    pieces = _pieces(source, chunk_bytes)
    head = _head(pieces)
    lines = list(islice(chain.from_iterable(piece.content() for piece in head), 2))
    if not lines:
        raise ReadError(
            f"{source.name} is empty but for blank lines and comments; give it rows of numbers"
        )
    layout = detect_layout(lines, source.name, options)
    if layout.names is not None:
        head[0] = head[0].below(layout.first_line)
    is_long = (source.size() or 0) > _CHUNKS_OF_NUMPY * chunk_bytes
    rest = chain(head, pieces)
    offset = 0
    for piece, values in _parsed(rest, layout, 0 if is_long else _CHUNKS_OF_NUMPY):
        values, missing = _read(piece, layout, values)
        if len(values):
            yield Block(values, source.name, offset, missing, layout.columns)
            offset += len(values)


def _parsed(
    pieces: Iterator[Piece], layout: Layout, begin: int
) -> Iterator[tuple[Piece, Array | None]]:
    """Yield each piece, and from this one on what pyarrow read in it, if it could."""
    yield from ((piece, None) for piece in islice(pieces, begin))
    piece = next(pieces, None)
    if piece is None:
        return
    from stablelse.readers.arrow import parse_text, reads_text

    pieces = chain([piece], pieces)
    if reads_text(layout):
        from stablelse.readers.ahead import in_order

        yield from in_order(lambda piece: parse_text(piece.data, layout), pieces)
    else:
        yield from ((piece, None) for piece in pieces)


def _head(pieces: Iterator[Piece]) -> list[Piece]:
    """Take the pieces with the first two lines of content: not more than two pieces."""
    head: list[Piece] = []
    lines = 0
    for piece in pieces:
        found = len(list(islice(piece.content(), 2)))
        if found:
            head.append(piece)
            lines += found
        if lines >= 2:
            break
    return head


def _pieces(source: Source, chunk_bytes: int) -> Iterator[Piece]:
    """Cut the bytes after line ends, and make text of them."""
    first = 1
    buffer = bytearray()
    while data := source.read(chunk_bytes):
        searched = max(0, len(buffer) - 1)
        buffer += data
        if b"\0" in data:
            raise _nul(source, buffer, first)
        cut = _after_last_line_end(buffer, searched)
        if cut:
            piece = Piece(first, _checked(source, buffer[:cut], first))
            yield piece
            first += piece.ends()
            del buffer[:cut]
        if len(buffer) > MAX_LINE_BYTES:
            raise ReadError(
                f"{source.name}, line {first} is longer than {MAX_LINE_BYTES >> 20} MiB; "
                "put fewer numbers on a line, or save them with numpy.save"
            )
    if buffer:
        yield Piece(first, _checked(source, buffer, first))


def _after_last_line_end(buffer: bytearray, searched: int) -> int:
    # A CR at the very end is no line end yet: an LF that belongs to it may follow.
    return 1 + max(buffer.rfind(b"\n", searched), buffer.rfind(b"\r", searched, len(buffer) - 1))


def _one_line_end(data: bytearray) -> bytearray:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _checked(source: Source, data: bytearray, first: int) -> bytearray:
    """Return text whose lines end in LF, without byte order mark, if it is text."""
    data = _one_line_end(data)
    try:
        if not data.isascii():
            data.decode()
    except UnicodeDecodeError as error:
        line = first + data.count(b"\n", 0, error.start)
        byte = error.start - data.rfind(b"\n", 0, error.start)
        what = f"line {line}, byte {byte}: 0x{data[error.start]:02x} is not UTF-8"
        mend = "convert the file, for example: iconv -f LATIN1 -t UTF-8"
        raise no_text(source.head, source.name, what, mend) from None
    return data.removeprefix(BOM_UTF8) if first == 1 else data


def _nul(source: Source, buffer: bytearray, first: int) -> ReadError:
    line = first + _one_line_end(buffer[: buffer.index(0)]).count(b"\n")
    what = f"line {line} has a NUL byte, as no text has"
    return no_text(source.head, source.name, what, "give text (CSV), or an array in a .npy file")


def _read(
    piece: Piece, layout: Layout, values: Array | None
) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Read what pyarrow has not, and look at every inf."""
    if values is None:
        if not any(piece.content()):
            return np.empty((0, len(layout.positions))), None
        values = parse(piece.lines, layout)
    if values is None:
        return read_lines(piece.content(), layout)
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if infinite.size:
        # Each inf was either written so or is a literal that overflowed: only its cell tells.
        lines = list(piece.content())
        read_lines((lines[row] for row in infinite.tolist()), layout)
    return values, None
