"""The sentences of a screen: what happened to a method, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import floor, log
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.results import (
    LOSSES,
    Comparison,
    Finding,
    FindingKind,
    MethodResult,
    Verdict,
)
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.formulas import Kind, Method
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render.digits import all_digits, short_text
from stablelse.render.notation import operation_text
from stablelse.render.numbers import bound_text, number_text, place_text, rough_text
from stablelse.render.wording import FUNCTION_NAMES, Glyphs, symbol_text, ulps_number

#: The digits of numbers in sentences and, by default, in cells.
DIGITS = 7

#: What an entry of a result is called.
RESULT_WORDS: dict[Function | LossFunction, str] = {
    Function.LOGSUMEXP: "",
    Function.SOFTMAX: "p",
    Function.LOG_SOFTMAX: "log p",
    LossFunction.LOSS: "loss",
    LossFunction.GRADIENT: "gradient",
}


def title_text(comparison: Comparison, glyphs: Glyphs) -> str:
    """Return what was computed, of what."""
    place, n, label = place_text(comparison), comparison.n, comparison.label
    name = FUNCTION_NAMES[comparison.function]
    what = f"{name} of {n:,} {'number' if n == 1 else 'numbers'}"
    if comparison.weights is not None:
        what = f"{name} of {n:,} weighted {'term' if n == 1 else 'terms'}"
        if comparison.results[-1].sign < 0:
            what = f"log({glyphs.minus}{glyphs.sum} b e^x) of {n:,} {'term' if n == 1 else 'terms'}"
    if label is not None:
        is_loss = comparison.function is LossFunction.LOSS
        name = f"loss {glyphs.minus}log p_{label + 1:,}" if is_loss else "gradient of the loss"
        what = f"{name} of label {label:,}"
    return f"{place}: {what}" if place else what


def summary_title(
    function: Function | LossFunction | None, source: str | None, count: int, glyphs: Glyphs
) -> str:
    """Return what was computed of many vectors."""
    loss = {
        LossFunction.LOSS: f"loss {glyphs.minus}log p",
        LossFunction.GRADIENT: "gradient of the loss",
    }
    name = loss.get(function) or FUNCTION_NAMES.get(function, "loss")  # type: ignore[arg-type]
    vectors = "1 vector" if count == 1 else f"{count:,} vectors"
    return f"{source}: {name} of {vectors}" if source else f"{name} of {vectors}"


class Facts(NamedTuple):
    """What a method made of a vector: the right digits of each entry, and what they should be."""

    comparison: Comparison
    result: MethodResult
    rights: Array
    exacts: Array | None
    glyphs: Glyphs

    @property
    def worst(self) -> int:
        """The entry of which the fewest digits are right, from 0."""
        return int(self.rights.argmin()) if self.rights.size else 0

    @property
    def has_wrong_sign(self) -> bool:
        """Whether the sum of weighted terms is negative and should be positive, or conversely."""
        results = [r for r in self.comparison.results if r.format == self.result.format]
        best = next((r for r in results if r.method is Method.EXACT), self.result)
        return best.sign is not None and bool(best.sign * self.result.sign < 0)

    def number(self, value: Any) -> str:
        """Return a number of a sentence."""
        text = short_text(value, DIGITS)
        return self.glyphs.number(value) if text in ("inf", "-inf", "nan") else text

    def operation(self, finding: Finding, kind: Kind | None = None) -> str:
        """Return an operation with its numbers put in."""
        if kind is None:
            assert self.result.evaluation is not None
            operations = self.result.evaluation.operations
            kind = next(op.kind for op in operations if op.symbol == finding.symbol)
        operands = tuple(finding.operands)
        return operation_text(kind, operands, self.glyphs, self.number).replace(" / ", "/")

    @property
    def limits(self) -> tuple[str, str]:
        """The largest and the smallest number of the format, cut to three digits."""
        format_ = FORMATS[self.result.format]
        return _cut(format_.largest), _cut(format_.smallest_subnormal)


def why(facts: Facts) -> str:
    """Return what happened to a method, and why."""
    result = facts.result
    harmful = [finding for finding in result.findings if not finding.harmless]
    culprit = _culprit(harmful)
    if result.verdict is Verdict.RIGHT:
        return f"{_digits(facts)}. {_comfort(facts)}".rstrip()
    if culprit is None:
        return f"{_digits(facts)}."
    cause = _CAUSES[culprit.kind](culprit, facts)
    if culprit.kind in LOSSES:
        return f"{_digits(facts)}. {cause}."
    consequence = _consequence(culprit, harmful, facts)
    is_nan = facts.exacts is not None and bool(np.isnan(facts.exacts).any())
    too = " The exact result is NaN too." if is_nan and result.verdict is Verdict.NAN else ""
    return f"{cause}{consequence}.{too}" + _bound(culprit, facts)


def unproved(bound: float) -> str:
    """Return what is said of an exact value that is not proved to be correctly rounded."""
    return (
        f"The exact value is known to within {bound:.2g} ulp: pipes, URLs and what a cluster reads "
        "are read only once."
    )


def _digits(facts: Facts) -> str:
    """Return in words how many digits are right."""
    result, worst = facts.result, facts.worst
    most = all_digits(FORMATS[result.format])
    right = int(facts.rights[worst]) if facts.rights.size else most
    if result.verdict is Verdict.NAN:
        return "x has a NaN, and so has the result"
    if result.verdict is Verdict.RIGHT:
        if not np.isfinite(result.value).any():
            return f"right: {facts.number(np.ravel(result.value)[0])}"
        if not right:
            return f"right to {ulps_number(result.ulps or 0)} ulp of {result.format}"
        all_ = f"all {most} digits" if most > 1 else "its only digit"
        return f"right to {all_}" if right >= most else f"right to {right} of {most} digits"
    digits = f"the first {right} digits are right" if right > 1 else _FEW_DIGITS[right]
    if facts.exacts is None:
        is_fair = right == 0 and not result.verdict.is_broken
        return "an entry has no right digit" if is_fair else digits
    value, exact = np.ravel(result.value)[worst], facts.exacts[worst]
    if result.verdict is Verdict.NO_DIGITS and facts.has_wrong_sign:
        return "the sum has the wrong sign"
    if right == 0 and 0 < abs(value - exact) < abs(exact):
        digits = "only its size is about right"
    if not np.ndim(result.value):
        return digits
    name = RESULT_WORDS[facts.comparison.function]
    place = facts.comparison.elements[worst] + 1
    others = _others(facts) if right == 0 and not result.verdict.is_broken else ""
    return (
        f"{name}_{place:,} is {number_text(value)}, and exactly {number_text(exact)}: "
        f"{digits}{others}"
    )


def _others(facts: Facts) -> str:
    """Return what can be said of a vector with entries that lost all digits."""
    good = facts.rights[facts.rights > 0]
    lost = len(facts.rights) - len(good)
    if not len(good):
        return ", but the error is small beside the largest entry"
    count = f" (nor of {lost - 1:,} more)" if lost > 1 else ""
    rest = "the other entry is" if len(good) == 1 else f"the other {len(good):,} entries are"
    least, most = int(good.min()), all_digits(FORMATS[facts.result.format])
    digits = f"{least} digit{'s' * (least > 1)}"
    more = " or more" * (len(good) > 1 and least < most)
    return f"{count}; {rest} right to {'all ' * (1 < least == most)}{digits}{more}"


_FEW_DIGITS = ("no digit is right", "the first digit is right")


def _culprit(harmful: list[Finding]) -> Finding | None:
    """Return what ruined a result: the first that happened, or the costliest loss."""
    ruins = [finding for finding in harmful if finding.kind not in LOSSES]
    if ruins:
        return ruins[0]
    return max(harmful, key=lambda finding: finding.bits_lost or 0, default=None)


def _comfort(facts: Facts) -> str:
    """Return why nothing went wrong."""
    result = facts.result
    if not (facts.comparison.x < np.inf).all():
        return ""
    zero = next((f for f in result.findings if f.kind is FindingKind.TERM_UNDERFLOW), None)
    if zero is not None and zero.harmless:
        return f"{facts.operation(zero)} is 0 in {result.format}, and too small to count."
    if result.shift == "max":
        return "The largest exponent is now 0, so nothing can overflow."
    if result.evaluation is not None and not result.findings:
        return f"Every {symbol_text(result, 'e', facts.glyphs)} fits {result.format}."
    return ""


def _overflow(finding: Finding, facts: Facts) -> str:
    largest = f"{facts.result.format} (largest {facts.limits[0]})"
    becomes = f"it becomes {facts.number(finding.result)}"
    if finding.symbol == "e":
        size = _power_text(float(finding.operands[0]))
        return f"{facts.operation(finding)} is {size}too big for {largest}: {becomes}"
    what = symbol_text(facts.result, finding.symbol, facts.glyphs)
    if finding.symbol == "t":
        what = f"{what} = {facts.operation(finding)} (element {finding.element})"
    if finding.symbol == "s":
        return f"every term fits, but their sum is too big for {largest}: {becomes}"
    return f"{what} is too big for {largest}: {becomes}"


def _input_overflow(finding: Finding, facts: Facts) -> str:
    return (
        f"{facts.number(finding.operands[0])} does not fit {facts.result.format} (largest "
        f"{facts.limits[0]}): it is {facts.number(finding.result)} before any formula runs"
    )


def _input_underflow(finding: Finding, facts: Facts) -> str:
    return (
        f"the weight {facts.number(finding.operands[0])} is too small for {facts.result.format} "
        f"(smallest {facts.limits[1]}): it is 0 before any formula runs"
    )


def _underflow(finding: Finding, facts: Facts) -> str:
    smallest = f"{facts.result.format} (smallest {facts.limits[1]})"
    size = _power_text(float(finding.operands[0])) if finding.symbol == "e" else ""
    symbol = f"{symbol_text(facts.result, 't', facts.glyphs)} = " * (finding.symbol == "t")
    return f"{symbol}{facts.operation(finding)} is {size}too small for {smallest}: it becomes 0"


def _subnormal(finding: Finding, facts: Facts) -> str:
    what = f"{facts.operation(finding)} = {facts.number(finding.result)}"
    return f"{what} is so small that {facts.result.format} keeps few of its digits"


def _log_of_zero(finding: Finding, facts: Facts) -> str:
    log_0 = f"log 0 is {facts.number(finding.result)}"
    evaluation = facts.result.evaluation
    is_cancelled = evaluation is not None and (evaluation.results.get("t", np.zeros(1)) != 0).any()
    return f"the terms cancel, their sum is 0, and {log_0}" if is_cancelled else log_0


def _invalid(finding: Finding, facts: Facts) -> str:
    what = symbol_text(facts.result, finding.symbol, facts.glyphs)
    return f"{what} = {facts.operation(finding)} is NaN"


def _absorption(finding: Finding, facts: Facts) -> str:
    small = facts.number(min(finding.operands))
    total = f"{facts.operation(finding, Kind.ADD)} = {facts.number(finding.result)}"
    return f"{total}: {small} is lost in the sum"


def _cancellation(finding: Finding, facts: Facts) -> str:
    assert facts.result.evaluation is not None
    cause = next(op for op in facts.result.evaluation.operations if op.symbol == finding.symbol)
    rounded = symbol_text(facts.result, cause.operands[-1].symbol, facts.glyphs)
    if cause.kind is Kind.LOG:
        number = facts.number(finding.operands[0])
        shown = f"log({rounded})" if "/" in rounded else f"log {rounded}"
        return f"{rounded} = {number} is near 1, where its rounding error shows in {shown}"
    kind = Kind.ADD if cause.kind is Kind.SUM else cause.kind
    what = f"{facts.operation(finding, kind)} = {facts.number(finding.result)}"
    return f"{what} cancels, and the rounding error of {rounded} is left"


_CAUSES: dict[FindingKind, Callable[[Finding, Facts], str]] = {
    FindingKind.INPUT_OVERFLOW: _input_overflow,
    FindingKind.INPUT_UNDERFLOW: _input_underflow,
    FindingKind.OVERFLOW: _overflow,
    FindingKind.TERM_UNDERFLOW: _underflow,
    FindingKind.SUBNORMAL: _subnormal,
    FindingKind.QUOTIENT_UNDERFLOW: _underflow,
    FindingKind.SUM_UNDERFLOW: _log_of_zero,
    FindingKind.LOG_OF_ZERO: _log_of_zero,
    FindingKind.INVALID: _invalid,
    FindingKind.ABSORPTION: _absorption,
    FindingKind.CANCELLATION: _cancellation,
}

#: What an earlier trouble led to.
CONSEQUENCES = (FindingKind.INVALID, FindingKind.SUM_UNDERFLOW, FindingKind.LOG_OF_ZERO)


def _consequence(culprit: Finding, harmful: Iterable[Finding], facts: Facts) -> str:
    """Return what the first trouble led to, where it made a NaN or an infinity."""
    later = (f for f in harmful if f.kind in CONSEQUENCES and f is not culprit)
    found = next(later, None)
    if found is None:
        return ""
    if found.kind is FindingKind.INVALID:
        return f", and {facts.operation(found)} is NaN"
    return f", and {_log_of_zero(found, facts)}"


def _bound(finding: Finding, facts: Facts) -> str:
    """Return what keeps clear of an exponential's threshold, and how many elements do not."""
    if finding.symbol != "e" or finding.threshold is None:
        return ""
    above = finding.kind is FindingKind.OVERFLOW
    argument = "x" if facts.result.shift is None else f"x {facts.glyphs.minus} a"
    sides = ("below", "above") if above else ("above", "below")
    bound = bound_text(finding.threshold)
    n, count = facts.comparison.n, finding.occurrences
    first = place_text(finding.place) if finding.place else f"x_{finding.element:,}"
    elements = f"{first} is {sides[1]}"
    if count > 1:
        those = f"{count:,} of {n:,}" if count < n else "both" if n == 2 else f"all {n:,}"
        elements = f"{those} elements are {sides[1]}" + (f", first {first}" if count < n else "")
    return f" {argument} must stay {sides[0]} {bound}; {elements}."


def _power_text(x: float) -> str:
    """Return about how large e^x is, which may be beyond every format, or nothing."""
    tens = x / log(10)
    if abs(tens) < 5:
        return f"about {rough_text(10**tens)}, "
    power = floor(tens)
    if abs(tens) > 1e9:
        return ""
    leading = round(10 ** (tens - power))
    return f"about {leading}e{power}, " if leading < 10 else f"about 1e{power + 1}, "


def _cut(value: Any) -> str:
    """Return a positive number to three digits, never more than it is."""
    return bound_text(value, 5 if 1 <= float(value) < 1e5 else 3)
