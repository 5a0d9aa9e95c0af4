"""Sums of exponentials as NumPy adds them: for softmax, and for narrow formats.

There is no shift where exp can take the x as they are, which is seen of the sums.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.formats import Array
from stablelse.numerics.summation import additions, exponentials, pairwise

# A sum of terms that overflowed, or nearly, is larger.
_LARGEST = 2.0**1000


def sum_exp(
    blocks: Blocks, x: Array, smallest: float, terms: Array | None = None
) -> tuple[Array, Array, bool]:
    """Sum exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        With three buffers.
    x : ndarray
        A band, real.
    smallest : float
        A sum that is smaller is shifted, for its terms may have underflowed.
    terms : ndarray, optional
        Where to put the terms, of the working format.

    Returns
    -------
    shift, total : ndarray
        One of each per vector, of the shape of the band with `blocks.axis` reduced to 1. The
        shift is 0, or the largest x. Of a vector with NaN or +inf, or nothing but -inf, the
        sum is NaN.
    in_buffer : bool
        Whether the first buffer has all the terms.
    """
    is_one_piece = x.size <= blocks.length
    if is_one_piece:
        x = blocks.load(x)
    total = _add_up(blocks, x, np.zeros((1, 1), blocks.dtype), terms)
    shift = np.zeros(total.shape, blocks.dtype)
    if not (total.min() >= smallest and total.max() <= _LARGEST):
        is_tame = (total >= smallest) & (total <= _LARGEST)
        shift = np.where(is_tame, shift, _maximum(blocks, x))
        total = _add_up(blocks, x, shift, terms)
    return shift, total, is_one_piece and terms is None


def _add_up(blocks: Blocks, x: Array, shift: Array, terms: Array | None) -> Array:
    def total_of(piece: Array, target: Array | None) -> Array:
        term, *scratch = blocks.buffers(piece.shape)
        if target is not None:
            term = target
        exponentials(blocks.load(piece), None, shift, term, *scratch)
        return pairwise(term, blocks.axis, scratch[0])

    totals = blocks.over_pieces(total_of, x, terms)
    return totals[0] if len(totals) == 1 else pairwise(np.concatenate(totals, blocks.axis), 1)


def _maximum(blocks: Blocks, x: Array) -> Array:
    def of_piece(piece: Array) -> Array:
        x_max: Array = np.maximum.reduce(piece, axis=blocks.axis, keepdims=True)
        return x_max

    maxima = blocks.over_pieces(of_piece, x)
    return reduce(np.maximum, maxima).astype(blocks.dtype, copy=False)


def roundings(blocks: Blocks, n: int) -> int:
    """Return how many units roundoff a sum of n exponentials that are not shifted is wrong by.

    Relatively, and to first order: NumPy's exp is right to one unit in the last place, two u;
    every addition that a term takes part in makes it one more.
    """
    pieces = -(-n // blocks.length) if blocks.axis == 1 else 1
    return 2 + additions(min(n, blocks.length), blocks.axis) + additions(pieces, 1)
