"""Results as plain lines: for a screen reader, a log, or grep."""

from __future__ import annotations

from collections.abc import Iterator

from stablelse.analysis.results import Comparison, Errors, MethodResult, Steps
from stablelse.analysis.steps import steps
from stablelse.numerics.formulas.formula import Method
from stablelse.render import form
from stablelse.render.numbers import number_text
from stablelse.render.sentences import finding_text
from stablelse.render.walk import step_symbol
from stablelse.render.wording import (
    ASCII,
    FUNCTION_NAMES,
    accuracy_text,
    condition_text,
    exactness_text,
    method_text,
    operation_text,
    place_text,
    step_word,
    verdict_text,
)


def comparison_lines(comparison: Comparison, errors: bool = False) -> Iterator[str]:
    """Yield a line per method, what was found in it indented below, and its errors if wanted."""
    place = place_text(comparison)
    prefix = f"{place}: " if place else ""
    if errors:
        yield f"{prefix}{FUNCTION_NAMES[comparison.function]}, {condition_text(comparison, ASCII)}"
    what = FUNCTION_NAMES[comparison.function]
    if comparison.label is not None:
        what += f" of label {comparison.label},"
    elif not comparison.is_whole:
        what += f" of {comparison.n:,} numbers"
    for result in comparison.results:
        name = f"{what} {method_text(result, ASCII)}"
        is_exact = result.method is Method.EXACT
        verdict = exactness_text(result) if is_exact else verdict_text(result)
        yield f"{prefix}{name}, {result.format}: {_value(result)} ({verdict})"
        for finding in result.findings:
            yield f"    {finding_text(finding, result, comparison.n, ASCII)}"
        if errors and (told := accuracy_text(result, ASCII)):
            yield f"    {told}"


def errors_lines(view: Errors) -> Iterator[str]:
    """Yield the lines of a comparison with the errors of its methods."""
    lines: Iterator[str] = form(view.comparison, "plain")(view.comparison, errors=True)
    return lines


def steps_lines(view: Steps) -> Iterator[str]:
    """Yield a line per elementary operation of every method."""
    for result in view.comparison.results:
        if result.evaluation is None:
            continue
        n = len(result.evaluation.results["x"])
        yield f"{method_text(result, ASCII)}, {result.format}:"
        for step in steps(result.evaluation, result.findings):
            operation = operation_text(step.kind, step.operands, ASCII)
            word = step_word(step)
            line = f"    {step_symbol(step, n)} = {operation} = {number_text(step.value)}"
            yield f"{line} {word}".rstrip()


def _value(result: MethodResult) -> str:
    if result.value.ndim:
        return " ".join(map(number_text, result.value))
    return number_text(result.value)
