"""The grades of numbers that somebody else computed, row by row, against the exact ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.functions import Function, LossFunction, correct_digits, exact, ulp_error

#: The largest errors, in ulps, of the classes of the histogram; the last one has no limit.
EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0, 1e4, 1e6, np.inf)

#: What trainers of reinforcement learning watch: the ratio of two probabilities of one token.
RATIOS = (0.999, 1.002)

#: How many of the worst rows are kept.
_WORST = 5


class Judged(NamedTuple):
    """A number next to the exact one."""

    source: str | None  # where its row came from, as in `Place`
    row: int | tuple[int, ...] | None
    column: str | None
    element: int | None  # of the row, from 1, if it has several numbers
    value: Any
    exact: Any
    ulps: float
    nats: float | None  # how far its logarithm is off; None for a number without one


class Class(NamedTuple):
    """A class of the histogram: numbers that are at most this many ulps off."""

    ulps: float
    numbers: int


@dataclass(frozen=True)
class Audit(Displayed):
    """How good numbers are that somebody else computed.

    Attributes
    ----------
    function : Function or LossFunction
        What they should be.
    source : str or None
        The file of the logits, if there was one.
    format : str
        The floating-point format in which they are graded; logits are rounded to it first.
    rows, numbers : int
        How many rows and numbers there were.
    misrounded, broken : int
        How many numbers are not the nearest of the format, and how many are infinite or NaN where
        the exact one is not, or have no right digit.
    ulps : float
        The largest error, in units in the last place of the exact number.
    digits : float
        How many significant decimal digits are right in the worst number.
    nats : float
        The largest error of a logarithm: of p for softmax, of the number itself otherwise.
    outside : int
        How many ratios of probabilities, e to the power of that error, are not within `RATIOS`.
    histogram : tuple of Class
        The numbers by their errors.
    worst : tuple of Judged
        The worst number of each of the worst rows.
    """

    function: Function | LossFunction
    source: str | None
    format: str
    rows: int
    numbers: int
    misrounded: int
    broken: int
    ulps: float
    digits: float
    nats: float
    outside: int
    histogram: tuple[Class, ...]
    worst: tuple[Judged, ...]

    @property
    def share(self) -> float:
        """The share of misrounded numbers."""
        return self.misrounded / self.numbers


class AuditState:
    """An audit of rows that come in stacks, in constant memory."""

    def __init__(self, function: Function | LossFunction, format_: Format) -> None:
        self.function, self.format = function, format_
        self.rows = self.numbers = self.misrounded = self.broken = self.outside = 0
        self.ulps, self.relative, self.nats = 0.0, 0.0, 0.0
        self.counts = np.zeros(len(EDGES), np.int64)
        self.worst: list[Judged] = []
        self.sources: set[str | None] = set()

    def update(
        self,
        x: Array,
        values: Array,
        place_of: Callable[[int], Place],
        labels: Array | None = None,
    ) -> None:
        """Grade values, shape (m, k), of logits, shape (m, n); k is 1 or n."""
        format_ = self.format
        right, given = _exact(self.function, x, format_, labels), format_.round(values)
        ulps = ulp_error(given, right, format_)
        nats = _nats(self.function, given, right)
        with np.errstate(all="ignore"):
            wide, best = given.astype(np.longdouble), right.astype(np.longdouble)
            error = np.abs(wide - best) / np.abs(best)
            known = np.where(ulps == 0, 0, np.where(np.isnan(error), np.inf, error))
        self.rows += len(x)
        self.numbers += ulps.size
        self.misrounded += int(np.count_nonzero(ulps))
        self.broken += int(np.count_nonzero(ulps >= 2.0 ** (format_.significand_bits - 1)))
        classes = np.searchsorted(EDGES, ulps.ravel(), side="left")
        self.counts += np.bincount(classes, minlength=len(EDGES))
        self.ulps = max(self.ulps, float(ulps.max()))
        self.relative = max(self.relative, float(known.max()))
        some = nats[~np.isnan(nats)]
        self.nats = max(self.nats, float(np.abs(some).max(initial=0)))
        with np.errstate(all="ignore"):
            ratios = np.exp(some)
        self.outside += int(np.count_nonzero((ratios < RATIOS[0]) | (ratios > RATIOS[1])))
        self._keep(ulps, nats, given, right, place_of)

    def _keep(
        self, ulps: Array, nats: Array, given: Array, right: Array, place_of: Callable[[int], Place]
    ) -> None:
        """Keep the worst rows, each with its worst number."""
        most = ulps.max(axis=1)
        self.sources.add(place_of(0).source)
        for row in np.argsort(-most, kind="stable")[:_WORST].tolist():
            if not most[row]:
                break
            at = int(ulps[row].argmax())
            log_error = float(nats[row, at])
            self.worst.append(
                Judged(
                    *place_of(row),
                    element=at + 1 if ulps.shape[1] > 1 else None,
                    value=given[row, at],
                    exact=right[row, at],
                    ulps=float(ulps[row, at]),
                    nats=None if np.isnan(log_error) else abs(log_error),
                )
            )
        self.worst = nlargest(_WORST, self.worst, key=lambda judged: judged.ulps)

    def result(self) -> Audit:
        """Return the audit of the rows so far."""
        digits = correct_digits(np.array([self.relative]), self.format)
        return Audit(
            self.function,
            next(iter(self.sources)) if len(self.sources) == 1 else None,
            self.format.name,
            self.rows,
            self.numbers,
            self.misrounded,
            self.broken,
            self.ulps,
            round(float(digits[0]), 2),
            self.nats,
            self.outside,
            tuple(map(Class, EDGES, self.counts.tolist())),
            tuple(self.worst),
        )


def _exact(
    function: Function | LossFunction, x: Array, format_: Format, labels: Array | None
) -> Array:
    """Return the correctly rounded numbers, shape (m, k)."""
    rounded = format_.round(x)
    if isinstance(function, Function):
        return exact(function, rounded, format_)
    assert labels is not None, "a loss has labels"
    logs = exact(Function.LOG_SOFTMAX, rounded, format_)
    return -np.take_along_axis(logs, labels[:, np.newaxis], axis=1)


def _nats(function: Function | LossFunction, given: Array, right: Array) -> Array:
    """Return the errors of the logarithms; NaN where the exact one is infinite or NaN."""
    with np.errstate(all="ignore"):
        wide, best = given.astype(np.longdouble), right.astype(np.longdouble)
        if function is Function.SOFTMAX:
            wide, best = np.log(wide), np.log(best)
        error = np.where(np.isnan(wide), np.inf, wide - best)
        nats: Array = np.where(wide == best, 0, np.where(np.isfinite(best), error, np.nan))
        return nats.astype(np.float64)


_CONDITION = re.compile(r"(ulp|nats)>(\d+(?:\.\d*)?(?:e-?\d+)?)|(broken)")


class Condition(NamedTuple):
    """What must not occur: a number more than so many ulps or nats off, or a useless one."""

    text: str
    what: str  # ulp, nats or broken
    limit: float

    def occurs(self, audit: Audit) -> bool:
        """Whether it occurs in an audit."""
        worst = {"ulp": audit.ulps, "nats": audit.nats, "broken": audit.broken}
        return worst[self.what] > self.limit


def parse_conditions(texts: Sequence[str]) -> list[Condition]:
    """Return conditions such as ``ulp>4``, or raise ChoiceError."""
    found = []
    for text in (part.strip() for each in texts for part in each.split(",")):
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise ChoiceError(f"unknown condition {text!r}: choose from ulp>N, nats>N, broken")
        found.append(Condition(text, match[1] or match[3], float(match[2] or 0)))
    return found
