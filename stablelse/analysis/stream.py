"""What a fold over a stream of numbers found: every method side by side, as facts."""

from __future__ import annotations

from typing import Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.results import FindingKind, Verdict
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function


class StreamFinding(NamedTuple):
    """One kind of trouble at one operation of a method, with the place where it began.

    Attributes
    ----------
    kind : FindingKind
        What happened.
    symbol : str
        The operation's symbol in the formula.
    source : str or None
        The file of the first element it happened at.
    row, column : int or None
        Its place there, from 1; no column where a row is one number.
    element : int or None
        Its position in the whole stream, from 1; ``None`` where it is the whole.
    occurrences : int
        How many elements it happened at.
    operands : tuple of scalars
        What the operation was given there, in the format; empty for a whole sum.
    result : scalar
        What it made of that.
    threshold : scalar or None
        The bound that was crossed.
    """

    kind: FindingKind
    symbol: str
    source: str | None
    row: int | None
    column: int | None
    element: int | None
    occurrences: int
    operands: tuple[Any, ...]
    result: Any
    threshold: Any


class StreamResult(NamedTuple):
    """What one method made of a stream in one format.

    Attributes
    ----------
    method : Method
        Naive, shifted or exact.
    format : str
        The format every operation was rounded to.
    shift : str or None
        How the a of the identity was chosen: always the maximum; ``None`` for a method without.
    a : scalar or None
        The shift in the end.
    value : scalar
        In the format.
    ulps : float or None
        The distance from the exact value, in units in its last place; ``None`` where that was
        not computed.
    relative_error, correct_digits : float or None
        As of `stablelse.analysis.comparison.MethodResult`; ``None`` where there is none
        that is known well enough to measure by.
    bound, theorem : float, str or None
        What the error analysis lets the relative error of a textbook's method be at most.
    error_bound : float or None
        How many ulps the value can be off at most: 0.5 says that it is correctly rounded, which
        is proved. ``None`` for the naive and the shifted one.
    verdict : Verdict
        What became of it.
    findings : tuple of StreamFinding
        What went wrong, in the order of the operations.
    """

    method: Method
    format: str
    shift: str | None
    a: Any
    value: Any
    ulps: float | None
    relative_error: float | None
    correct_digits: float | None
    bound: float | None
    theorem: str | None
    error_bound: float | None
    verdict: Verdict
    findings: tuple[StreamFinding, ...]


class _StreamComparison(NamedTuple):
    function: Function
    source: str | None
    row: int | None
    column: str | None
    n: int
    minimum: Any
    maximum: Any
    condition_number: float | None
    value: Any
    results: tuple[StreamResult, ...]


class StreamComparison(Displayed, _StreamComparison):
    """Every method on the numbers of one stream.

    Attributes
    ----------
    function : Function
        What was computed: log-sum-exp.
    source : str or None
        Where the numbers came from.
    row, column : int, str or None
        Which vector of that it is, if it is not all of it.
    n : int
        How many numbers there were.
    minimum, maximum : scalar
        The smallest and the largest, in the first of the formats.
    condition_number : float or None
        See `stablelse.Comparison`; ``None`` where it is not defined.
    value : scalar
        The exact value in the first of the formats.
    results : tuple of StreamResult
        For each format the naive, the shifted and the exact one.
    """

    __slots__ = ()
