"""Many comparisons in bounded memory: those worth showing, and what became of all."""

from __future__ import annotations

from collections import Counter

import numpy as np

from stablelse.analysis.display import Displayed
from stablelse.analysis.results import (
    BROKEN,
    NOWHERE,
    Comparison,
    MethodResult,
    Place,
    Places,
    Total,
    Verdict,
)

#: So many vectors are kept, all of them: nobody reads more.
_MOST = 1000

#: Of more, or of so many numbers, the first ones are kept, and the first ones that broke.
_FIRST = 20
_MOST_NUMBERS = 2**20

#: So many places are kept of each kind of trouble.
_PLACES = 5


class Tally(Displayed):
    """Counts what became of every method, and keeps some of the vectors.

    Parameters
    ----------
    every : bool
        Whether all vectors are kept, however many there are.

    Attributes
    ----------
    count : int
        The vectors so far.
    """

    def __init__(self, every: bool = False) -> None:
        self.count = 0
        self._every = every
        self._worst: Comparison | None = None
        self._counts: list[_Count] = []
        self._kept: list[Comparison] = []
        self._broken: list[Comparison] = []
        self._numbers = 0
        self._is_full = False

    def add(self, comparison: Comparison) -> None:
        """Count one more, of the same function, methods and formats."""
        self.count += 1
        self._numbers += comparison.n
        self._counts = self._counts or [_Count(result) for result in comparison.results]
        for count, result in zip(self._counts, comparison.results, strict=True):
            count.add(result, comparison)
        if self._worst is None or badness(comparison) > badness(self._worst):
            self._worst = comparison
        if not self._is_full:
            self._kept.append(comparison)
            too_many = self.count > _MOST or self._numbers > _MOST_NUMBERS
            if too_many and not self._every and self.count > 2 * _FIRST:
                self._is_full = True
                self._broken = [c for c in self._kept[_FIRST:] if _is_broken(c)][:_FIRST]
                del self._kept[_FIRST:]
        elif len(self._broken) < _FIRST and _is_broken(comparison):
            self._broken.append(comparison)

    @property
    def comparisons(self) -> list[Comparison]:
        """Those kept: all, or the first ones, the first ones that broke, and the worst."""
        found = self._kept + self._broken
        is_there = self._worst is None or any(c is self._worst for c in found)
        return found if is_there or self._worst is None else [*found, self._worst]

    @property
    def left_out(self) -> int:
        """How many are not kept."""
        return self.count - len(self.comparisons)

    @property
    def verdicts(self) -> list[Counter[Verdict]]:
        """For each result of a comparison how often there was which verdict."""
        return [count.verdicts for count in self._counts]

    @property
    def totals(self) -> list[Total]:
        """For each result of a comparison what became of all vectors."""
        return [count.total() for count in self._counts]


class _Count:
    """Counts what became of one method in one format."""

    def __init__(self, first: MethodResult) -> None:
        self._name = first.method, first.format, first.shift
        self.verdicts: Counter[Verdict] = Counter()
        self._infinite, self._nan = NOWHERE, NOWHERE
        self._worst: float | None = None

    def add(self, result: MethodResult, comparison: Comparison) -> None:
        """Count one more."""
        self.verdicts[result.verdict] += 1
        if result.ulps is not None and result.ulps < np.inf:
            self._worst = max(self._worst or 0.0, result.ulps)
        if not np.isfinite(result.value).all():
            place = Place(comparison.source, comparison.row, comparison.column)
            if np.isnan(result.value).any():
                self._nan = _one_more(self._nan, place)
            else:
                self._infinite = _one_more(self._infinite, place)

    def total(self) -> Total:
        """Return what became of all vectors so far."""
        return Total(
            *self._name,
            right=self.verdicts[Verdict.RIGHT],
            digits_lost=self.verdicts[Verdict.DIGITS_LOST],
            broken=sum(self.verdicts[verdict] for verdict in BROKEN),
            infinite=self._infinite,
            nan=self._nan,
            worst=self._worst,
        )


def _one_more(places: Places, place: Place) -> Places:
    room = len(places.first) < _PLACES
    return Places(places.occurrences + 1, (*places.first, place) if room else places.first)


def badness(comparison: Comparison) -> tuple[int, int, float]:
    """Return what puts vectors in order: methods broken, elements that broke them, error."""
    results = comparison.results
    broken = sum(result.verdict.is_broken for result in results)
    found = [f.occurrences for r in results for f in r.findings if not f.harmless]
    lost = [r.ulps for r in results if r.verdict is Verdict.DIGITS_LOST and r.ulps is not None]
    return broken, max(found, default=0) if broken else 0, max(lost, default=0.0)


def _is_broken(comparison: Comparison) -> bool:
    return any(result.verdict.is_broken for result in comparison.results)
