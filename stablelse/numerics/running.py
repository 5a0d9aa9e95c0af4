"""Mergeable one-pass states: the log-sum-exp of numbers that come in blocks, by every method.

`RunningLogSumExp` is correctly rounded; the result does not depend on the order, the block sizes
or the tree of merges. `RunningNaive` and `RunningShifted` follow the textbook: every operation is
rounded to the format, the sum of a piece is pairwise, and the sums of pieces are added one after
another, so their last digits depend on where the blocks are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from stablelse.numerics import kernel, states
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas import pairwise_sum
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

#: Elements of a piece: a buffer of 1 MiB stays in a level-2 cache, and is enough work that threads
#: seldom wait for one another.
PIECE = 2**17


class _Running:
    """The base of all running sums: they take in numbers, and merge with others of their kind."""

    __slots__ = ("count", "format")
    result: Callable[..., Any]
    take: Callable[..., Any]
    _join: Callable[..., None]

    def __init__(self, dtype: str = "float64") -> None:
        self.format = find_format(dtype)
        self.count = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.count:,} numbers: {self.result()}>"

    def update(self, x: npt.ArrayLike) -> Self:
        """Take in numbers, and return itself.

        Parameters
        ----------
        x : array_like
            Real numbers, any shape; they are rounded to the format, but `RunningLogSumExp` only
            rounds longdouble to float64.

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        """
        numbers = real_numbers(x)
        with np.errstate(all="ignore"):
            self._add(numbers)
        return self

    def merge(self, other: Self) -> Self:
        """Take in all numbers that another one has seen, which stays as it is; return itself."""
        if type(other) is not type(self) or other.format != self.format:
            raise ValueError("only running sums of the same class and dtype can be merged")
        self.count += other.count
        with np.errstate(all="ignore"):
            self._join(other)
        return self

    def _add(self, numbers: Array) -> None:
        flat = numbers.reshape(-1)
        for begin in range(0, len(flat), PIECE):
            piece = flat[begin : begin + PIECE]
            piece = piece if piece.dtype == self.format.dtype else self.format.round(piece)
            self.take(piece, np.maximum.reduce(piece))


def _check_result(format_: Format) -> None:
    if format_.name == "longdouble":
        raise ValueError("a running sum has too few digits for longdouble")


class RunningLogSumExp(_Running):
    """The log-sum-exp of all numbers so far.

    It takes constant memory, pickles to a few numbers, and merges with others of its dtype; the
    order does not affect the result.

    Parameters
    ----------
    dtype : str
        The format of the result; not longdouble. Numbers in the same narrow format take less time.

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

    __slots__ = ("state",)

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__(dtype)
        _check_result(self.format)
        self.state = states.empty(1)

    def _add(self, numbers: Array) -> None:
        self.count += numbers.size
        states.add(self.state, numbers.reshape(1, -1), self.format)

    def _join(self, other: Self) -> None:
        states.merge(self.state, other.state)

    def result(self, dtype: str | None = None, *, return_certificate: bool = False) -> Any:
        """Return the log-sum-exp of the numbers so far; -inf if there are none.

        Parameters
        ----------
        dtype : str, optional
            Another format for the result; not longdouble.
        return_certificate : bool
            Also return a `Certificate`.

        Returns
        -------
        result : scalar
            In the format. Correctly rounded if the certificate says so; otherwise within the
            certificate's error bound.
        certificate : Certificate
            Only with `return_certificate`. It counts the result as settled or not: the numbers
            are gone, so no higher rung can be tried.

        Raises
        ------
        ValueError
            If the format is unknown, or longdouble.
        """
        format_ = self.format if dtype is None else find_format(dtype)
        _check_result(format_)
        value, settled, ulps, is_near = states.rounded(self.state, format_)
        rung = Rung.CONVENTION
        if np.isfinite(self.largest):
            rung = Rung.TRIPLE_WORD if is_near[0] else Rung.DOUBLE_WORD
            rung = rung if kernel.load() is None else Rung.KERNEL
        settles = {rung: 1} if settled[0] else {}
        certificate = Certificate(settles, float(ulps[0]), kernel.name())
        return (value[0], certificate) if return_certificate else value[0]

    @property
    def largest(self) -> float:
        """The largest number so far; -inf if there are none, NaN if any number was NaN."""
        return float(self.state["top"][0])

    def log_sum(self) -> tuple[float, float, float]:
        """Return the result in two words (inf and NaN in the upper one), and its error bound."""
        if not np.isfinite(self.largest):
            return self.largest, 0.0, 0.0
        y, _ = states.logarithms(self.state)
        parts = (float(np.ldexp(part, y.exponent)[0]) for part in y[:4])
        high, low, lowest, error = parts
        return high, low + lowest, error

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.format.name, self.count, self.state.view(np.float64).tolist())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        name, self.count, numbers = state
        self.format, self.state = find_format(name), states.empty(1)
        self.state.view(np.float64)[:] = numbers


def piece_sum(format_: Format) -> Callable[[Array], Any]:
    """Return a function that adds up a vector and rounds every addition to the format.

    NumPy's own sum is pairwise, but adds float16 in float32, and ml_dtypes' formats one by one.
    """
    if format_.name in ("float32", "float64", "longdouble"):
        return np.add.reduce
    return lambda terms: pairwise_sum(terms)[0]


class RunningNaive(_Running):
    """The naive log-sum-exp of all numbers so far: the logarithm of a plain sum of exponentials.

    Once the sum is infinite or NaN it stays so, and no more exponentials are computed.

    Parameters
    ----------
    dtype : str
        The format that every operation is rounded to.

    Attributes
    ----------
    format : Format
        That format.
    count : int
        The numbers so far.
    total : scalar
        The sum of their exponentials, in the format.

    Examples
    --------
    >>> from stablelse import RunningNaive
    >>> RunningNaive().update([700, 709]).update([710]).result()
    np.float64(inf)
    """

    __slots__ = ("total",)

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__(dtype)
        self.total = self.format.dtype.type(0)

    @property
    def is_settled(self) -> bool:
        """Whether the sum is infinite or NaN, so that more numbers cannot make it finite."""
        return not np.isfinite(self.total)

    def take(self, x: Array, x_max: Any, scratch: Array | None = None) -> None:
        """Take in a piece; its exponentials are computed in `scratch`."""
        self.count += len(x)
        if self.is_settled:
            self.total = x_max if np.isnan(x_max) else self.total
        else:
            terms = np.exp(x, out=scratch)
            self.total = self.total + piece_sum(self.format)(terms)

    def _join(self, other: Self) -> None:
        self.total = self.total + other.total

    def result(self) -> Any:
        """Return the logarithm of the sum, a scalar of the format; -inf if there are no numbers."""
        with np.errstate(all="ignore"):
            return np.log(self.total)


class RunningShifted(_Running):
    """The shifted log-sum-exp of all numbers so far; the shift is the largest of them.

    The sum of exp(x_i - m) is scaled by exp(m - m') whenever a larger m' comes (Milakov &
    Gimelshein 2018, arXiv 1805.02867, algorithm 3). As in the formula, infinities are not guarded:
    inf - inf is NaN.

    Parameters
    ----------
    dtype : str
        The format that every operation is rounded to.

    Attributes
    ----------
    format : Format
        That format.
    count : int
        The numbers so far.
    shift : scalar
        The largest number so far; -inf if there are none, NaN if any number was NaN.
    total : scalar
        The sum of exp(x_i - shift), in the format.
    """

    __slots__ = ("shift", "total")

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__(dtype)
        self.shift: Any = -np.inf  # a Python float: some formats have no infinity
        self.total = self.format.dtype.type(0)

    def take(self, x: Array, x_max: Any, scratch: Array | None = None) -> None:
        """Take in a piece; its terms are computed in `scratch`."""
        self.count += len(x)
        if x_max != -np.inf:
            self._raise_shift(x_max)
            difference = np.subtract(x, self.shift, out=scratch)
            terms: Array = np.exp(difference, out=difference)
            self.total = self.total + piece_sum(self.format)(terms)

    def _join(self, other: Self) -> None:
        if other.shift != -np.inf:
            self._raise_shift(other.shift)
            self.total = self.total + _scaled(other.total, other.shift, self.shift)

    def _raise_shift(self, x_max: Any) -> None:
        if not (x_max <= self.shift or np.isnan(self.shift)):  # once NaN, always NaN
            self.total = _scaled(self.total, self.shift, x_max)
            self.shift = x_max

    def result(self) -> Any:
        """Return shift + log(total), a scalar of the format.

        NaN if all numbers are -inf, since -inf - (-inf) is NaN; -inf if there are no numbers.
        """
        if self.count and self.shift == -np.inf:
            return self.format.round(np.nan)[()]
        with np.errstate(all="ignore"):
            return self.shift + np.log(self.total)


def _scaled(total: Any, shift: Any, other: Any) -> Any:
    """Return a sum in terms of another shift; an empty sum stays empty."""
    if shift == other or shift == -np.inf:
        return total
    return total * np.exp(shift - other)
