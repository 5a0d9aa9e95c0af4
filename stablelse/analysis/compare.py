"""The methods side by side on one vector: what each computed, and what broke it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.comparison import Comparison, MethodResult, Verdict
from stablelse.analysis.findings import find
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formula import Evaluation, Formula, Method, pairwise_sum
from stablelse.numerics.functions import Function, library
from stablelse.numerics.naive import NAIVE
from stablelse.numerics.shifted import SHIFTED, Shift, find_shift

if TYPE_CHECKING:
    import numpy.typing as npt


def compare(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    shifts: Sequence[str | float] = ("max",),
    formats: Sequence[str] = ("float64",),
    exact: bool | None = None,
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
    exact : bool, optional
        Whether to compute the correctly rounded value too, and every method's error in ulps;
        by default if that takes no noticeable time.

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
    ...     print(result.method.value, result.value, result.verdict.value, result.ulps)
    naive inf broken inf
    shifted 1002.4076059644444 ok 0.0
    compensated 1002.4076059644444 ok 0.0
    exact 1002.4076059644444 ok 0.0
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
        exact=exact,
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
    exact: bool | None = None,
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
    exact : bool, optional
        See `compare`.

    Returns
    -------
    list of Comparison
        One a row.
    """
    if exact is None:
        exact = x.size <= _QUICK[function]
    by_format = [_results(x, function, shifts, format_, exact) for format_ in formats]
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


#: So many elements are computed exactly in about a hundredth of a second.
_QUICK: dict[Function, int] = {
    Function.LOGSUMEXP: 500,
    Function.SOFTMAX: 120,
    Function.LOG_SOFTMAX: 120,
}


def _results(
    x: Array, function: Function, shifts: Sequence[Shift], format_: Format, exact: bool
) -> list[list[MethodResult]]:
    """Return for each row its results in one format."""
    rounded = format_.round(x)
    compensated = library(function, rounded, format_)
    truth = None
    if exact:
        from stablelse.numerics.functions import exact as exactly

        truth = exactly(function, rounded, format_)
    candidates: list[tuple[Formula, Shift]] = [(NAIVE[function], shifts[0])]
    candidates += [(SHIFTED[function], shift) for shift in shifts]
    columns = [
        _evaluated(formula.evaluate(x, format_, shift.rule), shift, compensated, truth)
        for formula, shift in candidates
    ]
    columns.append(_told(Method.COMPENSATED, compensated, function, format_, truth))
    if truth is not None:
        columns.append(_told(Method.EXACT, truth, function, format_, truth))
    return [list(row) for row in zip(*columns, strict=True)]


def _evaluated(
    evaluation: Evaluation, shift: Shift, compensated: Array, truth: Array | None
) -> list[MethodResult]:
    """Return for each row what a formula made of it."""
    formula, format_ = evaluation.formula, evaluation.format
    right = compensated if truth is None else truth
    wrong_class, vanished = _departures(evaluation.value, right, format_)
    ulps = _ulps(evaluation.value, truth, format_)
    shifted = formula.method is Method.SHIFTED
    results = []
    for index, findings in enumerate(find(evaluation)):
        row = evaluation.row(index)
        error = ulps[index]
        if wrong_class[index]:
            verdict = Verdict.BROKEN
        elif error is None and not vanished[index]:
            harmed = any(not found.harmless for found in findings) and np.isfinite(row.value).any()
            verdict = Verdict.DIGITS_LOST if harmed else Verdict.OK
        else:
            verdict = _measured(error)
        results.append(
            MethodResult(
                method=formula.method,
                format=format_.name,
                shift=shift.name if shifted else None,
                a=row.results["a"][0] if shifted else None,
                value=_scalar_if_one(row.value, formula.function),
                total=_total(row.value, formula.function),
                ulps=error,
                verdict=verdict,
                findings=tuple(findings),
                evaluation=row,
            )
        )
    return results


def _measured(ulps: float | None) -> Verdict:
    """Return the verdict on a finite result: of no known error, all of its digits are lost."""
    return Verdict.OK if ulps is not None and ulps < _DIGIT else Verdict.DIGITS_LOST


#: As many ulps as make a decimal digit.
_DIGIT = 10


def _ulps(value: Array, truth: Array | None, format_: Format) -> Sequence[float | None]:
    """Return for each row its largest error in ulps."""
    if truth is None:
        return [None] * len(value)
    from stablelse.numerics.errors import ulp_error

    errors: list[float | None] = ulp_error(value, truth, format_).max(axis=-1).tolist()
    return errors


def _departures(value: Array, reference: Array, format_: Format) -> tuple[Array, Array]:
    """Tell for each row whether any entry has the wrong class, or is zero where it is not."""
    with np.errstate(all="ignore"):
        both_finite = np.isfinite(value) & np.isfinite(reference)
        both_nan = np.isnan(value) & np.isnan(reference)
        same_class = both_finite | both_nan | (value == reference)
        vanished = (value == 0) & (np.abs(reference) >= format_.smallest_normal)
    return ~same_class.all(axis=-1), vanished.any(axis=-1)


def _told(
    method: Method, values: Array, function: Function, format_: Format, truth: Array | None
) -> list[MethodResult]:
    """Return for each row the result of a method that shows no operations."""
    return [
        MethodResult(
            method=method,
            format=format_.name,
            shift=None,
            a=None,
            value=_scalar_if_one(value, function),
            total=_total(value, function),
            ulps=error,
            verdict=Verdict.OK if error is None else _measured(error),
        )
        for value, error in zip(values, _ulps(values, truth, format_), strict=True)
    ]


def _scalar_if_one(value: Array, function: Function) -> Any:
    return value[0] if function is Function.LOGSUMEXP else value


def _total(value: Array, function: Function) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
