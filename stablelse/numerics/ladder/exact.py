"""Correctly rounded results: a ladder of precisions with a rounding test on every rung.

Each rung computes what the one below left in doubt, with a bound of the error that is derived
in its module. Where all numbers within the bound round to the same one, that is the result
(`stablelse.numerics.ladder.rounding`); what is still in doubt climbs. The last rung, decimal
arithmetic, has any number of digits, and its climb ends (`stablelse.numerics.decimals`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stablelse.numerics import compensated, decimals
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import (
    doubleword,
    elementwise,
    fixedpoint,
    narrow,
    quick,
    rest,
    short,
)
from stablelse.numerics.ladder.certificate import Certificate, Ledger, Rung
from stablelse.numerics.ladder.rounding import as_real, fits_float64, found, is_short, settle

_FLOAT64 = FORMATS["float64"]

softmax = elementwise.softmax
log_softmax = elementwise.log_softmax


class _Attempt(NamedTuple):
    """What a rung makes of k rows: values and signs, what is in doubt, and the error in ulps."""

    value: Array
    sign: Array
    doubtful: Array
    ulps: Array


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
        Which rung settled how many values.
    """
    rows, weights = as_real(rows), None if weights is None else as_real(weights)
    if weights is None and is_short(rows, format_):
        found = _shortly(rows)
        if found is not None:
            return found
    value, sign = np.empty(len(rows), format_.dtype), np.empty(len(rows))
    ledger = Ledger()
    pending = np.arange(len(rows))
    for rung, attempt in _ladder(rows, format_, weights):
        if len(pending):
            x, b = compensated.chosen(rows, pending), compensated.chosen(weights, pending)
            value[pending], sign[pending], doubtful, ulps = attempt(x, b, format_)
            ledger.enter(rung, int(np.count_nonzero(~doubtful)), ulps[~doubtful])
            pending = pending[doubtful]
    return value, sign, ledger.close()


def _shortly(rows: Array) -> tuple[Array, Array, Certificate] | None:
    """Return the result of few and short rows, if it is settled by the first rung."""
    settled = []
    for row in rows.astype(np.float64, copy=False).tolist():
        found = short.logsumexp(row)
        if found is None:
            return None
        settled.append(found)
    values, bounds = zip(*settled, strict=True)
    certificate = Certificate({Rung.BRIEF: len(values)}, 0, max(bounds))
    return np.array(values), np.ones(len(values)), certificate


def _ladder(
    rows: Array, format_: Format, weights: Array | None
) -> list[tuple[Rung, Callable[[Array, Array | None, Format], _Attempt]]]:
    """Return the rungs that are of use; what is conventional is sorted out after the first."""
    conventional, last = (Rung.CONVENTION, _conventional), (Rung.DECIMAL, _in_decimal)
    if not (fits_float64(rows) and fits_float64(weights)):
        return [conventional, last]
    beside, third = (Rung.REST, _beside_largest), (Rung.FIXED_POINT, _in_fixed_point)
    second = (Rung.DOUBLE_WORD, _in_doubleword)
    if format_.significand_bits < _FLOAT64.significand_bits:
        first = [(Rung.FLOAT64, _in_float64)]
    else:
        first = [] if weights is not None else [(Rung.BRIEF, _briefly)]
    if weights is not None:
        return [*first, conventional, second, last]
    return [*first, conventional, (Rung.QUICK, _quickly), beside, second, third, last]


def _in_float64(x: Array, b: Array | None, format_: Format) -> _Attempt:
    if b is None:
        value, doubtful, ulps = narrow.logsumexp(x, format_)
        return _Attempt(value, np.ones(len(x)), doubtful, ulps)
    y, sign, error, _ = compensated.approximate(x, _FLOAT64, b)
    # The sum of shift and logarithm is rounded too.
    return _tested(y, np.zeros(len(x)), sign, error + np.spacing(abs(y)), format_)


def _conventional(x: Array, b: Array | None, format_: Format) -> _Attempt:
    if b is not None:
        x = compensated.weighted(x, b)
    with_nan = np.isnan(x) | (x == np.inf)
    nothing = np.zeros(len(x), bool) if b is not None else ~np.isfinite(x).any(axis=1)
    here = nothing | with_nan.any(axis=1)
    if b is not None:
        here |= ~np.isfinite(b).all(axis=1)
    value, sign = np.zeros(len(x), format_.dtype), np.zeros(len(x))
    if here.any():
        some = np.flatnonzero(here)
        told = compensated.approximate(x[some], _FLOAT64, None if b is None else b[some])
        value[some], sign[some] = format_.round(told.value), told.sign
    return _Attempt(value, sign, ~here, np.zeros(len(x)))


def _briefly(x: Array, b: Array | None, format_: Format) -> _Attempt:
    return _to(quick.BRIEF, x, format_)


def _quickly(x: Array, b: Array | None, format_: Format) -> _Attempt:
    return _to(quick.FULL, x, format_)


def _to(precision: quick.Precision, x: Array, format_: Format) -> _Attempt:
    high, low = quick.logsumexp(x, precision)
    error = precision.error + doubleword.ADDITION_ERROR * abs(high)
    return _tested(high, low, np.ones(len(x)), error, format_)


def _beside_largest(x: Array, b: Array | None, format_: Format) -> _Attempt:
    x_max, excess, excess_low = rest.excess(x)
    high, low = two_sum(x_max, excess)
    error = rest.ERROR * excess + doubleword.ADDITION_ERROR * abs(high)
    return _tested(high, low + excess_low, np.ones(len(x)), error, format_)


def _in_doubleword(x: Array, b: Array | None, format_: Format) -> _Attempt:
    estimate = compensated.approximate(x, _FLOAT64, b).estimate
    terms = x if b is None else compensated.weighted(x, b)
    high, low, sign, error = doubleword.logsumexp(terms, b, estimate)
    return _tested(high, low, sign, error, format_)


def _tested(high: Array, low: Array, sign: Array, error: Array, format_: Format) -> _Attempt:
    value, doubtful, ulps = settle(high, low, error, format_)
    return _Attempt(value, sign, doubtful, ulps)


def _in_fixed_point(x: Array, b: Array | None, format_: Format) -> _Attempt:
    value, doubtful = found(fixedpoint.logsumexp(x, format_), format_)
    return _Attempt(value, np.ones(len(x)), doubtful, np.zeros(len(x)))


def _in_decimal(x: Array, b: Array | None, format_: Format) -> _Attempt:
    results = [
        decimals.logsumexp(row, format_, None if b is None else b[i]) for i, row in enumerate(x)
    ]
    value, sign = zip(*results, strict=True)
    settled = np.zeros(len(x), bool)
    return _Attempt(np.array(value, format_.dtype), np.array(sign), settled, np.zeros(len(x)))
