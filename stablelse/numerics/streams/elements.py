"""Elements of a softmax or log_softmax from the log-sum-exp of the whole, a block at a time.

With y = log sum exp(x_i) known as a double-word, every element can be had for itself:
log_softmax(x)_j = x_j - y, and softmax(x)_j = exp(x_j - y). What the error of y, mostly 2**-79,
leaves in doubt climbs as it does in memory (`stablelse.numerics.reference`): to the
double-word exponential, to a sum of 130 bits, for which the vector is read again, and in the end
to decimal arithmetic, for which it is read once for every precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals
from stablelse.numerics.certificate import Rung
from stablelse.numerics.decimals import Sum, Term, as_decimal
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.ladder import exponential, fixedpoint
from stablelse.numerics.ladder.doubtful import log_softmax_of, softmax_of
from stablelse.numerics.rounding import Approximation, settle
from stablelse.numerics.streams.one_pass import PIECE
from stablelse.numerics.streams.running import LogSum

# The sum of two lower words, each below 2**-53 of at most 2 max(abs(x), abs(y)), rounds by this.
_ROUNDING = 2.0**-104

# The third word of exp is below 2**-26 of the first, so that adding it to what the first two
# leave, below 2**-53, rounds by less than 2**-78. Half of it is for what bounds to first order
# leave out: exp(z) - 1 <= z + z**2.
_ADDITION = 2.0**-77

_LARGEST = float(np.finfo(np.float64).max)

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

    def rounded(self, format_: Format) -> tuple[Any, Rung]:
        """Return the log-sum-exp, correctly rounded from the parts, and what rung settled it."""
        value = None if self._rest is None else fixedpoint.log_sum_of(self._rest, format_)
        if value is not None:
            return value, Rung.FIXED_POINT
        value, _ = self._sum.logsumexp(format_)
        return value, Rung.DECIMAL

    def climbed(self, function: Function, x: Array, format_: Format) -> Array:
        """Return elements of finite x, correctly rounded from the parts."""
        evaluate = _ELEMENTS[function]
        different, back = np.unique(x, return_inverse=True)
        values = [None] * len(different)
        if self._rest is not None:
            values = fixedpoint.elements_of(self._rest, different, format_, evaluate)
        doubtful = {i: as_decimal(different[i]) for i, v in enumerate(values) if v is None}
        if doubtful:
            wanted = set(doubtful.values())
            found = decimals.climb(wanted, evaluate, self._sum, format_)
            for i, entry in doubtful.items():
                values[i] = found[entry]
        settled: Array = np.array(values, format_.dtype)[back]
        return settled

    @property
    def is_readable(self) -> bool:
        """Whether the numbers can be had once more."""
        return self._parts is not None

    @cached_property
    def _rest(self) -> fixedpoint.Rest | None:
        assert self._parts is not None
        return fixedpoint.rest_of(self._parts)

    @cached_property
    def _sum(self) -> Sum:
        """The sum of all terms at every precision, a pass each."""
        assert self._parts is not None
        if self._rest is None:  # all x are equal
            first = Term(as_decimal(self.x_max), Decimal(self._multiplicity))
            return Sum(first, first.x, list)
        parts, below = self._parts, partial(_terms_below, self._rest.x_max)
        return Sum(self._rest.first, self._rest.second, lambda: map(below, parts()))

    @cached_property
    def _multiplicity(self) -> int:
        assert self._parts is not None
        return sum(int(np.count_nonzero(part == self.x_max)) for part in self._parts())


def _terms_below(x_max: float, x: Array) -> Iterator[Term]:
    """Return a term for each different finite number of a part that is less than the largest."""
    some = x[(x < x_max) & (x > -np.inf)].astype(np.float64)
    entries, counts = np.unique(some, return_counts=True)
    pairs = zip(entries, counts.tolist(), strict=True)
    return (Term(as_decimal(entry), Decimal(count)) for entry, count in pairs)


_ELEMENTS: dict[Function, decimals.Elements] = {
    Function.SOFTMAX: decimals.quotients,
    Function.LOG_SOFTMAX: decimals.log_quotients,
}


class _Entries(NamedTuple):
    """Some elements of a vector, and its largest one; see `ladder.doubtful.Entries`."""

    x: Array
    x_max: float

    def largest(self) -> Array:
        return np.full(len(self.x), self.x_max)


def elements(function: Function, x: Array, whole: Whole, format_: Format) -> Array:
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

    Returns
    -------
    ndarray
        Shape (n,), of the format. Where the log-sum-exp is infinite or NaN, all are NaN. Of a
        vector that cannot be had once more, elements are correctly rounded where its log-sum-exp
        is known well enough.
    """
    values = np.empty(len(x), format_.dtype)
    log_sum = whole.log_sum
    if not np.isfinite(log_sum.high):
        values[...] = np.nan
        return values
    normal = function is Function.SOFTMAX
    with np.errstate(all="ignore"):
        for begin in range(0, len(x), PIECE):
            part = slice(begin, begin + PIECE)
            piece = np.asarray(x[part], np.float64)
            d, d_low = _differences(piece, log_sum.high, log_sum.low, normal)
            values[part], doubts = _settled(function, d, d_low, log_sum, format_)
            some = np.flatnonzero(doubts)
            if some.size:
                values[begin + some] = _climbed(function, piece[some], whole, format_)
    values[values == 0] = 0  # without a sign
    return values


def _climbed(function: Function, x: Array, whole: Whole, format_: Format) -> Array:
    """Round elements that are in doubt."""
    of_log_sum = log_softmax_of if function is Function.LOG_SOFTMAX else softmax_of
    y, y_low, error = (np.full(len(x), number) for number in whole.log_sum)
    values, doubtful, _ = of_log_sum(_Entries(x, whole.x_max), y, y_low, error, format_)
    if doubtful.any() and whole.is_readable:
        values[doubtful] = whole.climbed(function, x[doubtful], format_)
    return values


def _differences(x: Array, y: float, y_low: float, normal: bool) -> tuple[Array, Array]:
    """Return x - y as d + d_low; with abs(d_low) <= ulp(d) / 2, if it is to be normal.

    Where x - y does not overflow, TwoSum only does if its second number is as large as there are
    any (Boldo, Graillat & Muller 2017, doi 10.1145/3054947). If y is, it goes first: should x be
    so too, x - y is 0 or overflows. The lower word of an infinity is 0.
    """
    d, d_low = two_sum(x, -y) if abs(y) < _LARGEST else two_sum(-y, x)
    finite = np.isfinite(d)
    d_low = np.where(finite, d_low - y_low, 0)
    if normal:
        d, d_low = two_sum(d, d_low)
        d_low = np.where(finite, d_low, 0)
    return d, d_low


def _settled(
    function: Function, d: Array, d_low: Array, log_sum: LogSum, format_: Format
) -> tuple[Array, Array]:
    """Round to the format, and tell what is in doubt."""
    absolute = log_sum.error + _ROUNDING * (abs(d) + 2 * abs(log_sum.high))
    if function is Function.LOG_SOFTMAX:
        finite = np.isfinite(d)
        words = np.where(finite, d, 0), d_low, np.zeros_like(d)
        value, settled, _ = settle(Approximation(*words, absolute), format_)
        return np.where(finite, value, format_.round(-np.inf)), finite & ~settled
    inside = d >= _SMALLEST
    safe = np.maximum(d, _SMALLEST)
    words = exponential.exp(safe, np.where(inside, d_low, 0), list(np.empty((6, len(d)))))
    high, low = two_sum(words[0], words[1])
    error = (exponential.EXP_ERROR + _ADDITION + np.where(inside, absolute, 0)) * high
    approximation = Approximation(high, low + words[2], np.zeros_like(high), error)
    value, settled, _ = settle(approximation, format_)
    # By far below the smallest number of the format, an element is 0 beyond doubt.
    is_zero = d < float(format_.underflow_threshold) - 1
    value = np.where(is_zero, format_.round(0.0), value)
    return value, np.where(inside, ~settled, True) & ~is_zero
