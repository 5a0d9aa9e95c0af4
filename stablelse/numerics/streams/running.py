"""Log-sum-exp in one pass, of numbers that come in blocks, in any order, from many places.

The state is the sum of exp(x - a) as a double-word, with a bound of its error. States merge with
an error of less than 2**-73 of the smaller one, and the result is rounded once: where it passes
the rounding test it is the correctly rounded one, and so has the same bits whatever the order,
the size of the blocks, and the tree of merges.

The running maximum of Milakov & Gimelshein 2018 (arXiv 1805.02867) is only needed beyond the
numbers that exp can take as they are; for those a is 0, and sums just add.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.numerics import doubleword
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.errorfree import fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.inputs import real_numbers
from stablelse.numerics.ladder import exponential, quick
from stablelse.numerics.rounding import Approximation, settle

if TYPE_CHECKING:
    import numpy.typing as npt

# A sum this much smaller than another, by its logarithm, is less than 2**-288 of it.
_NEGLIGIBLE = -200.0

# A sum that has grown by this much, by its logarithm, is far from overflow.
_FAR = 300.0

# Relative errors of a merge: of the factor exp(a - b) and the product with it, and of the sum.
_SCALING_ERROR = 2.0**-73
_MERGING_ERROR = 2.0**-100


class Sum(NamedTuple):
    """S = (high + low) exp(shift), with a bound of its relative error; nothing, if high is 0."""

    shift: float = 0.0
    high: float = 0.0
    low: float = 0.0
    error: float = 0.0

    @property
    def log(self) -> float:
        """log(S), roughly."""
        return self.shift + math.log(self.high) if self.high else -math.inf


class LogSum(NamedTuple):
    """A log-sum-exp as high + low, with a bound of its absolute error."""

    high: float
    low: float
    error: float


class RunningLogSumExp:
    """The log-sum-exp of all numbers so far.

    It takes constant memory, pickles to a few numbers, and merges with others of its kind, in
    any order: the result, where it is certified, has the same bits.

    Attributes
    ----------
    count : int
        The numbers so far.

    Examples
    --------
    >>> from stablelse import RunningLogSumExp
    >>> first, second = RunningLogSumExp(), RunningLogSumExp()
    >>> first.update([1000, 1001]).merge(second.update([1002])).result()
    np.float64(1002.4076059644444)
    """

    __slots__ = ("_has_infinity", "_has_nan", "_sum", "count")

    def __init__(self) -> None:
        self.count = 0
        self._sum = Sum()
        self._has_nan = False
        self._has_infinity = False

    def __repr__(self) -> str:
        return f"<RunningLogSumExp of {self.count:,} numbers: {self.result()}>"

    def update(self, x: npt.ArrayLike) -> RunningLogSumExp:
        """Take in numbers.

        Parameters
        ----------
        x : array_like
            Real numbers, any shape; longdouble is rounded to float64.

        Returns
        -------
        RunningLogSumExp
            Itself.

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        """
        row = real_numbers(x).reshape(1, -1)
        self.count += row.size
        with np.errstate(all="ignore"):
            if row.size and row.min() == -np.inf:
                row = row[row != -np.inf].reshape(1, -1)
            if row.size:
                self._take(row)
        return self

    def _take(self, x: Array) -> None:
        x_max = float(x.max())
        self._has_nan |= math.isnan(x_max)
        self._has_infinity |= x_max == math.inf
        if math.isfinite(x_max):
            blocks = quick.blocks_for(x.shape)
            ((band,),) = blocks.bands(x)
            shift, high, low = (part.item() for part in quick.sum_exp(blocks, band))
            self._sum = merged(self._sum, Sum(shift, high, low, quick.ERROR))

    def merge(self, other: RunningLogSumExp) -> RunningLogSumExp:
        """Take in all numbers that another one has seen.

        Parameters
        ----------
        other : RunningLogSumExp
            Unchanged.

        Returns
        -------
        RunningLogSumExp
            Itself.
        """
        self.count += other.count
        self._has_nan |= other._has_nan
        self._has_infinity |= other._has_infinity
        self._sum = merged(self._sum, other._sum)
        return self

    def result(self, dtype: str = "float64", *, return_certificate: bool = False) -> Any:
        """Return the log-sum-exp of the numbers so far; -inf of none.

        Parameters
        ----------
        dtype : str
            The format of the result, but not longdouble.
        return_certificate : bool
            Return a `Certificate` too.

        Returns
        -------
        result : scalar
            Of the format. Correctly rounded, if the certificate says so; otherwise the number
            it rounds to within the error bound.
        certificate : Certificate
            With `return_certificate` only. It has settled the one result, or none: the numbers
            are gone, and there is no higher rung to climb to.

        Raises
        ------
        ValueError
            If the format is unknown, or longdouble.
        """
        format_ = find_format(dtype)
        if format_.name == "longdouble":
            raise ValueError("a running sum has too few digits for longdouble")
        with np.errstate(all="ignore"):
            convention = self._convention()
            if convention is not None:
                value = format_.round(convention)[()]
                certificate = Certificate({Rung.CONVENTION: 1}, 0, 0.0)
            else:
                value, certificate = self._rounded(format_)
        return (value, certificate) if return_certificate else value

    def log_sum(self) -> LogSum:
        """Return the result as a double-word, with a bound of its error.

        Where it is infinite or NaN, the lower word is 0.
        """
        with np.errstate(all="ignore"):
            convention = self._convention()
            if convention is not None:
                return LogSum(convention, 0.0, 0.0)
            shift, high, low, error = (np.array([number]) for number in self._sum)
            y, y_low = quick.log(quick.Sum(shift, high, low))
            bound = error + quick.ERROR + doubleword.ARITHMETIC_ERROR * abs(y)
            return LogSum(y.item(), y_low.item(), bound.item())

    def _convention(self) -> float | None:
        if self._has_nan:
            return math.nan
        if self._has_infinity:
            return math.inf
        return None if self._sum.high else -math.inf

    def _rounded(self, format_: Format) -> tuple[Any, Certificate]:
        high, low, error = (np.array([number]) for number in self.log_sum())
        approximation = Approximation(high, low, np.zeros(1), error)
        value, settled, ulps = settle(approximation, format_)
        return value[0], Certificate({Rung.QUICK: 1} if settled[0] else {}, 0, float(ulps[0]))

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.count, tuple(self._sum), self._has_nan, self._has_infinity)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.count, total, self._has_nan, self._has_infinity = state
        self._sum = Sum(*total)


def merged(a: Sum, b: Sum) -> Sum:
    """Add two sums, in terms of the shift of the larger one."""
    if a.log < b.log:
        a, b = b, a
    if not b.high or b.log - a.log < _NEGLIGIBLE:
        return a
    if b.shift - a.shift > _FAR:  # numbers rose so slowly that the sum was always the larger one
        a = _scaled(a, b.shift)
    if a.shift != b.shift:
        b = _scaled(b, a.shift)
    high, error = two_sum(a.high, b.high)
    high, low = fast_two_sum(high, a.low + b.low + error)
    return Sum(a.shift, high, low, max(a.error, b.error) + _MERGING_ERROR)


def _scaled(total: Sum, shift: float) -> Sum:
    """Return a sum in terms of another shift.

    The factor exp(a - b) is taken in halves: by itself it might underflow where S does not.
    """
    d, d_low = two_sum(total.shift, -shift)
    words = exponential.exp(np.array([d / 2]), np.array([d_low / 2]), list(np.empty((6, 1))))
    factor, rest = fast_two_sum(float(words[0][0]), float(words[1][0]))
    rest += float(words[2][0])
    high, low = total.high, total.low
    for _ in range(2):
        product, error = two_product(high, factor)
        high, low = fast_two_sum(product, error + (high * rest + low * factor))
    return Sum(shift, high, low, total.error + _SCALING_ERROR)
