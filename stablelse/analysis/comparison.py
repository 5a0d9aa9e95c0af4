"""What a comparison found: the results of every method on one vector, as facts."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.findings import Finding
from stablelse.numerics.formats import Array
from stablelse.numerics.formula import Evaluation, Method
from stablelse.numerics.functions import Function


class Verdict(Enum):
    """What became of a method's result, held against the right one in the same format.

    That is the exact one where it was computed, and the library's own where it was not.
    """

    OK = "ok"
    """Nothing that reaches the result went wrong; rounding errors apart, the value is right."""
    DIGITS_LOST = "digits_lost"
    """Finite, but at least one decimal digit short (10 ulp), or digits were lost to underflow."""
    BROKEN = "broken"
    """Infinite or NaN where the right value is not, or the other way round."""


class MethodResult(NamedTuple):
    """What one method computed of one vector in one format.

    Attributes
    ----------
    method : Method
        Naive, shifted, compensated (what the library's own functions return), or exact
        (correctly rounded).
    format : str
        The format every operation was rounded to.
    shift : str or None
        How the a of the identity was chosen, for the shifted method.
    a : scalar or None
        The shift, in the format.
    value : scalar or ndarray
        In the format; an array of shape (n,) for softmax and log_softmax.
    total : scalar or None
        The sum of a softmax, added up pairwise in the format.
    ulps : float or None
        The largest distance of the value from the exact one, in units in the last place of
        the latter; ``None`` where the exact value was not computed.
    verdict : Verdict
        What became of it.
    findings : tuple of Finding
        What went wrong, in the order of the operations.
    evaluation : Evaluation or None
        Every operation with its result; ``None`` for the compensated and the exact method.
    """

    method: Method
    format: str
    shift: str | None
    a: Any
    value: Any
    total: Any
    ulps: float | None
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    evaluation: Evaluation | None = None


class _Comparison(NamedTuple):
    function: Function
    source: str | None
    row: int | None
    column: str | None
    n: int
    value: Any
    results: tuple[MethodResult, ...]
    x: Array


class Comparison(Displayed, _Comparison):
    """Every method on one vector.

    Attributes
    ----------
    function : Function
        What was computed.
    source : str or None
        The file the vector came from.
    row, column : int, str or None
        Its place there: a row counted from 1, or a column's name or number.
    n : int
        The number of elements.
    value : scalar or ndarray
        The library's own value in the first of the formats.
    results : tuple of MethodResult
        For each format the naive, the shifted (one per shift), the compensated and, if it was
        computed, the exact result.
    x : ndarray
        Shape (n,): the vector before it was rounded to any format.
    """

    __slots__ = ()
