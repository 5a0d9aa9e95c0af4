"""Where each format ends, and where exp leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stablelse.analysis.display import Displayed
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
    return Limits(
        tuple(
            FormatLimits(
                format=format_.name,
                significand_bits=format_.significand_bits,
                unit_roundoff=format_.unit_roundoff,
                largest=format_.largest,
                smallest_normal=format_.smallest_normal,
                smallest_subnormal=format_.smallest_subnormal,
                overflow_threshold=format_.overflow_threshold,
                underflow_threshold=format_.underflow_threshold,
                subnormal_threshold=format_.subnormal_threshold,
                has_infinity=format_.has_infinity,
            )
            for format_ in formats
        )
    )
