"""The words for facts: what the formulas, findings and verdicts are called on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from stablelse.analysis.results import Comparison, FindingKind, MethodResult, Verdict
from stablelse.numerics.formulas import SHIFTS, Method
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render.numbers import number_text, place_text, rough_text, vector_text

if TYPE_CHECKING:
    from stablelse.analysis.prove import FormatProof
    from stablelse.analysis.results import Place
    from stablelse.analysis.steps import Step
    from stablelse.analysis.sweep import Segment
    from stablelse.analysis.tally import Total


class Glyphs(NamedTuple):
    """The symbols a screen can show."""

    infinity: str
    minus: str
    sum: str
    ellipsis: str
    good: str
    fair: str
    bad: str
    dash: str
    times: str

    def number(self, value: Any) -> str:
        """Return a number for the eye: with the sign for infinity, and NaN."""
        text = number_text(value)
        return {"inf": self.infinity, "-inf": f"-{self.infinity}", "nan": "NaN"}.get(text, text)

    def mark(self, verdict: Verdict) -> str:
        """Return the mark of a verdict: right, some digits lost, or broken."""
        if verdict.is_broken:
            return self.bad
        return self.good if verdict is Verdict.RIGHT else self.fair

    def rough(self, value: float | None) -> str:
        """Return a number to three digits, nothing for none."""
        if value is None:
            return ""
        return self.infinity if value == inf else rough_text(value)


UNICODE = Glyphs("∞", "−", "Σ", "…", "✓", "≈", "✗", "—", "×")
ASCII = Glyphs("inf", "-", "sum", "...", "ok", "~~", "!!", "-", "*")

FUNCTION_NAMES: dict[Function | LossFunction, str] = {
    Function.LOGSUMEXP: "log-sum-exp",
    Function.SOFTMAX: "softmax",
    Function.LOG_SOFTMAX: "log-softmax",
    LossFunction.LOSS: "negative log-likelihood",
    LossFunction.GRADIENT: "gradient of the negative log-likelihood",
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

#: What happened, beside a number in a cell.
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


def naming(
    comparisons: Sequence[Comparison] | Sequence[Place],
) -> Callable[[Comparison | Place], str]:
    """Return how to name vectors: by their places, with the file if there are several."""
    one_source = len({comparison.source for comparison in comparisons}) == 1
    return vector_text if one_source else place_text


def symbol_text(result: MethodResult, symbol: str, glyphs: Glyphs) -> str:
    """Return the heading of a column or row: what a symbol means in the method's formula."""
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


def method_name(result: MethodResult | Total | Segment) -> str:
    """Return the method's name, with its shift as it was chosen."""
    return ", ".join(filter(None, (result.method.value, result.shift)))


def method_text(result: MethodResult, glyphs: Glyphs) -> str:
    """Return the method's name, with its shift where it has one."""
    if result.shift is None:
        return result.method.value
    return f"{result.method.value}, a = {shift_text(result, glyphs)}"


def shift_text(result: MethodResult | FormatProof, glyphs: Glyphs) -> str:
    """Return the shift and its value: ``max = 1002``, or the number alone."""
    number = glyphs.number(result.a)
    return f"{result.shift} = {number}" if result.shift in SHIFTS else number


def step_word(step: Step) -> str:
    """Return the words for what happened at a step, none where all went well."""
    return ", ".join(dict.fromkeys(KIND_WORDS[kind] for kind in step.findings))


def ulps_text(ulps: float) -> str:
    """Return an error: a whole number of ulps, to two digits where it is huge."""
    return f"{ulps_number(ulps)} ulp off"


def ulps_number(ulps: float) -> str:
    """Return a number of ulps; below a power of two there are halves."""
    if 0 < ulps < 1:
        return f"{ulps:.1f}"
    return f"{ulps:,.0f}" if ulps < 1e7 else f"{ulps:.1e}"
