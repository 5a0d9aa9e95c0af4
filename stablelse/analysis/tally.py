"""Many comparisons in bounded memory: those worth showing, and counts of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.analysis.compare import Column, Compared
from stablelse.analysis.results import (
    BROKEN,
    LOSSES,
    VERDICTS,
    Comparison,
    MethodResult,
    Verdict,
)
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function, LossFunction

#: Up to this many vectors, all are kept: nobody reads more.
_MOST = 1000

#: Beyond that, or this many numbers, the first ones are kept, and the first ones that broke.
_FIRST = 20
_MOST_NUMBERS = 2**20

#: How many places are kept of each kind of trouble.
_PLACES = 5


class Places(NamedTuple):
    """Where something was found: the count, and the first places."""

    occurrences: int
    first: tuple[Place, ...]

    def more(self, where: Array, place_of: Callable[[int], Place]) -> Places:
        """Return these places and those of the marked vectors."""
        marked = np.flatnonzero(where).tolist()
        first = map(place_of, marked[: _PLACES - len(self.first)])
        return Places(self.occurrences + len(marked), (*self.first, *first))


NOWHERE = Places(0, ())


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
    infinite: Places = NOWHERE
    nan: Places = NOWHERE
    worst: float | None = None
    verdicts: Counter[Verdict] = field(default_factory=Counter, repr=False)

    def add(self, column: Column, place_of: Callable[[int], Place]) -> None:
        """Count the method's results on some vectors."""
        for code, count in zip(*np.unique(column.verdicts, return_counts=True), strict=True):
            self.verdicts[VERDICTS[code]] += int(count)
        self.right, self.digits_lost = (self.verdicts[verdict] for verdict in VERDICTS[:2])
        self.broken = sum(self.verdicts[verdict] for verdict in BROKEN)
        known = column.ulps[column.ulps < np.inf]
        if known.size:
            self.worst = max(self.worst or 0.0, float(known.max()))
        with np.errstate(invalid="ignore"):  # ml_dtypes warns of a NaN
            is_nan = np.logical_or.reduce(np.isnan(column.values), axis=-1)
            is_infinite = np.logical_or.reduce(~np.isfinite(column.values), axis=-1) & ~is_nan
        self.nan = self.nan.more(is_nan, place_of)
        self.infinite = self.infinite.more(is_infinite, place_of)


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

    @property
    def left_out(self) -> int:
        """How many vectors are not kept."""
        return self.vectors - len(self.comparisons)


class Tally:
    """Counts the results of all methods, and keeps some of the vectors, or all of them."""

    def __init__(self, every: bool = False) -> None:
        self._every = every
        self._count = self._numbers = 0
        self._totals: list[Total] = []
        self._kept: dict[int, tuple[Comparison, list[float]]] = {}
        self._broken: list[int] = []
        self._worst: dict[int, tuple[Comparison, list[float]]] = {}

    def add(self, found: Sequence[Comparison]) -> None:
        """Count more vectors with the same function, methods and formats."""
        if isinstance(found, Compared):
            self._add(found, found.columns, found.place_of, found.x.size)
            return
        for one in found:
            place = Place(one.source, one.row, one.column)
            self._add([one], [_column(r) for r in one.results], [place].__getitem__, one.n)

    def _add(
        self,
        rows: Sequence[Comparison],
        columns: Sequence[Column],
        place_of: Callable[[int], Place],
        numbers: int,
    ) -> None:
        """Count vectors, and keep all; if they are too many, the first, first broken and worst."""
        self._totals = self._totals or [Total(*column.name) for column in columns]
        for total, column in zip(self._totals, columns, strict=True):
            total.add(column, place_of)
        badness, before = _badness(columns), self._count
        self._count += len(rows)
        self._numbers += numbers
        # the first of equally bad ones
        worst = int(np.lexsort((-np.arange(len(rows)), *badness.T[::-1]))[-1])

        def pair(place: int) -> tuple[Comparison, list[float]]:
            return rows[place - before], badness[place - before].tolist()

        if all(badness[worst].tolist() > other for _, other in self._worst.values()):
            self._worst = {before + worst: pair(before + worst)}
        broken = before + np.flatnonzero(badness[:, 0])
        self._broken = [*self._broken, *broken[broken >= _FIRST][:_FIRST].tolist()][:_FIRST]
        too_many = self._count > _MOST or self._numbers > _MOST_NUMBERS
        if too_many and not self._every and self._count > 2 * _FIRST:
            wanted = (*range(_FIRST), *self._broken)
            self._kept = {p: self._kept[p] if p < before else pair(p) for p in wanted}
        else:
            self._kept.update((place, pair(place)) for place in range(before, self._count))

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


def _column(result: MethodResult) -> Column:
    """Return the column of a single vector."""
    ruins = [f for f in result.findings if not f.harmless and f.kind not in LOSSES]
    return Column(
        name=(result.method, result.format, result.shift),
        values=np.atleast_1d(result.value)[np.newaxis],
        verdicts=np.array([VERDICTS.index(result.verdict)]),
        ulps=np.array([np.nan if result.ulps is None else result.ulps]),
        occurrences=np.array([max((f.occurrences for f in ruins), default=0)]),
    )


def _badness(columns: Sequence[Column]) -> Array:
    """Return the sort keys of m rows: methods broken, elements that broke them, error: (m, 3)."""
    verdicts = np.array([column.verdicts for column in columns])
    broken = np.isin(verdicts, [VERDICTS.index(verdict) for verdict in BROKEN]).sum(axis=0)
    occurrences = np.max([column.occurrences for column in columns], axis=0)
    is_lost = verdicts == VERDICTS.index(Verdict.DIGITS_LOST)
    lost = np.where(is_lost, [np.nan_to_num(column.ulps) for column in columns], 0).max(axis=0)
    return np.stack([broken, occurrences * (broken > 0), lost], axis=-1)
