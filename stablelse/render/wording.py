"""The words for facts: what the formulas, findings and verdicts are called on the screen."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf, log10, trunc
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis.comparison import Comparison, MethodResult, Verdict
from stablelse.analysis.findings import Finding, FindingKind
from stablelse.numerics.formula import Kind, Method
from stablelse.numerics.functions import Function
from stablelse.numerics.shifted import SHIFTS
from stablelse.render.numbers import number_text

if TYPE_CHECKING:
    from stablelse.analysis.peers.comparison import Worst
    from stablelse.analysis.steps import Step


class Glyphs(NamedTuple):
    """The symbols a screen can show."""

    infinity: str
    minus: str
    sum: str
    ellipsis: str
    good: str
    bad: str
    dash: str

    def number(self, value: Any) -> str:
        """Return a number for the eye: with the sign for infinity, and NaN."""
        text = number_text(value)
        return {"inf": self.infinity, "-inf": f"-{self.infinity}", "nan": "NaN"}.get(text, text)


UNICODE = Glyphs("∞", "−", "Σ", "…", "✓", "✗", "—")
ASCII = Glyphs("inf", "-", "sum", "...", "ok", "!!", "-")

FUNCTION_NAMES: dict[Function, str] = {
    Function.LOGSUMEXP: "log-sum-exp",
    Function.SOFTMAX: "softmax",
    Function.LOG_SOFTMAX: "log-softmax",
}

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.OK: "ok",
    Verdict.DIGITS_LOST: "digits lost",
    Verdict.BROKEN: "broken",
}

_KIND_WORDS: dict[FindingKind, str] = {
    FindingKind.INPUT_OVERFLOW: "overflow",
    FindingKind.OVERFLOW: "overflow",
    FindingKind.TERM_UNDERFLOW: "underflow",
    FindingKind.SUBNORMAL: "subnormal",
    FindingKind.QUOTIENT_UNDERFLOW: "underflow",
    FindingKind.SUM_UNDERFLOW: "log 0",
    FindingKind.LOG_OF_ZERO: "log 0",
    FindingKind.INVALID: "invalid",
}


def place_text(placed: Comparison | Worst) -> str:
    """Return where a vector came from: file, row or column."""
    parts = [text for text in (placed.source, vector_text(placed)) if text]
    return ", ".join(parts)


def vector_text(placed: Comparison | Worst) -> str:
    """Return which vector of its file it is, nothing if it is all of it."""
    if placed.row is not None:
        return f"row {placed.row}"
    return "" if placed.column is None else f"column {placed.column}"


def symbol_text(result: MethodResult, symbol: str, glyphs: Glyphs) -> str:
    """Return what a symbol stands for in a method's formula, as a column or row is headed."""
    naive = result.method is Method.NAIVE
    difference = f"x {glyphs.minus} a"
    return {
        "x": "x",
        "a": "+ a" if result.evaluation and "y" in result.evaluation.results else "a",
        "d": difference,
        "e": "e^x" if naive else f"e^({difference})",
        "s": glyphs.sum,
        "l": f"log {glyphs.sum}",
        "p": f"e^x/{glyphs.sum}" if naive else f"e^({difference})/{glyphs.sum}",
        "g": "log p" if naive else f"{difference} {glyphs.minus} log {glyphs.sum}",
        "y": "lse",
    }[symbol]


def method_text(result: MethodResult, glyphs: Glyphs) -> str:
    """Return the method's name, with its shift where it has one."""
    if result.shift is None:
        return result.method.value
    return f"{result.method.value}, a = {shift_text(result, glyphs)}"


def shift_text(result: MethodResult, glyphs: Glyphs) -> str:
    """Return the shift as chosen and as it came out: ``max = 1002``, or the number alone."""
    number = glyphs.number(result.a)
    return f"{result.shift} = {number}" if result.shift in SHIFTS else number


def operation_text(step_kind: Kind, operands: tuple[Any, ...], glyphs: Glyphs) -> str:
    """Return one elementary operation with its numbers put in."""
    numbers = [glyphs.number(operand) for operand in operands]
    bracketed = [f"({number})" if number.startswith("-") else number for number in numbers]
    return _OPERATIONS[step_kind](numbers, bracketed, glyphs)


_OPERATIONS: dict[Kind, Callable[[list[str], list[str], Glyphs], str]] = {
    Kind.ROUND: lambda numbers, _, glyphs: f"round {numbers[0]}",
    Kind.SHIFT: lambda *_: "shift",
    Kind.SUBTRACT: lambda numbers, bracketed, glyphs: f"{numbers[0]} {glyphs.minus} {bracketed[1]}",
    Kind.EXP: lambda numbers, bracketed, _: f"e^{bracketed[0]}",
    Kind.SUM: lambda numbers, bracketed, _: " + ".join([*numbers[:1], *bracketed[1:]]),
    Kind.DIVIDE: lambda numbers, bracketed, _: f"{numbers[0]} / {bracketed[1]}",
    Kind.LOG: lambda numbers, bracketed, _: f"log {bracketed[0]}",
    Kind.ADD: lambda numbers, bracketed, _: f"{numbers[0]} + {bracketed[1]}",
}


def finding_word(finding: Finding) -> str:
    """Return the one word for what happened: ``overflow``, ``underflow, harmless``."""
    word = _KIND_WORDS[finding.kind]
    return f"{word}, harmless" if finding.harmless else word


def struck_text(
    finding: Finding, kind: Kind, operands: tuple[Any, ...], value: Any, glyphs: Glyphs
) -> str:
    """Return a value with what happened to it: ``0 underflow``, or ``NaN = ∞ / ∞``."""
    if finding.kind in _TOLD_BY_OPERATION:
        return f"{glyphs.number(value)} = {operation_text(kind, operands, glyphs)}"
    return f"{glyphs.number(value)} {finding_word(finding)}"


#: Kinds that the operation with its numbers explains better than a word.
_TOLD_BY_OPERATION = frozenset(
    {FindingKind.INVALID, FindingKind.SUM_UNDERFLOW, FindingKind.LOG_OF_ZERO}
)


def result_text(result: MethodResult, glyphs: Glyphs) -> str:
    """Return the value of a method in a word or two: what it is, and what became of it."""
    first = next((found for found in result.findings if not found.harmless), None)
    why = finding_word(first) if first else VERDICT_WORDS[result.verdict]
    if result.value.ndim:
        return why
    number = glyphs.number(result.value)
    return number if result.verdict is Verdict.OK else f"{number} {why}"


def step_word(step: Step) -> str:
    """Return the words for what happened at a step, none where all went well."""
    return ", ".join(dict.fromkeys(_KIND_WORDS[kind] for kind in step.findings))


def finding_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    """Return a finding as a sentence: what happened, the threshold crossed, how often."""
    sentence = _SENTENCES[finding.kind](finding, result, glyphs)
    if finding.harmless:
        sentence += f", harmless: {_WHY_HARMLESS[finding.kind]}"
    if finding.element is None or result.evaluation is None:
        return sentence
    if finding.occurrences == 1:
        return f"{sentence} (x_{finding.element})"
    n = len(result.evaluation.results["x"])
    return f"{sentence} ({finding.occurrences:,} of {n:,} elements, first x_{finding.element})"


def _operation(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    assert result.evaluation is not None
    kinds = {operation.symbol: operation.kind for operation in result.evaluation.operations}
    return operation_text(kinds[finding.symbol], finding.operands, glyphs)


def _bound(finding: Finding, result: MethodResult, glyphs: Glyphs, side: str) -> str:
    """Return what keeps clear of an exponential's threshold, five digits on the safe side."""
    argument = "x" if result.method is Method.NAIVE else f"x {glyphs.minus} a"
    threshold = float(finding.threshold)
    digits = 4 - floor(log10(abs(threshold)))
    safe = trunc(threshold * 10**digits) / 10**digits
    return f"{argument} must stay {side} {glyphs.number(safe)}"


def _overflow_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    largest = f"largest {result.format}"
    if finding.symbol == "e":
        bound = _bound(finding, result, glyphs, "below")
        sentence = f"{_operation(finding, result, glyphs)} > {largest}: {bound}"
    else:
        what = symbol_text(result, finding.symbol, glyphs)
        sentence = f"{what} passes the {largest}, {glyphs.number(finding.threshold)}"
    if finding.result != finding.result:
        sentence += f"; {result.format} has no infinity, so it is NaN"
    return sentence


def _input_overflow_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    return (
        f"{glyphs.number(finding.operands[0])} > largest {result.format}, "
        f"{glyphs.number(finding.threshold)}: it is {glyphs.number(finding.result)} "
        "before any formula runs"
    )


def _term_underflow_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    return f"{_operation(finding, result, glyphs)} underflows to 0{_mend(finding, result, glyphs)}"


def _quotient_underflow_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    smallest = f"the smallest {result.format} is {glyphs.number(finding.threshold)}"
    return f"{_operation(finding, result, glyphs)} underflows to 0 ({smallest})"


def _subnormal_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    what = f"{_operation(finding, result, glyphs)} = {glyphs.number(finding.result)}"
    return f"{what} is subnormal and short of digits{_mend(finding, result, glyphs)}"


def _mend(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    """Return what keeps an exponential from underflowing, where it does harm."""
    if finding.harmless or finding.symbol != "e":
        return ""
    return f": {_bound(finding, result, glyphs, 'above')}"


def _sum_underflow_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    return f"every term is 0, and log 0 is {glyphs.number(finding.result)}"


def _log_of_zero_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    return f"p is 0, and log 0 is {glyphs.number(finding.result)}"


def _invalid_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    return f"{_operation(finding, result, glyphs)} is NaN"


_SENTENCES: dict[FindingKind, Callable[[Finding, MethodResult, Glyphs], str]] = {
    FindingKind.INPUT_OVERFLOW: _input_overflow_text,
    FindingKind.OVERFLOW: _overflow_text,
    FindingKind.TERM_UNDERFLOW: _term_underflow_text,
    FindingKind.SUBNORMAL: _subnormal_text,
    FindingKind.QUOTIENT_UNDERFLOW: _quotient_underflow_text,
    FindingKind.SUM_UNDERFLOW: _sum_underflow_text,
    FindingKind.LOG_OF_ZERO: _log_of_zero_text,
    FindingKind.INVALID: _invalid_text,
}

_WHY_HARMLESS: dict[FindingKind, str] = {
    FindingKind.OVERFLOW: "its exponential is 0 either way",
    FindingKind.TERM_UNDERFLOW: "too small to count",
    FindingKind.SUBNORMAL: "too small to count",
    FindingKind.QUOTIENT_UNDERFLOW: "no number is nearer",
}


def verdict_text(result: MethodResult) -> str:
    """Return the verdict in words, with the error where it is known and finite."""
    words = VERDICT_WORDS[result.verdict]
    if result.ulps is not None and result.ulps < inf:
        words += f", {ulps_text(result.ulps)}"
    if result.verdict is Verdict.OK and result.findings:
        words += "; what follows is harmless"
    return words


def exactness_text(result: MethodResult) -> str:
    """Return what makes an exact result one: a proof, or the convention that it be NaN."""
    has_nan = bool(np.isnan(result.value).any())
    return "NaN by convention" if has_nan else "correctly rounded"


def ulps_text(ulps: float) -> str:
    """Return an error: a whole number of ulps, to two digits where it is huge."""
    return f"{ulps_number(ulps)} ulp off"


def ulps_number(ulps: float) -> str:
    """Return a number of ulps; below a power of two there are halves."""
    if 0 < ulps < 1:
        return f"{ulps:.1f}"
    return f"{ulps:,.0f}" if ulps < 1e7 else f"{ulps:.1e}"
