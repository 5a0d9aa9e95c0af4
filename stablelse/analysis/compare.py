"""The methods side by side on one vector: what each computed, and what broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.findings import find
from stablelse.analysis.results import (
    LOSSES,
    VERDICTS,
    Comparison,
    Finding,
    MethodResult,
    Place,
    Verdict,
)
from stablelse.analysis.verdicts import does_not_fit, judge
from stablelse.numerics.bounds import (
    ElementaryErrors,
    bound_of,
    coefficients,
    logsumexp_of,
)
from stablelse.numerics.errors import condition_number, correct_digits, relative_error
from stablelse.numerics.formats import FORMATS, Array, Format, find_format
from stablelse.numerics.formulas import USUAL, Candidate, Shift, candidates, find_method, find_shift
from stablelse.numerics.formulas.formula import Evaluation, Method, MethodError, pairwise_sum
from stablelse.numerics.functions import Function
from stablelse.numerics.functions import exact as exactly
from stablelse.numerics.inputs import real_vector, several

if TYPE_CHECKING:
    import numpy.typing as npt


def compare(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    methods: str | Sequence[str] | None = None,
    shifts: str | float | Sequence[str | float] = ("max",),
    formats: str | Sequence[str] = ("float64",),
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
        [find_shift(str(shift)) for shift in several(shifts)],
        [find_format(name) for name in several(formats)],
        errors=errors,
        methods=None if methods is None else [find_method(name) for name in several(methods)],
    )
    return comparison


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
        _Yardstick(x, function, format_, is_measured, errors is not False, empty)
        for format_ in formats
    ]
    columns = [yardstick.results(candidate) for yardstick in yardsticks for candidate in tried]
    first = yardsticks[0]
    with np.errstate(invalid="ignore"):
        ends = zip(first.x.min(axis=-1), first.x.max(axis=-1), strict=True)
    return [
        Comparison(
            function=function,
            source=place.source,
            row=place.row,
            column=place.column,
            n=x.shape[-1],
            x=row,
            label=None,
            minimum=minimum,
            maximum=maximum,
            condition_number=condition,
            value=_scalar_if_one(value, function),
            results=results,
            elements=range(x.shape[-1]),
        )
        for place, row, (minimum, maximum), condition, value, results in zip(
            places or [Place()] * len(x),
            x,
            ends,
            first.condition_numbers(),
            first.exact,
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


class _Judged(NamedTuple):
    """What is known of the value of one row beside the value itself."""

    verdict: Verdict
    ulps: float
    relative_error: float | None
    correct_digits: float | None


class _Yardstick:
    """What the results on the rows of x are held against, in one format.

    Attributes
    ----------
    x : ndarray
        Shape (m, n), rounded to the format.
    exact : ndarray
        The correctly rounded values, shape (m, 1) or (m, n).
    """

    def __init__(
        self,
        x: Array,
        function: Function,
        format_: Format,
        is_measured: bool,
        is_bounded: bool,
        empty: str,
    ) -> None:
        self._function, self._format, self._is_bounded = function, format_, is_bounded
        self._input, self.x = x, format_.round(x)
        self.exact = exactly(function, self.x, format_, empty)
        self._reference: Array | None = None
        if is_measured:
            wide = _wider(format_)
            wider = exactly(function, self.x.astype(wide.dtype), wide, empty)
            # what the format cannot hold is infinite in it by right
            truth = self.exact.astype(wide.dtype)
            self._reference = np.where(np.isfinite(self.exact), wider, truth)
        self._unfit = does_not_fit(x, self.x)

    def results(self, candidate: Candidate) -> list[MethodResult]:
        """Return for each row what a method makes of it."""
        if candidate.formula is None:
            judged = self._judged(self.exact)
            pairs = zip(self.exact, judged, strict=True)
            return [self._result(candidate, value, row) for value, row in pairs]
        rule = candidate.shift.rule if candidate.shift else None
        evaluation = candidate.formula.evaluate(self._input, self._format, rule)
        judged = self._judged(evaluation.value, evaluation.row)
        bounds = self._bounds(evaluation)
        return [
            self._result(candidate, evaluation.value[index], row, found, evaluation.row(index), b)
            for index, (row, found, b) in enumerate(
                zip(judged, find(evaluation), bounds, strict=True)
            )
        ]

    def _result(
        self,
        candidate: Candidate,
        value: Array,
        judged: _Judged,
        findings: Sequence[Finding] = (),
        evaluation: Evaluation | None = None,
        bound: float | None = None,
    ) -> MethodResult:
        if judged.verdict is Verdict.RIGHT:
            findings = [found for found in findings if found.kind not in LOSSES]
        if evaluation is None or not _theorem_holds(findings):
            bound = None
        theorem = bound_of(evaluation.formula).theorem if evaluation and bound is not None else None
        return MethodResult(
            method=candidate.method,
            format=self._format.name,
            shift=candidate.shift.name if candidate.shift else None,
            a=evaluation.results["a"][0] if evaluation and candidate.shift else None,
            value=_scalar_if_one(value, self._function),
            total=_total(value, self._function),
            ulps=judged.ulps,
            error_bound=0.5 if evaluation is None else None,
            relative_error=judged.relative_error,
            correct_digits=judged.correct_digits,
            bound=bound,
            theorem=theorem,
            verdict=judged.verdict,
            findings=tuple(findings),
            evaluation=evaluation,
        )

    def _judged(
        self, value: Array, evaluated: Callable[[Array], Evaluation] | None = None
    ) -> list[_Judged]:
        """Return what is known of the value of each row.

        Relative errors are given to two digits, and digits to a hundredth: the reference is
        rounded too, to 11 bits more than float64 has, and blurs the rest of half an ulp.
        """
        places, ulps = judge(
            value, self.exact, self._format, self._function, self._unfit, evaluated
        )
        pairs: Iterable[tuple[float | None, float | None]] = [(None, None)] * len(value)
        if self._reference is not None:
            errors = relative_error(value, self._reference)
            digits = correct_digits(errors, self._format)
            pairs = [
                (float(f"{error:.2g}"), round(digit, 2))
                for error, digit in zip(errors.tolist(), digits.tolist(), strict=True)
            ]
        return [
            _Judged(VERDICTS[place], error, *measured)
            for place, error, measured in zip(places, ulps.tolist(), pairs, strict=True)
        ]

    @property
    def _right(self) -> Array:
        """The best values there are."""
        return self.exact if self._reference is None else self._reference

    def _bounds(self, evaluation: Evaluation) -> list[float | None]:
        """Return for each row what the relative error of the formula can be at most."""
        if not self._is_bounded:
            return [None] * len(self.x)
        a = evaluation.results["a"][:, 0] if evaluation.formula.is_shifted else None
        y = logsumexp_of(self._function, self.x, self._right)
        errors = ElementaryErrors.of(self._format)
        bounds = coefficients(evaluation.formula, self.x, y, a, errors)
        return _known(bounds * self._format.unit_roundoff)

    def condition_numbers(self) -> list[float | None]:
        """Return for each row the condition number of the problem."""
        if not self._is_bounded:
            return [None] * len(self.x)
        return _known(condition_number(self._function, self.x, self._right))


def _known(numbers: Array) -> list[float | None]:
    """Return numbers, None for NaN."""
    return [None if number != number else number for number in numbers.tolist()]


def _wider(format_: Format) -> Format:
    """Return the format whose numbers tell the error of a result of this one."""
    candidates = (FORMATS["float64"], FORMATS["longdouble"])
    bits = format_.significand_bits
    return next((wide for wide in candidates if wide.significand_bits > bits), format_)


def _theorem_holds(findings: Sequence[Finding]) -> bool:
    """Whether nothing overflowed or underflowed, or did so in vain."""
    return all(found.harmless or found.kind in LOSSES for found in findings)


def _scalar_if_one(value: Array, function: Function) -> Any:
    return value[0] if function is Function.LOGSUMEXP else value


def _total(value: Array, function: Function) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
