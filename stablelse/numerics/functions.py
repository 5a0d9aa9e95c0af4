"""What is computed of a vector: the functions by name, each with the library's own way."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from stablelse.numerics import arrays
from stablelse.numerics.formats import Array, Format


class Function(Enum):
    """What is computed of a vector x."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"


_LIBRARY: dict[Function, Callable[[Array, str], Any]] = {
    Function.LOGSUMEXP: lambda x, _: arrays.logsumexp(x, axis=-1, keepdims=True),
    Function.SOFTMAX: lambda x, empty: arrays.softmax(x, axis=-1, empty=empty),
    Function.LOG_SOFTMAX: lambda x, empty: arrays.log_softmax(x, axis=-1, empty=empty),
}


def library(function: Function, x: Array, format_: Format, empty: str = "nan") -> Array:
    """Compute a function of every row by the library's own: the compensated method.

    Parameters
    ----------
    function : Function
        What to compute.
    x : ndarray
        Shape (m, n), n >= 1, of the format.
    format_ : Format
        The format of x and of the result.
    empty : str
        What softmax and log_softmax are of nothing but -inf, as `stablelse.softmax` has it.

    Returns
    -------
    ndarray
        Shape (m, 1) for logsumexp, (m, n) for the others.
    """
    return np.asarray(_LIBRARY[function](x, empty), dtype=format_.dtype)


# The table of powers that the ladder needs, and its modules, take as long to make and to load
# as so many elements take in decimal arithmetic.
_FEW = 200


def exact(function: Function, x: Array, format_: Format, empty: str = "nan") -> Array:
    """Compute a function of every row, correctly rounded.

    Parameters
    ----------
    function : Function
        What to compute.
    x : ndarray
        Shape (m, n), n >= 1, of the format.
    format_ : Format
        The format of x and of the result.
    empty : str
        As of `library`.

    Returns
    -------
    ndarray
        Shape (m, 1) for logsumexp, (m, n) for the others. Of a row that has a NaN or +inf, or
        nothing but -inf, the result is the library's: it is a convention, not a rounding; unless
        by convention all elements are the same, which makes them 1 / n.
    """
    nothing = np.all(x == -np.inf, axis=-1, keepdims=True)
    if empty == "uniform" and function is not Function.LOGSUMEXP:
        return _exact(function, np.where(nothing, x.dtype.type(0), x), format_)
    result = _exact(function, x, format_)
    if empty != "nan" and nothing.any():
        empty_rows = nothing[:, 0]
        result[empty_rows] = library(function, x[empty_rows], format_, empty)
    return result


def _exact(function: Function, x: Array, format_: Format) -> Array:
    if x.size <= _FEW:
        return np.stack([_in_decimal(function, row, format_) for row in x])
    from stablelse.numerics.ladder import exact as ladder

    with np.errstate(all="ignore"):
        if function is Function.LOGSUMEXP:
            return ladder.logsumexp(x, format_)[0][:, np.newaxis]
        compute = {Function.SOFTMAX: ladder.softmax, Function.LOG_SOFTMAX: ladder.log_softmax}
        return compute[function](x, format_)[0]


def _in_decimal(function: Function, row: Array, format_: Format) -> Array:
    with np.errstate(invalid="ignore"):
        if not np.isfinite(row).any() or np.any(np.isnan(row) | (row == np.inf)):
            conventional: Array = library(function, row[np.newaxis], format_)[0]
            return conventional
    from stablelse.numerics import decimals

    if function is Function.LOGSUMEXP:
        return np.array([decimals.logsumexp(row, format_)[0]])
    compute = {Function.SOFTMAX: decimals.softmax, Function.LOG_SOFTMAX: decimals.log_softmax}
    return compute[function](row, format_)
