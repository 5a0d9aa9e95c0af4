"""The survival map: where each method is right as x is moved or stretched, and where it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stablelse.analysis.changes import find_changes
from stablelse.analysis.grid import grid_of, nearest, zeros_of
from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.survival import Motion, Range, Segment, Sweep
from stablelse.analysis.trial import Outcomes, Trial, room_for
from stablelse.numerics.formats import Array, Format, find_format, installed_formats
from stablelse.numerics.formulas import (
    FORMULAS,
    USUAL,
    Candidate,
    candidates,
    find_method,
    find_shift,
)
from stablelse.numerics.formulas.formula import Method, SweepError
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_vector
from stablelse.numerics.ordinals import numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from stablelse.analysis.results import Place

#: How many t are tried in a format of more than 16 bits before it is bisected where they differ.
POINTS = 400

#: What is better than the results around it, all of them finite, is told where it takes up more
#: than this part of the range: as little as can be seen in a chart.
_FINE = 200

#: How often it is looked beyond the edges of where digits are lost, at how many t each time at
#: least and at most, and at how many of a long vector in all.
_ROUNDS, _LEAST, _MOST, _MOST_LONG = 8, 64, 4096, 256

#: The range that is swept unless another is asked for.
OFFSETS = (-1000.0, 1000.0)


def sweep(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    offset: tuple[float, float] | None = None,
    scale: tuple[float, float] | None = None,
    methods: Sequence[str] | None = None,
    shifts: Sequence[str | float] = ("max",),
    formats: Sequence[str] | None = None,
    points: int = POINTS,
) -> Sweep:
    """Move or stretch a vector, and find where each method in each format ceases to be right.

    In every format t is one of its numbers, x is rounded to it, and x + t or t x once more; the
    methods are held against the exact result for that.

    Parameters
    ----------
    x : array_like
        Shape (n,), n >= 1, real numbers.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    offset : tuple of two floats, optional
        The range of t in x + t; -1000 to 1000 by default.
    scale : tuple of two floats, optional
        The range of t in t x instead, both ends positive.
    methods : sequence of str, optional
        As `compare` has them; by default all that the function has but the exact one.
    shifts : sequence of str or float
        As `compare` has them.
    formats : sequence of str, optional
        The formats to compute in; by default all that are installed and have a number in the
        range, but longdouble, whose exact results take their time.
    points : int
        How many t are tried in a format of more than 16 bits: evenly spaced, of a scale by their
        logarithms, and those besides at which x crosses a threshold of the format, or next to
        which its log-sum-exp is zero. Where two neighbours differ, the change is sought among the
        numbers between them, and more are tried around the places where digits are lost. What is
        found between the points is not proved: `Segment.tried` says how many there were. In
        bfloat16, float16 and float8 every t of the range is tried, unless x is so long that
        it would take minutes.

    Returns
    -------
    Sweep
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    SweepError
        If there is nothing between the ends of the range, they are not finite, a scale is not
        positive, both ranges are given, or the points are fewer than 2. A `ValueError`, as the
        errors of `compare` are.

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
    if offset is not None and scale is not None:
        raise SweepError("x is moved or stretched, not both: give an offset or a scale")
    motion = Motion.OFFSET if scale is None else Motion.SCALE
    return sweep_vector(
        vector,
        Function(function),
        Range.checked(motion, *(scale or offset or OFFSETS)),
        None if methods is None else [find_method(name) for name in methods],
        [str(shift) for shift in shifts],
        None if formats is None else [find_format(name) for name in formats],
        points,
    )


def sweep_vector(
    x: Array,
    function: Function,
    range_: Range,
    methods: Sequence[Method] | None = None,
    shifts: Sequence[str] = ("max",),
    formats: Sequence[Format] | None = None,
    points: int = POINTS,
    place: Place | None = None,
) -> Sweep:
    """Sweep a vector that came from a place; see `sweep`."""
    if points < 2:
        raise SweepError(f"{points} points are too few: the ends alone are 2")
    tried = candidates(function, methods or _usual(function), [find_shift(s) for s in shifts])
    zeros = zeros_of(x, range_, function, points)
    segments: list[Segment] = []
    for format_ in formats or _usual_formats():
        trial = Trial(x, range_, function, tried, format_)
        grid = grid_of(trial, points, zeros)
        if len(grid):
            segments += _segments(trial, grid)
        elif formats:
            raise SweepError(f"{format_.name} has no number in the {range_}")
    if not segments:
        raise SweepError(f"no format but longdouble has a number in the {range_}")
    source, row, column = place or (None, None, None)
    return Sweep(function, source, row, column, len(x), *range_, tuple(segments), x)


def _usual_formats() -> Sequence[Format]:
    return [format_ for format_ in installed_formats() if format_.name != "longdouble"]


def _usual(function: Function) -> Sequence[Method]:
    """Return the usual methods, and those that this function has besides."""
    having = [m for m, tables in FORMULAS.items() if any(function in table for table in tables)]
    return [*USUAL, *having]


class _Tried:
    """The t tried so far in a trial's format, in order, with what became of every method."""

    def __init__(self, trial: Trial, grid: Array) -> None:
        self.trial = trial
        self.points, self.outcomes = grid, trial.at(numbers(grid, trial.format))

    def verdicts_at(self, points: Array) -> Array:
        """Try more t, and return the verdicts."""
        outcomes = self.trial.at(numbers(points, self.trial.format))
        every = np.concatenate([self.points, points])
        order = np.argsort(every, kind="stable")
        once = order[np.concatenate([[True], every[order][1:] != every[order][:-1]])]
        both = zip(self.outcomes, outcomes, strict=True)
        self.points = every[once]
        self.outcomes = Outcomes(*(np.concatenate(arrays, axis=1)[:, once] for arrays in both))
        return outcomes.verdicts

    def joined(self) -> Array:
        """Return the verdicts of every method, what is better by chance taken for the rest."""
        where = self.trial.range.along(numbers(self.points, self.trial.format))
        return np.array([_joined(row, where) for row in self.outcomes.verdicts])

    def explore(self) -> None:
        """Try more t until verdicts change between neighbours alone, and nowhere close by."""
        room = room_for(self.trial.format, len(self.trial.x))
        rounds = 0
        while True:
            count, joined = len(self.points), self.joined()
            find_changes(self.points, joined, self.verdicts_at, room)
            if len(self.points) > count:
                continue
            beyond = [_beyond(self.points, row, self.trial) for row in joined]
            further = np.concatenate(beyond)
            at = np.minimum(np.searchsorted(self.points, further), count - 1)
            further = further[self.points[at] != further]
            further = further[:: 1 + len(further) // max(room, _MOST_LONG)]
            if not further.size or rounds == _ROUNDS:
                return
            self.verdicts_at(further)
            rounds += 1


def _segments(trial: Trial, grid: Array) -> Iterator[Segment]:
    """Yield the segments of every method in the trial's format."""
    tried = _Tried(trial, grid)
    tried.explore()
    rows = zip(trial.candidates, tried.joined(), tried.outcomes.ulps, strict=True)
    for candidate, verdicts, ulps in rows:
        yield from _told(trial.format, candidate, tried.points, verdicts, ulps)


_RIGHT, _LOST, _NO_DIGITS = (
    VERDICTS.index(v) for v in (Verdict.RIGHT, Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
)


def _runs(verdicts: Array) -> list[tuple[int, int]]:
    """Return where each run of one verdict begins, and where it ends, exclusive."""
    begins = [0, *(np.flatnonzero(verdicts[1:] != verdicts[:-1]) + 1).tolist()]
    return list(zip(begins, [*begins[1:], len(verdicts)], strict=True))


def _joined(verdicts: Array, where: Array) -> Array:
    """Return the verdicts of a method with what is better by chance taken for what is around it.

    Where digits are lost to rounding errors, some results are right now and then; where none is
    right, a few may be. `where` says how far along the range each of them lies, from 0 to 1.
    """
    joined = verdicts.copy()
    for better in (_RIGHT, _LOST):
        for begin, end in _runs(joined)[1:-1]:
            around = min(joined[begin - 1], joined[end])
            worst = max(joined[begin - 1], joined[end])
            is_between = joined[begin] == better and better < around and worst <= _NO_DIGITS
            if is_between and where[end - 1] - where[begin] < 1 / _FINE:
                joined[begin:end] = around
    return joined


def _beyond(points: Array, verdicts: Array, trial: Trial) -> Array:
    """Return t on both sides of where digits are lost, twice as far as that reaches."""
    found = [points[:0]]
    runs = _runs(verdicts)
    for (begin, end), before, after in zip(
        runs, [(0, 0), *runs[:-1]], [*runs[1:], (0, 0)], strict=True
    ):
        if verdicts[begin] not in (_LOST, _NO_DIGITS):
            continue
        low, high = trial.range.along(numbers(points[[begin, end - 1]], trial.format))
        room = room_for(trial.format, len(trial.x))
        steps = np.linspace(0, 2 * (high - low), min(max(room, _LEAST), _MOST))
        for (first, last), start in ((before, low - steps), (after, high + steps)):
            if last > first and verdicts[first] == _RIGHT:
                t = nearest(trial.range.at(start.clip(0, 1)), trial.format)
                found.append(t[(t >= points[first]) & (t < points[last - 1])])
    return np.concatenate(found)


def _told(
    format_: Format, candidate: Candidate, points: Array, verdicts: Array, ulps: Array
) -> Iterator[Segment]:
    """Yield the segments of one method."""
    for begin, end in _runs(verdicts):
        first, last = numbers(points[[begin, end - 1]], format_)
        verdict = VERDICTS[verdicts[begin]]
        is_finite = verdict in (Verdict.RIGHT, Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
        yield Segment(
            format=format_.name,
            method=candidate.method,
            shift=candidate.shift.name if candidate.shift else None,
            verdict=verdict,
            first=first,
            last=last,
            ulps=float(ulps[begin:end].max()) if is_finite else None,
            tried=end - begin,
            every=int(points[end - 1]) - int(points[begin]) == end - 1 - begin,
        )
