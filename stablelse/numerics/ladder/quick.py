"""Log-sum-exp to 80 bits, for numbers that come in blocks.

The terms are the three words of `stablelse.numerics.ladder.exponential`.

A sum of n terms, n <= 2**10; of more, segments of so many are added up exactly: with c being
about n + 1 times the largest term, adding and subtracting c cuts the first two words of a term.
The upper parts are multiples of ulp(c) that amount to c at most, and add up exactly. What is
left of a term is at most 2**-53 (n + 2) of the largest, hence together 2**-33 of the sum; the
third words, if any, are 2**-33.7. All that goes through at most 30 additions (two to put the
parts of a term together, and pairwise ones): 30 * 2**-53 * 2**-32.3 = 2**-80.3. With the error of
three words, 2**-80.1; with that of the logarithm (another exponential, and three roundings of
2**-87), 2**-80.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from stablelse.numerics.blocks import Blocks, by_vector
from stablelse.numerics.errorfree import difference, fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.ladder.exponential import LOWEST, exp
from stablelse.numerics.pairwise import pairwise

#: A bound of the error of what is computed to 80 bits.
ERROR = 2.0**-80

#: Up to here, exp can take x as it is.
TAME = 500.0

# Eight buffers of 1 MiB do not fit into a level-2 cache. All the same, NumPy's operations are no
# slower from the next one, which they read ahead, and there are fewer of them to start (measured).
# Threads are better off, too: the longer an operation, the less they wait for the interpreter.
_LENGTH = 2**17

_SEGMENT = 2**10

#: The upper and the lower word of each of some numbers.
Words = tuple[Array, Array]


def blocks_for(shape: tuple[int, ...]) -> Blocks:
    """Return how to cut m vectors of n elements for `sum_exp`.

    Long ones are cut into pieces of about equal length, whole segments but for the last one.
    """
    _, n = shape
    length = _LENGTH
    if n > length:
        segments = -(-n // _SEGMENT)
        length = _SEGMENT * -(-segments // round(n / length))
    return Blocks(shape, FORMATS["float64"], buffers=8, length=length)


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


def sum_exp(blocks: Blocks, x: Array) -> Sum:
    """Sum exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        As `blocks_for` makes them.
    x : ndarray
        A band, real.

    Returns
    -------
    Sum
        Of the shape of the band with `blocks.axis` reduced to 1.
    """
    if x.size <= blocks.length:
        x = blocks.load(x)  # once for all that follows
    largest_of = partial(np.maximum.reduce, axis=blocks.axis, keepdims=True)
    x_max = reduce(np.maximum, blocks.over_pieces(largest_of, x)).astype(np.float64, copy=False)
    shift = np.where(abs(x_max) <= TAME, 0, x_max)
    largest = np.exp(x_max - shift)
    sum_piece = partial(_sum_piece, blocks, shift, largest)
    return Sum(shift, *reduce(_add, blocks.over_pieces(sum_piece, x)))


def _sum_piece(blocks: Blocks, shift: Array, largest: Array, x: Array) -> Words:
    d, d_low, *scratch = blocks.buffers(x.shape)
    argument, low = blocks.load(x), None
    if shift.any():
        difference(argument, shift, d, d_low, scratch[0])
        argument, low = d, d_low
    if not np.minimum.reduce(argument, axis=None) >= LOWEST:
        if low is not None:
            low[~(argument >= LOWEST)] = 0
        argument = np.maximum(argument, LOWEST, out=d)
    terms = exp(argument, low, scratch)
    _, rest, _, _, upper, _ = scratch
    return add_up(terms, (upper, rest), largest, blocks.axis)


def add_up(
    words: tuple[Array, ...], scratch: tuple[Array, ...], largest: Array, axis: int
) -> Words:
    """Add up the words of terms, shape (m, n), in segments if they are many.

    Parameters
    ----------
    words : tuple of ndarray
        The words.
    scratch : tuple of ndarray
        Two arrays of the same shape.
    largest : ndarray
        A bound of the terms of each vector, but for a factor of 2.
    axis : int
        The axis along which the vectors lie.

    Returns
    -------
    high, low : ndarray
        The sums, of the shape of the terms with this axis reduced to 1.
    """
    m, n = words[0].shape
    if axis == 0 or n <= _SEGMENT:
        return two_sum(*_add_segment(words, scratch, largest, axis))
    whole = n - n % _SEGMENT
    arrays, count = words + scratch, len(words)
    parts = [[x[:, :whole].reshape(m, -1, _SEGMENT) for x in arrays]]
    parts += [[x[:, np.newaxis, whole:] for x in arrays]] if whole < n else []
    sums: list[Array] = []
    for part in parts:
        largest = np.maximum.reduce(part[0], axis=-1, keepdims=True)
        sums += _add_segment(part[:count], part[count:], largest, -1)
    rows = np.concatenate([total.reshape(m, -1) for total in sums], axis=1).tolist()
    high, low = np.array([_fsum(row) for row in rows]).T[..., np.newaxis]
    return high, low


def _add_segment(
    words: Sequence[Array], scratch: Sequence[Array], largest: Array, axis: int
) -> Words:
    """Add up the terms' parts above the cut, which is exact, and all the rest of them."""
    high, middle, *_ = words
    upper, rest = scratch
    c = (high.shape[axis] + 1) * largest
    np.add(high, middle, out=upper)
    by_vector(np.add, upper, c, upper)
    by_vector(np.subtract, upper, c, upper)
    np.subtract(high, upper, out=rest)
    for word in words[1:]:
        rest += word
    total = partial(np.add.reduce, axis=axis, keepdims=True)
    return total(upper), pairwise(rest, axis) if axis == 0 else total(rest)


def _fsum(parts: list[float]) -> tuple[float, float]:
    """Return an exact sum as a double-word; NaN, if it is not finite."""
    if not math.isfinite(sum(parts)):
        return math.nan, math.nan
    high = math.fsum(parts)
    return high, math.fsum([*parts, -high])


def _add(a: Words, b: Words) -> Words:
    """Add two double-words, each with abs(low) <= ulp(high) / 2, with an error below 2**-104."""
    high, error = two_sum(a[0], b[0])
    result: tuple[Array, Array] = fast_two_sum(high, a[1] + b[1] + error)
    return result


def log(total: Sum) -> tuple[Array, Array]:
    """Return shift + log(S) as a double-word, abs(low) <= ulp(high) / 2.

    With y near log(high), log(S) = y + log(S exp(-y)): the second term is as small as the error
    of y, so that the first terms of its series are enough. The absolute error is at most the
    `ERROR` + 2**-104 abs(high). Where the largest x is not finite, the
    result is NaN.
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
