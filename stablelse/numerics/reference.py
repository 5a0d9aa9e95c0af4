"""The reference: correctly rounded log-sum-exp and softmax of rows in plain NumPy.

With a the largest x of a row, and b the weights (1 unless given),

    S = sum b_i exp(x_i - a) = b_max + R,    R the sum of all terms but that of a,

    log-sum-exp = a + log S,    log_softmax_j = x_j - a - log S,    softmax_j = exp(x_j - a) / S.

1. R is computed in two words, with a relative error of 2**-89.9, and has its own power of two, so
   that it keeps its digits however small it is (`sums`). Terms of both signs may cancel: then the
   bound is relative to the sum of their sizes.
2. If a log-sum-exp is close to zero, that leaves too few digits, but then no shift is needed:
   exp(x_i) is added up in three words (`near_logarithm`).
3. A result is accepted if all numbers within its error bound round to it (`settle`). All others
   are computed in decimal arithmetic: results close to the middle of two numbers, weights that
   cancel, and numbers that two words cannot hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals, doubleword
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.doubleword import (
    ARITHMETIC_ERROR,
    SUM_ERROR,
    TRIPLE_ERROR,
    Approximation,
    fast_two_sum,
    settle,
    two_product,
    two_sum,
)
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.rows import OF_NOTHING, bands

#: Number of elements computed at a time; an array of this many takes 256 kB.
BLOCK = 2**15

#: The exponent of a term that is 0: those of exp(d), with or without a weight, are larger.
OF_ZERO = -(2**20)

# If R is below this power of two, log(1 + R) is R, to twice as many bits.
_TINY = -220

# Beside 1, a smaller number than this can only break a tie: formats and their midpoints have at
# most 65 bits, and a difference of two numbers that float64 holds is checked.
_VANISHING = 2.0**-600

# A log-sum-exp below this is computed in three words right away.
_NEAR = 2.0**-20

#: Terms, or sums of them: (high + low) 2**exponent.
Terms = tuple[Array, Array, Array]

#: The rows and the columns of some elements, in the order of the rows.
Places = tuple[Array, Array]


# ---- Sums of rows


class Sums(NamedTuple):
    """Facts about each row."""

    largest: Array  # a, in longdouble; NaN if the row has one
    x_max: Array  # a, in two words
    x_max_low: Array
    spread: Array  # error bound of each d >= -2**14; 0 if each x is one word
    is_held: Array  # whether two words hold each x, and one word each weight
    high: Array  # R is within (high + low +- error) 2**exponent
    low: Array
    error: Array
    exponent: Array
    sign: Array  # of S
    inverse: Array  # 1 / S, in two words
    inverse_low: Array
    relative: Array  # bound of the relative error of S and 1 / S
    log_high: Array  # log abs(S) is within (high + low +- error) 2**exponent
    log_low: Array
    log_error: Array
    log_exponent: Array

    @property
    def is_nothing(self) -> Array:
        """Whether there is nothing to round: the row has NaN or +inf, or nothing finite."""
        return ~np.isfinite(self.largest)

    def of(self, rows: Any) -> Sums:
        """Return the facts about some of the rows."""
        return Sums(*(part[rows] for part in self))


def pieces(n: int) -> Iterator[slice]:
    """Yield slices of columns, as many as fit in a block."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def takes_longdouble(x: Array) -> bool:
    """Whether this dtype has numbers that float64 cannot hold."""
    return x.dtype == np.longdouble or (x.dtype.kind in "iu" and x.dtype.itemsize == 8)


def as_wide(x: Array) -> Array:
    """Return real numbers in float64, or in longdouble if float64 cannot hold them."""
    dtype = np.longdouble if takes_longdouble(x) else np.float64
    return x.astype(dtype, order="C", copy=False)


def sums(x: Array, b: Array | None = None) -> Sums:
    """Compute the facts about rows, shape (m, n)."""
    _keep_memory_at_hand()
    largest, pivot = _largest(x, b)
    x_max, x_max_low, _ = words_of(largest)
    every, is_held, parts = np.arange(len(x)), np.ones(len(x), bool), []
    for columns in pieces(x.shape[1]):
        part = masked(x, b, columns).T
        d, d_low, held = difference(part, x_max, x_max_low)
        high, low, exponent = doubleword.exp(d, d_low)
        exponent[part == -np.inf] = 2 * OF_ZERO
        here = (pivot >= columns.start) & (pivot < columns.stop)
        exponent[pivot[here] - columns.start, every[here]] = 2 * OF_ZERO
        size = None
        if b is not None:
            weights = as_wide(b[:, columns].T)
            fraction, scale = np.frexp(weights.astype(np.float64))
            exponent, size = exponent + scale, abs(fraction * high)
            size[d < -doubleword.FARTHEST] = 4 / SUM_ERROR  # `doubleword.exp` replaced these terms
            high, error = two_product(fraction, high)
            low = low * fraction + error
            held = held & (weights == weights.astype(np.float64))
        parts.append(_sized_total(high, low, exponent, size))
        is_held &= np.all(held, axis=0)
    high, low, exponent, size = (
        parts[0] if len(parts) == 1 else _sized_total(*map(np.array, zip(*parts, strict=True)))
    )
    spread = 2.0**-102 * (abs(x_max) + doubleword.FARTHEST) * takes_longdouble(x)
    leading = np.ones(len(x)) if b is None else b[every, pivot].astype(np.float64)
    rest = high, low, (SUM_ERROR + spread) * size, exponent
    return Sums(largest, x_max, x_max_low, spread, is_held, *rest, *facts_of(*rest, leading))


@cache
def _keep_memory_at_hand() -> None:
    """Make glibc keep freed memory for the next block, by freeing one large, untouched array.

    Otherwise it may return memory to the system after each block, which takes as long as computing.
    """
    np.empty(2**21)


def masked(x: Array, b: Array | None, columns: slice | Any = slice(None)) -> Array:
    """Return some columns of x: -inf where the weight is 0, inf or NaN where the term is."""
    x = as_wide(x[:, columns])
    if b is None:
        return x
    b = as_wide(b[:, columns])
    return np.where(b == 0, -np.inf, np.where(np.isfinite(b), x, x + abs(b)))


def _largest(x: Array, b: Array | None) -> tuple[Array, Array]:
    """Return the largest x of each row, NaN if the row has one, and where it is."""
    part = masked(x, b)
    pivot = part.argmax(axis=1)
    return part[np.arange(len(x)), pivot].astype(np.longdouble), pivot


def words_of(x: Array) -> tuple[Array, Array, Array]:
    """Return longdoubles in two words, and whether these are exact."""
    high = x.astype(np.float64)
    rest = np.where(np.isfinite(x), x - high, 0)
    low = rest.astype(np.float64)
    return high, low, np.isfinite(rest) & (low == rest)


def difference(x: Array, x_max: Array, x_max_low: Array) -> tuple[Array, Array, Any]:
    """Return x - x_max in two words, and whether two words hold x.

    It is exact without lower words; otherwise 2**-103 of x and x_max may be lost.
    """
    if x.dtype == np.float64:
        return *two_sum(np.ascontiguousarray(x), -x_max), True
    high, low, held = words_of(np.ascontiguousarray(x))
    d, d_low = two_sum(high, -x_max)
    return *two_sum(d, d_low + (low - x_max_low)), held


def total_of(high: Array, low: Array, exponent: Array) -> Terms:
    """Add terms (high + low) 2**exponent along the first axis."""
    top = np.maximum(exponent.max(axis=0), OF_ZERO)
    scale = exponent - top
    high, low = doubleword.total(np.ldexp(high, scale), np.ldexp(low, scale))
    return high, low, top


def _sized_total(high: Array, low: Array, exponent: Array, size: Array | None) -> tuple[Array, ...]:
    """Add terms (high + low) 2**exponent, and their sizes; those of positive terms are the sum."""
    *total, top = total_of(high, low, exponent)
    sizes = total[0] if size is None else np.ldexp(size, exponent - top).sum(axis=0)
    return *total, top, sizes


def facts_of(
    high: Array, low: Array, error: Array, exponent: Array, leading: Array
) -> tuple[Array, ...]:
    """Return the sign of S = leading + R, its inverse and its logarithm, as in `Sums`.

    S = m 2**q with m between 0.7 and 1.42. If S is close to 1, because the leading weight is 1 and
    q is 0, log S = log1p(R) has as many digits as R; if R is also tiny, it is R. Otherwise it is
    q ln 2 + log1p(m - 1). A leading weight of -1 is the same with both signs changed.
    """
    fraction, scale = np.frexp(leading)
    top = np.maximum(scale, exponent + np.frexp(np.maximum(abs(high), error))[1])
    first, rest = np.ldexp(fraction, scale - top), np.ldexp(high, exponent - top)
    total, total_low = doubleword.plus((first, 0.0), (rest, np.ldexp(low, exponent - top)))
    sign = np.sign(total)
    of_rest = np.ldexp(error, exponent - top) / abs(total)
    of_sum = of_rest + ARITHMETIC_ERROR * (abs(first) + abs(rest)) / abs(total)
    of_sum[(high == 0) & (error == 0)] = 0

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
    of_log = np.where(next_to_1, of_rest, of_sum)
    of_log = 1.001 * np.where(of_log < 2.0**-20, of_log, np.inf)
    of_log += np.minimum(doubleword.LOG_ERROR, doubleword.LOG_RELATIVE_ERROR * abs(log))
    of_log += np.where(q == 0, 0.0, 2.0**-91)
    # Plus q ln 2: log is below 0.36 in size, and q below 2**12 (weights, and rows of 2**60
    # entries), so the rounded part is below 2**-41, and the error below 2**-91.
    second, third, fourth = doubleword.multiple_of_ln2(q)
    second, second_low = two_sum(second, third)
    log, rest = two_sum(second, log)
    log, log_low = fast_two_sum(log, (rest + second_low) + (fourth + log_low))

    inverse = doubleword.reciprocal((np.ldexp(total, top), np.ldexp(total_low, top)))
    logarithm = (
        np.where(tiny, leading * high, log),
        np.where(tiny, leading * low, log_low),
        np.where(tiny, error + 2.0**-200 * abs(high), of_log),
        np.where(tiny, exponent, 0),
    )
    return sign, *inverse, of_sum, *logarithm


# ---- Results in words


def log_sum(
    head: Array, head_low: Array, known: Sums, sign: int = 1, head_error: Any = 0.0
) -> Approximation:
    """Return head + head_low + sign log S, where the head has an error of at most `head_error`."""
    tail, tail_low, error = sign * known.log_high, sign * known.log_low, known.log_error
    exponent: Any = 0
    if known.log_exponent.any():
        exponent = np.where(abs(head) < 2.0**-400, -600, 0)
        exponent = np.where(head == 0, known.log_exponent, exponent)
        head, head_low = np.ldexp(head, -exponent), np.ldexp(head_low, -exponent)
        head_error, scale = np.ldexp(head_error, -exponent), known.log_exponent - exponent
        tail, tail_low, error = (np.ldexp(part, scale) for part in (tail, tail_low, error))
        tail, error = _kept_in_sight(tail, error, head, head_low, sign * known.log_high, known)
    high, low = two_sum(head, tail)
    low, lowest = two_sum(low, head_low)
    lowest = lowest + tail_low
    return Approximation(high, low, lowest, head_error + error + 2.0**-52 * abs(lowest), exponent)


def _kept_in_sight(
    tail: Array, error: Array, head: Array, head_low: Array, log: Array, known: Sums
) -> tuple[Array, Array]:
    """Return the tail, or a stand-in of its sign where it vanishes beside the head.

    The stand-in does not underflow, and head + stand-in rounds as head + tail does: no number of a
    format is so close to the head, and no midpoint. Its error is then 0.
    """
    least = _VANISHING * abs(head)
    vanishes = (abs(tail) < least) & (error < least) & (known.log_error > 0)
    is_clear = (head_low == 0) | (abs(head_low) > 2.0**100 * least)
    is_signed = known.log_error < abs(known.log_high)
    tail = np.where(vanishes, np.copysign(least, log), tail)
    return tail, np.where(vanishes, np.where(is_clear & is_signed, 0.0, 4 * least), error)


def quotient(x: Array, known: Sums) -> Approximation:
    """Return exp(d) / S."""
    d, d_low, _ = difference(x, known.x_max, known.x_max_low)
    *term, exponent = doubleword.exp(d, d_low)
    high, low = doubleword.product((term[0], term[1]), (known.inverse, known.inverse_low))
    error = doubleword.EXP_ERROR + known.spread + known.relative + 2 * ARITHMETIC_ERROR
    return Approximation(high, low, np.zeros(1), 1.001 * error * high, exponent)


def log_quotient(x: Array, known: Sums) -> Approximation:
    """Return d - log S."""
    d, d_low, _ = difference(x, known.x_max, known.x_max_low)
    error: Any = 0.0
    if known.spread.any():
        error = np.where(d == 0, 0.0, 2.0**-102 * (abs(d) + abs(known.x_max)))
    return log_sum(d, d_low, known, -1, error)


def near_sums(x: Array) -> doubleword.Triple:
    """Return sum exp(x_i) of rows whose sum is close to 1, in three words, to `TRIPLE_ERROR`."""
    parts = [doubleword.total(*doubleword.exp3(x[:, part].T)) for part in pieces(x.shape[1])]
    first, second, third = doubleword.total(*map(np.array, zip(*parts, strict=True)))
    return first, second, third


def near_logarithm(total: doubleword.Triple, error: Array | float, y: Array) -> Approximation:
    """Compute the logarithm of sums S close to 1, from their words and estimates y.

    log S = y + log(1 + z), z = S exp(-y) - 1. With E = exp(-y) in three words, S0 E0 - 1, S0 E1
    and S1 E0 are exact in two words each; other products are below 2**-92, rounded by 2**-53 of it.
    z is below 2**-48, or the error is infinite, so z**3 / 3 < 2**-145 is left out. For y below
    2**-20, k is 0 in `exp3`, and E wrong by less than 2**-140: by its r**3 / 6 and r**2 / 2.
    """
    first, second, third = total
    e, e_low, e_lowest = doubleword.exp3(-y)
    main, main_low = two_product(first, e)
    cross, cross_low = two_product(first, e_low)
    other, other_low = two_product(second, e)
    z, low = two_sum(main - 1, main_low)
    z, cross_error = two_sum(z, cross)
    z, other_error = two_sum(z, other)
    low += cross_error + other_error + cross_low + other_low
    low += second * e_low + (first * e_lowest + third * e)
    z, low = two_sum(z, low)
    low -= 0.5 * z * z
    known = np.where(abs(y) < _NEAR, 2.0**-140, TRIPLE_ERROR) + 1.01 * error
    known += 2.0**-51 * abs(low)
    known = np.where(abs(z) < 2.0**-48, known, np.inf)
    high, rest = two_sum(y, z)
    return Approximation(high, *two_sum(rest, low), known)


# ---- Results, rounded


def logsumexp(
    rows: Array, format_: Format, weights: Array | None = None
) -> tuple[Array, Array, Certificate]:
    """Compute log abs(sum b_i exp(x_i)) of rows, shape (m, n), m, n >= 1, and the sign of the sum.

    If there is nothing to round, the result is as in `stablelse.logsumexp`.
    """
    values, signs = np.empty(len(rows), format_.dtype), np.ones(len(rows))
    counts = Counter[Rung]()
    with np.errstate(all="ignore"):
        for band in bands(rows.shape, BLOCK):
            x, b = rows[band], None if weights is None else weights[band]
            is_left = np.ones(len(x), bool)
            near, estimate = _near_zero(x, b)
            if near.size:
                total = near_logarithm(near_sums(as_wide(x[near])), TRIPLE_ERROR, estimate)
                value, settled, _ = settle(total, format_)
                values[band][near], is_left[near] = value, ~settled
                counts[Rung.TRIPLE_WORD] += int(settled.sum())
            left = band.start + np.flatnonzero(is_left)
            values[left], signs[left], doubtful = _log_sums(
                x[is_left], None if b is None else b[is_left], format_, counts
            )
            for i in left[doubtful].tolist():
                of_row = None if weights is None else as_wide(weights[i])
                values[i], signs[i] = decimals.logsumexp(as_wide(rows[i]), format_, of_row)
                counts[Rung.DECIMAL] += 1
    return values, signs, Certificate.of(counts)


def _log_sums(
    x: Array, b: Array | None, format_: Format, counts: Counter[Rung]
) -> tuple[Array, Array, Array]:
    """Compute log-sum-exps of rows in double-words: values, signs, and which are in doubt."""
    known = sums(x, b)
    a, is_nothing = known.largest, known.is_nothing
    total = log_sum(known.x_max, known.x_max_low, known)
    value, settled, _ = settle(total, format_)
    settled &= known.is_held & ~is_nothing
    counts.update({Rung.DOUBLE_WORD: int(settled.sum()), Rung.CONVENTION: int(is_nothing.sum())})
    value[is_nothing] = format_.round(a[is_nothing])
    sign = np.where(is_nothing, np.where(np.isnan(a), np.nan, a > 0), known.sign)
    for i in () if b is None else np.flatnonzero(a == np.inf).tolist():
        assert b is not None
        signs = np.sign(b[i][masked(x[i : i + 1], b[i : i + 1])[0] == np.inf])
        if (signs == signs[0]).all():
            sign[i] = signs[0]
        else:
            value[i], sign[i] = format_.round(np.nan), np.nan
    return value, sign, ~(settled | is_nothing)


def _near_zero(x: Array, b: Array | None) -> tuple[Array, Array]:
    """Return the rows whose log-sum-exp is near zero although no x is 0, and estimates of it."""
    if b is not None or takes_longdouble(x):
        return np.empty(0, np.intp), np.empty(0)
    top = x.max(axis=1).astype(np.float64)
    (near,) = np.nonzero((top < 0) & (top > -np.log(x.shape[1]) - _NEAR))
    estimate = np.log1p(np.exp(as_wide(x[near])).sum(axis=1) - 1)
    is_near = abs(estimate) < _NEAR
    return near[is_near], estimate[is_near]


def elements(name: str, x: Array, known: Sums, format_: Format) -> tuple[Array, Array, Array]:
    """Return elements of rows with known sums, which are in doubt, and which have no right value.

    x, shape (k, m) or (m,), has a column, or one number, for each row.
    """
    is_nan = np.broadcast_to(known.is_nothing, x.shape)
    is_nothing = (x == -np.inf) | is_nan
    evaluate = quotient if name == "softmax" else log_quotient
    value, settled, _ = settle(evaluate(x, known), format_)
    value[is_nothing] = format_.round(np.where(is_nan[is_nothing], np.nan, OF_NOTHING[name]))
    return value, ~((settled & known.is_held) | is_nothing), is_nothing


def _elementwise(
    name: str, rows: Array, format_: Format, places: Places | None = None
) -> tuple[Array, Certificate]:
    """Compute softmax or log_softmax of rows, shape (m, n), m, n >= 1, or elements at some places.

    A row with NaN or +inf, or with nothing but -inf, gives NaN.
    """
    shape = rows.shape if places is None else places[0].shape
    result, doubtful = np.empty(shape, format_.dtype), np.zeros(shape, bool)
    counts = Counter[Rung]()
    with np.errstate(all="ignore"):
        for x, known, target in _parts(rows, places):
            value, is_doubtful, is_nothing = elements(name, x, known, format_)
            result[target], doubtful[target] = value.T, is_doubtful.T
            counts[Rung.CONVENTION] += int(np.count_nonzero(is_nothing))
        unsettled = np.nonzero(doubtful)
        counts[Rung.DECIMAL] = len(unsettled[0])
        counts[Rung.DOUBLE_WORD] = result.size - counts.total()
        i, j = unsettled if places is None else (part[unsettled] for part in places)
        for row in np.unique(i).tolist():
            here = np.flatnonzero(i == row)
            target = tuple(index[here] for index in unsettled)
            result[target] = decimals.elements(name, as_wide(rows[row]), format_, j[here])
    return result, Certificate.of(counts)


def _parts(rows: Array, places: Places | None) -> Iterator[tuple[Array, Sums, Any]]:
    """Yield elements, the facts about their rows, and their places in the result."""
    for band in bands(rows.shape, BLOCK):
        x = rows[band]
        known = sums(x)
        if places is None:
            for columns in pieces(x.shape[1]):
                yield as_wide(x[:, columns]).T, known, (band, columns)
        else:
            i, j = places
            here = slice(*np.searchsorted(i, [band.start, band.stop]).tolist())
            row = i[here] - band.start
            yield as_wide(x[row, j[here]]), known.of(row), here


softmax, log_softmax = (partial(_elementwise, name) for name in OF_NOTHING)


def extent(rows: Array, low: float, high: float) -> tuple[Array, Array, Array, Array]:
    """Find the extremes of every row, and count the finite elements below and above bounds."""
    x = as_wide(rows)
    with np.errstate(all="ignore"):
        below, above = (x < low) & (x > -np.inf), (x > high) & (x < np.inf)
    return x.max(axis=1), x.min(axis=1), below.sum(axis=1), above.sum(axis=1)
