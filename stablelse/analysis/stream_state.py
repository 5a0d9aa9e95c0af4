"""The state that a stream of numbers is folded into: a few numbers, which merge and pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.stream import StreamComparison
from stablelse.analysis.stream_methods import Side
from stablelse.analysis.stream_places import Where
from stablelse.numerics.formats import Array
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt


class _Run(NamedTuple):
    """Neighbouring rows of one source: its name, and how many there were so far."""

    source: str
    rows: int


class StreamState:
    """The log-sum-exp of all numbers so far by every method, and where the first one broke.

    It takes constant memory and pickles to a few numbers. Its certified value has the same bits
    however the numbers are split and in whatever order the states merge; the places of findings
    are right if each state is merged with the one that follows it.

    Parameters
    ----------
    formats : sequence of str
        The formats to compute in.
    plain : bool
        Whether to compute what a textbook would, the naive and the shifted one.

    Attributes
    ----------
    count : int
        The numbers so far.

    Examples
    --------
    >>> from stablelse import StreamState
    >>> first, second = StreamState(), StreamState()
    >>> stream = first.update([700, 701], "a.csv").merge(second.update([720], "b.csv")).result()
    >>> for result in stream.results:
    ...     print(result.method.value, result.value, result.verdict.value)
    naive inf overflow
    shifted 720.000000007664 right
    exact 720.000000007664 right
    >>> [(found.source, found.row) for found in stream.results[0].findings]
    [('b.csv', 1)]
    """

    __slots__ = ("_first", "_last", "_runs", "_sides", "count", "plain")

    def __init__(self, formats: Sequence[str] = ("float64",), plain: bool = True) -> None:
        self.count = 0
        self.plain = plain
        self._first = self._last = _Run("", 0)
        self._runs = 0
        self._sides = [Side(name, plain) for name in formats]

    def __repr__(self) -> str:
        return f"<StreamState of {self.count:,} numbers>"

    def fresh(self) -> StreamState:
        """Return an empty state for numbers that follow.

        It knows which naive sums are infinite already, so that none of it is computed again.
        """
        state = StreamState([side.format.name for side in self._sides], self.plain)
        for mine, theirs in zip(self._sides, state._sides, strict=True):
            if mine.naive.is_settled:
                theirs.naive.total = mine.naive.total
        return state

    def update(
        self,
        x: npt.ArrayLike,
        source: str = "",
        missing: npt.NDArray[np.bool_] | None = None,
    ) -> StreamState:
        """Take in some rows of numbers.

        Parameters
        ----------
        x : array_like
            Shape (rows, columns) or (rows,), real.
        source : str
            What the rows are called where something is found in them.
        missing : ndarray of bool, optional
            Of the same shape: what is left out, though its rows count.

        Returns
        -------
        StreamState
            Itself.
        """
        block = real_numbers(x)
        block = block.reshape(len(block), -1) if block.ndim else block.reshape(1, 1)
        numbers, kept = block.reshape(-1), None
        if missing is not None:
            kept = np.flatnonzero(~missing)
            numbers = numbers[kept]
        begin = self._last.rows if self._runs and self._last.source == source else 0
        where = Where(source, begin, block.shape[1], self.count, kept)
        if numbers.size:
            self._take(numbers, where)
        self._follow(_Run(source, len(block)), _Run(source, len(block)), 1)
        return self

    def _take(self, x: Array, where: Where) -> None:
        with np.errstate(all="ignore"):
            for side in self._sides:
                side.update(x, where)
        self.count += x.size

    def merge(self, other: StreamState) -> StreamState:
        """Take in all numbers that another one has seen; they follow those of this one.

        Parameters
        ----------
        other : StreamState
            Of the same formats; unchanged.

        Returns
        -------
        StreamState
            Itself.
        """
        rows = self._last.rows if self._runs and self._last.source == other._first.source else 0
        before = rows if other._runs == 1 else 0
        end = Where(other._last.source, before, 1, self.count, None)
        for mine, theirs in zip(self._sides, other._sides, strict=True):
            mine.merge(theirs, other._first.source, rows, end.at_end(other._last.rows, other.count))
        self.count += other.count
        if other._runs:
            self._follow(other._first, other._last, other._runs)
        return self

    def _follow(self, first: _Run, last: _Run, runs: int) -> None:
        """Count the rows of the sources that follow."""
        if not self._runs:
            self._first, self._last, self._runs = first, last, runs
            return
        joins = self._last.source == first.source
        if joins:
            joined = _Run(first.source, self._last.rows + first.rows)
            self._first = joined if self._runs == 1 else self._first
            last = joined if runs == 1 else last
        self._last = last
        self._runs += runs - joins

    @property
    def so_far(self) -> dict[str, Any]:
        """The values of the naive and the shifted method, in the first of the formats."""
        side = self._sides[0]
        if not self.plain:
            return {"": self.value}
        return {"naive": side.naive.result(), "shifted": side.shifted.result()}

    @property
    def value(self) -> Any:
        """The best value in the first of the formats."""
        return self._sides[0].best()[0]

    @property
    def maximum(self) -> Any:
        """The largest number so far, in the first of the formats."""
        return self._sides[0].maximum

    @property
    def values(self) -> list[Any]:
        """The best value in each of the formats."""
        return [side.best()[0] for side in self._sides]

    @property
    def sides(self) -> tuple[Side, ...]:
        """Every method, in each of the formats."""
        return tuple(self._sides)

    @property
    def log_state(self) -> Array:
        """The numbers in the first of the formats, as `running.Whole` takes them."""
        return self._sides[0].right.state

    @property
    def is_kept(self) -> bool:
        """Whether every value is certified."""
        return all(side.is_kept for side in self._sides)

    def settle(self, parts: Callable[[], Iterable[Array]]) -> None:
        """Prove certified values that are still in doubt, by reading the numbers twice more.

        Parameters
        ----------
        parts : callable
            Returns all numbers, in parts of shape (n,): each time the same.
        """
        with np.errstate(all="ignore"):
            for side in self._sides:
                side.settle(parts)

    @property
    def source(self) -> str | None:
        """Where the numbers came from."""
        more = self._runs - 1
        return f"{self._first.source} and {more} more" if more > 0 else self._first.source or None

    def result(self, row: int | None = None, column: str | None = None) -> StreamComparison:
        """Return what became of every method.

        Parameters
        ----------
        row, column : int, str or None
            Which vector of its source this is, if it is not all of it.
        """
        side = self._sides[0]
        with np.errstate(all="ignore"):
            size = np.float64(np.maximum(abs(side.minimum), abs(side.maximum)))
            condition = float(size / abs(np.float64(self.value)))
        return StreamComparison(
            function=Function.LOGSUMEXP,
            source=self.source,
            row=row,
            column=column,
            n=self.count,
            minimum=side.minimum,
            maximum=side.maximum,
            condition_number=condition if np.isfinite(condition) else None,
            value=self.value,
            results=tuple(result for side in self._sides for result in side.results()),
        )

    def __getstate__(self) -> tuple[Any, ...]:
        first, last = tuple(self._first), tuple(self._last)
        return (self.count, self.plain, first, last, self._runs, self._sides)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.count, self.plain, first, last, self._runs, self._sides = state
        self._first, self._last = _Run(*first), _Run(*last)
