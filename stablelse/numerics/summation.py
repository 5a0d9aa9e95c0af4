"""The sum of exponentials: shifted only where it must be, and added up without loss.

What a textbook's evaluation of S = sum b_i exp(x_i - a) loses, and what is done about it here:

- x_i - a is rounded, and exp turns an absolute error of the difference into a relative one of
  the term. So a = 0 wherever exp can bear it. Elsewhere a = max x, and the rounding error
  delta_i of x_i - a, which TwoSum gives, goes into the term: exp(fl(x_i - a)) (1 + delta_i).
- S is rounded. Each term is cut in two, at a bit high enough for the upper parts to add up
  exactly (the extraction of Rump, Ogita & Oishi 2008, doi 10.1137/050645671, section 3).
- The shift of weighted terms that looks at x alone may let all of them underflow. It is the
  maximum of x_i + log abs(b_i).
"""

from __future__ import annotations

from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, fast_two_sum, two_sum
from stablelse.numerics.formats import Array
from stablelse.numerics.pairwise import pairwise

# Between these, exp(x) is a normal float64 (the smallest is exp(-708.4)), and no sum of fewer
# than exp(109) of them overflows (the largest is exp(709.8)).
_LOWEST, _HIGHEST = -700.0, 600.0

# exp of it is below 2**-937; divided by a sum of ordinary size, it is a normal number still.
_NEGLIGIBLE = -650.0

# A weighted term can exceed 1 by far only where the last place of the shift exceeds 1, and
# there the size of a term does not reach the result. Bounded, such terms do no harm.
_LARGEST_TERM = 2.0**900


class Sum(NamedTuple):
    """S, the sum of exp(x_i - shift) or of b_i exp(x_i - shift), one for each vector.

    Attributes
    ----------
    x_max : ndarray
        max x_i, or about max (x_i + log abs(b_i)).
    shift : ndarray
        0, or x_max where that is finite.
    upper, lower : ndarray
        S = upper + lower; NaN where x_max is NaN or inf.
    largest : ndarray
        The largest of the terms' absolute values.
    error : ndarray
        A bound of the error of S.
    """

    x_max: Array
    shift: Array
    upper: Array
    lower: Array
    largest: Array
    error: Array

    @classmethod
    def concatenated(cls, sums: list[Sum], axis: int) -> Sum:
        """Return the sums of several bands, joined along an axis."""
        if len(sums) == 1:
            return sums[0]
        return cls(*[np.concatenate(arrays, axis) for arrays in zip(*sums, strict=True)])

    @property
    def value(self) -> Array:
        """S, rounded."""
        value: Array = self.upper + self.lower
        return value

    @property
    def log(self) -> Array:
        """The logarithm of abs(S), right to 1.5 units in the last place but for S's error."""
        value, rounded_away = fast_two_sum(self.upper, self.lower)
        log = np.log(abs(value))
        corrected: Array = np.where(np.isfinite(log), log + rounded_away / value, log)
        return corrected

    @property
    def rest(self) -> Array:
        """The sum of all terms but one that is the largest, in units of that one."""
        rest: Array = ((self.upper - self.largest) + self.lower) / self.largest
        return rest


def sum_exp(
    blocks: Blocks,
    x: Array,
    b: Array | None = None,
    *,
    shifted: bool = False,
) -> Sum:
    """Sum b exp(x - shift) along the vectors of a band.

    Parameters
    ----------
    blocks : Blocks
        With three buffers.
    x, b : ndarray
        A band, real, and its weights, if any. Weighted terms are always shifted.
    shifted : bool
        Shift, even if exp could bear the x as they are.

    Returns
    -------
    Sum
        One of each per vector, of the shape of the band with `blocks.axis` reduced to 1.

    Notes
    -----
    The error bound rests on NumPy's exp being right to one unit in the last place, 2 u. The
    factor 1 + delta adds u; a weight makes it 7 u, for exp is squared.
    """
    if x.size <= blocks.length:
        x = blocks.load(x)  # once for all that follows
    maxima = blocks.over_pieces(partial(_max, blocks.axis), x, b)
    x_max = reduce(np.maximum, maxima).astype(blocks.dtype, copy=False)
    shift = np.where(np.isfinite(x_max), x_max, 0)
    if b is None and not shifted:
        shift[_is_tame(blocks, x, x_max)] = 0
    roundings = 3 if b is None else 7

    def of_piece(piece: Array, b_piece: Array | None) -> _Part:
        term, *scratch = blocks.buffers(piece.shape)
        exponentials(blocks.load(piece), b_piece, shift, term, *scratch)
        return _add_up(term, scratch, blocks.axis, signed=b is not None)

    parts = blocks.over_pieces(of_piece, x, b)
    upper, lower, largest, magnitude = reduce(_merge, parts)
    error = (roundings * blocks.unit_roundoff) * magnitude
    return Sum(x_max, shift, upper, lower, largest, error)


def exponentials(
    x: Array,
    b: Array | None,
    shift: Array,
    term: Array,
    delta: Array,
    spare: Array,
    *,
    in_full: bool = True,
) -> None:
    """Put b exp(x - shift) into `term`; the last two are scratch, all of one shape.

    Unless they are wanted in full, terms without a weight that are less than 2**-937 are that,
    exp(-inf) too: to let them underflow takes NumPy's exp ten times as long, or more.
    """
    if b is None and not shift.any():
        if not in_full and not np.minimum.reduce(x, axis=None) >= _NEGLIGIBLE:
            x = np.maximum(x, _NEGLIGIBLE, out=term)
        np.exp(x, out=term)
        return
    difference(x, shift, term, delta, spare)
    if b is None:
        if not in_full:
            is_negligible = term < _NEGLIGIBLE
            term[is_negligible], delta[is_negligible] = _NEGLIGIBLE, 0
        np.exp(term, out=term)
    else:  # b exp(d / 2)**2, because exp(d) itself overflows where b is subnormal
        term *= 0.5
        np.exp(term, out=term)
        np.multiply(b, term, out=spare)
        term *= spare
        np.clip(term, -_LARGEST_TERM, _LARGEST_TERM, out=term, where=np.isfinite(term))
    delta *= term
    if not delta.min() < np.inf:  # of an infinite difference there is no rounding error
        delta[np.isnan(delta)] = 0
    term += delta


def _max(axis: int, x: Array, b: Array | None) -> Array:
    if b is not None:
        x = x + np.log(abs(b))
    x_max: Array = np.maximum.reduce(x, axis=axis, keepdims=True)
    return x_max


def _is_tame(blocks: Blocks, x: Array, x_max: Array) -> Array:
    """Whether exp(x) can be taken as it is: without overflow, or underflow that matters.

    Where x_max is not negative, a softmax is no larger than exp(x), and underflows with it.
    """
    tame = x_max <= _HIGHEST
    if x_max.min() < 0:
        least = partial(np.minimum.reduce, axis=blocks.axis, keepdims=True)
        tame &= (x_max >= 0) | (reduce(np.minimum, blocks.over_pieces(least, x)) >= _LOWEST)
    return tame


#: Of a piece: the upper and the lower part of S, the largest term, and the sum of the terms'
#: absolute values.
_Part = tuple[Array, Array, Array, Array]


def _add_up(terms: Array, scratch: list[Array], axis: int, *, signed: bool) -> _Part:
    """Add up a piece, which is overwritten, in two parts, of which the upper one is exact.

    Adding and subtracting c rounds a term to a multiple of ulp(c) / 2, by less than ulp(c). With
    c four times the largest term times the number of terms, no sum of such multiples needs more
    than the 53 bits it has, and the upper parts add up exactly, in any order. What remains of a
    term is below 2**-32 of the largest, and its rounding errors are of no account.
    """
    upper, _ = scratch
    total = partial(np.add.reduce, axis=axis, keepdims=True)
    sizes = np.abs(terms, out=upper) if signed else terms
    largest = np.maximum.reduce(sizes, axis=axis, keepdims=True)
    magnitude = total(sizes) if signed else None
    c = (4 * terms.shape[axis]) * largest
    np.add(terms, c, out=upper)
    upper -= c
    terms -= upper
    exact = total(upper)
    return exact, pairwise(terms, axis), largest, exact if magnitude is None else magnitude


def _merge(p: _Part, q: _Part) -> _Part:
    upper, error = two_sum(p[0], q[0])
    return upper, p[1] + q[1] + error, np.maximum(p[2], q[2]), p[3] + q[3]
