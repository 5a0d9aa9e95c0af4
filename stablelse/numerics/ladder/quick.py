"""Log-sum-exp to 80 bits: the quick phase of the ladder, for results of float64.

exp(d) = 2**e A exp(r), with k, j and e as in `stablelse.numerics.ladder.powers`, A the entry of the
finer table that has 34 bits, and r = d - k ln 2 / 2**15 - log(A / T), abs(r) < 2**-16.5. The
rounding error of the table is thus a part of r, where it costs one subtraction. r = h + t, h
being r rounded to a multiple of 2**-35 (19 bits), and the exponential is the sum of three words,

    2**e A,   2**e A h,   2**e A g,   g = t + r**2 / 2 + r**3 / 6 + r**4 / 24

of which the first two are exact. Errors, relative to 2**e A, in units of 2**-88:

- ln 2 / 2**15 = M1 + M2 + M3; k has 25 bits, for abs(d) <= 600, so that k M1 and k M2 are exact;
  and d - k M1, below 2**-16.3, is a multiple of 2**-69 (or d itself, if k = 0). Then d - k M1 - h
  is exact, and so is that less k M2, a multiple of 2**-72 below 2**-33.
- log(A / T) is wrong by 6; k M3 and the lower word of d, below 2**-43.9, are added to it: 2 for
  each of the two sums. Less these, t is below 2**-35.9, and its own rounding of no account.
- r is only needed for its powers; its two roundings, of 2**-70 each, cost 6 there.
- The series as r**2 (1/2 + r (1/6 + r / 24)), below 2**-34: 6 for the outer three roundings, 0.1
  for the others, and 0.4 for what it leaves out.
- g, below 2**-33.7, rounds by 2, and its product with A by 2.5.

Together 27: less than 2**-83.2.

A sum of n terms, n <= 2**10; of more, segments of so many are added up exactly: with c being
about n + 1 times the largest term, adding and subtracting c cuts the first two words of a term.
The upper parts are multiples of ulp(c) that amount to c at most, and add up exactly. What is
left of a term is at most 2**-53 (n + 2) of the largest, hence together 2**-33 of the sum; the
third words are 2**-33.7. All that goes through at most 30 additions (two to put the parts of a
term together, and pairwise ones): 30 * 2**-53 * 2**-32.3 = 2**-80.3. With the error of the
terms, 2**-80.1; with that of the logarithm (another exponential, and three roundings of
2**-87), 2**-80.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from stablelse.numerics import threads
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.ladder.powers import FINE_INDEX_BITS, SIGNIFICAND_BITS, fine_powers
from stablelse.numerics.summation import pairwise

#: A bound of the relative error of `exp`.
EXP_ERROR = 2.0**-83.2

#: A bound of the relative error of a sum of exponentials, hence of the absolute error of its
#: logarithm; that of the logarithm itself, another exponential, is in it.
ERROR = 2.0**-80

#: Arguments lie between these. What is smaller counts as the lower one: below the largest term
#: by 2**-144 or more, it is no part of a sum; as an element it is to be looked at again.
LOWEST, HIGHEST = -600.0, 600.0

#: Up to here, exp can take x as it is.
TAME = 500.0

# Six or eight buffers of 256 KiB stay in a level-2 cache of 2 MiB; with smaller blocks, NumPy's
# overhead per operation is a tenth of the time. Threads are better off with twice the length,
# though it does not fit: the longer an operation, the less they wait for the interpreter.
_LENGTH, _LENGTH_IN_THREADS = 2**15, 2**16

_SEGMENT = 2**10

#: Adding and subtracting 1.5 * 2**(52 - q) rounds to a multiple of 2**-q.
TO_INTEGER = 1.5 * 2.0**52
TO_35_BITS = 1.5 * 2.0**17

#: The upper and the lower word of each of some numbers.
Words = tuple[Array, Array]


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
    constants = fine_powers()
    step_1, step_2, step_3 = constants.step

    np.multiply(d, 1 / (step_1 + step_2), out=k)
    k += TO_INTEGER
    bits = k.view(np.int64)  # its lowest bits are those of k
    index, exponent = y.view(np.int64), h.view(np.int64)
    np.bitwise_and(bits, 2**FINE_INDEX_BITS - 1, out=index)
    np.left_shift(bits, SIGNIFICAND_BITS - FINE_INDEX_BITS, out=exponent)
    k -= TO_INTEGER
    # The indices never need clipping, but to be told so saves a copy.
    np.take(constants.encoded, index, out=high.view(np.int64), mode="clip")
    np.take(constants.offset, index, out=rest, mode="clip")
    encoded = high.view(np.int64)
    encoded += exponent

    # r = y - k - rest = h + t; y becomes t.
    np.multiply(k, step_1, out=y)
    np.subtract(d, y, out=y)
    np.multiply(k, step_3, out=h)
    rest += h
    if d_low is not None:
        rest -= d_low
    k *= step_2
    np.subtract(y, k, out=r)
    r -= rest
    np.add(r, TO_35_BITS, out=h)
    h -= TO_35_BITS
    y -= h
    y -= k
    y -= rest

    # k becomes g.
    np.multiply(r, 1 / 24, out=k)
    for coefficient in (1 / 6, 1 / 2):
        k += coefficient
        k *= r
    k *= r
    k += y
    h *= high
    k *= high
    return high, h, k


def blocks_for(shape: tuple[int, ...]) -> Blocks:
    """Return how to cut m vectors of n elements for `sum_exp`.

    Long ones are cut into pieces of about equal length, whole segments but for the last one.
    """
    m, n = shape
    length = _LENGTH_IN_THREADS if m * n >= threads.LEAST else _LENGTH
    if n > length:
        segments = -(-n // _SEGMENT)
        length = _SEGMENT * -(-segments // round(n / length))
    return Blocks(shape, FORMATS["float64"], buffers=8, length=length)


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
    largest_of = partial(np.maximum.reduce, axis=blocks.axis, keepdims=True)
    x_max = reduce(np.maximum, blocks.over_pieces(largest_of, x)).astype(np.float64, copy=False)
    shift = np.where(abs(x_max) <= TAME, 0, x_max)
    largest = np.exp(x_max - shift)
    sum_piece = partial(_sum_piece, blocks, shift, largest)
    return Sum(shift, *reduce(_add, blocks.over_pieces(sum_piece, x, first, second)))


def _sum_piece(
    blocks: Blocks,
    shift: Array,
    largest: Array,
    x: Array,
    first: Array | None,
    second: Array | None,
) -> Words:
    d, d_low, *scratch = blocks.buffers(x.shape)
    argument, low = blocks.load(x), None
    if shift.any():
        difference(argument, shift, d, d_low, scratch[0])
        argument, low = d, d_low
    if not np.minimum.reduce(argument, axis=None) >= LOWEST:
        if low is not None:
            low[~(argument >= LOWEST)] = 0
        argument = np.maximum(argument, LOWEST, out=d)
    if first is not None:
        scratch[3] = first  # where exp puts the first word
    high, middle, low = exp(argument, low, scratch)
    _, rest, _, _, upper, _ = scratch
    total = _add_up((high, middle, low), (upper, rest), largest, blocks.axis)
    if second is not None:
        np.add(middle, low, out=second)
    return total


def _add_up(
    words: tuple[Array, ...], scratch: tuple[Array, ...], largest: Array, axis: int
) -> Words:
    """Add up the three words of terms, in segments if they are many."""
    m, n = words[0].shape
    if axis == 0 or n <= _SEGMENT:
        return two_sum(*_add_segment(words, scratch, largest, axis))
    whole = n - n % _SEGMENT
    arrays = words + scratch
    parts = [[x[:, :whole].reshape(m, -1, _SEGMENT) for x in arrays]]
    parts += [[x[:, np.newaxis, whole:] for x in arrays]] if whole < n else []
    sums: list[Array] = []
    for part in parts:
        largest = np.maximum.reduce(part[0], axis=-1, keepdims=True)
        sums += _add_segment(part[:3], part[3:], largest, -1)
    rows = np.concatenate([total.reshape(m, -1) for total in sums], axis=1).tolist()
    high, low = np.array([_fsum(row) for row in rows]).T[..., np.newaxis]
    return high, low


def _add_segment(
    words: Sequence[Array], scratch: Sequence[Array], largest: Array, axis: int
) -> Words:
    """Add up the terms' parts above the cut, which is exact, and all the rest of them."""
    high, middle, low = words
    upper, rest = scratch
    c = (high.shape[axis] + 1) * largest
    np.add(high, middle, out=upper)
    upper += c
    upper -= c
    np.subtract(high, upper, out=rest)
    rest += middle
    rest += low
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


def sums(rows: Array) -> Sum:
    """Sum the exponentials of every row, shape (m, n), m, n >= 1."""
    blocks = blocks_for(rows.shape)
    bands = blocks.over_bands(partial(sum_exp, blocks), rows)
    return Sum(*[np.concatenate(parts, 1 - blocks.axis) for parts in zip(*bands, strict=True)])


def logsumexp(rows: Array) -> tuple[Array, Array]:
    """Compute the log-sum-exp of every row, shape (m, n), m, n >= 1; see `log`."""
    high, low = log(sums(rows))
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
