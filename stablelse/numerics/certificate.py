"""Certificates that results are correctly rounded: which rung settled them."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import NamedTuple

from stablelse.numerics.kernel import REFERENCE


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
    bound : float
        The error bound of a running sum, in units in the last place of the result; otherwise 0.
    kernel : str
        The kernel in use: "v4", "v3", "neon", or "reference" for none.
    """

    settled: dict[Rung, int]
    bound: float = 0.0
    kernel: str = REFERENCE

    @classmethod
    def of(cls, counts: Counter[Rung], used: str = REFERENCE) -> Certificate:
        """Return the certificate of results that rungs settled, with a kernel or without."""
        return cls({rung: counts[rung] for rung in Rung if counts[rung]}, kernel=used)

    @property
    def rung(self) -> Rung | None:
        """The highest rung that settled a result; ``None`` if none did or there are no results."""
        return next((rung for rung in reversed(Rung) if rung in self.settled), None)

    @property
    def reference(self) -> int:
        """How many results the reference settled."""
        others = (Rung.CONVENTION, Rung.KERNEL)
        return sum(count for rung, count in self.settled.items() if rung not in others)

    @property
    def climbs(self) -> int:
        """How many results the first rung that tried them did not settle."""
        is_first = self.kernel == REFERENCE
        return self.settled.get(Rung.DECIMAL, 0) if is_first else self.reference
