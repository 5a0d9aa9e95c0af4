"""The first rung for softmax and log_softmax in float64: double-words, and their error added.

The upper end of the interval in which the exact value lies is the result, if the lower end
rounds to the same number.
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics import quick
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, split, two_product
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.rounding import Elements, flat_indices

# The relative error of a quotient in two words, in units of 2**-66: the sum of the two lower
# words of a term is rounded by 1, its product with the reciprocal (itself rounded) by 2.5, their
# sum by 1; the sum of the terms is wrong by less than 0.1. Together less than 2**-63.5.
_QUOTIENT_ERROR = 2.0**-63.5

# Below this, a softmax is zero in float64: half the smallest number is exp(-745.13).
_VANISHING = -746.0


def softmax(rows: Array, format_: Format) -> Elements:
    """Compute the softmax of every row, shape (m, n), m, n >= 1, real; in float64."""
    blocks = quick.blocks_for(rows.shape)
    result, doubt = np.empty(rows.shape), np.zeros(rows.shape, bool)
    sums = np.empty((3, len(rows), 1))
    for x, p, flags, *sum_ in blocks.bands(rows, result, doubt, *sums):
        if x.size <= blocks.length:
            x = blocks.load(x)
            kept = quick.words(blocks.buffers(x.shape))
        else:
            kept = p, np.empty(x.shape)
        total = quick.sum_exp(blocks, x, kept)
        for stored, found in zip(sum_, total, strict=True):
            stored[...] = found
        reciprocal = _reciprocal(total)
        for piece, first, second, target, flag in blocks.pieces(x, *kept, p, flags):
            _quotients(first, second, reciprocal, blocks.buffers(piece.shape), target, flag)
            _mark_small(piece, total, target, flag)
    ulps = _QUOTIENT_ERROR * 2.0**53
    return Elements(result, flat_indices(doubt), ulps, quick.Sum(*sums[..., 0]))


def _reciprocal(total: quick.Sum) -> tuple[Array, Array, Array]:
    """Return 1 / S: its first 26 bits; the rest of it, and the error; all of it, rounded."""
    high, _ = split(1 / total.high)
    product, error = two_product(high, total.high)
    low = (((1 - product) - error) - high * total.low) / total.high
    return high, low + _QUOTIENT_ERROR * high, high + low


def _quotients(
    first: Array,
    second: Array,
    reciprocal: tuple[Array, Array, Array],
    scratch: list[Array],
    target: Array,
    flag: Array,
) -> None:
    """Multiply terms in two words by the reciprocal; the second words are overwritten.

    The first words have 27 bits, so that their product with 26 bits is exact.
    """
    high, low_and_error, both = reciprocal
    product, rest, lower = scratch[0], scratch[1], scratch[3]
    second *= both
    np.multiply(first, low_and_error, out=rest)
    rest += second
    np.multiply(first, high, out=product)
    np.multiply(product, -2 * _QUOTIENT_ERROR, out=lower)
    lower += rest
    lower += product
    rest += product
    np.not_equal(lower, rest, out=flag)
    np.copyto(target, rest)


def _mark_small(x: Array, total: quick.Sum, target: Array, flag: Array) -> None:
    """See to the elements that `quick.exp` does not reach, or whose words would underflow."""
    log_sum = total.shift + np.log(total.high)
    reference = np.maximum(log_sum, total.shift)
    if np.minimum.reduce(x, axis=None) - reference.max() >= quick.LOWEST:
        return
    flag |= x - reference < quick.LOWEST
    zero = x - log_sum < _VANISHING
    target[zero], flag[zero] = 0, False


def log_softmax(rows: Array, format_: Format) -> Elements:
    """Compute log_softmax of every row; see `softmax`."""
    y_high, y_low = (part[:, np.newaxis] for part in quick.logsumexp(rows))
    error = quick.ERROR + 2.0**-102 * abs(y_high)
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=3)
    result, doubt = np.empty(rows.shape), np.zeros(rows.shape, bool)
    bands = blocks.bands(rows, result, doubt, y_high, y_low + error, y_low - error)
    for x, g, flags, y, *lower_words in bands:
        for piece, target, flag in blocks.pieces(x, g, flags):
            d, delta, spare = blocks.buffers(piece.shape)
            difference(blocks.load(piece), y, d, delta, spare)
            if not np.minimum.reduce(delta, axis=None) < np.inf:
                delta[np.isnan(delta)] = 0  # of an infinite difference
            np.subtract(delta, lower_words[0], out=spare)
            delta -= lower_words[1]
            spare += d
            delta += d
            np.not_equal(spare, delta, out=flag)
            np.copyto(target, spare)
    return Elements(result, flat_indices(doubt), float(error.max() / np.spacing(1.0)))
