"""The bytes of a text into pieces of whole lines."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from stablelse.readers.block import ReadError
from stablelse.readers.dialect import COMMENT, Line
from stablelse.readers.signatures import no_text
from stablelse.readers.source import Source

#: What is read at once. Large enough that the cost of a chunk does not show beside that of its
#: lines, small enough that the half a million lines it has at most fit in memory as objects.
CHUNK_BYTES = 1 << 20

#: The longest line: a million numbers of 17 digits, sign, point, exponent and delimiter, 25
#: characters each, fit in.
MAX_LINE_BYTES = 1 << 25

#: What is read at once to find the end of a line: most are far shorter.
_SOUGHT_BYTES = 1 << 12

_COMMENT = re.compile(COMMENT)
_LINE_END = re.compile(rb"[\r\n]")


class Piece:
    """Whole lines in UTF-8 that end in LF, made text only on use; `first` is the number of one."""

    def __init__(self, first: int, data: bytearray) -> None:
        self.first = first
        self.data = data

    @cached_property
    def text(self) -> str:
        """The lines as they are."""
        return self.data.decode()

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends; behind the last end is one more, empty."""
        return self.text.split("\n")

    def ends(self) -> int:
        """Return how many lines end here."""
        # With lines as short as numbers are, several times as fast as bytes.count.
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord("\n")))

    def content(self) -> Iterator[Line]:
        """Yield the lines that are neither blank nor comments."""
        for number, text in enumerate(self.lines, self.first):
            stripped = text.lstrip()
            if stripped and not _COMMENT.match(stripped):
                yield Line(number, text)

    def below(self, number: int) -> "Piece":
        """Return the lines below the one with this number."""
        rest = "\n".join(self.lines[number + 1 - self.first :])
        return Piece(number + 1, bytearray(rest.encode()))


def cut_lines(source: Source, chunk_bytes: int, first: int = 1) -> Iterator[Piece]:
    """Cut the bytes after line ends, and make text of them; the first line has this number."""
    buffer = bytearray()
    while data := source.read(chunk_bytes):
        sought = max(0, len(buffer) - 1)
        buffer += data
        if b"\0" in data:
            raise _nul(source, buffer, first)
        # A CR at the very end is no line end yet: an LF that belongs to it may follow.
        ends = buffer.rfind(b"\n", sought), buffer.rfind(b"\r", sought, len(buffer) - 1)
        if cut := 1 + max(ends):
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


def line_start(source: Source, place: int) -> int:
    """Return where the first line begins that does not begin before this place."""
    size = source.size() or 0
    if not 0 < place < size:
        return place
    # What ends a line may be of two bytes.
    for begin in range(place - 1, min(size, place + MAX_LINE_BYTES), _SOUGHT_BYTES):
        window = source.read_at(begin, _SOUGHT_BYTES + 1)
        end = _LINE_END.search(window, 0, _SOUGHT_BYTES)
        if end is not None:
            is_pair = window[end.start() : end.start() + 2] == b"\r\n"
            return begin + end.start() + 1 + is_pair
    return size


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
