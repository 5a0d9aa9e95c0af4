"""What becomes of the methods where x is moved by one t or another, in one format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stablelse.analysis.survival import Motion, Range
from stablelse.analysis.verdicts import does_not_fit, judge
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import Candidate
from stablelse.numerics.functions import Function, exact

#: How many elements are computed at once: bounds the memory that intermediate results take.
_BATCH = 1 << 18

#: How t is applied to x, both of the format: the sum or product is rounded to it once.
MOVES: dict[Motion, Callable[[Array, Array], Array]] = {
    Motion.OFFSET: np.add,
    Motion.SCALE: np.multiply,
}

#: How many elements take about as long as the call that computes them.
_ROOM = 1 << 14

#: How many times as long an exact result takes in decimal arithmetic, which all results take that
#: are wider than float64.
_DECIMAL, _LADDER_BITS = 1000, 53


def moved_by(t: Array, x: Array, motion: Motion, format_: Format) -> Array:
    """Return x as each t makes it, shape (m, n), in the format of t; x is rounded to that first."""
    with np.errstate(all="ignore"):
        moved: Array = MOVES[motion](format_.round(x), t[:, np.newaxis])
    return moved


def room_for(format_: Format, n: int) -> int:
    """Return how many t are tried on n numbers in about the time that a single one takes."""
    in_decimal = format_.significand_bits > _LADDER_BITS
    return max(1, _ROOM // n // (_DECIMAL if in_decimal else 1))


class Outcomes(NamedTuple):
    """What became of c methods at m values of t.

    Attributes
    ----------
    verdicts : ndarray of int
        Shape (c, m): places in `VERDICTS`.
    ulps : ndarray of float64
        Shape (c, m): the largest error of each result, infinite where it is ruined.
    """

    verdicts: Array
    ulps: Array


class Trial(NamedTuple):
    """The methods to be tried on a vector in one format.

    Attributes
    ----------
    x : ndarray
        Shape (n,), before it is rounded to the format.
    range : Range
        Where t goes, and what it does to x.
    function : Function
        What is computed.
    candidates : sequence of Candidate
        How.
    format : Format
        What everything is rounded to: x, t, the moved x and every operation.
    """

    x: Array
    range: Range
    function: Function
    candidates: Sequence[Candidate]
    format: Format

    def at(self, t: Array) -> Outcomes:
        """Try the methods where x is moved by each t, shape (m,), of the format."""
        rows = max(1, _BATCH // len(self.x))
        with np.errstate(all="ignore"):  # ml_dtypes even warns of a NaN in isfinite
            parts = [self._at(t[begin : begin + rows]) for begin in range(0, len(t), rows)]
        return Outcomes(*(np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))

    def _at(self, t: Array) -> Outcomes:
        moved = moved_by(t, self.x, self.range.motion, self.format)
        right = exact(self.function, moved, self.format)
        unfit = does_not_fit(self.x, moved)
        found = [self._judged(candidate, moved, right, unfit) for candidate in self.candidates]
        return Outcomes(*map(np.array, zip(*found, strict=True)))

    def _judged(
        self, candidate: Candidate, moved: Array, right: Array, unfit: Array
    ) -> tuple[Array, Array]:
        """Return the verdicts on a method, and its errors, where x is moved to the rows given."""
        if candidate.formula is not None:
            rule = candidate.shift.rule if candidate.shift else None
            evaluation = candidate.formula.evaluate(moved, self.format, rule)
            value, evaluated = evaluation.value, evaluation.row
            return judge(value, right, self.format, self.function, unfit, evaluated)
        return judge(right, right, self.format, self.function, unfit)
