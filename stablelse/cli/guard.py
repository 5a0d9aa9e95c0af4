"""--fail-on of the commands that compute: what must not occur, and exit code 1 if it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import typer

from stablelse.analysis.results import Comparison, MethodResult
from stablelse.analysis.scan import Condition, ConditionError, parse_conditions
from stablelse.numerics.formulas import Method
from stablelse.render.numbers import place_text


class Guard:
    """Watches results go by; what is correctly rounded never fails."""

    def __init__(self, fail_on: Sequence[str]) -> None:
        try:
            self._conditions = parse_conditions(",".join(fail_on))
        except ConditionError as error:
            raise typer.BadParameter(str(error), param_hint="--fail-on") from None
        self._count: Counter[tuple[str, str, str]] = Counter()
        self._first: dict[tuple[str, str, str], str] = {}

    @property
    def is_measuring(self) -> bool:
        """Whether a condition counts ulps, which must be measured."""
        return any(condition.ulps is not None for condition in self._conditions)

    def watched(self, comparisons: Iterable[Comparison]) -> Iterator[Comparison]:
        """Yield the comparisons, and take note of what must not occur."""
        for comparison in comparisons:
            for result in comparison.results:
                for condition in self._conditions:
                    if _occurs(condition, result):
                        key = (condition.text, result.method.value, result.format)
                        self._count[key] += 1
                        self._first.setdefault(key, place_text(comparison))
            yield comparison

    def end(self) -> None:
        """Say what occurred, and exit with 1 if anything did."""
        for key, count in self._count.items():
            text, method, format_ = key
            where = f", first in {self._first[key]}" if self._first[key] else ""
            many = f"{count} vector{'s' * (count > 1)}"
            typer.echo(f"stablelse: failed: {text}: {method} in {format_}, {many}{where}", err=True)
        if self._count:
            raise typer.Exit(1)


def _occurs(condition: Condition, result: MethodResult) -> bool:
    is_other = condition.method not in (None, result.method.value)
    if is_other or result.method is Method.EXACT or result.verdict not in condition.verdicts:
        return False
    return condition.ulps is None or result.ulps is None or result.ulps > condition.ulps
