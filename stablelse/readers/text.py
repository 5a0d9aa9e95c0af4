"""Comma-, tab-, semicolon-, bar- and blank-separated text into blocks of numbers.

Text is cut into chunks of whole lines. NumPy's parser reads each, or pyarrow's where it is
installed and there is much to read. Where neither can, or would read something else than
`read_cells` defines, that one reads the chunk or names the bad cell.
"""

from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, Block, Gauge, ReadError, ReadOptions
from stablelse.readers.dialect import Layout, Line, detect_layout
from stablelse.readers.lines import CHUNK_BYTES, Piece, cut_lines, line_start
from stablelse.readers.rows import read_cells, read_text
from stablelse.readers.source import Source

#: Behind so many chunks pyarrow reads, if it can: importing it takes as long as NumPy's parser
#: takes for these (0.1 to 0.2 s, measured). A file that is known to have more it reads all.
_CHUNKS_OF_NUMPY = 8

#: Up to here lines are counted where a part is wrong: for about a second, from a disk.
_MOST_RECOUNTED = 1 << 30


def blocks(source: Source, options: ReadOptions, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Block]:
    """Read text in blocks of bounded size: UTF-8, whose lines end in LF, CR LF or CR.

    Each chunk of so many bytes, or longer line, makes a block. ReadError names file, line and
    column of what is not a number.
    """
    layout, pieces = _laid_out(cut_lines(source, chunk_bytes), source.name, options)
    options.tell(layout.notes)
    is_long = (source.size() or 0) > _CHUNKS_OF_NUMPY * chunk_bytes
    yield from _rows(pieces, layout, 0 if is_long else _CHUNKS_OF_NUMPY)


class Lines(NamedTuple):
    """The lines that begin between two bytes of a text, and how they are read."""

    begin: int
    end: int
    layout: Layout


def ranges(source: Source, options: ReadOptions, part_bytes: int) -> list[tuple[Lines, int]]:
    """Split a text into parts of whole lines, with their sizes in bytes, about.

    The places need not be the ends of lines: a line belongs to the part that it begins in.
    """
    source.gauge = Gauge()
    chunk_bytes = min(CHUNK_BYTES, part_bytes)
    layout, _ = _laid_out(cut_lines(source, chunk_bytes), source.name, options)
    size = source.size() or 0
    # The header, and all that lies before it, belongs to the first part.
    places = [0, *range(max(part_bytes, source.gauge.count), size, part_bytes), size]
    return [(Lines(begin, end, layout), end - begin) for begin, end in pairwise(places)]


def range_blocks(source: Source, options: ReadOptions, part: Lines) -> Iterator[Block]:
    """Read some lines of a text that `ranges` has found.

    How many lines lie before them is not known. Only an error needs the number: then they are
    counted and the part is read again, or the error says from where it counts.
    """
    begin, end = (line_start(source, place) for place in part[:2])
    lines = source.span(begin, end)
    if not begin:
        options.tell(part.layout.notes)
        yield from _rows(_below_header(cut_lines(lines, CHUNK_BYTES), part.layout), part.layout)
        return
    try:
        # Not from 1: what begins the first line of a text may be a byte order mark.
        yield from _rows(cut_lines(lines, CHUNK_BYTES, 2), part.layout)
    except ReadError:
        first, name = 1, f"{source.name} (lines counted from byte {begin + 1:,})"
        if begin <= _MOST_RECOUNTED:
            before = cut_lines(source.span(0, begin), CHUNK_BYTES)
            first, name = 1 + sum(piece.ends() for piece in before), source.name
        again = source.span(begin, end)
        again.name = name
        layout = part.layout._replace(source=name)
        for _ in _rows(cut_lines(again, CHUNK_BYTES, first), layout):
            pass
        raise


def _laid_out(
    pieces: Iterator[Piece], source: str, options: ReadOptions
) -> tuple[Layout, Iterator[Piece]]:
    """Return how a text is laid out, and the pieces below its header."""
    head: list[Piece] = []
    lines: list[Line] = []
    for piece in pieces:
        if found := list(islice(piece.content(), 2)):
            head.append(piece)  # what has comments alone may be as long as it likes
            lines += found
        if len(lines) > 1:
            break
    if not lines:
        raise ReadError(
            f"{source} is empty but for blank lines and comments; give it rows of numbers"
        )
    layout = detect_layout(lines[:2], source, options)
    return layout, _below_header(chain(head, pieces), layout)


def _below_header(pieces: Iterator[Piece], layout: Layout) -> Iterator[Piece]:
    if layout.names is None:
        yield from pieces
        return
    for piece in pieces:
        yield piece.below(layout.first_line) if piece.first <= layout.first_line else piece


def _rows(pieces: Iterator[Piece], layout: Layout, begin: int = 0) -> Iterator[Block]:
    """Read pieces; pyarrow those from this one on, if it can."""
    offset = 0
    for piece, values in _parsed(pieces, layout, begin):
        values, missing = _read(piece, layout, values)
        if len(values):
            yield Block(
                values, layout.source, offset, missing, layout.columns, left_out=layout.left_out
            )
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


def _read(
    piece: Piece, layout: Layout, values: Array | None
) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Read what pyarrow has not, and look at every inf."""
    if values is None:
        if not any(piece.content()):
            return np.empty((0, len(layout.positions))), None
        values = read_text(piece.text, layout)
    if values is None:
        return read_cells(piece.content(), layout)
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if infinite.size:
        # Each inf was either written so or is a literal that overflowed: only its cell tells.
        lines = list(piece.content())
        read_cells((lines[row] for row in infinite.tolist()), layout)
    return values, None
