"""A stack of vectors cut into blocks that stay in the cache, and the buffers to work in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any, TypeVar

import numpy as np

from stablelse.numerics import threads
from stablelse.numerics.formats import FORMATS, Array, Format

Result = TypeVar("Result")

# Elements of all buffers together: 1 MiB of float64 stays in a level-2 cache.
_WORKSPACE = 2**17

_CACHE_LINE = 64  # bytes

# Measured: for longer vectors, transposing costs more than NumPy's overhead per row.
_SHORT = 40


class Blocks:
    """Cuts m vectors of n elements into bands, and bands into pieces.

    A band is a number of whole vectors, a piece of it at most `length` elements: all of them,
    or a part of the one vector. Short vectors stand in columns, so that NumPy's inner loops run
    along the longer side of a block. How a vector lies, and where it is cut, depends on its own
    length alone: so do the roundings, and its result has the same bits in any company, and
    with any number of threads. Each thread has buffers of its own.

    Attributes
    ----------
    length : int
        The number of elements of a piece is at most this.
    axis : int
        The axis of a band along which its vectors lie.
    dtype : dtype
        The working format: float64, or longdouble for itself.
    unit_roundoff : float
        Of the working format.
    is_exact : bool
        Whether the working format is the format of the results.
    """

    def __init__(
        self, shape: tuple[int, ...], format_: Format, buffers: int, length: int | None = None
    ) -> None:
        m, n = shape
        self._format = format_
        self.length = length or _WORKSPACE // (1 + buffers)
        self._width = max(1, self.length // n)
        self.axis = 0 if n < _SHORT else 1
        working = format_ if format_.name == "longdouble" else FORMATS["float64"]
        self.dtype = working.dtype
        self.unit_roundoff = working.unit_roundoff
        self.is_exact = self.dtype == format_.dtype
        self._count, self._extent = 1 + buffers, min(m * n, self.length)
        self._workspaces: dict[int, tuple[Array, Array]] = {}

    def __del__(self) -> None:
        for memory, _ in self._workspaces.values():
            if len(_spare) < _MOST_SPARE:
                _spare.append(memory)

    def bands(self, *stacks: Array | None) -> Iterator[tuple[Any, ...]]:
        """Cut arrays of shape (m, ...) into bands; of None, every band is None."""
        oriented = (x if x is None or self.axis == 1 else x.T for x in stacks)
        return _cut(tuple(oriented), 1 - self.axis, self._width)

    def pieces(self, *bands: Array | None) -> Iterator[tuple[Any, ...]]:
        """Cut bands into pieces; of None, every piece is None."""
        return _cut(bands, self.axis, self.length)

    def over_bands(self, function: Callable[..., Result], *stacks: Array | None) -> list[Result]:
        """Apply a function to all bands, in threads where they pay: its results, in order.

        A band that is one long vector is left to `over_pieces`, if its pieces outnumber the bands.
        """
        shapes = [x.shape for x in stacks if x is not None]
        m, n = shapes[0][0], max([shape[1] for shape in shapes])
        bands = list(self.bands(*stacks))
        if len(bands) * self.length < n:
            return [function(*band) for band in bands]
        return threads.mapped(function, bands, m * n)

    def over_pieces(self, function: Callable[..., Result], *bands: Array | None) -> list[Result]:
        """Apply a function to all pieces of bands, in threads where they pay."""
        pieces = list(self.pieces(*bands))
        if len(pieces) == 1:
            return [function(*pieces[0])]
        return threads.mapped(function, pieces, max(x.size for x in bands if x is not None))

    def is_workable(self, x: Array) -> bool:
        """Whether x can be computed on where it lies: in the working format, in rows.

        NumPy's exponentials of numbers that are not side by side may have other digits.
        """
        along = 1 if x.shape[1] > 1 else 0
        in_rows = x.strides[along] == x.itemsize or x.size == 1
        return in_rows and x.dtype == self.dtype and x.dtype.isnative

    def load(self, x: Array, place: Array | None = None) -> Array:
        """Return a piece as one can compute on it.

        If that takes a copy, it is put into its place, or is there until the next load.
        """
        if self.is_workable(x):
            return x
        copy = self._workspace()[0, : x.size].reshape(x.shape) if place is None else place
        np.copyto(copy, x, casting="unsafe")
        return copy

    def buffers(self, shape: tuple[int, ...]) -> list[Array]:
        """Return the buffers, of that shape. What `load` returned is not among them."""
        size = shape[0] * shape[1]
        return [buffer[:size].reshape(shape) for buffer in self._workspace()[1:]]

    def store(self, operation: np.ufunc, a: Array, b: Array, target: Array) -> None:
        """Put the result of an operation into its place, rounded to the format once.

        The operands may be overwritten.
        """
        if self.is_workable(target):
            by_vector(operation, a, b, target)
            return
        by_vector(operation, a, b, a)
        if self._format.extra is None:
            np.copyto(target, a, casting="same_kind")
        else:
            target[...] = self._format.round(a)

    def _workspace(self) -> Array:
        thread = get_ident()
        if thread not in self._workspaces:
            self._workspaces[thread] = _aligned(self._count, self._extent, self.dtype)
        return self._workspaces[thread][1]


def by_vector(operation: np.ufunc, x: Array, number: Array, out: Array) -> None:
    """Apply an operation to the elements of each vector and a number of its own.

    Nothing is converted. All the same, NumPy puts the number into a buffer, once for each element,
    where a row is shorter than the buffer: that takes longer than the operation. So it gets the
    smallest buffer, where that pays.
    """
    if x.size < _MANY or x.shape[-1] >= np.getbufsize():
        operation(x, number, out=out)
        return
    size = np.setbufsize(_SMALLEST_BUFFER)
    try:
        operation(x, number, out=out)
    finally:
        np.setbufsize(size)


_SMALLEST_BUFFER = 16  # elements
_MANY = 2**14  # elements; to set the size takes a microsecond or two


#: Workspaces of blocks that are gone: to get new memory from the system for every call would
#: take longer than the work, up to about 100,000 elements.
_spare: list[Array] = []
_MOST_SPARE = 4


def _aligned(count: int, length: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return a workspace, and arrays in it that begin at a cache line.

    Across the borders of cache lines, NumPy adds half as fast.
    """
    stride = -(-length * dtype.itemsize // _CACHE_LINE) * _CACHE_LINE
    needed = count * stride + _CACHE_LINE
    try:
        memory = _spare.pop()
    except IndexError:
        memory = np.empty(0, np.uint8)
    if memory.nbytes < needed:
        memory = np.empty(needed, np.uint8)
    start = -memory.__array_interface__["data"][0] % _CACHE_LINE
    buffers = memory[start : start + count * stride].view(dtype)
    return memory, buffers.reshape(count, stride // dtype.itemsize)


def _cut(
    arrays: tuple[Array | None, ...], axis: int, length: int
) -> Iterator[tuple[Array | None, ...]]:
    extent = max([x.shape[axis] for x in arrays if x is not None])
    if 0 < extent <= length:
        yield arrays
        return
    for start in range(0, extent, length):
        part = slice(start, start + length)
        index = (part, slice(None)) if axis == 0 else (slice(None), part)
        yield tuple(None if x is None else x[index] for x in arrays)
