"""Sums of exponentials as NumPy adds them: for softmax, and for narrow formats.

There is no shift where exp can take the x as they are, which is seen of the sums.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.formats import Array
from stablelse.numerics.summation import exponentials, pairwise

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
    totals = []
    for piece, target in blocks.pieces(x, terms):
        term, *scratch = blocks.buffers(piece.shape)
        if target is not None:
            term = target
        exponentials(blocks.load(piece), None, shift, term, *scratch)
        if blocks.axis == 0:  # the terms are still needed
            np.copyto(scratch[0], term)
            term = scratch[0]
        totals.append(pairwise(term, blocks.axis))
    if len(totals) == 1:
        return totals[0]
    return pairwise(np.concatenate(totals, blocks.axis), blocks.axis)


def _maximum(blocks: Blocks, x: Array) -> Array:
    maxima = (np.maximum.reduce(p, axis=blocks.axis, keepdims=True) for (p,) in blocks.pieces(x))
    return reduce(np.maximum, maxima).astype(blocks.dtype, copy=False)
