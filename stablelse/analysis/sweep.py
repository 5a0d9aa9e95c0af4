"""The survival map: where each method is right as a vector moves, and where that changes.

Between neighbouring points with different verdicts, bisection finds the change among the numbers of
the format, which are numbered in order: these are the ordinals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.findings import judge
from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.numerics.formats import FORMATS, Array, Format, numbers_at, ordinals
from stablelse.numerics.formulas import (
    Candidate,
    ChoiceError,
    Method,
    candidates,
    find_method,
    find_shift,
    methods_of,
)
from stablelse.numerics.functions import Function, does_not_fit, exact_values
from stablelse.numerics.inputs import find_formats, real_vector, several

if TYPE_CHECKING:
    import numpy.typing as npt

#: How many t are tried first in a format of more than 16 bits: the default, and the most, alone and
#: times the length of x, which takes a few minutes; and the default range and formats.
POINTS, MOST_POINTS, MOST_TERMS = 400, 1_000_000, 1 << 29
OFFSETS = (-1000.0, 1000.0)
USUAL_FORMATS = ("float16", "float32", "float64")

#: Better results among worse finite ones are a separate segment only if they fill more than this
#: part of the range: a chart cannot show less.
_FINE = 1 / 200

#: How often the search goes beyond the edges of where digits are lost, and with how many t each
#: time: at least, and at most.
_ROUNDS, _LEAST, _MOST = 4, 64, 4096

#: How many elements are computed at once; how many take about as long as the call itself, and how
#: many times longer exact results take in formats wider than float64, in decimal arithmetic.
_BATCH, _ROOM, _DECIMAL = 1 << 18, 1 << 14, 1000

#: How many numbers a 16-bit format has, and the most elements for which all of them are tried: that
#: takes a few seconds.
_ALL, _MOST_ELEMENTS = 1 << 16, 1 << 26

#: Into how many parts a bracket is split at a time, if there is room.
_PARTS = 64

#: From good to bad; all worse verdicts are of results that are not finite or not of this vector.
_RIGHT, _LOST, _NO_DIGITS = (
    VERDICTS.index(v) for v in (Verdict.RIGHT, Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
)


class Motion(Enum):
    """How x moves: x + t is moved, and t x, t > 0, is stretched."""

    OFFSET = "offset"
    SCALE = "scale"


class Range(NamedTuple):
    """What t does to x, and the range of t."""

    motion: Motion
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.motion.value} {self.start:g}:{self.end:g}"

    def along(self, t: Array) -> Array:
        """Return where each t lies on an axis from 0, the start, to 1: logarithmic for a scale."""
        low, high, wide = (
            np.asarray(each).astype(np.longdouble) for each in (self.start, self.end, t)
        )
        if self.motion is Motion.SCALE:
            low, high, wide = np.log(low), np.log(high), np.log(wide)
        # halves, for the range may be wider than the largest number
        place: Array = ((wide / 2 - low / 2) / (high / 2 - low / 2)).astype(np.float64)
        return place

    def at(self, place: Array) -> Array:
        """Return the t at a place on the axis: the inverse of `along`, in longdouble."""
        end = np.asarray(place).astype(np.longdouble)
        if self.motion is Motion.SCALE:
            return np.longdouble(self.start) ** (1 - end) * np.longdouble(self.end) ** end
        return self.start * (1 - end) + self.end * end


class Segment(NamedTuple):
    """A stretch of t on which a method in a format has one verdict.

    If the verdict changes, two neighbours in the format are the `last` of one segment and the
    `first` of the next. The verdict holds at both, and at every t that was tried in between; but if
    it is lost digits, some of these results may be better by chance, over at most a 200th of the
    range.
    """

    format: str  # The format of x, t, the moved x, and every operation
    method: Method
    shift: str | None  # How the a of the identity was chosen, if the formula has one
    verdict: Verdict
    first: Any  # The first and the last t, in the format
    last: Any
    ulps: float | None  # The largest error found, in ulps; ``None`` if the result is ruined
    tried: int  # How many t were tried
    every: bool  # Whether these are all t of the format there: then the verdict is proved


@dataclass(frozen=True)
class Sweep(Displayed):
    """The survival map of a vector: every method in every format, as x moves.

    Attributes
    ----------
    function : Function
        What was computed.
    source, row, column
        Where the vector came from; see `Comparison`.
    n : int
        The number of elements.
    motion : Motion
        Whether x was moved or stretched.
    start, end : float
        The range of t that was asked for.
    segments : tuple of Segment
        Ordered by format, method and t.
    x : ndarray
        Shape (n,): the vector before it was moved or rounded.
    intervals : bool
        Whether it displays a list of segments, not a chart.
    """

    function: Function
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    n: int
    motion: Motion
    start: float
    end: float
    segments: tuple[Segment, ...]
    x: Array
    intervals: bool = field(default=False, repr=False, compare=False)

    @property
    def range(self) -> Range:
        """The range of t."""
        return Range(self.motion, self.start, self.end)


def sweep(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    offset: tuple[float, float] | None = None,
    scale: tuple[float, float] | None = None,
    methods: str | Sequence[str] | None = None,
    shifts: str | float | Sequence[str | float] = ("max",),
    formats: str | Sequence[str] | None = None,
    points: int = POINTS,
) -> Sweep:
    """Move or stretch a vector, and find where each method stops being right.

    In each format, t is one of its numbers, and x is rounded to it, then x + t or t x is. The
    methods are compared with the exact result for that.

    Parameters
    ----------
    x : array_like
        Shape (n,), n >= 1, real numbers.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    offset : tuple of two floats, optional
        The range of t in x + t; -1000 to 1000 by default.
    scale : tuple of two floats, optional
        The range of t in t x instead; both ends are positive.
    methods : sequence of str, optional
        As in `compare`; by default all that the function has.
    shifts : sequence of str or float
        As in `compare`.
    formats : sequence of str, optional
        The formats to compute in: by default float16, float32 and float64, or those that
        have a number in the range.
    points : int
        How many t to try in a format of more than 16 bits, evenly spaced (for a scale, by their
        logarithms). More t are tried where x crosses a threshold of the format, where its
        log-sum-exp is near zero, and around lost digits; if two neighbours differ, the change is
        located between them. Between the points nothing is proved: `Segment.tried` says how many
        there were. In formats of 16 and 8 bits, every t of the range is tried, unless x has more
        than a thousand numbers.

    Returns
    -------
    Sweep
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    ValueError
        If a range is empty or not finite, a scale is not positive, both ranges are given, there
        are fewer than 2 points or more than 1,000,000, or more than 2**29 points times numbers.

    Examples
    --------
    >>> import stablelse
    >>> found = stablelse.sweep([0], offset=(1, 1000), methods=["naive"], formats=["float64"])
    >>> for segment in found.segments:
    ...     print(segment.verdict.value, segment.first, segment.last)
    right 1.0 709.782712893384
    overflow 709.7827128933841 1000.0
    """
    vector = real_vector(x, "sweep")
    range_ = _checked_range(offset, scale)
    _check_points(points, len(vector))
    computed = Function(function)
    chosen = methods_of(computed) if methods is None else map(find_method, several(methods))
    every = candidates(computed, chosen, [find_shift(str(shift)) for shift in several(shifts)])
    segments: list[Segment] = []
    for format_ in find_formats(USUAL_FORMATS if formats is None else formats):
        trial = Trial(vector, range_, computed, every, format_)
        segments += trial.segments(points)
        if formats is not None and not trial.points.size:
            raise ChoiceError(f"{format_.name} has no number in the {range_}")
    if not segments:
        raise ChoiceError(f"no format has a number in the {range_}")
    return Sweep(computed, None, None, None, len(vector), *range_, tuple(segments), vector)


def _check_points(points: int, n: int) -> None:
    if not 2 <= points <= MOST_POINTS:
        raise ChoiceError(f"points must be 2 (the ends alone) to {MOST_POINTS:,}, not {points:,}")
    if points * n > MOST_TERMS:
        raise ChoiceError(
            f"{n:,} numbers at {points:,} points take too long: give at most "
            f"{MOST_TERMS // points:,} numbers, or fewer points"
        )


def _checked_range(offset: tuple[float, float] | None, scale: tuple[float, float] | None) -> Range:
    """Return the range of t; the ends must be finite, in order, and for a scale positive."""
    if offset is not None and scale is not None:
        raise ChoiceError("x is moved or stretched, not both: give an offset or a scale")
    given = offset if scale is None else scale
    try:
        start, end = map(float, OFFSETS if given is None else given)
    except (TypeError, ValueError):
        raise ChoiceError(f"the range of t must be two numbers, not {given!r}") from None
    range_ = Range(Motion.OFFSET if scale is None else Motion.SCALE, start, end)
    if not (np.isfinite(start) and np.isfinite(end)):
        raise ChoiceError(f"the {range_} must have two finite ends")
    if start >= end:
        raise ChoiceError(f"the {range_} is empty: the first end must be smaller")
    if scale is not None and start <= 0:
        raise ChoiceError(f"the {range_} must be positive: start at 1e-3, for example")
    return range_


def _room(format_: Format, n: int) -> int:
    """Return how many t on n numbers take about as long as a single one."""
    is_wide = format_.significand_bits > FORMATS["float64"].significand_bits
    return max(1, _ROOM // n // (_DECIMAL if is_wide else 1))


def _nearest(t: Array, format_: Format) -> Array:
    """Return the ordinals of the nearest numbers of the format."""
    largest = np.longdouble(format_.largest)
    return ordinals(format_.round(t.astype(np.longdouble).clip(-largest, largest)), format_)


def _ends(range_: Range, format_: Format) -> tuple[int, int]:
    """Return the ordinals of the first and the last number of the format in a range."""
    both = _nearest(np.array(range_[1:]), format_)
    low, high = both.tolist()
    start, end = numbers_at(both, format_).astype(np.longdouble)
    return low + int(start < range_.start), high - int(end > range_.end)


def _zero_of_scale(x: Array) -> Any:
    """Return the t for which the log-sum-exp of t x is 0; not finite unless all x are negative.

    It is convex in t, and log n at 0: there, Newton's method begins, and never goes too far.
    """
    t = np.log(np.longdouble(len(x))) / -x.mean() if x.max() < 0 else np.longdouble(np.nan)
    for _ in range(100):
        terms = np.exp(t * (x - x.max()))
        t -= (t * x.max() + np.log(terms.sum())) * terms.sum() / (terms * x).sum()
    return t


class Trial:
    """The verdicts of c methods on a vector in one format, at m points t.

    `points` are the ordinals of t, in order. `outcomes` has the verdicts (indices into `VERDICTS`)
    and the errors in ulps, shape (2, c, m).
    """

    def __init__(
        self,
        x: Array,
        range_: Range,
        function: Function,
        methods: Sequence[Candidate],
        format_: Format,
    ) -> None:
        self.x, self.range, self.function = x, range_, function
        self.candidates, self.format = methods, format_
        self.room = _room(format_, len(x))
        self.points = np.zeros(0, np.int64)
        self.outcomes = np.zeros((2, len(methods), 0))

    def add(self, points: Array) -> None:
        """Evaluate more ordinals, in any order."""
        points = np.sort(points)
        if len(self.points):
            at = np.minimum(np.searchsorted(self.points, points), len(self.points) - 1)
            points = points[self.points[at] != points]
        if not len(points):
            return
        # `np.unique` imports masked arrays, 10 ms
        points = points[np.append(True, np.diff(points) != 0)]
        every = np.concatenate([self.points, points])
        fresh = self.at(numbers_at(points, self.format))
        order = np.argsort(every, kind="stable")
        self.points = every[order]
        self.outcomes = np.concatenate([self.outcomes, fresh], axis=-1)[..., order]

    def locate(self) -> None:
        """Evaluate more until verdicts change only between neighbouring numbers."""
        while True:
            labels = self.labels()
            changes = (labels[:, 1:] != labels[:, :-1]).any(axis=0)
            # No difference overflows, for there is a 0 between negative and positive ordinals.
            wide = np.flatnonzero(changes & (np.diff(self.points) > 1))
            if not wide.size:
                return
            parts = min(max(2, self.room // len(wide)), _PARTS)
            ends = zip(self.points[wide].tolist(), self.points[wide + 1].tolist(), strict=True)
            inside = [range(low, high, -(-(high - low) // parts))[1:] for low, high in ends]
            self.add(np.concatenate([np.array(part, self.points.dtype) for part in inside]))

    def _grid(self, points: int) -> Array:
        """Return the ordinals of the first t to try; none if the range has none."""
        low, high = _ends(self.range, self.format)
        every = high - low + 1
        if every <= points or (every <= _ALL and every * len(self.x) <= _MOST_ELEMENTS):
            return np.arange(low, high + 1)
        even = self.range.at(np.linspace(0, 1, points))
        t = _nearest(np.append(even, self._crossings()), self.format)
        return np.append(t[(t > low) & (t < high)], [low, high])

    def _crossings(self) -> Array:
        """Return the t at which an extreme of x, or its log-sum-exp, is at a threshold or near 0.

        Where it is 0, digits are lost, how far from it depends on the method.
        """
        f, x = self.format, self.format.round(self.x).astype(np.longdouble)
        x = x[np.isfinite(x)]
        if not x.size:
            return x
        largest = np.longdouble(f.largest)
        powers = np.longdouble(16) ** np.arange(-f.significand_bits // 2, 7)
        thresholds = [0, np.log(largest), f.overflow_threshold, f.underflow_threshold]
        thresholds += [f.subnormal_threshold, largest, -largest]
        y = np.concatenate([np.array(thresholds, np.longdouble), powers, -powers])
        x_max, x_min = x.max(), x.min()
        with np.errstate(all="ignore"):
            if self.range.motion is Motion.OFFSET:
                lse = x_max + np.log(np.exp(x - x_max).sum())
                t = [y - level for level in (x_max, x_min, lse)]
            else:
                t = [y / end for end in (x_max, x_min, x_min - x_max)]
                t.append(_zero_of_scale(x) * (1 + y))
        crossings: Array = np.concatenate(t)
        return crossings[np.isfinite(crossings)]

    def at(self, t: Array) -> Array:
        """Return the verdicts and the ulps of x moved by each t of the format."""
        rows = max(1, _BATCH // len(self.x))
        with np.errstate(all="ignore"):  # ml_dtypes even warns of a NaN in isfinite
            parts = [self._at(t[begin : begin + rows]) for begin in range(0, len(t), rows)]
        return np.concatenate(parts, axis=-1)

    def _at(self, t: Array) -> Array:
        move = np.add if self.range.motion is Motion.OFFSET else np.multiply
        moved: Array = move(self.format.round(self.x), t[:, np.newaxis])
        right = exact_values(self.function, moved, self.format)
        unfit = does_not_fit(self.x, moved)
        judged = []
        for candidate in self.candidates:
            value, evaluated = right, None
            if (evaluation := candidate.evaluate(moved, self.format)) is not None:
                value, evaluated = evaluation.value, evaluation.row
            judged.append(judge(value, right, self.format, self.function, unfit, evaluated))
        return np.array(judged).swapaxes(0, 1)

    def labels(self) -> Array:
        """Return the verdicts of every method, without the few that are better by chance."""
        where = self.range.along(numbers_at(self.points, self.format))
        joined: Array = self.outcomes[0].astype(int)
        for row in joined:
            for better in (_RIGHT, _LOST):
                for begin, end in _runs(row)[1:-1]:
                    around, worst = sorted((row[begin - 1], row[end]))
                    is_between = row[begin] == better and better < around and worst <= _NO_DIGITS
                    if is_between and where[end - 1] - where[begin] < _FINE:
                        row[begin:end] = around
        return joined

    def _explore(self) -> None:
        """Try more t until verdicts change only between neighbours, and nowhere close by."""
        self.locate()
        for _ in range(_ROUNDS):
            tried = len(self.points)
            self.add(self._around_losses())
            if len(self.points) == tried:
                return
            self.locate()

    def _around_losses(self) -> Array:
        """Return t among lost digits, and twice as far on both sides."""
        places = [np.zeros(0)]
        steps = np.linspace(-2, 3, min(max(self.room, _LEAST), _MOST))
        for row in self.labels():
            for begin, end in _runs(row):
                if row[begin] in (_LOST, _NO_DIGITS):
                    t = numbers_at(self.points[[begin, end - 1]], self.format)
                    low, high = self.range.along(t)
                    places.append((low + steps * (high - low)).clip(0, 1))
        around: Array = _nearest(self.range.at(np.concatenate(places)), self.format)
        kept: Array = around[(around >= self.points[0]) & (around <= self.points[-1])]
        return kept

    def segments(self, points: int) -> Iterator[Segment]:
        """Try at least this many t, and yield the segments of every method."""
        grid = self._grid(points)
        if not grid.size:
            return
        self.add(grid)
        self._explore()
        rows = zip(self.candidates, self.labels(), self.outcomes[1], strict=True)
        for (method, _, shift), verdicts, ulps in rows:
            for begin, end in _runs(verdicts):
                first, last = numbers_at(self.points[[begin, end - 1]], self.format)
                yield Segment(
                    self.format.name,
                    method,
                    shift and shift.name,
                    VERDICTS[verdicts[begin]],
                    first,
                    last,
                    ulps=float(ulps[begin:end].max()) if verdicts[begin] <= _NO_DIGITS else None,
                    tried=end - begin,
                    every=int(self.points[end - 1]) - int(self.points[begin]) == end - 1 - begin,
                )


def _runs(verdicts: Array) -> list[tuple[int, int]]:
    """Return the begin and the end (exclusive) of each run of one verdict."""
    begins = [0, *(np.flatnonzero(verdicts[1:] != verdicts[:-1]) + 1).tolist()]
    return list(zip(begins, [*begins[1:], len(verdicts)], strict=True))
