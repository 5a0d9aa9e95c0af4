"""An evaluation step by step: every operation with its numbers, and what happened there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from stablelse.analysis.results import MethodResult, Steps
from stablelse.analysis.steps import chosen_steps
from stablelse.numerics.formulas import Kind
from stablelse.render.layout import grid, picture
from stablelse.render.notation import ASCII, Glyphs, operation_text
from stablelse.render.screen import chosen_elements
from stablelse.render.words import KIND_WORDS, method_text, shift_text

#: The most elements whose steps are shown.
_ELEMENTS = 20


@picture
def steps_picture(view: Steps, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield for each evaluated method a title and a row per step."""
    for result in view.comparison.results:
        if result.evaluation is None:
            continue
        chosen = chosen_elements(view.comparison, [result], _ELEMENTS)
        elements = sorted(index + 1 for index in chosen if index is not None)
        title = (method_text(result, glyphs), "bold"), f" in {result.format}, step by step"
        yield Text.assemble(" ", *title)
        rows: list[list[Text | str]] = [["step", "", "operation", "value"]]
        for number, symbol, operation, value, word in _rows(result, elements, glyphs):
            shown = Text(f"{value} {word}".rstrip(), "bold red" * bool(word))
            rows.append([f"{number:,}", Text(symbol, "bold"), operation, shown])
        yield from grid(rows, "rl")
        yield Text()


def steps_lines(view: Steps) -> Iterator[str]:
    """Yield a line per elementary operation of every method."""
    for result in view.comparison.results:
        if result.evaluation is None:
            continue
        yield f"{method_text(result, ASCII)}, {result.format}:"
        elements = range(1, len(result.evaluation.results["x"]) + 1)
        for _, symbol, operation, value, word in _rows(result, elements, ASCII):
            yield f"    {symbol} = {operation} = {value} {word}".rstrip()


def _rows(
    result: MethodResult, elements: Sequence[int], glyphs: Glyphs
) -> Iterator[tuple[int, str, str, str, str]]:
    """Yield the number of each step, its symbol, operation, value, and what happened there."""
    evaluation = result.evaluation
    assert evaluation is not None
    n = len(evaluation.results["x"])
    for number, step in chosen_steps(evaluation, result.findings, elements):
        symbol = step.symbol
        if step.element is not None:
            symbol = f"{symbol}_{step.element}"
        elif step.span is not None and step.span != (1, n):
            symbol = f"{symbol}[{step.span[0]}..{step.span[1]}]"
        operation = operation_text(step.kind, step.operands, glyphs)
        if step.kind is Kind.SHIFT:
            operation = shift_text(result, glyphs).partition(" = ")[0]
        words = dict.fromkeys(KIND_WORDS[kind] for kind in step.findings)
        yield number, symbol, operation, glyphs.number(step.value), ", ".join(words)
