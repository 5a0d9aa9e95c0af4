"""Elements of a softmax or log_softmax from the log-sum-exp of the whole, a block at a time.

With y = log sum exp(x_i) known as a double-word, every element can be had for itself:
log_softmax(x)_j = x_j - y, and softmax(x)_j = exp(x_j - y). What the error of y, mostly 2**-79,
leaves in doubt climbs as it does in memory (`stablelse.numerics.ladder.elementwise`): to the
double-word exponential, and to a sum of 130 bits, for which the vector is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.ladder import decimals, exponential, fixedpoint
from stablelse.numerics.ladder.doubtful import log_softmax_of, softmax_of
from stablelse.numerics.ladder.rounding import settle
from stablelse.numerics.streams.one_pass import PIECE
from stablelse.numerics.streams.running import LogSum, RunningLogSumExp

# The sum of two lower words, each below 2**-53 of at most 2 max(abs(x), abs(y)), rounds by this.
_ROUNDING = 2.0**-104

# The third word of exp is below 2**-26 of the first, so that adding it to what the first two
# leave, below 2**-53, rounds by less than 2**-78. Half of it is for what bounds to first order
# leave out: exp(z) - 1 <= z + z**2.
_ADDITION = 2.0**-77

# The error of y is less than u of an element of log_softmax that is larger in size.
_SMALL = 2.0**-20

# Below, exp is no longer a normal number that double-words could follow.
_SMALLEST = -600.0


class Whole:
    """A vector that is too long for memory, of which elements are wanted.

    Parameters
    ----------
    log_sum : LogSum
        Its log-sum-exp.
    x_max : float
        Its largest number.
    parts : callable, optional
        Returns the numbers, rounded to the format, in parts of shape (n,): each time the same.
    """

    def __init__(
        self,
        log_sum: LogSum,
        x_max: float = np.nan,
        parts: Callable[[], Iterable[Array]] | None = None,
    ) -> None:
        self.log_sum = log_sum
        self.x_max = x_max
        self._parts = parts

    def rounded(self, format_: Format) -> Any:
        """Return the log-sum-exp from the sum of 130 bits, or ``None`` if it is in doubt."""
        if self._rest is None:
            counts = np.array([self._multiplicity])
            return decimals.logsumexp(np.array([self.x_max]), format_, counts)[0]
        return fixedpoint.log_sum_of(self._rest, format_)

    def climbed(self, function: Function, x: Array, format_: Format) -> list[Any]:
        """Compute elements from the sum of 130 bits; ``None`` for those that it leaves in doubt."""
        if self._parts is None:
            return [None] * len(x)
        in_decimal, evaluate = _RUNGS[function]
        if self._rest is None:  # all x are equal
            return [in_decimal(x[:1], format_, counts=np.array([self._multiplicity]))[0]] * len(x)
        return fixedpoint.elements_of(self._rest, x, format_, evaluate)

    @cached_property
    def beside_largest(self) -> float | None:
        """The log_softmax of an entry that dominates, -log1p of the sum of the others."""
        if self._parts is None:
            return None
        others = RunningLogSumExp()
        for part in self._parts():
            others.update(part[part < self.x_max])
        y, y_low, _ = others.log_sum()
        d, d_low = two_sum(y, -self.x_max)
        return float(-np.log1p(np.exp(d) * (1 + d_low + y_low))) if np.isfinite(d) else 0.0

    @cached_property
    def _rest(self) -> fixedpoint.Rest | None:
        assert self._parts is not None
        return fixedpoint.rest_of(self._parts)

    @cached_property
    def _multiplicity(self) -> int:
        assert self._parts is not None
        return sum(int(np.count_nonzero(part == self.x_max)) for part in self._parts())


_RUNGS = {
    Function.SOFTMAX: (decimals.softmax, decimals.quotient),
    Function.LOG_SOFTMAX: (decimals.log_softmax, decimals.log_quotient),
}


class _Entries(NamedTuple):
    """Some elements of a vector, and its largest one; see `ladder.doubtful.Entries`."""

    x: Array
    x_max: float

    def largest(self) -> Array:
        return np.full(len(self.x), self.x_max)


def elements(
    function: Function, x: Array, whole: Whole, format_: Format, exact: bool
) -> tuple[Array, int]:
    """Compute the elements that belong to some numbers of a vector.

    Parameters
    ----------
    function : Function
        Softmax or log_softmax.
    x : ndarray
        Shape (n,), of the format.
    whole : Whole
        The vector that they are of.
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
    log_sum = whole.log_sum
    if not np.isfinite(log_sum.high):
        values[...] = np.nan
        return values, 0
    rounded = exact or format_.name != "float64"
    with np.errstate(all="ignore"):
        for begin in range(0, len(x), PIECE):
            part = slice(begin, begin + PIECE)
            piece = np.asarray(x[part], np.float64)
            d, d_low = _differences(piece, log_sum)
            if rounded:
                values[part], doubts = _settled(function, d, d_low, log_sum, format_)
                some = np.flatnonzero(doubts)
                if some.size:
                    values[begin + some], still = _climbed(function, piece[some], whole, format_)
                    doubtful += still
            elif function is Function.LOG_SOFTMAX:
                value = d + d_low
                (some,) = np.nonzero(abs(value) < _SMALL)
                if some.size and whole.beside_largest is not None:
                    value[some] = whole.beside_largest
                values[part] = value
            else:
                terms = np.exp(d)
                values[part] = terms + terms * d_low
    return values, doubtful


def _climbed(function: Function, x: Array, whole: Whole, format_: Format) -> tuple[Array, int]:
    """Round elements that are in doubt, and count those that remain so."""
    of_log_sum = log_softmax_of if function is Function.LOG_SOFTMAX else softmax_of
    y, y_low, error = (np.full(len(x), number) for number in whole.log_sum)
    values, doubtful, _ = of_log_sum(_Entries(x, whole.x_max), y, y_low, error, format_)
    some = np.flatnonzero(doubtful)
    found = whole.climbed(function, x[some], format_) if some.size else []
    for i, value in zip(some.tolist(), found, strict=True):
        values[i] = values[i] if value is None else value
    return values, found.count(None)


def _differences(x: Array, log_sum: LogSum) -> tuple[Array, Array]:
    """Return x - y as double-words; of -inf, and the lower word 0."""
    y, y_low, _ = log_sum
    d, d_low = two_sum(x, -y)
    d_low = np.where(np.isfinite(d), d_low - y_low, 0)
    return d, d_low


def _settled(
    function: Function, d: Array, d_low: Array, log_sum: LogSum, format_: Format
) -> tuple[Array, Array]:
    """Round to the format, and tell what is in doubt."""
    absolute = log_sum.error + _ROUNDING * (abs(d) + 2 * abs(log_sum.high))
    if function is Function.LOG_SOFTMAX:
        finite = np.isfinite(d)
        value, doubtful, _ = settle(np.where(finite, d, 0), d_low, absolute, format_)
        return np.where(finite, value, format_.round(-np.inf)), doubtful & finite
    inside = d >= _SMALLEST
    safe = np.maximum(d, _SMALLEST)
    words = exponential.exp(safe, np.where(inside, d_low, 0), list(np.empty((6, len(d)))))
    high, low = two_sum(words[0], words[1])
    error = (exponential.EXP_ERROR + _ADDITION + np.where(inside, absolute, 0)) * high
    value, doubtful, _ = settle(high, low + words[2], error, format_)
    # By far below the smallest number of the format, an element is 0 beyond doubt.
    is_zero = d < float(format_.underflow_threshold) - 1
    value = np.where(is_zero, format_.round(0.0), value)
    return value, np.where(inside, doubtful, True) & ~is_zero
