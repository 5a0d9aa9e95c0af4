"""NumPy's own files of one array, ``.npy``, into blocks of numbers.

They are read in pieces, not mapped into memory: the pages of a map count as this process's
memory once touched, so that its use would grow with the file.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from stablelse.readers.block import Array, Block, ReadError, ReadOptions
from stablelse.readers.columns import choose_columns
from stablelse.readers.source import Source, read_parts, spooled
from stablelse.readers.spans import span

#: What is read at once; small beside the memory that NumPy itself takes, large beside the cost
#: of a block.
BLOCK_BYTES = 1 << 22

#: NumPy's own bound on a header, which is parsed as Python literals (NEP 1).
_MAX_HEADER_BYTES = 10_000

#: How many bytes hold the header's length, and what parses it, per version of the format. Versions
#: 2 and 3 differ only in the encoding of field names, which no array of plain numbers has.
_VERSIONS: dict[bytes, tuple[int, Callable[..., Any]]] = {
    b"\x01\x00": (2, np.lib.format.read_array_header_1_0),
    b"\x02\x00": (4, np.lib.format.read_array_header_2_0),
    b"\x03\x00": (4, np.lib.format.read_array_header_2_0),
}

#: What cannot be read, by the kind of its dtype: what it holds, and the mend.
_REFUSED = {
    "c": ("complex numbers", "save x.real, or abs(x)"),
    "O": ("Python objects, which could run any code", "save x.astype(float)"),
    "S": ("byte strings", "save x.astype(float)"),
    "U": ("strings", "save x.astype(float)"),
    "M": ("dates", "save them as numbers"),
    "m": ("time spans", "save them as numbers"),
    "V": (
        "raw bytes, as which numpy.save writes ml_dtypes' bfloat16 and float8",
        "save x.astype(numpy.float32)",
    ),
}
_STRUCTURED = ("records", "save one field, x['name']")


class Header(NamedTuple):
    """What an array says about itself.

    Attributes
    ----------
    shape : tuple of int
        The array's shape.
    is_fortran : bool
        Whether the first axis varies fastest.
    dtype : dtype
        The type of its numbers, or of the codes that hold them.
    size : int
        How many bytes lie before the numbers.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    size: int


def blocks(source: Source, options: ReadOptions, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read an array in blocks of bounded size.

    Parameters
    ----------
    source : Source
        A .npy file or a pipe of one, with no, one or two axes. One axis is read as one column.
    options : ReadOptions
        ``columns``: numbers only. ``dtype``: what integers and bools are converted to;
        floating-point numbers stay what they are.
    block_bytes : int
        How much to read at once; a longer row is read whole.

    Yields
    ------
    Block
        Some rows.

    Raises
    ------
    ReadError
        If the file is damaged or holds something else than real numbers.
    """
    yield from array_blocks(source, _read_header(source), options, block_bytes=block_bytes)


class Rows(NamedTuple):
    """Some rows of an array, from 0, the last one excluded."""

    header: Header
    begin: int
    end: int


def ranges(source: Source, options: ReadOptions, part_bytes: int) -> list[tuple[Rows, int]]:
    """Split an array into parts of whole rows, with their sizes in bytes.

    Nothing is split of an array whose first axis varies fastest, for each of its rows is strewn
    over all of the file.
    """
    header = _read_header(source)
    rows, width = _readable_shape(source, header)
    if header.is_fortran and min(rows, width) > 1:
        return []
    row_bytes = width * header.dtype.itemsize
    step = max(1, part_bytes // row_bytes)
    parts = [Rows(header, begin, min(begin + step, rows)) for begin in range(0, rows, step)]
    return [(part, (part.end - part.begin) * row_bytes) for part in parts]


def range_blocks(source: Source, options: ReadOptions, part: Rows) -> Iterator[Block]:
    """Read some rows of an array that `ranges` has found."""
    header, begin, end = part
    row_bytes = math.prod(header.shape[1:]) * header.dtype.itemsize
    own = span(source, header.size + begin * row_bytes, header.size + end * row_bytes)
    alone = header._replace(shape=(end - begin, *header.shape[1:]), size=0)
    for block in array_blocks(own, alone, options):
        yield block._replace(offset=begin + block.offset)


def array_blocks(
    source: Source,
    header: Header,
    options: ReadOptions,
    decode: Callable[[Array], Array] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Read an array whose header has been read.

    Parameters
    ----------
    source : Source
        Its next byte is the array's first; where it can be sought, `header` says where that is.
    header : Header
        Whether or not it tells the truth.
    options, block_bytes
        As of :func:`blocks`.
    decode : callable or None
        Makes floating-point numbers of codes; ``None``: they are numbers.

    Yields
    ------
    Block
        Some rows.

    Raises
    ------
    ReadError
        If there are more than two axes, nothing at all, or less than the header says.
    """
    rows, width = _readable_shape(source, header)
    chosen = choose_columns(options.columns, None, width, source.name)
    kept = options.dtype if header.dtype.kind in "biu" else header.dtype.newbyteorder("=")
    rows_at_once = max(1, block_bytes // (width * header.dtype.itemsize))
    for offset, values in _read_values(source, header, (rows, width), rows_at_once, chosen):
        numbers = values.astype(kept, copy=False) if decode is None else decode(values)
        yield Block(numbers, source.name, offset)


def _read_header(source: Source) -> Header:
    magic_and_version = source.read(8)
    if magic_and_version[6:] not in _VERSIONS:
        raise _damaged(source.name, "its version is none that NumPy writes")
    length_bytes, parse = _VERSIONS[magic_and_version[6:]]
    length = source.read(length_bytes)
    promised = int.from_bytes(length, "little")
    if promised > _MAX_HEADER_BYTES:
        raise _damaged(source.name, f"its header claims {promised:,} bytes")
    text = source.read(promised)
    if len(length) < length_bytes or len(text) < promised:
        raise ReadError(f"{source.name} is truncated within its header; copy or save it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, is_fortran, dtype = parse(BytesIO(length + text))
    except Exception:  # bytes of any kind are evaluated as literals: no list of errors is complete
        raise _damaged(source.name, "its header is not one that NumPy writes") from None
    if dtype.kind not in "biuf":
        is_structured = dtype.fields or dtype.subdtype
        what, mend = _STRUCTURED if is_structured else _REFUSED[dtype.kind]
        raise ReadError(f"{source.name} holds {what} ({dtype}), no real numbers; {mend}")
    return Header(shape, is_fortran, dtype, 8 + length_bytes + promised)


def _readable_shape(source: Source, header: Header) -> tuple[int, int]:
    """Return how many rows and columns there are, if that is true."""
    rows, width = _two_axes(header, source.name)
    size = source.size()
    # Before anything of that size is allocated: a header may claim anything.
    if size is not None and size - header.size < rows * width * header.dtype.itemsize:
        raise _truncated(source.name, header, size - header.size)
    return rows, width


def _two_axes(header: Header, source: str) -> tuple[int, int]:
    """Return how many rows and columns there are, if it is an array that can be read."""
    if any(length < 0 for length in header.shape):
        raise _damaged(source, f"its header claims the shape {header.shape}")
    if 0 in header.shape:
        raise ReadError(f"{source} is empty: its array has the shape {header.shape}")
    if len(header.shape) > 2:
        raise ReadError(
            f"{source} has {len(header.shape)} axes, its shape is {header.shape}; "
            f"save x.reshape(-1, {header.shape[-1]}), a vector per row"
        )
    rows, width = (*header.shape, 1, 1)[:2]
    return rows, width


def _read_values(
    source: Source,
    header: Header,
    shape: tuple[int, int],
    rows_at_once: int,
    chosen: tuple[int, ...] | None,
) -> Iterator[tuple[int, Array]]:
    """Yield the rows in order, each time with the number of rows before."""
    if not (header.is_fortran and min(shape) > 1):
        yield from _read_rows(source, header, shape, rows_at_once, chosen)
    elif source.is_seekable:
        yield from _read_columns(source, header, shape, rows_at_once, chosen)
    else:
        # The first row of a pipe is complete only when nearly everything has come.
        promised = math.prod(shape) * header.dtype.itemsize
        with spooled(source, promised) as file:
            if (file.size() or 0) < promised:
                raise _truncated(source.name, header, file.size() or 0)
            yield from _read_columns(file, header._replace(size=0), shape, rows_at_once, chosen)


def _read_rows(
    source: Source,
    header: Header,
    shape: tuple[int, int],
    rows_at_once: int,
    chosen: tuple[int, ...] | None,
) -> Iterator[tuple[int, Array]]:
    rows, width = shape
    row_bytes = width * header.dtype.itemsize
    for begin in range(0, rows, rows_at_once):
        count = min(rows_at_once, rows - begin)
        data = _read_bytes(source, count * row_bytes)
        if len(data) < count * row_bytes:
            raise _truncated(source.name, header, begin * row_bytes + len(data))
        values = np.frombuffer(data, header.dtype).reshape(count, width)
        yield begin, values if chosen is None else values[:, chosen]


def _read_bytes(source: Source, count: int) -> Any:
    """Return the next bytes, fewer at the end; where there are many, allocate none ahead."""
    if count <= BLOCK_BYTES:
        data = np.empty(count, np.uint8)
        return data[: source.fill(data.data)]
    parts = bytearray()
    for part in read_parts(source, count):
        parts += part
    return parts


def _read_columns(
    source: Source,
    header: Header,
    shape: tuple[int, int],
    rows_at_once: int,
    chosen: tuple[int, ...] | None,
) -> Iterator[tuple[int, Array]]:
    rows, width = shape
    positions = range(width) if chosen is None else chosen
    itemsize = header.dtype.itemsize
    for begin in range(0, rows, rows_at_once):
        count = min(rows_at_once, rows - begin)
        values = np.empty((count, len(positions)), header.dtype)
        for column, position in enumerate(positions):
            place = header.size + (position * rows + begin) * itemsize
            data = source.read_at(place, count * itemsize)
            if len(data) < count * itemsize:  # cut short since its size was asked for
                raise _truncated(source.name, header, place - header.size + len(data))
            values[:, column] = np.frombuffer(data, header.dtype)
        yield begin, values


def _truncated(source: str, header: Header, found: int) -> ReadError:
    promised = math.prod(header.shape) * header.dtype.itemsize
    return ReadError(
        f"{source} is truncated: its header promises {promised:,} bytes for the shape "
        f"{header.shape} of {header.dtype}, and {found:,} follow; copy or save it again"
    )


def _damaged(source: str, what: str) -> ReadError:
    return ReadError(f"{source} is a damaged .npy file: {what}; copy or save it again")
