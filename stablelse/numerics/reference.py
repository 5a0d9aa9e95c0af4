"""Correctly rounded log-sum-exp and softmax in plain NumPy: one double-word rung, then decimals.

With a = max x_i, which is the x of the pivot, d_i = x_i - a in two words without error, and
R = sum of exp(d_i) over all i but the pivot,

    log-sum-exp = a + log(1 + R),  log_softmax_j = d_j - log(1 + R),  softmax_j = exp(d_j) / (1 + R).

R is known to 2**-89.9 of itself and carries a power of two of its own: however small, it keeps its
digits. With signed weights, 1 + R is S = b_p + sum b_i exp(d_i), and the bound is in units of the sum
of the sizes of the terms, so that it tells when they cancel. `settle` accepts a result if all numbers
within the bound round to it. The others are computed in decimal arithmetic: results that lie next to
zero, for they need more digits than two words have, results next to the middle of two numbers of
the format, and what two words do not hold in the first place.

Conventions leave nothing to round. They show in the largest x, which is then NaN or infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import doubleword
from stablelse.numerics.errorfree import fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.ladder import decimals
from stablelse.numerics.ladder.certificate import Certificate, Ledger, Rung
from stablelse.numerics.rounding import Approximation, settle

#: So many elements are computed at a time: an array of them has 64 kB.
BLOCK = 2**13

#: The row and the column of each of some elements, as `numpy.nonzero` returns them.
Places = tuple[Array, Array]

# What is smaller than this, beside 1, can break a tie and do no more: formats and their midpoints
# have at most 65 bits, and a difference of two numbers that float64 holds is checked.
_VANISHING = 2.0**-600

# Where R is below this power of two, log(1 + R) is R, to twice as many bits.
_TINY = -220

# The exponent of what is zero.
_OF_ZERO = np.int32(-(2**20))


class _Log(NamedTuple):
    """For each row: log abs(S) is within (high + low +- error) 2**exponent."""

    high: Array
    low: Array
    error: Array
    exponent: Array


class _Sums(NamedTuple):
    """What is known of each row.

    Attributes
    ----------
    is_nothing, is_held : ndarray of bool
        Whether there is nothing to round; and whether two words hold each x, one each weight.
    x_max : tuple of ndarray
        The largest x, in two words.
    sign, reciprocal, error : ndarray, tuple of ndarray, ndarray
        The sign of S; 1 / S, in two words, if there are no weights; its relative error.
    log : _Log
        log abs(S).
    """

    is_nothing: Array
    is_held: Array
    x_max: doubleword.Pair
    sign: Array
    reciprocal: doubleword.Pair
    error: Array
    log: _Log

    def of(self, rows: Any) -> _Sums:
        """Return what is known of some of the rows."""
        high, low = self.x_max
        inverse, inverse_low = self.reciprocal
        return _Sums(
            self.is_nothing[rows],
            self.is_held[rows],
            (high[rows], low[rows]),
            self.sign[rows],
            (inverse[rows], inverse_low[rows]),
            self.error[rows],
            _Log(*(part[rows] for part in self.log)),
        )


def logsumexp(
    rows: Array, format_: Format, weights: Array | None = None
) -> tuple[Array, Array, Certificate]:
    """Compute log abs(sum b_i exp(x_i)) of every row, correctly rounded, and the sign of the sum.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    format_ : Format
        The format of the values.
    weights : ndarray, optional
        The b_i, shape (m, n), real; all 1 if left out.

    Returns
    -------
    value : ndarray
        Shape (m,), in the format. Where an x or b is NaN, or infinite so that there is nothing
        to round, it is as `stablelse.logsumexp` has it.
    sign : ndarray
        Shape (m,): 1, 0, -1 or NaN.
    certificate : Certificate
        How many values each rung settled.

    Raises
    ------
    FloatingPointError
        If this thread does not round to nearest, with subnormal numbers.
    """
    value, sign, ledger = np.empty(len(rows), format_.dtype), np.empty(len(rows)), Ledger()
    with np.errstate(all="ignore"):
        check_arithmetic()
        for band in _bands(*rows.shape):
            x, b = _real(rows[band]), None if weights is None else _real(weights[band])
            sums = _sums(x, b)
            is_nothing = sums.is_nothing
            results, settled, ulps = settle(_sum(*sums.x_max, sums.log, 1, 0.0), format_)
            settled &= sums.is_held & ~is_nothing
            sign[band] = sums.sign
            for i in np.flatnonzero(is_nothing).tolist():
                results[i], sign[band.start + i] = _of_nothing(x, b, i)
            doubtful = np.flatnonzero(~settled & ~is_nothing)
            for i in doubtful.tolist():
                row, b_row = x[i], None if b is None else b[i]
                results[i], sign[band.start + i] = decimals.logsumexp(row, format_, b_row)
            value[band] = results
            _enter(ledger, is_nothing, settled, ulps)
    return value, sign, ledger.close()


def softmax(
    rows: Array, format_: Format, places: Places | None = None
) -> tuple[Array, Certificate]:
    """Compute the softmax of every row, correctly rounded.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    format_ : Format
        The format of the results.
    places : tuple of ndarray of int, optional
        The row and the column of each of the k elements that are wanted, as `numpy.nonzero`
        returns them; all elements if left out.

    Returns
    -------
    result : ndarray
        Shape (m, n), or (k,), in the format. A row that has NaN or +inf, or nothing but -inf, is
        NaN.
    certificate : Certificate
        How many elements each rung settled.

    Raises
    ------
    FloatingPointError
        As of `logsumexp`.
    """
    return _elementwise(rows, format_, places, _quotient, decimals.softmax, 0.0)


def log_softmax(
    rows: Array, format_: Format, places: Places | None = None
) -> tuple[Array, Certificate]:
    """Compute log_softmax of every row, correctly rounded; see `softmax`."""
    return _elementwise(rows, format_, places, _log_quotient, decimals.log_softmax, -np.inf)


def check_arithmetic() -> None:
    """Raise an error unless this thread rounds to nearest, with subnormal numbers.

    Other libraries switch that: with fesetround, or because they are built with -ffast-math.
    """
    one, ulp, tiny = np.array([1.0, -1.0]), 2.0**-52, np.array([2.0**-1022, 2.0**-1074])
    rounds = ((one + one * (0.75 * ulp)) - one == one * ulp) & (one + one * (0.25 * ulp) == one)
    if not (rounds.all() and (tiny * [0.5, 2.0] == [2.0**-1023, 2.0**-1073]).all()):
        raise FloatingPointError(
            "this thread does not round to nearest with subnormal numbers, so results could be "
            "wrong: another library has switched that (fesetround, or a build with -ffast-math); "
            "switch it back, or compute in a new process without that library"
        )


def _bands(m: int, n: int) -> Iterator[slice]:
    """Yield slices of as many rows as make a block, at least one."""
    step = max(1, BLOCK // n)
    return (slice(start, min(start + step, m)) for start in range(0, m, step))


def _pieces(n: int) -> Iterator[slice]:
    """Yield slices of as many columns as a block has room for."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def _real(x: Array) -> Array:
    """Return integers, which float64 may not hold, as longdoubles, and bools as float64."""
    if x.dtype.kind in "biu":
        return x.astype(np.longdouble if x.dtype.itemsize == 8 else np.float64)
    return x


def _words(x: Array) -> tuple[Array, Any, Array | bool]:
    """Return numbers in two words, the second None if it is 0, and whether they hold them."""
    high = x.astype(np.float64, order="C")
    if x.dtype != np.longdouble or x.dtype == np.float64:
        return high, None, True
    rest = np.where(np.isfinite(x), x - high, 0)
    low = rest.astype(np.float64)
    return high, low, np.isfinite(rest) & (low == rest)


def _masked(x: Array, b: Array | None) -> Array:
    """Return x with -inf where the weight is 0; inf or NaN where the weight makes the term so."""
    if b is None:
        return x
    return np.where(b == 0, -np.inf, np.where(np.isfinite(b), x, x + abs(b)))


def _largest(x: Array, b: Array | None) -> tuple[Array, Array]:
    """Return the largest x of each row, NaN if there is one, and where it is."""
    every = np.arange(len(x))
    largest, pivot = np.full(len(x), -np.inf, np.longdouble), np.zeros(len(x), np.intp)
    for columns in _pieces(x.shape[1]):
        part = _masked(x[:, columns], None if b is None else b[:, columns])
        place = part.argmax(axis=1)
        found = part[every, place].astype(np.longdouble)
        is_larger = (found > largest) | np.isnan(found)
        largest[is_larger], pivot[is_larger] = found[is_larger], place[is_larger] + columns.start
    return largest, pivot


def _sums(x: Array, b: Array | None) -> _Sums:
    """Compute what is to be known of each row."""
    largest, pivot = _largest(x, b)
    x_max, x_max_low, _ = _words(largest)
    x_max_low = np.zeros_like(x_max) if x_max_low is None else x_max_low
    every = np.arange(len(x))
    leading = np.ones(len(x)) if b is None else b[every, pivot].astype(np.float64)
    parts, is_held = [], np.ones(len(x), bool)
    for columns in _pieces(x.shape[1]):
        b_part = None if b is None else b[:, columns]
        part = _masked(x[:, columns], b_part).T
        d, d_low, error, held = _difference(part, x_max, x_max_low)
        terms, terms_low, exponent = _exp(d, d_low, part == -np.inf)
        here = (pivot >= columns.start) & (pivot < columns.stop)
        at = pivot[here] - columns.start, every[here]
        terms[at], terms_low[at], exponent[at] = 0, 0, _OF_ZERO
        is_held &= np.all(held, axis=0)
        size = abs(terms)
        if b_part is not None:  # then the sign of what is far is not known
            fraction, scale = np.frexp(b_part.T.astype(np.float64))
            terms, product_low = two_product(fraction, terms)
            terms_low = terms_low * fraction + product_low
            exponent = exponent + scale
            size = np.where(d < -doubleword.FARTHEST, 4 / doubleword.SUM_ERROR, size)
            is_held &= np.all((b_part == b_part.astype(np.float64)), axis=1)
        parts.append(_total(terms, terms_low, size, exponent))
    rest = parts[0] if len(parts) == 1 else _total(*map(np.array, zip(*parts, strict=True)))
    logs = _of_rest(leading, *rest)
    return _Sums(~np.isfinite(largest), is_held, (x_max, x_max_low), *logs)


def _difference(
    x: Array, x_max: Array, x_max_low: Array
) -> tuple[Array, Array, Any, Array | bool]:
    """Return d = x - x_max in two words, a bound of its error, and whether two words hold x."""
    high, low, held = _words(x)
    d, d_low = two_sum(high, -x_max)
    if low is None and not x_max_low.any():
        return d, d_low, 0.0, held
    d, d_low = two_sum(d, d_low + ((0.0 if low is None else low) - x_max_low))
    return d, d_low, 2.0**-103 * (abs(high) + abs(x_max)), held


def _exp(d: Array, d_low: Array, is_nothing: Array) -> tuple[Array, Array, Array]:
    """Return exp(d + d_low) for any d <= 0, with 0 where there is nothing.

    What is below exp(-2**14) becomes that: where it counts, it is known to be positive only.
    """
    is_far = ~(d >= -doubleword.FARTHEST)
    if is_far.any():
        d, d_low = np.where(is_far, -doubleword.FARTHEST, d), np.where(is_far, 0.0, d_low)
    high, low, exponent = doubleword.exp(d, d_low)
    high[is_nothing], low[is_nothing], exponent[is_nothing] = 0, 0, _OF_ZERO
    return high, low, exponent


def _total(
    high: Array, low: Array, size: Array, exponent: Array
) -> tuple[Array, Array, Array, Array]:
    """Add terms (high + low) 2**exponent, and their sizes, along the first axis."""
    top = exponent.max(axis=0)
    scale = exponent - top
    total = doubleword.total(np.ldexp(high, scale), np.ldexp(low, scale))
    return *total, np.ldexp(size, scale).sum(axis=0), top


def _of_rest(
    leading: Array, high: Array, low: Array, size: Array, exponent: Array
) -> tuple[Array, doubleword.Pair, Array, _Log]:
    """Return sign, reciprocal and relative error of S, and its logarithm.

    S is the leading weight plus R = (high + low) 2**exponent, wrong by `SUM_ERROR` of its size.

    S is m 2**q, with m between 0.7 and 1.42. Where the leading weight is 1 and q is 0, log(1 + R)
    has the digits that R has; elsewhere it is q ln 2 + log(1 + (m - 1)).
    """
    fraction, scale = np.frexp(leading)
    top = np.maximum(scale, exponent + np.frexp(size)[1])
    first, rest = np.ldexp(fraction, scale - top), np.ldexp(high, exponent - top)
    total, total_low = two_sum(first, rest)
    total, total_low = fast_two_sum(total, total_low + np.ldexp(low, exponent - top))
    sign = np.sign(total)
    sizes = np.ldexp(size, exponent - top)
    is_beside_one = abs(leading) == 1
    lost = doubleword.SUM_ERROR * sizes
    lost = lost + doubleword.ARITHMETIC_ERROR * (abs(first) + sizes)
    error = np.where(sizes == 0, 0.0, lost / abs(total))

    mantissa, q = np.frexp(abs(total))
    q -= mantissa < 0.7072
    m, m_low = np.ldexp(abs(total), -q), np.ldexp(sign * total_low, -q)
    q += top
    is_beside_one &= (q == 0) & (sign == leading)
    is_tiny = is_beside_one & (exponent + np.frexp(high)[1] < _TINY)
    excess, excess_low = two_sum(m - 1, m_low)  # m - 1 is exact
    near = is_beside_one & ~is_tiny
    excess = np.where(near, np.ldexp(leading * high, exponent), excess)
    excess_low = np.where(near, np.ldexp(leading * low, exponent), excess_low)
    log, log_low = doubleword.log1p((excess, excess_low))
    log_error = np.minimum(doubleword.LOG_ERROR, doubleword.LOG_RELATIVE_ERROR * abs(log))
    of_sum = np.where(near, doubleword.SUM_ERROR * sizes / abs(total), error)
    log_error += 1.001 * np.where(of_sum < 2.0**-20, of_sum, np.inf)
    first, second, third = doubleword.multiple_of_ln2(q)
    first, first_low = two_sum(first, second)
    log, rest = two_sum(first, log)
    log, log_low = fast_two_sum(log, (rest + first_low) + (third + log_low))
    log_error += np.where(q == 0, 0.0, 2.0**-91)

    tiny_error = doubleword.SUM_ERROR * size + 2.0**-200 * abs(high)
    logs = _Log(
        np.where(is_tiny, leading * high, log),
        np.where(is_tiny, leading * low, log_low),
        np.where(is_tiny, tiny_error, log_error),
        np.where(is_tiny, exponent, 0),
    )
    reciprocal = doubleword.reciprocal((np.ldexp(total, top), np.ldexp(total_low, top)))
    return sign, reciprocal, error, logs


def _sum(head: Array, head_low: Array, log: _Log, sign: int, head_error: Any) -> Approximation:
    """Return head + head_low + sign log S, the head being wrong by at most `head_error`."""
    tail, tail_low, error = sign * log.high, sign * log.low, head_error + log.error
    exponent: Any = 0
    if log.exponent.any():
        exponent = np.where(head == 0, log.exponent, np.where(abs(head) < 2.0**-400, -600, 0))
        head, head_low = np.ldexp(head, -exponent), np.ldexp(head_low, -exponent)
        tail, tail_low, error = _beside(head, head_low, sign, log, log.exponent - exponent)
        error = error + np.ldexp(head_error, -exponent)
    high, low = two_sum(head, tail)
    low, lowest = two_sum(low, head_low)
    lowest = lowest + tail_low
    return Approximation(high, low, lowest, error + 2.0**-52 * abs(lowest), exponent)


def _beside(
    head: Array, head_low: Array, sign: int, log: _Log, scale: Array
) -> tuple[Array, Array, Array]:
    """Return sign log S 2**scale in two words, and its error, to be added to the head.

    Should it vanish beside the head, it is replaced by something of its sign that vanishes but
    does not underflow: from the head to there, no number of a format lies, and no midpoint.
    """
    tail, tail_low = np.ldexp(sign * log.high, scale), np.ldexp(sign * log.low, scale)
    error = np.ldexp(log.error, scale)
    least = _VANISHING * abs(head)
    vanishes = (abs(tail) < least) & (error < least) & (log.error > 0)
    is_plain = (head_low == 0) | (abs(head_low) > 2.0**100 * least)
    is_known = is_plain & (log.error < abs(log.high))
    tail = np.where(vanishes, np.copysign(least, sign * log.high), tail)
    tail_low = np.where(vanishes, 0.0, tail_low)
    return tail, tail_low, np.where(vanishes, np.where(is_known, 0.0, 4 * least), error)


#: From d = x - a, in two words, a bound of its error, where x is -inf, and the sums, to elements.
_Evaluation = Callable[[Array, Array, Any, Array, _Sums], Approximation]


def _quotient(d: Array, d_low: Array, error: Any, is_nothing: Array, sums: _Sums) -> Approximation:
    """Return exp(d) / S."""
    high, low, exponent = _exp(d, d_low, is_nothing)
    high, low = doubleword.product((high, low), sums.reciprocal)
    relative = doubleword.EXP_ERROR + sums.error + error + 2 * doubleword.ARITHMETIC_ERROR
    return Approximation(high, low, np.zeros_like(low), 1.001 * relative * high, exponent)


def _log_quotient(
    d: Array, d_low: Array, error: Any, is_nothing: Array, sums: _Sums
) -> Approximation:
    """Return d - log S."""
    return _sum(d, d_low, sums.log, -1, error)


def _elementwise(
    rows: Array,
    format_: Format,
    places: Places | None,
    evaluate: _Evaluation,
    in_decimal: Callable[[Array, Format, Array], Array],
    of_nothing: float,
) -> tuple[Array, Certificate]:
    """Evaluate elements of every row; see `softmax`."""
    shape = rows.shape if places is None else places[0].shape
    result, doubtful, ledger = np.empty(shape, format_.dtype), np.zeros(shape, bool), Ledger()
    with np.errstate(all="ignore"):
        check_arithmetic()
        for part, sums, target in _elements(rows, places):
            d, d_low, error, _ = _difference(part, *sums.x_max)
            is_nan = np.broadcast_to(sums.is_nothing, part.shape)
            is_nothing = (part == -np.inf) | is_nan
            values, settled, ulps = settle(evaluate(d, d_low, error, is_nothing, sums), format_)
            settled &= sums.is_held & ~is_nothing
            values[is_nothing] = format_.round(np.where(is_nan[is_nothing], np.nan, of_nothing))
            result[target], doubtful[target] = values.T, ~(settled | is_nothing).T
            _enter(ledger, is_nothing, settled, ulps)
        unsettled = np.nonzero(doubtful)
        i, j = unsettled if places is None else (places[0][unsettled], places[1][unsettled])
        for row in np.unique(i).tolist():
            of_row = np.flatnonzero(i == row)
            where = tuple(index[of_row] for index in unsettled)
            result[where] = in_decimal(_real(rows[row]), format_, j[of_row])
    return result, ledger.close()


def _elements(
    rows: Array, places: Places | None
) -> Iterator[tuple[Array, _Sums, tuple[slice, slice] | Array]]:
    """Yield elements, what is known of their rows, and their places in the result.

    They are pieces of a block of rows, shape (j, i); or of the places, shape (k,).
    """
    if places is None:
        for band in _bands(*rows.shape):
            x = _real(rows[band])
            sums = _sums(x, None)
            for columns in _pieces(x.shape[1]):
                yield x[:, columns].T, sums, (band, columns)
        return
    order = np.argsort(places[0], kind="stable")
    i, j = places[0][order], places[1][order]
    wanted = np.unique(i)
    for band in _bands(len(wanted), rows.shape[1]):
        some = wanted[band]
        x = _real(rows[some])
        sums = _sums(x, None)
        first, last = np.searchsorted(i, some[[0, -1]] + np.array([0, 1]))
        for start in range(first, last, BLOCK):
            these = slice(start, min(start + BLOCK, last))
            row = np.searchsorted(some, i[these])
            yield x[row, j[these]], sums.of(row), order[these]


def _of_nothing(x: Array, b: Array | None, i: int) -> tuple[float, float]:
    """Return a logarithm where there is nothing to round, and the sign of the sum."""
    terms = _masked(x[i], None if b is None else b[i])
    if np.isnan(terms).any():
        return np.nan, np.nan
    infinite = terms == np.inf
    if not infinite.any():
        return -np.inf, 0.0
    signs = {1.0} if b is None else set(np.sign(b[i][infinite]).astype(float).tolist())
    return (np.inf, signs.pop()) if len(signs) == 1 else (np.nan, np.nan)


def _enter(ledger: Ledger, is_nothing: Array, settled: Array, ulps: Array) -> None:
    """Count what a convention and the double-word rung settle, and what is left to decimals."""
    conventional, proved = np.count_nonzero(is_nothing), np.count_nonzero(settled)
    ledger.enter(Rung.CONVENTION, conventional, np.zeros(1))
    ledger.enter(Rung.DOUBLE_WORD, proved, ulps if proved == ulps.size else ulps[settled])
    ledger.enter(Rung.DECIMAL, settled.size - proved - conventional, np.zeros(1))
