"""The rounding test: whether all numbers within an error bound round to the same one.

This is the test of Ziv (1991, doi 10.1145/114697.116813): where it passes, rounding the
approximation is rounding the exact value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder.certificate import Rung

# What is left of a distance that was rounded up.
_ROUNDED = 1 - 2.0**-52

# Up to so many numbers, Python's own floats are faster than NumPy, and a vector more takes as
# long as four numbers more (measured).
_SHORT, _OF_VECTOR = 200, 4

# Up to here, float64 holds every integer.
_LARGEST_INTEGER = 2**53


class Elements(NamedTuple):
    """All elements of a softmax or log_softmax, as far as the first rung goes.

    Attributes
    ----------
    rung : Rung
        That rung.
    result : ndarray
        Shape (m, n), in the format.
    doubtful : ndarray of int
        The flat indices of the elements that are not settled.
    ulps : float
        A bound of the error of the others, before they were rounded, in ulps.
    total : tuple of ndarray or None
        The `stablelse.numerics.ladder.quick.Sum` of the rows, if they are known to more than
        float64.
    error : float
        A bound of the relative error of these sums.
    """

    rung: Rung
    result: Array
    doubtful: Array
    ulps: float
    total: Any = None
    error: float = np.inf


def flat_indices(flags: Array) -> Array:
    """Return the flat indices of what is flagged: mostly nothing, which is soon seen."""
    return np.flatnonzero(flags) if flags.any() else np.empty(0, np.intp)


def settle(
    high: Array, low: Array, error: Any, format_: Format, exponent: Any = 0
) -> tuple[Array, Array, Array]:
    """Round double-words to a format, and tell which of the results are in doubt.

    Parameters
    ----------
    high, low : ndarray
        float64, any shape; the approximations are (high + low) 2**exponent.
    error : float or ndarray
        The exact values are within (high + low +- error) 2**exponent.
    format_ : Format
        Any format.
    exponent : int or ndarray of int
        At most 2**20 in absolute value.

    Returns
    -------
    value : ndarray
        Of the format, (high + low) 2**exponent rounded to nearest.
    doubtful : ndarray of bool
        Where a number within the error rounds to another one, or the approximation is NaN.
    ulps : ndarray of float64
        The error in units in the last place.

    Notes
    -----
    With q the exponent of the unit in the last place of the result, (high + low) 2**-q is
    rounded to an integer. Its distance from the nearest midpoint is computed without loss, but
    for one rounding, and must exceed the error. Just below a power of two the units are half
    as large. Of a format of more bits than float64, see `_settle_wide`.
    """
    high, low = two_sum(high, low)
    if format_.significand_bits > FORMATS["float64"].significand_bits:
        return _settle_wide(high, low, error, format_, exponent)
    fraction, binade = np.frexp(high)
    binade -= (abs(fraction) == 0.5) & (low * fraction < 0)
    smallest = np.frexp(np.float64(format_.smallest_subnormal))[1] - 1
    binade[high == 0] = smallest
    unit = np.maximum(binade + exponent - format_.significand_bits, smallest)
    scale = exponent - unit
    scaled, low = np.ldexp(high, scale), np.ldexp(low, scale)
    integer = np.rint(scaled)
    fraction = scaled - integer  # exact, and at most 1/2
    side = np.where(fraction + low < 0, -1.0, 1.0)
    gap = (0.5 - side * fraction) - side * low
    integer += np.where(gap < 0, side, 0)
    ulps = np.ldexp(error, scale)
    value = format_.round(np.ldexp(integer, unit))
    return value, ~(abs(gap) * _ROUNDED > ulps), ulps


def _settle_wide(
    high: Array, low: Array, error: Any, format_: Format, exponent: Any
) -> tuple[Array, Array, Array]:
    """Round to a format that holds high and low, and adds them with one rounding, to nearest.

    Both ends of the interval must round to the same number, which is normal, so that the power
    of two changes nothing. The ends are computed in the format too: as abs(low) is at most
    2**-53 abs(high), each is wrong by less than 2**-116 abs(high) and 2**-62 of the error.
    """
    upper, lower = high.astype(format_.dtype), low.astype(format_.dtype)
    reach = np.asarray(error * (1 + 2.0**-50) + 2.0**-116 * abs(high), format_.dtype)
    first, last = upper + (lower - reach), upper + (lower + reach)
    value = np.ldexp(upper + lower, exponent)
    settled = (first == last) & np.isfinite(value) & (abs(value) >= format_.smallest_normal)
    ulps = error / np.spacing(abs(upper)).astype(np.float64)
    return value, ~settled, ulps


def is_short(rows: Array, format_: Format) -> bool:
    """Whether there is so little to compute that `stablelse.numerics.ladder.short` does it."""
    size = rows.size + _OF_VECTOR * (len(rows) - 1)
    return size <= _SHORT and format_.name == "float64" and fits_float64(rows)


def found(values: list[Any], format_: Format) -> tuple[Array, Array]:
    """Return values that were found, and which ones were not, for they are ``None``."""
    doubtful = np.array([value is None for value in values])
    known = [0.0 if value is None else value for value in values]
    return np.array(known, format_.dtype), doubtful


def as_real(x: Array) -> Array:
    """Return x in a format that holds every number of it: integers may be too large for float64."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and np.any(abs(x) > _LARGEST_INTEGER):
        return x.astype(np.longdouble)
    return x


def fits_float64(x: Array | None) -> bool:
    """Whether float64 holds every number exactly; nothing, and what is not longdouble, fits."""
    if x is None or x.dtype != np.longdouble or x.dtype == np.float64:
        return True
    return bool(np.all((x.astype(np.float64) == x) | np.isnan(x)))
