"""Sums in which no number goes through many additions, and how many those are.

Each addition rounds by u at most, relatively, and a sum of positive numbers by no more than as many
u as there are additions on the way of one of them (Higham 2002, section 4.2).
"""

from __future__ import annotations

from functools import cache, reduce
from operator import add
from typing import Any

import numpy as np

from stablelse.numerics.formats import Array

# The logarithms of sums of so many exponentials mostly are below 8, where a unit in the last
# place is 8 u, and can bear no more additions. Those of more are larger.
_BEARABLE, _FEW = 21, 2048

# No sum does with fewer additions than none.
_FEWEST = 0

# Lengths of pieces: of longer ones, too many numbers would be added up one after the other.
_LENGTHS = range(128, 15, -8)


def pairwise(
    x: Array, axis: int, scratch: Array | None = None, bearable: int | None = None
) -> Array:
    """Sum pairwise, as NumPy does along rows, but not down columns, nor well enough at any length.

    Down columns, one half is added onto the other, again and again; few numbers of a row are
    added up in pieces, and the sums of those in the same way.

    Parameters
    ----------
    x : ndarray
        Two-dimensional; overwritten, if there is no scratch, and it is to be summed down columns.
    axis : int
        The axis to sum along; the sums are of the shape of x with this one reduced to 1.
    scratch : ndarray, optional
        Of the shape of x, to work in.
    bearable : int, optional
        In how many additions a number of a row may take part, if that can be had by pieces; by
        default, as many as the logarithm of the sum mostly bears.
    """
    if axis == 0:
        return _folded(x, scratch).copy()
    n = x.shape[1]
    length = _piece(n, bearable)
    if not length:
        total: Array = np.add.reduce(x, axis=1, keepdims=True)
        return total
    pieces = x[:, : n - n % length].reshape(len(x), -1, length)
    parts = np.empty((len(x), -(-n // length)), x.dtype)
    np.einsum("ijk->ij", pieces, out=parts[:, : pieces.shape[1]])
    if n % length:
        np.einsum("ij->i", x[:, -(n % length) :], out=parts[:, -1])
    return pairwise(parts, 1, bearable=_FEWEST)


def sum_of_row(x: Array, bearable: int | None = None) -> Any:
    """Return what `pairwise` does for a single row, of shape (n,)."""
    length = _piece(x.size, bearable)
    if not length:
        return np.add.reduce(x)
    rest = x.size % length
    parts = np.einsum("ij->i", x[: x.size - rest].reshape(-1, length)).tolist()
    if rest:
        parts.append(np.einsum("i->", x[-rest:]))
    return reduce(add, parts) if len(parts) < 8 else sum_of_row(np.array(parts), _FEWEST)


def additions(n: int, axis: int, bearable: int | None = None) -> int:
    """Return in how many additions of `pairwise` one of n numbers takes part at most."""
    if axis == 0:
        return (n - 1).bit_length()
    length = _piece(n, bearable)
    return _additions_in_pieces(n, length) if length else _additions_in_a_row(n)


@cache
def _piece(n: int, bearable: int | None) -> int:
    """Return how long the pieces of n numbers of a row are; 0 if NumPy is to add up the row.

    They are as long as can be borne, or nearly so; the last one is what is left.
    """
    if n < _LENGTHS[-1] or (bearable is None and n > _FEW):
        return 0
    bearable = _BEARABLE if bearable is None else bearable
    if _additions_in_a_row(n) <= bearable:
        return 0
    counts = {length: _additions_in_pieces(n, length) for length in _LENGTHS if length <= n}
    most = max(bearable, min(counts.values()) + 1)
    return next(length for length, count in counts.items() if count <= most)


@cache
def _additions_in_pieces(n: int, length: int) -> int:
    """Return in how many additions a number takes part at most, if pieces are that long.

    NumPy's einsum adds up a piece in vectors of two: four of them, and their sum to that of the
    others; what remains one by one (numpy/_core/src/multiarray/
    einsum_sumprod.c.src, which is compiled for vectors of 128 bits).
    """
    in_piece = max(_additions_in_piece(length), _additions_in_piece(n % length))
    return in_piece + additions(-(-n // length), 1, _FEWEST)


def _additions_in_piece(n: int) -> int:
    return n // 8 + 2 + (n % 8 + 1) // 2


def _folded(x: Array, scratch: Array | None) -> Array:
    """Fold along the first axis until one is left."""
    target = x if scratch is None else scratch
    while len(x) > 1:
        n = len(x)
        half = n // 2
        np.add(x[:half], x[n - half :], out=target[:half])
        if n % 2 and target is not x:
            target[half] = x[half]
        x = target = target[: n - half]
    return x


@cache
def _additions_in_a_row(n: int) -> int:
    """Return in how many additions a number takes part at most, where NumPy sums n in a row.

    Up to 128 are added up in eight interleaved sums, the remainder one by one after them; of
    more, two halves are, the first a multiple of eight (numpy/_core/src/umath/loops_utils.h.src).
    """
    if n < 8:
        return n - 1
    if n <= 128:
        return n // 8 - 1 + 3 + n % 8
    half = n // 2 - n // 2 % 8
    return 1 + max(_additions_in_a_row(half), _additions_in_a_row(n - half))
