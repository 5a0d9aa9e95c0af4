"""The picture of a comparison: the methods side by side, element by element, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import fill

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import Comparison, MethodResult
from stablelse.render.columns import VERDICT_STYLES, tables
from stablelse.render.layout import glyphs_for
from stablelse.render.numbers import number_text
from stablelse.render.sentences import finding_text
from stablelse.render.wording import (
    FUNCTION_NAMES,
    Glyphs,
    exactness_text,
    method_text,
    place_text,
    verdict_text,
)


class ComparisonPicture:
    """The picture of a comparison, for a console of any width and encoding.

    Parameters
    ----------
    comparison : Comparison
        What is shown.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, one or more tables, and the verdicts."""
        glyphs = glyphs_for(options)
        by_format = [
            list(results)
            for _, results in groupby(self.comparison.results, key=lambda result: result.format)
        ]
        yield title(self.comparison, [results[0].format for results in by_format])
        yield from tables(self.comparison, by_format, glyphs, options.max_width)
        for results in by_format:
            if len(by_format) > 1:
                yield Text(f" {results[0].format}", "bold")
            yield from verdicts(results, self.comparison.n, glyphs, options.max_width)
        yield Text()


def title(comparison: Comparison, formats: Sequence[str]) -> Text:
    """Return the line above the picture: where the numbers are from, what is computed, in what."""
    text = Text(" ")
    place = place_text(comparison)
    if place:
        text.append(f"{place}: ")
    text.append(FUNCTION_NAMES[comparison.function], style="bold")
    plural = "number" if comparison.n == 1 else "numbers"
    text.append(f" of {comparison.n:,} {plural} in ")
    text.append(", ".join(formats), style="bold")
    if not len(comparison.elements):
        low, high = number_text(comparison.minimum), number_text(comparison.maximum)
        text.append(f", from {low} to {high}")
    return text


def verdicts(
    results: Sequence[MethodResult], n: int, glyphs: Glyphs, screen: int
) -> Iterator[Text]:
    """Yield a line per method with its verdict, and below it its findings."""
    names = [method_text(result, glyphs) for result in results]
    width = max(map(len, names)) + 1
    for result, name in zip(results, names, strict=True):
        if result.evaluation is None:
            value = "column above" if result.value.ndim else glyphs.number(result.value)
            is_broken = result.verdict.is_broken
            mark = glyphs.bad if is_broken else " " * len(glyphs.good)
            style = VERDICT_STYLES[result.verdict] if is_broken else ""
            told = f"{value}, {exactness_text(result)}"
            yield _beside(f" {mark} {name:<{width}}", told, screen, style)
            continue
        mark = glyphs.mark(result.verdict)
        head = f" {mark} {name:<{width}}"
        yield _beside(head, verdict_text(result), screen, VERDICT_STYLES[result.verdict])
        for finding in result.findings:
            sentence = finding_text(finding, result, n, glyphs)
            yield hanging(sentence, screen, indent=5, style="" if not finding.harmless else "dim")


def _beside(head: str, told: str, screen: int, style: str = "") -> Text:
    """Return a line with what is told after its head; where there is no room for both, below."""
    for line in (head + told, f"{head.rstrip()} {told}"):
        if cell_len(line) <= screen:
            return Text(line, style)
    below = hanging(told, screen, indent=5)
    return Text(f"{head.rstrip()}\n{below}", style, no_wrap=True, overflow="ignore")


def hanging(sentence: str, width: int, indent: int, style: str = "") -> Text:
    """Return a sentence wrapped at blanks only, every line indented."""
    margin = " " * indent
    wrapped = fill(
        sentence,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return Text(wrapped, style, no_wrap=True, overflow="ignore")
