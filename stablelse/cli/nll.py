"""The negative log-likelihood of labels, and its gradient, by every method side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import typer

from stablelse.analysis.likelihood import LabelledTally
from stablelse.analysis.results import Comparison
from stablelse.cli.beside import open_beside, proposing_no
from stablelse.cli.emit import Values, emit
from stablelse.cli.guard import Guard
from stablelse.cli.input import (
    Job,
    batches,
    chosen,
    open_numbers,
    place_of,
    policed,
    prepared,
    read_vectors,
)
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES
from stablelse.cli.values import values_of
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import USUAL, Method
from stablelse.numerics.functions import LossFunction
from stablelse.numerics.targets import classes_text
from stablelse.readers import (
    Beside,
    Block,
    By,
    Passes,
    ReadError,
    ReadOptions,
    Vectors,
    find_files,
    one_column,
    split_column,
    vectors,
)
from stablelse.render import Many
from stablelse.render.records import record

#: What complaints call a label that is given as such.
_ALONE = "--label"

#: What a file of labels has of the options for the numbers' file.
_OPTIONS = {"--file": "--labels", "--column": "--label-column", "--key": "--label-key"}


def read_labelled(source: Request, dtype: str) -> Iterator[Vectors]:
    """Read vectors with their labels, in stacks of bounded size."""
    if source.label is not None:
        yield _alone(read_vectors(source, dtype), source)
        return
    stacks, labels = _opened(source, dtype)
    yield from chosen(_beside(stacks, labels, source.ignore_index), source.row)


def _alone(stacks: Iterator[Vectors], source: Request) -> Vectors:
    """Return the only vector with its label."""
    stack = next(stacks)
    if len(stack.values) > 1 or next(stacks, None) is not None:
        raise typer.BadParameter(
            f"--label is for a single vector, and {stack.source} has more: choose one with --row, "
            "or give --labels"
        )
    given = Block(np.array([[source.label]], np.float64), _ALONE, 0)
    labels = _checked(given, stack.values.shape[1], source.ignore_index)
    return stack._replace(labels=labels)


def _opened(source: Request, dtype: str) -> tuple[Iterator[Vectors], Beside]:
    """Open the logits and, beside them, the labels."""
    if source.labels is not None or source.label_key is not None:
        columns = () if source.label_column is None else (source.label_column,)
        files = source.file or [] if source.labels is None else [source.labels]
        reading = ReadOptions(key=source.label_key, columns=columns)
        twice = files if source.labels is None else []
        passes = Passes(part for path in twice for part in find_files(path))
        stacks = _seen(read_vectors(source.but(row=None), dtype), passes)
        first = next(stacks)
        labels = one_column(passes.blocks(open_beside(files, reading, _OPTIONS)), first.outer)
        return chain([first], stacks), Beside(labels)
    column = source.label_column
    assert column is not None, "there are labels in a file or in a column"
    with_labels = source.but(column=[*source.column, column]) if source.column else source
    blocks, by = open_numbers(with_labels, dtype)
    if by not in (None, By.ROWS):
        raise typer.BadParameter(f"--label-column labels rows: it does not go with --by {by.value}")
    logits, labels = split_column(blocks, None if source.column else column)
    return vectors(prepared(source, logits, dtype), By.ROWS, NOTES.note), Beside(labels)


def _seen(stacks: Iterator[Vectors], passes: Passes) -> Iterator[Vectors]:
    """Yield vectors, each stack when it has been seen that no file has changed."""
    for stack in stacks:
        passes.check()
        yield stack


def _beside(stacks: Iterator[Vectors], labels: Beside, ignored: int) -> Iterator[Vectors]:
    """Yield the vectors with their labels, one for each."""
    stack, label_source = None, "the input"
    for stack in stacks:
        pieces = labels.take(len(stack.values))
        label_source = pieces[-1].source if pieces else label_source
        if sum(len(piece.values) for piece in pieces) < len(stack.values):
            raise ReadError(
                f"{label_source} has fewer labels than there are vectors in "
                f"{stack.source or 'the arguments'}: give one for each"
            )
        n = stack.values.shape[1]
        yield stack._replace(labels=np.concatenate([_checked(p, n, ignored) for p in pieces]))
    if stack is not None and not labels.is_spent:
        raise ReadError(
            f"{label_source} has more labels than there are vectors in "
            f"{stack.source or 'the arguments'}: give one for each"
        )


def _checked(block: Block, n: int, ignored: int) -> Array:
    """Return labels as integers, or refuse the first that is not one of n classes."""
    given = block.values[:, 0].astype(np.float64)
    is_whole = given == np.floor(given)
    is_class = (given >= 0) & (given < n) | (given == ignored)
    wrong = np.flatnonzero(~(is_whole & is_class))
    if len(wrong):
        first = int(wrong[0])
        place = block.source if block.source == _ALONE else _place(block, first)
        what = "a class" if is_whole[first] else "an integer"
        raise ReadError(f"{place}: {given[first]:.16g} is not {what}; {classes_text(n)}")
    return given.astype(np.int64)


def _place(block: Block, index: int) -> str:
    return f"{block.source}, row {block.offset + index + 1}"


def run(request: Request) -> None:
    """Show the losses."""
    function = LossFunction.GRADIENT if request.grad else LossFunction.LOSS
    job = Job.of(function.function, request)
    guard = Guard(request.fail_on)
    usual = [Method.EXACT] if request.quiet and not request.fail_on else USUAL
    found = LabelledTally(
        function,
        job.candidates(usual),
        job.formats,
        request.reduction or "mean",
        request.ignore_index,
        job.empty,
        request.all,
    )
    stacks = read_labelled(request, job.dtype)
    stacks = batches(policed(stacks, job, request.ignore_index))
    kind = request.format
    with proposing_no("--skip-na"):
        losses = guard.watched(_losses(stacks, found))
        if request.quiet and request.fail_on:
            emit(Many("values", _guarded(losses, found, request)), request)
        elif request.quiet:
            emit(Many("values", _values(stacks, found, request)), request)
        elif kind in ("table", "plain"):
            emit(Many("losses", _pictures(losses, found, request)), request)
        else:
            each = chain.from_iterable(losses)
            emit(Many("losses", each, lambda: record(found.summary())), request)
    result = found.summary()
    guard.end(result.totals, result.reduction)


def _losses(stacks: Iterator[Vectors], found: LabelledTally) -> Iterator[Sequence[Comparison]]:
    """Yield what is found of each stack of vectors."""
    for stack in stacks:
        assert stack.labels is not None, "these vectors are labelled"
        yield found.compare(stack.values, stack.labels, stack.masked, partial(place_of, stack))


def _values(stacks: Iterator[Vectors], found: LabelledTally, request: Request) -> Iterator[Values]:
    """Yield the values alone: of every vector, or what they are reduced to."""
    for stack in stacks:
        assert stack.labels is not None, "these vectors are labelled"
        if _is_reduced(request):
            found.add_up(stack.values, stack.labels, stack.masked)
            continue
        values = found.values(stack.values, stack.labels, stack.masked)
        yield from (Values(value, False) for value in values)
    if _is_reduced(request):
        yield from values_of(found.summary().totals, request)


def _is_reduced(request: Request) -> bool:
    return request.reduction != "none" and not request.grad


def _guarded(
    losses: Iterator[Sequence[Comparison]], found: LabelledTally, request: Request
) -> Iterator[Values]:
    """Yield the values alone of losses that are guarded."""
    for loss in chain.from_iterable(losses):
        if not _is_reduced(request):
            yield from values_of(loss.results, request)
    if _is_reduced(request):
        yield from values_of(found.summary().totals, request)


def _pictures(
    losses: Iterator[Sequence[Comparison]], found: LabelledTally, request: Request
) -> Iterator[Any]:
    """Yield the methods on one vector, below the softmax or its logarithm; or a row a vector."""
    from stablelse.render.screen import Screen
    from stablelse.render.summary import Overview

    for _ in losses:
        pass
    result = found.summary()
    if request.steps and result.vectors != 1:
        raise typer.BadParameter("--steps shows one vector: choose it with --row")
    if result.vectors == 1:
        (loss,) = result.comparisons
        yield loss.steps if request.steps else Screen(loss, request.digits, request.all)
    else:
        yield Overview(result, request.digits, request.all)
