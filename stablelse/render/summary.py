"""Many vectors on one screen: how many broke, and how, some of them in a line each, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.likelihood import Summary
from stablelse.analysis.results import (
    VERDICTS,
    Comparison,
    Errors,
    MethodResult,
    Verdict,
)
from stablelse.analysis.tally import Tally, Total, badness
from stablelse.numerics.formulas import Method
from stablelse.render.layout import VERDICT_STYLES, glyphs_for, grid, hanging, named_grid
from stablelse.render.words import (
    ABOUT_ERRORS,
    DIGITS,
    RESULT_WORDS,
    VERDICT_WORDS,
    Facts,
    counted,
    function_text,
    method_name,
    naming,
    why,
)

#: The most lines for vectors, without --all.
_LINES = 7

_FULL = 40

_HARMLESS = (0, 0, 0.0)


class Overview:
    """The screen of many vectors, with so many digits, and a line for each vector or for a few."""

    def __init__(
        self, found: Tally | Summary, digits: int | None = None, every: bool = False
    ) -> None:
        self.found, self.digits, self.every = found, digits, every

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each format the counts, some of the vectors, and why two of them broke."""
        formats = [total.format for total in self.found.totals]
        for name, places in groupby(range(len(formats)), key=formats.__getitem__):
            yield from _Part(self, name, list(places), options).lines()
            yield Text()


class _Part:
    """What became of the vectors in one format."""

    def __init__(
        self, overview: Overview, format_: str, places: Sequence[int], options: ConsoleOptions
    ) -> None:
        self.found, self.format, self.every = overview.found, format_, overview.every
        self.tries = [overview.digits] if overview.digits else [_FULL, DIGITS, 5, 3]
        formulas = [p for p in places if self.found.totals[p].method is not Method.EXACT]
        self.places = formulas or places
        self.comparisons = list(self.found.comparisons)
        self.glyphs, self.width = glyphs_for(options), options.max_width

    def lines(self) -> Iterator[Text]:
        """Yield what is on the screen from top to bottom."""
        found, glyphs = self.found, self.glyphs
        count = found.vectors if isinstance(found, Summary) else found.count
        function = self.comparisons[0].function if self.comparisons else None
        sources = {comparison.source for comparison in self.comparisons}
        name = function_text(function, glyphs, None) if function else "loss"
        name = f"{name} of {counted(count, 'vector')}"
        source = next(iter(sources)) if len(sources) == 1 else None
        title = Text(f" {source}: {name} in " if source else f" {name} in ")
        yield title.append(self.format, "bold")
        if isinstance(found, Summary) and found.ignored:
            one = found.ignored == 1
            words = "vector is left out, as its label says"
            words = words if one else "vectors are left out, as their labels say"
            yield Text(f" {found.ignored:,} {words}")
        if not self.comparisons:
            return
        yield Text()
        yield from self._counts()
        yield Text()
        yield from self._rows(count)
        yield from self._reasons()

    def _name(self, place: int) -> str:
        return method_name(self.found.totals[place], [self.found.totals[p] for p in self.places])

    def _counts(self) -> Iterator[Text]:
        """Yield a line per method: how often there was which verdict, and the reduced loss."""
        found = self.found
        verdicts = [found.verdicts[place] for place in self.places]
        present = [verdict for verdict in VERDICTS if any(count[verdict] for count in verdicts)]
        reduction = found.reduction if isinstance(found, Summary) else "none"
        rows = [[Text(), *(Text(self._name(place), "bold") for place in self.places)]]
        for verdict in present:
            name = f"{self.glyphs.mark(verdict)} {VERDICT_WORDS[verdict]}"
            numbers = [f"{count[verdict]:,}" for count in verdicts]
            style = VERDICT_STYLES[verdict]
            rows.append(
                [Text(name, style), *(Text(text, style * (text != "0")) for text in numbers)]
            )
        if reduction != "none":
            totals = [found.totals[place] for place in self.places]
            values = [self._value(total, total.value, self.tries[0]) for total in totals]
            rows.append([Text(reduction, "bold"), *values])
        yield from grid(rows, "l" + "r" * len(self.places), gap=3)

    def _rows(self, count: int) -> Iterator[Text]:
        """Yield a line per vector, with the result of every method."""
        shown = list(range(len(self.comparisons))) if self.every else self._chosen()
        for digits in self.tries:
            lines = self._table(shown, count, digits)
            if max(line.cell_len for line in lines) <= self.width:
                break
        yield from lines

    def _table(self, shown: Sequence[int], count: int, digits: int) -> list[Text]:
        named = naming(self.comparisons)
        has_labels = self.comparisons[shown[0]].label is not None
        header = ["", "label" if has_labels else "n", *map(self._name, self.places)]
        rows: list[list[Text]] = [[Text(text, "bold") for text in header]]
        for index in shown:
            comparison = self.comparisons[index]
            second = comparison.label if has_labels else comparison.n
            row = [Text(named(comparison)), Text(f"{second:,}")]
            for place in self.places:
                result = comparison.results[place]
                row.append(self._value(result, result.value, digits, comparison.label))
            rows.append(row)
        missing = count - len(shown)
        lines = list(grid(rows, "lr" + "r" * len(self.places), gap=3))
        if missing:
            more = f" {missing:,} more: --all shows every row, --row N one in full"
            lines.append(Text(more, "dim"))
        return lines

    def _value(
        self, result: MethodResult | Total, value: Any, digits: int, label: int | None = None
    ) -> Text:
        """Return a result in a few words, with its mark."""
        verdict = result.verdict or Verdict.RIGHT
        mark, style = self.glyphs.mark(verdict), VERDICT_STYLES[verdict]
        text = ""
        if np.ndim(value):
            best = int(np.argmax(value)) if label is None else label
            odd = value[~np.isfinite(value)]
            shown = odd[np.argmax(np.isnan(odd))] if odd.size and verdict.is_broken else value[best]
            text = (
                ""
                if np.isfinite(shown) and verdict.is_broken
                else self.glyphs.number(shown, digits)
            )
            if np.isfinite(shown) and text:
                text = f"{RESULT_WORDS[self.comparisons[0].function]}_{best + 1:,}: {text}"
        else:
            text = self.glyphs.number(value, digits)
            if (getattr(result, "sign", None) or 0) < 0:
                text = f"log(-sum): {text}"
        words = "" if verdict is Verdict.RIGHT else VERDICT_WORDS[verdict]
        words = "" if words.lower() == text.lower() else words
        return Text.assemble(" ".join(filter(None, (text, words))), " ", (mark, style))

    def _broken(self) -> list[int]:
        """Return the first and the worst of the vectors that broke, or lost digits."""
        bad = [i for i, c in enumerate(self.comparisons) if badness(c) > _HARMLESS]
        worst = max(bad, key=lambda index: badness(self.comparisons[index]), default=None)
        return list(dict.fromkeys([*bad[:1], *([] if worst is None else [worst])]))

    def _chosen(self) -> list[int]:
        """Choose vectors: the first and the worst that broke, more of these, the first and last."""
        broken = [i for i, c in enumerate(self.comparisons) if badness(c) > _HARMLESS]
        last = len(self.comparisons) - 1
        wanted = [0, *self._broken(), last, *broken[: _LINES // 2], *range(last)]
        return sorted(list(dict.fromkeys(wanted))[: _LINES - 1])

    def _reasons(self) -> Iterator[Text]:
        """Yield why the first and the worst of the vectors broke."""
        for word, index in zip(("first", "worst"), self._broken(), strict=False):
            comparison = self.comparisons[index]
            results = [comparison.results[place] for place in self.places]
            result = max(results, key=lambda result: VERDICTS.index(result.verdict))
            facts = Facts.of(comparison, result, self.glyphs)
            head = Text(f" {self.glyphs.mark(result.verdict)} ", VERDICT_STYLES[result.verdict])
            name = f"{word}, {naming(self.comparisons)(comparison)}, {method_name(result)}: "
            yield Text() if word == "first" else Text("", end="")
            yield hanging(name + why(facts), self.width, head.cell_len, head=head)


class AccuracyPicture:
    """How wrong every method is and how wrong it can be, for a console of any width."""

    def __init__(self, shown: Errors | Sequence[Comparison]) -> None:
        self.comparisons = [shown.comparison] if isinstance(shown, Errors) else shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each vector its condition number and a line per method, and what these are."""
        glyphs = glyphs_for(options)
        results = [result for comparison in self.comparisons for result in comparison.results]
        has_formats = len({result.format for result in results}) > 1
        rows: list[list[Text | str]] = [
            ["", *(Text(head, "bold") for head in ("error", "bound", "theorem", "digits"))]
        ]
        for result in results:
            digits = result.correct_digits
            rows.append([
                f"{result.format if has_formats else ''} {method_name(result)}".lstrip(),
                glyphs.rough(result.relative_error),
                glyphs.rough(result.bound),
                result.theorem or "",
                "" if digits is None else f"{digits:.1f}",
            ])  # fmt: skip
        header, *lines = named_grid(rows, "lrrrr", options.max_width, gap=3)
        named = naming(self.comparisons)
        for comparison in self.comparisons:
            place = f"{named(comparison)}: " if len(self.comparisons) > 1 else ""
            condition = glyphs.rough(comparison.condition_number) or "undefined"
            yield Text(f" {place}condition number {condition}", "bold")
            yield header
            yield from lines[: len(comparison.results)]
            yield Text()
            del lines[: len(comparison.results)]
        yield hanging(ABOUT_ERRORS, options.max_width, indent=1, style="dim")
        yield Text()
