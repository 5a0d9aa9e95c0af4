"""The grades of numbers that somebody else computed, row by row, against the exact ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.analysis.results import Condition
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.functions import (
    Function,
    LossFunction,
    correct_digits,
    does_not_fit,
    exact_values,
    relative_error,
    ulp_error,
)
from stablelse.printable import printable

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
    nats: float  # how far its logarithm is off


class Class(NamedTuple):
    """A class of the histogram: numbers that are at most this many ulps off."""

    ulps: float
    numbers: int


@dataclass(eq=False)
class Audit(Displayed):
    """How good numbers are that somebody else computed; more come with `update`, in stacks."""

    function: Function | LossFunction  # what they should be
    source: str | None = field(default=None, init=False)  # the file of the logits
    format: str  # in which they are graded; logits are rounded to it first
    rows: int = 0
    numbers: int = 0
    misrounded: int = 0  # not the nearest of the format
    broken: int = 0  # infinite or NaN where the exact one is not, or without a right digit
    ulps: float = 0.0  # the largest error, in units in the last place of the exact number
    digits: float = np.inf  # significant decimal digits that are right in the worst number
    nats: float = 0.0  # the largest error of a logarithm: of p for softmax, of the number otherwise
    outside: int = 0  # ratios of probabilities, e to the power of that error, not within `RATIOS`
    histogram: tuple[Class, ...] = tuple(Class(edge, 0) for edge in EDGES)
    worst: tuple[Judged, ...] = ()  # the worst number of each of the worst rows

    def update(
        self,
        x: Array,
        values: Array,
        place_of: Callable[[int], Place],
        labels: Array | None = None,
        ignore_index: int = -100,
    ) -> None:
        """Grade values, shape (m, k), of logits, shape (m, n), unless ignored; k is 1 or n."""
        if labels is not None:
            kept = np.flatnonzero(labels != ignore_index)
            places = list(map(place_of, kept.tolist()))
            x, values, labels, place_of = x[kept], values[kept], labels[kept], places.__getitem__
        if not len(x):
            return
        format_, source = FORMATS[self.format], place_of(0).source
        right = _exact(self.function, rows_in(x, format_, place_of), format_, labels)
        given = format_.round(values)
        ulps = ulp_error(given, right, format_)
        relative = relative_error(given.reshape(-1, 1), right.reshape(-1, 1))
        nats = _nats(self.function, given, right, format_)
        with np.errstate(all="ignore"):
            ratios = np.exp(nats)
        self.source = source if not self.rows or source == self.source else None
        self.rows += len(x)
        self.numbers += ulps.size
        self.misrounded += int(np.count_nonzero(ulps))
        self.broken += int(np.count_nonzero(ulps >= 2.0 ** (format_.significand_bits - 1)))
        self.ulps = max(self.ulps, float(ulps.max()))
        digits = correct_digits(relative.max(keepdims=True), format_)
        self.digits = min(self.digits, round(float(digits[0]), 2))
        self.nats = max(self.nats, float(np.abs(nats).max()))
        self.outside += int(np.count_nonzero((ratios < RATIOS[0]) | (ratios > RATIOS[1])))
        classes = np.searchsorted(EDGES, ulps.ravel(), side="left")
        counts = np.bincount(classes, minlength=len(EDGES)).tolist()
        self.histogram = tuple(
            Class(edge, before + more)
            for (edge, before), more in zip(self.histogram, counts, strict=True)
        )
        worst = self._worst(ulps, nats, given, right, place_of)
        self.worst = tuple(nlargest(_WORST, [*self.worst, *worst], key=lambda judged: judged.ulps))

    def _worst(
        self, ulps: Array, nats: Array, given: Array, right: Array, place_of: Callable[[int], Place]
    ) -> Iterator[Judged]:
        """Yield the worst number of each of the worst rows."""
        entries = ulps.argmax(axis=1)
        for row in np.argsort(-ulps.max(axis=1), kind="stable")[:_WORST].tolist():
            if ulps[row, at := int(entries[row])]:
                yield Judged(
                    *place_of(row),
                    element=at + 1 if ulps.shape[1] > 1 else None,
                    value=given[row, at],
                    exact=right[row, at],
                    ulps=float(ulps[row, at]),
                    nats=abs(float(nats[row, at])),
                )

    def has(self, condition: Condition) -> bool:
        """Whether something occurs: a number that is so many ulps or nats off, or a useless one."""
        worst = {"ulp": self.ulps, "nats": self.nats, "broken": self.broken}
        return worst[condition.name] > (condition.limit or 0)


def rows_in(x: Array, format_: Format, place_of: Callable[[int], Place]) -> Array:
    """Return rows in a format, which must hold them: nobody else is asked about infinity."""
    fitting = format_.round(x)
    unfit = does_not_fit(x, fitting)
    if unfit.any():
        row = int(unfit.argmax())
        element = int((np.isfinite(x[row]) & ~np.isfinite(fitting[row])).argmax())
        source, number, column = place_of(row)
        parts = [source, number and f"row {number}", column and f"column {column}"]
        named = ", ".join([*(printable(part) for part in parts if part), f"x_{element + 1}"])
        value = str(x[row, element])
        raise ChoiceError(
            f"{named} is {value}, which does not fit {format_.name}: choose another format"
        )
    return fitting


def _exact(
    function: Function | LossFunction, x: Array, format_: Format, labels: Array | None
) -> Array:
    """Return the correctly rounded numbers, shape (m, k)."""
    if isinstance(function, Function):
        return exact_values(function, x, format_)
    assert labels is not None, "a loss has labels"
    logs = exact_values(Function.LOG_SOFTMAX, x, format_)
    return -np.take_along_axis(logs, labels[:, np.newaxis], axis=1)


def _nats(function: Function | LossFunction, given: Array, right: Array, format_: Format) -> Array:
    """Return the errors of the logarithms; infinite if only one of both is infinite or NaN."""
    with np.errstate(all="ignore"):
        wide, best = given.astype(np.longdouble), right.astype(np.longdouble)
        is_same = (wide == best) | (np.isnan(wide) & np.isnan(best))
        if function is Function.SOFTMAX:  # what rounds to 0 is at most half the smallest number
            least = np.longdouble(format_.smallest_subnormal) / 2
            wide, best = np.log(wide), np.log(np.where(best == 0, least, best))
        error = wide - best
        nats: Array = np.where(is_same, 0, np.where(np.isnan(error), np.inf, error))
        return nats.astype(np.float64)
