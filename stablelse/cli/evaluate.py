"""lse, softmax and log-softmax: every method side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any

from stablelse.analysis.compare import Problem, compare_rows
from stablelse.analysis.results import Comparison, Steps
from stablelse.analysis.tally import Tally
from stablelse.cli.emit import Values, emit
from stablelse.cli.guard import Guard
from stablelse.cli.input import Job, batches, place_of
from stablelse.cli.options import Request
from stablelse.cli.progress import Meter, meter_of
from stablelse.cli.values import (
    GATHERED,
    is_file_of_numbers,
    job_of,
    passes,
    read,
    values_of,
    write_file,
)
from stablelse.numerics.functions import Function
from stablelse.readers import By, Stream, vectors
from stablelse.render import Many

#: How many numbers of a vector are for a table of a softmax, which takes some 20 times as much
#: memory as its values: in parts, they are read twice, and no loss is looked for in a sum.
SHOWN = 1 << 18


def run(request: Request) -> None:
    """Show what each method makes of the vectors."""
    job = job_of(request)
    guard = Guard(request.fail_on)
    with (meter := meter_of(request)).running():
        if is_file_of_numbers(request):
            write_file(request, job, meter)
            return
        found = guard.watched(_comparisons(request, job, meter))
        if request.format in ("table", "plain") and not request.quiet:
            shown = _pictures(found, request)
        else:
            views = _quiet if request.quiet else _records
            shown = views(chain.from_iterable(found), request)
        emit(Many("vectors", shown), request, meter)
    guard.end()


def _quiet(comparisons: Iterable[Comparison], request: Request) -> Iterator[Values]:
    """Yield the values of comparisons that are guarded."""
    return values_of((each for c in comparisons for each in c.results), request)


def _comparisons(request: Request, job: Job, meter: Meter) -> Iterator[Sequence[Comparison]]:
    """Yield what the methods make of the vectors, stack by stack."""
    is_scalar = job.function is Function.LOGSUMEXP
    found = read(request, job, meter, GATHERED if is_scalar else SHOWN)
    if isinstance(found, Stream) and not is_scalar and found.axis is not By.ALL:
        found = vectors(found.blocks, found.axis)
    if isinstance(found, Stream):
        if is_scalar:
            folded = passes().fold_stream(found, request, job, True, meter)
            yield from ([comparison] for comparison in folded)
        else:
            yield [passes().compare_long(found, request, job, meter)]
        return
    # None: where it is quick
    kind = request.format
    measured = request.errors or (False if kind in ("table", "plain") else None)
    for stack in batches(meter.following(found)):
        yield compare_rows(
            stack.values,
            Problem(job.function, job.empty, stack.weights),
            job.candidates(),
            job.formats,
            partial(place_of, stack),
            measured,
        )


def _records(comparisons: Iterable[Comparison], request: Request) -> Iterator[Any]:
    """Yield what is printed of each vector, if it is not a table."""
    for comparison in comparisons:
        if request.steps:
            yield Steps(comparison)
        else:
            yield comparison


def _pictures(stacks: Iterable[Sequence[Comparison]], request: Request) -> Iterator[Any]:
    """Yield one vector, or those asked for, in full, and many as a row each."""
    from stablelse.render.screen import Screen

    summary = "stablelse.render.summary"  # which one vector can do without
    if request.steps or request.row:
        shown = list(chain.from_iterable(stacks))
    else:
        tally = Tally(request.all)
        for stack in stacks:
            tally.add(stack)
        found = tally.summary()
        shown = list(found.comparisons)
    if request.steps:
        yield from (comparison.steps for comparison in shown)
    elif request.row or len(shown) == 1:
        yield from (Screen(c, request.digits, request.all) for c in shown)
    else:
        yield import_module(summary).Overview(found, request.digits, request.all)
    if request.errors:
        yield import_module(summary).errors_picture(shown)
