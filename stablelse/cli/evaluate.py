"""lse, softmax and log-softmax: every method side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any

from stablelse.analysis.compare import Problem, compare_rows
from stablelse.analysis.results import Comparison, Steps
from stablelse.analysis.tally import Tally
from stablelse.cli.emit import emit
from stablelse.cli.guard import Guard
from stablelse.cli.input import Job, batches, place_of
from stablelse.cli.options import Request
from stablelse.cli.progress import Meter, meter_of
from stablelse.cli.values import (
    GATHERED,
    evaluation_of,
    is_file_of_numbers,
    long_input,
    read,
    values_of,
    write_file,
)
from stablelse.numerics.functions import Function
from stablelse.readers import Stream
from stablelse.render import Many

#: How many numbers of a vector are for a table of a softmax, which takes some 20 times as much
#: memory as its values: in parts, they are read twice, and no loss is looked for in a sum.
SHOWN = 1 << 18

#: What the methods make of some vectors.
Found = Sequence[Comparison]


def run(request: Request) -> None:
    """Show what each method makes of the vectors."""
    job = evaluation_of(request)
    guard = Guard(request.fail_on)
    tally = Tally(request.all)
    with (meter := meter_of(request)).running():
        if is_file_of_numbers(request):
            write_file(request, job, meter)
            return
        found = guard.watched(_comparisons(request, job, meter))
        shown: Iterator[Any] = chain.from_iterable(found)
        if request.quiet:
            shown = values_of((each for c in shown for each in c.results), request)
        elif request.is_picture:
            shown = pictures(_counted(found, tally), request, tally)
        elif request.steps:
            shown = map(Steps, shown)
        emit(Many("vectors", shown), request, meter)
    guard.end()


def _comparisons(request: Request, job: Job, meter: Meter) -> Iterator[Found]:
    """Yield what the methods make of the vectors, stack by stack."""
    is_scalar = job.function is Function.LOGSUMEXP
    found = read(request, job, meter, GATHERED if is_scalar else SHOWN)
    if isinstance(found, Stream):
        whole = long_input(found, request, meter)
        yield from ([each] for each in (whole.fold(job) if is_scalar else [whole.compare(job)]))
        return
    # None: where it is quick
    measured = request.errors or (False if request.is_picture else None)
    for stack in batches(meter.following(found)):
        yield compare_rows(
            stack.values,
            Problem(job.function, job.empty, stack.weights),
            job.candidates,
            job.formats,
            partial(place_of, stack),
            measured,
        )


def _counted(stacks: Iterator[Found], tally: Tally) -> Iterator[Found]:
    for stack in stacks:
        tally.add(stack)
        yield stack


def pictures(stacks: Iterator[Found], request: Request, tally: Tally) -> Iterator[Any]:
    """Yield one vector, or those asked for, in full, or a summary of all, which were counted."""
    of_many = partial(import_module, "stablelse.render.summary")  # one vector can do without
    if request.steps or request.row:
        shown: Sequence[Comparison] = list(chain.from_iterable(stacks))
    else:
        deque(stacks, maxlen=0)
        shown = tally.summary().comparisons
    if request.steps:
        yield from (comparison.steps for comparison in shown)
    elif request.row or len(shown) == 1:
        screen = import_module("stablelse.render.screen").Screen
        yield from (screen(comparison, request.digits, request.all) for comparison in shown)
    else:
        yield of_many().Overview(tally.summary(), request.digits, request.all)
    if request.errors:
        yield of_many().errors_picture(shown)
