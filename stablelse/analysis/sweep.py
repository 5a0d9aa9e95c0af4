"""The survival map: where each method is right as x is moved or stretched, and where it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stablelse.analysis.changes import find_changes
from stablelse.analysis.survival import Motion, Segment, State, Sweep
from stablelse.analysis.trial import STATES, Trial
from stablelse.numerics.formats import Array, Format, find_format, installed_formats
from stablelse.numerics.formula import Method
from stablelse.numerics.functions import Function
from stablelse.numerics.methods import FORMULAS, USUAL, Candidate, candidates, find_method
from stablelse.numerics.ordinals import numbers, ordinals
from stablelse.numerics.shifted import find_shift

if TYPE_CHECKING:
    import numpy.typing as npt

    from stablelse.analysis.compare import Place

#: How many t are tried in a format before it is bisected where they differ.
POINTS = 400

#: The range that is swept unless another is asked for.
OFFSETS = (-1000.0, 1000.0)


class SweepError(ValueError):
    """A range, or a number of points, that nothing can be swept over."""


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
        The formats to compute in; by default all that are installed but longdouble, whose exact
        results take their time.
    points : int
        How many t are tried in each format: evenly spaced, of a scale by their logarithms, and
        those besides at which x crosses a threshold of the format. If the format has no more
        numbers in the range, all of them. Where two neighbours differ, the change is sought
        among the numbers between them; a change and its contrary between two that do not differ
        may be missed.

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
    >>> found = stablelse.sweep([0], offset=(0, 1000), methods=["naive"], formats=["float64"])
    >>> for segment in found.segments:
    ...     print(segment.state.value, segment.first, segment.last)
    right 0.0 709.782712893384
    overflow 709.7827128933841 1000.0
    """
    x = np.asarray(x)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"sweep takes a vector of at least one number, not shape {x.shape}")
    if not (x.dtype.kind in "iubf" or (x.dtype.kind == "V" and x.dtype.names is None)):
        raise ValueError(f"sweep takes real numbers, not {x.dtype}")
    if offset is not None and scale is not None:
        raise SweepError("x is moved or stretched, not both: give an offset or a scale")
    motion = Motion.OFFSET if scale is None else Motion.SCALE
    return sweep_vector(
        x,
        Function(function),
        motion,
        scale or offset or OFFSETS,
        None if methods is None else [find_method(name) for name in methods],
        [str(shift) for shift in shifts],
        None if formats is None else [find_format(name) for name in formats],
        points,
    )


def sweep_vector(
    x: Array,
    function: Function,
    motion: Motion,
    ends: tuple[float, float],
    methods: Sequence[Method] | None = None,
    shifts: Sequence[str] = ("max",),
    formats: Sequence[Format] | None = None,
    points: int = POINTS,
    place: Place | None = None,
) -> Sweep:
    """Sweep a vector that came from a place; see `sweep`."""
    start, end = check_range(motion, *ends)
    if points < 2:
        raise SweepError(f"{points} points are too few: the ends alone are 2")
    tried = candidates(function, methods or _usual(function), [find_shift(s) for s in shifts])
    formats = formats or [f for f in installed_formats() if f.name != "longdouble"]
    segments: list[Segment] = []
    for format_ in formats:
        trial = Trial(x, motion, function, tried, format_)
        grid = _grid(trial, start, end, points)
        if len(grid):
            segments += _segments(trial, grid)
    source, row, column = place or (None, None, None)
    return Sweep(
        function, source, row, column, len(x), motion, start, end, tuple(segments), x
    )


def check_range(motion: Motion, start: float, end: float) -> tuple[float, float]:
    """Return the ends of a range as floats.

    Raises
    ------
    SweepError
        If it is none.
    """
    told = f"the range {start:g}:{end:g}"
    if not (np.isfinite(start) and np.isfinite(end)):
        raise SweepError(f"{told} must have finite ends")
    if start >= end:
        raise SweepError(f"{told} has nothing in it: the first end must be the smaller one")
    if motion is Motion.SCALE and start <= 0:
        raise SweepError(f"{told} must be positive: a scale multiplies x")
    return float(start), float(end)


def _usual(function: Function) -> Sequence[Method]:
    """Return the usual methods, and those that this function has besides."""
    having = [m for m, tables in FORMULAS.items() if any(function in table for table in tables)]
    return [*USUAL, *having]


def _grid(trial: Trial, start: float, end: float, points: int) -> Array:
    """Return the ordinals of the t to begin with, increasing."""
    format_ = trial.format
    low, high = _within(format_, start, end)
    if high - low < points:
        return np.arange(low, high + 1)
    even = np.linspace(0, 1, points, dtype=np.longdouble)
    if trial.motion is Motion.SCALE:
        t = np.longdouble(start) ** (1 - even) * np.longdouble(end) ** even
    else:
        t = start * (1 - even) + end * even
    largest = np.longdouble(format_.largest)
    t = np.concatenate([t, _seeds(trial)]).clip(-largest, largest)
    found = ordinals(format_.round(t), format_)
    every = np.unique(np.concatenate([[low, high, 0], found - 1, found, found + 1]))
    return every[(every >= low) & (every <= high)]


def _within(format_: Format, start: float, end: float) -> tuple[int, int]:
    """Return the ordinals of the first and the last number of the format in a range."""
    largest = np.longdouble(format_.largest)
    bounds = np.array([start, end], np.longdouble)
    nearest = format_.round(bounds.clip(-largest, largest))
    low, high = ordinals(nearest, format_).tolist()
    near_start, near_end = nearest.astype(np.longdouble)
    return low + int(near_start < start), high - int(near_end > end)


def _seeds(trial: Trial) -> Array:
    """Return the t at which x, or its log-sum-exp, crosses a threshold of the format."""
    format_ = trial.format
    finite = trial.x[np.isfinite(trial.x)].astype(np.longdouble)
    if not finite.size:
        return finite
    largest = np.longdouble(format_.largest)
    crossed = [largest, -largest, 0, np.log(largest)]
    crossed += [format_.overflow_threshold, format_.underflow_threshold]
    crossed += [format_.subnormal_threshold]
    thresholds = np.array(crossed, dtype=np.longdouble)[:, np.newaxis]
    x_max, x_min = finite.max(), finite.min()
    with np.errstate(all="ignore"):
        if trial.motion is Motion.SCALE:
            t = thresholds / np.array([x_max, x_min, x_min - x_max])
        else:
            lse = x_max + np.log(np.sum(np.exp(finite - x_max)))
            t = thresholds - np.array([x_max, x_min, lse])
    seeds: Array = t[np.isfinite(t)]
    return seeds


class _Tried(NamedTuple):
    """Ordinals of t, increasing, and the states and errors of all methods at them."""

    ordinals: Array
    states: Array
    ulps: Array


def _segments(trial: Trial, grid: Array) -> Iterator[Segment]:
    """Yield the segments of every method in the trial's format."""
    grid = _with_zero_crossings(trial, grid)
    known = trial.at(numbers(grid, trial.format))

    def states_at(points: Array) -> Array:
        return trial.at(numbers(points, trial.format)).states

    changes = find_changes(grid, known.states, states_at)
    for index, candidate in enumerate(trial.candidates):
        ends = [end for change in changes if change.track == index for end in change[1:]]
        more = np.setdiff1d(np.array(ends, grid.dtype), grid)
        points, states, ulps = grid, known.states[index], known.ulps[index]
        if len(more):
            found = trial.at(numbers(more, trial.format))
            points = np.concatenate([grid, more])
            order = np.argsort(points)
            points = points[order]
            states = np.concatenate([states, found.states[index]])[order]
            ulps = np.concatenate([ulps, found.ulps[index]])[order]
        yield from _told(trial.format, candidate, points, states, ulps)


def _with_zero_crossings(trial: Trial, grid: Array) -> Array:
    """Return the grid with the numbers between which the exact result changes its sign."""

    def signs_at(points: Array) -> Array:
        return trial.at(numbers(points, trial.format)).signs[np.newaxis]

    crossings = find_changes(grid, signs_at(grid), signs_at)
    ends = [end for change in crossings for end in change[1:]]
    return np.union1d(grid, np.array(ends, grid.dtype))


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
