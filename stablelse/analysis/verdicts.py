"""What one method makes of every row of a stack: right, or broken, and in which way."""

from __future__ import annotations

from enum import Enum

import numpy as np

from stablelse.numerics import exact as ladder
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.margins import Extent, surely_close, surely_right
from stablelse.numerics.naive import NAIVE
from stablelse.numerics.shifted import SHIFTED, SHIFTS


class Harm(Enum):
    """What can become of a vector, by its result; the first that applies."""

    NAN = "nan"  # it has a NaN
    OVERFLOW = "overflow"  # it has inf, or the sum was, although no entry is
    UNDERFLOW = "underflow"  # it has -inf, although the exact result has not
    ULP = "ulp"  # it is finite, and loses more ulps than allowed


#: A result is a place in this; 0 stands for a result that is right.
HARMS = tuple(Harm)

#: Those after which nothing is left of a result.
BROKEN = (Harm.OVERFLOW, Harm.UNDERFLOW, Harm.NAN)


class Way(Enum):
    """The ways of computing that are scanned."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    FLOAT32 = "shifted-float32"  # shifted, in float32 from x - a on, the result rounded


_FLOAT32 = FORMATS["float32"]


def ways(format_: Format) -> tuple[Way, ...]:
    """Return the ways there are in a format: float32 is for those narrower than that."""
    narrow = format_.significand_bits < _FLOAT32.significand_bits
    return tuple(way for way in Way if narrow or way is not Way.FLOAT32)


def computed(way: Way, function: Function, x: Array, format_: Format) -> tuple[Array, Array]:
    """Compute a function of the rows, every operation rounded.

    Parameters
    ----------
    way : Way
        How.
    function : Function
        What.
    x : ndarray
        Shape (m, n), rounded to the format.
    format_ : Format
        The format.

    Returns
    -------
    value, total : ndarray
        The values, shape (m, 1) or (m, n), of the format; the sums, shape (m, 1).
    """
    if way is Way.NAIVE:
        evaluation = NAIVE[function].evaluate(x, format_)
    else:
        inner = _FLOAT32 if way is Way.FLOAT32 else format_
        wide = x.astype(inner.dtype)
        evaluation = SHIFTED[function].evaluate(wide, inner, SHIFTS["max"])
    return format_.round(evaluation.value), evaluation.results["s"]


def judge(
    way: Way, function: Function, x: Array, format_: Format, max_ulp: float
) -> tuple[Array, Array, Array]:
    """Tell what becomes of every row, by evaluating it.

    Parameters
    ----------
    way, function, format_
        As of `computed`.
    x : ndarray
        Shape (m, n), as it was before it was rounded to the format.
    max_ulp : float
        How many ulps of the correctly rounded result may be lost.

    Returns
    -------
    harm : ndarray of int
        Shape (m,): 0 if the row's result is right, else 1 and the place in `HARMS`.
    ulps : ndarray of float64
        The largest error of each row that loses more than `max_ulp`; NaN elsewhere, but for some.
    entry : ndarray of int
        The entry of the result that it is told by.
    """
    with np.errstate(all="ignore"):
        rounded = format_.round(x)
        value, total = computed(way, function, rounded, format_)
        is_nan = np.isnan(value)
        infinite = (value == np.inf) | (np.isposinf(total) & ~is_nan)
        infinite &= ~np.isposinf(x).any(axis=1, keepdims=True)
        known = is_nan.any(axis=1) | infinite.any(axis=1)
        ulps = np.full(value.shape, np.nan)
        vanished = np.zeros(value.shape, bool)
        close = ~known
        close[close] = surely_close(function, rounded[close], value[close], format_, max_ulp)
        rest = ~(known | close)
        if rest.any():
            right = _right(function, rounded[rest], format_)
            ulps[rest] = ulp_error(value[rest], right, format_)
            vanished[rest] = np.isneginf(value[rest]) & ~np.isneginf(right)
        masks = {
            Harm.NAN: is_nan,
            Harm.OVERFLOW: infinite,
            Harm.UNDERFLOW: vanished,
            Harm.ULP: ulps > max_ulp,
        }
        worst = ulps.max(axis=1)
    harm, entry = np.zeros(len(x), np.int8), np.zeros(len(x), np.intp)
    for place, kind in reversed(list(enumerate(HARMS, start=1))):
        rows = masks[kind].any(axis=1)
        harm[rows] = place
        at = ulps if kind is Harm.ULP else masks[kind]
        entry[rows] = at[rows].argmax(axis=1)
    worst[np.isin(harm, (1, 2, 3))] = np.nan
    return harm, worst, entry


def _right(function: Function, x: Array, format_: Format) -> Array:
    """Return the correctly rounded results, shape (m, 1) or (m, n); see `functions.exact`."""
    if function is Function.LOGSUMEXP:
        return ladder.logsumexp(x, format_)[0][:, np.newaxis]
    compute = {Function.SOFTMAX: ladder.softmax, Function.LOG_SOFTMAX: ladder.log_softmax}
    return compute[function](x, format_)[0]


def doubtful(
    way: Way, function: Function, extent: Extent, format_: Format, max_ulp: float
) -> Array:
    """Return the numbers of the rows, from 0, that have to be evaluated to be sure.

    Parameters
    ----------
    way, function, format_, max_ulp
        As of `judge`.
    extent : Extent
        Of the rows, rounded to the format.
    """
    # float64 tells the bounds of a wider format less well than that computes
    if format_.name == "longdouble":
        return np.arange(len(extent.maximum))
    inner = _FLOAT32 if way is Way.FLOAT32 else format_
    safe = surely_right(function, way is not Way.NAIVE, extent, format_, inner, max_ulp)
    return np.flatnonzero(~safe)
