"""Correctly rounded log-sum-exp and softmax in plain NumPy: a double-word rung, then decimals.

With a = max x_i, d_j = x_j - a and S = sum exp(d_i), in two words (`stablelse.numerics.rowsums`),

    log-sum-exp = a + log S,    log_softmax_j = d_j - log S,    softmax_j = exp(d_j) / S.

`settle` accepts a result if all numbers within the bound of its error round to it. A log-sum-exp
next to zero takes more digits than that, and gets a third word (`stablelse.numerics.nearzero`).
Whatever is left is computed in decimal arithmetic: results next to the middle of two numbers of
the format, weights that cancel, and what two words do not hold in the first place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stablelse.numerics import decimals, doubleword, nearzero
from stablelse.numerics.certificate import Certificate, Ledger, Rung
from stablelse.numerics.doubleword import two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.rounding import Approximation, settle
from stablelse.numerics.rowsums import (
    BLOCK,
    Sums,
    Terms,
    as_wide,
    bands,
    difference,
    exp,
    masked,
    pieces,
    sums,
    takes_longdouble,
)

#: The row and the column of each of some elements, as `numpy.nonzero` returns them.
Places = tuple[Array, Array]

# What is smaller than this, beside 1, can break a tie and do no more: formats and their midpoints
# have at most 65 bits, and a difference of two numbers that float64 holds is checked.
_VANISHING = 2.0**-600


def logsumexp(
    rows: Array, format_: Format, weights: Array | None = None
) -> tuple[Array, Array, Certificate]:
    """Compute log abs(sum b_i exp(x_i)) of rows, shape (m, n), m, n >= 1, and the sign of the sum.

    Where there is nothing to round, it is as `stablelse.logsumexp` has it.
    """
    values, signs, ledger = np.empty(len(rows), format_.dtype), np.empty(len(rows)), Ledger()
    with np.errstate(all="ignore"):
        for band in bands(*rows.shape):
            x, b = rows[band], None if weights is None else weights[band]
            known, _ = sums(x, b)
            approximation = log_sum(known.x_max, known.x_max_low, known)
            value, settled, ulps = settle(approximation, format_)
            is_nothing, sign = known.is_nothing, known.sign
            settled &= known.is_held & ~is_nothing
            _enter(ledger, is_nothing, settled, ulps)
            value[is_nothing] = format_.round(known.x_max[is_nothing])
            sign[is_nothing] = _sign_of_nothing(known.x_max[is_nothing])
            if b is None and not takes_longdouble(x):
                is_near = abs(approximation.high) < nearzero.FARTHEST
                (near,) = np.nonzero(is_near & ~(settled | is_nothing))
                if near.size:
                    found = settle(nearzero.logsumexp(as_wide(x[near])), format_)
                    value[near], settled[near], ulps = found
                    ledger.enter(Rung.TRIPLE_WORD, int(found[1].sum()), ulps[found[1]])
            for i in np.flatnonzero(~settled).tolist():
                x_i, b_i = as_wide(x[i]), None if b is None else as_wide(b[i])
                if not is_nothing[i]:
                    value[i], sign[i] = decimals.logsumexp(x_i, format_, b_i)
                    ledger.enter(Rung.DECIMAL, 1)
                elif b_i is not None and known.x_max[i] == np.inf:
                    value[i], sign[i] = _infinite_sum(x_i, b_i)
            values[band], signs[band] = value, sign
    return values, signs, ledger.close()


def extent(rows: Array, low: float, high: float) -> tuple[Array, Array, Array, Array]:
    """Find the extremes of every row, and count the finite elements below and above bounds."""
    x = as_wide(rows)
    with np.errstate(all="ignore"):
        below, above = (x < low) & (x > -np.inf), (x > high) & (x < np.inf)
    return x.max(axis=1), x.min(axis=1), below.sum(axis=1), above.sum(axis=1)


def softmax(
    rows: Array, format_: Format, places: Places | None = None
) -> tuple[Array, Certificate]:
    """Compute the softmax of rows, shape (m, n), m, n >= 1, or its elements at k places.

    Places are as of `numpy.nonzero`. A row that has NaN or +inf, or nothing but -inf, is NaN.
    """
    return _elementwise(rows, format_, places, quotient, decimals.softmax, 0.0)


def log_softmax(
    rows: Array, format_: Format, places: Places | None = None
) -> tuple[Array, Certificate]:
    """Compute log_softmax of every row, correctly rounded; see `softmax`."""
    return _elementwise(rows, format_, places, log_quotient, decimals.log_softmax, -np.inf)


def log_sum(
    head: Array, head_low: Array, known: Sums, sign: int = 1, head_error: Any = 0.0
) -> Approximation:
    """Return head + head_low + sign log S, the head being wrong by at most `head_error`."""
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
    """Return the tail, or something of its sign where it vanishes beside the head.

    That does not underflow, and what it makes of the head rounds to what the tail makes of it:
    no number of a format is so close to the head, and no midpoint. Its error is then 0.
    """
    least = _VANISHING * abs(head)
    vanishes = (abs(tail) < least) & (error < least) & (known.log_error > 0)
    is_clear = (head_low == 0) | (abs(head_low) > 2.0**100 * least)
    is_signed = known.log_error < abs(known.log_high)
    tail = np.where(vanishes, np.copysign(least, log), tail)
    return tail, np.where(vanishes, np.where(is_clear & is_signed, 0.0, 4 * least), error)


#: From elements x, what is known of their rows, and their terms exp(d), if they were kept.
_Evaluation = Callable[[Array, Sums, Terms | None], Approximation]


def quotient(x: Array, known: Sums, terms: Terms | None = None) -> Approximation:
    """Return exp(d) / S."""
    if terms is None:
        terms = exp(*difference(x, known.x_max, known.x_max_low)[:2])
    high, low = doubleword.product(terms[:2], (known.inverse, known.inverse_low))
    error = doubleword.EXP_ERROR + known.spread + known.error + 2 * doubleword.ARITHMETIC_ERROR
    return Approximation(high, low, np.zeros(1), 1.001 * error * high, terms[2])


def log_quotient(x: Array, known: Sums, terms: Terms | None) -> Approximation:
    """Return d - log S."""
    d, d_low, _ = difference(x, known.x_max, known.x_max_low)
    error: Any = 0.0
    if known.spread.any():
        error = np.where(d == 0, 0.0, 2.0**-102 * (abs(d) + abs(known.x_max)))
    return log_sum(d, d_low, known, -1, error)


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
        for x, known, terms, target in _elements(rows, places, keep=evaluate is quotient):
            is_nan = np.broadcast_to(known.is_nothing, x.shape)
            is_nothing = (x == -np.inf) | is_nan
            value, settled, ulps = settle(evaluate(x, known, terms), format_, is_nothing)
            settled &= known.is_held & ~is_nothing
            value[is_nothing] = format_.round(np.where(is_nan[is_nothing], np.nan, of_nothing))
            result[target], doubtful[target] = value.T, ~(settled | is_nothing).T
            _enter(ledger, is_nothing, settled, ulps)
        unsettled = np.nonzero(doubtful)
        ledger.enter(Rung.DECIMAL, len(unsettled[0]))
        i, j = unsettled if places is None else (part[unsettled] for part in places)
        for row in np.unique(i).tolist():
            here = np.flatnonzero(i == row)
            target = tuple(index[here] for index in unsettled)
            result[target] = in_decimal(as_wide(rows[row]), format_, j[here])
    return result, ledger.close()


def _elements(
    rows: Array, places: Places | None, *, keep: bool
) -> Iterator[tuple[Array, Sums, Terms | None, Any]]:
    """Yield elements, what is known of their rows, their terms, and their places in the result.

    They are pieces of a block of rows, shape (j, i); or of the places, shape (k,).
    """
    if places is None:
        for band in bands(*rows.shape):
            x = rows[band]
            known, kept = sums(x, None, keep=keep)
            for index, columns in enumerate(pieces(x.shape[1])):
                terms = None if kept is None else kept[index]
                yield masked(x, None, columns).T, known, terms, (band, columns)
        return
    order = np.argsort(places[0], kind="stable")
    i, j = places[0][order], places[1][order]
    wanted = np.unique(i)
    for band in bands(len(wanted), rows.shape[1]):
        some = wanted[band]
        x = rows[some]
        known, _ = sums(x, None)
        first, last = np.searchsorted(i, some[[0, -1]] + np.array([0, 1])).tolist()
        for start in range(first, last, BLOCK):
            these = slice(start, min(start + BLOCK, last))
            row = np.searchsorted(some, i[these])
            yield as_wide(x[row, j[these]]), known.of(row), None, order[these]


def _sign_of_nothing(x_max: Array) -> Array:
    """Return the sign of a sum whose largest term is NaN, infinite, or none at all."""
    return np.where(np.isnan(x_max), np.nan, x_max > 0)


def _infinite_sum(x: Array, b: Array) -> tuple[float, float]:
    """Return the logarithm, and the sign, of a sum with infinite terms."""
    signs = np.sign(b[masked(x[np.newaxis], b[np.newaxis])[0] == np.inf])
    return (np.inf, float(signs[0])) if (signs == signs[0]).all() else (np.nan, np.nan)


def _enter(ledger: Ledger, is_nothing: Array, settled: Array, ulps: Array) -> None:
    """Count what conventions and the double-word rung settle."""
    conventional, proved = int(np.count_nonzero(is_nothing)), int(np.count_nonzero(settled))
    ledger.enter(Rung.CONVENTION, conventional)
    ledger.enter(Rung.DOUBLE_WORD, proved, ulps if proved == ulps.size else ulps[settled])
