"""An evaluation step by step: every operation with its numbers, and what happened there."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import MethodResult, Steps
from stablelse.analysis.steps import Step, chosen_steps, steps
from stablelse.numerics.formulas import Kind
from stablelse.render.layout import glyphs_for, grid
from stablelse.render.notation import operation_text
from stablelse.render.numbers import number_text
from stablelse.render.screen import chosen_elements
from stablelse.render.wording import (
    ASCII,
    Glyphs,
    method_text,
    shift_text,
    step_word,
)

#: The most elements whose steps are shown.
_ELEMENTS = 20


class StepsPicture:
    """Every method's steps, for a console of any width and encoding."""

    def __init__(self, view: Steps) -> None:
        self.comparison = view.comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each evaluated method a title and a row per step."""
        glyphs = glyphs_for(options)
        for result in self.comparison.results:
            if result.evaluation is None:
                continue
            shown = chosen_elements(self.comparison, [result], _ELEMENTS)
            elements = sorted(index + 1 for index in shown if index is not None)
            n = len(result.evaluation.results["x"])
            yield Text.assemble(
                " ", (method_text(result, glyphs), "bold"), f" in {result.format}, step by step"
            )
            rows: list[list[Text | str]] = [["step", "", "operation", "value"]]
            for number, step in chosen_steps(result.evaluation, result.findings, elements):
                word = step_word(step)
                value = Text(
                    f"{glyphs.number(step.value)} {word}".rstrip(), "bold red" * bool(word)
                )
                symbol = Text(step_symbol(step, n), "bold")
                rows.append([f"{number:,}", symbol, _operation(step, result, glyphs), value])
            yield from grid(rows, "rl")
            yield Text()


def step_symbol(step: Step, n: int) -> str:
    """Return the name of a step's result: ``e_2``, ``s[1..2]``, ``s``."""
    if step.element is not None:
        return f"{step.symbol}_{step.element}"
    if step.span is not None and step.span != (1, n):
        return f"{step.symbol}[{step.span[0]}..{step.span[1]}]"
    return step.symbol


def _operation(step: Step, result: MethodResult, glyphs: Glyphs) -> str:
    if step.kind is Kind.SHIFT:
        return shift_text(result, glyphs).partition(" = ")[0]
    return operation_text(step.kind, step.operands, glyphs)


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
