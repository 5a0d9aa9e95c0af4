"""What becomes of the methods where x is moved by one t or another, in one format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.detect import kinds
from stablelse.analysis.findings import DIGIT, FindingKind
from stablelse.analysis.results import departures
from stablelse.analysis.survival import STATES, Motion, Range, State
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.formula import Evaluation, Method
from stablelse.numerics.formulas.methods import Candidate
from stablelse.numerics.functions import Function, exact, library

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

_PLACES = {state: place for place, state in enumerate(STATES)}


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
    states : ndarray of int
        Shape (c, m): places in `STATES`.
    ulps : ndarray of float64
        Shape (c, m): the largest error of each result, infinite where it is ruined.
    """

    states: Array
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
        lost = (np.isfinite(self.x) & ~np.isfinite(moved)).any(axis=-1)
        states, ulps = [], []
        for candidate in self.candidates:
            value, evaluation = self._evaluate(candidate, moved, right)
            error = ulp_error(value, right, self.format).max(axis=-1)
            state = self._states(value, right, error, evaluation)
            states.append(np.where(lost, _PLACES[State.OUT_OF_RANGE], state))
            ulps.append(error)
        return Outcomes(np.array(states), np.array(ulps))

    def _evaluate(
        self, candidate: Candidate, moved: Array, right: Array
    ) -> tuple[Array, Evaluation | None]:
        if candidate.formula is not None:
            rule = candidate.shift.rule if candidate.shift else None
            evaluation = candidate.formula.evaluate(moved, self.format, rule)
            return evaluation.value, evaluation
        if candidate.method is Method.EXACT:
            return right, None
        return library(self.function, moved, self.format), None

    def _states(
        self, value: Array, right: Array, error: Array, evaluation: Evaluation | None
    ) -> Array:
        """Return the places of the states of results, shape (m, k), whose errors are known."""
        ruined, vanished = departures(value, right, self.format)
        if self.function is Function.SOFTMAX:
            ruined |= vanished  # a logarithm may be zero for want of digits alone
        state = np.where(error < DIGIT, _PLACES[State.RIGHT], _PLACES[State.DIGITS_LOST])
        if not ruined.any():
            return state
        return np.where(ruined, _causes(value, evaluation), state)


#: What ruins a result, by what was found in its evaluation.
_RUIN: dict[FindingKind, State] = {
    FindingKind.OVERFLOW: State.OVERFLOW,
    FindingKind.TERM_UNDERFLOW: State.UNDERFLOW,
    FindingKind.QUOTIENT_UNDERFLOW: State.UNDERFLOW,
}


def _causes(value: Array, evaluation: Evaluation | None) -> Array:
    """Return for each result what ruined it, if it is ruined: the worse, where there are two."""
    has_nan, too_large = np.isnan(value).any(axis=-1), (value == np.inf).any(axis=-1)
    cause: Array = np.where(has_nan, _PLACES[State.NAN], _PLACES[State.UNDERFLOW])
    cause = np.where(too_large & ~has_nan, _PLACES[State.OVERFLOW], cause)
    found: dict[State, Any] = {State.UNDERFLOW: False, State.OVERFLOW: False}
    for kind, where in kinds(evaluation) if evaluation is not None else ():
        if kind in _RUIN:
            found[_RUIN[kind]] |= where
    for state, where in found.items():
        cause = np.where(where, _PLACES[state], cause)
    return cause
