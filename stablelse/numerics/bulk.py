"""The first rung for softmax and log_softmax: every element, and which of them are in doubt.

For a format narrower than float64 the elements are computed in float64, a little too large by
design, so that the exact value is below the computed one, but not far. Of a float64, the bits
below the last place of the narrow format then tell how far above the nearest midpoint it is:
shifted to the top, a midpoint is the smallest of all integers, and one minimum over a block
tells whether any element is in doubt.

For float64 the elements are double-words, whose error bound is added and subtracted.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import quick
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, split, two_product
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.summation import exponentials, pairwise

# With a sum between these, exp took the x as they are: nothing overflowed, and what underflowed
# is less than 2**-222 of the sum, and zero in any narrow format.
_SMALLEST, _LARGEST = 2.0**-800, 2.0**1000

# Of u = 2**-53: a term is wrong by 3, a sum in pieces by twice 27, the reciprocal and the
# product by one each, hence a quotient by less than 60. It is made larger by 64.
_ROUNDINGS = 64

# So the exact quotient is at most this many units in the last place smaller.
_MARGIN = 2 * _ROUNDINGS

# The relative error of a float64 softmax in two words, in units of 2**-66: the sum of the two
# lower words of a term is rounded by 1, its product with the reciprocal (itself rounded) by 2.5,
# their sum by 1; the sum of the terms is wrong by less than 0.1. Together less than 2**-63.5.
_QUOTIENT_ERROR = 2.0**-63.5

# Below this, a softmax is zero in float64: half the smallest number is exp(-745.13).
_VANISHING = -746.0


class Bulk(NamedTuple):
    """All elements of a softmax or log_softmax, as far as the first rung goes.

    Attributes
    ----------
    result : ndarray
        Shape (m, n), in the format.
    doubtful : ndarray of int
        The flat indices of the elements that are not settled.
    ulps : float
        A bound of the error of the others, before they were rounded, in ulps.
    total : Sum or None
        The sums of the rows, of shape (m,), if they are known to more than float64.
    """

    result: Array
    doubtful: Array
    ulps: float
    total: quick.Sum | None = None


def narrow_softmax(rows: Array, format_: Format) -> Bulk:
    """Compute the softmax of rows in a format narrower than float64."""
    blocks = Blocks(rows.shape, format_, buffers=3)
    result = np.empty(rows.shape, format_.dtype)
    doubt = np.zeros(rows.shape, bool)
    for x, p, flags in blocks.bands(rows, result, doubt):
        shift, total, in_buffer = _float64_sum(blocks, x)
        factor = (1 + _ROUNDINGS * blocks.unit_roundoff) / total
        for piece, target, flag in blocks.pieces(x, p, flags):
            term, *scratch = blocks.buffers(piece.shape)
            if not in_buffer:
                exponentials(blocks.load(piece), None, shift, term, *scratch)
            term *= factor
            if term.min() >= format_.smallest_normal:
                _flag_midpoints(term, _MARGIN, format_, scratch[0], flag)
            else:
                np.multiply(term, 1 - 2.0**-52 * _ROUNDINGS, out=scratch[0])
                flag[...] = format_.round(term) != format_.round(scratch[0])
            _store(term, format_, target)
    ulps = _MARGIN * blocks.unit_roundoff / format_.unit_roundoff
    return Bulk(result, _indices(doubt), ulps)


def narrow_log_softmax(rows: Array, format_: Format) -> Bulk:
    """Compute log_softmax of rows in a format narrower than float64."""
    blocks = Blocks(rows.shape, format_, buffers=3)
    result = np.empty(rows.shape, format_.dtype)
    doubt = np.zeros(rows.shape, bool)
    largest_margin = 0.0
    for x, g, flags in blocks.bands(rows, result, doubt):
        shift, total, _ = _float64_sum(blocks, x)
        log = np.log(total)
        # Of u: the sum and the logarithm as above, and the roundings of log, y, and y + error.
        error = blocks.unit_roundoff * (_ROUNDINGS + 2 * abs(log) + 3 * abs(shift + log))
        y = (shift + log) + error
        smallest = (y - _maximum(blocks, x)).min()
        margin = 2 * error.max() / np.spacing(smallest) + 1
        is_clear = smallest >= format_.smallest_normal and margin < _most(format_)
        largest_margin = max(largest_margin, margin if is_clear else 0)
        for piece, target, flag in blocks.pieces(x, g, flags):
            value, scratch, *_ = blocks.buffers(piece.shape)
            np.subtract(blocks.load(piece), y, out=value)
            if is_clear:
                _flag_midpoints(value, int(margin) + 1, format_, scratch, flag)
            else:
                unit = np.spacing(abs(value))
                lower = format_.round(value + (2 * error + unit))
                flag[...] = format_.round(value - unit) != lower
            _store(value, format_, target)
    ulps = largest_margin * blocks.unit_roundoff / format_.unit_roundoff
    return Bulk(result, _indices(doubt), ulps)


def _float64_sum(blocks: Blocks, x: Array) -> tuple[Array, Array, bool]:
    """Return shift and S of a band's vectors, and whether the first buffer has all the terms.

    There is no shift where exp can take all x as they are: that it could is seen of the sums.
    """
    in_buffer = x.size <= blocks.length
    if in_buffer:
        x = blocks.load(x)
    shift = np.zeros((1, 1))
    total = _add_up(blocks, x, shift)
    if not (total.min() >= _SMALLEST and total.max() <= _LARGEST):
        is_tame = (total >= _SMALLEST) & (total <= _LARGEST)
        shift = np.where(is_tame, 0, _maximum(blocks, x))
        total = _add_up(blocks, x, shift)
    return shift, total, in_buffer


def _add_up(blocks: Blocks, x: Array, shift: Array) -> Array:
    totals = []
    for (piece,) in blocks.pieces(x):
        term, *scratch = blocks.buffers(piece.shape)
        exponentials(blocks.load(piece), None, shift, term, *scratch)
        totals.append(np.add.reduce(term, axis=blocks.axis, keepdims=True))
    if len(totals) == 1:
        return totals[0]
    return pairwise(np.concatenate(totals, blocks.axis), blocks.axis)


def _maximum(blocks: Blocks, x: Array) -> Array:
    if x.size <= blocks.length:
        x = blocks.load(x)
    maxima = (np.maximum.reduce(p, axis=blocks.axis, keepdims=True) for (p,) in blocks.pieces(x))
    return reduce(np.maximum, maxima).astype(np.float64, copy=False)


def _most(format_: Format) -> float:
    """Return the margin at which an eighth of all elements would be in doubt."""
    return float(2.0 ** (53 - format_.significand_bits - 3))


def _flag_midpoints(
    values: Array, margin: int, format_: Format, scratch: Array, flag: Array
) -> None:
    """Flag values that are at a midpoint of the format, or above it by up to `margin` ulps."""
    top = 11 + format_.significand_bits  # what is left are the bits that rounding takes away
    low_bits = np.left_shift(values.view(np.int64), top, out=scratch.view(np.int64))
    bound = np.iinfo(np.int64).min + (margin << top)
    if np.minimum.reduce(low_bits, axis=None) <= bound:
        np.less_equal(low_bits, bound, out=flag)


def _store(values: Array, format_: Format, target: Array) -> None:
    if format_.extra is None:
        np.copyto(target, values, casting="same_kind")
    else:
        target[...] = format_.round(values)


def wide_softmax(rows: Array, format_: Format) -> Bulk:
    """Compute the softmax of rows in float64."""
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
    return Bulk(result, _indices(doubt), ulps, quick.Sum(*sums[..., 0]))


def _indices(flags: Array) -> Array:
    """Return the flat indices of what is flagged: mostly nothing, which is soon seen."""
    return np.flatnonzero(flags) if flags.any() else np.empty(0, np.intp)


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

    The first words have 27 bits, so that their product with 26 bits is exact. The upper end of
    the interval is the result, if it is the lower end too.
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


def wide_log_softmax(rows: Array, format_: Format) -> Bulk:
    """Compute log_softmax of rows in float64."""
    y_high, y_low = (part[:, np.newaxis] for part in quick.logsumexp(rows))
    error = quick.ERROR + 2.0**-102 * abs(y_high)
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=3)
    result, doubt = np.empty(rows.shape), np.zeros(rows.shape, bool)
    bands = blocks.bands(rows, result, doubt, y_high, y_low + error, y_low - error)
    for x, g, flags, y, *lower_words in bands:
        for piece, target, flag in blocks.pieces(x, g, flags):
            d, delta, spare = blocks.buffers(piece.shape)
            difference(blocks.load(piece), y, d, delta, spare)
            np.subtract(delta, lower_words[0], out=spare)
            delta -= lower_words[1]
            spare += d
            delta += d
            np.not_equal(spare, delta, out=flag)
            np.copyto(target, spare)
    margin: Any = error.max() / np.spacing(1.0)
    return Bulk(result, _indices(doubt), float(margin), None)
