"""Elements of softmax and log_softmax that are in doubt, and their values from a log-sum-exp."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from stablelse.numerics import doubleword
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.rounding import Approximation, settle

_FLOAT64 = FORMATS["float64"]

# doubleword.exp takes no less. In any format of at most float64's range, exp vanishes there.
_LOWEST = -1500.0


class Entries(Protocol):
    """Some elements of vectors."""

    @property
    def x(self) -> Array:
        """The elements, shape (k,)."""

    def largest(self) -> Array:
        """Return the largest x of the vector of each, shape (k,), in float64."""


def softmax_of(
    elements: Entries, y: Array, y_low: Array, error: Array, format_: Format
) -> tuple[Array, Array, Array]:
    """Round exp(x - y), the log-sum-exp being y + y_low, wrong by at most `error`.

    An absolute error of the argument is a relative one of the result, which is below 2.1 times
    a power of two.
    """
    d, d_low = _difference(elements.x, y, y_low)
    is_too_low = d < _LOWEST
    d_low[is_too_low] = 0
    d = np.maximum(d, _LOWEST)
    error = 2.1 * (doubleword.EXP_ERROR + error + doubleword.ARITHMETIC_ERROR * abs(y))
    high, low, exponent = doubleword.exp(d, d_low)
    value, doubtful, ulps = _settle(high, low, error, format_, exponent)
    if format_.underflow_threshold < _LOWEST:
        doubtful |= is_too_low
    return value, doubtful, ulps


def log_softmax_of(
    elements: Entries, y: Array, y_low: Array, error: Array, format_: Format
) -> tuple[Array, Array, Array]:
    """Round x - y, the log-sum-exp being y + y_low, wrong by at most `error`."""
    x = elements.x
    rounding = doubleword.ARITHMETIC_ERROR * (abs(x) + abs(y))
    value, doubtful, ulps = _settle(*_difference(x, y, y_low), error + rounding, format_)
    if doubtful.any() and format_.significand_bits <= _FLOAT64.significand_bits:
        largest = elements.largest()
        # y - x_max is exact where they are close, and elsewhere of no use; that less the error
        # is no more than what log-sum-exp exceeds x_max by, which is positive if x is smaller.
        reach = ((y - largest) + y_low) + error * (1 + 2.0**-50)
        reach *= 1 + 2.0**-52
        below, settled, reach_ulps = _just_below(*two_sum(x, -largest), reach, format_)
        settled &= doubtful & (x < largest)
        value[settled], ulps[settled] = below[settled], reach_ulps[settled]
        doubtful &= ~settled
    return value, doubtful, ulps


def _just_below(
    high: Array, low: Array, reach: Array, format_: Format
) -> tuple[Array, Array, Array]:
    """Round numbers between high + low - reach and high + low, which they do not attain.

    So is x - lse(x) where the largest x dominates, and then x - x_max is often a tie, which no
    error bound is small enough for. But all that is below it, and not far, rounds to what
    is a quarter of a unit below it.

    Returns
    -------
    value : ndarray
        Of the format, float64 or narrower.
    settled : ndarray of bool
        Whether all these numbers round to it.
    ulps : ndarray
        The reach in units in the last place.
    """
    value, doubtful, ulps = _settle(high, low, reach, format_)
    is_tie = _settle(high, low, 2.0**-300 * reach, format_)[1]
    is_tie &= ulps < 0.25
    unit = reach / ulps
    below, *_ = _settle(high, low - unit / 4, 0.0, format_)
    value[is_tie] = below[is_tie]
    return value, is_tie | ~doubtful, ulps


def _difference(x: Array, y: Array, y_low: Array) -> tuple[Array, Array]:
    d, d_low = two_sum(x.astype(np.float64), -y)
    difference: tuple[Array, Array] = two_sum(d, d_low - y_low)
    return difference


def _settle(
    high: Array, low: Array, error: Any, format_: Format, exponent: Any = 0
) -> tuple[Array, Array, Array]:
    """Return what `settle` does of two words, and what is in doubt instead of settled."""
    value, settled, ulps = settle(
        Approximation(high, low, np.zeros_like(low), error, exponent), format_
    )
    return value, ~settled, ulps
