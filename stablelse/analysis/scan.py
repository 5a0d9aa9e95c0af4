"""Many vectors: what breaks, where first, where worst, and which format survives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.analysis.findings import judge, surely_right
from stablelse.analysis.results import BROKEN, DIGIT, VERDICTS, Condition, Verdict
from stablelse.numerics.bounds import guarantee
from stablelse.numerics.exact import Extent, extent
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import NAIVE, SHIFTED, Evaluation
from stablelse.numerics.functions import Function, does_not_fit, exact_values, ulp_error
from stablelse.numerics.inputs import find_formats, real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

#: How many numbers are evaluated together, so that they stay in the cache.
_PIECE = 1 << 18

#: The edges of histograms, besides thresholds.
_POWERS = [float(10**power) for power in range(6)]


class Way(Enum):
    """The ways of computing that a scan tries."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    FLOAT32 = "shifted-float32"  # shifted, in float32 from x - a on, then rounded


#: What must not occur by default: a shifted result that is useless.
DEFAULT_CONDITIONS = "shifted:broken"


def ways(format_: Format) -> tuple[Way, ...]:
    """Return the ways to compute in a format: FLOAT32 is for formats narrower than float32."""
    narrow = format_.significand_bits < FORMATS["float32"].significand_bits
    return tuple(way for way in Way if narrow or way is not Way.FLOAT32)


class Threshold(NamedTuple):
    """Where exp leaves a format; of spreads, the largest a - x whose exp(x - a) is not 0."""

    format: str
    kind: str  # "overflow" or "vanishing" above it, or "underflow" below it
    value: float


def thresholds(name: str, formats: Sequence[Format]) -> list[Threshold]:
    """Return the thresholds of formats for a field of `Histograms`, in ascending order."""
    result = []
    for f in formats:
        overflow, underflow = float(f.overflow_threshold), float(f.underflow_threshold)
        # exp is positive at the threshold itself, and an edge belongs to the bin below it
        below = float(np.nextafter(underflow, -np.inf))
        ends = {"overflow": overflow, "underflow": below}
        if name == "spreads":
            ends = {"vanishing": -underflow}
        result += [Threshold(f.name, kind, value) for kind, value in ends.items()]
    return sorted(result, key=lambda threshold: threshold.value)


class Distribution(NamedTuple):
    """How many numbers lie between edges, which go from -inf to inf.

    ``counts[i]`` numbers have edges[i] < number <= edges[i + 1]; -inf is in the first bin. `nan`
    counts the NaN; `minimum` and `maximum` are those of all other numbers.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    nan: int
    minimum: float | None
    maximum: float | None

    @classmethod
    def of(cls, numbers: Array, edges: Array) -> Distribution:
        """Count numbers, shape (m,); the edges are in order, without the infinite ones."""
        some = numbers[~np.isnan(numbers)]
        bins = np.searchsorted(edges, some, side="left")
        return cls(
            (-np.inf, *edges.tolist(), np.inf),
            tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()),
            len(numbers) - len(some),
            float(some.min()) if some.size else None,
            float(some.max()) if some.size else None,
        )

    def merged(self, other: Distribution) -> Distribution:
        """Return the distribution of the numbers of both; the edges must be the same."""
        ends = [end for end in (*self[3:], *other[3:]) if end is not None]
        return Distribution(
            self.edges,
            tuple(map(int.__add__, self.counts, other.counts)),
            self.nan + other.nan,
            min(ends, default=None),
            max(ends, default=None),
        )


class Histograms(NamedTuple):
    """The distributions of the maxima, the minima and the spreads of vectors."""

    maxima: Distribution
    minima: Distribution
    spreads: Distribution


class Witness(NamedTuple):
    """A vector on which a method goes wrong."""

    verdict: Verdict
    source: str | None  # where it came from, as in `Place`
    row: int | tuple[int, ...] | None
    column: str | None
    maximum: Any  # the largest of its numbers
    minimum: Any
    unfit: Any  # its first number that does not fit the format, if that is the verdict
    element: int | None  # the entry of the result that shows it, from 1, if there are several
    value: Any  # that entry, and how many ulps it is off, if known
    ulps: float | None


class WayScan(NamedTuple):
    """The results of a method in a format on all vectors."""

    format: str
    method: str  # "naive", "shifted" or "shifted-float32"
    right: int  # the number of vectors with each `Verdict`
    digits_lost: int
    no_digits: int
    underflow: int
    overflow: int
    nan: int
    does_not_fit: int
    first: tuple[Witness, ...]  # one for each verdict that occurred, except ``right``
    worst: tuple[Witness, ...]

    def vectors(self, verdict: Verdict) -> int:
        """Return how many vectors have a verdict."""
        number: int = getattr(self, verdict.value)
        return number

    @property
    def survives(self) -> bool:
        """Whether no result is broken."""
        return not any(map(self.vectors, BROKEN))


@dataclass(frozen=True)
class Scan(Displayed):
    """The results of the naive and the shifted formula on many vectors.

    Attributes
    ----------
    source : str or None
        The file, if all vectors came from one.
    function : Function
        What is computed.
    max_ulp : float
        How many ulps a finite result may lose.
    rows, elements : int
        How many vectors and how many numbers there are.
    results : tuple of WayScan
        One for each method in each format.
    histograms : Histograms
        The distributions of the maxima, the minima and the spreads of the vectors.
    whole : bool
        Whether it displays every kind of trouble and every chart.
    """

    source: str | None
    function: Function
    max_ulp: float
    rows: int
    elements: int
    results: tuple[WayScan, ...]
    histograms: Histograms
    whole: bool = field(default=False, repr=False, compare=False)

    @property
    def survivors(self) -> dict[str, str | None]:
        """For each method, the smallest of the formats in which it survives, if any."""
        safe = {(result.method, result.format) for result in self.results if result.survives}
        return {
            method: next((name for name in FORMATS if (method, name) in safe), None)
            for method in dict.fromkeys(result.method for result in self.results)
        }


class _Counts:
    """The results of one way of computing in one format on the vectors so far."""

    def __init__(self, format_: Format, way: Way) -> None:
        self.format, self.way = format_, way
        self.counts: Counter[Verdict] = Counter()
        self.first: dict[Verdict, Witness] = {}
        self.worst: dict[Verdict, tuple[float, Witness]] = {}

    def take(
        self, codes: Array, ulps: Array, facts: Extent, witness: Callable[[Verdict, int], Witness]
    ) -> None:
        """Count the next vectors; of equally bad ones, the first is the worst."""
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            verdict, struck = VERDICTS[code], np.flatnonzero(codes == code)
            self.counts[verdict] += len(struck)
            if verdict is Verdict.RIGHT:
                continue
            severities = _severities(verdict, facts, ulps)[struck]
            at = int(severities.argmax())
            if verdict not in self.first:
                self.first[verdict] = witness(verdict, int(struck[0]))
            if verdict not in self.worst or severities[at] > self.worst[verdict][0]:
                self.worst[verdict] = float(severities[at]), witness(verdict, int(struck[at]))

    def merge(self, other: _Counts) -> None:
        """Add the counts of vectors that follow."""
        self.counts += other.counts
        self.first = other.first | self.first
        for verdict, worst in other.worst.items():
            if verdict not in self.worst or worst[0] > self.worst[verdict][0]:
                self.worst[verdict] = worst

    def result(self) -> WayScan:
        """Return the counts, and the first and the worst vector of each kind."""
        return WayScan(
            format=self.format.name,
            method=self.way.value,
            **{verdict.value: self.counts[verdict] for verdict in VERDICTS},
            first=tuple(self.first[verdict] for verdict in VERDICTS if verdict in self.first),
            worst=tuple(self.worst[verdict][1] for verdict in VERDICTS if verdict in self.worst),
        )


def _severities(verdict: Verdict, facts: Extent, ulps: Array) -> Array:
    """Return how bad each vector is: by ulps, or by how far the maximum is out of range."""
    if verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS):
        return ulps
    if verdict in (Verdict.NAN, Verdict.DOES_NOT_FIT):
        size: Array = np.maximum(np.abs(facts.largest), np.abs(facts.least))
        return np.where(np.isnan(size), np.inf, size)
    return -facts.largest if verdict is Verdict.UNDERFLOW else facts.largest


def rows_of(x: npt.ArrayLike) -> Array:
    """Return real numbers as rows, shape (..., m, n), n >= 1."""
    array = real_numbers(x)
    if not array.ndim or not array.shape[-1]:
        raise ValueError(f"x must be rows of at least one number, not of shape {array.shape}")
    return np.atleast_2d(array)


class ScanState:
    """A scan as it goes: constant memory, however many vectors there are.

    Parameters
    ----------
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    formats : sequence of str
        The formats to compute in.
    max_ulp : float
        How many ulps a finite result may lose of the correctly rounded one.
    """

    def __init__(
        self,
        function: str = "logsumexp",
        formats: str | Sequence[str] = ("float16",),
        max_ulp: float = DIGIT,
    ) -> None:
        self.function = Function(function)
        if not max_ulp >= 0:
            raise ValueError(f"max_ulp must be 0 or more, not {max_ulp}")
        self.max_ulp = max_ulp
        self.rows = self.elements = 0
        self._sources: set[str | None] = set()
        self._formats = find_formats(formats)
        self._tallies = [_Counts(each, way) for each in self._formats for way in ways(each)]
        self._edges = [
            np.array(sorted({0.0, *_POWERS, *(-p for p in _POWERS), *(t.value for t in marked)}))
            for marked in (thresholds(name, self._formats) for name in Histograms._fields)
        ]
        self._histograms = Histograms(*(Distribution.of(np.zeros(0), e) for e in self._edges))

    def update(self, x: npt.ArrayLike, place: Callable[[int], Place] | None = None) -> ScanState:
        """Add vectors: real numbers of shape (..., n), n >= 1, along the last axis.

        `place` returns where a row, from 0, came from. By default that is its number among all rows
        so far, from 1, or (i, j) in an array of three axes.
        """
        array = rows_of(x)
        *outer, n = array.shape
        values, begin = array.reshape(-1, n), self.rows

        def numbered(index: int) -> Place:
            if len(outer) == 1:
                return Place(row=begin + index + 1)
            return Place(row=tuple(int(i) + 1 for i in np.unravel_index(index, outer)))

        where = place or numbered
        if len(values) and len(self._sources) < 2:  # only whether there are several counts
            self._sources.add(where(0).source)
        step = max(1, _PIECE // n)
        for start in range(0, len(values), step):
            piece = values[start : start + step]
            if piece.dtype.kind in "biu":
                piece = piece.astype(np.float64)
            self._take(piece, lambda row, start=start: where(start + row))  # type: ignore[misc]
        return self

    def _take(self, x: Array, place: Callable[[int], Place]) -> None:
        # the largest number that every format holds
        held = min(float(format_.largest) for format_ in self._formats)
        facts = extent(x, -held, np.inf)
        with np.errstate(all="ignore"):
            spreads = facts.largest - facts.least
        self._add(map(Distribution.of, (facts.largest, facts.least, spreads), self._edges))
        for format_, tallies in groupby(self._tallies, lambda tally: tally.format):
            piece = _Outcomes(x, facts, self.function, format_, self.max_ulp)
            for tally, (codes, ulps) in zip(tallies, piece.outcomes(), strict=True):
                tally.take(codes, ulps, facts, partial(piece.witness, tally.way, place))
        self.rows += len(x)
        self.elements += x.size

    def _add(self, others: Iterable[Distribution]) -> None:
        self._histograms = Histograms(*map(Distribution.merged, self._histograms, others))

    def merge(self, other: ScanState) -> ScanState:
        """Add the vectors of another state with the same settings; they follow this one's."""
        mine = (self.function, self.max_ulp, [f.name for f in self._formats])
        if mine != (other.function, other.max_ulp, [f.name for f in other._formats]):
            raise ValueError("only scans with the same function, formats and max_ulp can be merged")
        for tally, following in zip(self._tallies, other._tallies, strict=True):
            tally.merge(following)
        self._add(other._histograms)
        self.rows += other.rows
        self.elements += other.elements
        self._sources |= other._sources
        return self

    def result(self) -> Scan:
        """Return the results so far."""
        return Scan(
            source=next(iter(self._sources)) if len(self._sources) == 1 else None,
            function=self.function,
            max_ulp=self.max_ulp,
            rows=self.rows,
            elements=self.elements,
            results=tuple(tally.result() for tally in self._tallies),
            histograms=self._histograms,
        )


_OPEN = -1
_RIGHT, _OVERFLOW, _UNDERFLOW = (
    VERDICTS.index(v) for v in (Verdict.RIGHT, Verdict.OVERFLOW, Verdict.UNDERFLOW)
)


class _Outcomes:
    """Rows, shape (m, n), in one format. Codes are indices into `VERDICTS`, or _OPEN."""

    def __init__(
        self, x: Array, facts: Extent, function: Function, format_: Format, max_ulp: float
    ) -> None:
        self.x, self.function, self.format, self.max_ulp = x, function, format_, max_ulp
        with np.errstate(all="ignore"):
            ends = [format_.round(end) for end in facts[:2]]
            self.largest = ends[0]
            high, low = (end.astype(np.float64) for end in ends)
            is_masked = (low == -np.inf) & (facts.least == -np.inf) & (facts.below == 0)
            is_plain = np.isfinite(high) & (np.isfinite(low) | is_masked)
            if not format_.has_infinity:
                is_plain &= high - low <= float(format_.largest)
        # known if a row has only finite numbers of the format and -inf, otherwise NaN
        self.maximum = np.where(is_plain, high, np.nan)

    def outcomes(self) -> list[tuple[Array, Array]]:
        """Return, for each way, the codes of the rows and the errors of finite results in ulps."""
        above = self.maximum + np.log(self.x.shape[1])
        outcomes = [
            (self._codes(way, self.maximum, above), np.zeros(len(self.x)))
            for way in ways(self.format)
        ]
        rows = np.flatnonzero(np.logical_or.reduce([codes == _OPEN for codes, _ in outcomes]))
        if rows.size:
            self._evaluate(outcomes, rows)
        return outcomes

    def _codes(
        self, way: Way, y_low: Array, y_high: Array, rows: Array | slice = slice(None)
    ) -> Array:
        """Return the codes that follow from bounds on the rows' log-sum-exps."""
        codes = np.full(len(y_low), _OPEN)
        if self.format.significand_bits > FORMATS["float64"].significand_bits:
            return codes
        inner = FORMATS["float32"] if way is Way.FLOAT32 else self.format
        sure = guarantee(self.x.shape[1], self.format, inner, self.max_ulp, way is not Way.NAIVE)
        if self.function is Function.LOGSUMEXP:
            for low, high in sure.right:
                codes[(y_low >= low) & (y_high <= high)] = _RIGHT
        if way is Way.NAIVE:  # an infinite sum, or a zero one, ruins the result
            is_finite = (y_low >= -sure.finite) & (y_high <= sure.finite)
            codes[is_finite & (y_low >= sure.overflow)] = _OVERFLOW
            vanishes = self.maximum[rows] < float(self.format.underflow_threshold)
            codes[is_finite & vanishes] = _UNDERFLOW
        return codes

    def _evaluate(self, outcomes: list[tuple[Array, Array]], rows: Array) -> None:
        """Compute the outcomes of some rows that are not certain."""
        x = self.x[rows]
        rounded = self.format.round(x)
        right, unfit = exact_values(self.function, rounded, self.format), does_not_fit(x, rounded)
        for way, (all_codes, all_ulps) in zip(ways(self.format), outcomes, strict=True):
            codes = all_codes[rows]
            if self.function is Function.LOGSUMEXP:
                with np.errstate(all="ignore"):
                    y = np.where(np.isnan(self.maximum[rows]), np.nan, right[:, 0].astype(float))
                    reach = self.format.unit_roundoff * np.abs(y)
                    sure = self._codes(way, y - reach, y + reach, rows)
                codes = np.where(codes == _OPEN, sure, codes)
            some = np.flatnonzero(codes == _OPEN)
            if some.size:
                evaluation = self._evaluation(way, rounded[some], self.largest[rows][some])
                codes[some], all_ulps[rows[some]] = self._judged(
                    evaluation, right[some], unfit[some]
                )
            all_codes[rows] = codes

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

    def _evaluation(self, way: Way, rounded: Array, largest: Array) -> Evaluation:
        """Evaluate rows of the format, every operation rounded; a = max x."""
        formula = (NAIVE if way is Way.NAIVE else SHIFTED)[self.function]
        inner = FORMATS["float32"] if way is Way.FLOAT32 else self.format
        x = rounded.astype(inner.dtype, copy=False)
        return formula.evaluate(x, inner, lambda _: largest[:, None])

    def witness(
        self, way: Way, place: Callable[[int], Place], verdict: Verdict, row: int
    ) -> Witness:
        """Return the result of a row, at the entry that shows the trouble."""
        x = self.x[row]
        rounded = self.format.round(x[np.newaxis])
        evaluation = self._evaluation(way, rounded, self.largest[row : row + 1])
        value = self.format.round(evaluation.value)[0]
        right = exact_values(self.function, rounded, self.format)[0]
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


def scan(
    x: Any,
    function: str = "logsumexp",
    *,
    axis: int = -1,
    formats: str | Sequence[str] = ("float16",),
    max_ulp: float = DIGIT,
) -> Scan:
    """Compute log-sum-exp or softmax of many vectors, naive and shifted, and count what breaks.

    Parameters
    ----------
    x : array_like
        Real, of any shape, with vectors along `axis`; shape (n,) is one vector.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    axis : int
        Which axis has the vectors.
    formats : sequence of str
        The formats to compute in; ``stablelse limits`` lists them.
    max_ulp : float
        How many ulps a finite result may differ from the correctly rounded one, for the input
        rounded to the format.

    Returns
    -------
    Scan
        For each format and method, how many vectors have each verdict, which is that of
        `compare`, with the first and the worst; and which format survives. It displays itself.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x has no vectors or no numbers, or a name is unknown.

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
    result = ScanState(function, formats, max_ulp).update(turned).result()
    if not result.rows:
        raise ValueError(f"x has no vectors to scan: its shape is {values.shape}")
    return result


class Failure(NamedTuple):
    """A condition that is not met: which method and format, and where first."""

    condition: Condition
    result: WayScan
    first: Witness


def failures(scan: Scan, conditions: Sequence[Condition]) -> Iterator[Failure]:
    """Yield what a scan found that must not occur."""
    for condition in conditions:
        for result in scan.results:
            if condition.method not in (None, result.method):
                continue
            for first in result.first:
                if first.verdict in condition.verdicts:
                    yield Failure(condition, result, first)
