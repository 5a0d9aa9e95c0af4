"""What one method made of the rows of an array, held against what is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.comparison import MethodResult, Verdict
from stablelse.analysis.detect import find
from stablelse.analysis.findings import DIGIT, LOSSES, Finding
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas.formula import Evaluation, Method, pairwise_sum
from stablelse.numerics.formulas.methods import Candidate
from stablelse.numerics.functions import Function, library
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
    compensated : ndarray
        The library's own values, shape (m, 1) or (m, n).
    exact : ndarray or None
        The correctly rounded ones.
    reference : ndarray or None
        The exact ones in a wider format, to measure relative errors by; infinite where those
        of the format are.
    errors : bool
        Whether bounds and condition numbers are asked for.
    """

    function: Function
    format: Format
    x: Array
    compensated: Array
    exact: Array | None
    reference: Array | None
    errors: bool

    @classmethod
    def of(
        cls,
        x: Array,
        function: Function,
        format_: Format,
        exact: bool,
        errors: bool,
        empty: str = "nan",
    ) -> Yardstick:
        """Return the yardstick for rows x of any format; see `compare_rows`."""
        rounded = format_.round(x)
        truth = reference = None
        if exact:
            truth = exactly(function, rounded, format_, empty)
            if errors:
                wide = _wider(format_)
                reference = exactly(function, rounded.astype(wide.dtype), wide, empty)
                # what the format cannot hold is infinite in it by right
                reference = np.where(np.isfinite(truth), reference, truth.astype(wide.dtype))
        compensated = library(function, rounded, format_, empty)
        return cls(function, format_, rounded, compensated, truth, reference, errors)

    @property
    def right(self) -> Array:
        """The best values there are."""
        best = (self.reference, self.exact, self.compensated)
        return next(values for values in best if values is not None)

    def ulps(self, value: Array) -> Sequence[float | None]:
        """Return for each row its largest error in ulps."""
        if self.exact is None:
            return [None] * len(value)
        from stablelse.numerics.errors import ulp_error

        errors: list[float] = ulp_error(value, self.exact, self.format).max(axis=-1).tolist()
        return errors

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
        values = yardstick.exact if candidate.method is Method.EXACT else yardstick.compensated
        assert values is not None, "the exact values are computed where they are asked for"
        return _told(candidate.method, values, yardstick)
    rule = candidate.shift.rule if candidate.shift else None
    return _evaluated(candidate, candidate.formula.evaluate(x, format_, rule), yardstick)


def _evaluated(
    candidate: Candidate, evaluation: Evaluation, yardstick: Yardstick
) -> list[MethodResult]:
    """Return for each row what a formula made of it."""
    right = yardstick.compensated if yardstick.exact is None else yardstick.exact
    wrong_class, vanished = departures(evaluation.value, right, evaluation.format)
    ulps = yardstick.ulps(evaluation.value)
    measured = yardstick.relative_errors(evaluation.value)
    bounds = yardstick.bounds(evaluation)
    theorem = _theorem(evaluation) if yardstick.errors else None
    results = []
    for index, findings in enumerate(find(evaluation)):
        row = evaluation.row(index)
        any_finite = bool(np.isfinite(row.value).any())
        flags = wrong_class[index], vanished[index], any_finite
        verdict = verdict_of(findings, ulps[index], *flags)
        if verdict is Verdict.OK:
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


def verdict_of(
    findings: Sequence[Finding],
    ulps: float | None,
    wrong_class: bool,
    vanished: bool,
    any_finite: bool,
) -> Verdict:
    """Return what became of a formula on a vector.

    Parameters
    ----------
    findings : sequence of Finding
        What went wrong.
    ulps : float or None
        The largest error of its entries, where the exact values are known.
    wrong_class, vanished : bool
        Whether an entry is infinite or NaN where the right one is not, or the other way round;
        and whether one is zero where the right one is not, nor nearly.
    any_finite : bool
        Whether there is a finite entry.
    """
    if wrong_class:
        return Verdict.BROKEN
    if ulps is None and not vanished:
        harmed = any(not found.harmless for found in findings) and any_finite
        return Verdict.DIGITS_LOST if harmed else Verdict.OK
    return _measured(ulps)


def _measured(ulps: float | None) -> Verdict:
    """Return the verdict on a finite result: of no known error, all of its digits are lost."""
    return Verdict.OK if ulps is not None and ulps < DIGIT else Verdict.DIGITS_LOST


def verdicts_of(
    value: Array, right: Array, ulps: Sequence[float | None], format_: Format
) -> list[Verdict]:
    """Return for each row, shape (m, k), what became of it, by its error alone."""
    wrong_class, vanished = departures(value, right, format_)
    return [
        Verdict.BROKEN if wrong else Verdict.OK if error is None and not gone else _measured(error)
        for error, wrong, gone in zip(ulps, wrong_class, vanished, strict=True)
    ]


def departures(value: Array, reference: Array, format_: Format) -> tuple[Array, Array]:
    """Tell for each row whether any entry has the wrong class, or is zero where it is not."""
    with np.errstate(all="ignore"):
        both_finite = np.isfinite(value) & np.isfinite(reference)
        both_nan = np.isnan(value) & np.isnan(reference)
        same_class = both_finite | both_nan | (value == reference)
        vanished = (value == 0) & (np.abs(reference) >= format_.smallest_normal)
    return ~same_class.all(axis=-1), vanished.any(axis=-1)


def _told(method: Method, values: Array, yardstick: Yardstick) -> list[MethodResult]:
    """Return for each row the result of a method that shows no operations."""
    ulps, measured = yardstick.ulps(values), yardstick.relative_errors(values)
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
            verdict=Verdict.OK if error is None else _measured(error),
        )
        for value, error, (relative, digits) in zip(values, ulps, measured, strict=True)
    ]


def _scalar_if_one(value: Array, function: Function) -> Any:
    return value[0] if function is Function.LOGSUMEXP else value


def _total(value: Array, function: Function) -> Any:
    if function is not Function.SOFTMAX:
        return None
    with np.errstate(all="ignore"):
        return pairwise_sum(value)[0]
