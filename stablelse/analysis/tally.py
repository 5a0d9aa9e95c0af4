"""Many comparisons in bounded memory: those worth showing, and counts of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.compare import Compared
from stablelse.analysis.results import BROKEN, VERDICTS, Comparison, Verdict
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function, LossFunction

#: Up to this many vectors, all are kept: nobody reads more.
_MOST = 1000

#: Beyond that, or this many numbers, the first ones are kept, and the first ones that broke.
_FIRST = 20
_MOST_NUMBERS = 2**20


@dataclass(eq=False)
class Total:
    """The counts of one method in one format on many vectors; `value` is the reduced loss."""

    method: Method
    format: str
    shift: str | None
    value: Any = None
    ulps: float | None = None
    verdict: Verdict | None = None
    right: int = 0
    digits_lost: int = 0
    broken: int = 0
    worst: float | None = None
    verdicts: Counter[Verdict] = field(default_factory=Counter, repr=False)

    def add(self, verdicts: Array, ulps: Array) -> None:
        """Count the method's results on some vectors."""
        for code, count in zip(*np.unique(verdicts, return_counts=True), strict=True):
            self.verdicts[VERDICTS[code]] += int(count)
        self.right, self.digits_lost = (self.verdicts[verdict] for verdict in VERDICTS[:2])
        self.broken = sum(self.verdicts[verdict] for verdict in BROKEN)
        known = ulps[ulps < np.inf]
        if known.size:
            self.worst = max(self.worst or 0.0, float(known.max()))


@dataclass(frozen=True, eq=False)
class Summary(Displayed):
    """All methods on many vectors: totals, and the vectors worth showing, with their badness."""

    function: Function | LossFunction | None
    reduction: str
    vectors: int
    ignored: int
    totals: tuple[Total, ...]
    comparisons: tuple[Comparison, ...] = field(repr=False)
    badness: tuple[list[float], ...] = field(repr=False)


class Tally:
    """Counts the results of all methods, and keeps some of the vectors, or all of them."""

    def __init__(self, every: bool = False) -> None:
        self._every = every
        self._count = self._numbers = 0
        self._totals: list[Total] = []
        self._kept: dict[int, tuple[Comparison, list[float]]] = {}
        self._broken: list[int] = []
        self._worst: dict[int, tuple[Comparison, list[float]]] = {}

    def add(self, found: Sequence[Comparison]) -> Sequence[Comparison]:
        """Count compared rows, or one vector, of one function by the same methods; return them.

        All are kept; if they are too many, the first ones, the first ones that broke, and the
        worst.
        """
        if isinstance(found, Compared):
            x, names = found.x, [column.name for column in found.columns]
            verdicts = np.array([column.verdicts for column in found.columns])
            ulps = np.array([column.ulps for column in found.columns])
        else:
            (one,) = found
            x = one.x[np.newaxis] if one.is_whole else np.array([[one.minimum, one.maximum]])
            names = [(result.method, result.format, result.shift) for result in one.results]
            verdicts = np.array([[VERDICTS.index(result.verdict)] for result in one.results])
            ulps = np.array([[result.ulps] for result in one.results], float)
        self._totals = self._totals or [Total(*name) for name in names]
        for total, *facts in zip(self._totals, verdicts, ulps, strict=True):
            total.add(*facts)
        before = self._count
        self._count += len(found)
        self._numbers += len(found) * found[0].n
        badness, rows = _badness(verdicts, ulps, x), np.arange(len(found))

        def pair(place: int) -> tuple[Comparison, list[float]]:
            return found[place - before], badness[place - before].tolist()

        broken = before + np.flatnonzero(badness[:, 0])
        self._broken = [*self._broken, *broken[broken >= _FIRST][:_FIRST].tolist()][:_FIRST]
        for keys in badness.T:
            rows = rows[keys[rows] == keys[rows].max()]
        worst = before + int(rows[0])  # the first of equally bad ones
        if all(pair(worst)[1] > other for _, other in self._worst.values()):
            self._worst = {worst: pair(worst)}
        wanted: Sequence[int] = range(before, self._count)
        is_too_many = self._count > _MOST or self._numbers > _MOST_NUMBERS
        if is_too_many and not self._every and self._count > 2 * _FIRST:
            wanted = [*range(_FIRST), *self._broken]
            self._kept = {place: self._kept[place] for place in self._kept if place in wanted}
        self._kept |= {place: pair(place) for place in wanted if place >= before}
        return found

    def summary(self) -> Summary:
        """Return the results of all vectors so far."""
        kept = (self._kept | self._worst).values()
        comparisons = tuple(comparison for comparison, _ in kept)
        return Summary(
            function=comparisons[0].function if comparisons else None,
            reduction="none",
            vectors=self._count,
            ignored=0,
            totals=tuple(self._totals),
            comparisons=comparisons,
            badness=tuple(badness for _, badness in kept),
        )


def _badness(verdicts: Array, ulps: Array, x: Array) -> Array:
    """Return the sort keys of m rows: methods broken, size of the largest number, error: (m, 3)."""
    broken = (verdicts >= VERDICTS.index(BROKEN[0])).sum(axis=0)
    with np.errstate(all="ignore"):
        sizes = np.abs(x.max(axis=-1).astype(np.float64))
    sizes[np.isnan(sizes)] = np.inf
    is_lost = verdicts == VERDICTS.index(Verdict.DIGITS_LOST)
    lost = np.where(is_lost, np.nan_to_num(ulps), 0).max(axis=0)
    return np.stack([broken, np.where(broken > 0, sizes, 0), lost], axis=-1)
