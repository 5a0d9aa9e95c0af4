"""Sums of exponentials in double-word arithmetic: where float64 cancels, this does not.

A double-word is a number held as the unevaluated sum of two float64, high + low.

exp(d) is taken from a table of powers of two. With k the integer nearest to d 2**11 / ln 2,
and r = d - k ln 2 / 2**11, so that abs(r) < 2**-12.5,

    exp(d) = 2**(k / 2**11) exp(r) = 2**e T exp(r),   k = 2**11 e + j,   T = 2**(j / 2**11)

where T = A + B + C is tabulated in pieces of 27, 27 and 53 bits. How r, and exp(r) - 1, are
held, and what is rounded away of each, relative to T exp(r):

- ln 2 / 2**11 = L1 + L2 + L3 with L1 a multiple of 2**-42 and L2 one of 2**-73. k has at most
  23 bits, so k L1 and k L2 are exact; so is d - k L1, a multiple of 2**-65 below 2**-12 (or
  d itself, if k = 0). r = h + t, h being r rounded to a multiple of 2**-38 (26 bits). t, below
  2**-38.9, is exact until d's own lower word less k L3 is added: 2**-92.
- exp(r) - 1 = h + h**2 / 2 + g. h**2 / 2 < 2**-26 is exact and cut in two, w + v, w a multiple
  of 2**-51 (25 bits). g = t + t (h + t / 2) + r**3 (1/6 + r/24 + r**2/120 + r**3/720) + v
  is computed in float64. The cube is below 2**-40.1, and the 8 roundings on the way to it
  amount to 2**-90.1; the three sums are below 2**-38.3 and amount to 3 * 2**-92; what the series
  leaves out is below 2**-99.
- T exp(r) = (A + A h) + (A w + B) + (A g + (B + C) (exp(r) - 1) + C). A h and A w are exact
  (27 + 26 bits). Fast2Sum makes the first sum exact. The second, a multiple of 2**-77 below
  2**-24.6, is exact, and stays so when the error of the first, a multiple of 2**-64, is added.
  The last is below 2**-37: 5 roundings of 2**-91 at most.

Together: less than 2**-87.5, the low word being less than 2**-36.9 of the high one.

References
----------
Tang 1989, Table-driven implementation of the exponential function in IEEE floating-point
arithmetic, doi 10.1145/63522.214389; Dekker 1971, doi 10.1007/BF01397083.
"""

from __future__ import annotations

from functools import partial, reduce

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.ladder.powers import INDEX_BITS, powers
from stablelse.numerics.pairwise import pairwise

_STEPS = 2**INDEX_BITS

# exp vanishes in float64 below -745.2; a weight of 2**1024 lets terms count down to -1455.
# k has 23 bits below 1500.
_CLIP = 1500.0

# Adding and subtracting 1.5 * 2**(52 - q) rounds to a multiple of 2**-q.
_TO_38_BITS = 1.5 * 2.0**14
_TO_51_BITS = 1.5 * 2.0

#: A bound of the error of `exp`, relatively.
EXP_ERROR = 2.0**-87.5

#: A bound of the error of a sum, in units of the sum of the terms' absolute values.
SUM_ERROR = 2.0**-84.8

#: A bound of the error of adding double-words, relative to the larger of them.
ADDITION_ERROR = 2.0**-102

# A logarithm that is at most this, next to 1 or to the result, has an error of no account.
_NEAR = 2.0**-40

# One round is enough for a good estimate; weights that cancel give a bad one.
_ROUNDS = 4

# However much of the sum cancels, exp(600) times the terms there were does not overflow.
_FURTHEST = 600.0


def exp(d: Array, d_low: Array, scratch: list[Array]) -> tuple[Array, Array, Array]:
    """Compute exp(d + d_low) as (high + low) 2**exponent.

    Parameters
    ----------
    d, d_low : ndarray
        float64, abs(d) <= 1500 and abs(d_low) <= ulp(d) / 2. Both are overwritten.
    scratch : list of ndarray
        Eight float64 arrays of the same shape.

    Returns
    -------
    high, low : ndarray
        float64, some of the arrays given. high lies in [0.9, 2.1], and the sum has a relative
        error below 2**-87.5; see the module's text.
    exponent : ndarray
        int32.
    """
    k, h, w, q, t, a, b, c = scratch
    constants = powers()
    ln2_1, ln2_2, ln2_3 = constants.step
    table = constants.high, constants.middle, constants.low

    np.multiply(d, 1 / (ln2_1 + ln2_2), out=k)
    np.rint(k, out=k)
    index = k.astype(np.int32)
    j = index & (_STEPS - 1)
    for part, out in zip(table, (a, b, c), strict=True):
        np.take(part, j, out=out, mode="clip")  # never clips, but saves a copy

    # r = h + d: the argument's array becomes the lower word of r.
    np.multiply(k, ln2_1, out=t)
    d -= t
    np.multiply(k, ln2_2, out=t)
    np.subtract(d, t, out=h)
    h += _TO_38_BITS
    h -= _TO_38_BITS
    d -= h
    d -= t
    k *= ln2_3
    d_low -= k
    d += d_low

    # w = h**2 / 2, q = r rounded, t = the series from the cube on.
    np.multiply(h, h, out=w)
    w *= 0.5
    np.add(h, d, out=q)
    np.multiply(q, 1 / 720, out=t)
    for coefficient in (1 / 120, 1 / 24, 1 / 6):
        t += coefficient
        t *= q
    t *= q
    t *= q

    # d = g, and q = exp(r) - 1 rounded; k takes the upper part of w.
    np.multiply(d, 0.5, out=d_low)
    d_low += h
    d_low *= d
    d += d_low
    d += t
    np.add(w, _TO_51_BITS, out=k)
    k -= _TO_51_BITS
    w -= k
    d += w
    np.add(k, d, out=q)
    q += h

    # d = C + A g + (B + C) (exp(r) - 1), k = A w + B, t + a = A + A h.
    d *= a
    np.add(b, c, out=w)
    q *= w
    d += q
    d += c
    k *= a
    k += b
    h *= a
    np.add(a, h, out=t)
    a -= t
    a += h
    k += a
    np.add(t, k, out=h)
    t -= h
    t += k
    d += t
    return h, d, index >> INDEX_BITS


#: Of a piece: the sum as a double-word, and the sum of the terms' absolute values.
_Part = tuple[Array, Array, Array]


def sum_exp(blocks: Blocks, x: Array, b: Array | None, shift: Array) -> _Part:
    """Sum b exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        With ten buffers of float64.
    x, b : ndarray
        A band, real, and its weights, if any. Where x is -inf or b is 0 there is no term.
    shift : ndarray
        Finite float64, one per vector, with x - shift < 1500.

    Returns
    -------
    high, low, magnitude : ndarray
        One of each per vector: the sum as a double-word, abs(low) <= ulp(high) / 2, and the sum
        of the terms' absolute values, rounded. The error is at most `SUM_ERROR` times the
        latter: each term has the error of `exp`, all but their low parts are added exactly, and
        those, below 2**-36.9 of their terms, pairwise in at most 27 additions: 2**-85.1.
    """
    parts = (
        _sum_piece(blocks.load(piece), b_piece, shift, blocks)
        for piece, b_piece in blocks.pieces(x, b)
    )
    return reduce(_merge, parts)


def _sum_piece(x: Array, b: Array | None, shift: Array, blocks: Blocks) -> _Part:
    d, d_low, *scratch = blocks.buffers(x.shape)
    difference(x, shift, d, d_low, scratch[0])
    if d.min() < -_CLIP:  # where exp vanishes
        d_low[d < -_CLIP] = 0
        np.maximum(d, -_CLIP, out=d)
    high, low, exponent = exp(d, d_low, scratch)
    if b is not None:
        fraction, scale = np.frexp(b.astype(np.float64))
        high, error = two_product(fraction, high)
        low *= fraction
        low += error
        exponent += scale
    np.ldexp(high, exponent, out=high)
    np.ldexp(low, exponent, out=low)

    total = partial(np.add.reduce, axis=blocks.axis, keepdims=True)
    part = scratch[0]
    sums = []
    # The cut of stablelse.numerics.summation, made twice: what it leaves of a term is at most
    # ulp(c) <= 2**-52 c, and that is cut again.
    sizes = np.abs(high, out=part)
    magnitude = total(sizes)
    c = 4 * blocks.length * np.maximum.reduce(sizes, axis=blocks.axis, keepdims=True)
    for _ in range(2):
        np.add(high, c, out=part)
        part -= c
        sums.append(total(part))
        high -= part
        c *= 4 * blocks.length * 2.0**-52
    low += high
    leading, rest = two_sum(sums[0], sums[1])
    return *_add((leading, rest), (pairwise(low, blocks.axis), 0.0)), magnitude


def _add(a: tuple[Array, Array], b: tuple[Array, Array | float]) -> tuple[Array, Array]:
    """Add two double-words; abs(low) may be as large as high."""
    high, error = two_sum(a[0], b[0])
    result: tuple[Array, Array] = two_sum(high, a[1] + b[1] + error)
    return result


def _merge(a: _Part, b: _Part) -> _Part:
    return *_add((a[0], a[1]), (b[0], b[1])), a[2] + b[2]


def logsumexp(
    rows: Array, weights: Array | None, shift: Array
) -> tuple[Array, Array, Array, Array]:
    """Compute log abs(sum b_i exp(x_i)), and the sign of the sum, for every row.

    Whatever the shift a, the result is a + log(sum b_i exp(x_i - a)). With an a close to the
    result the sum is close to 1, its logarithm small, and nothing cancels. Should the shift
    given not be close enough, its result is.

    Parameters
    ----------
    rows, weights : ndarray
        Shape (m, n), as for `sum_exp`.
    shift : ndarray
        Finite, shape (m,); an estimate of the result, or of the largest x_i + log abs(b_i),
        and with weights the latter.

    Returns
    -------
    high, low, sign, error : ndarray
        Shape (m,), abs(low) <= ulp(high) / 2, and a bound of the error of high + low: that of
        `sum_exp`, divided by the absolute value of the sum, and two units in the last place of
        the logarithm, which the shift has made small.
    """
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=10)
    results = np.empty((4, len(rows), 1))
    for x, b, a, y, y_low, s, error in blocks.bands(rows, weights, shift[:, np.newaxis], *results):
        lowest = a - _FURTHEST
        for _ in range(_ROUNDS):
            total, total_low, magnitude = sum_exp(blocks, x, b, a)
            np.sign(total, out=s)
            log = _log(s * total, s * total_low)
            y[...], y_low[...] = two_sum(a, log)
            error[...] = SUM_ERROR * magnitude / abs(total)
            error += 2.0**-51 * abs(log) + ADDITION_ERROR * abs(y)
            is_far = np.isfinite(y) & (abs(log) > _NEAR * np.maximum(abs(y), 1))
            if not is_far.any():
                break
            a = np.where(is_far, np.maximum(y, lowest), a)
    high, low, sign, error = results[..., 0]
    low[np.isinf(high)] = 0
    return high, low, sign, error


def _log(high: Array, low: Array) -> Array:
    """Return log(high + low), rounded; close to 1 it is as small as it is, and accurate."""
    ratio = np.divide(low, high, out=np.zeros_like(high), where=high != 0)
    return np.where(abs(high - 1) < 0.5, np.log1p((high - 1) + low), np.log(high) + ratio)
