"""Many comparisons in bounded memory: those worth showing, and the verdicts on all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from stablelse.analysis.display import Displayed
from stablelse.analysis.results import Verdict


class Judged(Protocol):
    """What was found of one vector, by several methods."""

    @property
    def n(self) -> int:
        """The number of elements."""

    @property
    def results(self) -> Sequence[Any]:
        """A result a method, each with its verdict."""


Found = TypeVar("Found", bound=Judged)

#: So many vectors are kept, all of them: nobody reads more.
_MOST = 1000

#: Of more, or of so many numbers, the first ones are kept, and the first ones that broke.
_FIRST = 20
_MOST_NUMBERS = 2**20


class Tally(Displayed, Generic[Found]):
    """Counts what became of every method, and keeps some of the vectors.

    Attributes
    ----------
    count : int
        The vectors so far.
    verdicts : list of Counter
        For each result of a comparison how often there was which verdict.
    """

    def __init__(self) -> None:
        self.count = 0
        self.verdicts: list[Counter[Verdict]] = []
        self._kept: list[Found] = []
        self._broken: list[Found] = []
        self._numbers = 0
        self._is_full = False

    def add(self, comparison: Found) -> None:
        """Count one more, of the same function, methods and formats."""
        self.count += 1
        self._numbers += comparison.n
        if not self.verdicts:
            self.verdicts = [Counter() for _ in comparison.results]
        for counter, result in zip(self.verdicts, comparison.results, strict=True):
            counter[result.verdict] += 1
        if not self._is_full:
            self._kept.append(comparison)
            too_many = self.count > _MOST or self._numbers > _MOST_NUMBERS
            if too_many and self.count > 2 * _FIRST:
                self._is_full = True
                self._broken = [c for c in self._kept[_FIRST:] if _is_broken(c)][:_FIRST]
                del self._kept[_FIRST:]
        elif len(self._broken) < _FIRST and _is_broken(comparison):
            self._broken.append(comparison)

    @property
    def comparisons(self) -> list[Found]:
        """Those kept, in order: all, or the first ones and the first ones that broke."""
        return self._kept + self._broken

    @property
    def left_out(self) -> int:
        """How many are not kept."""
        return self.count - len(self.comparisons)


def _is_broken(comparison: Judged) -> bool:
    return any(result.verdict.is_broken for result in comparison.results)
