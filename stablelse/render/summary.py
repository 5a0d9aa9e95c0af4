"""Many vectors on one screen: how many broke, a line for some of them, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import VERDICTS, Comparison, Errors, MethodResult, Verdict
from stablelse.analysis.tally import Summary, Total
from stablelse.numerics.formulas import Method
from stablelse.printable import counted, printable, shortened
from stablelse.render.layout import (
    VERDICT_STYLES,
    fitted,
    glyphs_for,
    grid,
    hanging,
    named_grid,
    picture,
)
from stablelse.render.notation import Glyphs
from stablelse.render.words import (
    ABOUT_ERRORS,
    DIGITS,
    RESULT_WORDS,
    VERDICT_WORDS,
    Facts,
    function_text,
    method_name,
    naming,
    why,
)

#: The most lines for vectors without --all.
_LINES = 7

#: The digits of results: the first that fit are used.
_TRIES = (40, DIGITS, 5, 3)

_HARMLESS = [0, 0, 0.0]


class Overview:
    """The screen of many vectors: with a line for all or a few, and a given number of digits."""

    def __init__(self, found: Summary, digits: int | None = None, every: bool = False) -> None:
        self.found = found
        self.tries = (digits,) if digits else _TRIES
        self.comparisons = found.comparisons
        self.named = naming(self.comparisons)
        #: The vectors that broke or lost digits, and the first and the worst of these.
        self.broken = [i for i, badness in enumerate(found.badness) if badness > _HARMLESS]
        by_badness = sorted(self.broken, key=found.badness.__getitem__, reverse=True)
        self.ends = list(dict.fromkeys([*self.broken[:1], *by_badness[:1]]))
        #: The vectors with a line: the first and the worst broken one, more broken ones, the first
        #: and the last.
        self.shown = list(range(len(self.comparisons)))
        if not every:
            last = self.shown[-1:]
            wanted = [*self.shown[:1], *self.ends, *last, *self.broken[: _LINES // 2], *self.shown]
            self.shown = sorted([*dict.fromkeys(wanted)][: _LINES - 1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each format the counts, some of the vectors, and why two of them broke."""
        self.glyphs, self.width = glyphs_for(options), options.max_width
        totals = self.found.totals
        for name, group in groupby(range(len(totals)), key=lambda place: totals[place].format):
            every = list(group)
            places = [p for p in every if totals[p].method is not Method.EXACT] or every
            yield from self._head(name)
            if self.comparisons:
                shown = [totals[place] for place in places]
                names = [Text(method_name(total, shown), "bold") for total in shown]
                yield Text()
                yield from self._counts(shown, names)
                yield Text()
                yield from self._rows(places, names)
                yield from self._reasons(places)
            yield Text()

    def _head(self, format_: str) -> Iterator[Text]:
        """Yield what was computed."""
        count, ignored = self.found.vectors, self.found.ignored
        sources = {comparison.source for comparison in self.comparisons}
        source = printable(sources.pop() or "") if len(sources) == 1 else ""
        name = "loss"
        if self.comparisons:
            first = self.comparisons[0]
            name = function_text(first.function, self.glyphs, None, first.weights is not None)
        title = ": ".join(filter(None, (source, f"{name} of {counted(count, 'vector')} in ")))
        yield fitted(Text.assemble(f" {title}", (format_, "bold")), self.width)
        if ignored:
            words = "is left out, as its label says"
            words = words if ignored == 1 else "are left out, as their labels say"
            yield Text(f" {counted(ignored, 'vector')} {words}")

    def _counts(self, totals: Sequence[Total], names: Sequence[Text]) -> Iterator[Text]:
        """Yield the counts of the verdicts, and the reduced loss, per method."""
        rows = [[Text(), *names]]
        for verdict in VERDICTS:
            numbers = [total.verdicts[verdict] for total in totals]
            style, name = VERDICT_STYLES[verdict], VERDICT_WORDS[verdict]
            if any(numbers):
                cells = [Text(f"{number:,}", style * (number > 0)) for number in numbers]
                rows.append([Text(f"{self.glyphs.mark(verdict)} {name}", style), *cells])
        reduction = self.found.reduction
        if reduction != "none":
            values = [self._value(total, total.value, self.tries[0]) for total in totals]
            rows.append([Text(reduction, "bold"), *values])
        yield from grid(rows, "l" + "r" * len(totals), gap=3)

    def _rows(self, places: Sequence[int], names: Sequence[Text]) -> Iterator[Text]:
        """Yield a line per vector, with the result of every method."""
        has_labels = self.comparisons[0].label is not None
        head = [Text(), Text("label" if has_labels else "n", "bold"), *names]
        for digits in self.tries:
            rows = [head, *(self._row(self.comparisons[i], places, digits) for i in self.shown)]
            lines = list(grid(rows, "lr" + "r" * len(places), gap=3))
            if max(line.cell_len for line in lines) <= self.width:
                break
        yield from lines
        if missing := self.found.vectors - len(self.shown):
            more = f" {missing:,} more: --all shows every row, --row N one in full"
            yield fitted(Text(more, "dim"), self.width)

    def _row(self, comparison: Comparison, places: Sequence[int], digits: int) -> list[Text]:
        label = comparison.label
        second = comparison.n if label is None else label
        results = [comparison.results[place] for place in places]
        values = [self._value(result, result.value, digits, label) for result in results]
        name = shortened(self.named(comparison), self.width // 2)
        return [Text(name), Text(f"{second:,}"), *values]

    def _value(
        self, result: MethodResult | Total, value: Any, digits: int, label: int | None = None
    ) -> Text:
        """Return a result in a few words, with its mark."""
        verdict = result.verdict or Verdict.RIGHT
        mark, text = self.glyphs.mark(verdict), ""
        if not np.ndim(value):
            text = self.glyphs.number(value, digits)
            if (getattr(result, "sign", None) or 0) < 0:
                text = f"log({self.glyphs.minus}{self.glyphs.sum}): {text}"
        elif not verdict.is_broken:
            best = int(np.argmax(value)) if label is None else label
            name = RESULT_WORDS[self.comparisons[0].function]
            text = f"{name}_{best + 1:,}: {self.glyphs.number(value[best], digits)}"
        elif (odd := value[~np.isfinite(value)]).size:
            text = self.glyphs.number(odd[np.argmax(np.isnan(odd))])
        words = "" if verdict is Verdict.RIGHT else VERDICT_WORDS[verdict]
        words = "" if words.lower() == text.lower() else words
        shown = " ".join(filter(None, (text, words)))
        return Text.assemble(shown, " ", (mark, VERDICT_STYLES[verdict]))

    def _reasons(self, places: Sequence[int]) -> Iterator[Text]:
        """Yield why the first and the worst vector broke."""
        for word, index in zip(("first", "worst"), self.ends, strict=False):
            comparison = self.comparisons[index]
            results = [comparison.results[place] for place in places]
            result = max(results, key=lambda result: VERDICTS.index(result.verdict))
            facts = Facts(comparison, result, self.glyphs)
            head = Text(f" {self.glyphs.mark(result.verdict)} ", VERDICT_STYLES[result.verdict])
            name = f"{word}, {self.named(comparison)}, {method_name(result)}: "
            yield Text() if word == "first" else Text("", end="")
            yield hanging(name + why(facts), self.width, head.cell_len, head=head)


@picture
def errors_picture(
    shown: Errors | Sequence[Comparison], glyphs: Glyphs, width: int
) -> Iterator[Text]:
    """Yield for each vector its condition number and a line per method, then an explanation."""
    comparisons = [shown.comparison] if isinstance(shown, Errors) else shown
    results = [result for comparison in comparisons for result in comparison.results]
    has_formats = len({result.format for result in results}) > 1
    rows: list[list[Text | str]] = [
        ["", *(Text(head, "bold") for head in ("error", "bound", "theorem", "digits"))]
    ]
    for result in results:
        name = f"{result.format if has_formats else ''} {method_name(result)}".lstrip()
        error, bound = glyphs.rough(result.relative_error), glyphs.rough(result.bound)
        right = result.correct_digits
        digits = "" if right is None else glyphs.literal(f"{right:.1f}")
        rows.append([name, error, bound, result.theorem or "", digits])
    header, *lines = named_grid(rows, "lrrrr", width, gap=3)
    named, line = naming(comparisons), iter(lines)
    for comparison in comparisons:
        place = f"{named(comparison)}: " if len(comparisons) > 1 else ""
        condition = glyphs.rough(comparison.condition_number) or "undefined"
        yield hanging(f"{place}condition number {condition}", width, 1, "bold")
        yield header
        yield from islice(line, len(comparison.results))
        yield Text()
    yield hanging(ABOUT_ERRORS, width, indent=1, style="dim")
    yield Text()
