"""What a scan found, and whether that is what it may find."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.histograms import Histograms
from stablelse.analysis.verdicts import BROKEN, VERDICTS, Verdict
from stablelse.numerics.formats import FORMATS, Format
from stablelse.numerics.functions import Function


class Way(Enum):
    """The ways of computing that are scanned."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    FLOAT32 = "shifted-float32"  # shifted, in float32 from x - a on, the result rounded


def ways(format_: Format) -> tuple[Way, ...]:
    """Return the ways there are in a format: float32 is for those narrower than that."""
    narrow = format_.significand_bits < FORMATS["float32"].significand_bits
    return tuple(way for way in Way if narrow or way is not Way.FLOAT32)


class Witness(NamedTuple):
    """A vector on which a method goes wrong.

    Attributes
    ----------
    verdict : Verdict
        How.
    source : str or None
        Where it came from.
    row : int or None
        Which row of it, from 1.
    column : str or None
        Which column, where vectors are columns.
    maximum, minimum : scalar
        Of the vector.
    unfit : scalar or None
        The first number that does not fit the format, if that is the verdict.
    element : int or None
        Which entry of the result shows it, from 1, if there are several.
    value : scalar
        That entry, of the format.
    ulps : float or None
        What a finite result lost.
    """

    verdict: Verdict
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    maximum: Any
    minimum: Any
    unfit: Any
    element: int | None
    value: Any
    ulps: float | None


class WayScan(NamedTuple):
    """What a method in a format made of all vectors.

    Attributes
    ----------
    format : str
        The format.
    method : str
        ``"naive"``, ``"shifted"``, or ``"shifted-float32"``.
    right, digits_lost, no_digits, underflow, overflow, nan, does_not_fit : int
        How many vectors there are of each verdict; see `stablelse.analysis.verdicts.Verdict`. They
        add up to all.
    first, worst : tuple of Witness
        Of each verdict that there is but ``right``.
    """

    format: str
    method: str
    right: int
    digits_lost: int
    no_digits: int
    underflow: int
    overflow: int
    nan: int
    does_not_fit: int
    first: tuple[Witness, ...]
    worst: tuple[Witness, ...]

    @property
    def survives(self) -> bool:
        """Whether no result is broken."""
        return not any(getattr(self, verdict.value) for verdict in BROKEN)


class _Scan(NamedTuple):
    source: str | None
    function: Function
    max_ulp: float
    rows: int
    elements: int
    results: tuple[WayScan, ...]
    histograms: Histograms


class Scan(_Scan, Displayed):
    """What naive and shifted formulas make of many vectors.

    Attributes
    ----------
    source : str or None
        The file of all vectors, if it is one.
    function : Function
        What is computed of each.
    max_ulp : float
        How many ulps a finite result may lose.
    rows, elements : int
        How many vectors there are, and numbers in them.
    results : tuple of WayScan
        One for each method in each format.
    histograms : Histograms
        How the maxima, the minima and the spreads of the vectors are distributed.
    """

    __slots__ = ()

    @property
    def survivors(self) -> dict[str, str | None]:
        """For each method the smallest format scanned in which it survives, if there is one."""
        found: dict[str, str | None] = {}
        for way in Way:
            names = {r.format for r in self.results if r.method == way.value and r.survives}
            if any(r.method == way.value for r in self.results):
                found[way.value] = next((name for name in FORMATS if name in names), None)
        return found


class ConditionError(ValueError):
    """A condition that no scan can be held against."""


class Condition(NamedTuple):
    """What must not occur.

    Attributes
    ----------
    text : str
        As it was told: ``"naive:overflow"``, ``"ulp>4"``.
    method : str or None
        Of which method; ``None`` for any.
    verdicts : tuple of Verdict
        Any of these.
    ulps : float or None
        More than so many, if that was said.
    """

    text: str
    method: str | None
    verdicts: tuple[Verdict, ...]
    ulps: float | None


#: What a guard is to find unless it is told: a shifted formula that is of no use.
DEFAULT_CONDITIONS = "shifted:broken"

#: What a condition may name, and the verdicts that it stands for: more ulps off than allowed is
#: whatever is not right.
_NAMED = {
    "broken": BROKEN,
    **{verdict.value: (verdict,) for verdict in VERDICTS[1:]},
    "ulp": VERDICTS[1:],
}

_CONDITION = re.compile(r"(?:([^:]*):)?([a-z_]+)(?:>(\d+(?:\.\d*)?))?")


def parse_conditions(text: str) -> list[Condition]:
    """Return the conditions of a list with commas; ``"none"`` alone is none.

    Raises
    ------
    ConditionError
        If there is no such method or verdict, or nothing in the list.
    """
    parts = [part.strip() for part in text.split(",")]
    return [] if parts == ["none"] else [_condition(part) for part in parts]


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    method, name, ulps = found.groups() if found else (None, "", None)
    if name not in _NAMED or (ulps is not None and name != "ulp"):
        what = f"unknown condition {text!r}" if text else "a condition is missing"
        raise ConditionError(f"{what}: choose from {', '.join(_NAMED)}, ulp>N, or none alone")
    methods = [way.value for way in Way]
    if method is not None and method not in methods:
        raise ConditionError(f"unknown method in {text!r}: choose from {', '.join(methods)}")
    return Condition(text, method, _NAMED[name], None if ulps is None else float(ulps))


class Failure(NamedTuple):
    """A condition that is not kept.

    Attributes
    ----------
    condition : Condition
        Which.
    result : WayScan
        Of which method and format.
    verdict : Verdict
        What occurred.
    vectors : int
        On how many vectors.
    first : Witness
        Where first.
    """

    condition: Condition
    result: WayScan
    verdict: Verdict
    vectors: int
    first: Witness


def failures(scan: Scan, conditions: Sequence[Condition]) -> Iterator[Failure]:
    """Yield what a scan found of what must not occur."""
    for condition in conditions:
        for result in scan.results:
            if condition.method not in (None, result.method):
                continue
            for first in result.first:
                if first.verdict in condition.verdicts:
                    count = getattr(result, first.verdict.value)
                    yield Failure(condition, result, first.verdict, count, first)
