"""What became of many losses of one method: their sum, the verdicts, and what is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.results import BROKEN, VERDICTS, Place, Verdict
from stablelse.analysis.verdicts import judge
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import Candidate
from stablelse.numerics.formulas.formula import Method

if TYPE_CHECKING:
    from stablelse.analysis.likelihood import LossResult

#: So many places are kept of each kind of trouble.
_TOLD = 5


class Places(NamedTuple):
    """Where something was found: how often, and the first places."""

    occurrences: int
    first: tuple[Place, ...]


class Entry(NamedTuple):
    """What became of all vectors by one method in one format.

    Attributes
    ----------
    method, format, shift
        As of `LossResult`.
    value : scalar or None
        The mean or the sum of the losses, added up without error in float64 and rounded once;
        ``None`` where they are not reduced.
    ulps : float or None
        Its distance from that of the exact losses; ``None`` without them.
    verdict : Verdict or None
        What became of it.
    right, digits_lost, broken : int
        How many vectors of each verdict, those that are broken together.
    infinite, nan : Places
        The vectors of which the loss, or anything of the gradient, is infinite or NaN.
    worst : float or None
        The largest error of one vector in ulps, where it is finite.
    """

    method: Method
    format: str
    shift: str | None
    value: Any
    ulps: float | None
    verdict: Verdict | None
    right: int
    digits_lost: int
    broken: int
    infinite: Places
    nan: Places
    worst: float | None


class Ledger:
    """Takes the results of one method in one format, stack by stack.

    Parameters
    ----------
    candidate : Candidate
        The method.
    format_ : Format
        Of the results.
    """

    def __init__(self, candidate: Candidate, format_: Format) -> None:
        self._candidate, self._format = candidate, format_
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._infinite, self._nan = Places(0, ()), Places(0, ())
        self._worst: float | None = None
        self._count = 0
        self._words: list[Any] = []

    def add_results(self, results: Sequence[LossResult], places: Sequence[Place]) -> None:
        """Count verdicts, and note what is not finite."""
        for result in results:
            self._verdicts[result.verdict] += 1
            if result.ulps is not None and result.ulps < inf:
                self._worst = max(self._worst or 0.0, result.ulps)
        values = np.stack([np.ravel(result.value) for result in results])
        is_nan = np.isnan(values).any(axis=1)
        self._nan = _more(self._nan, is_nan, places)
        self._infinite = _more(self._infinite, ~is_nan & np.isinf(values).any(axis=1), places)

    def add_losses(self, losses: Array) -> None:
        """Add up losses: without error, as words that each round what those before leave."""
        self._count += len(losses)
        narrow = losses.dtype.itemsize <= FORMATS["float64"].dtype.itemsize
        wide = losses.astype(np.float64) if narrow else losses
        if wide.dtype != np.float64 or not np.isfinite([*wide, *self._words]).all():
            with np.errstate(all="ignore"):
                self._words = [sum(self._words) + wide.sum()]
            return
        addends = [*self._words, *wide.tolist()]
        self._words = []
        try:
            while word := fsum(addends):
                self._words.append(word)
                addends.append(-word)
        except OverflowError:
            self._words = [inf]

    def entry(self, reduction: str) -> Entry:
        """Return what was found; the reduced value is not judged yet: see `judged`."""
        value = None
        if reduction != "none":
            with np.errstate(all="ignore"):
                divisor = self._count if reduction == "mean" else 1
                total = self._words[0] if self._words else 0.0
                value = self._format.round(np.asarray(total) / np.float64(divisor))[()]
        return Entry(
            method=self._candidate.method,
            format=self._format.name,
            shift=self._candidate.shift.name if self._candidate.shift else None,
            value=value,
            ulps=None,
            verdict=max(
                (v for v in Verdict if self._verdicts[v]), key=VERDICTS.index, default=None
            ),
            right=self._verdicts[Verdict.RIGHT],
            digits_lost=self._verdicts[Verdict.DIGITS_LOST],
            broken=sum(self._verdicts[verdict] for verdict in BROKEN),
            infinite=self._infinite,
            nan=self._nan,
            worst=self._worst,
        )


def judged(entries: Sequence[Entry]) -> Iterable[Entry]:
    """Yield entries with the error and the verdict of what they were reduced to."""
    for entry in entries:
        right = _right(entries, entry.format)
        if entry.value is None or right is None:
            yield entry._replace(verdict=None)
            continue
        format_ = FORMATS[entry.format]
        value, best = np.array([[entry.value]]), np.array([[right.value]])
        (place,), (ulps,) = judge(value, best, format_, None, np.zeros(1, bool))
        verdict, worst = VERDICTS[place], entry.verdict
        if worst is Verdict.DOES_NOT_FIT or (worst and worst.is_broken and verdict.is_broken):
            verdict = worst  # what ruined a loss ruins what it is reduced to
        yield entry._replace(ulps=float(ulps), verdict=verdict)


def _right(entries: Sequence[Entry], format_: str) -> Entry | None:
    """Return the entry that others are held against: the exact one."""
    of_format = {entry.method: entry for entry in entries if entry.format == format_}
    return of_format.get(Method.EXACT)


def _more(known: Places, where: Array, places: Sequence[Place]) -> Places:
    room = max(0, _TOLD - len(known.first))
    found = [places[index] for index in np.flatnonzero(where)[:room].tolist()]
    return Places(known.occurrences + int(np.count_nonzero(where)), (*known.first, *found))
