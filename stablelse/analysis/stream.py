"""A stream of numbers folded into a few: every method side by side, and where the first broke.

What went wrong is seen on whole pieces by cheap masks; the formula itself, evaluated on the first
element of a mask, says what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.findings import (
    Departure,
    find_at,
    find_in_part,
    measured,
    sum_overflow,
    verdict_on,
)
from stablelse.analysis.results import (
    Comparison,
    Finding,
    FindingKind,
    MethodResult,
    Place,
)
from stablelse.numerics.bounds import BOUNDS, RUNNING, ElementaryErrors, Quantities
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas import NAIVE, SHIFTED, Evaluation, Method, evaluate_part
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_numbers, several
from stablelse.numerics.running import (
    PIECE,
    RunningLogSumExp,
    RunningNaive,
    RunningShifted,
)
from stablelse.numerics.states import Whole

if TYPE_CHECKING:
    import numpy.typing as npt

_FORMULAS = {
    Method.NAIVE: NAIVE[Function.LOGSUMEXP],
    Method.SHIFTED: SHIFTED[Function.LOGSUMEXP],
}
_BOUNDS = {
    Method.NAIVE: BOUNDS[Function.LOGSUMEXP, Method.NAIVE, False],
    Method.SHIFTED: RUNNING,
}

# An error is told to two digits: it has to be so many times that of what it is measured by. That
# of a correctly rounded value is known if the log-sum-exp has ten bits more than float64.
_DISTINCT, _KNOWN = 2.0**7, 2.0**-63

#: What was found, by the method and the operation.
_Key = tuple[Method, str, FindingKind]


class _Block(NamedTuple):
    """Where a block of rows lies; `kept` has the positions of the numbers that are not missing."""

    source: str
    rows: int
    width: int
    before: int
    kept: Array | None

    def place(self, index: int) -> tuple[int, Place]:
        """Return a number's position in the stream, from 1, and its place in the source."""
        flat = index if self.kept is None else int(self.kept[index])
        row, column = divmod(flat, self.width)
        name = str(column + 1) if self.width > 1 else None
        return self.before + index + 1, Place(self.source or None, self.rows + row + 1, name)


class FormatState:
    """Every method in one format: the running values, and what was found so far."""

    def __init__(self, dtype: str, plain: bool) -> None:
        self.format: Format = find_format(dtype)
        self.plain = plain
        self.naive = RunningNaive(dtype)
        self.shifted = RunningShifted(dtype)
        self.right = RunningLogSumExp(dtype)
        self.minimum, self.maximum = self.format.round([np.inf, -np.inf])
        self.least = np.inf
        self.has_unfit = False
        self.findings: dict[_Key, Finding] = {}
        self._settled: tuple[Any, Rung] | None = None

    def update(self, x: Array, block: _Block) -> None:
        """Take in a vector of numbers that lie there."""
        if not self.plain:
            self._take_alone(x)
            return
        scratch = np.empty(min(PIECE, len(x)), self.format.dtype)
        for begin in range(0, len(x), PIECE):
            raw = x[begin : begin + PIECE]
            piece = raw if raw.dtype == self.format.dtype else self.format.round(raw)
            self._take(raw, piece, scratch[: len(piece)], block, begin)

    def _take_alone(self, raw: Array) -> None:
        """Take in numbers of which the exact value alone is wanted, in as few passes as can be."""
        fits = raw.dtype.kind == "f" and np.can_cast(raw.dtype, self.format.dtype)
        x = raw if fits else self.format.round(raw)
        self.right.update(x)
        x_min = np.minimum.reduce(x)
        self.minimum = np.minimum(self.minimum, x_min)
        self.maximum = self.format.round(self.right.largest)[()]
        if not (fits or np.isfinite(self.maximum - x_min)):
            self.has_unfit |= bool((np.isfinite(raw) & ~np.isfinite(x)).any())

    def _take(self, raw: Array, x: Array, scratch: Array, block: _Block, begin: int) -> None:
        x_min, x_max = np.minimum.reduce(x), np.maximum.reduce(x)
        self.minimum = np.minimum(self.minimum, x_min)
        self.maximum = np.maximum(self.maximum, x_max)
        finite = x[x > -np.inf] if x_min == -np.inf else x
        least = x_min if finite is x else np.min(finite) if finite.size else np.inf
        self.least = min(self.least, float(least))
        if not np.isfinite(x_max - x_min):
            unfit = np.isfinite(raw) & ~np.isfinite(x)
            self.has_unfit |= bool(unfit.any())
            self._look(Method.NAIVE, "x", raw, unfit, block, begin)
            self._look(Method.SHIFTED, "x", raw, unfit, block, begin)
            self._look(Method.SHIFTED, "d", x, x == np.inf, block, begin)
        if not x_max <= self.format.overflow_threshold:
            large = (x > self.format.overflow_threshold) & np.isfinite(x)
            self._look(Method.NAIVE, "e", x, large, block, begin)
        self._take_naive(x, scratch, block, begin)
        before = self.shifted.total
        self.shifted.take(x, x_max, scratch)
        if np.isfinite(before) and np.isinf(self.shifted.total):
            self._overflow(Method.SHIFTED, *block.place(begin + len(x) - 1))
        self.right.update(x)

    def _take_naive(self, x: Array, scratch: Array, block: _Block, begin: int) -> None:
        before = self.naive.total
        terms = self.naive.take(x, self.maximum, scratch)
        if terms is None:
            return
        had_term = (Method.NAIVE, "e", FindingKind.OVERFLOW) in self.findings
        if np.isinf(self.naive.total) and np.isfinite(terms).all() and not had_term:
            sums = np.cumsum(terms) + before
            index = int(np.argmax(np.isinf(sums))) if np.isinf(sums[-1]) else len(x) - 1
            self._overflow(Method.NAIVE, *block.place(begin + index))

    def _look(
        self, method: Method, symbol: str, x: Array, struck: Array, block: _Block, begin: int
    ) -> None:
        """Find what an operation makes of the first of the elements that are struck."""
        if not struck.any():
            return
        index = int(np.argmax(struck))
        element, place = block.place(begin + index)
        for finding in find_at(_FORMULAS[method], x[index], self.format):
            if finding.symbol == symbol:
                count = int(np.count_nonzero(struck))
                self._add(method, replace(finding, element=element, place=place, occurrences=count))

    def _overflow(self, method: Method, element: int, place: Place) -> None:
        """Find that a sum of finite terms passed the largest number."""
        total = self.format.round(np.inf)[()]
        finding = sum_overflow(total, self.format)
        self._add(method, replace(finding, element=element, place=place))

    def _add(self, method: Method, finding: Finding) -> None:
        """Take in a finding: the first of its kind stays, the others are counted."""
        first = self.findings.setdefault((method, finding.symbol, finding.kind), finding)
        if first is not finding:
            count = first.occurrences + finding.occurrences
            first = replace(first, occurrences=count)
            self.findings[method, finding.symbol, finding.kind] = first

    def merge(self, other: FormatState, first: str, rows: int, end: tuple[int, Place]) -> None:
        """Take in another one, which begins in `first` after `rows` rows, and ends at `end`."""
        with np.errstate(all="ignore"):
            for method, mine, theirs in (
                (Method.NAIVE, self.naive, other.naive),
                (Method.SHIFTED, self.shifted, other.shifted),
            ):
                were_finite = np.isfinite(mine.total) and np.isfinite(theirs.total)
                mine.merge(theirs)  # type: ignore[arg-type]  # both are of the same kind
                if were_finite and np.isinf(mine.total):
                    self._overflow(method, *end)
        before = self.right.count
        self.right.merge(other.right)
        self.minimum = np.minimum(self.minimum, other.minimum)
        self.maximum = np.maximum(self.maximum, other.maximum)
        self.least = min(self.least, other.least)
        self.has_unfit |= other.has_unfit
        for (method, *_), finding in other.findings.items():
            self._add(method, _moved(finding, first, rows, before))

    def best(self) -> tuple[Any, Certificate]:
        """Return the right value as far as it is known, and how far that is."""
        if self._settled is not None:
            value, rung = self._settled
            return value, Certificate({rung: 1}, 1, 0.0)
        value, certificate = self.right.result(return_certificate=True)
        assert isinstance(certificate, Certificate)
        return value, certificate

    def settle(self, parts: Callable[[], Iterable[Array]]) -> None:
        """Round the certified value, if it is in doubt, from more digits of the numbers."""
        if not self.is_kept:
            whole = Whole(self.right.state, lambda: map(self.format.round, parts()))
            self._settled = whole.rounded(self.format)

    @property
    def is_kept(self) -> bool:
        """Whether the right value is certified."""
        return bool(self.best()[1].settled)

    def reduced(self, method: Method) -> dict[str, Array]:
        """Return the shift and the sum of a method, by their symbols."""
        if method is Method.NAIVE:
            return {"s": np.array([self.naive.total])}
        shift, total = self.shifted.shift, self.shifted.total
        if not np.isfinite(shift):  # x - a is NaN for the largest x, if it is infinite
            total = np.nan
        return {"a": self.format.round([shift]), "s": self.format.round([total])}

    def results(self) -> list[MethodResult]:
        """Return what became of every method."""
        right, certificate = self.best()
        # What is not proved never reads as 0.5: the sum of a small bound and 0.5 can round to it.
        bound = 0.5 if certificate.settled else max(0.51, float(certificate.bound) + 0.5)
        exact = self._result(Method.EXACT, right, right)
        exact = replace(
            exact, ulps=0.0 if certificate.settled else None, error_bound=bound, evaluation=None
        )
        if not self.plain:
            return [exact]
        naive = self._result(Method.NAIVE, self.naive.result(), right)
        return [naive, self._result(Method.SHIFTED, self.shifted.result(), right), exact]

    def _result(self, method: Method, value: Any, right: Any) -> MethodResult:
        """Hold a method's value, and the sum it is made of, against the right one."""
        findings = [found for (whose, *_), found in self.findings.items() if whose is method]
        evaluation, bound, theorem = None, None, None
        if method in _FORMULAS:
            evaluation = self._evaluation(method)
            findings += self._vanished(method)
            if not findings:
                bound, theorem = self._bound(method, evaluation.results["s"][0])
        departure = Departure.of(np.array([[value]]), np.array([[right]]), self.format)
        relative, digits = self._measured(value, right)
        order = list(FindingKind)
        return MethodResult(
            method=method,
            format=self.format.name,
            shift="max" if method is Method.SHIFTED else None,
            a=self.shifted.shift if method is Method.SHIFTED else None,
            value=value,
            ulps=float(departure.ulps[0]),
            relative_error=relative,
            correct_digits=digits,
            bound=bound,
            theorem=theorem,
            verdict=verdict_on(
                departure, self.format, Function.LOGSUMEXP, findings, self.has_unfit
            ),
            findings=tuple(sorted(findings, key=lambda found: order.index(found.kind))),
            evaluation=evaluation,
        )

    def _evaluation(self, method: Method, x: Sequence[Any] = ()) -> Evaluation:
        """Evaluate a formula with the shift and the sum of all numbers, on none or a few."""
        some = np.array(x, self.format.dtype)
        return evaluate_part(_FORMULAS[method], some, self.format, self.reduced(method))

    def _vanished(self, method: Method) -> list[Finding]:
        """Find that every term is zero, although the largest number is finite."""
        evaluation = self._evaluation(method, [self.maximum])
        found = find_in_part(evaluation, self.right.count)
        return [finding for finding in found if finding.kind is FindingKind.SUM_UNDERFLOW]

    def _measured(self, value: Any, right: Any) -> tuple[float | None, float | None]:
        """Return the relative error of a value by the log-sum-exp in two words, and the digits."""
        reference = np.longdouble(right)
        if np.isfinite(right):
            log_sum = self.right.log_sum()
            reference = np.longdouble(log_sum.high) + np.longdouble(log_sum.low)
            distance = abs(np.longdouble(value) - reference)
            known = log_sum.error <= _KNOWN * abs(reference)
            if not (known or distance >= _DISTINCT * log_sum.error):
                return None, None
        return measured(np.array([[value]]), np.array([[reference]]), self.format)[0]

    def _bound(self, method: Method, total: Any) -> tuple[float | None, str | None]:
        """Bound a textbook's relative error where nothing overflowed, and name the theorem.

        No more than a rounding of the sum may be lost to terms that underflow, when they are
        computed or when the sum is scaled: of each, twice the smallest number of the format.
        """
        n, least, largest = self.right.count, self.least, float(self.maximum)
        y = self.right.log_sum().high
        shift = largest if method is Method.SHIFTED else 0.0
        u = float(self.format.unit_roundoff)
        lost = 2 * n * float(self.format.smallest_subnormal)
        is_normal = least - shift >= self.format.subnormal_threshold
        if not np.isfinite(y) or not (is_normal or lost <= u * float(total)):
            return None, None
        exp, log = ElementaryErrors.of(self.format)
        quantities = Quantities(
            n=n,
            exp=exp,
            log=log,
            y=np.array([abs(y)]),
            x_y=np.array([max(abs(least - y), abs(largest - y))]),
            x_a=np.array([largest - least]),
            y_a=np.array([abs(y - largest)]),
        )
        bound = _BOUNDS[method]
        with np.errstate(divide="ignore"):  # of an exact result that is zero, it is infinite
            (coefficient,) = bound.coefficient(quantities).tolist()
        return coefficient * u, bound.theorem


def _moved(finding: Finding, first: str, rows: int, before: int) -> Finding:
    """Return a finding of a stream that so many numbers, and rows of its first source, precede."""
    source, row, column = finding.place or Place()
    assert isinstance(row, int)
    assert finding.element is not None
    further = row + rows if source == (first or None) else row
    place = Place(source, further, column)
    return replace(finding, element=finding.element + before, place=place)


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
    >>> [(found.place.source, found.place.row) for found in stream.results[0].findings]
    [('b.csv', 1)]
    """

    __slots__ = ("_first", "_last", "_runs", "count", "plain", "sides")

    def __init__(self, formats: str | Sequence[str] = ("float64",), plain: bool = True) -> None:
        self.count = 0
        self.plain = plain
        self._first = self._last = _Run("", 0)
        self._runs = 0
        self.sides = tuple(FormatState(name, plain) for name in several(formats))

    def __repr__(self) -> str:
        return f"<StreamState of {self.count:,} numbers>"

    def fresh(self) -> StreamState:
        """Return an empty state for what follows, which knows the naive sums that are infinite."""
        state = StreamState([side.format.name for side in self.sides], self.plain)
        for mine, theirs in zip(self.sides, state.sides, strict=True):
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
        where = _Block(source, begin, block.shape[1], self.count, kept)
        if numbers.size:
            self._take(numbers, where)
        self._follow(_Run(source, len(block)), _Run(source, len(block)), 1)
        return self

    def _take(self, x: Array, where: _Block) -> None:
        with np.errstate(all="ignore"):
            for side in self.sides:
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
        last = Place(other._last.source or None, before + other._last.rows)
        end = (self.count + other.count, last)
        for mine, theirs in zip(self.sides, other.sides, strict=True):
            mine.merge(theirs, other._first.source, rows, end)
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
        side = self.sides[0]
        if not self.plain:
            return {"": self.value}
        return {"naive": side.naive.result(), "shifted": side.shifted.result()}

    @property
    def value(self) -> Any:
        """The best value in the first of the formats."""
        return self.sides[0].best()[0]

    @property
    def is_kept(self) -> bool:
        """Whether every value is certified."""
        return all(side.is_kept for side in self.sides)

    def settle(self, parts: Callable[[], Iterable[Array]]) -> None:
        """Prove certified values that are still in doubt, by reading the numbers twice more.

        Parameters
        ----------
        parts : callable
            Returns all numbers, in parts of shape (n,): each time the same.
        """
        with np.errstate(all="ignore"):
            for side in self.sides:
                side.settle(parts)

    @property
    def source(self) -> str | None:
        """Where the numbers came from."""
        more = self._runs - 1
        return f"{self._first.source} and {more} more" if more > 0 else self._first.source or None

    def result(self, row: int | None = None, column: str | None = None) -> Comparison:
        """Return what became of every method.

        Parameters
        ----------
        row, column : int, str or None
            Which vector of its source this is, if it is not all of it.
        """
        side = self.sides[0]
        with np.errstate(all="ignore"):
            size = np.float64(np.maximum(abs(side.minimum), abs(side.maximum)))
            condition = float(size / abs(np.float64(self.value)))
        return Comparison(
            function=Function.LOGSUMEXP,
            source=self.source,
            row=row,
            column=column,
            n=self.count,
            x=side.minimum[np.newaxis][:0],
            minimum=side.minimum,
            maximum=side.maximum,
            condition_number=condition if np.isfinite(condition) else None,
            value=self.value,
            results=tuple(result for side in self.sides for result in side.results()),
            elements=range(0),
        )
