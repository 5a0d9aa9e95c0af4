"""All words about results: what things are called, what happened to a method, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import floor, log, log10
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.results import (
    LOSSES,
    Comparison,
    Finding,
    FindingKind,
    MethodResult,
    Verdict,
)
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import SHIFTS, Kind, Method
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render.notation import Glyphs, operation_text
from stablelse.render.numbers import bound_text, number_text, place_text, rough_text, vector_text

if TYPE_CHECKING:
    from stablelse.analysis.prove import FormatProof
    from stablelse.analysis.results import Place
    from stablelse.analysis.sweep import Segment
    from stablelse.analysis.tally import Total

#: The digits of numbers in sentences and, by default, in cells.
DIGITS = 7

FUNCTION_NAMES: dict[Function | LossFunction, str] = {
    Function.LOGSUMEXP: "log-sum-exp",
    Function.SOFTMAX: "softmax",
    Function.LOG_SOFTMAX: "log-softmax",
    LossFunction.LOSS: "loss",
    LossFunction.GRADIENT: "gradient of the loss",
}

#: The names of a result's entries.
RESULT_WORDS: dict[Function | LossFunction, str] = {
    Function.LOGSUMEXP: "",
    Function.SOFTMAX: "p",
    Function.LOG_SOFTMAX: "log p",
    LossFunction.LOSS: "loss",
    LossFunction.GRADIENT: "gradient",
}

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.RIGHT: "right",
    Verdict.DIGITS_LOST: "digits lost",
    Verdict.NO_DIGITS: "no digit right",
    Verdict.UNDERFLOW: "underflow",
    Verdict.OVERFLOW: "overflow",
    Verdict.NAN: "NaN",
    Verdict.DOES_NOT_FIT: "does not fit",
}

#: What happened, next to a number in a cell.
KIND_WORDS: dict[FindingKind, str] = {
    FindingKind.INPUT_OVERFLOW: "does not fit",
    FindingKind.INPUT_UNDERFLOW: "lost",
    FindingKind.OVERFLOW: "overflow",
    FindingKind.TERM_UNDERFLOW: "underflow",
    FindingKind.SUBNORMAL: "subnormal",
    FindingKind.QUOTIENT_UNDERFLOW: "underflow",
    FindingKind.SUM_UNDERFLOW: "log 0",
    FindingKind.LOG_OF_ZERO: "log 0",
    FindingKind.INVALID: "invalid",
    FindingKind.ABSORPTION: "absorption",
    FindingKind.CANCELLATION: "cancellation",
}

#: These follow from an earlier trouble.
CONSEQUENCES = (FindingKind.INVALID, FindingKind.SUM_UNDERFLOW, FindingKind.LOG_OF_ZERO)

ABOUT_ERRORS = (
    "Errors and the condition number are relative, in the infinity norm. The bounds are to first "
    "order (Blanchard, Higham & Higham 2021), for NumPy's exp and log, if nothing overflows or "
    "underflows."
)
ABOUT_LIMITS = (
    "u is the unit roundoff, the largest relative error of one rounding. Numbers are cut to a few "
    "digits, thresholds on the safe side; --json has every digit."
)
UNPROVED = (
    "The exact value is known to within {0:.2g} ulp: pipes, URLs and files on a cluster are read "
    "only once."
)

#: What happened to a method, and why; the lab's page has the same sentences.
SENTENCES = {
    "right to all": "right to all {most} digits",
    "right to some": "right to {right} of {most} digits",
    "comfort max": "The largest exponent is now 0, so nothing can overflow.",
    "comfort zero": "{operation} is 0 in {format}, and too small to count.",
    "comfort fits": "Every {term} fits {format}.",
    "no digit": "no digit is right",
    "some digits": "the first {right} digits are right",
    "entry": "{entry} is {value} instead of {exact}: ",
    "overflow": "{operation} is {size}too big for {largest}: it becomes {result}",
    "overflow s": "every term fits, but their sum is too big for {largest}: it becomes {result}",
    "input_overflow": "{number} does not fit {largest}: it is {result} before any formula runs",
    "term_underflow": "{operation} is {size}too small for {smallest}: it becomes 0",
    "log_of_zero": "log 0 is {result}",
    "invalid": "{what} = {operation} is NaN",
}


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 number``, ``1,000 numbers``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def function_text(
    function: Function | LossFunction, glyphs: Glyphs, label: int | None, is_weighted: bool = False
) -> str:
    """Return what is computed; the loss of a label, or of targets t, has its formula."""
    index = "" if label is None else f"_{label + 1:,}"
    log_p = f"{glyphs.sum} t log p" if is_weighted else f"log p{index}"
    return FUNCTION_NAMES[function] + f" {glyphs.minus}{log_p}" * (function is LossFunction.LOSS)


def title_text(comparison: Comparison, glyphs: Glyphs) -> str:
    """Return what was computed, and of which numbers."""
    label = comparison.label
    name = function_text(comparison.function, glyphs, label, comparison.weights is not None)
    what = counted(comparison.n, "number") if label is None else f"label {label:,}"
    if comparison.weights is not None and label is None:
        what = counted(comparison.n, "weighted term")
        if comparison.results[-1].sign < 0:
            name, what = f"log({glyphs.minus}{glyphs.sum} b e^x)", counted(comparison.n, "term")
    return ": ".join(filter(None, (place_text(comparison), f"{name} of {what}")))


def naming(
    comparisons: Sequence[Comparison] | Sequence[Place],
) -> Callable[[Comparison | Place], str]:
    """Return a function that names vectors: by their places, with the file if there are several."""
    one_source = len({comparison.source for comparison in comparisons}) == 1
    return vector_text if one_source else place_text


def symbol_text(result: MethodResult, symbol: str, glyphs: Glyphs) -> str:
    """Return the heading of a column or row: the meaning of a symbol in the method's formula."""
    is_shifted = result.shift is not None
    argument = f"x {glyphs.minus} a" if is_shifted else "x"
    term = f"e^({argument})" if is_shifted else "e^x"
    rest, log_sum = f"x {glyphs.minus} lse", f"log {glyphs.sum}"
    return {
        "x": "x",
        "a": "+ a" if result.evaluation and "y" in result.evaluation.results else "a",
        "d": argument,
        "e": term,
        "b": "b",
        "t": f"b {term}",
        "s": glyphs.sum,
        "l": f"log |{glyphs.sum}|" if result.sign is not None and result.sign < 0 else log_sum,
        "p": f"e^({rest})" if result.method is Method.DIVISION_FREE else f"{term}/{glyphs.sum}",
        "g": f"{argument} {glyphs.minus} log {glyphs.sum}" if is_shifted else "log p",
        "y": "lse",
        "loss": "loss",
        "z": rest,
    }[symbol]


def method_name(result: MethodResult | Total | Segment, others: Iterable[Any] = ()) -> str:
    """Return the method's name, with its shift unless it is the only one with that method."""
    others = list(others)
    if others and [other.method for other in others].count(result.method) < 2:
        return result.method.value
    return ", ".join(filter(None, (result.method.value, result.shift)))


def method_text(result: MethodResult, glyphs: Glyphs, digits: int | None = None) -> str:
    """Return the method's name, with its shift if it has one."""
    if result.shift is None:
        return result.method.value
    return f"{result.method.value}, a = {shift_text(result, glyphs, digits)}"


def shift_text(
    result: MethodResult | FormatProof, glyphs: Glyphs, digits: int | None = None
) -> str:
    """Return the shift and its value: ``max = 1002``, or only the number."""
    number = glyphs.number(result.a, digits)
    return f"{result.shift} = {number}" if result.shift in SHIFTS else number


def ulps_text(ulps: float) -> str:
    """Return an error: a whole number of ulps, to two digits if it is huge."""
    return f"{ulps_number(ulps)} ulp off"


def ulps_number(ulps: float) -> str:
    """Return a number of ulps; below a power of two it can be half."""
    if 0 < ulps < 1:
        return f"{ulps:.1f}"
    return f"{ulps:,.0f}" if ulps < 1e7 else f"{ulps:.1e}"


def all_digits(format_: Format) -> int:
    """Return how many decimal digits a format has: 16 for float64."""
    return max(1, round(format_.significand_bits * log10(2)))


def _right_digits(value: Array, exact: Array, format_: Format) -> Array:
    """Return how many leading digits are right: to half a unit of the last one."""
    most = all_digits(format_)
    with np.errstate(all="ignore"):
        wide, right = value.astype(np.longdouble), exact.astype(np.longdouble)
        error = np.abs(wide - right)
        size = np.floor(np.log10(np.abs(right)))
        digits = np.nan_to_num(size + 1 - np.ceil(np.log10(2 * error)), nan=0, neginf=0)
        same = (wide == right) | (np.isnan(wide) & np.isnan(right))
        same |= error <= float(format_.smallest_subnormal)
        found: Array = np.where(same, most, digits.clip(0, most)).astype(int)
    return found


def split_digits(text: str, right: int) -> tuple[str, str, str]:
    """Split a number into its right digits, its wrong digits and its exponent."""
    mantissa, mark, exponent = text.partition("e")
    missing = right + 1 - len(mantissa.replace(".", "").lstrip("-0"))
    if missing > 0 and right:  # missing digits are 0
        mantissa += ("" if "." in mantissa else ".") + "0" * missing
    ends = [i + 1 for i, sign in enumerate(mantissa) if sign.isdigit()]
    leading = next((k for k, i in enumerate(ends) if mantissa[i - 1] != "0"), 0)
    cut = ends[leading + right - 1] if right else 0
    return mantissa[:cut], mantissa[cut:], mark + exponent


def _is_opposite(result: MethodResult) -> bool:
    """Whether the sum of weighted terms has the wrong sign."""
    is_far = result.verdict is Verdict.NO_DIGITS and result.ulps == np.inf
    return result.sign is not None and is_far


class Facts(NamedTuple):
    """A method's result on a vector: the right digits of each entry, and the exact values."""

    comparison: Comparison
    result: MethodResult
    glyphs: Glyphs
    format: Format
    exact: Array | None
    right: Array
    #: The entry with the fewest right digits, from 0, if the arrays hold it.
    worst: int | None
    least: int

    @classmethod
    def of(cls, comparison: Comparison, result: MethodResult, glyphs: Glyphs) -> Facts:
        """Compare the entries of a result with the exact ones."""
        format_, value = FORMATS[result.format], np.atleast_1d(result.value)
        of_format = [r for r in comparison.results if r.format == format_.name]
        best = next((r.value for r in of_format if r.method is Method.EXACT), None)
        if best is None and of_format[0] is comparison.results[0]:
            best = comparison.value
        exact = None if best is None else np.atleast_1d(best)
        lost = max(np.ceil(np.log10(2 * result.ulps)), 0) if result.ulps else 0
        least = int(max(0, all_digits(format_) - lost))
        if exact is None or exact.shape != value.shape or not value.size or _is_opposite(result):
            right = np.full(value.shape, least)
            return cls(comparison, result, glyphs, format_, exact, right, None, least)
        right = _right_digits(value, exact, format_)
        is_held = comparison.is_whole or not result.value.ndim or right.min() <= least
        worst = int(right.argmin()) if is_held else None
        least = int(right.min()) if is_held else least
        return cls(comparison, result, glyphs, format_, exact, right, worst, least)

    def number(self, value: Any) -> str:
        """Return a number for a sentence."""
        return self.glyphs.number(value, DIGITS)

    def symbol(self, symbol: str) -> str:
        """Return the meaning of a symbol in the method's formula."""
        return symbol_text(self.result, symbol, self.glyphs)

    def operation(self, finding: Finding, kind: Kind | None = None) -> str:
        """Return an operation with its numbers put in."""
        if kind is None:
            assert self.result.evaluation is not None
            operations = self.result.evaluation.operations
            kind = next(op.kind for op in operations if op.symbol == finding.symbol)
        operands = tuple(finding.operands)
        return operation_text(kind, operands, self.glyphs, self.number).replace(" / ", "/")

    @property
    def largest(self) -> str:
        """The format with its largest number, cut to three digits."""
        return f"{self.format.name} (largest {cut_text(self.format.largest)})"

    @property
    def smallest(self) -> str:
        """The format with its smallest number, cut to three digits."""
        return f"{self.format.name} (smallest {cut_text(self.format.smallest_subnormal)})"


def why(facts: Facts) -> str:
    """Return what happened to a method, and why."""
    result = facts.result
    harmful = [finding for finding in result.findings if not finding.harmless]
    ruins = [finding for finding in harmful if finding.kind not in LOSSES]
    # the first trouble, or else the costliest loss
    culprit = next(iter(ruins or sorted(harmful, key=lambda f: -(f.bits_lost or 0))), None)
    if result.verdict is Verdict.RIGHT:
        return f"{_right_text(facts)}. {_comfort(facts)}".rstrip()
    if culprit is None and result.verdict is Verdict.DOES_NOT_FIT:
        return f"the weight of a class does not fit {facts.largest}."
    if culprit is None:
        return f"{_digits(facts)}."
    cause = _CAUSES[culprit.kind](culprit, facts)
    if culprit.kind in LOSSES:
        return f"{_digits(facts)}. {cause}."
    consequence = _consequence(culprit, harmful, facts)
    is_nan = facts.exact is not None and bool(np.isnan(facts.exact).any())
    too = " The exact result is NaN too." if is_nan and result.verdict is Verdict.NAN else ""
    return f"{cause}{consequence}.{too}" + _bound(culprit, facts)


def _right_text(facts: Facts) -> str:
    """Return how many digits of a right result are right."""
    result, right, most = facts.result, facts.least, all_digits(facts.format)
    if not np.isfinite(result.value).any():
        return f"right: {facts.number(np.ravel(result.value)[0])}"
    if not right:
        return f"right to {ulps_number(result.ulps or 0)} ulp of {result.format}"
    if right < most:
        return SENTENCES["right to some"].format(right=right, most=most)
    return SENTENCES["right to all"].format(most=most) if most > 1 else "right to its only digit"


def _digits(facts: Facts) -> str:
    """Return in words how many digits are right if some, or all, were lost."""
    result, right, worst = facts.result, facts.least, facts.worst
    if result.verdict is Verdict.NAN:
        return "x has a NaN, and so has the result"
    few = (SENTENCES["no digit"], "the first digit is right")
    digits = SENTENCES["some digits"].format(right=right) if right > 1 else few[right]
    is_fair = right == 0 and not result.verdict.is_broken
    if _is_opposite(result):
        return "the sum has the wrong sign"
    if worst is None or facts.exact is None:
        return "an entry has no right digit" if is_fair else digits
    value, exact = np.ravel(result.value)[worst], facts.exact[worst]
    if right == 0 and 0 < abs(value - exact) < abs(exact):
        digits = "only its size is about right"
    if not np.ndim(result.value):
        return digits
    name = RESULT_WORDS[facts.comparison.function]
    place = facts.comparison.elements[worst] + 1
    fields = {"value": number_text(value), "exact": number_text(exact)}
    entry = SENTENCES["entry"].format(entry=f"{name}_{place:,}", **fields)
    return f"{entry}{digits}{_others(facts) if is_fair else ''}"


def _others(facts: Facts) -> str:
    """Return how good the other entries are if some entries lost all digits."""
    good = facts.right[facts.right > 0]
    lost = len(facts.right) - len(good)
    if not len(good):
        return ", but the error is small next to the largest entry"
    count = f" (as in {lost - 1:,} more)" if lost > 1 else ""
    rest = "the other entry is" if len(good) == 1 else f"the other {len(good):,} entries are"
    least, most = int(good.min()), all_digits(facts.format)
    every = "all " * (1 < least == most)
    more = " or more" * (len(good) > 1 and least < most)
    return f"{count}; {rest} right to {every}{counted(least, 'digit')}{more}"


def _comfort(facts: Facts) -> str:
    """Return why nothing went wrong."""
    result = facts.result
    if not (facts.comparison.x < np.inf).all():
        return ""
    zero = next((f for f in result.findings if f.kind is FindingKind.TERM_UNDERFLOW), None)
    if zero is not None and zero.harmless:
        operation = facts.operation(zero)
        return SENTENCES["comfort zero"].format(operation=operation, format=result.format)
    if result.shift == "max":
        return SENTENCES["comfort max"]
    if result.evaluation is not None and not result.findings:
        return SENTENCES["comfort fits"].format(term=facts.symbol("e"), format=result.format)
    return ""


def _overflow(finding: Finding, facts: Facts) -> str:
    name, result, size, operation = "overflow", facts.number(finding.result), "", ""
    if finding.symbol == "s":
        name = "overflow s"
    elif finding.symbol == "e":
        size, operation = _power_text(float(finding.operands[0])), facts.operation(finding)
    else:
        operation = facts.symbol(finding.symbol)
    if finding.symbol == "t":
        operation += f" = {facts.operation(finding)} (element {finding.element})"
    fields = {"operation": operation, "size": size, "result": result}
    return SENTENCES[name].format(largest=facts.largest, **fields)


def _underflow(finding: Finding, facts: Facts) -> str:
    size = _power_text(float(finding.operands[0])) if finding.symbol == "e" else ""
    symbol = f"{facts.symbol('t')} = " * (finding.symbol == "t")
    operation = f"{symbol}{facts.operation(finding)}"
    sentence = SENTENCES["term_underflow"]
    return sentence.format(operation=operation, size=size, smallest=facts.smallest)


def _log_of_zero(finding: Finding, facts: Facts) -> str:
    log_0 = SENTENCES["log_of_zero"].format(result=facts.number(finding.result))
    evaluation = facts.result.evaluation
    is_cancelled = evaluation is not None and (evaluation.results.get("t", np.zeros(1)) != 0).any()
    return f"the terms cancel, their sum is 0, and {log_0}" if is_cancelled else log_0


def _cancellation(finding: Finding, facts: Facts) -> str:
    assert facts.result.evaluation is not None
    cause = next(op for op in facts.result.evaluation.operations if op.symbol == finding.symbol)
    rounded = facts.symbol(cause.operands[-1].symbol)
    if cause.kind is Kind.LOG:
        number = facts.number(finding.operands[0])
        shown = f"log({rounded})" if "/" in rounded else f"log {rounded}"
        return f"{rounded} = {number} is near 1, where its rounding error shows in {shown}"
    kind = Kind.ADD if cause.kind is Kind.SUM else cause.kind
    what = f"{facts.operation(finding, kind)} = {facts.number(finding.result)}"
    return f"{what} cancels, and the rounding error of {rounded} is left"


_CAUSES: dict[FindingKind, Callable[[Finding, Facts], str]] = {
    FindingKind.INPUT_OVERFLOW: lambda found, facts: SENTENCES["input_overflow"].format(
        number=facts.number(found.operands[0]),
        largest=facts.largest,
        result=facts.number(found.result),
    ),
    FindingKind.INPUT_UNDERFLOW: lambda found, facts: (
        f"the weight {facts.number(found.operands[0])} is too small for {facts.smallest}: it is 0 "
        "before any formula runs"
    ),
    FindingKind.OVERFLOW: _overflow,
    FindingKind.TERM_UNDERFLOW: _underflow,
    FindingKind.SUBNORMAL: lambda found, facts: (
        f"{facts.operation(found)} = {facts.number(found.result)} is so small that "
        f"{facts.result.format} keeps few of its digits"
    ),
    FindingKind.QUOTIENT_UNDERFLOW: _underflow,
    FindingKind.SUM_UNDERFLOW: _log_of_zero,
    FindingKind.LOG_OF_ZERO: _log_of_zero,
    FindingKind.INVALID: lambda found, facts: SENTENCES["invalid"].format(
        what=facts.symbol(found.symbol), operation=facts.operation(found)
    ),
    FindingKind.ABSORPTION: lambda found, facts: (
        f"{facts.operation(found, Kind.ADD)} = {facts.number(found.result)}: "
        f"{facts.number(min(found.operands))} is lost in the sum"
    ),
    FindingKind.CANCELLATION: _cancellation,
}


def _consequence(culprit: Finding, harmful: Iterable[Finding], facts: Facts) -> str:
    """Return the NaN or the infinity that the first trouble led to."""
    later = (f for f in harmful if f.kind in CONSEQUENCES and f is not culprit)
    found = next(later, None)
    if found is None:
        return ""
    if found.kind is FindingKind.INVALID:
        return f", and {facts.operation(found)} is NaN"
    return f", and {_log_of_zero(found, facts)}"


def _bound(finding: Finding, facts: Facts) -> str:
    """Return the limit of an exponential, and how many elements are beyond it."""
    if finding.symbol != "e" or finding.threshold is None:
        return ""
    is_above = finding.kind is FindingKind.OVERFLOW
    safe, unsafe = ("below", "above") if is_above else ("above", "below")
    argument = "x" if facts.result.shift is None else f"x {facts.glyphs.minus} a"
    n, count = facts.comparison.n, finding.occurrences
    first = place_text(finding.place) if finding.place else f"x_{finding.element:,}"
    elements = f"{first} is {unsafe}"
    if count > 1:
        those = f"{count:,} of {n:,}" if count < n else "both" if n == 2 else f"all {n:,}"
        elements = f"{those} elements are {unsafe}" + (f", first {first}" if count < n else "")
    return f" {argument} must stay {safe} {bound_text(finding.threshold)}; {elements}."


def _power_text(x: float) -> str:
    """Return roughly how large e^x is, even beyond every format, or nothing."""
    tens = x / log(10)
    if abs(tens) < 5:
        return f"about {rough_text(10**tens)}, "
    if abs(tens) > 1e9:
        return ""
    power = floor(tens)
    leading = round(10 ** (tens - power))
    return f"about {leading}e{power}, " if leading < 10 else f"about 1e{power + 1}, "


def cut_text(value: Any) -> str:
    """Return a positive number cut to three digits."""
    return bound_text(value, 5 if 1 <= float(value) < 1e5 else 3)
