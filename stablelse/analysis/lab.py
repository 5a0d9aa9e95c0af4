"""The lab: numbers, a shift and a format that the user moves, and what the methods give."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import compare
from stablelse.analysis.results import VERDICTS, Comparison, Verdict
from stablelse.analysis.sweep import Motion, Range, Samples, Trial
from stablelse.numerics.formats import (
    ALIASES,
    Array,
    Format,
    find_format,
    installed_formats,
    numbers,
    ordinals,
)
from stablelse.numerics.formulas import Method, candidates
from stablelse.numerics.functions import Function, does_not_fit

#: How a naive result breaks when all numbers move up, or down.
BREAKS = {
    "overflow": (Verdict.OVERFLOW, Verdict.DOES_NOT_FIT, Verdict.NAN),
    "underflow": (Verdict.UNDERFLOW,),
}

#: The longest vector of the lab: its results take some 20 times the memory of its numbers.
LONGEST = 1 << 18


@dataclass(frozen=True)
class State:
    """What the user has set; every move returns another state.

    `x` are the numbers before they are rounded to the format, and `shift` is ``max`` or a number.
    Numbers move in decimal, so that 0.1 + 1 - 1 is 0.1 again.
    """

    x: tuple[float, ...]
    function: Function = Function.LOGSUMEXP
    format: str = "float64"
    shift: str | float = "max"
    selected: int = 0

    @property
    def a(self) -> float:
        """The shift as a number."""
        return max(self.x) if self.shift == "max" else float(self.shift)

    @property
    def exponents(self) -> list[float]:
        """The numbers minus the shift."""
        return [x - self.a for x in self.x]

    def comparison(self) -> Comparison:
        """Return what naive and shifted give."""
        x = np.array(self.x)
        return compare(
            x, self.function.value, shifts=(self.shift,), formats=(self.format,), errors=False
        )

    def with_numbers(self, x: Sequence[float]) -> State:
        """Return the state with other numbers."""
        return replace(self, x=tuple(x), selected=min(self.selected, len(x) - 1))

    def set(self, value: float) -> State:
        """Return the state with another value of the selected number."""
        return self.with_numbers((*self.x[: self.selected], value, *self.x[self.selected + 1 :]))

    def moved(self, step: float) -> State:
        """Return the state with the selected number moved."""
        return self.set(_sum(self.x[self.selected], step))

    def all_moved(self, step: float) -> State:
        """Return the state with all numbers moved."""
        return self.with_numbers([_sum(x, step) for x in self.x])

    def shift_moved(self, step: float) -> State:
        """Return the state with the shift moved; an infinite or unknown one starts at 0."""
        return replace(self, shift=_sum(self.a if isfinite(self.a) else 0.0, step))

    def dragged(self, at: float, is_shift: bool) -> State:
        """Return the state with the selected number there, or its distance from the shift."""
        at = float(f"{at:.{2 + (abs(at) >= 100)}g}")  # a place on a screen has few digits
        return replace(self, shift=self.x[self.selected] - at) if is_shift else self.set(at)

    def at_threshold(self, direction: int) -> State:
        """Return the state with the selected number at the next threshold up (1) or down (-1)."""
        here = self.x[self.selected]
        beyond = [at for at in thresholds(find_format(self.format)) if (at - here) * direction > 0]
        return self.set(min(beyond, key=lambda at: abs(at - here))) if beyond else self

    def next(self, name: str, step: int = 1) -> State:
        """Return the state with the next element, format or function."""
        choices = {"selected": range(len(self.x)), "format": formats(), "function": [*Function]}
        every: Sequence[Any] = choices[name]
        at = (every.index(getattr(self, name)) + step) % len(every)
        return replace(self, **{name: every[at]})

    def broken(self, how: str) -> tuple[State, float] | None:
        """Move all numbers to where the naive method first breaks, one of `BREAKS`.

        Returns the state and the first t, the smallest for overflow and the largest for underflow,
        in x + t, all three in the format; None if no t breaks it, or x does not fit the format.
        """
        format_, x = find_format(self.format), np.array(self.x)
        if does_not_fit(x, format_.round(x)).any():
            return None
        edge = float(format_.largest)
        every = candidates(self.function, [Method.NAIVE], ())
        offsets = Range(Motion.OFFSET, -edge, edge)
        trial = Trial(x, offsets, self.function, every, format_)
        wanted = [VERDICTS.index(verdict) for verdict in BREAKS[how]]

        def is_broken(points: Array) -> Array:
            verdicts = trial.at(numbers(points, format_))[0]
            return np.isin(verdicts.astype(int), wanted)

        samples = Samples(is_broken, trial.room)
        finite = x[np.isfinite(x)]  # x + t must fit
        ends = np.array([-edge - finite.min(initial=0), edge - finite.max(initial=0)])
        low, high = ordinals(format_.round(ends), format_) + np.array([1, -1])
        samples.add(np.array([low, 0, high]))
        samples.locate()
        broken = samples.points[samples.outcomes[0]]
        if not broken.size:
            return None
        t = numbers(broken[:1] if how == "overflow" else broken[-1:], format_)
        with np.errstate(all="ignore"):
            moved = format_.round(x) + t
        return self.with_numbers(moved.astype(float).tolist()), float(t[0])


def formats() -> list[str]:
    """Return the formats of the lab: float64, in which x is held, and narrower installed ones."""
    return [f.name for f in installed_formats() if f.name != "longdouble"][::-1]


def thresholds(format_: Format) -> list[float]:
    """Return where e^x changes in a format, upward, with the number on either side of each end."""
    low, high, largest = format_.underflow_threshold, format_.overflow_threshold, format_.largest
    below, above = np.nextafter(low, -largest), np.nextafter(high, largest)
    return list(map(float, (below, low, format_.subnormal_threshold, 0, high, above)))


def _sum(x: float, step: float) -> float:
    return float(Decimal(repr(x)) + Decimal(repr(step))) if isfinite(x) else x


class Question(Enum):
    """What an exercise asks about its state."""

    NAIVE = "naive"  # the naive result
    OVERFLOW = "overflow"  # the first t in x + t at which naive overflows
    SHIFT = "shift"  # the smallest whole shift with which shifted does not overflow
    FORMAT = "format"  # the first format, from narrow to wide, in which naive is right


class Exercise(NamedTuple):
    """A question about a state; of a vector's results, about the first."""

    state: State
    question: Question

    @property
    def answer(self) -> float | str:
        """The true answer, computed."""
        state = self.state
        if self.question is Question.OVERFLOW:
            broken = state.broken("overflow")
            assert broken is not None, "every vector overflows somewhere"
            return broken[1]
        if self.question is Question.SHIFT:
            shifts = range(int(max(state.x)) - 2000, int(max(state.x)) + 1)
            found = bisect_left(shifts, True, key=lambda a: _is_right(replace(state, shift=a), 1))
            return shifts[found]
        if self.question is Question.FORMAT:
            names = ("float16", "float32", "float64")
            return next(f for f in names if _is_right(replace(state, format=f), 0))
        return float(np.atleast_1d(state.comparison().results[0].value)[0])

    def accepts(self, text: str) -> bool:
        """Return whether an answer is right: to 1 % if it is a number."""
        answer, given = self.answer, text.strip().lower()
        if isinstance(answer, str):
            return ALIASES.get(given, given) == answer
        try:
            number = float(given.replace("∞", "inf").replace("−", "-"))
        except ValueError:
            return False
        return bool(np.isclose(number, answer, rtol=0.01, atol=0, equal_nan=True))


def _is_right(state: State, which: int) -> bool:
    """Whether naive (0) or shifted (1) is right."""
    return state.comparison().results[which].verdict is Verdict.RIGHT


#: The exercises of the lesson in the guide, in its order.
EXERCISES = (
    Exercise(State((1000.0, 1001.0, 1002.0)), Question.NAIVE),
    Exercise(State((-1000.0, -1001.0), Function.SOFTMAX), Question.NAIVE),
    Exercise(State((1.0, 2.0, 3.0), format="float16"), Question.OVERFLOW),
    Exercise(State((1000.0, 1001.0, 1002.0)), Question.SHIFT),
    Exercise(State((40.0, 41.0)), Question.FORMAT),
)
