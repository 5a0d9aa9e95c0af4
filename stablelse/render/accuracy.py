"""How wrong every method is, beside how wrong it can be, and the problem's condition number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import Comparison, Errors, MethodResult
from stablelse.render.layout import Column, Group, glyphs_for, hanging, stack
from stablelse.render.wording import (
    condition_text,
    digits_text,
    method_name,
    naming,
)

_NOTE = (
    "errors are relative, in the infinity norm as the condition number is; digits are the decimal "
    "ones that are right; the bounds, to first order, are those of Blanchard, Higham & Higham 2021 "
    "for NumPy's exp and log, and hold where nothing overflows or underflows"
)


class AccuracyPicture:
    """A table with a row per method, or per vector and method, for a console of any width.

    Parameters
    ----------
    comparisons : sequence of Comparison
        At least one, all of the same function.
    """

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self.comparisons = comparisons

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the condition number, the table, and what its numbers are."""
        glyphs = glyphs_for(options)
        results = [result for comparison in self.comparisons for result in comparison.results]
        measures = [
            _column("error", (glyphs.rough(result.relative_error) for result in results)),
            _column("bound", (glyphs.rough(result.bound) for result in results)),
            _column("theorem", (result.theorem or "" for result in results)),
            _column("digits", map(digits_text, results)),
        ]
        if len(self.comparisons) == 1:
            yield Text(f" {condition_text(self.comparisons[0], glyphs)}")
            index, sections = _methods(results), []
        else:
            index = _column("", self._first(naming(self.comparisons)))
            conditions = self._first(lambda c: glyphs.rough(c.condition_number))
            measures[:0] = [_column("condition", conditions), _methods(results)]
            sections = list(accumulate(len(c.results) for c in self.comparisons))
        ends = frozenset(end - 1 for end in sections)
        yield from stack(index, [Group(measures)], ends, options.max_width)
        yield hanging(_NOTE, options.max_width, indent=1, style="dim")
        yield Text()

    def _first(self, text: Callable[[Any], str]) -> Iterator[str]:
        """Yield what is told of each vector in the first of its rows."""
        for comparison in self.comparisons:
            yield text(comparison)
            yield from repeat("", len(comparison.results) - 1)


def errors_picture(view: Errors) -> AccuracyPicture:
    """Return the picture of the errors of one comparison."""
    return AccuracyPicture([view.comparison])


def _column(header: str, texts: Iterable[str]) -> Column:
    return Column(header, [Text(text) for text in texts])


def _methods(results: Sequence[MethodResult]) -> Column:
    """Return what names the methods, with their formats if there are several."""
    several = len({result.format for result in results}) > 1
    return _column(
        "", (f"{r.format if several else ''} {method_name(r)}".lstrip() for r in results)
    )
