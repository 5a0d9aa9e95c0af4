"""Correctly rounded softmax and log_softmax: only the elements in doubt climb."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import compensated, decimals
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import (
    doubleword,
    fixedpoint,
    narrow,
    quick,
    rest,
    short,
    wide,
)
from stablelse.numerics.ladder.certificate import Certificate, Ledger, Rung
from stablelse.numerics.ladder.doubtful import Doubtful, log_softmax_of, softmax_of
from stablelse.numerics.ladder.rounding import (
    Elements,
    as_real,
    fits_float64,
    found,
    is_short,
    settle,
)

_FLOAT64 = FORMATS["float64"]


class _Function(NamedTuple):
    """How each rung computes the elements of a function.

    Attributes
    ----------
    short : callable
        All elements of a short row, correctly rounded, and a bound of their errors in ulps;
        or ``None``.
    narrow, wide : callable
        The first rung, for formats narrower than float64, and for float64.
    of_log_sum : callable
        The elements in doubt, from their log-sum-exp; see `softmax_of`.
    in_fixed_point, in_decimal : callable
        The last two rungs: some elements of some rows, of one row.
    of_nothing : float
        The element for x = -inf.
    """

    short: Callable[[list[float]], tuple[list[float], float] | None]
    narrow: Callable[[Array, Format], Elements]
    wide: Callable[[Array, Format], Elements]
    of_log_sum: Callable[..., tuple[Array, Array, Array]]
    in_fixed_point: Callable[[Array, list[Array], Format], list[Any]]
    in_decimal: Callable[[Array, Format, Array], Array]
    of_nothing: float


def softmax(rows: Array, format_: Format) -> tuple[Array, Certificate]:
    """Compute the softmax of every row, correctly rounded.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    format_ : Format
        The format of the results.

    Returns
    -------
    result : ndarray
        Shape (m, n), in the format. A row that has NaN or +inf, or nothing but -inf, is NaN.
    certificate : Certificate
        Which rung settled how many elements.
    """
    return _computed(_SOFTMAX, rows, format_)


def log_softmax(rows: Array, format_: Format) -> tuple[Array, Certificate]:
    """Compute log_softmax of every row, correctly rounded; see `softmax`."""
    return _computed(_LOG_SOFTMAX, rows, format_)


def _computed(function: _Function, rows: Array, format_: Format) -> tuple[Array, Certificate]:
    rows, ledger = as_real(rows), Ledger()
    if is_short(rows, format_):
        settled = _shortly(function, rows)
        if settled is not None:
            return settled
    fits, excess = fits_float64(rows), format_.significand_bits - _FLOAT64.significand_bits
    if not fits or excess > 0:
        result = np.empty(rows.shape, format_.dtype)
        doubtful = np.arange(rows.size)
        is_nan = np.repeat(_are_nan(rows), rows.shape[1])
        attempts = _LADDER if fits else _LADDER[:1] + _LADDER[-1:]
    else:
        compute = function.narrow if excess < 0 else function.wide
        first, result, doubtful, bound, total, error = compute(rows, format_)
        is_nan = np.isnan(result.ravel()[doubtful])
        ledger.enter(first, rows.size - doubtful.size, np.array([bound]))
        attempts = _LADDER
        if total is not None:
            known = (first, partial(_by_known_sums, total, error))
            higher = [step for step in _LADDER[1:] if step[0] is not first]
            attempts = (_LADDER[0], known, *higher)
    for rung, attempt in attempts:
        if doubtful.size:
            elements = Doubtful(rows, *np.divmod(doubtful, rows.shape[1]), is_nan)
            values, still, ulps = attempt(function, elements, format_)
            result[elements.i, elements.j] = values
            ledger.enter(rung, int(np.count_nonzero(~still)), ulps[~still])
            doubtful, is_nan = doubtful[still], is_nan[still]
    return result, ledger.close()


def _shortly(function: _Function, rows: Array) -> tuple[Array, Certificate] | None:
    """Return the result of few and short rows, if it is settled by the first rung."""
    settled = []
    for row in rows.astype(np.float64, copy=False).tolist():
        elements = function.short(row)
        if elements is None:
            return None
        settled.append(elements)
    values, bounds = zip(*settled, strict=True)
    return np.array(values), Certificate({Rung.BRIEF: rows.size}, 0, max(bounds))


def _are_nan(rows: Array) -> Array:
    """Whether there is nothing to round in a row, but NaN by convention."""
    of_nan: Array = (np.isnan(rows) | (rows == np.inf)).any(axis=1)
    return of_nan | ~np.isfinite(rows).any(axis=1)


def _conventional(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    """Settle the elements of rows that are NaN throughout, and those that are -inf."""
    values = format_.round(np.where(elements.is_nan, np.nan, function.of_nothing))
    return values, ~(elements.is_nan | (elements.x == -np.inf)), np.zeros(len(values))


def _by_known_sums(
    total: quick.Sum, error: float, function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    """Settle elements by the sums of the first rung, which are better than its quotients."""
    some, back = np.unique(elements.i, return_inverse=True)
    high, low = quick.log(quick.Sum(*[part[some] for part in total]))
    errors = error + doubleword.ADDITION_ERROR * abs(high)
    return function.of_log_sum(elements, high[back], low[back], errors[back], format_)


def _quickly(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    some, back = np.unique(elements.i, return_inverse=True)
    high, low = quick.logsumexp(compensated.chosen(elements.rows, some))
    error = quick.ERROR + doubleword.ADDITION_ERROR * abs(high)
    return function.of_log_sum(elements, high[back], low[back], error[back], format_)


def _unsettled(elements: Doubtful, format_: Format) -> tuple[Array, Array, Array]:
    k = len(elements.i)
    return np.zeros(k, format_.dtype), np.ones(k, bool), np.zeros(k)


def _beside_largest(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    """Settle the log_softmax of the largest x where it is next to zero."""
    values, doubtful, ulps = _unsettled(elements, format_)
    if function is _SOFTMAX:
        return values, doubtful, ulps
    some = np.flatnonzero(elements.x == elements.largest())
    if some.size:
        wanted, back = np.unique(elements.i[some], return_inverse=True)
        _, high, low = rest.excess(compensated.chosen(elements.rows, wanted))
        high, low = high[back], low[back]
        values[some], doubtful[some], ulps[some] = settle(-high, -low, rest.ERROR * high, format_)
    return values, doubtful, ulps


def _in_doubleword(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    some, back = np.unique(elements.i, return_inverse=True)
    rows = compensated.chosen(elements.rows, some)
    estimate = compensated.approximate(rows, _FLOAT64).value
    high, low, _, error = doubleword.logsumexp(rows, None, estimate)
    return function.of_log_sum(elements, high[back], low[back], error[back], format_)


def _in_fixed_point(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    some, columns = elements.by_row()
    values = function.in_fixed_point(elements.rows[some], columns, format_)
    return *found(values, format_), np.zeros(len(values))


def _in_decimal(
    function: _Function, elements: Doubtful, format_: Format
) -> tuple[Array, Array, Array]:
    values = [
        function.in_decimal(elements.rows[i], format_, j)
        for i, j in zip(*elements.by_row(), strict=True)
    ]
    return np.concatenate(values), np.zeros(len(elements.i), bool), np.zeros(len(elements.i))


_Attempt = Callable[[_Function, Doubtful, Format], tuple[Array, Array, Array]]

_LADDER: tuple[tuple[Rung, _Attempt], ...] = (
    (Rung.CONVENTION, _conventional),
    (Rung.QUICK, _quickly),
    (Rung.REST, _beside_largest),
    (Rung.DOUBLE_WORD, _in_doubleword),
    (Rung.FIXED_POINT, _in_fixed_point),
    (Rung.DECIMAL, _in_decimal),
)

_SOFTMAX = _Function(
    short.softmax,
    narrow.softmax,
    wide.softmax,
    softmax_of,
    fixedpoint.softmax,
    decimals.softmax,
    of_nothing=0.0,
)
_LOG_SOFTMAX = _Function(
    short.log_softmax,
    narrow.log_softmax,
    wide.log_softmax,
    log_softmax_of,
    fixedpoint.log_softmax,
    decimals.log_softmax,
    of_nothing=-np.inf,
)
