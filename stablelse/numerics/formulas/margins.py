"""Whole stacks of vectors that a formula is surely right on, told from their maxima and minima.

A vector whose maximum and minimum lie well within a format need not be evaluated: its error has
a bound, here strict and in ulps of the correctly rounded result. With u the unit roundoff, eta
the smallest subnormal number, L = ceil(log2 n) the depth of the sum, and exp and log right to
c_e u and c_l u (`stablelse.numerics.formulas.bounds.ElementaryErrors`):

- A sum of positive terms is relatively right to exp((c_e + L) u) - 1, and n c_e eta / 2 absolutely
  where terms underflow (Higham 2002, Accuracy and Stability, section 4.2).
- Shifted, x_i - a is rounded, which makes a relative error of at most exp(u t_i) - 1 of a term,
  t_i = a - x_i. Where exp(-t_i) is not below eta that is at most kappa u t_i. Weighted by the
  softmax p, the t_i add up to the entropy of p less log(sum): to log n at most.
- A relative error rho of a sum s is an absolute one of -log(1 - rho) in log(s).
- An ulp of y is no less than u |y|, and the correctly rounded result is half an ulp off.
"""

from __future__ import annotations

from math import ceil, expm1, log, log2
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.bounds import ElementaryErrors
from stablelse.numerics.formulas.nearness import SHORT
from stablelse.numerics.functions import Function

#: Bounds are computed in float64, in a few operations: this covers their own rounding errors,
#: and that an ulp of a result is counted at its rounded value.
_SLACK = 1.01


class Extent(NamedTuple):
    """The largest and the smallest entries of m vectors, rounded to a format, as float64.

    Attributes
    ----------
    n : int
        How many entries each vector has.
    maximum, minimum : ndarray
        Shape (m,).
    """

    n: int
    maximum: Array
    minimum: Array


class _Sum(NamedTuple):
    """What is known of the error of a sum of n exponentials in a format."""

    u: float
    eta: float
    exp: float
    log: float
    growth: float  # (c_e + L) u
    n: int

    @classmethod
    def of(cls, format_: Format, n: int) -> _Sum:
        errors = ElementaryErrors.of(format_)
        u, eta = format_.unit_roundoff, float(format_.smallest_subnormal)
        growth = (errors.exp + ceil(log2(n))) * u
        return cls(u, eta, errors.exp, errors.log, growth, n)

    @property
    def vanishing(self) -> float:
        """The t from which on exp(-t) is below a quarter of eta, the rounding of t counted."""
        return (log(4) - log(self.eta)) / (1 - self.u)

    @property
    def shifted(self) -> float:
        """The relative error of a shifted sum, which is at least 1."""
        t = self.vanishing
        kappa = expm1(self.u * t) / (self.u * t)
        spread = 1 + kappa * self.u * log(self.n)
        return spread * (1 + expm1(self.growth)) - 1 + self.n * self.exp * self.eta


def surely_right(
    function: Function, shifted: bool, extent: Extent, format_: Format, inner: Format, ulps: float
) -> Array:
    """Tell which vectors a formula is surely right on, to so many ulps.

    Parameters
    ----------
    function : Function
        What is computed. Of log_softmax nothing is known before it is computed: where one entry
        dominates, its logarithm is close to 0, and may have lost every digit.
    shifted : bool
        The shifted formula, a = max; otherwise the naive one.
    extent : Extent
        Of the vectors.
    format_ : Format
        Of the input and of the result.
    inner : Format
        That every operation is rounded to: the same, or a wider one.
    ulps : float
        The largest error allowed, of the correctly rounded result.

    Returns
    -------
    ndarray of bool
        Shape (m,). Nothing overflows, underflows to -inf or gives NaN there, and no error is
        larger; elsewhere that may be so all the same.
    """
    if function is Function.LOG_SOFTMAX:
        return np.zeros(len(extent.maximum), bool)
    total = _Sum.of(inner, extent.n)
    largest = float(format_.largest)
    with np.errstate(all="ignore"):
        x_max, x_min = extent.maximum, extent.minimum
        safe = np.isfinite(x_max) & ~np.isnan(x_min)
        if shifted:
            # a + log n must be finite; a difference may be infinite, if that is what it gives
            safe &= x_max + log(extent.n) + 1 <= largest
            safe &= format_.has_infinity | (x_max - x_min <= largest)
        else:
            safe &= x_max + log(extent.n) + total.growth + 0.01 <= log(float(inner.largest))
        bound = _BOUNDS[function](shifted, extent, total, format_) + 0.5
        safe &= bound * _SLACK <= ulps
    return safe


def _sum_error(shifted: bool, extent: Extent, total: _Sum) -> Array:
    """Return a bound of the relative error of the sum, shape (m,); 1/2 is as good as none."""
    if shifted:
        return np.full(len(extent.maximum), min(total.shifted, 0.5))
    underflow = extent.n * total.exp * total.eta / 2 * np.exp(-extent.maximum)
    rho: Array = np.minimum(expm1(total.growth) + underflow, 0.5)
    return rho


def _logsumexp_bound(shifted: bool, extent: Extent, total: _Sum, format_: Format) -> Array:
    log_n, u = log(extent.n), format_.unit_roundoff
    rho = _sum_error(shifted, extent, total)
    error = -np.log1p(-rho)
    # x_max <= y <= x_max + log n, and y >= x_min + log n
    lowest = np.maximum(extent.maximum, extent.minimum + log_n)
    y = np.maximum(np.maximum(lowest, -(extent.maximum + log_n)), 0)
    if shifted:
        error += total.log * total.u * (log_n + error)
        last = total.u + (0.0 if total.u == u else u)
    else:
        last = total.log * total.u
    bound: Array = np.where(rho < 0.5, (error + last * (y + error)) / (u * y), np.inf)
    return bound


def _softmax_bound(shifted: bool, extent: Extent, total: _Sum, format_: Format) -> Array:
    u = format_.unit_roundoff
    rho = _sum_error(shifted, extent, total)
    if shifted:
        t = np.minimum(extent.maximum - extent.minimum, total.vanishing)
        lost = np.full(len(rho), total.exp * total.eta)
    else:
        t = np.zeros(len(rho))
        lost = total.exp * total.eta * np.exp(-extent.maximum)
    # the term, the quotient's rounding, and the sum: all relative
    relative = np.expm1((total.exp + 1) * total.u + total.u * t - np.log1p(-rho))
    last = 0 if total.u == u else u
    underflow = lost / float(format_.smallest_subnormal) + 0.5
    bound: Array = np.where(rho < 0.5, (relative + last) / u + underflow, np.inf)
    return bound


_BOUNDS = {Function.LOGSUMEXP: _logsumexp_bound, Function.SOFTMAX: _softmax_bound}


def extremes(x: Array) -> tuple[Array, Array]:
    """Return the maximum and the minimum of every row, shape (m,), NaN where there is one.

    Row by row, a short row takes NumPy as long as thirty numbers; so rows are halved instead,
    all at once, until they are long no more.
    """
    return _reduced(np.maximum, x), _reduced(np.minimum, x)


def _reduced(pick: np.ufunc, x: Array) -> Array:
    n = x.shape[1]
    while 1 < n <= SHORT:
        half = (n + 1) // 2
        x = pick(x[:, :half], x[:, n - half :])
        n = half
    found: Array = x[:, 0] if n == 1 else pick.reduce(x, axis=1)
    return found
