"""A stack of vectors cut into blocks that stay in the cache, and the buffers to work in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from stablelse.numerics.formats import Array, Format

#: Elements of a block: five float64 buffers of this length stay in a level-2 cache.
BLOCK = 2**14


class Blocks:
    """Cuts m vectors of n elements into bands, and bands into pieces.

    A band is a number of whole vectors, a piece of it at most `BLOCK` elements: all of them, or
    a part of the one vector. Short vectors stand in columns, so that a block's longer side is
    the inner one, along which NumPy is fast.

    Attributes
    ----------
    axis : int
        The axis of a band along which its vectors lie.
    dtype : dtype
        The working format: float64, or longdouble for itself.
    """

    def __init__(self, shape: tuple[int, ...], format_: Format, buffers: int) -> None:
        m, n = shape
        self._format = format_
        self.compensates = format_.significand_bits > 24
        self._width = max(1, BLOCK // n)
        self.axis = 0 if n < min(m, self._width) else 1
        self.dtype = np.dtype(np.longdouble if format_.name == "longdouble" else np.float64)
        self._buffers = np.empty((1 + buffers, min(m * n, BLOCK)), self.dtype)

    def bands(self, *stacks: Array | None) -> Iterator[tuple[Any, ...]]:
        """Cut arrays of shape (m, ...) into bands; of None, every band is None."""
        oriented = (x if x is None or self.axis == 1 else x.T for x in stacks)
        return _cut(tuple(oriented), 1 - self.axis, self._width)

    def pieces(self, *bands: Array | None) -> Iterator[tuple[Any, ...]]:
        """Cut bands into pieces; of None, every piece is None."""
        return _cut(bands, self.axis, BLOCK)

    def is_workable(self, x: Array) -> bool:
        """Whether x can be computed on where it lies: in the working format, in rows."""
        return x.dtype == self.dtype and x.dtype.isnative and x.strides[1] == x.itemsize

    def load(self, x: Array) -> Array:
        """Return a piece as one can compute on it; if that takes a copy, until the next load."""
        if self.is_workable(x):
            return x
        copy = self._buffer(0, x.shape)
        np.copyto(copy, x, casting="unsafe")
        return copy

    def buffers(self, shape: tuple[int, ...]) -> list[Array]:
        """Return the buffers, of that shape. What `load` returned is not among them."""
        return [self._buffer(i, shape) for i in range(1, len(self._buffers))]

    def store(self, values: Array, target: Array) -> None:
        """Round to the format, once."""
        if values is not target:
            target[...] = self._format.round(values)

    def _buffer(self, i: int, shape: tuple[int, ...]) -> Array:
        return self._buffers[i, : shape[0] * shape[1]].reshape(shape)


def _cut(
    arrays: tuple[Array | None, ...], axis: int, length: int
) -> Iterator[tuple[Array | None, ...]]:
    extent = max(x.shape[axis] for x in arrays if x is not None)
    for start in range(0, extent, length):
        part = slice(start, start + length)
        index = (part, slice(None)) if axis == 0 else (slice(None), part)
        yield tuple(None if x is None else x[index] for x in arrays)
