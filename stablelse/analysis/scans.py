"""What a scan found, and whether that is what it may find."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.histograms import Histograms
from stablelse.analysis.verdicts import BROKEN, Harm, Way
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.functions import Function


class Witness(NamedTuple):
    """A vector on which a method goes wrong.

    Attributes
    ----------
    kind : str
        How: one of `stablelse.analysis.verdicts.Harm`.
    source : str or None
        Where it came from.
    row : int or None
        Which row of it, from 1.
    column : str or None
        Which column, where vectors are columns.
    maximum, minimum : scalar
        Of the vector.
    element : int or None
        Which entry of the result shows it, from 1, if there are several.
    value : scalar
        That entry, of the format.
    ulps : float or None
        What a finite result lost.
    """

    kind: str
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    maximum: Any
    minimum: Any
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
    ok, overflow, underflow, nan, ulp : int
        How many vectors are right, overflow, underflow to -inf, give NaN, or lose more ulps
        than allowed. They add up to all.
    first, worst : tuple of Witness
        Of each kind that there is.
    """

    format: str
    method: str
    ok: int
    overflow: int
    underflow: int
    nan: int
    ulp: int
    first: tuple[Witness, ...]
    worst: tuple[Witness, ...]

    @property
    def survives(self) -> bool:
        """Whether every result is finite where the exact one is."""
        return not any(getattr(self, harm.value) for harm in BROKEN)


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
    kinds : tuple of str
        Any of these.
    ulps : float or None
        More than so many, if that was said.
    """

    text: str
    method: str | None
    kinds: tuple[str, ...]
    ulps: float | None


#: What a guard is to find unless it is told: a shifted formula that is of no use.
DEFAULT_CONDITIONS = "shifted:broken"

_KINDS = {
    "broken": tuple(harm.value for harm in BROKEN),
    **{harm.value: (harm.value,) for harm in (*BROKEN, Harm.ULP)},
}

_CONDITION = re.compile(r"(?:([^:]*):)?([a-z]+)(?:>(\d+(?:\.\d*)?))?")


def parse_conditions(text: str) -> list[Condition]:
    """Return the conditions of a list with commas; ``"none"`` and nothing are none.

    Raises
    ------
    ConditionError
        If there is no such method or kind.
    """
    told = [part.strip() for part in text.split(",")]
    return [_condition(part) for part in told if part not in ("", "none")]


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    method, kind, ulps = found.groups() if found else (None, "", None)
    if kind not in _KINDS or (ulps is not None and kind != Harm.ULP.value):
        kinds = ", ".join(_KINDS)
        raise ConditionError(f"unknown condition {text!r}: choose from {kinds}, ulp>N, or none")
    methods = [way.value for way in Way]
    if method is not None and method not in methods:
        raise ConditionError(f"unknown method in {text!r}: choose from {', '.join(methods)}")
    return Condition(text, method, _KINDS[kind], None if ulps is None else float(ulps))


class Failure(NamedTuple):
    """A condition that is not kept.

    Attributes
    ----------
    condition : Condition
        Which.
    result : WayScan
        Of which method and format.
    kind : str
        What occurred.
    vectors : int
        On how many vectors.
    first : Witness
        Where first.
    """

    condition: Condition
    result: WayScan
    kind: str
    vectors: int
    first: Witness


def failures(scan: Scan, conditions: Sequence[Condition]) -> Iterator[Failure]:
    """Yield what a scan found of what must not occur."""
    for condition in conditions:
        for result in scan.results:
            if condition.method not in (None, result.method):
                continue
            for first in result.first:
                if first.kind in condition.kinds:
                    count = getattr(result, first.kind)
                    yield Failure(condition, result, first.kind, count, first)
