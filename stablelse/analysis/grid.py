"""Where a sweep begins: points all over the range, and those at which something must happen."""

from __future__ import annotations

import numpy as np

from stablelse.analysis.changes import find_changes
from stablelse.analysis.survival import Motion, Range
from stablelse.analysis.trial import Trial, moved_by, room_for
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.ordinals import numbers, ordinals

#: How many numbers of the format next to a zero of the log-sum-exp are tried: digits are lost
#: there, and how far from it hangs on the method.
_AROUND = (0, *(sign << exponent for exponent in range(0, 64, 2) for sign in (1, -1)))


#: A format of 16 bits has no more numbers: all of them are tried, if they and x make no more
#: numbers than that, which take some seconds.
_ALL, _MOST_NUMBERS = 1 << 16, 1 << 26


def grid_of(trial: Trial, points: int, zeros: Array) -> Array:
    """Return the t to begin with.

    Parameters
    ----------
    trial : Trial
        What is to be tried.
    points : int
        How many t are spread over the range. A format of up to 16 bits gives all it has, unless
        x is very long, and so does a range that has no more.
    zeros : ndarray
        What `zeros_of` gives.

    Returns
    -------
    ndarray
        Their ordinals in the format, increasing. None, if the range has no number of it.
    """
    format_ = trial.format
    low, high = _ends(trial.range, format_)
    every = high - low + 1
    if every <= points or (every <= _ALL and every * len(trial.x) <= _MOST_NUMBERS):
        return np.arange(low, high + 1)
    near_zeros = nearest(zeros, format_)
    begun = [
        np.array([low, high, 0]),
        nearest(trial.range.at(np.linspace(0, 1, points)), format_),
        *(nearest(_crossings(trial), format_) + step for step in (-1, 0, 1)),
        *(near_zeros + step for step in _AROUND[: format_.significand_bits]),
    ]
    found = _in_order(np.concatenate(begun))
    return found[(found >= low) & (found <= high)]


def _in_order(values: Array) -> Array:
    """Return values in order, each once: `np.unique` imports masked arrays for that, 10 ms."""
    found = np.sort(values)
    once: Array = found[np.concatenate([[True], found[1:] != found[:-1]])]
    return once


def _ends(range_: Range, format_: Format) -> tuple[int, int]:
    """Return the ordinals of the first and the last number of the format in a range."""
    both = nearest(np.array(range_[1:]), format_)
    low, high = both.tolist()
    start, end = numbers(both, format_).astype(np.longdouble)
    return low + int(start < range_.start), high - int(end > range_.end)


def nearest(t: Array, format_: Format) -> Array:
    """Return the ordinals of the numbers of the format next to these."""
    largest = np.longdouble(format_.largest)
    return ordinals(format_.round(t.astype(np.longdouble).clip(-largest, largest)), format_)


def _crossings(trial: Trial) -> Array:
    """Return the t at which an extreme of x, or its log-sum-exp, crosses a threshold."""
    format_ = trial.format
    x = format_.round(trial.x).astype(np.longdouble)
    finite = x[np.isfinite(x)]
    if not finite.size:
        return finite
    largest = np.longdouble(format_.largest)
    thresholds = [largest, -largest, 0, np.log(largest)]
    thresholds += [format_.overflow_threshold, format_.underflow_threshold]
    thresholds += [format_.subnormal_threshold]
    crossed = np.array(thresholds, dtype=np.longdouble)[:, np.newaxis]
    x_max, x_min = finite.max(), finite.min()
    with np.errstate(all="ignore"):
        if trial.range.motion is Motion.SCALE:
            t = crossed / np.array([x_max, x_min, x_min - x_max])
        else:
            lse = x_max + np.log(np.sum(np.exp(finite - x_max)))
            t = crossed - np.array([x_max, x_min, lse])
    found: Array = t[np.isfinite(t)]
    return found


def zeros_of(x: Array, range_: Range, function: Function, points: int) -> Array:
    """Return the t next to which the log-sum-exp of the moved x is zero, in float64.

    Parameters
    ----------
    x, range_, function
        See `Trial`. Of another function than the log-sum-exp there are none.
    points : int
        How many t are tried before it is bisected where the sign changes.
    """
    wide = find_format("float64")
    if function is not Function.LOGSUMEXP:
        return np.zeros(0)
    if range_.motion is Motion.OFFSET:
        offset: Array = -exact(function, wide.round(x)[np.newaxis], wide)[0]
        return offset[np.isfinite(offset)]

    def signs_at(points: Array) -> Array:
        moved = moved_by(numbers(points, wide), x, range_.motion, wide)
        value = exact(function, moved, wide)[:, 0]
        signs: Array = np.sign(np.nan_to_num(value)).astype(np.int64)[np.newaxis]
        return signs

    spread = nearest(range_.at(np.linspace(0, 1, points)), wide)
    grid = _in_order(np.array([*spread.tolist(), 0]))
    low, high = _ends(range_, wide)
    grid = grid[(grid >= low) & (grid <= high)]
    changes = find_changes(grid, signs_at(grid), signs_at, room_for(wide, len(x)))
    return numbers(np.array([change.low for change in changes], np.int64), wide)
