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
    exact: bool | None = None,
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
        and shifted), ``"compensated"`` and ``"exact"``; by default all but the division-free,
        the exact one if that takes no noticeable time.
    shifts : sequence of str or float
        The shifts a to try: ``"max"``, ``"min"``, ``"mean"`` or any number.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.
    exact : bool, optional
        Whether to show the correctly rounded value too, and every method's relative error; by
        default if that takes no noticeable time, or if it is among the methods. Verdicts and
        ulps are held against it unless it is ruled out.

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
    compensated 1002.4076059644444 right 0.0
    exact 1002.4076059644444 right 0.0
    """
    (comparison,) = compare_rows(
        real_vector(x, "compare")[np.newaxis],
        Function(function),
        [find_shift(str(shift)) for shift in shifts],
        [find_format(name) for name in formats],
        exact=exact,
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
    exact: bool | None = None,
    methods: Sequence[Method] | None = None,
    errors: bool = True,
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
    exact : bool, optional
        See `compare`.
    methods : sequence of Method, optional
        See `compare`.
    errors : bool
        Whether to give relative errors, their bounds and condition numbers. The first of these
        take a second exact computation, in a wider format.
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
    chosen = chosen_methods(methods, exact)
    if Method.EXACT in chosen:
        exact = True
    is_quick = x.size <= _QUICK[function]
    if exact is None and is_quick and methods is None:
        chosen = (*chosen, Method.EXACT)
    tried = candidates(function, chosen, shifts)
    yardsticks = [
        Yardstick.of(
            x,
            function,
            format_,
            exact=exact or (exact is None and (is_quick or format_.name != "longdouble")),
            reference=errors and (exact or (exact is None and is_quick)),
            errors=errors,
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
    values = first.compensated[:, 0] if scalar else first.compensated
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


def chosen_methods(methods: Sequence[Method] | None, exact: bool | None) -> Sequence[Method]:
    """Return the methods to show, as far as that does not hang on the length of the vectors.

    Raises
    ------
    MethodError
        If there is none, or the exact one is asked for and ruled out.
    """
    if methods is not None and not methods:
        raise MethodError(f"no method: choose from {', '.join(m.value for m in Method)}")
    if methods is not None and Method.EXACT in methods and exact is False:
        raise MethodError("the exact method is asked for and ruled out: leave out one of the two")
    chosen = USUAL if methods is None else tuple(methods)
    return (*chosen, Method.EXACT) if exact else chosen


#: So many elements take about a hundredth of a second in decimal arithmetic, which gives the exact
#: values of longdouble, and those that the errors of float64 are measured by.
_QUICK: dict[Function, int] = {
    Function.LOGSUMEXP: 500,
    Function.SOFTMAX: 120,
    Function.LOG_SOFTMAX: 120,
}
