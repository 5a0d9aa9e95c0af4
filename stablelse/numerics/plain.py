"""Sums of exponentials as NumPy adds them: for softmax, and for narrow formats.

There is no shift where exp can take the x as they are, which is seen of the sums.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from stablelse.numerics import threads
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.pairwise import additions, pairwise
from stablelse.numerics.summation import exponentials

# A sum of terms that overflowed, or nearly, is larger.
_LARGEST = 2.0**1000


# Elements of a piece. Threads wait for the interpreter between operations, so that they are better
# off with long ones, though 1 MiB of float64 is all that stays in a level-2 cache.
_LENGTH, _LENGTH_IN_THREADS = 2**17, 2**18


def blocks_for(shape: tuple[int, ...], format_: Format) -> Blocks:
    """Return how to cut m vectors of n elements for `sum_exp`: where, depends on n alone."""
    m, n = shape
    is_long = n > _LENGTH or m * n >= threads.LEAST
    return Blocks(shape, format_, buffers=3, length=_LENGTH_IN_THREADS if is_long else _LENGTH)


class PlainSum(NamedTuple):
    """Sums of exp(x_i - shift), one of each for every vector of a band.

    Attributes
    ----------
    shift, total : ndarray
        Of the shape of the band with `blocks.axis` reduced to 1. The shift is 0, or the largest
        x. Of a vector with NaN or +inf, or nothing but -inf, the sum is NaN.
    largest : ndarray
        The largest terms, if they were asked for; or else a bound of them, the sums.
    in_buffer : bool
        Whether the first buffer has all the terms.
    """

    shift: Array
    total: Array
    largest: Array
    in_buffer: bool


def sum_exp(
    blocks: Blocks,
    x: Array,
    smallest: float,
    terms: Array | None = None,
    *,
    with_largest: bool = False,
    in_full: bool = False,
    closely: bool = False,
) -> PlainSum:
    """Sum exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        As `blocks_for` makes them.
    x : ndarray
        A band, real.
    smallest : float
        A sum that is smaller is shifted, for its terms may have underflowed.
    terms : ndarray, optional
        Where to put the terms, of the working format.
    with_largest : bool
        Whether to look for the largest terms.
    in_full : bool
        Whether terms below 2**-937 are what they are, and not that.
    closely : bool
        As of `stablelse.numerics.pairwise.pairwise`.
    """
    is_one_piece = x.size <= blocks.length
    shift = np.zeros((1, 1), blocks.dtype)
    add_up = partial(_add_up, blocks, x, terms, with_largest, in_full, closely)
    total, largest = add_up(shift)
    if np.minimum.reduce(total, None) >= smallest and np.maximum.reduce(total, None) <= _LARGEST:
        shift = np.zeros(total.shape, blocks.dtype)
    else:
        is_tame = (total >= smallest) & (total <= _LARGEST)
        shift = np.where(is_tame, shift, _maximum(blocks, x))
        total, largest = add_up(shift)
    return PlainSum(shift, total, largest, is_one_piece and terms is None)


def _add_up(
    blocks: Blocks,
    x: Array,
    terms: Array | None,
    with_largest: bool,
    in_full: bool,
    closely: bool,
    shift: Array,
) -> tuple[Array, Array]:
    def of_piece(piece: Array, target: Array | None) -> tuple[Array, Array]:
        term, *scratch = blocks.buffers(piece.shape)
        if target is not None:
            term = target
        put_terms(blocks, piece, shift, term, scratch, in_full=in_full)
        total = pairwise(term, blocks.axis, scratch[0], closely=closely)
        if not with_largest:
            return total, total
        return total, np.maximum.reduce(term, axis=blocks.axis, keepdims=True)

    parts = blocks.over_pieces(of_piece, x, terms)
    if len(parts) == 1:
        return parts[0]
    totals, largest = zip(*parts, strict=True)
    total = pairwise(np.concatenate(totals, blocks.axis), 1, closely=closely)
    return total, reduce(np.maximum, largest) if with_largest else total


def put_terms(
    blocks: Blocks,
    x: Array,
    shift: Array,
    term: Array,
    scratch: list[Array],
    *,
    in_full: bool = True,
) -> None:
    """Put exp(x - shift) into `term`, where x is copied to, too, if nothing is shifted."""
    place = None if shift.any() else term
    exponentials(blocks.load(x, place), None, shift, term, *scratch, in_full=in_full)


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
