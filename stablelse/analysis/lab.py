"""The lab: numbers, a shift and a format that the user moves, and what the methods give."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import Any

import numpy as np

from stablelse.analysis.compare import compare
from stablelse.analysis.results import VERDICTS, Comparison, Verdict
from stablelse.analysis.sweep import Motion, Range, Trial
from stablelse.numerics.formats import Format, find_format, installed_formats, numbers_at, ordinals
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

    def first_entry(self) -> float:
        """Return the naive result, or its first entry."""
        return float(np.atleast_1d(self.comparison().results[0].value)[0])

    def first_overflow(self) -> float:
        """Return the smallest t in x + t at which naive overflows."""
        broken = self.broken("overflow")
        assert broken is not None, "every vector overflows somewhere"
        return broken[1]

    def smallest_shift(self) -> int:
        """Return the smallest whole shift for which shifted is right."""
        shifts = range(int(max(self.x)) - 2000, int(max(self.x)) + 1)
        return shifts[bisect_left(shifts, True, key=lambda a: replace(self, shift=a).is_right(1))]

    def narrowest_format(self) -> str:
        """Return the first format, from narrow to wide, in which naive is right."""
        names = ("float16", "float32", "float64")
        return next(name for name in names if replace(self, format=name).is_right(0))

    def is_right(self, method: int) -> bool:
        """Whether naive (0) or shifted (1) is right."""
        return self.comparison().results[method].verdict is Verdict.RIGHT

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
        shift = self.x[self.selected] - at
        if is_shift and isfinite(shift):
            return replace(self, shift=shift)
        return self if is_shift else self.set(at)

    def at_threshold(self, direction: int) -> State:
        """Return the state with the selected number at the next threshold up (1) or down (-1)."""
        here = self.x[self.selected]
        beyond = [at for at in landmarks(find_format(self.format)) if (at - here) * direction > 0]
        return self.set(min(beyond, key=lambda at: abs(at - here))) if beyond else self

    def next(self, name: str, step: int = 1) -> State:
        """Return the state with the next element, format or function."""
        choices = {"selected": range(len(self.x)), "format": lab_formats(), "function": [*Function]}
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
        trial = Trial(x, Range(Motion.OFFSET, -edge, edge), self.function, every, format_)

        def is_broken(ordinal: int) -> bool:
            verdicts, _ = trial.at(numbers_at(np.array([ordinal]), format_))
            return VERDICTS[int(verdicts[0, 0])] in BREAKS[how]

        finite = x[np.isfinite(x)]  # x + t must fit
        ends = np.array([-edge - finite.min(initial=0), edge - finite.max(initial=0)])
        low, high = (ordinals(format_.round(ends), format_) + np.array([1, -1])).tolist()
        right, broken = (low, high) if how == "overflow" else (high, low)
        if not is_broken(broken):
            return None
        if is_broken(right):
            broken = right
        while abs(broken - right) > 1:  # it breaks from some t on
            middle = (right + broken) // 2
            right, broken = (right, middle) if is_broken(middle) else (middle, broken)
        t = numbers_at(np.array([broken]), format_)
        with np.errstate(all="ignore"):
            moved = format_.round(x) + t
        return self.with_numbers(moved.astype(float).tolist()), float(t[0])


def lab_formats() -> list[str]:
    """Return the formats of the lab: float64, in which x is held, and narrower installed ones."""
    return [f.name for f in installed_formats() if f.name != "longdouble"][::-1]


def landmarks(format_: Format) -> list[float]:
    """Return where e^x changes in a format, upward, with the number on either side of each end."""
    low, high, largest = format_.underflow_threshold, format_.overflow_threshold, format_.largest
    below, above = np.nextafter(low, -largest), np.nextafter(high, largest)
    return list(map(float, (below, low, format_.subnormal_threshold, 0, high, above)))


def _sum(x: float, step: float) -> float:
    return float(Decimal(repr(x)) + Decimal(repr(step))) if isfinite(x) else x
