"""Findings as sentences: what happened, the threshold that was crossed, and how often."""

from __future__ import annotations

from collections.abc import Callable

from stablelse.analysis.results import Finding, FindingKind, MethodResult, Place
from stablelse.numerics.formulas.formula import Kind
from stablelse.render.numbers import bound_text
from stablelse.render.wording import Glyphs, operation_text, symbol_text


def finding_text(finding: Finding, result: MethodResult, n: int, glyphs: Glyphs) -> str:
    """Return a finding as a sentence: what happened, the threshold crossed, how often."""
    sentence = _SENTENCES[finding.kind](finding, result, glyphs)
    if finding.harmless:
        sentence += f", harmless: {_WHY_HARMLESS[finding.kind]}"
    if finding.span is not None:
        return f"{sentence} ({_sums(finding)})"
    if finding.element is None or result.evaluation is None:
        return sentence
    if finding.place is not None:
        return f"{sentence} ({_where(finding, finding.place, n)})"
    if finding.occurrences == 1:
        return f"{sentence} (x_{finding.element})"
    return f"{sentence} ({finding.occurrences:,} of {n:,} elements, first x_{finding.element})"


def _where(finding: Finding, place: Place, n: int) -> str:
    """Return where in a stream something happened first."""
    row = f"row {place.row:,}" if isinstance(place.row, int) else f"row {place.row}"
    column = f"column {place.column}" if place.column else None
    told = ", ".join(filter(None, (place.source, row, column)))
    if finding.symbol == "s":
        return f"by {told}, after {finding.element:,} of {n:,} numbers"
    return f"{finding.occurrences:,} of {n:,} numbers, first {told}"


def _operation(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    assert result.evaluation is not None
    kinds = {operation.symbol: operation.kind for operation in result.evaluation.operations}
    return operation_text(kinds[finding.symbol], finding.operands, glyphs)


def _bound(finding: Finding, result: MethodResult, glyphs: Glyphs, side: str) -> str:
    """Return what keeps clear of an exponential's threshold."""
    argument = "x" if result.shift is None else f"x {glyphs.minus} a"
    return safe_bound(float(finding.threshold), argument, side, glyphs)


def safe_bound(threshold: float, argument: str, side: str, glyphs: Glyphs) -> str:
    """Return what keeps clear of a threshold, told to five digits on the safe side."""
    return f"{argument} must stay {side} {bound_text(threshold)}"


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
        f"{glyphs.number(finding.operands[0])} does not fit {result.format}, largest "
        f"{glyphs.number(finding.threshold)}: it is {glyphs.number(finding.result)} before any "
        "formula runs"
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


def _absorption_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    operation = operation_text(Kind.ADD, finding.operands, glyphs)
    total = glyphs.number(finding.result)
    return f"{operation} = {total} absorbs the smaller: {_bits(finding, result)}"


def _cancellation_text(finding: Finding, result: MethodResult, glyphs: Glyphs) -> str:
    assert result.evaluation is not None
    operations = {operation.symbol: operation for operation in result.evaluation.operations}
    cause = operations[finding.symbol]
    what = "is next to log 1" if cause.kind is Kind.LOG else "cancels"
    return (
        f"{_operation(finding, result, glyphs)} = {glyphs.number(finding.result)} {what}: the "
        f"rounding of {symbol_text(result, cause.operands[-1], glyphs)} shows, "
        f"{_bits(finding, result)}"
    )


def _bits(finding: Finding, result: MethodResult) -> str:
    """Return how much of the result a loss costs, in whole bits."""
    assert result.evaluation is not None
    assert finding.bits_lost is not None
    bits = result.evaluation.format.significand_bits
    lost = round(finding.bits_lost)
    return f"all {bits} bits gone" if lost >= bits else f"{lost} of {bits} bits gone"


def _sums(finding: Finding) -> str:
    """Return the partial sums that absorbed: how many, and which elements the first adds up."""
    assert finding.span is not None
    first = f"x_{finding.span[0]} to x_{finding.span[1]}"
    if finding.occurrences == 1:
        return first
    return f"{finding.occurrences:,} partial sums, first {first}"


_SENTENCES: dict[FindingKind, Callable[[Finding, MethodResult, Glyphs], str]] = {
    FindingKind.INPUT_OVERFLOW: _input_overflow_text,
    FindingKind.OVERFLOW: _overflow_text,
    FindingKind.TERM_UNDERFLOW: _term_underflow_text,
    FindingKind.SUBNORMAL: _subnormal_text,
    FindingKind.QUOTIENT_UNDERFLOW: _quotient_underflow_text,
    FindingKind.SUM_UNDERFLOW: _sum_underflow_text,
    FindingKind.LOG_OF_ZERO: _log_of_zero_text,
    FindingKind.INVALID: _invalid_text,
    FindingKind.ABSORPTION: _absorption_text,
    FindingKind.CANCELLATION: _cancellation_text,
}

_WHY_HARMLESS: dict[FindingKind, str] = {
    FindingKind.OVERFLOW: "its exponential is 0 either way",
    FindingKind.TERM_UNDERFLOW: "too small to count",
    FindingKind.SUBNORMAL: "too small to count",
    FindingKind.QUOTIENT_UNDERFLOW: "no number is nearer",
}
