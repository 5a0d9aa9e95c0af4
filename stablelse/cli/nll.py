"""The negative log-likelihood of labels, and its gradient, by every method side by side."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from stablelse.analysis.likelihood import LabelledTally
from stablelse.cli.beside import CLASS_WEIGHTS, all_cells, proposing_no
from stablelse.cli.emit import Values, emit
from stablelse.cli.evaluate import Guard, pictures
from stablelse.cli.input import batches, job_of, place_of, policed
from stablelse.cli.labels import read_labelled
from stablelse.cli.options import Request
from stablelse.cli.values import values_of
from stablelse.numerics.functions import LossFunction
from stablelse.printable import counted
from stablelse.readers.blocks import ReadError
from stablelse.readers.vectors import Vectors
from stablelse.render import Many
from stablelse.render.records import record


def run(request: Request) -> None:
    """Show the losses, or their gradients."""
    function = LossFunction.GRADIENT if request.grad else LossFunction.LOSS
    job = job_of(request, function.function, bool(request.quiet and not request.fail_on))
    guard = Guard(request.fail_on, job)
    path = request.class_weights
    weights = None if path is None else all_cells(path, CLASS_WEIGHTS)
    tally = LabelledTally(
        function,
        job.candidates,
        job.formats,
        request.reduction or "mean",
        request.ignore_index,
        job.empty,
        request.all,
        request.label_smoothing or 0.0,
        weights,
    )
    stacks = _weighed(read_labelled(request, job.dtype), request, weights)
    stacks = batches(policed(stacks, job, request))
    found = guard.watched(tally.compare(*_labelled(s), partial(place_of, s)) for s in stacks)
    shown: Iterator[Any] = chain.from_iterable(found)
    if request.quiet:
        shown = _values(stacks, shown, tally, request)
    elif request.is_picture:
        shown = pictures(found, request, tally)
    with proposing_no("--skip-na"):
        emit(Many("losses", shown, lambda: record(tally.summary())), request)
    result = tally.summary()
    guard.end(result.totals, result.reduction)


def _weighed(stacks: Iterator[Vectors], request: Request, weights: Any) -> Iterator[Vectors]:
    """Yield vectors, and refuse those without one class per weight."""
    for stack in stacks:
        n = stack.values.shape[1]
        if weights is not None and len(weights) != n:
            raise ReadError(
                f"{request.class_weights} has {counted(len(weights), 'weight')}, but "
                f"{stack.source or 'the vector given'} has {n:,} logits: {CLASS_WEIGHTS.rule}"
            )
        yield stack


def _labelled(stack: Vectors) -> tuple[Any, Any, Any]:
    return stack.values, stack.labels, stack.masked


def _values(
    stacks: Iterator[Vectors], losses: Iterator[Any], tally: LabelledTally, request: Request
) -> Iterator[Values]:
    """Yield only the values: of every vector, or the reduced ones."""
    is_reduced = request.reduction != "none" and not request.grad
    if request.fail_on:
        for loss in losses:
            if not is_reduced:
                yield from values_of(loss.results, request)
    else:
        for stack in stacks:
            if is_reduced:
                tally.add_up(*_labelled(stack))
            else:
                yield from (Values(value, False) for value in tally.values(*_labelled(stack)))
    if is_reduced:
        yield from values_of(tally.summary().totals, request)
