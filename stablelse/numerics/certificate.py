"""What proves that results are correctly rounded: which rung settled them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array


class Rung(Enum):
    """The precisions in which results are computed, one above the other.

    A result climbs until all numbers within its error bound round to the same one.
    """

    CONVENTION = "convention"
    """No rung: NaN, or the logarithm of nothing or of infinity; there is nothing to round."""
    DOUBLE_WORD = "double-word"
    """About 80 bits or more: `stablelse.numerics.doubleword`, `stablelse.numerics.states`."""
    TRIPLE_WORD = "triple-word"
    """About 119 bits, for log-sum-exp next to zero: `stablelse.numerics.nearzero`."""
    DECIMAL = "decimal"
    """As many digits as it takes: `stablelse.numerics.decimals`."""


class Certificate(NamedTuple):
    """What proves that results are correctly rounded.

    Attributes
    ----------
    settled : dict of Rung to int
        How many results each rung settled; rungs that settled none are left out.
    climbs : int
        How many results were not settled by the first rung they came to.
    bound : float
        The largest of the error bounds with which results passed the rounding test, in units
        in the last place of the results; 0 where only the decimal rung settled any.
    """

    settled: dict[Rung, int]
    climbs: int
    bound: float

    @property
    def rung(self) -> Rung | None:
        """The highest rung that settled a result; ``None`` if none did, or there was no result."""
        return next((rung for rung in reversed(Rung) if rung in self.settled), None)


class Ledger:
    """Counts what each rung settles, and closes with a certificate."""

    def __init__(self) -> None:
        self._settled: dict[Rung, int] = {}
        self._bound = 0.0

    def enter(self, rung: Rung, count: int, ulps: Array) -> None:
        """Count results that a rung settled, with bounds of their errors in ulps."""
        self._settled[rung] = self._settled.get(rung, 0) + count
        self._bound = max(self._bound, float(np.max(ulps, initial=0.0)))

    def close(self) -> Certificate:
        """Return the certificate; the first rung entered is where no result had climbed to."""
        if len(self._settled) == 1:  # the usual case, and the least of work
            return Certificate(dict(self._settled), 0, self._bound)
        ladder = [rung for rung in self._settled if rung is not Rung.CONVENTION]
        climbs = sum(self._settled[rung] for rung in ladder[1:])
        settled = {rung: self._settled[rung] for rung in Rung if self._settled.get(rung)}
        return Certificate(settled, climbs, self._bound)
