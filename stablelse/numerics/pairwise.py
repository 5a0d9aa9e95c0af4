"""Sums in which no number goes through many additions, and how many those are.

Each addition rounds by u at most, relatively, and a sum of positive numbers by no more than as many
u as there are additions on the way of one of them (Higham 2002, section 4.2).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from stablelse.numerics.formats import Array

# The logarithms of sums of so many exponentials mostly are below 8, where a unit in the last
# place is 8 u, and can bear no more additions. Those of more are larger.
_BEARABLE, _FEW = 21, 2048

# Lengths of pieces: of longer ones, too many numbers would be added up one after the other.
_LENGTHS = (40, 32, 24, 16)
_BEARABLE_IN_PIECES = 6

# Of float64, the wheels of NumPy have so many in a vector (128 bits), where they are compiled for
# x86-64, ARM64 or POWER. The lengths are chosen for these; a proof counts on no vectors at all.
_LANES = 2


def pairwise(x: Array, axis: int, scratch: Array | None = None, *, closely: bool = False) -> Array:
    """Sum pairwise, as NumPy does along rows, but not down columns, nor well enough at any length.

    Down columns, one half is added onto the other, again and again; a row is added up closely in
    short pieces, and their sums in two words.

    Parameters
    ----------
    x : ndarray
        Two-dimensional; overwritten, if there is no scratch, and it is to be summed down columns.
    axis : int
        The axis to sum along; the sums are of the shape of x with this one reduced to 1.
    scratch : ndarray, optional
        Of the shape of x, to work in.
    closely : bool
        Whether rows are to be added up closely, of positive numbers, even where the logarithm of
        the sum mostly bears what NumPy does.
    """
    if axis == 0:
        return _folded(x, scratch).copy()
    n = x.shape[1]
    if not (closely or _is_far(n)):
        total: Array = np.add.reduce(x, axis=1, keepdims=True)
        return total
    length = _piece(n)
    if not length:
        return _in_two_words(x.T)
    pieces = x[:, : n - n % length].reshape(len(x), -1, length)
    parts = np.empty((-(-n // length), len(x)), x.dtype)
    np.einsum("ijk->ij", pieces, out=parts[: pieces.shape[1]].T)
    if n % length:
        np.einsum("ij->i", x[:, -(n % length) :], out=parts[-1])
    return _in_two_words(parts)


def _in_two_words(x: Array) -> Array:
    """Sum positive numbers down columns, with little more than one rounding; returns a column.

    Adding and subtracting c leaves upper parts that add up exactly, as in
    `stablelse.numerics.summation`; the lower ones are added up one by one.
    """
    c = (4 * len(x)) * np.maximum.reduce(x, axis=0)
    upper = (x + c) - c
    lower = x - upper
    if x.shape[1] > 1:
        total = np.add.reduce(upper, axis=0) + np.add.reduce(lower, axis=0)
    else:  # NumPy would add up a single column in pairs
        total = np.add.accumulate(upper)[-1] + np.add.accumulate(lower)[-1]
    column: Array = total[:, np.newaxis]
    return column


def additions(n: int, axis: int, *, closely: bool = False) -> int:
    """Return in how many additions of `pairwise` one of n numbers takes part at most.

    Those in two words count as one. Of einsum nothing is assumed: it may be without vectors.
    """
    if axis == 0:
        return (n - 1).bit_length()
    if not (closely or _is_far(n)):
        return _additions_in_a_row(n)
    length = _piece(n)
    return (_additions_in_pieces(n, length, lanes=1) if length else 0) + 1


def _is_far(n: int) -> bool:
    """Whether a row of few is added up by NumPy in more additions than its logarithm bears."""
    return n <= _FEW and _additions_in_a_row(n) > _BEARABLE


@cache
def _piece(n: int) -> int:
    """Return how long the pieces of n numbers of a row are; the last one is what is left.

    They are as long as can be borne, or as keeps additions fewest; of few numbers, there are none.
    """
    counts = {length: _additions_in_pieces(n, length) for length in _LENGTHS if length <= n}
    most = max(_BEARABLE_IN_PIECES, min(counts.values(), default=0))
    return next((length for length, count in counts.items() if count <= most), 0)


def _additions_in_pieces(n: int, length: int, lanes: int = _LANES) -> int:
    """Return in how many additions of a piece a number takes part at most."""
    return max(_additions_in_piece(length, lanes), _additions_in_piece(n % length, lanes))


def _additions_in_piece(n: int, lanes: int = _LANES) -> int:
    """Return in how many additions a number takes part at most, where einsum sums n in a row.

    It adds up four vectors, and their sum to that of the others, then what remains, vector by
    vector, and at last the lanes (numpy/_core/src/multiarray/einsum_sumprod.c.src). With one lane
    it adds up four numbers one after the other, which takes more than with two, four or eight.
    """
    if lanes == 1:
        return n // 4 + 2 + n % 4
    fours, rest = divmod(n, 4 * lanes)
    vectors = -(-rest // lanes)
    return (fours + 1 + vectors if fours else vectors - 1) + (lanes - 1).bit_length()


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
