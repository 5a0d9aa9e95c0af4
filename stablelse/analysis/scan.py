"""Many vectors: what breaks on them, where first, where worst, and which format survives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.display import Displayed
from stablelse.analysis.histograms import Histogram, Histograms
from stablelse.analysis.results import BROKEN, DIGIT, VERDICTS, Place, Verdict
from stablelse.analysis.verdicts import does_not_fit, judge, surely_right
from stablelse.numerics.bounds import limits
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.exact import Extent, extent
from stablelse.numerics.formats import FORMATS, Array, Format, find_format
from stablelse.numerics.formulas import NAIVE, SHIFTED
from stablelse.numerics.formulas.formula import Evaluation
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

#: How many numbers are looked at together, and how many of those are evaluated together: they and
#: what is computed of them stay in the cache.
_PIECE, _PART = 1 << 18, 1 << 16

#: NumPy works off the rows of up to so many numbers faster if they lie side by side.
_SHORT = 64


class Way(Enum):
    """The ways of computing that are scanned."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    FLOAT32 = "shifted-float32"  # shifted, in float32 from x - a on, the result rounded


def ways(format_: Format) -> tuple[Way, ...]:
    """Return the ways there are in a format: float32 is for those narrower than that."""
    narrow = format_.significand_bits < FORMATS["float32"].significand_bits
    return tuple(way for way in Way if narrow or way is not Way.FLOAT32)


class Witness(NamedTuple):
    """A vector on which a method goes wrong.

    Attributes
    ----------
    verdict : Verdict
        How.
    source, row, column
        Where it came from; see `Comparison`. The row may be (i, j).
    maximum, minimum : scalar
        Of the vector.
    unfit : scalar or None
        The first number that does not fit the format, if that is the verdict.
    element : int or None
        Which entry of the result shows it, from 1, if there are several.
    value : scalar
        That entry, of the format.
    ulps : float or None
        What a finite result lost; ``None`` where there is nothing to measure, as where x does not
        fit.
    """

    verdict: Verdict
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    maximum: Any
    minimum: Any
    unfit: Any
    element: int | None
    value: Any
    ulps: float | None


class WayScan(NamedTuple):
    """What a method in a format made of all vectors.

    Attributes
    ----------
    format, method : str
        The format, and ``"naive"``, ``"shifted"`` or ``"shifted-float32"``.
    right, digits_lost, no_digits, underflow, overflow, nan, does_not_fit : int
        How many vectors there are of each `Verdict`. They add up to all.
    first, worst : tuple of Witness
        Of each verdict that there is but ``right``.
    """

    format: str
    method: str
    right: int
    digits_lost: int
    no_digits: int
    underflow: int
    overflow: int
    nan: int
    does_not_fit: int
    first: tuple[Witness, ...]
    worst: tuple[Witness, ...]

    @property
    def survives(self) -> bool:
        """Whether no result is broken."""
        return not any(getattr(self, verdict.value) for verdict in BROKEN)


class _Scan(NamedTuple):
    source: str | None
    function: Function
    max_ulp: float
    rows: int
    elements: int
    results: tuple[WayScan, ...]
    histograms: Histograms


class Scan(_Scan, Displayed):
    """What naive and shifted formulas make of many vectors.

    Attributes
    ----------
    source : str or None
        The file of all vectors, if it is one.
    function : Function
        What is computed of each.
    max_ulp : float
        How many ulps a finite result may lose.
    rows, elements : int
        How many vectors there are, and numbers in them.
    results : tuple of WayScan
        One for each method in each format.
    histograms : Histograms
        How the maxima, the minima and the spreads of the vectors are distributed.
    """

    __slots__ = ()

    @property
    def survivors(self) -> dict[str, str | None]:
        """For each method the smallest format scanned in which it survives, if there is one."""
        found: dict[str, str | None] = {}
        for method in dict.fromkeys(result.method for result in self.results):
            names = {r.format for r in self.results if r.method == method and r.survives}
            found[method] = next((name for name in FORMATS if name in names), None)
        return found


class _Tally:
    """What one way of computing in one format has made of the vectors so far."""

    def __init__(self, format_: Format, way: Way) -> None:
        self.format, self.way = format_, way
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.first: dict[Verdict, Witness] = {}
        self.worst: dict[Verdict, tuple[float, Witness]] = {}

    def take(
        self, found: _Outcomes, whole: Extent, witness: Callable[[Verdict, int], Witness]
    ) -> None:
        """Count vectors that follow those so far; of equally bad ones the first is the worst."""
        counts = np.bincount(found.codes, minlength=len(VERDICTS)).tolist()
        for code, (verdict, count) in enumerate(zip(VERDICTS, counts, strict=True)):
            self.counts[verdict] += count
            if not count or verdict is Verdict.RIGHT:
                continue
            struck = np.flatnonzero(found.codes == code)
            severities = _severities(verdict, whole, found.ulps)[struck]
            at = int(severities.argmax())
            if verdict not in self.first:
                self.first[verdict] = witness(verdict, int(struck[0]))
            if verdict not in self.worst or severities[at] > self.worst[verdict][0]:
                self.worst[verdict] = float(severities[at]), witness(verdict, int(struck[at]))

    def merge(self, other: _Tally) -> None:
        """Count the vectors of another one, which follow."""
        for verdict, count in other.counts.items():
            self.counts[verdict] += count
        self.first = other.first | self.first
        for verdict, worst in other.worst.items():
            if verdict not in self.worst or worst[0] > self.worst[verdict][0]:
                self.worst[verdict] = worst

    def result(self) -> WayScan:
        """Return the counts, the first and the worst of each kind."""
        return WayScan(
            format=self.format.name,
            method=self.way.value,
            **{verdict.value: count for verdict, count in self.counts.items()},
            first=tuple(self.first[verdict] for verdict in VERDICTS if verdict in self.first),
            worst=tuple(self.worst[verdict][1] for verdict in VERDICTS if verdict in self.worst),
        )


def _severities(verdict: Verdict, whole: Extent, ulps: Array) -> Array:
    """Return how bad each is: by its ulps, or by how far its maximum is from where it could be."""
    if verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS):
        return ulps
    if verdict in (Verdict.NAN, Verdict.DOES_NOT_FIT):
        size: Array = np.maximum(np.abs(whole.largest), np.abs(whole.least))
        return np.where(np.isnan(size), np.inf, size)
    return -whole.largest if verdict is Verdict.UNDERFLOW else whole.largest


class ScanState:
    """A scan as it goes: constant memory, however many vectors there are.

    Parameters
    ----------
    function : {"logsumexp", "softmax", "log_softmax"}
        What is computed of each vector.
    formats : sequence of str
        The formats it is computed in.
    max_ulp : float
        How many ulps a finite result may lose of the correctly rounded one.
    """

    def __init__(
        self,
        function: str = "logsumexp",
        formats: Sequence[str] = ("float16",),
        max_ulp: float = DIGIT,
    ) -> None:
        self.function = Function(function)
        if not max_ulp >= 0:
            raise ValueError(f"max_ulp must be 0 or more, not {max_ulp}")
        self.max_ulp = max_ulp
        self.rows = self.elements = 0
        self._sources: set[str | None] = set()
        self._formats = [find_format(name) for name in dict.fromkeys(formats)]
        self._tallies = [_Tally(format_, way) for format_ in self._formats for way in ways(format_)]
        self._histograms = [Histogram.empty(name, self._formats) for name in Histograms._fields]

    def update(self, x: npt.ArrayLike, place: Callable[[int], Place] | None = None) -> ScanState:
        """Take in more vectors.

        Parameters
        ----------
        x : array_like
            Shape (..., n), n >= 1, real: the last axis has the vectors.
        place : callable, optional
            Gives where the vector of a row, from 0, came from. Otherwise: the number of the
            vector among all of this state, from 1; (i, j) for an array of three axes.
        """
        array = real_numbers(x)
        if not array.ndim or not array.shape[-1]:
            raise ValueError(f"x must be rows of at least one number, not of shape {array.shape}")
        given = np.atleast_2d(array)
        *outer, n = given.shape
        values = given.reshape(-1, n)
        begin = self.rows
        found = place or (lambda index: Place(row=begin + index + 1))
        if place is None and len(outer) > 1:
            found = partial(_place, outer)
        if len(values) and len(self._sources) < 2:  # of more, only that they are several is told
            self._sources.add(found(0).source)
        step = max(1, _PIECE // n)
        for start in range(0, len(values), step):
            piece = values[start : start + step]
            if piece.dtype.kind in "biu":
                piece = piece.astype(np.float64)
            self._take(piece, lambda row, start=start: found(start + row))  # type: ignore[misc]
        return self

    def _take(self, x: Array, place: Callable[[int], Place]) -> None:
        # the most that every format holds: the rounding of -inf tells nothing of what is above it
        held = min(float(format_.largest) for format_ in self._formats)
        whole = extent(x, -held, np.inf)
        with np.errstate(all="ignore"):
            spreads = whole.largest - whole.least
        for histogram, numbers in zip(self._histograms, (*whole[:2], spreads), strict=True):
            histogram.take(numbers)
        for format_ in self._formats:
            tallies = [tally for tally in self._tallies if tally.format is format_]
            block = _Block(x, whole, self.function, format_, self.max_ulp)
            for tally, found in zip(tallies, block.outcomes(), strict=True):
                tally.take(found, whole, partial(block.witness, tally.way, place))
        self.rows += len(x)
        self.elements += x.size

    def merge(self, other: ScanState) -> ScanState:
        """Take in the vectors of another state, which follow those of this one.

        Raises
        ------
        ValueError
            If it scans for anything else.
        """
        mine = (self.function, self.max_ulp, [f.name for f in self._formats])
        if mine != (other.function, other.max_ulp, [f.name for f in other._formats]):
            raise ValueError("only scans for the same can be merged: function, formats, max_ulp")
        for tally, more in zip(self._tallies, other._tallies, strict=True):
            tally.merge(more)
        for histogram, further in zip(self._histograms, other._histograms, strict=True):
            histogram.merge(further)
        self.rows += other.rows
        self.elements += other.elements
        self._sources |= other._sources
        return self

    def result(self) -> Scan:
        """Return what has been found so far."""
        return Scan(
            source=next(iter(self._sources)) if len(self._sources) == 1 else None,
            function=self.function,
            max_ulp=self.max_ulp,
            rows=self.rows,
            elements=self.elements,
            results=tuple(tally.result() for tally in self._tallies),
            histograms=Histograms(*(histogram.result() for histogram in self._histograms)),
        )


class _Outcomes(NamedTuple):
    """Places in `VERDICTS`, or _OPEN, and what finite results lost in ulps; of m rows, (m,)."""

    codes: Array
    ulps: Array


_OPEN = -1
_RIGHT, _OVERFLOW, _UNDERFLOW = (
    VERDICTS.index(v) for v in (Verdict.RIGHT, Verdict.OVERFLOW, Verdict.UNDERFLOW)
)


class _Block:
    """Rows, shape (m, n), in one format."""

    def __init__(
        self, x: Array, whole: Extent, function: Function, format_: Format, max_ulp: float
    ) -> None:
        self.x, self.function, self.format, self.max_ulp = x, function, format_, max_ulp
        with np.errstate(all="ignore"):
            ends = [format_.round(end) for end in whole[:2]]
            self.largest = ends[0]
            high, low = (end.astype(np.float64) for end in ends)
            is_masked = (low == -np.inf) & (whole.least == -np.inf) & (whole.below == 0)
            is_known = np.isfinite(high) & (np.isfinite(low) | is_masked)
            if not format_.has_infinity:
                is_known &= high - low <= float(format_.largest)
        # of all finite numbers of the format, maybe -inf; NaN of the rows that may hold others
        self.known = np.where(is_known, high, np.nan)

    def outcomes(self) -> list[_Outcomes]:
        """Return what becomes of the rows, each way."""
        above = self.known + np.log(self.x.shape[1])
        found = [
            _Outcomes(self._foreseen(way, self.known, above), np.zeros(len(self.x)))
            for way in ways(self.format)
        ]
        rows = np.flatnonzero(np.logical_or.reduce([o.codes == _OPEN for o in found]))
        step = max(1, _PART // self.x.shape[1])
        for begin in range(0, len(rows), step):
            self._evaluate(found, rows[begin : begin + step])
        return found

    def _foreseen(
        self, way: Way, y_low: Array, y_high: Array, rows: Array | slice = slice(None)
    ) -> Array:
        """Return what is known of rows whose log-sum-exps lie between these."""
        codes = np.full(len(y_low), _OPEN)
        if self.format.significand_bits > FORMATS["float64"].significand_bits:
            return codes
        inner = FORMATS["float32"] if way is Way.FLOAT32 else self.format
        told = limits(self.x.shape[1], self.format, inner, self.max_ulp, way is not Way.NAIVE)
        if self.function is Function.LOGSUMEXP:
            for low, high in told.right:
                codes[(y_low >= low) & (y_high <= high)] = _RIGHT
        if way is Way.NAIVE:  # whatever becomes of an infinite sum, or a zero one, is ruined
            is_finite = (y_low >= -told.finite) & (y_high <= told.finite)
            codes[is_finite & (y_low >= told.overflow)] = _OVERFLOW
            vanishes = self.known[rows] < float(self.format.underflow_threshold)
            codes[is_finite & vanishes] = _UNDERFLOW
        return codes

    def _evaluate(self, found: list[_Outcomes], rows: Array) -> None:
        """Put in the outcomes of some rows: those that no fact tells are computed."""
        x = self.x[rows]
        rounded = self.format.round(x)
        right, unfit = exact(self.function, rounded, self.format), does_not_fit(x, rounded)
        if x.shape[1] <= _SHORT:
            rounded, right = np.asfortranarray(rounded), np.asfortranarray(right)
        for way, outcomes in zip(ways(self.format), found, strict=True):
            codes, ulps = outcomes.codes[rows], outcomes.ulps[rows]
            if self.function is Function.LOGSUMEXP:
                y = np.where(np.isnan(self.known[rows]), np.nan, right[:, 0].astype(np.float64))
                reach = self.format.unit_roundoff * np.abs(y)
                codes = np.where(
                    codes == _OPEN, self._foreseen(way, y - reach, y + reach, rows), codes
                )
            left = codes == _OPEN
            some = slice(None) if left.all() else left
            if left.any():
                largest = self.largest[rows][some]
                evaluation = _evaluated(way, self.function, rounded[some], self.format, largest)
                codes[some], ulps[some] = self._judged(evaluation, right[some], unfit[some])
            outcomes.codes[rows], outcomes.ulps[rows] = codes, ulps

    def _judged(self, evaluation: Evaluation, right: Array, unfit: Array) -> tuple[Array, Array]:
        value = self.format.round(evaluation.value)
        codes, ulps = np.full(len(value), _RIGHT), np.zeros(len(value))
        rest = np.flatnonzero(~surely_right(value, right, self.format, self.max_ulp) | unfit)
        if rest.size:
            codes[rest], ulps[rest] = judge(
                value[rest],
                right[rest],
                self.format,
                self.function,
                unfit[rest],
                lambda marked: evaluation.row(rest[marked]),
                self.max_ulp,
            )
        return codes, ulps

    def witness(
        self, way: Way, place: Callable[[int], Place], verdict: Verdict, row: int
    ) -> Witness:
        """Return what a way of computing makes of a row, where that shows."""
        x = self.x[row]
        rounded = self.format.round(x[np.newaxis])
        largest = self.largest[row : row + 1]
        evaluation = _evaluated(way, self.function, rounded, self.format, largest)
        value = self.format.round(evaluation.value)[0]
        right = exact(self.function, rounded, self.format)[0]
        with np.errstate(all="ignore"):  # ml_dtypes even warns of a NaN in isfinite
            is_nan = np.isnan(value)
            ulps = ulp_error(value, right, self.format)
            entry = int((is_nan if is_nan.any() else ulps).argmax())
            unfit = None
            if verdict is Verdict.DOES_NOT_FIT:
                unfit = x[np.flatnonzero(np.isfinite(x) & ~np.isfinite(rounded[0]))[0]]
        is_measured = unfit is None and not is_nan.any() and np.isfinite(ulps[entry])
        return Witness(
            verdict=verdict,
            **place(row)._asdict(),
            maximum=x.max(),
            minimum=x.min(),
            unfit=unfit,
            element=entry + 1 if len(value) > 1 or len(x) == 1 else None,
            value=value[entry],
            ulps=float(ulps[entry]) if is_measured else None,
        )


def _evaluated(
    way: Way, function: Function, x: Array, format_: Format, largest: Array
) -> Evaluation:
    """Evaluate a function of rows of a format, every operation rounded; a = max x."""
    formula = (NAIVE if way is Way.NAIVE else SHIFTED)[function]
    inner = FORMATS["float32"] if way is Way.FLOAT32 else format_
    return formula.evaluate(x.astype(inner.dtype, copy=False), inner, lambda _: largest[:, None])


def _place(outer: Sequence[int], index: int) -> Place:
    return Place(row=tuple(int(i) + 1 for i in np.unravel_index(index, outer)))


def scan(
    x: Any,
    function: str = "logsumexp",
    *,
    axis: int = -1,
    formats: Sequence[str] = ("float16",),
    max_ulp: float = DIGIT,
) -> Scan:
    """Compute log-sum-exp or softmax of many vectors, naive and shifted, and count what breaks.

    Parameters
    ----------
    x : array_like
        Of any shape, real: every other axis is counted as rows, or is not there: (n,) is one
        vector.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    axis : int
        Which axis has the vectors.
    formats : sequence of str
        The formats to compute in; see ``stablelse limits``.
    max_ulp : float
        How many ulps a finite result may lose of the correctly rounded one, for the input
        rounded to the format.

    Returns
    -------
    Scan
        For each format and method how many vectors there are of each verdict, with the first and
        the worst; and which format survives. It displays itself.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x has no vectors or no numbers, or a name is unknown.

    Notes
    -----
    Every vector is evaluated in every format, and judged as `compare` judges it.

    Examples
    --------
    >>> import stablelse
    >>> found = stablelse.scan([[12, 3], [1, 2]])
    >>> [(result.method, result.overflow) for result in found.results]
    [('naive', 1), ('shifted', 0), ('shifted-float32', 0)]
    """
    values = real_numbers(x)
    if values.ndim and not -values.ndim <= axis < values.ndim:
        raise ValueError(f"x has no axis {axis}: its shape is {values.shape}")
    turned = np.moveaxis(values, axis, -1) if values.ndim else values
    found = ScanState(function, formats, max_ulp).update(turned).result()
    if not found.rows:
        raise ValueError(f"x has no vectors to scan: its shape is {values.shape}")
    return found


class ConditionError(ValueError):
    """A condition that no scan can be held against."""


class Condition(NamedTuple):
    """What must not occur.

    Attributes
    ----------
    text : str
        As it was told: ``"naive:overflow"``, ``"ulp>4"``.
    method : str or None
        Of which method; ``None`` for any.
    verdicts : tuple of Verdict
        Any of these.
    ulps : float or None
        More than so many, if that was said.
    """

    text: str
    method: str | None
    verdicts: tuple[Verdict, ...]
    ulps: float | None


#: What a guard is to find unless it is told: a shifted formula that is of no use.
DEFAULT_CONDITIONS = "shifted:broken"

#: What a condition may name, and the verdicts that it stands for: more ulps off than allowed is
#: whatever is not right.
_NAMED = {
    "broken": BROKEN,
    **{verdict.value: (verdict,) for verdict in VERDICTS[1:]},
    "ulp": VERDICTS[1:],
}

_CONDITION = re.compile(r"(?:([^:]*):)?([a-z_]+)(?:>(\d+(?:\.\d*)?))?")


def parse_conditions(text: str) -> list[Condition]:
    """Return the conditions of a list with commas; ``"none"`` alone is none.

    Raises
    ------
    ConditionError
        If there is no such method or verdict, or nothing in the list.
    """
    parts = [part.strip() for part in text.split(",")]
    return [] if parts == ["none"] else [_condition(part) for part in parts]


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    method, name, ulps = found.groups() if found else (None, "", None)
    if name not in _NAMED or (ulps is not None and name != "ulp"):
        what = f"unknown condition {text!r}" if text else "a condition is missing"
        raise ConditionError(f"{what}: choose from {', '.join(_NAMED)}, ulp>N, or none alone")
    methods = [way.value for way in Way]
    if method is not None and method not in methods:
        raise ConditionError(f"unknown method in {text!r}: choose from {', '.join(methods)}")
    return Condition(text, method, _NAMED[name], None if ulps is None else float(ulps))


class Failure(NamedTuple):
    """A condition that is not kept.

    Attributes
    ----------
    condition : Condition
        Which.
    result : WayScan
        Of which method and format.
    verdict : Verdict
        What occurred.
    vectors : int
        On how many vectors.
    first : Witness
        Where first.
    """

    condition: Condition
    result: WayScan
    verdict: Verdict
    vectors: int
    first: Witness


def failures(scan: Scan, conditions: Sequence[Condition]) -> Iterator[Failure]:
    """Yield what a scan found of what must not occur."""
    for condition in conditions:
        for result in scan.results:
            if condition.method not in (None, result.method):
                continue
            for first in result.first:
                if first.verdict in condition.verdicts:
                    count = getattr(result, first.verdict.value)
                    yield Failure(condition, result, first.verdict, count, first)
