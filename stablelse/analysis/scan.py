"""Many vectors: what breaks on them, where first, where worst, and which format survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import Place
from stablelse.analysis.findings import DIGIT
from stablelse.analysis.histograms import Histogram, Histograms
from stablelse.analysis.scans import Scan, Way, WayScan, Witness, ways
from stablelse.analysis.verdicts import VERDICTS, Verdict, does_not_fit, judge
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS, Array, Format, find_format
from stablelse.numerics.formulas.formula import Evaluation
from stablelse.numerics.formulas.naive import NAIVE
from stablelse.numerics.formulas.shifted import SHIFTED, SHIFTS
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

# How many numbers are evaluated together: bounds the memory that intermediate results take.
_PIECE = 1 << 16

# NumPy works off the rows of up to so many numbers faster if they lie side by side.
_SHORT = 64

# Of more sources than one, only that they are several is told.
_SEVERAL = 2


class _Tally:
    """What one way of computing in one format has made of the vectors so far."""

    def __init__(self, format_: Format, way: Way) -> None:
        self.format = format_
        self.way = way
        self.counts = dict.fromkeys(_NOTED, 0)
        self.first: dict[Verdict, Witness] = {}
        self.worst: dict[Verdict, tuple[float, Witness]] = {}

    def take(
        self, verdict: Verdict, count: int, first: Witness, severity: float, worst: Witness
    ) -> None:
        """Count vectors that follow those so far; of equally bad ones the first is the worst."""
        self.counts[verdict] += count
        self.first.setdefault(verdict, first)
        if verdict not in self.worst or severity > self.worst[verdict][0]:
            self.worst[verdict] = severity, worst

    def merge(self, other: _Tally) -> None:
        """Count the vectors of another one, which follow."""
        for verdict, (severity, worst) in other.worst.items():
            self.take(verdict, other.counts[verdict], other.first[verdict], severity, worst)

    def result(self, rows: int) -> WayScan:
        """Return the counts, the first and the worst of each kind."""
        return WayScan(
            format=self.format.name,
            method=self.way.value,
            right=rows - sum(self.counts.values()),
            **{verdict.value: count for verdict, count in self.counts.items()},
            first=tuple(self.first[verdict] for verdict in _NOTED if verdict in self.first),
            worst=tuple(self.worst[verdict][1] for verdict in _NOTED if verdict in self.worst),
        )


#: The vectors of these verdicts are counted and witnessed; all others are right.
_NOTED = VERDICTS[1:]


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
        if len(values) and len(self._sources) < _SEVERAL:
            self._sources.add(found(0).source)
        step = max(1, _PIECE // values.shape[1])
        for start in range(0, len(values), step):
            self._take(values[start : start + step], start, found)
        return self

    def _take(self, x: Array, start: int, place: Callable[[int], Place]) -> None:
        if x.dtype.kind in "biu":
            x = x.astype(np.float64)
        # NumPy compares half precision in software, and ml_dtypes' in a loop
        rough = x.astype(np.float32) if x.dtype.itemsize < _FLOAT32.dtype.itemsize else x
        maxima, minima = rough.max(axis=1), rough.min(axis=1)
        with np.errstate(all="ignore"):
            spreads = maxima - minima
        for histogram, numbers in zip(self._histograms, (maxima, minima, spreads), strict=True):
            histogram.take(numbers)
        x = np.asarray(x, order="F" if x.shape[1] <= _SHORT else "C")
        for format_ in self._formats:
            rounded = format_.round(x)
            right, unfit = exact(self.function, rounded, format_), does_not_fit(x, rounded)
            for tally in self._tallies:
                if tally.format is format_:
                    evaluation = evaluated(tally.way, self.function, rounded, format_)
                    value = format_.round(evaluation.value)
                    found = judge(
                        value, right, format_, self.function, unfit, evaluation.row, self.max_ulp
                    )
                    _note(tally, _Rows(x, value, right, *found), lambda row: place(start + row))
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
            results=tuple(tally.result(self.rows) for tally in self._tallies),
            histograms=Histograms(*(histogram.result() for histogram in self._histograms)),
        )


_FLOAT32 = FORMATS["float32"]


def evaluated(way: Way, function: Function, x: Array, format_: Format) -> Evaluation:
    """Evaluate a function of rows that are rounded to a format, every operation rounded."""
    formula = (NAIVE if way is Way.NAIVE else SHIFTED)[function]
    inner = _FLOAT32 if way is Way.FLOAT32 else format_
    return formula.evaluate(x.astype(inner.dtype, copy=False), inner, SHIFTS["max"])


class _Rows(NamedTuple):
    """Rows, shape (m, n), what was computed of them and what is right, (m, k), and how it went."""

    x: Array
    value: Array
    right: Array
    verdicts: Array
    ulps: Array


def _note(tally: _Tally, rows: _Rows, place: Callable[[int], Place]) -> None:
    """Count the rows of each verdict, and note the first and the worst."""
    if not rows.verdicts.any():
        return
    for code, verdict in enumerate(VERDICTS):
        struck = np.flatnonzero(rows.verdicts == code)
        if verdict not in _NOTED or not struck.size:
            continue
        severities = _severities(verdict, rows.x[struck], rows.ulps[struck])
        at = int(severities.argmax())
        with np.errstate(all="ignore"):  # ml_dtypes even warns of a NaN in isfinite
            first, worst = (
                _witness(verdict, rows, int(row), tally.format, place(int(row)))
                for row in (struck[0], struck[at])
            )
        tally.take(verdict, len(struck), first, float(severities[at]), worst)


def _severities(verdict: Verdict, x: Array, ulps: Array) -> Array:
    """Return how bad each is: by its ulps, or by how far its maximum is from where it could be."""
    if verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS):
        return ulps
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
        if verdict in (Verdict.NAN, Verdict.DOES_NOT_FIT):
            size: Array = np.abs(wide).max(axis=1)
            return np.where(np.isnan(size), np.inf, size)
        largest: Array = wide.max(axis=1)
    return -largest if verdict is Verdict.UNDERFLOW else largest


def _witness(verdict: Verdict, rows: _Rows, row: int, format_: Format, place: Place) -> Witness:
    x, value, right = rows.x[row], rows.value[row], rows.right[row]
    is_nan = np.isnan(value)
    entry = int((is_nan if is_nan.any() else ulp_error(value, right, format_)).argmax())
    unfit = None
    if verdict is Verdict.DOES_NOT_FIT:
        unfit = x[np.flatnonzero(np.isfinite(x) & ~np.isfinite(format_.round(x)))[0]]
    is_measured = unfit is None and not is_nan.any() and np.isfinite(rows.ulps[row])
    return Witness(
        verdict=verdict,
        source=place.source,
        row=place.row,
        column=place.column,
        maximum=x.max(),
        minimum=x.min(),
        unfit=unfit,
        element=entry + 1 if len(value) > 1 or len(x) == 1 else None,
        value=value[entry],
        ulps=float(rows.ulps[row]) if is_measured else None,
    )


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
