"""Many comparisons in bounded memory: those worth showing, and what became of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.analysis.compare import Column, Compared
from stablelse.analysis.results import BROKEN, VERDICTS, Comparison, Verdict
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Method

#: So many vectors are kept, all of them: nobody reads more.
_MOST = 1000

#: Of more, or of so many numbers, the first ones are kept, and the first ones that broke.
_FIRST = 20
_MOST_NUMBERS = 2**20

#: So many places are kept of each kind of trouble.
_PLACES = 5


class Places(NamedTuple):
    """Where something was found: how often, and the first places."""

    occurrences: int
    first: tuple[Place, ...]


NOWHERE = Places(0, ())


@dataclass(frozen=True)
class Total:
    """What became of many vectors by one method in one format; `value` is of reduced losses."""

    method: Method
    format: str
    shift: str | None
    value: Any = None
    ulps: float | None = None
    verdict: Verdict | None = None
    right: int = 0
    digits_lost: int = 0
    broken: int = 0
    infinite: Places = NOWHERE
    nan: Places = NOWHERE
    worst: float | None = None


class Tally(Displayed):
    """Counts what became of every method, and keeps some of the vectors, or every one."""

    def __init__(self, every: bool = False) -> None:
        self.count = self._numbers = 0
        self._every = every
        self._counts: list[_Count] = []
        self._kept: dict[int, Comparison] = {}
        self._broken: list[int] = []
        self._worst: tuple[tuple[float, ...], int, Comparison] | None = None

    def add(self, found: Compared | Sequence[Comparison]) -> None:
        """Count more of the same function, methods and formats."""
        if isinstance(found, Compared):
            self._counts = self._counts or [_Count(*column.name) for column in found.columns]
            for count, column in zip(self._counts, found.columns, strict=True):
                count.add(column.verdicts, column.ulps, column.values, found.place_of)
            self._keep(found, _badness_of_rows(found.columns), found.x.size)
            return
        for one in found:
            place = Place(one.source, one.row, one.column)
            self._counts = self._counts or [
                _Count(r.method, r.format, r.shift) for r in one.results
            ]
            for count, result in zip(self._counts, one.results, strict=True):
                verdict = np.array([VERDICTS.index(result.verdict)])
                ulps = np.array([np.nan if result.ulps is None else result.ulps])
                value = np.atleast_1d(result.value)[np.newaxis]
                count.add(verdict, ulps, value, [place].__getitem__)
            self._keep([one], np.array([badness(one)]), one.n)

    def _keep(self, rows: Compared | Sequence[Comparison], badness_of: Array, numbers: int) -> None:
        """Keep the worst, and all; of too many the first, and the first that broke after these."""
        before = self.count
        self.count += len(rows)
        self._numbers += numbers
        # the first of those that are equally bad
        worst = int(np.lexsort((-np.arange(len(rows)), *badness_of.T[::-1]))[-1])
        key = tuple(badness_of[worst].tolist())
        if self._worst is None or key > self._worst[0]:
            self._worst = key, before + worst, rows[worst]
        broken = before + np.flatnonzero(badness_of[:, 0])
        self._broken = [*self._broken, *broken[broken >= _FIRST].tolist()][:_FIRST]
        too_many = self.count > _MOST or self._numbers > _MOST_NUMBERS
        if too_many and not self._every and self.count > 2 * _FIRST:
            self._kept = {
                place: self._kept[place] if place < before else rows[place - before]
                for place in (*range(_FIRST), *self._broken)
            }
        else:
            self._kept.update(enumerate(rows, before))

    @property
    def comparisons(self) -> list[Comparison]:
        """Those kept: all, or the first ones, the first ones that broke, and the worst."""
        worst = {} if self._worst is None else {self._worst[1]: self._worst[2]}
        return list((self._kept | worst).values())

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

    def __init__(self, method: Method, format_: str, shift: str | None) -> None:
        self._name = method, format_, shift
        self.verdicts: Counter[Verdict] = Counter()
        self._infinite, self._nan = NOWHERE, NOWHERE
        self._worst: float | None = None

    def add(
        self, verdicts: Array, ulps: Array, values: Array, place_of: Callable[[int], Place]
    ) -> None:
        """Count the results of m vectors: verdicts and ulps, shape (m,), values, shape (m, k)."""
        for place, count in zip(*np.unique(verdicts, return_counts=True), strict=True):
            self.verdicts[VERDICTS[place]] += int(count)
        known = ulps[ulps < np.inf]
        if known.size:
            self._worst = max(self._worst or 0.0, float(known.max()))
        with np.errstate(invalid="ignore"):  # ml_dtypes warns of a NaN
            is_nan = np.logical_or.reduce(np.isnan(values), axis=-1)
            is_infinite = ~np.logical_and.reduce(np.isfinite(values), axis=-1) & ~is_nan
        self._nan = _more(self._nan, is_nan, place_of)
        self._infinite = _more(self._infinite, is_infinite, place_of)

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


def _more(places: Places, where: Array, place_of: Callable[[int], Place]) -> Places:
    """Return places with those of the marked vectors, of which the first are kept."""
    marked = np.flatnonzero(where)
    room = _PLACES - len(places.first)
    first = (*places.first, *map(place_of, marked[:room].tolist()))
    return Places(places.occurrences + len(marked), first)


def badness(comparison: Comparison) -> tuple[int, int, float]:
    """Return what puts vectors in order: methods broken, elements that broke them, error."""
    results = comparison.results
    broken = sum(result.verdict.is_broken for result in results)
    found = [f.occurrences for r in results for f in r.findings if not f.harmless]
    lost = [r.ulps for r in results if r.verdict is Verdict.DIGITS_LOST and r.ulps is not None]
    return broken, max(found, default=0) if broken else 0, max(lost, default=0.0)


def _badness_of_rows(columns: Sequence[Column]) -> Array:
    """Return the `badness` of m rows, shape (m, 3)."""
    verdicts = np.array([column.verdicts for column in columns])
    broken = np.isin(verdicts, [VERDICTS.index(verdict) for verdict in BROKEN]).sum(axis=0)
    occurrences = np.max([column.occurrences() for column in columns], axis=0)
    is_lost = verdicts == VERDICTS.index(Verdict.DIGITS_LOST)
    lost = np.where(is_lost, [column.ulps for column in columns], 0).max(axis=0)
    return np.stack([broken, occurrences * (broken > 0), lost], axis=-1)
