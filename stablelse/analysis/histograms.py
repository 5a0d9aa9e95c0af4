"""How numbers are distributed between the thresholds of the formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format

#: 1, 2 and 5 times powers of ten: as fine as a chart of a screen can be.
_GRID = [digit * 10.0**power for power in range(6) for digit in (1, 2, 5)]


class Threshold(NamedTuple):
    """Where exp leaves a format.

    Attributes
    ----------
    format : str
        The format.
    kind : str
        ``"overflow"`` above it, ``"underflow"`` below it.
    value : float
        The largest number for which exp is finite, or for which it is 0.
    """

    format: str
    kind: str
    value: float


class Distribution(NamedTuple):
    """How many numbers there are between edges.

    Attributes
    ----------
    edges : tuple of float
        In order; the first is -inf, the last inf.
    counts : tuple of int
        ``counts[i]`` of the numbers have edges[i] < number <= edges[i + 1]; one that is -inf is
        counted in the first.
    nan : int
        How many are NaN.
    minimum, maximum : float or None
        Of all numbers but NaN.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    nan: int
    minimum: float | None
    maximum: float | None


class Histograms(NamedTuple):
    """The distributions of the maxima, the minima and the spreads of vectors."""

    maxima: Distribution
    minima: Distribution
    spreads: Distribution


def marks(name: str, formats: Sequence[Format]) -> list[Threshold]:
    """Return the thresholds of formats that concern a field of `Histograms`, from below.

    A spread is the largest a - x of the shifted formula, whose exp(x - a) then underflows.
    """
    found = [
        Threshold(f.name, kind, float(getattr(f, f"{kind}_threshold")))
        for f in formats
        for kind in ("overflow", "underflow")
    ]
    if name == "spreads":
        found = [mark._replace(value=-mark.value) for mark in found if mark.kind == "underflow"]
    else:  # exp is positive at the threshold itself, and an edge belongs to what is below it
        found = [
            mark._replace(value=np.nextafter(mark.value, -np.inf).item())
            if mark.kind == "underflow"
            else mark
            for mark in found
        ]
    return sorted(found, key=lambda mark: mark.value)


class Histogram:
    """A distribution as it grows."""

    def __init__(self, edges: Array) -> None:
        self.edges = edges
        self.counts = np.zeros(len(edges) + 1, np.int64)
        self.nan = 0
        self.minimum, self.maximum = np.inf, -np.inf

    @classmethod
    def empty(cls, name: str, formats: Sequence[Format]) -> Histogram:
        """Return that of a field of `Histograms`, its edges those of a grid and the thresholds."""
        bounds = {threshold.value for threshold in marks(name, formats)}
        return cls(np.array(sorted({0.0, *_GRID, *(-edge for edge in _GRID), *bounds})))

    def take(self, numbers: Array) -> None:
        """Count numbers."""
        missing = np.isnan(numbers)
        if missing.any():
            self.nan += int(missing.sum())
            numbers = numbers[~missing]
        if numbers.size:
            bins = np.searchsorted(self.edges, numbers, side="left")
            self.counts += np.bincount(bins, minlength=len(self.counts))
            self.minimum = min(self.minimum, float(numbers.min()))
            self.maximum = max(self.maximum, float(numbers.max()))

    def merge(self, other: Histogram) -> None:
        """Count the numbers of another one with the same edges."""
        self.counts += other.counts
        self.nan += other.nan
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def result(self) -> Distribution:
        """Return the distribution so far."""
        some = bool(self.counts.any())
        return Distribution(
            edges=(-np.inf, *self.edges.tolist(), np.inf),
            counts=tuple(self.counts.tolist()),
            nan=self.nan,
            minimum=self.minimum if some else None,
            maximum=self.maximum if some else None,
        )
