"""What the library returns: shifted, log1p of the rest, the rounding errors carried along.

With a = max x_i, d_i = x_i - a, and S = sum exp(d_i) = 1 + r,

    lse(x) = a + log1p(r),   softmax(x)_j = exp(d_j) / S,   log_softmax(x)_j = d_j - log1p(r).

What a textbook's evaluation of these loses, and what is done about it here:

- d_i is rounded: x_i - a = fl(x_i - a) + delta_i. TwoSum gives delta_i, and exp(d_i) becomes
  exp(fl(x_i - a)) (1 + delta_i), wrong by no more than delta_i**2, relatively.
- S is rounded, and with it the small r in 1 + r. Each term is cut in two at a fixed bit; the
  upper parts add up without any error, and r = (upper - 1) + lower (the extraction of Rump,
  Ogita & Oishi 2008, Accurate floating-point summation I, doi 10.1137/050645671, section 3).

Formats narrower than float64 are computed in float64 and rounded once, at the end; there
delta_i, a float64's rounding error, is too small to matter and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from stablelse.numerics.blocks import BLOCK, Blocks
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array, Format

# Adding and subtracting CUT rounds a term of size up to 1 to a multiple of ulp(CUT). Up to
# BLOCK such multiples sum to less than CUT, and therefore exactly, in any order. The 1.5 keeps
# CUT plus a negative term in the binade of CUT.
CUT = 1.5 * BLOCK

# A weighted term can exceed 1 by far only where the last place of the shift exceeds 1, and
# there the size of a term does not reach the result. Bounded, such terms do no harm.
_LARGEST_TERM = 2.0**900


@dataclass(frozen=True)
class Sum:
    """S, the sum of exp(x_i - shift) or of b_i exp(x_i - shift), for each vector of a band.

    Attributes
    ----------
    shift : ndarray
        max x_i, or about max (x_i + log abs(b_i)); 0 where that is infinite or NaN.
    upper, lower : ndarray
        S = upper + lower.
    """

    shift: Array
    upper: Array
    lower: Array

    @property
    def value(self) -> Array:
        """S, rounded."""
        value: Array = self.upper + self.lower
        return value

    @property
    def log(self) -> Array:
        """The logarithm of abs(S)."""
        sign = np.sign(self.value)
        rest = (sign * self.upper - 1) + sign * self.lower
        # Weights of both signs can make S small; then rest, near -1, has lost its digits.
        log: Array = np.where(rest < -0.5, np.log(abs(self.value)), np.log1p(rest))
        return log


def logsumexp(rows: Array, format_: Format, weights: Array | None = None) -> tuple[Array, Array]:
    """Compute log abs(sum b_i exp(x_i)) and the sign of the sum for every row.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), n >= 1, real.
    format_ : Format
        The format of the results.
    weights : ndarray, optional
        The b_i, shape (m, n), real; all 1 if left out.

    Returns
    -------
    value, sign : ndarray
        Shape (m,), in the format.
    """
    blocks = Blocks(rows.shape, format_, buffers=3)
    value, sign = np.empty((2, len(rows), 1), blocks.dtype)
    for x, b, y, s in blocks.bands(rows, weights, value, sign):
        total = _sum(blocks, x if b is None else _active(x, b, blocks.axis), b)
        np.add(total.shift, total.log, out=y)
        np.sign(total.value, out=s)
    return format_.round(value[:, 0]), format_.round(sign[:, 0])


def softmax(rows: Array, format_: Format) -> Array:
    """Compute the softmax of every row: (m, n), n >= 1, real, to (m, n) in the format."""
    blocks = Blocks(rows.shape, format_, buffers=3)
    result = np.empty(rows.shape, format_.dtype)
    for x, p in blocks.bands(rows, result):
        terms = p if blocks.is_workable(p) else np.empty(p.shape, blocks.dtype)
        total = _sum(blocks, x, terms=terms)
        divisor = np.where(np.isfinite(total.value), total.value, np.nan)
        for term, target in blocks.pieces(terms, p):
            term /= divisor
            blocks.store(term, target)
    return result


def log_softmax(rows: Array, format_: Format) -> Array:
    """Compute log softmax of every row: (m, n), n >= 1, real, to (m, n) in the format."""
    blocks = Blocks(rows.shape, format_, buffers=3)
    result = np.empty(rows.shape, format_.dtype)
    for x, g in blocks.bands(rows, result):
        total = _sum(blocks, x)
        log = np.where(np.isfinite(total.value), total.log, np.nan)
        for piece, target in blocks.pieces(x, g):
            difference, *_ = blocks.buffers(piece.shape)
            np.subtract(blocks.load(piece), total.shift, out=difference)
            difference -= log
            blocks.store(difference, target)
    return result


def _active(x: Array, b: Array, axis: int) -> Array:
    """Put -inf for what adds nothing: an x without weight, a finite term beside an infinite one.

    Where x or b makes a term infinite, put inf.
    """
    x = np.where(b == 0, -np.inf, x)
    exponent = x + np.log(abs(b))
    infinite = exponent == np.inf
    idle = np.isfinite(exponent) & infinite.any(axis=axis, keepdims=True)
    return np.where(infinite, np.inf, np.where(idle, -np.inf, x))


def _sum(blocks: Blocks, x: Array, b: Array | None = None, terms: Array | None = None) -> Sum:
    """Sum the exponentials of a band, weighted by b; put them into `terms` too, if given."""
    if x.size <= BLOCK:
        x = blocks.load(x)  # once for all that follows
    maxima = (
        np.max(x if b is None else x + np.log(abs(b)), axis=blocks.axis, keepdims=True)
        for x, b in ((blocks.load(x), b) for x, b in blocks.pieces(x, b))
    )
    x_max = reduce(np.maximum, maxima)
    shift = np.where(np.isfinite(x_max), x_max, 0)
    upper, lower = np.zeros((2, *shift.shape), blocks.dtype)
    for piece, b_piece, target in blocks.pieces(x, b, terms):
        part, rest = _sum_piece(blocks, blocks.load(piece), b_piece, shift, target)
        upper, error = two_sum(upper, part)
        lower += rest + error
    return Sum(shift, upper, np.where(np.isfinite(upper), lower, 0))


def _sum_piece(
    blocks: Blocks, x: Array, b: Array | None, shift: Array, terms: Array | None
) -> tuple[Array, Array]:
    d, delta, upper = blocks.buffers(x.shape)
    np.subtract(x, shift, out=d)
    if blocks.compensates:
        # TwoSum(x, -shift)
        np.add(d, shift, out=upper)
        np.subtract(upper, d, out=delta)
        delta -= shift
        np.subtract(x, upper, out=upper)
        delta += upper
        if d.min() == -np.inf:
            delta[d == -np.inf] = 0
    else:
        delta[...] = 0
    if b is None:
        np.exp(d, out=d)
    else:
        # b exp(d / 2)**2, because exp(d) itself overflows where b is subnormal
        d *= 0.5
        np.exp(d, out=d)
        np.multiply(b, d, out=upper)
        d *= upper
        np.clip(d, -_LARGEST_TERM, _LARGEST_TERM, out=d, where=np.isfinite(d))
    delta *= d
    if terms is not None:
        np.add(d, delta, out=terms)
    np.add(d, CUT, out=upper)
    upper -= CUT
    d -= upper
    delta += d
    axis = blocks.axis
    return np.add.reduce(upper, axis, keepdims=True), np.add.reduce(delta, axis, keepdims=True)
