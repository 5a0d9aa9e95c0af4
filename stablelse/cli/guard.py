"""--fail-on of the commands that compute: what must not occur, and exit code 1 if it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

import typer

from stablelse.analysis.results import Comparison, MethodResult
from stablelse.analysis.tally import Total
from stablelse.numerics.formulas import Method
from stablelse.render.numbers import place_text

if TYPE_CHECKING:
    from stablelse.analysis.scan import Condition


class Guard:
    """Watches results go by; what is correctly rounded never fails."""

    def __init__(self, fail_on: Sequence[str] | None) -> None:
        self._conditions: Sequence[Condition] = ()
        self._count: Counter[tuple[str, str, str]] = Counter()
        self._first: dict[tuple[str, str, str], str] = {}
        if fail_on:
            scan = import_module("stablelse.analysis.scan")
            self._conditions = scan.parse_conditions(",".join(fail_on))

    def watched(self, stacks: Iterable[Sequence[Comparison]]) -> Iterator[Sequence[Comparison]]:
        """Yield the comparisons, and take note of what must not occur."""
        if not self._conditions:
            yield from stacks
            return
        for comparison in chain.from_iterable(stacks):
            for key in self._failed(comparison.results):
                self._count[key] += 1
                self._first.setdefault(key, place_text(comparison))
            yield [comparison]

    def end(self, totals: Iterable[Total] = (), reduction: str = "") -> None:
        """Say what occurred, of a total if each result is fine, and exit with 1 if anything did."""
        failed = [(key, _vectors(count, self._first[key])) for key, count in self._count.items()]
        failed += [
            (key, f"the {reduction}") for key in self._failed(totals) if not self._count[key]
        ]
        for (text, method, format_), what in failed:
            typer.echo(f"stablelse: failed: {text}: {method} in {format_}, {what}", err=True)
        if failed:
            raise typer.Exit(1)

    def _failed(self, results: Iterable[MethodResult | Total]) -> Iterator[tuple[str, str, str]]:
        """Yield the condition, the method and the format of each failure."""
        for result in results:
            for condition in self._conditions:
                if _occurs(condition, result):
                    yield condition.text, result.method.value, result.format


def _vectors(count: int, first: str) -> str:
    return f"{count} vector{'s' * (count > 1)}" + (f", first in {first}" if first else "")


def _occurs(condition: Condition, result: MethodResult | Total) -> bool:
    if condition.method not in (None, result.method.value) or result.method is Method.EXACT:
        return False
    if condition.ulps is None or result.ulps is None:
        return result.verdict in condition.verdicts
    return result.ulps > condition.ulps or bool(result.verdict and result.verdict.is_broken)
