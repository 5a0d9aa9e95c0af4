"""Where each format ends, and where exp leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from stablelse.analysis import Displayed
from stablelse.numerics.formats import Format


@dataclass(frozen=True)
class FormatLimits:
    """The limits of a format, as numbers of it; `subnormal_threshold` is a real number."""

    format: str
    significand_bits: int
    unit_roundoff: float
    largest: Any
    smallest_normal: Any
    smallest_subnormal: Any
    overflow_threshold: Any
    underflow_threshold: Any
    subnormal_threshold: float
    has_infinity: bool


@dataclass(frozen=True)
class Limits(Displayed):
    """The limits of several formats."""

    formats: tuple[FormatLimits, ...]


def limits(formats: Sequence[Format]) -> Limits:
    """Compute the limits of formats from the formats themselves."""
    names = [field.name for field in fields(FormatLimits)][1:]
    return Limits(
        tuple(FormatLimits(f.name, *(getattr(f, name) for name in names)) for f in formats)
    )
