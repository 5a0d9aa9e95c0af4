"""Results held against plain arithmetic in a wider format, before they are held against exact ones.

Nearly every result of a narrow format is either close to the true value or far from it, and
float32 or float64 is enough to tell. Only what is next to the limit needs the exact value.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.functions import Function


class _Wide(NamedTuple):
    """A format that functions are computed in plainly.

    exp and log are right to 4 ulps at worst
    (`stablelse.numerics.formulas.bounds.ElementaryErrors`), and so to 9 units of the roundoff.
    NumPy adds up a row in memory by no more than 16 + log2 n numbers one after another, and rows
    of up to `SHORT` that lie side by side one by one.
    """

    name: str
    plain: float  # the error of a function, in units of what it is made of
    bits: Any  # integers as wide
    exponent: int  # the bits that hold the exponent


#: Rows of up to so many numbers are short: they are worked off side by side.
SHORT = 64

#: 128 units of the roundoff each: 9 + 9 of exp and log, 64 of the sum, and some to spare.
_FLOAT32 = _Wide("float32", 2.0**-17, np.uint32, 0x7F800000)
_FLOAT64 = _Wide("float64", 2.0**-46, np.uint64, 0x7FF0000000000000)

#: Below so many ulps float32 leaves too many results in doubt.
_TIGHT = 2


def _wide_for(format_: Format, ulps: float) -> _Wide | None:
    """Return where a format's functions are computed: in float32 if it is narrow in range, too."""
    if format_.significand_bits > FORMATS["float32"].significand_bits:
        return None
    # terms that vanish in float32 must be far below any number of the format
    is_coarse = float(format_.smallest_subnormal) > 2.0**-100 and ulps >= _TIGHT
    return _FLOAT32 if is_coarse else _FLOAT64


class Nearness(NamedTuple):
    """Approximate results of rows, and how far from them a result may be.

    Attributes
    ----------
    near : ndarray
        The results, shape (m, 1) or (m, n).
    allowed : ndarray
        The same shape: what is no farther from `near` is surely right to the ulps asked for;
        NaN or negative where nothing is sure.
    """

    near: Array
    allowed: Array

    @classmethod
    def of(cls, function: Function, x: Array, format_: Format, ulps: float) -> Nearness | None:
        """Compute a function of every row; ``None`` where no wider format tells anything.

        Parameters
        ----------
        function : Function
            What.
        x : ndarray
            Shape (m, n), rounded to the format.
        format_ : Format
            Of the results that are to be judged.
        ulps : float
            The largest error allowed, in ulps of the correctly rounded results.

        Notes
        -----
        The true value is within `error` of near, so its ulp is no less than that of the numbers
        which are smaller by that much; the correctly rounded result is half an ulp off at most.
        """
        wide = _wide_for(format_, ulps)
        if wide is None:
            return None
        with np.errstate(all="ignore"):
            near, error = _FUNCTIONS[function](x.astype(wide.name), wide.plain)
            smallest = float(format_.smallest_subnormal)
            allowed = np.abs(near)
            allowed -= error
            np.maximum(allowed, 0, out=allowed)
            # the exponent alone is the power of two below: (|near| - error) rounded down
            powers = allowed.view(wide.bits)
            powers &= wide.bits(wide.exponent)
            allowed *= 2 * format_.unit_roundoff
            np.maximum(allowed, smallest, out=allowed)
            allowed *= ulps - 0.5
            allowed -= error
            # what may round to infinity is next to no number
            allowed[np.abs(near) + error > float(format_.largest)] = -1
        return cls(near, allowed)

    def of_rows(self, rows: Array) -> Nearness:
        """Return those of some of the rows, by their numbers or flags."""
        return Nearness(self.near[rows], self.allowed[rows])

    def holds(self, value: Array) -> Array:
        """Tell which rows of results are surely right to so many ulps, shape (m,)."""
        return _all_within(value.astype(self.near.dtype), self.near, self.allowed)

    def holds_quotient(self, above: Array, below: Array, format_: Format) -> Array:
        """Tell the same of quotients that have not been rounded to the format yet.

        Where they are subnormal numbers, rounding to float16 takes processors ten times as long
        as anything else here. It changes a quotient q by u |q| or half the smallest number at
        most, and by a unit of float32 if it comes by way of that.
        """
        with np.errstate(all="ignore"):
            quotient = above.astype(self.near.dtype)
            quotient /= below.astype(self.near.dtype)
            allowed = np.abs(self.near)
            allowed += self.allowed
            allowed *= -(format_.unit_roundoff + _BY_WAY)
            allowed += self.allowed
            allowed -= float(format_.smallest_subnormal) / 2
        return _all_within(quotient, self.near, allowed)


#: The rounding of a quotient to float32, and of that which it is held against.
_BY_WAY = 2.0**-23


def _all_within(numbers: Array, near: Array, allowed: Array) -> Array:
    """Tell which rows are no farther away than allowed; none that has a NaN is."""
    with np.errstate(all="ignore"):
        numbers -= near
        np.abs(numbers, out=numbers)
        close: Array = np.all(numbers <= allowed, axis=1)
    return close


def _shifted(x: Array) -> tuple[Array, Array, Array, Array]:
    """Return a, x - a, exp(x - a) and the sum of these."""
    a = x.max(axis=1, keepdims=True)
    d = x - a
    terms = np.exp(d)
    return a, d, terms, terms.sum(axis=1, keepdims=True)


def _softmax(x: Array, plain: float) -> tuple[Array, Array]:
    _, d, terms, total = _shifted(x)
    np.subtract(1, d, out=d)
    d *= plain
    terms /= total
    d *= terms  # relative: the rounding of x - a, and all others
    # a term that is 0 here is so in any of these formats; its d may be infinite
    np.copyto(d, 0, where=terms == 0)
    return terms, d


def _logsumexp(x: Array, plain: float) -> tuple[Array, Array]:
    a, _, _, total = _shifted(x)
    return a + np.log(total), plain * (1 + np.abs(a) + log(x.shape[1]))


def _log_softmax(x: Array, plain: float) -> tuple[Array, Array]:
    _, d, _, total = _shifted(x)
    error = np.subtract(1 + log(x.shape[1]), d)
    error *= plain
    d -= np.log(total)
    return d, error


_FUNCTIONS = {
    Function.LOGSUMEXP: _logsumexp,
    Function.SOFTMAX: _softmax,
    Function.LOG_SOFTMAX: _log_softmax,
}
