"""Certificates that results are correctly rounded: which rung settled them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from stablelse.numerics import kernel
from stablelse.numerics.formats import Array


class Rung(Enum):
    """The precisions in which results are computed, from low to high.

    A result climbs until all numbers within its error bound round to the same one.

    Attributes
    ----------
    CONVENTION
        NaN, or the logarithm of nothing or of infinity: nothing to round.
    KERNEL
        The compiled kernel, in up to three phases.
    DOUBLE_WORD
        About 80 bits or more.
    TRIPLE_WORD
        About 119 bits, for log-sum-exp near zero.
    DECIMAL
        As many digits as necessary.
    """

    CONVENTION = "convention"
    KERNEL = "kernel"
    DOUBLE_WORD = "double-word"
    TRIPLE_WORD = "triple-word"
    DECIMAL = "decimal"


class Certificate(NamedTuple):
    """A proof that results are correctly rounded.

    Attributes
    ----------
    settled : dict of Rung to int
        How many results each rung settled; rungs that settled none are left out.
    climbs : int
        How many results the first rung that tried them did not settle.
    bound : float
        The largest error bound with which a result passed the rounding test, in units in the last
        place of the result; 0 if only the kernel and the decimal rung settled any, since they
        keep no bound.
    kernel : str
        The kernel in use: "v4", "v3", "neon", or "reference" for none.
    """

    settled: dict[Rung, int]
    climbs: int
    bound: float
    kernel: str = "reference"

    @property
    def rung(self) -> Rung | None:
        """The highest rung that settled a result; ``None`` if none did or there are no results."""
        return next((rung for rung in reversed(Rung) if rung in self.settled), None)

    @property
    def reference(self) -> int:
        """How many results the reference settled."""
        others = (Rung.CONVENTION, Rung.KERNEL)
        return sum(count for rung, count in self.settled.items() if rung not in others)


class Ledger:
    """Counts what each rung settles, and closes with a certificate."""

    def __init__(self) -> None:
        self._settled = dict.fromkeys(Rung, 0)
        self._bound = 0.0

    def enter(self, rung: Rung, count: int, ulps: Array | float = 0.0) -> None:
        """Count results that a rung settled, with their error bounds in ulps."""
        if count:
            self._settled[rung] += count
            self._bound = max(self._bound, float(np.max(ulps, initial=0.0)))

    def add(self, certificate: Certificate) -> None:
        """Add the counts of another certificate."""
        for rung, count in certificate.settled.items():
            self.enter(rung, count, certificate.bound)

    def count(self, *rungs: Rung) -> int:
        """Return how many results these rungs settled; all rungs, if none is named."""
        return sum(self._settled[rung] for rung in rungs or Rung)

    def close(self, first: Rung = Rung.DOUBLE_WORD) -> Certificate:
        """Return the certificate; `first` is the rung that tries every result first.

        Without a kernel, three words try a log-sum-exp near zero first.
        """
        settled = {rung: count for rung, count in self._settled.items() if count}
        has_kernel = first is Rung.KERNEL
        stay = [Rung.CONVENTION, first, *([] if has_kernel else [Rung.TRIPLE_WORD])]
        climbs = sum(count for rung, count in settled.items() if rung not in stay)
        used = kernel.name() if has_kernel else kernel.REFERENCE
        return Certificate(settled, climbs, self._bound, used)
