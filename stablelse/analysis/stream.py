"""Every method on a stream of numbers, in constant memory, and where the first one broke.

Cheap masks find trouble in whole pieces; the formula itself, evaluated on the first element of a
mask, says what it was.

Sums run over the pieces in a loop, so the last digits of the naive and the shifted log-sum-exp can
differ from those of the summation tree of a vector in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis import Place
from stablelse.analysis.findings import UNDERFLOWS, Departure, find_in_part, measured, overflow
from stablelse.analysis.results import VERDICTS, Comparison, Finding, FindingKind, MethodResult
from stablelse.numerics.bounds import RUNNING, ElementaryErrors, bound_of, coefficients
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import NAIVE, SHIFTED, Formula, Method, evaluate_part
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import find_formats, real_numbers
from stablelse.numerics.running import PIECE, RunningLogSumExp, RunningNaive, RunningShifted
from stablelse.numerics.states import Whole

if TYPE_CHECKING:
    import numpy.typing as npt

#: Reads all numbers once more, in parts of shape (n,), always the same.
Parts = Callable[[], Iterable[Array]]

_FORMULAS = {Method.NAIVE: NAIVE[Function.LOGSUMEXP], Method.SHIFTED: SHIFTED[Function.LOGSUMEXP]}

# An error has two digits, so it must be `_DISTINCT` times that of the reference. The error of a
# correctly rounded value is known if the log-sum-exp has ten bits more than float64.
_DISTINCT, _KNOWN = 2.0**7, 2.0**-63


class _BlockPlace(NamedTuple):
    """Where a block of rows is; `kept` has the positions of the numbers that are not missing."""

    source: str
    rows: int
    width: int
    before: int
    kept: Array | None
    begin: int  # how many columns came before

    def place(self, index: int) -> tuple[int, Place]:
        """Return a number's position in the stream, from 1, and its place in the source."""
        flat = index if self.kept is None else int(self.kept[index])
        row, column = divmod(flat, self.width)
        column += self.begin
        name = str(column + 1) if column or self.width > 1 else None
        return self.before + index + 1, Place(self.source or None, self.rows + row + 1, name)


class Found(dict[tuple[str, FindingKind], Finding]):
    """One method's findings: the first of each kind at each operation; the others are counted."""

    def add(self, finding: Finding) -> bool:
        """Add a finding, and return whether it is the first of its kind."""
        first = self.setdefault((finding.symbol, finding.kind), finding)
        if first is not finding and finding.element is not None:
            self[finding.symbol, finding.kind] = replace(
                first,
                occurrences=first.occurrences + finding.occurrences,
                harmless=first.harmless and finding.harmless,
            )
        return first is finding

    def of(self, formula: Formula) -> tuple[Finding, ...]:
        """Return the findings in the order of the operations."""
        order = ((each.symbol, kind) for each in formula.operations for kind in FindingKind)
        return tuple(self[key] for key in order if key in self)


class FormatState:
    """Every method in one format: the running values and the findings so far."""

    def __init__(self, format_: Format, plain: bool) -> None:
        self.format, self.plain = format_, plain
        dtype = format_.name
        self.sums: dict[Method, Any] = {
            Method.NAIVE: RunningNaive(dtype),
            Method.SHIFTED: RunningShifted(dtype),
        }
        self.right = RunningLogSumExp(dtype)
        # Python floats: some formats have no infinity
        self._minimum = self._least = np.inf  # of all numbers, and of those above -inf
        self.has_unfit = False
        self.findings = {method: Found() for method in _FORMULAS}
        self._settled: Any = None

    @property
    def minimum(self) -> Any:
        """The smallest number so far."""
        return self.format.round(self._minimum)[()]

    @property
    def maximum(self) -> Any:
        """The largest number so far."""
        return self.format.round(self.right.largest)[()]

    def update(self, x: Array, block: _BlockPlace) -> None:
        """Add the numbers of a block."""
        # the exact value needs no rounding to a wider format
        fits = not self.plain and x.dtype.kind == "f" and np.can_cast(x.dtype, self.format.dtype)
        scratch = np.empty(min(PIECE, len(x)), self.format.dtype)
        for begin in range(0, len(x), PIECE):
            raw = x[begin : begin + PIECE]
            piece = raw if fits or raw.dtype == self.format.dtype else self.format.round(raw)
            self._take(raw, piece, scratch[: len(piece)], block, begin)

    def _take(self, raw: Array, x: Array, scratch: Array, block: _BlockPlace, begin: int) -> None:
        x_min, x_max = np.minimum.reduce(x), np.maximum.reduce(x)
        self.right.update(x)
        self._minimum = np.minimum(self._minimum, float(x_min))
        if not np.isfinite(x_max - x_min):
            unfit = np.isfinite(raw) & ~np.isfinite(x)
            self.has_unfit |= bool(unfit.any())
            if self.plain:
                self._look(Method.NAIVE, "x", raw, unfit, block, begin)
                self._look(Method.SHIFTED, "x", raw, unfit, block, begin)
                self._look(Method.SHIFTED, "d", x, x == np.inf, block, begin)
        if not self.plain:
            return
        above = x[x > -np.inf].astype(np.float64) if x_min == -np.inf else [float(x_min)]
        self._least = min(self._least, np.min(above, initial=np.inf))
        if not x_max <= self.format.overflow_threshold:
            large = (x > self.format.overflow_threshold) & np.isfinite(x)
            self._look(Method.NAIVE, "e", x, large, block, begin)
        for mine in self.sums.values():
            mine.take(x, x_max, scratch)

    def _look(
        self, method: Method, symbol: str, x: Array, struck: Array, block: _BlockPlace, begin: int
    ) -> None:
        """Add the finding of an operation at the first marked element, and count the others."""
        if not struck.any():
            return
        index = int(np.argmax(struck))
        element, place = block.place(begin + index)
        count = int(np.count_nonzero(struck))
        number = x[index : index + 1]
        shift = self.format.round(number)  # here each number is its own shift
        reduced = {"a": shift, "s": np.ones_like(shift)}
        evaluation = evaluate_part(_FORMULAS[method], number, self.format, reduced)
        for finding in find_in_part(evaluation, 1):
            if finding.symbol == symbol:
                self.findings[method].add(
                    replace(finding, element=element, place=place, occurrences=count)
                )

    def merge(self, other: FormatState, first: str, rows: int) -> None:
        """Merge what follows: it begins in `first` after `rows` rows."""
        for method, mine in self.sums.items():
            mine.merge(other.sums[method])
        before = self.right.count
        self.right.merge(other.right)
        self._minimum = np.minimum(self._minimum, other._minimum)
        self._least = min(self._least, other._least)
        self.has_unfit |= other.has_unfit
        for method, found in other.findings.items():
            for finding in found.values():
                place: Any = finding.place
                if place.source == (first or None):
                    place = place._replace(row=place.row + rows)
                element = before + (finding.element or 0)
                self.findings[method].add(replace(finding, element=element, place=place))

    def best(self) -> tuple[Any, float]:
        """Return the exact value as far as it is known, and its error bound in ulps."""
        if self._settled is not None:
            return self._settled, 0.5
        value, certificate = self.right.result(return_certificate=True)
        # Only proved values may read 0.5; 0.5 plus a small bound could round to it.
        return value, 0.5 if certificate.settled else max(0.51, float(certificate.bound) + 0.5)

    def whole(self, parts: Parts) -> Whole:
        """Return the vector of all numbers, to be read again."""
        return Whole(self.right.state, lambda: map(self.format.round, parts()))

    def settle(self, parts: Parts) -> None:
        """Settle a certified value that is in doubt, by reading the numbers again."""
        if self.best()[1] > 0.5:
            self._settled, _ = self.whole(parts).rounded(self.format)

    def results(self) -> list[MethodResult]:
        """Return the results of all methods."""
        right, bound = self.best()
        ulps = 0.0 if bound == 0.5 else None
        exact = self._result(Method.EXACT, right, findings=(), ulps=ulps, error_bound=bound)
        if not self.plain:
            return [exact]
        return [
            self._textbook(Method.NAIVE),
            self._textbook(Method.SHIFTED, self.sums[Method.SHIFTED].shift),
            exact,
        ]

    def _textbook(self, method: Method, a: Any = None) -> MethodResult:
        """Return the result of a textbook method, with its findings or else its bound."""
        formula, sums, largest = _FORMULAS[method], self.sums[method], self.maximum[np.newaxis]
        facts: dict[str, Any] = {}
        reduced = {"s": self.format.round([sums.total])}
        if a is not None:
            facts = {"shift": "max", "a": a}
            reduced["a"] = self.format.round([a])
            if not np.isfinite(a):  # x - a is NaN
                reduced["s"] = self.format.round([np.nan])
        found = Found(self.findings[method])
        has_overflow = any(kind is FindingKind.OVERFLOW for _, kind in found)
        if np.isfinite(self.maximum) and not np.isfinite(sums.total) and not has_overflow:
            found.add(overflow("s", reduced["s"][0], self.format))
        # every term may be zero although the largest number is finite
        at_largest = evaluate_part(formula, largest, self.format, reduced)
        for finding in find_in_part(at_largest, self.right.count):
            if finding.kind is FindingKind.SUM_UNDERFLOW:
                found.add(finding)
        if not found:
            facts |= self._bound(formula, reduced["s"][0])
        facts["evaluation"] = evaluate_part(formula, largest[:0], self.format, reduced)
        return self._result(method, sums.result(), findings=found.of(formula), **facts)

    def _result(self, method: Method, value: Any, **facts: Any) -> MethodResult:
        """Compare a method's value with the exact one."""
        right, _ = self.best()
        departure = Departure.of(np.array([[value]]), np.array([[right]]), self.format)
        relative, digits = self._measured(value, right)
        facts |= {"value": value, "relative_error": relative, "correct_digits": digits}
        return self.described(Function.LOGSUMEXP, departure, method=method, **facts)

    def described(self, function: Function, departure: Departure, **facts: Any) -> MethodResult:
        """Return a method's result, with its verdict."""
        kinds = {finding.kind for finding in facts["findings"]}
        (code,) = departure.verdicts(
            self.format,
            function,
            overflowed=FindingKind.OVERFLOW in kinds,
            underflowed=bool(UNDERFLOWS & kinds),
            unfit=np.array([self.has_unfit]),
        )
        facts.setdefault("ulps", float(departure.ulps[0]))
        return MethodResult(format=self.format.name, verdict=VERDICTS[code], **facts)

    def _measured(self, value: Any, right: Any) -> tuple[float | None, float | None]:
        """Return a value's relative error, from the two-word log-sum-exp, and its right digits."""
        reference = np.longdouble(right)
        if np.isfinite(right):
            high, low, error = self.right.log_sum()
            reference = np.longdouble(high) + np.longdouble(low)
            distance = abs(np.longdouble(value) - reference)
            known = error <= _KNOWN * abs(reference)
            if not (known or distance >= _DISTINCT * error):
                return None, None
        return measured(np.array([[value]]), np.array([[reference]]), self.format)[0]

    def _bound(self, formula: Formula, total: Any) -> dict[str, Any]:
        """Bound a textbook formula's relative error if nothing overflowed, and name the theorem.

        Each term may lose twice the smallest number of the format to underflow, when it is computed
        and when the sum is scaled. All that must be no more than one rounding of the sum.
        """
        n, ends = self.right.count, np.array([[self._least, float(self.maximum)]])
        y, *_ = self.right.log_sum()
        a = ends[:, 1] if formula.is_shifted else np.zeros(1)
        u = float(self.format.unit_roundoff)
        lost = 2 * n * float(self.format.smallest_subnormal)
        is_normal = self._least - a[0] >= self.format.subnormal_threshold
        if not np.isfinite(y) or not (is_normal or lost <= u * float(total)):
            return {}
        bound = RUNNING if formula.is_shifted else bound_of(formula)
        errors = ElementaryErrors.of(self.format)
        (found,) = coefficients(formula, ends, np.array([y]), a, errors, n=n, bound=bound)
        return {"bound": float(found * u), "theorem": bound.theorem}


class StreamState:
    """The log-sum-exp of all numbers so far by every method, and where the first method broke.

    It takes constant memory and pickles to a few numbers. Its certified value has the same bits
    however you split the numbers and merge the states. The places of findings are right if each
    state is merged with the one that follows it.

    Parameters
    ----------
    formats : sequence of str
        The formats to compute in.
    plain : bool
        Whether to compute the textbook methods, naive and shifted, too.

    Attributes
    ----------
    count : int
        How many numbers there were so far.

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

    def __init__(self, formats: str | Sequence[str] = ("float64",), plain: bool = True) -> None:
        self.count = 0
        self.plain = plain
        self._first = self._last = ""  # the first and the last source
        self._rows = self._runs = 0  # of the last source; how many sources
        self.sides = tuple(FormatState(each, plain) for each in find_formats(formats))

    def __repr__(self) -> str:
        return f"<StreamState of {self.count:,} numbers>"

    def fresh(self) -> StreamState:
        """Return an empty state for what follows; it knows which naive sums are infinite."""
        state = StreamState([side.format.name for side in self.sides], self.plain)
        for mine, theirs in zip(self.sides, state.sides, strict=True):
            naive = mine.sums[Method.NAIVE]
            if naive.is_settled:
                theirs.sums[Method.NAIVE].total = naive.total
        return state

    def update(
        self,
        x: npt.ArrayLike,
        source: str = "",
        missing: npt.ArrayLike | None = None,
        begin: int = 0,
    ) -> StreamState:
        """Add some rows of numbers.

        Parameters
        ----------
        x : array_like
            Shape (rows, columns) or (rows,), real.
        source : str
            The name of the rows in findings.
        missing : array_like of bool, optional
            Of the same shape: the numbers to leave out; their rows still count.
        begin : int
            How many numbers of the row came before, if x is a piece of one.

        Returns
        -------
        StreamState
            Itself.
        """
        block = np.atleast_1d(real_numbers(x))
        block = block.reshape(len(block), prod(block.shape[1:]))
        numbers, kept = block.reshape(-1), None
        if missing is not None:
            is_missing = np.asarray(missing, bool)
            if is_missing.shape != np.shape(x):
                raise ValueError(f"missing has shape {is_missing.shape}, but x {np.shape(x)}")
            kept = np.flatnonzero(~is_missing)
            numbers = numbers[kept]
        again = int(begin > 0)  # the row that has begun before
        rows = self._follow(source, source, len(block) - again, 1)
        where = _BlockPlace(source, rows - again, block.shape[1], self.count, kept, begin)
        if numbers.size:
            with np.errstate(all="ignore"):
                for side in self.sides:
                    side.update(numbers, where)
            self.count += numbers.size
        return self

    def merge(self, other: StreamState) -> StreamState:
        """Add all numbers of another state; they follow those of this one.

        Parameters
        ----------
        other : StreamState
            For the same formats and methods; it is not changed.

        Returns
        -------
        StreamState
            Itself.

        Raises
        ------
        ValueError
            If the formats or the methods differ.
        """
        mine, others = (([s.format for s in state.sides], state.plain) for state in (self, other))
        if mine != others:
            raise ValueError("only streams of the same formats and methods can be merged")
        rows = 0
        if other._runs:
            rows = self._follow(other._first, other._last, other._rows, other._runs)
        self.count += other.count
        with np.errstate(all="ignore"):
            for side, following in zip(self.sides, other.sides, strict=True):
                side.merge(following, other._first, rows)
        return self

    def _follow(self, first: str, last: str, rows: int, runs: int) -> int:
        """Count sources that follow; return how many rows of the first one came before them."""
        joins = self._runs > 0 and self._last == first
        before = self._rows if joins else 0
        self._first = self._first if self._runs else first
        self._last, self._rows = last, rows + (before if runs == 1 else 0)
        self._runs += runs - joins
        return before

    @property
    def value(self) -> Any:
        """The best value in the first format."""
        return self.sides[0].best()[0]

    def settle(self, parts: Parts) -> None:
        """Settle certified values that are still in doubt, by reading the numbers twice more.

        Parameters
        ----------
        parts : callable
            Returns all numbers, in parts of shape (n,), always the same.
        """
        with np.errstate(all="ignore"):
            for side in self.sides:
                side.settle(parts)

    @property
    def source(self) -> str | None:
        """Where the numbers came from."""
        more = self._runs - 1
        return f"{self._first} and {more} more" if more > 0 else self._first or None

    def result(self) -> Comparison:
        """Return the results of all methods."""
        side = self.sides[0]
        with np.errstate(all="ignore"):
            size = np.float64(np.maximum(abs(side.minimum), abs(side.maximum)))
            condition = float(size / abs(np.float64(self.value)))
        return Comparison(
            function=Function.LOGSUMEXP,
            source=self.source,
            n=self.count,
            x=side.minimum[np.newaxis][:0],
            minimum=side.minimum,
            maximum=side.maximum,
            condition_number=condition if np.isfinite(condition) else None,
            value=self.value,
            results=tuple(result for side in self.sides for result in side.results()),
            elements=range(0),
        )
