"""The negative log-likelihood of labels, and its gradient, by every method side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import typer

from stablelse.analysis.compare import compare_rows
from stablelse.analysis.likelihood import Likelihoods, Loss
from stablelse.analysis.results import Place
from stablelse.cli.beside import proposing_no
from stablelse.cli.emit import Values, emit
from stablelse.cli.job import Job, batches
from stablelse.cli.labels import read_labelled
from stablelse.cli.masking import policed
from stablelse.cli.options import Nll
from stablelse.cli.source import place_of
from stablelse.numerics.formulas import USUAL
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.formulas.loss_methods import Quantity
from stablelse.readers import Vectors
from stablelse.render import Many
from stablelse.render.likelihood import summary


def run(request: Nll) -> None:
    """Show the losses."""
    quantity = Quantity.GRADIENT if request.grad else Quantity.LOSS
    job = Job.of(quantity.function, request.source, request.methods, request.empty, request.steps)
    usual = [Method.EXACT] if request.quiet else USUAL
    found = Likelihoods(
        quantity,
        job.candidates(usual),
        job.formats,
        request.reduction or "mean",
        request.labels.ignore_index,
        job.empty,
    )
    stacks = read_labelled(request.source, request.labels, job.dtype)
    stacks = batches(policed(stacks, job, request.labels.ignore_index))
    kind = request.output.format
    with proposing_no("--skip-na"):
        if request.quiet:
            emit(Many("values", _values(stacks, found, request)), request)
        elif kind == "table":
            emit(Many("losses", _pictures(stacks, found, job, request)), request)
        else:
            losses = _with_totals(_losses(stacks, found), found, kind)
            emit(Many("losses", losses, lambda: summary(found.result())), request)


def _losses(stacks: Iterator[Vectors], found: Likelihoods) -> Iterator[Loss]:
    """Yield what is found of each vector."""
    for stack in stacks:
        assert stack.labels is not None, "these vectors are labelled"
        places = [place_of(stack, index) for index in range(len(stack.values))]
        yield from found.add(stack.values, stack.labels, stack.masked, places)


def _with_totals(losses: Iterator[Loss], found: Likelihoods, kind: str) -> Iterator[Any]:
    """Yield the losses, and for plain lines what became of all of them."""
    yield from losses
    if kind == "plain":
        yield found.result()


def _values(stacks: Iterator[Vectors], found: Likelihoods, request: Nll) -> Iterator[Values]:
    """Yield the values alone: of every vector, or what they are reduced to."""
    if request.reduction == "none" or request.grad:
        for loss in _losses(stacks, found):
            yield from (Values(np.atleast_1d(result.value), False) for result in loss.results)
        return
    for stack in stacks:
        assert stack.labels is not None, "these vectors are labelled"
        found.add_up(stack.values, stack.labels, stack.masked)
    yield from (Values(np.atleast_1d(entry.value), False) for entry in found.result().totals)


def _pictures(
    stacks: Iterator[Vectors], found: Likelihoods, job: Job, request: Nll
) -> Iterator[Any]:
    """Yield the methods on one vector, below the softmax or its logarithm; or a row a vector."""
    for _ in _losses(stacks, found):
        pass
    result = found.result()
    if request.steps and result.vectors != 1:
        raise typer.BadParameter("--steps shows one vector: choose it with --row")
    if result.vectors == 1:
        assert found.x is not None, "there is a vector"
        (loss,) = result.losses
        (comparison,) = compare_rows(
            found.x[None],
            job.function,
            job.shifts,
            job.formats,
            [Place(loss.source, loss.row, loss.column)],
            job.methods,
            errors=False,
            empty=job.empty,
        )
        yield comparison.steps if request.steps else comparison
    yield result
