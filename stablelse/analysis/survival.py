"""What a sweep found: where each method is right as x moves, and where it changes, as facts."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.display import Displayed
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas.formula import Method, SweepError
from stablelse.numerics.functions import Function


class Motion(Enum):
    """What becomes of x."""

    OFFSET = "offset"
    """x + t: moved."""
    SCALE = "scale"
    """t x, t > 0: stretched."""


class Range(NamedTuple):
    """Where t goes.

    Attributes
    ----------
    motion : Motion
        What t does to x.
    start, end : float
        Finite, the first below the second; of a scale both positive. See `Range.checked`.
    """

    motion: Motion
    start: float
    end: float

    @classmethod
    def checked(cls, motion: Motion, start: float, end: float) -> Range:
        """Return a range, if it is one.

        Raises
        ------
        SweepError
            If an end is not finite, nothing is between them, or a scale is not positive.
        """
        range_ = cls(motion, float(start), float(end))
        told = f"the {range_}"
        if not (np.isfinite(start) and np.isfinite(end)):
            raise SweepError(f"{told} must have two finite ends")
        if start >= end:
            raise SweepError(f"{told} is empty: the first end must be smaller than the second")
        if motion is Motion.SCALE and start <= 0:
            raise SweepError(f"{told} must be positive: from 1e-3, say")
        return range_

    def __str__(self) -> str:
        return f"{self.motion.value} {self.start:g}:{self.end:g}"

    @classmethod
    def parsed(cls, motion: Motion, text: str) -> Range:
        """Return the range that a text such as ``-1000:1000`` names.

        Raises
        ------
        SweepError
            If it names none; see `checked`.
        """
        try:  # underscores make no numbers, but the sign that is typeset for a minus does
            start, end = (float(t.replace("_", "?").replace("−", "-")) for t in text.split(":"))
        except ValueError:
            raise SweepError(
                f"the {motion.value} {text!r} is not a range: give two numbers, as in 1:1000"
            ) from None
        return cls.checked(motion, start, end)

    def along(self, t: Array) -> Array:
        """Return where each t lies on an axis from 0, the start, to 1: logarithmic for a scale."""
        wide = np.asarray(t).astype(np.longdouble)
        ends = np.array([self.start, self.end], np.longdouble)
        if self.motion is Motion.SCALE:
            ends, wide = np.log(ends), np.log(wide)
        else:  # to about 1, for the range may be wider than the largest number
            _, exponent = np.frexp(np.abs(ends).max())
            ends, wide = np.ldexp(ends, -exponent), np.ldexp(wide, -exponent)
        low, high = ends
        place: Array = ((wide - low) / (high - low)).astype(np.float64)
        return place

    def at(self, place: Array) -> Array:
        """Return the t at a place on the axis: the inverse of `along`, in longdouble."""
        fraction = np.asarray(place).astype(np.longdouble)
        t: Array
        if self.motion is Motion.SCALE:
            t = np.longdouble(self.start) ** (1 - fraction) * np.longdouble(self.end) ** fraction
        else:
            t = self.start * (1 - fraction) + self.end * fraction
        return t


class Segment(NamedTuple):
    """A stretch of t on which a method in a format has one verdict.

    Attributes
    ----------
    format : str
        Of x, t, the moved x, and every operation.
    method : Method
        How the result was computed.
    shift : str or None
        How the a of the identity was chosen; ``None`` for a formula that has none.
    verdict : Verdict
        At both ends, and at every t that was tried in between; see `sweep`. Where digits are
        lost, or all are wrong, some results may be better by chance, with no wider gap than a
        200th of the range.
    first, last : scalar
        The first and the last t, in the format. The number next to `last` is the `first` of the
        following segment: where the verdict changes, there is no number in between.
    ulps : float or None
        The largest error found there, in units in the last place of the exact result; ``None``
        where the result is ruined.
    tried : int
        How many t were tried there.
    every : bool
        Whether the format has no other t there: then the verdict is proved.
    """

    format: str
    method: Method
    shift: str | None
    verdict: Verdict
    first: Any
    last: Any
    ulps: float | None
    tried: int
    every: bool


class _Sweep(NamedTuple):
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


class Sweep(Displayed, _Sweep):
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
        For each format, for each method, and upward in t.
    x : ndarray
        Shape (n,): the vector before it was moved, and rounded to any format.
    """

    __slots__ = ()

    @property
    def range(self) -> Range:
        """Where t went."""
        return Range(self.motion, self.start, self.end)
