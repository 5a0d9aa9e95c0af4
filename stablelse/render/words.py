"""All words about results: what things are called, what happened to a method, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.analysis.results import (
    LOSSES,
    Comparison,
    Finding,
    FindingKind,
    MethodResult,
    Verdict,
)
from stablelse.numerics.formats import FORMATS, Array, Format, context
from stablelse.numerics.formulas import SHIFTS, Kind, Method, Operation
from stablelse.numerics.functions import Function, LossFunction
from stablelse.printable import counted
from stablelse.render.notation import Glyphs, operation_text
from stablelse.render.numbers import bound_text, number_text, place_text, vector_text

if TYPE_CHECKING:
    from stablelse.analysis import Place
    from stablelse.analysis.prove import FormatProof
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

VERDICT_WORDS = {verdict: verdict.value.replace("_", " ") for verdict in Verdict} | {
    Verdict.NO_DIGITS: "no digit right",
    Verdict.NAN: "NaN",
}

#: What happened, next to a number in a cell.
KIND_WORDS = {kind: kind.value for kind in FindingKind} | {
    FindingKind.INPUT_OVERFLOW: "does not fit",
    FindingKind.INPUT_UNDERFLOW: "lost",
    FindingKind.TERM_UNDERFLOW: "underflow",
    FindingKind.QUOTIENT_UNDERFLOW: "underflow",
    FindingKind.SUM_UNDERFLOW: "log 0",
    FindingKind.LOG_OF_ZERO: "log 0",
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
    "right to all": "right to {every}",
    "right to some": "right to {right} of {most} digits",
    "comfort max": "The largest exponent is now 0, so nothing can overflow.",
    "comfort zero": "{operation} is 0 in {format}, and too small to count.",
    "comfort fits": "Every {term} fits {format}.",
    "no digit": "no digit is right",
    "some digits": "the first {right} digits are right",
    "entry": "{entry} is {value} instead of {exact}: ",
    "input_overflow": "{number} does not fit {largest}: it is {result} before any formula runs",
    "input_underflow": "the weight {number} is too small for {smallest}: it is 0 before any "
    "formula runs",
    "overflow": "{operation} is {size}too big for {largest}: it becomes {result}",
    "overflow s": "every term fits, but their sum is too big for {largest}: it becomes {result}",
    "term_underflow": "{operation} is {size}too small for {smallest}: it becomes 0",
    "subnormal": "{operation} = {result} is so small that {format} keeps few of its digits",
    "log_of_zero": "log 0 is {result}",
    "log_of_zero cancelled": "the terms cancel, their sum is 0, and log 0 is {result}",
    "invalid": "{what} = {operation} is NaN",
    "absorption": "{operation} = {result}: {least} is lost in the sum",
    "cancellation": "{operation} = {result} cancels, and the rounding error of {rounded} is left",
    "cancellation one": "{rounded} is rounded to 1, and {log} is 0",
    "cancellation log": "{rounded} = {number} is near 1, where its rounding error shows in {log}",
}
SENTENCES["quotient_underflow"] = SENTENCES["term_underflow"]
SENTENCES["sum_underflow"] = SENTENCES["log_of_zero"]


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


def _every_text(most: int, its: str = "its") -> str:
    """Return all digits of a format in words."""
    few = ("", f"{its} only digit", "both digits")
    return few[most] if most < 3 else f"all {most} digits"


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


class Facts:
    """A method's result on a vector: the right digits of each entry, and the exact values."""

    def __init__(self, comparison: Comparison, result: MethodResult, glyphs: Glyphs) -> None:
        self.comparison, self.result, self.glyphs = comparison, result, glyphs
        self.format, value = FORMATS[result.format], np.atleast_1d(result.value)
        of_format = [r for r in comparison.results if r.format == result.format]
        best = next((r.value for r in of_format if r.method is Method.EXACT), None)
        if best is None and of_format[0] is comparison.results[0]:
            best = comparison.value
        self.exact: Array | None = None if best is None else np.atleast_1d(best)
        lost = max(np.ceil(np.log10(2 * result.ulps)), 0) if result.ulps else 0
        self.least = int(max(0, all_digits(self.format) - lost))
        self.right = np.full(value.shape, self.least)
        #: The entry with the fewest right digits, from 0, if the arrays hold it.
        self.worst: int | None = None
        if self.exact is None or self.exact.shape != value.shape or not value.size:
            return
        if not _is_opposite(result):
            self.right = _right_digits(value, self.exact, self.format)
            if comparison.is_whole or not result.value.ndim or self.right.min() <= self.least:
                self.worst, self.least = int(self.right.argmin()), int(self.right.min())

    def number(self, value: Any) -> str:
        """Return a number for a sentence."""
        return self.glyphs.number(value, DIGITS)

    def symbol(self, symbol: str) -> str:
        """Return the meaning of a symbol in the method's formula."""
        return symbol_text(self.result, symbol, self.glyphs)

    def operation(self, finding: Finding) -> Operation | None:
        """Return the operation at which something happened."""
        evaluation = self.result.evaluation
        operations = evaluation.operations if evaluation is not None else ()
        return next((op for op in operations if op.symbol == finding.symbol), None)

    def shown(self, finding: Finding) -> str:
        """Return an operation with its numbers put in, or nothing for a whole sum."""
        operation, operands = self.operation(finding), tuple(finding.operands)
        if operation is None or not operands:
            return ""
        text = operation_text(operation.kind, operands, self.glyphs, self.number)
        return text.replace(" / ", "/")


def why(facts: Facts) -> str:
    """Return what happened to a method, and why."""
    result = facts.result
    harmful = [finding for finding in result.findings if not finding.harmless]
    # the trouble that the verdict names, or the first; else few digits, or the costliest loss
    ruins = [finding for finding in harmful if finding.kind not in LOSSES]
    large = (FindingKind.OVERFLOW, FindingKind.INPUT_OVERFLOW)
    named = large[result.verdict is Verdict.DOES_NOT_FIT]
    ruins.sort(key=lambda f: (f.kind is not named, f.kind is FindingKind.SUBNORMAL))
    culprit = next(iter(ruins or sorted(harmful, key=lambda f: -(f.bits_lost or 0))), None)
    if result.verdict is Verdict.RIGHT:
        return f"{_right_text(facts)}. {_comfort(facts)}".rstrip()
    if result.verdict is Verdict.NAN:
        of_format = facts.format.round(facts.comparison.x)
        if np.isnan(facts.comparison.maximum) or np.isnan(of_format).any():
            where = f" in {result.format}, which has no infinity" * (not facts.format.has_infinity)
            return f"x has a NaN{where}, so the result is NaN too."
        if culprit is None:
            return "the exact result is NaN too."
    if culprit is None and result.verdict is Verdict.DOES_NOT_FIT:
        return f"the weight of a class does not fit {result.format}."
    if culprit is None:
        return f"{_digits(facts)}."
    cause = _cause(culprit, facts)
    if culprit.kind in LOSSES:
        return f"{_digits(facts)}. {cause}."
    later = next((f for f in harmful if f.kind in CONSEQUENCES and f is not culprit), None)
    if later is not None and later.kind is FindingKind.INVALID:
        cause += f", and {facts.shown(later)} is NaN"
    elif later is not None:
        cause += f", and {_cause(later, facts)}"
    return f"{cause}.{_exact_text(facts)}{_bound(culprit, facts)}"


def _exact_text(facts: Facts) -> str:
    """Return what the exact result is where a formula gives NaN, if that needs words."""
    if facts.exact is None or facts.result.verdict is not Verdict.NAN:
        return ""
    if np.isnan(facts.exact).any():
        return " The exact result is NaN too."
    if facts.comparison.maximum > -np.inf or not np.isfinite(facts.exact).all():
        return ""
    name = "largest exact entry" if np.ndim(facts.result.value) else "exact result"
    return f" As --empty says, the {name} is {facts.number(facts.exact.max())}."


def _right_text(facts: Facts) -> str:
    """Return how many digits of a right result are right."""
    result, right, most = facts.result, facts.least, all_digits(facts.format)
    if not np.isfinite(result.value).any():
        return f"right: {facts.number(np.ravel(result.value)[0])}"
    if not right:
        return f"right to within {ulps_number(result.ulps or 0)} ulp of {result.format}"
    if right < most:
        return SENTENCES["right to some"].format(right=right, most=most)
    return SENTENCES["right to all"].format(every=_every_text(most))


def _digits(facts: Facts) -> str:
    """Return in words how many digits are right if some, or all, were lost."""
    result, right, worst = facts.result, facts.least, facts.worst
    few = (SENTENCES["no digit"], "the first digit is right")
    digits = SENTENCES["some digits"].format(right=right) if right > 1 else few[right]
    is_fair = right == 0 and not result.verdict.is_broken
    if _is_opposite(result):
        return "the sum has the wrong sign"
    if worst is None or facts.exact is None:
        return "an entry has no right digit" if is_fair else digits
    value, exact = np.ravel(result.value)[worst], facts.exact[worst]
    if right == 0 and 0 < 2 * abs(value - exact) <= abs(exact):
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
    if not len(good):
        return ", but the error is smaller than the largest entry"
    least, most = int(good.min()), all_digits(facts.format)
    are, its = ("is", "its") if len(good) == 1 else ("are", "their")
    digits = f"{counted(least, 'digit')} or more"
    if least == most:
        digits = _every_text(most, its)
    return f"; {len(good):,} of {len(facts.right):,} entries {are} right to {digits}"


def _comfort(facts: Facts) -> str:
    """Return why nothing went wrong."""
    result = facts.result
    if not (facts.comparison.x < np.inf).all():
        return ""
    zero = next((f for f in result.findings if f.kind is FindingKind.TERM_UNDERFLOW), None)
    if zero is not None and zero.harmless:
        operation = facts.shown(zero)
        return SENTENCES["comfort zero"].format(operation=operation, format=result.format)
    if result.shift == "max":
        return SENTENCES["comfort max"]
    if result.evaluation is not None and not result.findings:
        return SENTENCES["comfort fits"].format(term=facts.symbol("e"), format=result.format)
    return ""


def _cause(finding: Finding, facts: Facts) -> str:
    """Return what happened at an operation."""
    name, symbol = finding.kind.value, finding.symbol
    operation, evaluation = facts.operation(finding), facts.result.evaluation
    has_terms = evaluation is not None and np.any(evaluation.results.get("t", 0))
    fields = {
        "operation": facts.shown(finding),
        "what": facts.symbol(symbol),
        "result": facts.number(finding.result),
        "size": "",
        "format": facts.result.format,
        "largest": f"{facts.format.name} (largest {cut_text(facts.format.largest)})",
        "smallest": f"{facts.format.name} (smallest {cut_text(facts.format.smallest_subnormal)})",
    }
    if finding.operands:
        fields["number"] = facts.number(finding.operands[0])
        fields["least"] = facts.number(min(finding.operands))
    if symbol == "e":
        fields["size"] = _power_text(float(finding.operands[0]))
    elif symbol == "t":
        fields["operation"] = f"{fields['what']} = {fields['operation']}"
    if name == "overflow" and symbol == "s":
        name = "overflow s"
    elif symbol == "a":
        name, fields["number"] = "input_overflow", f"the shift {facts.result.shift}"
    elif name in ("log_of_zero", "sum_underflow") and has_terms:
        name = "log_of_zero cancelled"
    elif name == "cancellation" and operation is not None:
        fields["rounded"] = rounded = facts.symbol(operation.operands[-1].symbol)
        if operation.kind is Kind.LOG:
            name = "cancellation one" if finding.operands[0] == 1 else "cancellation log"
            fields["log"] = f"log({rounded})" if "/" in rounded else f"log {rounded}"
    return SENTENCES[name].format(**fields)


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
    if abs(x) > 1e9:
        return ""
    digits = 3 if abs(x) < 11.5 else 1
    power = context(digits).exp(context(20).create_decimal(x))
    return f"about {number_text(float(power)) if digits > 1 else f'{power:e}'.replace('+', '')}, "


def cut_text(value: Any) -> str:
    """Return a positive number cut to three digits."""
    return bound_text(value, 5 if 1 <= float(value) < 1e5 else 3)
