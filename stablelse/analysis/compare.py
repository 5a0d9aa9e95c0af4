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
from stablelse.analysis.verdicts import judge
from stablelse.numerics.bounds import (
    ElementaryErrors,
    bound_of,
    coefficients,
    logsumexp_of,
)
from stablelse.numerics.errors import condition_number, correct_digits, does_not_fit, relative_error
from stablelse.numerics.formats import FORMATS, Array, Format, find_format
from stablelse.numerics.formulas import USUAL, Candidate, candidates, find_method, find_shift
from stablelse.numerics.formulas.formula import Evaluation, Method, MethodError, pairwise_sum
from stablelse.numerics.functions import Function, LossFunction
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
        Problem(Function(function)),
        candidates(
            Function(function),
            USUAL if methods is None else [find_method(name) for name in several(methods)],
            [find_shift(str(shift)) for shift in several(shifts)],
        ),
        [find_format(name) for name in several(formats)],
        errors=errors,
    )
    return comparison


def compare_rows(
    x: Array,
    problem: Problem,
    tried: Sequence[Candidate],
    formats: Sequence[Format],
    places: Iterable[Place] | None = None,
    errors: bool | None = None,
) -> list[Comparison]:
    """Compare the methods on each row of an array, shape (m, n), n >= 1, real; see `compare`.

    Relative errors take a second exact computation, in a wider format; None is where it is quick.
    """
    if not tried:
        raise MethodError(f"no method: choose from {', '.join(m.value for m in Method)}")
    function, labels = problem.function, problem.labels
    is_measured = x.size <= _QUICK.get(function, 0) if errors is None else errors
    is_bounded = errors is not False and labels is None
    yardsticks = [_Yardstick(problem, x, f, is_measured, is_bounded) for f in formats]
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
            label=label,
            minimum=minimum,
            maximum=maximum,
            condition_number=condition,
            value=_scalar_if_one(value, function),
            results=results,
            elements=range(x.shape[-1]),
        )
        for place, row, label, (minimum, maximum), condition, value, results in zip(
            places or [Place()] * len(x),
            x,
            [None] * len(x) if labels is None else labels.tolist(),
            ends,
            first.condition_numbers(),
            first.exact,
            zip(*columns, strict=True),
            strict=True,
        )
    ]


#: So many elements take about a hundredth of a second in decimal arithmetic, which gives the
#: values that the errors of float64 are measured by.
_QUICK: dict[Function | LossFunction, int] = {
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


class Problem:
    """What is computed of some rows: here a function of x alone.

    A loss has the labels of the rows, and `seen` if it is made of that element of a formula's value
    alone. `judged_as` is what a verdict takes the result for. `empty` is what softmax and
    log_softmax are of nothing but -inf, as `stablelse.softmax` has it; the formulas know no such
    thing.
    """

    labels: Array | None = None
    seen: Array | None = None

    def __init__(self, function: Function, empty: str = "nan") -> None:
        self.function: Function | LossFunction = function
        self.judged_as: Function | None = function
        self.empty = empty

    def exactly(self, x: Array, format_: Format) -> Array:
        """Return the correctly rounded value of each row, shape (m, 1) or (m, n)."""
        assert self.judged_as is not None, "it is a function of x"
        return exactly(self.judged_as, x, format_, self.empty)

    def of_formula(self, value: Array) -> Array:
        """Return what the value of a formula makes the result."""
        return value


class _Yardstick:
    """What the results on the rows of x are held against, in one format."""

    def __init__(
        self, problem: Problem, x: Array, format_: Format, is_measured: bool, is_bounded: bool
    ) -> None:
        self._problem, self._format, self._is_bounded = problem, format_, is_bounded
        self._input, self.x = x, format_.round(x)
        self.exact = problem.exactly(self.x, format_)
        self._reference: Array | None = None
        if is_measured:
            wide = _wider(format_)
            wider = problem.exactly(self.x.astype(wide.dtype), wide)
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
        values = self._problem.of_formula(evaluation.value)
        judged = self._judged(values, evaluation.row)
        is_wrong = np.array([row.verdict is not Verdict.RIGHT for row in judged])
        findings = find(evaluation, self._problem.seen, is_wrong)
        bounds = self._bounds(evaluation)
        return [
            self._result(candidate, value, row, found, evaluation.row(index), bound)
            for index, (value, row, found, bound) in enumerate(
                zip(values, judged, findings, bounds, strict=True)
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
        if evaluation is None or not _theorem_holds(findings):
            bound = None
        theorem = bound_of(evaluation.formula).theorem if evaluation and bound is not None else None
        return MethodResult(
            method=candidate.method,
            format=self._format.name,
            shift=candidate.shift.name if candidate.shift else None,
            a=evaluation.results["a"][0] if evaluation and candidate.shift else None,
            value=_scalar_if_one(value, self._problem.function),
            total=_total(value, self._problem.function),
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
            value, self.exact, self._format, self._problem.judged_as, self._unfit, evaluated
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
        assert isinstance(self._problem.function, Function), "no bound of a loss is known"
        y = logsumexp_of(self._problem.function, self.x, self._right)
        errors = ElementaryErrors.of(self._format)
        bounds = coefficients(evaluation.formula, self.x, y, a, errors)
        return _known(bounds * self._format.unit_roundoff)

    def condition_numbers(self) -> list[float | None]:
        """Return for each row the condition number of the problem."""
        if not self._is_bounded:
            return [None] * len(self.x)
        assert isinstance(self._problem.function, Function), "nor its condition number"
        return _known(condition_number(self._problem.function, self.x, self._right))


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


def _scalar_if_one(value: Array, function: Function | LossFunction) -> Any:
    return value[0] if function in (Function.LOGSUMEXP, LossFunction.LOSS) else value


def _total(value: Array, function: Function | LossFunction) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
