"""Many vectors at a glance: a row each, with what every method made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import MethodResult, Verdict
from stablelse.analysis.tally import Tally
from stablelse.render.layout import VERDICT_STYLES, Column, Group, glyphs_for, hanging, stack
from stablelse.render.wording import (
    FUNCTION_NAMES,
    VERDICT_WORDS,
    Glyphs,
    method_name,
    naming,
    result_text,
)


class Overview:
    """A table with a row per vector, for a console of any width and encoding.

    Parameters
    ----------
    tally : Tally
        Of at least one comparison.
    """

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.comparisons = tally.comparisons

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a title, the table, and for each method how many vectors it broke on."""
        glyphs = glyphs_for(options)
        sources = {comparison.source or "" for comparison in self.comparisons}
        source = f"{min(sources)}: " if len(sources) == 1 else ""
        function = FUNCTION_NAMES[self.comparisons[0].function]
        yield Text.assemble(f" {source}", (function, "bold"), f" of {self.tally.count:,} vectors")
        named = naming(self.comparisons)
        labels = Column("", [Text(named(comparison)) for comparison in self.comparisons])
        sizes = Column("n", [Text(f"{c.n:,}") for c in self.comparisons])
        columns = zip(*(comparison.results for comparison in self.comparisons), strict=True)
        results = [list(column) for column in columns]
        groups = [Group([_column(column, glyphs)], sizes) for column in results]
        yield from stack(labels, groups, frozenset(), options.max_width)
        if self.tally.left_out:
            yield hanging(
                left_out_text(self.tally.left_out), options.max_width, indent=1, style="dim"
            )
        for column, verdicts in zip(results, self.tally.verdicts, strict=True):
            if column[0].evaluation is not None:
                yield _count(column[0], verdicts)
        yield Text()


def _column(results: Sequence[MethodResult], glyphs: Glyphs) -> Column:
    first = results[0]
    return Column(method_name(first), [_cell(result, glyphs) for result in results], first.format)


def _cell(result: MethodResult, glyphs: Glyphs) -> Text:
    if result.evaluation is None and not result.verdict.is_broken:
        return Text(_largest_text(result, glyphs))
    mark = glyphs.mark(result.verdict)
    style = "" if result.verdict is Verdict.RIGHT else VERDICT_STYLES[result.verdict]
    return Text(f"{result_text(result, glyphs)} {mark}", style)


def _largest_text(result: MethodResult, glyphs: Glyphs) -> str:
    if not result.value.ndim:
        return glyphs.number(result.value)
    place = int(np.argmax(result.value))
    return f"largest x_{place + 1}: {glyphs.number(result.value[place])}"


def left_out_text(count: int) -> str:
    """Return what is said where vectors are left out of a table."""
    return (
        f"the first ones, and the first ones that broke; {count:,} more are left out here: "
        "--format csv or jsonl gives all, --row N one in full"
    )


def _count(first: MethodResult, verdicts: Mapping[Verdict, int]) -> Text:
    """Return one line: on how many of the vectors the method has which verdict."""
    text = Text(f"   {first.format} {method_name(first)}: ")
    told = [
        (f"{VERDICT_WORDS[verdict]} {verdicts[verdict]:,}", VERDICT_STYLES[verdict])
        for verdict in Verdict
        if verdicts[verdict]
    ]
    for index, (words, style) in enumerate(told):
        text.append(", " if index else "")
        text.append(words, style)
    return text
