"""The methods side by side on one vector: what each computed, and what broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.analysis import Place
from stablelse.analysis.findings import Findings, judge, measured
from stablelse.analysis.results import LOSSES, VERDICTS, Comparison, MethodResult, Verdict
from stablelse.numerics.bounds import ElementaryErrors, bound_of, coefficients, logsumexp_of
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import (
    FORMULAS,
    USUAL,
    WEIGHTED,
    Candidate,
    Evaluation,
    candidates,
    find_method,
    find_shift,
    held,
    pairwise_sum,
)
from stablelse.numerics.functions import (
    Function,
    LossFunction,
    condition_number,
    does_not_fit,
    exact_values,
    exact_weighted,
)
from stablelse.numerics.inputs import check_finite, find_formats, real_numbers, real_vector, several

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
    weights: npt.ArrayLike | None = None,
) -> Comparison:
    """Compute log-sum-exp or softmax of a vector by every method, and find what broke.

    Parameters
    ----------
    x : array_like
        Shape (n,), n >= 1, real numbers.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    methods : sequence of str, optional
        Any of ``"naive"``, ``"shifted"``, ``"division-free"`` (softmax only, with a naive and a
        shifted y) and ``"exact"``, which is correctly rounded; by default all but division-free.
    shifts : sequence of str or float
        The shifts a to try: ``"max"``, ``"min"``, ``"mean"`` or any number.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.
    errors : bool, optional
        Whether to compute every method's relative error, its bound and the condition number; by
        default relative errors only if they are quick. Verdicts and ulps are always there.
    weights : array_like, optional
        Shape (n,), finite, of either sign: the b of log |sum b e^x|, for logsumexp only. Each
        result then has the sign of its sum.

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
    numbers = real_vector(x, "compare")[np.newaxis]
    b = None if weights is None else _weights(weights, numbers.shape[1])[np.newaxis]
    if b is not None and Function(function) is not Function.LOGSUMEXP:
        raise ValueError(f"{function} has no weights: add their logarithms to x")
    tried = candidates(
        Function(function),
        USUAL if methods is None else [find_method(name) for name in several(methods)],
        [find_shift(str(shift)) for shift in several(shifts)],
        FORMULAS if b is None else WEIGHTED,
    )
    problem = Problem(Function(function), weights=b)
    (comparison,) = Compared(numbers, problem, tried, find_formats(formats), errors=errors)
    return comparison


def _weights(weights: npt.ArrayLike, n: int) -> Array:
    b = real_numbers(weights, "weights")
    if b.shape != (n,):
        raise ValueError(f"weights of shape {b.shape}: {n} numbers need shape ({n},)")
    check_finite(b, "weights", "weights are finite")
    return b


#: How many elements take about 10 ms in decimal arithmetic, which gives the values that the
#: errors of float64 are measured against.
_QUICK: dict[Function | LossFunction, int] = {
    Function.LOGSUMEXP: 500,
    Function.SOFTMAX: 120,
    Function.LOG_SOFTMAX: 120,
}


class Column:
    """The results of one method on m vectors, in one format.

    `values` have the shape (m, 1) or (m, n), all other arrays (m,). `verdicts` are indices into
    `VERDICTS`. Only vectors that will be shown are described.
    """

    def __init__(self, yardstick: _Yardstick, candidate: Candidate) -> None:
        self._yardstick, self._candidate = yardstick, candidate
        problem, format_, shift = yardstick.problem, yardstick.format, candidate.shift
        self.name = candidate.method, format_.name, shift and shift.name
        self.values, self._signs, opposite = yardstick.exact, yardstick.signs, None
        self._evaluation = candidate.evaluate(yardstick.input, format_, problem.weights)
        if self._evaluation is not None:
            self.values = problem.of_formula(self._evaluation.value)
            if yardstick.signs is not None:
                self._signs = self._evaluation.sign
                opposite = (self._signs * yardstick.signs < 0)[:, 0]
        self.verdicts, self.ulps = judge(
            self.values,
            yardstick.exact,
            format_,
            problem.judged_as,
            yardstick.unfit,
            self._evaluation and self._evaluation.row,
            opposite=opposite,
        )
        self._bounds: Sequence[float | None] = ()
        if self._evaluation is not None:
            is_wrong = self.verdicts != VERDICTS.index(Verdict.RIGHT)
            self._findings = Findings(self._evaluation, problem.seen, is_wrong)
            if yardstick.is_bounded:
                self._bounds = yardstick.bounds(self._evaluation)
        self._errors: Sequence[tuple[float, float]] = ()
        if yardstick.is_measured:
            # a result with the wrong sign has no right digit
            given = self.values
            if opposite is not None:
                given = np.where(opposite[:, np.newaxis], np.nan, given)
            self._errors = measured(given, yardstick.best, format_)

    def result(self, row: int) -> MethodResult:
        """Return the method's result on a row."""
        function, (method, format_, shift) = self._yardstick.problem.function, self.name
        value, facts = self.values[row], dict[str, Any]()
        if self._evaluation is None:
            facts["error_bound"] = 0.5
        else:
            evaluation, findings = self._evaluation.row(row), tuple(self._findings.of(row))
            facts = {"evaluation": evaluation, "findings": findings}
            if shift is not None:
                facts["a"] = evaluation.results["a"][0]
            bound = self._bounds[row] if self._bounds else None
            # a theorem holds if nothing overflowed or underflowed, or only harmlessly
            if bound is not None and all(f.harmless or f.kind in LOSSES for f in findings):
                facts |= {"bound": bound, "theorem": bound_of(evaluation.formula).theorem}
        if self._errors:
            facts["relative_error"], facts["correct_digits"] = self._errors[row]
        if self._signs is not None:
            facts["sign"] = float(self._signs[row, 0])
        if function is Function.SOFTMAX:
            with np.errstate(all="ignore"):
                facts["total"] = pairwise_sum(value)[0]
        return MethodResult(
            method=method,
            format=format_,
            shift=shift,
            value=_scalar_if_one(value, function),
            ulps=self.ulps[row].item(),
            verdict=VERDICTS[self.verdicts[row]],
            **facts,
        )


def _scalar_if_one(value: Array, function: Function | LossFunction) -> Any:
    return value[0] if function in (Function.LOGSUMEXP, LossFunction.LOSS) else value


class Compared(Sequence[Comparison]):
    """The methods on each row of an array, shape (m, n), n >= 1, real; made on demand.

    `place_of` returns where a row came from, by its number from 0. Relative errors need a second
    exact computation in a wider format; with `errors` None it is done only if it is quick.
    """

    def __init__(
        self,
        x: Array,
        problem: Problem,
        tried: Sequence[Candidate],
        formats: Sequence[Format],
        place_of: Callable[[int], Place] = lambda row: Place(),
        errors: bool | None = None,
    ) -> None:
        self.x, self._problem, self._place_of = x, problem, place_of
        is_measured = x.size <= _QUICK.get(problem.function, 0) if errors is None else errors
        is_bounded = errors is not False and problem.labels is None
        yardsticks = [_Yardstick(problem, x, f, is_measured, is_bounded) for f in formats]
        self.columns = [Column(yardstick, each) for yardstick in yardsticks for each in tried]
        self._first = yardsticks[0]
        self._conditions = self._first.condition_numbers()

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[Comparison]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, row: Any) -> Any:
        problem, first, n = self._problem, self._first, self.x.shape[-1]
        with np.errstate(invalid="ignore"):
            minimum, maximum = first.x[row].min(), first.x[row].max()
        return Comparison(
            function=problem.function,
            **self._place_of(row)._asdict(),
            n=n,
            x=self.x[row],
            weights=problem.weights_of(row, n),
            label=None if problem.labels is None else problem.labels[row].item(),
            minimum=minimum,
            maximum=maximum,
            condition_number=self._conditions[row] if self._conditions else None,
            value=_scalar_if_one(first.exact[row], problem.function),
            results=tuple(column.result(row) for column in self.columns),
            elements=range(n),
        )


class Problem:
    """What is computed from some rows: here a function of x alone.

    `weights`, shape (m, n), are those of a log-sum-exp, whose results have signs, shape (m, 1);
    `rounded` is what must fit the format besides x. A loss has the labels of the rows; `seen` are
    the labels if it uses only those elements of a formula's value. `judged_as` is the kind of
    result that verdicts assume. `empty` chooses softmax and log_softmax of rows that are all -inf,
    as in `stablelse.softmax`; the formulas do not have it. `kept`, shape (m, n), is False for
    masked elements, whose x is -inf.
    """

    labels: Array | None = None
    seen: Array | None = None

    def __init__(
        self,
        function: Function,
        empty: str = "nan",
        weights: Array | None = None,
        kept: Array | None = None,
    ) -> None:
        self.function: Function | LossFunction = function
        self.judged_as: Function | None = function
        self.empty, self.weights, self.rounded, self.kept = empty, weights, weights, kept

    def exactly(self, x: Array, format_: Format, b: Array | None) -> tuple[Array, Array | None]:
        """Return the correctly rounded value of each row, shape (m, 1) or (m, n), and its sign.

        b has the weights rounded to the format.
        """
        assert self.judged_as is not None, "it is a function of x"
        if b is not None:
            return exact_weighted(x, b, format_)
        return exact_values(self.judged_as, x, format_, self.empty, self.kept), None

    def of_formula(self, value: Array) -> Array:
        """Return the result that follows from the value of a formula."""
        return value

    def weights_of(self, row: int, n: int) -> Array | None:
        """Return the weights of a row's terms, shape (n,)."""
        return None if self.weights is None else self.weights[row]


class _Yardstick:
    """What the results on the rows of x are compared with, in one format."""

    def __init__(
        self, problem: Problem, x: Array, format_: Format, is_measured: bool, is_bounded: bool
    ) -> None:
        self.problem, self.format, self.input, self.x = problem, format_, x, format_.round(x)
        self.is_measured, self.is_bounded = is_measured, is_bounded
        self.unfit = does_not_fit(x, self.x)
        if problem.rounded is not None:
            rounded = format_.round(problem.rounded)
            self.unfit = self.unfit | does_not_fit(problem.rounded, rounded)
        b = None if problem.weights is None else held(problem.weights, format_)
        self.exact, self.signs = problem.exactly(self.x, format_, b)
        self._cancels: Array | None = None
        if b is not None and is_bounded:
            sizes, _ = problem.exactly(self.x, format_, np.abs(b))
            with np.errstate(all="ignore"):
                self._cancels = np.exp(np.subtract(sizes, self.exact, dtype=np.longdouble))[:, 0]
        self.best = self.exact
        if is_measured:
            wide = _wider(format_)
            wider, _ = problem.exactly(self.x.astype(wide.dtype), wide, b)
            # a value that the format cannot hold is rightly infinite in it
            truth = self.exact.astype(wide.dtype)
            self.best = np.where(np.isfinite(self.exact), wider, truth)

    def bounds(self, evaluation: Evaluation) -> list[float | None]:
        """Return for each row a bound on the relative error of the formula."""
        assert isinstance(self.problem.function, Function), "no bound of a loss is known"
        a = evaluation.results["a"][:, 0] if evaluation.formula.is_shifted else None
        y = logsumexp_of(self.problem.function, self.x, self.best)
        errors = ElementaryErrors.of(self.format)
        bounds = coefficients(evaluation.formula, self.x, y, a, errors, self._cancels)
        return _known(bounds * self.format.unit_roundoff)

    def condition_numbers(self) -> list[float | None]:
        """Return the condition number of the problem for each row, or nothing."""
        if not self.is_bounded:
            return []
        assert isinstance(self.problem.function, Function), "nor its condition number"
        return _known(condition_number(self.problem.function, self.x, self.best, self._cancels))


def _known(numbers: Array) -> list[float | None]:
    """Return numbers, with None for NaN."""
    return [None if number != number else number for number in numbers.tolist()]


def _wider(format_: Format) -> Format:
    """Return the format in which errors of results in this one are measured."""
    candidates = (FORMATS["float64"], FORMATS["longdouble"])
    bits = format_.significand_bits
    return next((wide for wide in candidates if wide.significand_bits > bits), format_)
