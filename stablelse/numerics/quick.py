"""Log-sum-exp to 71 bits: the quick phase of the ladder, for results of float64.

exp(d) = 2**e A exp(r), with k, j and e as in `stablelse.numerics.powers`, A the entry of the
table that has 27 bits, and r = d - k ln 2 / 2**11 - log(A / T), abs(r) < 2**-12.5. The rounding
error of the table is thus a part of r, where it costs one subtraction. r = h + t, h being r
rounded to a multiple of 2**-38 (26 bits), and the exponential is the sum of three words,

    2**e A,   2**e A h,   2**e A g,   g = t + r**2 / 2 + r**3 / 6 + r**4 / 24 + r**5 / 120

of which the first two are exact. Errors, relative to 2**e A, in units of 2**-80:

- ln 2 / 2**11 = M1 + M2; k has 21 bits, for abs(d) <= 600. k M1 and d - k M1 are exact. k M2 is
  below 2**-23.2: 8 for its rounding, 7 for that of M2. To it are added log(A / T), 2, and the
  lower word of d: 8 for each of the two sums.
- t is exact but for less than 1. r is only needed for its powers; its rounding costs 3 there.
- The polynomial is r**2 / 120 ((r + 5) (r**2 + 20) - 40): its second factor is wrong by less
  than 4.3 u, and the quotient and the product by 4 u; 8.3 u of 2**-26.07 is 17. The series
  leaves out 1, the addition of t rounds by 1, and the product with A by 2.

Together 58: less than 2**-74.

A sum of n terms, n <= 2**11; of more, segments of so many are added up exactly: the first two
words are cut at a bit g above which they add up exactly, g being 2**-53 times a power of two
that is at least n times the largest term. What is left of them is at most n g / 2 <= 2**-26, and
the third words are at most 2**-26 of the sum; they are added pairwise, in at most 23 additions
of u each: 2**-73.4. With the error of the terms, 2**-72.7; with that of the exponential in the
logarithm, 2**-72.2.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.powers import INDEX_BITS, SIGNIFICAND_BITS, powers
from stablelse.numerics.summation import pairwise

#: A bound of the relative error of `exp`.
EXP_ERROR = 2.0**-74

#: A bound of the relative error of a sum of exponentials, hence of the absolute error of its
#: logarithm; that of the logarithm itself, another exponential, is in it.
ERROR = 2.0**-72

#: Arguments lie between these. What is smaller counts as the lower one: below the largest term
#: by 2**-144 or more, it is no part of a sum; as an element it is to be looked at again.
LOWEST, HIGHEST = -600.0, 600.0

#: Up to here, exp can take x as it is.
TAME = 500.0

# Six or eight buffers of 256 KiB stay in a level-2 cache of 2 MiB; with smaller blocks, NumPy's
# overhead per operation is a tenth of the time.
_LENGTH = 2**15

_SEGMENT = 2**11

_LN2 = math.log(2)

# Adding and subtracting 1.5 * 2**(52 - q) rounds to a multiple of 2**-q.
_TO_INTEGER = 1.5 * 2.0**52
TO_38_BITS = 1.5 * 2.0**14


def exp(d: Array, d_low: Array | None, scratch: list[Array]) -> tuple[Array, Array, Array]:
    """Compute exp(d + d_low) as the sum of three words.

    Parameters
    ----------
    d, d_low : ndarray
        float64, -600 <= d <= 600 and abs(d_low) <= ulp(d) / 2.
    scratch : list of ndarray
        Six float64 arrays of the same shape, contiguous.

    Returns
    -------
    high, middle, low : ndarray
        Some of the arrays given: 2**e A, 2**e A h and 2**e A g, see the module's text.
    """
    k, y, h, high, rest, r = scratch
    constants = powers()
    step, step_low = constants.step_in_two

    np.multiply(d, 1 / step, out=k)
    k += _TO_INTEGER
    bits = k.view(np.int64)  # its lowest bits are those of k
    index, exponent = y.view(np.int64), h.view(np.int64)
    np.bitwise_and(bits, 2**INDEX_BITS - 1, out=index)
    np.left_shift(bits, SIGNIFICAND_BITS - INDEX_BITS, out=exponent)
    k -= _TO_INTEGER
    # The indices never need clipping, but to be told so saves a copy.
    np.take(constants.encoded, index, out=high.view(np.int64), mode="clip")
    np.take(constants.offset, index, out=rest, mode="clip")
    encoded = high.view(np.int64)
    encoded += exponent

    # r = y - rest = h + t; y becomes t.
    np.multiply(k, step, out=y)
    np.subtract(d, y, out=y)
    k *= step_low
    rest += k
    if d_low is not None:
        rest -= d_low
    np.subtract(y, rest, out=r)
    np.add(r, TO_38_BITS, out=h)
    h -= TO_38_BITS
    y -= h
    y -= rest

    # k becomes g.
    np.multiply(r, r, out=k)
    np.add(k, 20, out=rest)
    r += 5
    rest *= r
    rest -= 40
    k *= 1 / 120
    k *= rest
    k += y
    h *= high
    k *= high
    return high, h, k


def blocks_for(shape: tuple[int, ...]) -> Blocks:
    """Return how to cut m vectors of n elements for `sum_exp`."""
    return Blocks(shape, FORMATS["float64"], buffers=8, length=_LENGTH)


def words(buffers: list[Array]) -> tuple[Array, Array]:
    """Return those of the blocks' buffers in which `sum_exp` has the first two words of terms."""
    return buffers[5], buffers[4]


class Sum(NamedTuple):
    """S, the sum of exp(x_i - shift), one for each vector.

    Attributes
    ----------
    shift : ndarray
        0, or the largest x.
    high, low : ndarray
        S = high + low, abs(low) <= ulp(high) / 2; NaN where the largest x is not finite.
    """

    shift: Array
    high: Array
    low: Array


def sum_exp(blocks: Blocks, x: Array, kept: tuple[Array, Array] | None = None) -> Sum:
    """Sum exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        As `blocks_for` makes them.
    x : ndarray
        A band, real.
    kept : pair of ndarray, optional
        float64, of the shape of the band; to put the terms into, in two words: the first word
        of `exp` and, rounded, the sum of the other two. Of a band that is one piece, they may
        be those of the `words`.

    Returns
    -------
    Sum
        Of the shape of the band with `blocks.axis` reduced to 1.
    """
    if x.size <= blocks.length:
        x = blocks.load(x)  # once for all that follows
    first, second = (None, None) if kept is None else kept
    pieces = list(blocks.pieces(x, first, second))
    maxima = (np.maximum.reduce(p, axis=blocks.axis, keepdims=True) for p, *_ in pieces)
    x_max = reduce(np.maximum, maxima).astype(np.float64, copy=False)
    shift = np.where(abs(x_max) <= TAME, 0, x_max)
    scale = _scale(x_max - shift, min(x.shape[blocks.axis], _SEGMENT))
    parts = (_sum_piece(blocks, piece, shift, scale, a, b) for piece, a, b in pieces)
    return Sum(shift, *reduce(_add, parts))


def _scale(x_max: Array, n: int) -> Any:
    """Return c = 1.5 * 2**52 g, adding and subtracting which rounds to a multiple of g.

    2**53 g is at least the sum of n terms, and at least 4 times the largest of them. One c for
    all vectors does, and is faster, as long as n g / 2 stays below 2**-26.
    """
    bits_of_n = math.log2(max(n, 4))
    top, bottom = float(x_max.max()) / _LN2, float(x_max.min()) / _LN2
    if top - bottom <= 25 - 2 * bits_of_n or len(x_max.ravel()) == 1:
        exponent = math.ceil(top + bits_of_n + 2**-20) if math.isfinite(top) else 0
        return math.ldexp(1.5, exponent - 1)
    exponents = np.ceil(x_max / _LN2 + (bits_of_n + 2**-20))
    exponents = np.where(np.isfinite(exponents), exponents, 0)
    return np.ldexp(1.5, exponents.astype(np.int32) - 1)


def _sum_piece(
    blocks: Blocks, x: Array, shift: Array, scale: Any, first: Array | None, second: Array | None
) -> tuple[Array, Array]:
    d, d_low, *scratch = blocks.buffers(x.shape)
    argument, low = blocks.load(x), None
    if shift.any():
        difference(argument, shift, d, d_low, scratch[0])
        argument, low = d, d_low
    if not np.minimum.reduce(argument, axis=None) >= LOWEST:
        if low is not None:
            low[~(argument >= LOWEST)] = 0
        argument = np.maximum(argument, LOWEST, out=d)
    high, middle, low = exp(argument, low, scratch)
    # The part of high + middle above the cut, then all the rest.
    _, rest, _, _, upper, _ = scratch
    np.add(high, middle, out=upper)
    upper += scale
    upper -= scale
    np.subtract(high, upper, out=rest)
    rest += middle
    rest += low
    total = _total(upper, rest, blocks.axis)
    if first is not None and second is not None:
        if first.base is not high.base:
            np.copyto(first, high)
        np.add(middle, low, out=second)
    return total


def _total(upper: Array, rest: Array, axis: int) -> tuple[Array, Array]:
    """Add up both parts of the terms, in segments if they are many."""
    n = upper.shape[axis]
    if n <= _SEGMENT:
        total = np.add.reduce(upper, axis=axis, keepdims=True)
        result: tuple[Array, Array] = two_sum(total, pairwise(rest, axis))
        return result
    sums = [_fsum([*_segments(a), *_segments(b)]) for a, b in zip(upper, rest, strict=True)]
    high, low = np.array(sums).T[..., np.newaxis]
    return high, low


def _segments(words: Array) -> list[float]:
    """Return the sums of the segments of one vector, the shorter last one among them."""
    whole = len(words) - len(words) % _SEGMENT
    sums: list[float] = np.add.reduce(words[:whole].reshape(-1, _SEGMENT), axis=1).tolist()
    return [*sums, np.add.reduce(words[whole:]).item()]


def _fsum(parts: list[float]) -> tuple[float, float]:
    """Return an exact sum as a double-word; NaN, if it is not finite."""
    if not math.isfinite(sum(parts)):
        return math.nan, math.nan
    high = math.fsum(parts)
    return high, math.fsum([*parts, -high])


def _add(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """Add two double-words, each with abs(low) <= ulp(high) / 2, with an error below 2**-104."""
    high, error = two_sum(a[0], b[0])
    result: tuple[Array, Array] = fast_two_sum(high, a[1] + b[1] + error)
    return result


def logsumexp(rows: Array) -> tuple[Array, Array]:
    """Compute the log-sum-exp of every row, shape (m, n), m, n >= 1; see `log`."""
    blocks = blocks_for(rows.shape)
    sums = [sum_exp(blocks, x) for (x,) in blocks.bands(rows)]
    total = Sum(*[np.concatenate(parts, 1 - blocks.axis) for parts in zip(*sums, strict=True)])
    high, low = log(total)
    return high.ravel(), low.ravel()


def log(total: Sum) -> tuple[Array, Array]:
    """Return shift + log(S) as a double-word, abs(low) <= ulp(high) / 2.

    With y near log(high), log(S) = y + log(S exp(-y)): the second term is as small as the error
    of y, so that the first terms of its series are enough. The absolute error is at most
    `ERROR` + 2**-104 abs(high). Where the largest x is not finite, the result is NaN.
    """
    shift, high, low = total
    y = np.log(high)
    words = exp(-np.where(np.isfinite(y), y, 0), None, list(np.empty((6, *y.shape))))
    inverse, rest = fast_two_sum(words[0], words[1])
    product, error = two_product(high, inverse)
    z = (product - 1) + (error + (high * (rest + words[2]) + low * inverse))
    z -= z * z / 2
    value, error = two_sum(shift, y)
    result: tuple[Array, Array] = two_sum(value, error + z)
    return result
