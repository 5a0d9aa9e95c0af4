"""What one method made of the rows of an array, held against what is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.comparison import MethodResult
from stablelse.analysis.detect import find
from stablelse.analysis.findings import LOSSES, Finding
from stablelse.analysis.verdicts import VERDICTS, Verdict, does_not_fit, judge
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas.formula import Evaluation, Method, pairwise_sum
from stablelse.numerics.formulas.methods import Candidate
from stablelse.numerics.functions import Function
from stablelse.numerics.functions import exact as exactly


class Yardstick(NamedTuple):
    """What the results on the rows of x are held against, in one format.

    Attributes
    ----------
    function : Function
        What is computed.
    format : Format
        Of all arrays but the last.
    x : ndarray
        Shape (m, n), rounded to the format.
    exact : ndarray
        The correctly rounded values, shape (m, 1) or (m, n).
    reference : ndarray or None
        The exact ones in a wider format, to measure relative errors by; infinite where those
        of the format are.
    errors : bool
        Whether bounds and condition numbers are asked for.
    unfit : ndarray of bool
        Shape (m,): which rows have a finite number that the format does not hold.
    """

    function: Function
    format: Format
    x: Array
    exact: Array
    reference: Array | None
    errors: bool
    unfit: Array

    @classmethod
    def of(
        cls,
        x: Array,
        function: Function,
        format_: Format,
        *,
        reference: bool,
        errors: bool,
        empty: str = "nan",
    ) -> Yardstick:
        """Return the yardstick for rows x of any format; see `compare_rows`."""
        rounded = format_.round(x)
        truth = exactly(function, rounded, format_, empty)
        wider = None
        if reference:
            wide = _wider(format_)
            wider = exactly(function, rounded.astype(wide.dtype), wide, empty)
            # what the format cannot hold is infinite in it by right
            wider = np.where(np.isfinite(truth), wider, truth.astype(wide.dtype))
        unfit = does_not_fit(x, rounded)
        return cls(function, format_, rounded, truth, wider, errors, unfit)

    @property
    def right(self) -> Array:
        """The best values there are."""
        return self.exact if self.reference is None else self.reference

    def judged(
        self, value: Array, evaluated: Callable[[Array], Evaluation] | None = None
    ) -> tuple[Sequence[Verdict], Sequence[float]]:
        """Return for each row the verdict, and its largest error in ulps of the exact value."""
        places, ulps = judge(value, self.exact, self.format, self.function, self.unfit, evaluated)
        return [VERDICTS[place] for place in places], ulps.tolist()

    def relative_errors(self, value: Array) -> Sequence[tuple[float | None, float | None]]:
        """Return for each row its relative error, and how many digits that leaves.

        To two digits and to a hundredth: the reference is rounded too, to 11 bits more than
        float64 has, and blurs the rest of an error of half an ulp.
        """
        if self.reference is None:
            return [(None, None)] * len(value)
        from stablelse.numerics.errors import correct_digits, relative_error

        errors = relative_error(value, self.reference)
        digits = correct_digits(errors, self.format)
        return [
            (float(f"{error:.2g}"), round(digit, 2))
            for error, digit in zip(errors.tolist(), digits.tolist(), strict=True)
        ]

    def bounds(self, evaluation: Evaluation) -> Sequence[float | None]:
        """Return for each row what the relative error of the formula can be at most."""
        if not self.errors:
            return [None] * len(self.x)
        from stablelse.numerics.formulas.bounds import ElementaryErrors, coefficients, logsumexp_of

        a = evaluation.results["a"][:, 0] if evaluation.formula.is_shifted else None
        y = logsumexp_of(self.function, self.x, self.right)
        errors = ElementaryErrors.of(self.format)
        bounds = coefficients(evaluation.formula, self.x, y, a, errors) * self.format.unit_roundoff
        return [None if bound != bound else bound for bound in bounds.tolist()]

    def condition_numbers(self) -> Sequence[float | None]:
        """Return for each row the condition number of the problem."""
        if not self.errors:
            return [None] * len(self.x)
        from stablelse.numerics.errors import condition_number

        numbers = condition_number(self.function, self.x, self.right).tolist()
        return [None if number != number else number for number in numbers]


def _wider(format_: Format) -> Format:
    """Return the format whose numbers tell the error of a result of this one."""
    candidates = (FORMATS["float64"], FORMATS["longdouble"])
    bits = format_.significand_bits
    return next((wide for wide in candidates if wide.significand_bits > bits), format_)


def results_of(
    candidate: Candidate, x: Array, format_: Format, yardstick: Yardstick
) -> list[MethodResult]:
    """Return for each row what a method makes of it.

    Parameters
    ----------
    candidate : Candidate
        The method.
    x : ndarray
        Shape (m, n), as it was before it was rounded to the format.
    format_ : Format
        Every operation is rounded to it.
    yardstick : Yardstick
        What the results are held against.
    """
    if candidate.formula is None:
        return _told(candidate.method, yardstick.exact, yardstick)
    rule = candidate.shift.rule if candidate.shift else None
    return _evaluated(candidate, candidate.formula.evaluate(x, format_, rule), yardstick)


def _evaluated(
    candidate: Candidate, evaluation: Evaluation, yardstick: Yardstick
) -> list[MethodResult]:
    """Return for each row what a formula made of it."""
    verdicts, ulps = yardstick.judged(evaluation.value, evaluation.row)
    measured = yardstick.relative_errors(evaluation.value)
    bounds = yardstick.bounds(evaluation)
    theorem = _theorem(evaluation) if yardstick.errors else None
    results = []
    for index, findings in enumerate(find(evaluation)):
        row = evaluation.row(index)
        verdict = verdicts[index]
        if verdict is Verdict.RIGHT:
            findings = [found for found in findings if found.kind not in LOSSES]
        relative, digits = measured[index]
        bound = bounds[index] if _theorem_holds(findings) else None
        results.append(
            MethodResult(
                method=candidate.method,
                format=evaluation.format.name,
                shift=candidate.shift.name if candidate.shift else None,
                a=row.results["a"][0] if candidate.shift else None,
                value=_scalar_if_one(row.value, yardstick.function),
                total=_total(row.value, yardstick.function),
                ulps=ulps[index],
                relative_error=relative,
                correct_digits=digits,
                bound=bound,
                theorem=None if bound is None else theorem,
                verdict=verdict,
                findings=tuple(findings),
                evaluation=row,
            )
        )
    return results


def _theorem(evaluation: Evaluation) -> str:
    from stablelse.numerics.formulas.bounds import bound_of

    return bound_of(evaluation.formula).theorem


def _theorem_holds(findings: Sequence[Finding]) -> bool:
    """Whether nothing overflowed or underflowed, or did so in vain."""
    return all(found.harmless or found.kind in LOSSES for found in findings)


def _told(method: Method, values: Array, yardstick: Yardstick) -> list[MethodResult]:
    """Return for each row the result of a method that shows no operations."""
    verdicts, ulps = yardstick.judged(values)
    measured = yardstick.relative_errors(values)
    return [
        MethodResult(
            method=method,
            format=yardstick.format.name,
            shift=None,
            a=None,
            value=_scalar_if_one(value, yardstick.function),
            total=_total(value, yardstick.function),
            ulps=error,
            relative_error=relative,
            correct_digits=digits,
            bound=None,
            theorem=None,
            verdict=verdict,
        )
        for value, verdict, error, (relative, digits) in zip(
            values, verdicts, ulps, measured, strict=True
        )
    ]


def _scalar_if_one(value: Array, function: Function) -> Any:
    return value[0] if function is Function.LOGSUMEXP else value


def _total(value: Array, function: Function) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
