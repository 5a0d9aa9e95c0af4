"""What the reference knows of each row: S = sum b_i exp(x_i - a) and its logarithm, in two words.

a is the x of the pivot, the largest. Without weights its term is exp(0) = 1, so that

    S = 1 + R,    R = sum of exp(d_i) over all i but the pivot,    d_i = x_i - a,

and R is known to 2**-89.9 of itself. It carries a power of two of its own: however small, it keeps
its digits. With weights, 1 is the pivot's weight, terms of both signs may cancel, and the bound is
in units of the sum of their sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import doubleword
from stablelse.numerics.doubleword import Pair, fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import Array

#: So many elements are computed at a time: an array of them has 256 kB.
BLOCK = 2**15

#: The terms of rows up to this long are kept for their quotients: they take 20 bytes each.
KEPT = 2**20

#: Terms (high + low) 2**exponent.
Terms = tuple[Array, Array, Array]

# The exponent of a term that is 0: exp(d) is larger, and so is a weight times it.
_OF_ZERO = np.int32(-(2**20))

# Where R is below this power of two, log(1 + R) is R, to twice as many bits.
_TINY = -220


class Sums(NamedTuple):
    """What is known of each row."""

    is_nothing: Array  # whether there is nothing to round: NaN, infinity, or nothing finite
    is_held: Array  # whether two words hold each x, and one each weight
    x_max: Array  # the x of the pivot, in two words
    x_max_low: Array
    spread: Array  # a bound of the error of each d >= -2**14; 0 for all x of one word
    sign: Array  # of S
    inverse: Array  # 1 / S, in two words
    inverse_low: Array
    error: Array  # a bound of the relative error of S and 1 / S
    log_high: Array  # log abs(S) is within (high + low +- error) 2**exponent
    log_low: Array
    log_error: Array
    log_exponent: Array

    def of(self, rows: Any) -> Sums:
        """Return what is known of some of the rows."""
        return Sums(*(part[rows] for part in self))


def bands(m: int, n: int) -> Iterator[slice]:
    """Yield slices of as many rows as make a block, at least one."""
    step = max(1, BLOCK // max(n, 1))
    return (slice(start, min(start + step, m)) for start in range(0, m, step))


def pieces(n: int) -> Iterator[slice]:
    """Yield slices of as many columns as a block has room for."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def takes_longdouble(x: Array) -> bool:
    """Whether there are numbers of this dtype that float64 does not hold."""
    return x.dtype == np.longdouble or (x.dtype.kind in "iu" and x.dtype.itemsize == 8)


def as_wide(x: Array) -> Array:
    """Return real numbers in float64, or longdouble if it takes that to hold them."""
    dtype = np.longdouble if takes_longdouble(x) else np.float64
    return x.astype(dtype, order="C", copy=False)


class Rest(NamedTuple):
    """R of each row: within relative * size of (high + low) 2**exponent."""

    largest: Array  # the x of the pivot, in longdouble
    leading: Array  # the weight of the pivot
    x_max: Array
    x_max_low: Array
    spread: Array
    is_held: Array
    high: Array
    low: Array
    exponent: Array
    size: Array
    relative: Array


def sums(x: Array, b: Array | None, *, keep: bool = False) -> tuple[Sums, list[Terms] | None]:
    """Return what is known of m rows, and if wanted, and there is room, all their exp(d_i)."""
    rest, kept = rests(x, b, keep=keep)
    return known_of(rest), kept


def known_of(rest: Rest) -> Sums:
    """Compute what follows from R."""
    known = with_logarithm(rest.leading, *rest[-5:])
    is_nothing = ~np.isfinite(rest.largest)
    return Sums(is_nothing, rest.is_held, rest.x_max, rest.x_max_low, rest.spread, *known)


def rests(x: Array, b: Array | None, *, keep: bool = False) -> tuple[Rest, list[Terms] | None]:
    """Compute R of every row; see `sums`."""
    _keep_memory_at_hand()
    largest, pivot = _largest(x, b)
    x_max, x_max_low, _ = words_of(largest)
    every, is_held, parts = np.arange(len(x)), np.ones(len(x), bool), []
    kept: list[Terms] | None = [] if keep and x.shape[1] <= KEPT else None
    for columns in pieces(x.shape[1]):
        part = masked(x, b, columns).T
        d, d_low, held = difference(part, x_max, x_max_low)
        terms = exp(d, d_low)
        terms[2][part == -np.inf] = 2 * _OF_ZERO
        here = (pivot >= columns.start) & (pivot < columns.stop)
        at = pivot[here] - columns.start, every[here]
        terms[2][at] = 2 * _OF_ZERO
        if b is None:
            parts.append(_total(*terms, abs(terms[0])))
        else:
            b_part = as_wide(b[:, columns].T)
            parts.append(_weighted_total(terms, b_part.astype(np.float64), d))
            held = held & (b_part == b_part.astype(np.float64))
        is_held &= np.all(held, axis=0)
        if kept is not None:
            terms[2][at] = 0
            kept.append(terms)
    rest = parts[0] if len(parts) == 1 else _total(*map(np.array, zip(*parts, strict=True)))
    spread = 2.0**-102 * (abs(x_max) + doubleword.FARTHEST) * takes_longdouble(x)
    leading = np.ones(len(x)) if b is None else b[every, pivot].astype(np.float64)
    relative = doubleword.SUM_ERROR + spread
    return Rest(largest, leading, x_max, x_max_low, spread, is_held, *rest, relative), kept


@cache
def _keep_memory_at_hand() -> None:
    """Free one large array, untouched: from then on, glibc keeps what blocks free for the next.

    Otherwise it could return that to the system each time, which takes as long as all the rest.
    """
    np.empty(2**21)


def masked(x: Array, b: Array | None, columns: slice | Any = slice(None)) -> Array:
    """Return some columns of x, -inf where the weight is 0, inf or NaN where it makes a term so."""
    x = as_wide(x[:, columns])
    if b is None:
        return x
    b = as_wide(b[:, columns])
    return np.where(b == 0, -np.inf, np.where(np.isfinite(b), x, x + abs(b)))


def _largest(x: Array, b: Array | None) -> tuple[Array, Array]:
    """Return the largest x of each row, NaN if there is one, and where it is."""
    every = np.arange(len(x))
    largest, pivot = np.full(len(x), -np.inf, np.longdouble), np.zeros(len(x), np.intp)
    for columns in pieces(x.shape[1]):
        part = masked(x, b, columns)
        place = part.argmax(axis=1)
        found = part[every, place].astype(np.longdouble)
        is_larger = (found > largest) | np.isnan(found)
        largest[is_larger], pivot[is_larger] = found[is_larger], place[is_larger] + columns.start
    return largest, pivot


def words_of(x: Array) -> tuple[Array, Array, Array]:
    """Return longdoubles in two words, and whether these hold them."""
    high = x.astype(np.float64)
    rest = np.where(np.isfinite(x), x - high, 0)
    low = rest.astype(np.float64)
    return high, low, np.isfinite(rest) & (low == rest)


def difference(x: Array, x_max: Array, x_max_low: Array) -> tuple[Array, Array, Any]:
    """Return x - x_max in two words, and whether two words hold x.

    Without lower words it is exact; otherwise 2**-103 of x and x_max may be lost.
    """
    if x.dtype == np.float64:
        return *two_sum(np.ascontiguousarray(x), -x_max), True
    high, low, held = words_of(np.ascontiguousarray(x))
    d, d_low = two_sum(high, -x_max)
    return *two_sum(d, d_low + (low - x_max_low)), held


def exp(d: Array, d_low: Array) -> Terms:
    """Return exp(d + d_low) for any d <= 0.

    What is below exp(-2**14), which vanishes beside 1 in every format, is replaced by that.
    """
    is_far = ~(d >= -doubleword.FARTHEST)
    if is_far.any():
        d, d_low = np.where(is_far, -doubleword.FARTHEST, d), np.where(is_far, 0.0, d_low)
    return doubleword.exp(d, d_low)


def _weighted_total(terms: Terms, b: Array, d: Array) -> tuple[Array, Array, Array, Array]:
    """Add b times the terms. The sign of those that `exp` replaced is not known any more."""
    high, low, exponent = terms
    fraction, scale = np.frexp(b)
    product, error = two_product(fraction, high)
    size = np.where(d < -doubleword.FARTHEST, 4 / doubleword.SUM_ERROR, abs(product))
    return _total(product, low * fraction + error, exponent + scale, size)


def _total(
    high: Array, low: Array, exponent: Array, size: Array
) -> tuple[Array, Array, Array, Array]:
    """Add terms (high + low) 2**exponent, and size 2**exponent, along the first axis."""
    top = np.maximum(exponent.max(axis=0), _OF_ZERO)
    scale = exponent - top
    total = doubleword.total(np.ldexp(high, scale), np.ldexp(low, scale))
    return *total, top, np.ldexp(size, scale).sum(axis=0)


def with_logarithm(
    leading: Array, high: Array, low: Array, exponent: Array, size: Array, relative: Array
) -> tuple[Array, ...]:
    """Return S = leading + R and its logarithm, as the last attributes of `Sums`.

    R is (high + low +- relative size) 2**exponent, and S = m 2**q with m between 0.7 and 1.42. If S
    is next to 1, for the leading weight is 1 and q is 0, then log S = log1p(R) has the digits that
    R has; if R is tiny too, it is R. Elsewhere it is q ln 2 + log1p(m - 1). The other case is the
    same with both signs changed.
    """
    fraction, scale = np.frexp(leading)
    top = np.maximum(scale, exponent + np.frexp(size)[1])
    first, rest = np.ldexp(fraction, scale - top), np.ldexp(high, exponent - top)
    total, total_low = two_sum(first, rest)
    total, total_low = fast_two_sum(total, total_low + np.ldexp(low, exponent - top))
    sign, sizes = np.sign(total), np.ldexp(size, exponent - top)
    of_rest = relative * sizes / abs(total)
    of_sum = of_rest + doubleword.ARITHMETIC_ERROR * (abs(first) + sizes) / abs(total)
    of_sum[sizes == 0] = 0

    mantissa, q = np.frexp(abs(total))
    q -= mantissa < 0.7072
    m, m_low = np.ldexp(abs(total), -q), np.ldexp(sign * total_low, -q)
    q += top
    next_to_1 = (q == 0) & (abs(leading) == 1) & (sign == leading)
    tiny = next_to_1 & (exponent + np.frexp(high)[1] < _TINY)
    excess, excess_low = two_sum(m - 1, m_low)  # m - 1 is exact
    excess = np.where(next_to_1, np.ldexp(leading * high, exponent), excess)
    excess_low = np.where(next_to_1, np.ldexp(leading * low, exponent), excess_low)
    log, log_low = doubleword.log1p((excess, excess_low))
    error = np.where(next_to_1, of_rest, of_sum)
    error = 1.001 * np.where(error < 2.0**-20, error, np.inf)
    error += np.minimum(doubleword.LOG_ERROR, doubleword.LOG_RELATIVE_ERROR * abs(log))
    error += np.where(q == 0, 0.0, 2.0**-91)
    log, log_low = _plus_multiple_of_ln2(log, log_low, q)

    logarithm = (
        np.where(tiny, leading * high, log),
        np.where(tiny, leading * low, log_low),
        np.where(tiny, relative * size + 2.0**-200 * abs(high), error),
        np.where(tiny, exponent, 0),
    )
    s = np.ldexp(total, top), np.ldexp(total_low, top)
    return sign, *doubleword.reciprocal(s), of_sum, *logarithm


def _plus_multiple_of_ln2(log: Array, log_low: Array, q: Array) -> Pair:
    """Return log + q ln 2, for a log below 0.36 in size: the error is below 2**-91, or 0 for q = 0.

    q is below 2**12 (weights, and rows of 2**60 entries): what is rounded is below 2**-41.
    """
    first, second, third = doubleword.multiple_of_ln2(q)
    first, first_low = two_sum(first, second)
    log, rest = two_sum(first, log)
    return fast_two_sum(log, (rest + first_low) + (third + log_low))
