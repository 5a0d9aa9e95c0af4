"""Many vectors: what breaks on them, where first, where worst, and which format survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.analysis.compare import Place
from stablelse.analysis.findings import DIGIT
from stablelse.analysis.histograms import Histogram, Histograms
from stablelse.analysis.scans import Scan, WayScan, Witness
from stablelse.analysis.verdicts import HARMS, Harm, Rows, Way, computed, doubtful, judge, ways
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas.margins import Extent, extremes
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

# How many numbers are looked at together: they stay in the cache.
_PIECE = 1 << 18

# Of more sources than one, only that they are several is told.
_SEVERAL = 2


class _Tally:
    """What one way of computing in one format has made of the vectors so far."""

    def __init__(self, format_: Format, way: Way) -> None:
        self.format = format_
        self.way = way
        self.counts = dict.fromkeys(Harm, 0)
        self.first: dict[Harm, Witness] = {}
        self.worst: dict[Harm, tuple[float, Witness]] = {}

    def take(self, harm: Harm, count: int, first: Witness, severity: float, worst: Witness) -> None:
        """Count vectors that follow those so far; of equally bad ones the first is the worst."""
        self.counts[harm] += count
        self.first.setdefault(harm, first)
        if harm not in self.worst or severity > self.worst[harm][0]:
            self.worst[harm] = severity, worst

    def merge(self, other: _Tally) -> None:
        """Count the vectors of another one, which follow."""
        for harm, (severity, worst) in other.worst.items():
            self.take(harm, other.counts[harm], other.first[harm], severity, worst)

    def result(self, rows: int) -> WayScan:
        """Return the counts, the first and the worst of each kind."""
        return WayScan(
            format=self.format.name,
            method=self.way.value,
            ok=rows - sum(self.counts.values()),
            **{harm.value: count for harm, count in self.counts.items()},
            first=tuple(self.first[harm] for harm in Harm if harm in self.first),
            worst=tuple(self.worst[harm][1] for harm in Harm if harm in self.worst),
        )


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
        given = np.atleast_2d(real_numbers(x))
        *outer, n = given.shape
        if not n:
            raise ValueError(f"x must be rows of at least one number, not of shape {given.shape}")
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
        # NumPy compares half precision in software, and ml_dtypes' in a loop
        rough = x.astype(np.float32) if x.dtype.itemsize < 4 or x.dtype.kind in "biu" else x
        if x.dtype.kind in "biu":
            rough = x = x.astype(np.float64)
        maxima, minima = extremes(rough)
        with np.errstate(invalid="ignore"):
            spreads = maxima - minima
        for histogram, numbers in zip(self._histograms, (maxima, minima, spreads), strict=True):
            histogram.take(numbers)
        extents = {
            format_.name: Extent(
                x.shape[1],
                format_.round(maxima).astype(np.float64),
                format_.round(minima).astype(np.float64),
            )
            for format_ in self._formats
        }
        for format_ in self._formats:
            self._take_format(x, extents[format_.name], format_, start, place)
        self.rows += len(x)
        self.elements += x.size

    def _take_format(
        self,
        x: Array,
        extent: Extent,
        format_: Format,
        start: int,
        place: Callable[[int], Place],
    ) -> None:
        """Count what becomes of rows in one format; what is near their results is shared."""
        tallies = [tally for tally in self._tallies if tally.format is format_]
        open_rows = [
            doubtful(tally.way, self.function, extent, format_, self.max_ulp) for tally in tallies
        ]
        every = np.unique(np.concatenate(open_rows))
        if not every.size:
            return
        part = x if every.size == len(x) else x[every]
        rows = Rows.of(self.function, part, format_, self.max_ulp)
        for tally, numbers in zip(tallies, open_rows, strict=True):
            if numbers.size:
                chosen = rows.some(np.searchsorted(every, numbers))
                self._judge(tally, chosen, numbers + start, place)

    def _judge(
        self, tally: _Tally, rows: Rows, numbers: Array, place: Callable[[int], Place]
    ) -> None:
        format_ = tally.format
        harms, ulps, entries = judge(tally.way, self.function, rows, format_, self.max_ulp)
        if not harms.any():
            return
        x = rows.x
        for code, harm in enumerate(HARMS, start=1):
            struck = np.flatnonzero(harms == code)
            if not struck.size:
                continue
            severities = _severities(harm, x[struck], ulps[struck])
            at = int(severities.argmax())
            witnesses = []
            for row in (struck[0], struck[at]):
                value, _ = computed(tally.way, self.function, rows.rounded[row : row + 1], format_)
                lost = float(ulps[row]) if harm is Harm.ULP else None
                where = place(int(numbers[row]))
                witnesses.append(_witness(harm, x[row], where, value[0], int(entries[row]), lost))
            tally.take(harm, len(struck), witnesses[0], float(severities[at]), witnesses[1])

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


def _severities(harm: Harm, x: Array, ulps: Array) -> Array:
    """Return how bad each is: by its ulps, or by how far its maximum is from where it could be."""
    if harm is Harm.ULP:
        return ulps
    with np.errstate(invalid="ignore"):
        if harm is Harm.NAN:
            size: Array = np.abs(x.astype(np.float64)).max(axis=1)
            return np.where(np.isnan(size), np.inf, size)
        largest: Array = x.max(axis=1).astype(np.float64)
    return -largest if harm is Harm.UNDERFLOW else largest


def _witness(
    harm: Harm, x: Array, place: Place, value: Array, entry: int, ulps: float | None
) -> Witness:
    return Witness(
        kind=harm.value,
        source=place.source,
        row=place.row,
        column=place.column,
        maximum=x.max(),
        minimum=x.min(),
        element=entry + 1 if len(value) > 1 or len(x) == 1 else None,
        value=value[min(entry, len(value) - 1)],
        ulps=ulps,
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
        For each format and method how many overflow, underflow to -inf, give NaN or lose more,
        each with the first and the worst; and which format survives. It displays itself.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x has another shape, or a name is unknown.

    Notes
    -----
    Vectors whose maximum and minimum lie well within a format are surely right
    (`stablelse.numerics.formulas.margins`); all others are evaluated. The counts are those of
    evaluating every one.

    Examples
    --------
    >>> import stablelse
    >>> found = stablelse.scan([[12, 3], [1, 2]])
    >>> [(result.method, result.overflow) for result in found.results]
    [('naive', 1), ('shifted', 0), ('shifted-float32', 0)]
    """
    values = np.atleast_1d(real_numbers(x))
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"x has no axis {axis}: its shape is {values.shape}")
    turned = np.moveaxis(values, axis, -1)
    return ScanState(function, formats, max_ulp).update(turned).result()
