"""The methods side by side on one vector: what each computed, and what broke it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stablelse.analysis.display import Displayed
from stablelse.analysis.findings import Finding, find
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formula import Evaluation, Formula, Method, pairwise_sum
from stablelse.numerics.functions import LIBRARY, Function
from stablelse.numerics.naive import NAIVE
from stablelse.numerics.shifted import SHIFTED, Shift, find_shift


class Verdict(Enum):
    """What became of a method's result, held against the library's own in the same format."""

    OK = "ok"
    """Nothing that reaches the result went wrong; rounding errors apart, the value is right."""
    DIGITS_LOST = "digits_lost"
    """Finite, but digits were lost to underflow, or all of them (zero, where it is not)."""
    BROKEN = "broken"
    """Infinite or NaN where the library's value is not, or the other way round."""


class MethodResult(NamedTuple):
    """What one method computed of one vector in one format.

    Attributes
    ----------
    method : Method
        Naive, shifted, or compensated: what the library's own functions return.
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
    verdict : Verdict
        What became of it.
    findings : tuple of Finding
        What went wrong, in the order of the operations.
    evaluation : Evaluation or None
        Every operation with its result; ``None`` for the compensated method.
    """

    method: Method
    format: str
    shift: str | None
    a: Any
    value: Any
    total: Any
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    evaluation: Evaluation | None = None


@dataclass(frozen=True, eq=False)
class Comparison(Displayed):
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
        For each format the naive, the shifted (one per shift) and the compensated result.
    x : ndarray
        Shape (n,): the vector before it was rounded to any format.
    """

    function: Function
    source: str | None
    row: int | None
    column: str | None
    n: int
    value: Any
    results: tuple[MethodResult, ...]
    x: Array


def compare(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    shifts: Sequence[str | float] = ("max",),
    formats: Sequence[str] = ("float64",),
) -> Comparison:
    """Compute log-sum-exp or softmax of a vector by every method, and find what broke.

    Parameters
    ----------
    x : array_like
        Shape (n,), n >= 1, real numbers.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    shifts : sequence of str or float
        The shifts a to try: ``"max"``, ``"min"``, ``"mean"`` or any number.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.

    Returns
    -------
    Comparison
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    ValueError
        If x is not a vector of at least one real number, or a name is unknown.

    Examples
    --------
    >>> import stablelse
    >>> comparison = stablelse.compare([1000, 1001, 1002])
    >>> for result in comparison.results:
    ...     print(result.method.value, result.value, result.verdict.value)
    naive inf broken
    shifted 1002.4076059644444 ok
    compensated 1002.4076059644444 ok
    """
    x = np.asarray(x)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"compare takes a vector of at least one number, not shape {x.shape}")
    if not (x.dtype.kind in "iubf" or (x.dtype.kind == "V" and x.dtype.names is None)):
        raise ValueError(f"compare takes real numbers, not {x.dtype}")
    (comparison,) = compare_rows(
        x[np.newaxis],
        Function(function),
        [find_shift(str(shift)) for shift in shifts],
        [find_format(name) for name in formats],
    )
    return comparison


class Place(NamedTuple):
    """Where a vector came from; see `Comparison`."""

    source: str | None = None
    row: int | None = None
    column: str | None = None


def compare_rows(
    x: Array,
    function: Function,
    shifts: Sequence[Shift],
    formats: Sequence[Format],
    places: Iterable[Place] | None = None,
) -> list[Comparison]:
    """Compare the methods on each row of an array of shape (m, n); see `compare`.

    Parameters
    ----------
    x : ndarray
        Shape (m, n), n >= 1, real.
    function : Function
        What to compute.
    shifts, formats : sequences
        See `compare`.
    places : iterable of Place, optional
        Where each row came from.

    Returns
    -------
    list of Comparison
        One a row.
    """
    by_format = [_results(x, function, shifts, format_) for format_ in formats]
    comparisons = []
    for index, place in enumerate(places or [Place()] * len(x)):
        results = tuple(result for rows in by_format for result in rows[index])
        value = next(r.value for r in results if r.method is Method.COMPENSATED)
        comparisons.append(
            Comparison(
                function=function,
                source=place.source,
                row=place.row,
                column=place.column,
                n=x.shape[-1],
                value=value,
                results=results,
                x=x[index],
            )
        )
    return comparisons


def _results(
    x: Array, function: Function, shifts: Sequence[Shift], format_: Format
) -> list[list[MethodResult]]:
    """Return for each row its results in one format."""
    reference = np.asarray(LIBRARY[function](format_.round(x)))
    candidates: list[tuple[Formula, Shift]] = [(NAIVE[function], shifts[0])]
    candidates += [(SHIFTED[function], shift) for shift in shifts]
    columns = [_evaluated(x, f, shift, format_, reference) for f, shift in candidates]
    columns.append([_compensated(value, function, format_) for value in reference])
    return [list(row) for row in zip(*columns, strict=True)]


def _evaluated(
    x: Array, formula: Formula, shift: Shift, format_: Format, reference: Array
) -> list[MethodResult]:
    evaluation = formula.evaluate(x, format_, shift.rule)
    wrong_class, vanished = _departures(evaluation.value, reference, format_)
    shifted = formula.method is Method.SHIFTED
    results = []
    for index, findings in enumerate(find(evaluation)):
        row = evaluation.row(index)
        harmed = vanished[index] or any(not found.harmless for found in findings)
        if wrong_class[index]:
            verdict = Verdict.BROKEN
        elif harmed and np.isfinite(row.value).any():
            verdict = Verdict.DIGITS_LOST
        else:
            verdict = Verdict.OK
        results.append(
            MethodResult(
                method=formula.method,
                format=format_.name,
                shift=shift.name if shifted else None,
                a=row.results["a"][0] if shifted else None,
                value=_scalar_if_one(row.value, formula.function),
                total=_total(row.value, formula.function),
                verdict=verdict,
                findings=tuple(findings),
                evaluation=row,
            )
        )
    return results


def _departures(value: Array, reference: Array, format_: Format) -> tuple[Array, Array]:
    """Tell for each row whether any entry has the wrong class, or is zero where it is not."""
    with np.errstate(all="ignore"):
        both_finite = np.isfinite(value) & np.isfinite(reference)
        both_nan = np.isnan(value) & np.isnan(reference)
        same_class = both_finite | both_nan | (value == reference)
        vanished = (value == 0) & (np.abs(reference) >= format_.smallest_normal)
    return ~same_class.all(axis=-1), vanished.any(axis=-1)


def _compensated(value: Array, function: Function, format_: Format) -> MethodResult:
    return MethodResult(
        method=Method.COMPENSATED,
        format=format_.name,
        shift=None,
        a=None,
        value=_scalar_if_one(value, function),
        total=_total(value, function),
        verdict=Verdict.OK,
    )


def _scalar_if_one(value: Array, function: Function) -> Any:
    return value[0] if function is Function.LOGSUMEXP else value


def _total(value: Array, function: Function) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
