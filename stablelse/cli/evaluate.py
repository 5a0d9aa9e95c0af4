"""lse, softmax and log-softmax: every method side by side, shown and guarded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any

import typer

from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.results import Comparison, Condition, MethodResult, Steps, parse_conditions
from stablelse.analysis.tally import Tally, Total
from stablelse.cli import tell
from stablelse.cli.emit import Values, emit
from stablelse.cli.input import Job, batches, place_of
from stablelse.cli.options import Request
from stablelse.cli.progress import Meter, meter_of
from stablelse.cli.values import (
    GATHERED,
    evaluation_of,
    long_input,
    read_input,
    values_of,
    write_file,
)
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function
from stablelse.printable import counted
from stablelse.readers.vectors import Stream
from stablelse.render import Many
from stablelse.render.numbers import place_text

#: The longest vector for a softmax table, which takes some 20 times the memory of its values.
#: Longer ones are read several times, in parts.
SHOWN = 1 << 18

#: The results of the methods on some vectors.
Comparisons = Sequence[Comparison]


def run(request: Request) -> None:
    """Show the results of each method on the vectors."""
    job = evaluation_of(request)
    guard = Guard(request.fail_on, job)
    tally = Tally(request.all)
    with (meter := meter_of(request)).running():
        if request.is_file_of_numbers:
            write_file(request, job, meter)
            return
        compared = _compared(request, job, meter)
        found = guard.watched(stack for stack, _ in compared)
        shown: Iterator[Any] = chain.from_iterable(found)
        if request.quiet:
            shown = _values(compared, guard, request)
        elif request.is_picture:
            shown = pictures(map(tally.add, found), request, tally)
        elif request.steps:
            shown = map(Steps, shown)
        emit(Many("vectors", shown), request, meter)
    guard.end()


def _values(
    compared: Iterator[tuple[Comparisons, bool]], guard: Guard, request: Request
) -> Iterator[Values]:
    """Yield only the values of guarded vectors."""
    for stack, is_vertical in compared:
        for comparison in chain.from_iterable(guard.watched([stack])):
            yield from values_of(comparison.results, request, is_vertical)


def _compared(request: Request, job: Job, meter: Meter) -> Iterator[tuple[Comparisons, bool]]:
    """Yield the results of the methods on the vectors, and whether each line had one number."""
    long = long_input(request, meter)
    is_short = job.function is Function.LOGSUMEXP and not request.all
    found = read_input(request, job, meter, GATHERED if is_short else SHOWN)
    # None: only if it is quick
    measured = request.errors or (False if request.is_picture else None)
    for stack in batches(meter.following(found)):
        if isinstance(stack, Stream):
            yield from (([each], False) for each in long().compare(stack, job))
            continue
        comparisons = Compared(
            stack.values,
            Problem(job.function, job.empty, stack.weights, stack.kept),
            job.candidates,
            job.formats,
            partial(place_of, stack),
            measured,
        )
        yield comparisons, stack.vertical


def pictures(stacks: Iterator[Comparisons], request: Request, tally: Tally) -> Iterator[Any]:
    """Yield a single vector, or the chosen ones, in full, or else a summary of all."""
    of_many = partial(import_module, "stablelse.render.summary")  # one vector does not need it
    if request.steps or request.row:
        shown: Sequence[Comparison] = list(chain.from_iterable(stacks))
    else:
        deque(stacks, maxlen=0)
        shown = tally.summary().comparisons
    if request.steps:
        yield from (comparison.steps for comparison in shown)
    elif request.row or len(shown) == 1:
        screen = import_module("stablelse.render.screen").Screen
        if request.all and not all(comparison.is_whole for comparison in shown):
            hint = "leave it out" if request.function == "lse" else "use --format csv"
            raise typer.BadParameter(f"--all lists at most {SHOWN:,} elements of a vector: {hint}")
        yield from (screen(comparison, request.digits, request.all) for comparison in shown)
    else:
        overview = of_many().Overview(tally.summary(), request.digits, request.all)
        yield overview
        shown = [shown[index] for index in overview.shown]
    if request.errors:
        yield of_many().errors_picture(shown)


class Guard:
    """--fail-on: what must not occur, and exit code 1 if it does; exact results never fail."""

    def __init__(self, fail_on: Sequence[str] | None, job: Job) -> None:
        self._conditions: Sequence[Condition] = ()
        self._found: dict[tuple[str, str, str], tuple[int, str]] = {}
        if fail_on:
            methods = dict.fromkeys(each.method.value for each in job.candidates if each.formula)
            if not methods:
                raise typer.BadParameter("--fail-on: exact never fails, so name another --method")
            self._conditions = parse_conditions(",".join(fail_on), methods)

    def watched(self, stacks: Iterable[Comparisons]) -> Iterator[Comparisons]:
        """Yield the comparisons, and record failures."""
        if not self._conditions:
            yield from stacks
            return
        for comparison in chain.from_iterable(stacks):
            for key in self._failed(comparison.results):
                count, first = self._found.get(key, (0, place_text(comparison)))
                self._found[key] = count + 1, first
            yield [comparison]

    def end(self, totals: Iterable[Total] = (), reduction: str = "") -> None:
        """Print the failures, or those of the totals if there are none, and exit with 1 if any."""
        failed = {
            key: counted(count, "vector") + (f", first in {first}" if first else "")
            for key, (count, first) in self._found.items()
        }
        for key in self._failed(totals):
            failed.setdefault(key, f"the {reduction}")
        for (text, method, format_), what in failed.items():
            tell(f"failed: {text}: {method} in {format_}, {what}")
        if failed:
            raise typer.Exit(1)

    def _failed(self, results: Iterable[MethodResult | Total]) -> Iterator[tuple[str, str, str]]:
        """Yield the condition, the method and the format of each failure."""
        for result in results:
            for condition in self._conditions:
                is_watched = condition.method in (None, result.method.value)
                if is_watched and result.method is not Method.EXACT and _occurs(condition, result):
                    yield condition.text, result.method.value, result.format


def _occurs(condition: Condition, result: MethodResult | Total) -> bool:
    if condition.limit is None or result.ulps is None:
        return result.verdict in condition.verdicts
    return result.ulps > condition.limit or bool(result.verdict and result.verdict.is_broken)
