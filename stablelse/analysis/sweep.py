"""The survival map: where each method is right as x is moved or stretched, and where it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stablelse.analysis.changes import find_changes
from stablelse.analysis.grid import grid_of, zeros_of
from stablelse.analysis.survival import STATES, Motion, Range, Segment, State, Sweep
from stablelse.analysis.trial import Outcomes, Trial, room_for
from stablelse.numerics.formats import Array, Format, find_format, installed_formats
from stablelse.numerics.formulas.formula import Method, SweepError
from stablelse.numerics.formulas.methods import FORMULAS, USUAL, Candidate, candidates, find_method
from stablelse.numerics.formulas.shifted import find_shift
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_vector
from stablelse.numerics.ordinals import numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from stablelse.analysis.compare import Place

#: How many t are tried in a format before it is bisected where they differ.
POINTS = 400

#: What is right between results that have lost digits is told where it takes up more than this
#: part of the range: as little as can be seen in a chart.
_FINE = 200

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
        How many t are tried in each format: evenly spaced, of a scale by their logarithms, and
        those besides at which x crosses a threshold of the format. If the format has no more
        numbers in the range, all of them. Where two neighbours differ, the change is sought
        among the numbers between them; a change and its contrary between two that do not differ
        may be missed. Where digits are lost to rounding errors, some results are right by chance:
        they are told apart where they take up more than a 200th of the range.

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
    ...     print(segment.state.value, segment.first, segment.last)
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


def _segments(trial: Trial, grid: Array) -> Iterator[Segment]:
    """Yield the segments of every method in the trial's format."""
    tried: list[tuple[Array, Outcomes]] = []

    def states_at(points: Array) -> Array:
        outcomes = trial.at(numbers(points, trial.format))
        tried.append((points, outcomes))
        return outcomes.states

    coarse = np.array([_joined(row, grid, trial) for row in states_at(grid)])
    changes = find_changes(grid, coarse, states_at, room_for(trial.format, len(trial.x)))
    points = np.concatenate([points for points, _ in tried])
    states = np.concatenate([outcomes.states for _, outcomes in tried], axis=-1)
    ulps = np.concatenate([outcomes.ulps for _, outcomes in tried], axis=-1)
    where = dict(zip(points.tolist(), range(len(points)), strict=True))
    for index, candidate in enumerate(trial.candidates):
        ends = [end for change in changes if change.track == index for end in change[1:]]
        kept = [where[point] for point in sorted({*grid.tolist(), *ends})]
        row = _joined(states[index, kept], points[kept], trial)
        yield from _told(trial.format, candidate, points[kept], row, ulps[index, kept])


def _joined(states: Array, points: Array, trial: Trial) -> Array:
    """Return the states of a method with what is right by chance taken for what is around it.

    Where digits are lost to rounding errors, some results are right now and then.
    """
    begins = [0, *(np.flatnonzero(states[1:] != states[:-1]) + 1).tolist()]
    ends = [*begins[1:], len(points)]
    where = trial.range.along(numbers(points, trial.format))
    joined = states.copy()
    lost, right = STATES.index(State.DIGITS_LOST), STATES.index(State.RIGHT)
    for begin, end in zip(begins[1:-1], ends[1:-1], strict=True):
        is_between = states[begin] == right and states[begin - 1] == states[end] == lost
        if is_between and where[end - 1] - where[begin] < 1 / _FINE:
            joined[begin:end] = lost
    return joined


def _told(
    format_: Format, candidate: Candidate, points: Array, states: Array, ulps: Array
) -> Iterator[Segment]:
    """Yield the segments of one method."""
    begins = [0, *(np.flatnonzero(states[1:] != states[:-1]) + 1).tolist()]
    for begin, end in zip(begins, [*begins[1:], len(points)], strict=True):
        first, last = numbers(points[[begin, end - 1]], format_)
        state = STATES[states[begin]]
        known = state in (State.RIGHT, State.DIGITS_LOST)
        yield Segment(
            format=format_.name,
            method=candidate.method,
            shift=candidate.shift.name if candidate.shift else None,
            state=state,
            first=first,
            last=last,
            ulps=float(ulps[begin:end].max()) if known else None,
        )
