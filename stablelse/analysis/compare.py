"""The methods side by side on one vector: what each computed, and what broke it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stablelse.analysis.comparison import Comparison
from stablelse.analysis.results import Yardstick, results_of
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas.formula import Method, MethodError
from stablelse.numerics.formulas.methods import USUAL, candidates, find_method
from stablelse.numerics.formulas.shifted import Shift, find_shift
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import real_vector

if TYPE_CHECKING:
    import numpy.typing as npt


def compare(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    methods: Sequence[str] | None = None,
    shifts: Sequence[str | float] = ("max",),
    formats: Sequence[str] = ("float64",),
    errors: bool | None = None,
) -> Comparison:
    """Compute log-sum-exp or softmax of a vector by every method, and find what broke.

    Parameters
    ----------
    x : array_like
        Shape (n,), n >= 1, real numbers.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    methods : sequence of str, optional
        Any of ``"naive"``, ``"shifted"``, ``"division-free"`` (of softmax alone, with y as it is
        and shifted) and ``"exact"``, which is correctly rounded; by default all but the
        division-free.
    shifts : sequence of str or float
        The shifts a to try: ``"max"``, ``"min"``, ``"mean"`` or any number.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.
    errors : bool, optional
        Whether to give every method's relative error, its bound and the condition number; by
        default the relative errors only if that takes no noticeable time. Verdicts and ulps are
        there in any case.

    Returns
    -------
    Comparison
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x is not a vector of at least one number, a name is unknown, or the function has no
        such method.

    Examples
    --------
    >>> import stablelse
    >>> comparison = stablelse.compare([1000, 1001, 1002])
    >>> for result in comparison.results:
    ...     print(result.method.value, result.value, result.verdict.value, result.ulps)
    naive inf overflow inf
    shifted 1002.4076059644444 right 0.0
    exact 1002.4076059644444 right 0.0
    """
    (comparison,) = compare_rows(
        real_vector(x, "compare")[np.newaxis],
        Function(function),
        [find_shift(str(shift)) for shift in shifts],
        [find_format(name) for name in formats],
        errors=errors,
        methods=None if methods is None else [find_method(name) for name in methods],
    )
    return comparison


class Place(NamedTuple):
    """Where a vector came from; see `Comparison`."""

    source: str | None = None
    row: int | tuple[int, ...] | None = None
    column: str | None = None


def compare_rows(
    x: Array,
    function: Function,
    shifts: Sequence[Shift],
    formats: Sequence[Format],
    places: Iterable[Place] | None = None,
    methods: Sequence[Method] | None = None,
    errors: bool | None = None,
    empty: str = "nan",
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
    methods : sequence of Method, optional
        See `compare`.
    errors : bool, optional
        See `compare`. Relative errors take a second exact computation, in a wider format.
    empty : str
        What softmax and log_softmax are of nothing but -inf, as `stablelse.softmax` has it; the
        formulas know no such thing.

    Returns
    -------
    list of Comparison
        One a row.

    Raises
    ------
    MethodError
        If the function has no such method, or the exact one is asked for and ruled out.
    """
    tried = candidates(function, chosen_methods(methods), shifts)
    is_measured = x.size <= _QUICK[function] if errors is None else errors
    yardsticks = [
        Yardstick.of(
            x,
            function,
            format_,
            reference=is_measured,
            errors=errors is not False,
            empty=empty,
        )
        for format_ in formats
    ]
    columns = [
        results_of(candidate, x, format_, yardstick)
        for format_, yardstick in zip(formats, yardsticks, strict=True)
        for candidate in tried
    ]
    first = yardsticks[0]
    scalar = function is Function.LOGSUMEXP
    values = first.exact[:, 0] if scalar else first.exact
    return [
        Comparison(
            function=function,
            source=place.source,
            row=place.row,
            column=place.column,
            n=x.shape[-1],
            condition_number=condition_number,
            value=value,
            results=results,
            x=row,
        )
        for place, condition_number, value, row, results in zip(
            places or [Place()] * len(x),
            first.condition_numbers(),
            values,
            x,
            zip(*columns, strict=True),
            strict=True,
        )
    ]


def chosen_methods(methods: Sequence[Method] | None) -> Sequence[Method]:
    """Return the methods to show: those asked for, or the usual ones.

    Raises
    ------
    MethodError
        If none is asked for.
    """
    if methods is not None and not methods:
        raise MethodError(f"no method: choose from {', '.join(m.value for m in Method)}")
    return USUAL if methods is None else methods


#: So many elements take about a hundredth of a second in decimal arithmetic, which gives the
#: values that the errors of float64 are measured by.
_QUICK: dict[Function, int] = {
    Function.LOGSUMEXP: 500,
    Function.SOFTMAX: 120,
    Function.LOG_SOFTMAX: 120,
}
