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

from functools import cache, partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference, fast_two_sum, two_sum
from stablelse.numerics.formats import Array

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


def pairwise(
    x: Array, axis: int, scratch: Array | None = None, bearable: int | None = None
) -> Array:
    """Sum pairwise, as NumPy does along rows, but not down columns, nor well enough at any length.

    Down columns, one half is added onto the other, again and again; few numbers of a row are
    added up in pieces, and the sums of those in the same way.

    Parameters
    ----------
    x : ndarray
        Two-dimensional; overwritten, if there is no scratch, and it is to be summed down columns.
    axis : int
        The axis to sum along; the sums are of the shape of x with this one reduced to 1.
    scratch : ndarray, optional
        Of the shape of x, to work in.
    bearable : int, optional
        In how many additions a number of a row may take part, if that can be had by pieces; by
        default, as many as the logarithm of the sum mostly bears.
    """
    if axis == 0:
        return _folded(x, scratch).copy()
    n = x.shape[1]
    length = _piece(n, bearable)
    if not length:
        total: Array = np.add.reduce(x, axis=1, keepdims=True)
        return total
    pieces = x[:, : n - n % length].reshape(len(x), -1, length)
    parts = np.empty((len(x), -(-n // length)), x.dtype)
    np.einsum("ijk->ij", pieces, out=parts[:, : pieces.shape[1]])
    if n % length:
        np.einsum("ij->i", x[:, -(n % length) :], out=parts[:, -1])
    return pairwise(parts, 1, bearable=_FEWEST)


def sum_of_row(x: Array, bearable: int | None = None) -> Any:
    """Return what `pairwise` does for a single row, of shape (n,)."""
    length = _piece(x.size, bearable)
    if not length:
        return np.add.reduce(x)
    rest = x.size % length
    parts = np.einsum("ij->i", x[: x.size - rest].reshape(-1, length)).tolist()
    if rest:
        parts.append(np.einsum("i->", x[-rest:]))
    return reduce(add, parts) if len(parts) < 8 else sum_of_row(np.array(parts), _FEWEST)


def additions(n: int, axis: int, bearable: int | None = None) -> int:
    """Return in how many additions of `pairwise` one of n numbers takes part at most."""
    if axis == 0:
        return (n - 1).bit_length()
    length = _piece(n, bearable)
    return _additions_in_pieces(n, length) if length else _additions_in_a_row(n)


# The logarithms of sums of so many exponentials mostly are below 8, where a unit in the last
# place is 8 u, and can bear no more additions. Those of more are larger.
_BEARABLE, _FEW = 21, 2048

# No sum does with fewer additions than none.
_FEWEST = 0

# Lengths of pieces: of longer ones, too many numbers would be added up one after the other.
_LENGTHS = range(128, 15, -8)


@cache
def _piece(n: int, bearable: int | None) -> int:
    """Return how long the pieces of n numbers of a row are; 0 if NumPy is to add up the row.

    They are as long as can be borne, or nearly so; the last one is what is left.
    """
    if n < _LENGTHS[-1] or (bearable is None and n > _FEW):
        return 0
    bearable = _BEARABLE if bearable is None else bearable
    if _additions_in_a_row(n) <= bearable:
        return 0
    counts = {length: _additions_in_pieces(n, length) for length in _LENGTHS if length <= n}
    most = max(bearable, min(counts.values()) + 1)
    return next(length for length, count in counts.items() if count <= most)


@cache
def _additions_in_pieces(n: int, length: int) -> int:
    """Return in how many additions a number takes part at most, if pieces are that long.

    NumPy's einsum adds up a piece in vectors of two: four of them, and their sum to that of the
    others; what remains one by one (numpy/_core/src/multiarray/
    einsum_sumprod.c.src, which is compiled for vectors of 128 bits).
    """
    in_piece = max(_additions_in_piece(length), _additions_in_piece(n % length))
    return in_piece + additions(-(-n // length), 1, _FEWEST)


def _additions_in_piece(n: int) -> int:
    return n // 8 + 2 + (n % 8 + 1) // 2


def _folded(x: Array, scratch: Array | None) -> Array:
    """Fold along the first axis until one is left."""
    target = x if scratch is None else scratch
    while len(x) > 1:
        n = len(x)
        half = n // 2
        np.add(x[:half], x[n - half :], out=target[:half])
        if n % 2 and target is not x:
            target[half] = x[half]
        x = target = target[: n - half]
    return x


@cache
def _additions_in_a_row(n: int) -> int:
    """Return in how many additions a number takes part at most, where NumPy sums n in a row.

    Up to 128 are added up in eight interleaved sums, the remainder one by one after them; of
    more, two halves are, the first a multiple of eight (numpy/_core/src/umath/loops_utils.h.src).
    """
    if n < 8:
        return n - 1
    if n <= 128:
        return n // 8 - 1 + 3 + n % 8
    half = n // 2 - n // 2 % 8
    return 1 + max(_additions_in_a_row(half), _additions_in_a_row(n - half))


def _merge(p: _Part, q: _Part) -> _Part:
    upper, error = two_sum(p[0], q[0])
    return upper, p[1] + q[1] + error, np.maximum(p[2], q[2]), p[3] + q[3]
