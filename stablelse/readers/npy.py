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

from stablelse.readers.block import Array, Block, By, ReadError, ReadOptions, damaged
from stablelse.readers.columns import choose_columns
from stablelse.readers.source import Source, read_header, read_parts, spooled

#: What is read at once; small beside the memory that NumPy itself takes, large beside the cost
#: of a block.
BLOCK_BYTES = 1 << 22

#: NumPy's own bound on a header, which is parsed as Python literals (NEP 1).
_MAX_HEADER_BYTES = 10_000

_KIND = ".npy"

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

#: What chooses columns of rows: all, or those at these positions.
_Wanted = slice | list[int]


class Header(NamedTuple):
    """What an array says about itself; `size` is how many bytes lie before its numbers."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    size: int


def blocks(source: Source, options: ReadOptions, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read an array: ``options.axis`` has the vectors, the others are counted as rows."""
    yield from array_blocks(source, _read_header(source), options, block_bytes=block_bytes)


class Axes(NamedTuple):
    """Which axis of an array has the vectors, and how its numbers lie in the file.

    Rows are counted over the axes of the lengths `outer`, the last one fastest; each has `width`
    numbers. So many numbers lie from one to its neighbour: `steps` on the outer axes, `step` within
    a vector. `by` is what a vector is, if that is settled.
    """

    outer: tuple[int, ...]
    width: int
    steps: tuple[int, ...]
    step: int
    by: By | None

    @property
    def rows(self) -> int:
        """How many vectors there are."""
        return math.prod(self.outer)

    def long(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the lengths and steps of the outer axes longer than 1; one axis at least."""
        pairs = [pair for pair in zip(self.outer, self.steps, strict=True) if pair[0] > 1]
        lengths, steps = zip(*pairs or [(1, 1)], strict=True)
        return lengths, steps

    @property
    def slab(self) -> int | None:
        """How many numbers interwoven rows have; ``None`` if rows do not lie in their order."""
        lengths, steps = self.long()
        if list(steps) != sorted(steps, reverse=True):
            return None
        pairs = zip(lengths, steps, strict=True)
        return self.width * math.prod(length for length, step in pairs if step < self.step)


class Rows(NamedTuple):
    """Some rows of an array, from 0, the last one excluded."""

    header: Header
    begin: int
    end: int


def ranges(source: Source, options: ReadOptions, part_bytes: int) -> list[tuple[Rows, int]]:
    """Split an array into parts of whole rows, with their sizes in bytes.

    Nothing is split whose vectors do not lie one behind the other.
    """
    header = _read_header(source)
    axes = _readable_axes(source, header, options)
    if axes.slab != axes.width:
        return []
    row_bytes = axes.width * header.dtype.itemsize
    step = max(1, part_bytes // row_bytes)
    parts = [Rows(header, n, min(n + step, axes.rows)) for n in range(0, axes.rows, step)]
    return [(part, (part.end - part.begin) * row_bytes) for part in parts]


def range_blocks(source: Source, options: ReadOptions, part: Rows) -> Iterator[Block]:
    """Read some rows of an array that `ranges` has found."""
    header, begin, end = part
    width = _axes(header, options, source.name).width
    row_bytes = width * header.dtype.itemsize
    own = source.span(header.size + begin * row_bytes, header.size + end * row_bytes)
    alone = header._replace(shape=(end - begin, width), is_fortran=False, size=0)
    for block in array_blocks(own, alone, options._replace(axis=None)):
        yield block._replace(offset=begin + block.offset)


def array_blocks(
    source: Source,
    header: Header,
    options: ReadOptions,
    decode: Callable[[Array], Array] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Read an array whose header has been read, whether or not that tells the truth.

    The next byte of the source is the array's first; `decode` makes numbers of codes.
    """
    axes = _readable_axes(source, header, options)
    chosen = choose_columns(options.columns, None, axes.width, source.name)
    kept = options.dtype if header.dtype.kind in "biu" else header.dtype.newbyteorder("=")
    outer = axes.outer if len(axes.outer) > 1 else ()
    offset = 0
    wanted = slice(None) if chosen is None else list(chosen)
    for values in _read_values(source, header, axes, block_bytes, wanted):
        numbers = values.astype(kept, copy=False) if decode is None else decode(values)
        yield Block(numbers, source.name, offset, by=axes.by, outer=outer)
        offset += len(numbers)


def _read_header(source: Source) -> Header:
    magic_and_version = source.read(8)
    if magic_and_version[6:] not in _VERSIONS:
        raise damaged(source.name, _KIND, "its version is none that NumPy writes")
    length_bytes, parse = _VERSIONS[magic_and_version[6:]]
    length = read_header(source, length_bytes, length_bytes, _KIND)
    text = read_header(source, int.from_bytes(length, "little"), _MAX_HEADER_BYTES, _KIND)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, is_fortran, dtype = parse(BytesIO(length + text))
    except Exception:  # bytes of any kind are evaluated as literals: no list of errors is complete
        raise damaged(source.name, _KIND, "its header is not one that NumPy writes") from None
    if dtype.kind not in "biuf":
        is_structured = dtype.fields or dtype.subdtype
        what, mend = _STRUCTURED if is_structured else _REFUSED[dtype.kind]
        raise ReadError(f"{source.name} holds {what} ({dtype}), no real numbers; {mend}")
    return Header(shape, is_fortran, dtype, 8 + len(length + text))


def _readable_axes(source: Source, header: Header, options: ReadOptions) -> Axes:
    """Return what the axes are, if what the header says can be true."""
    axes = _axes(header, options, source.name)
    size = source.size()
    # Before anything of that size is allocated: a header may claim anything.
    if size is not None and size - header.size < axes.rows * axes.width * header.dtype.itemsize:
        raise _truncated(source.name, header, size - header.size)
    return axes


def _axes(header: Header, options: ReadOptions, source: str) -> Axes:
    """Return what the axes are, if it is an array that can be read."""
    shape, axis = header.shape, options.axis
    if any(length < 0 for length in shape):
        raise damaged(source, _KIND, f"its header claims the shape {shape}")
    if 0 in shape:
        raise ReadError(f"{source} is empty: its array has the shape {shape}")
    if axis is not None and not -len(shape) <= axis < len(shape):
        raise ReadError(
            f"{source} has no axis {axis}: its shape is {shape}; choose from 0 to {len(shape) - 1}"
        )
    by = None if axis is None and len(shape) <= 2 else By.ROWS
    if len(shape) < 2:  # a column
        shape, axis, by = (*shape, 1, 1)[:2], 1, None
    axis = (-1 if axis is None else axis) % len(shape)
    if axis == 0 and len(shape) == 2:
        by = By.COLUMNS
    steps = [
        math.prod(shape[:i] if header.is_fortran else shape[i + 1 :]) for i in range(len(shape))
    ]
    step = steps.pop(axis)
    return Axes(shape[:axis] + shape[axis + 1 :], shape[axis], tuple(steps), step, by)


def _read_values(
    source: Source, header: Header, axes: Axes, block_bytes: int, wanted: _Wanted
) -> Iterator[Array]:
    """Yield the rows in order, some at a time."""
    size = header.dtype.itemsize
    slab = axes.slab
    if slab is not None and (slab == axes.width or slab * size <= block_bytes):
        yield from _read_slabs(source, header, axes, max(1, block_bytes // (slab * size)), wanted)
        return
    rows_at_once = max(1, block_bytes // (axes.width * size))
    if source.is_seekable:
        yield from _read_scattered(source, header, axes, rows_at_once, wanted)
        return
    # The first row of a pipe is complete only when nearly everything has come.
    promised = axes.rows * axes.width * size
    with spooled(source, promised) as file:
        if (file.size() or 0) < promised:
            raise _truncated(source.name, header, file.size() or 0)
        here = header._replace(size=0)
        yield from _read_scattered(file, here, axes, rows_at_once, wanted)


def _read_slabs(
    source: Source, header: Header, axes: Axes, at_once: int, wanted: _Wanted
) -> Iterator[Array]:
    """Yield rows that lie one behind the other, or interwoven with few others."""
    slab = axes.slab or axes.width
    inner = slab // axes.width
    slabs, slab_bytes = axes.rows // inner, slab * header.dtype.itemsize
    for begin in range(0, slabs, at_once):
        count = min(at_once, slabs - begin)
        data = _read_bytes(source, count * slab_bytes)
        if len(data) < count * slab_bytes:
            raise _truncated(source.name, header, begin * slab_bytes + len(data))
        numbers = np.frombuffer(data, header.dtype).reshape(count, axes.width, inner)
        values = numbers.swapaxes(1, 2).reshape(-1, axes.width)
        yield values[:, wanted]


def _read_scattered(
    source: Source, header: Header, axes: Axes, at_once: int, wanted: _Wanted
) -> Iterator[Array]:
    """Yield rows whose numbers lie far from each other: neighbours on the last axis together."""
    positions = np.arange(axes.width)[wanted].tolist()
    (*lengths, last), (*steps, last_step) = axes.long()
    for indices in np.ndindex(*lengths):
        base = sum(index * step for index, step in zip(indices, steps, strict=True))
        for begin in range(0, last, at_once):
            count = min(at_once, last - begin)
            place = base + begin * last_step
            values = np.empty((count, len(positions)), header.dtype)
            if axes.step < last_step:
                for row in range(count):
                    at = place + row * last_step
                    values[row] = _read_every(source, header, at, axes.width, axes.step)[wanted]
            else:
                for column, position in enumerate(positions):
                    values[:, column] = _read_every(
                        source, header, place + position * axes.step, count, last_step
                    )
            yield values


def _read_every(source: Source, header: Header, place: int, count: int, step: int) -> Array:
    """Read so many numbers from a place on, each so many from the one before."""
    size = header.dtype.itemsize
    values = np.empty(count, header.dtype)
    at_once = max(1, BLOCK_BYTES // (step * size))
    for begin in range(0, count, at_once):
        part = values[begin : begin + at_once]
        length = ((len(part) - 1) * step + 1) * size
        data = source.read_at(header.size + (place + begin * step) * size, length)
        if len(data) < length:  # cut short since its size was asked for
            raise _truncated(source.name, header, (place + begin * step) * size + len(data))
        part[:] = np.frombuffer(data, header.dtype)[::step]
    return values


def _read_bytes(source: Source, count: int) -> bytes | bytearray:
    """Return the next bytes, fewer at the end; where there are many, allocate none ahead."""
    if count <= BLOCK_BYTES:
        return source.read(count)
    parts = bytearray()
    for part in read_parts(source, count):
        parts += part
    return parts


def _truncated(source: str, header: Header, found: int) -> ReadError:
    promised = math.prod(header.shape) * header.dtype.itemsize
    return ReadError(
        f"{source} is truncated: its header promises {promised:,} bytes for the shape "
        f"{header.shape} of {header.dtype}, and {found:,} follow; copy or save it again"
    )
