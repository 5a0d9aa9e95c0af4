"""The correctly rounded result of each function, infinities and NaN included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stablelse.numerics import decimals
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function, library

_FINITE: dict[Function, Callable[[Array, Format], Array]] = {
    Function.LOGSUMEXP: lambda x, format_: np.array([decimals.logsumexp(x, format_)[0]]),
    Function.SOFTMAX: decimals.softmax,
    Function.LOG_SOFTMAX: decimals.log_softmax,
}


def exact(function: Function, x: Array, format_: Format) -> Array:
    """Compute a function of every row, correctly rounded.

    Parameters
    ----------
    function : Function
        What to compute.
    x : ndarray
        Shape (m, n), n >= 1, of the format.
    format_ : Format
        The format of x and of the result.

    Returns
    -------
    ndarray
        Shape (m, 1) for logsumexp, (m, n) for the others. Of a row that has a NaN or +inf, or
        nothing but -inf, the result is the library's: it is a convention, not a rounding.
    """
    rows = [
        _FINITE[function](row, format_)
        if _is_rounded(row)
        else library(function, row[np.newaxis], format_)[0]
        for row in x
    ]
    return np.stack(rows)


def _is_rounded(x: Array) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(x).any() and not np.any(np.isnan(x) | (x == np.inf)))
