"""Elements of a softmax or log_softmax from the log-sum-exp of the whole, a block at a time.

With y = log sum exp(x_i) known as a double-word, to 2**-72, every element can be had for itself:
log_softmax(x)_j = x_j - y, and softmax(x)_j = exp(x_j - y).
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.ladder import exponential, quick
from stablelse.numerics.ladder.rounding import settle
from stablelse.numerics.streams.one_pass import PIECE

# The absolute error of x - y: that of y, and of the sum of two lower words, each below 2**-53 of
# at most 2 max(abs(x), abs(y)).
_ROUNDING = 2.0**-104

# The third word of exp is below 2**-26 of the first, so that adding it to what the first two
# leave, below 2**-53, rounds by less than 2**-78. Half of it is for what bounds to first order
# leave out: exp(z) - 1 <= z + z**2.
_ADDITION = 2.0**-77

# Below, exp is no longer a normal number that double-words could follow.
_SMALLEST = -600.0


def elements(
    function: Function, x: Array, log_sum: tuple[float, float], format_: Format, exact: bool
) -> tuple[Array, int]:
    """Compute the elements that belong to some numbers of a vector.

    Parameters
    ----------
    function : Function
        Softmax or log_softmax.
    x : ndarray
        Shape (n,), of the format.
    log_sum : tuple of float
        The log-sum-exp of the whole vector as a double-word.
    format_ : Format
        Of the results.
    exact : bool
        Whether float64 is to be correctly rounded; narrower formats always are.

    Returns
    -------
    values : ndarray
        Shape (n,), of the format. Where the log-sum-exp is infinite or NaN, all are NaN.
    doubtful : int
        How many did not pass the rounding test, of those that were put to it.
    """
    values, doubtful = np.empty(len(x), format_.dtype), 0
    if not np.isfinite(log_sum[0]):
        values[...] = np.nan
        return values, 0
    rounded = exact or format_.name != "float64"
    with np.errstate(all="ignore"):
        for begin in range(0, len(x), PIECE):
            part = slice(begin, begin + PIECE)
            d, d_low = _differences(np.asarray(x[part], np.float64), log_sum)
            if rounded:
                values[part], doubts = _settled(function, d, d_low, abs(log_sum[0]), format_)
                doubtful += doubts
            elif function is Function.LOG_SOFTMAX:
                values[part] = d + d_low
            else:
                terms = np.exp(d)
                values[part] = terms + terms * d_low
    return values, doubtful


def _differences(x: Array, log_sum: tuple[float, float]) -> tuple[Array, Array]:
    """Return x - y as double-words; of -inf, and the lower word 0."""
    y, y_low = log_sum
    d, d_low = two_sum(x, -y)
    d_low = np.where(np.isfinite(d), d_low - y_low, 0)
    return d, d_low


def _settled(
    function: Function, d: Array, d_low: Array, y: float, format_: Format
) -> tuple[Array, int]:
    """Round to the format, and count what is in doubt."""
    absolute = quick.ERROR + _ROUNDING * (abs(d) + 2 * y)
    if function is Function.LOG_SOFTMAX:
        finite = np.isfinite(d)
        value, doubtful, _ = settle(np.where(finite, d, 0), d_low, absolute, format_)
        value = np.where(finite, value, format_.round(-np.inf))
        return value, int(np.count_nonzero(doubtful & finite))
    inside = d >= _SMALLEST
    safe = np.maximum(d, _SMALLEST)
    words = exponential.exp(safe, np.where(inside, d_low, 0), list(np.empty((6, len(d)))))
    high, low = two_sum(words[0], words[1])
    error = (exponential.EXP_ERROR + _ADDITION + np.where(inside, absolute, 0)) * high
    value, doubtful, _ = settle(high, low + words[2], error, format_)
    tiny = np.exp(d)
    value = np.where(inside, value, format_.round(tiny + tiny * d_low))
    # By far below the smallest number of the format, an element is 0 beyond doubt.
    is_zero = d < float(format_.underflow_threshold) - 1
    return value, int(np.count_nonzero(np.where(inside, doubtful, ~is_zero)))
