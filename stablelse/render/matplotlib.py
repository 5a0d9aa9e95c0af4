"""A survival map as a figure, for a lecture or a paper: what needs matplotlib."""

from __future__ import annotations

from stablelse.analysis.survival import Sweep


def figure(sweep: Sweep, suffix: str) -> bytes:
    """Return the figure."""
    raise NotImplementedError
