"""Vectors with their labels: from a file of their own, a column of the same one, or one alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import typer

from stablelse.cli.beside import open_beside
from stablelse.cli.notes import NOTES
from stablelse.cli.options import Input, Labels
from stablelse.cli.source import chosen, masked_by, open_numbers, read_vectors
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

if TYPE_CHECKING:
    from stablelse.numerics.formats import Array

#: What complaints call a label that is given as such.
_ALONE = "--label"

#: What a file of labels has of the options for the numbers' file.
_OPTIONS = {"--file": "--labels", "--column": "--label-column", "--key": "--label-key"}


def read_labelled(source: Input, where: Labels, dtype: str) -> Iterator[Vectors]:
    """Read vectors with their labels, in stacks of bounded size.

    Raises
    ------
    ReadError
        If a label is no class of its vector, or there are more or fewer labels than vectors.
    typer.BadParameter
        If there is one label for several vectors.
    """
    if where.label is not None:
        yield _alone(read_vectors(source, dtype), where)
        return
    stacks, labels = _opened(source, where, dtype)
    yield from chosen(_beside(stacks, labels, where.ignore_index), source.row)


def _alone(stacks: Iterator[Vectors], where: Labels) -> Vectors:
    """Return the only vector with its label."""
    stack = next(stacks)
    if len(stack.values) > 1 or next(stacks, None) is not None:
        raise typer.BadParameter(
            f"--label is for a single vector, and {stack.source} has more: choose one with --row, "
            "or give --labels"
        )
    given = Block(np.array([[where.label]], np.float64), _ALONE, 0)
    labels = _checked(given, stack.values.shape[1], where.ignore_index)
    return stack._replace(labels=labels)


def _opened(source: Input, where: Labels, dtype: str) -> tuple[Iterator[Vectors], Beside]:
    """Open the logits and, beside them, the labels."""
    if where.labels is not None or where.label_key is not None:
        columns = () if where.label_column is None else (where.label_column,)
        files = source.file or [] if where.labels is None else [where.labels]
        reading = ReadOptions(key=where.label_key, columns=columns)
        twice = files if where.labels is None else []
        passes = Passes(part for path in twice for part in find_files(path))
        stacks = _seen(read_vectors(source._replace(row=None), dtype), passes)
        first = next(stacks)
        labels = one_column(passes.blocks(open_beside(files, reading, _OPTIONS)), first.outer)
        return chain([first], stacks), Beside(labels)
    column = where.label_column
    assert column is not None, "there are labels in a file or in a column"
    with_labels = source._replace(column=[*source.column, column]) if source.column else source
    blocks, by = open_numbers(with_labels, dtype)
    if by not in (None, By.ROWS):
        raise typer.BadParameter(f"--label-column labels rows: it does not go with --by {by.value}")
    logits, labels = split_column(blocks, None if source.column else column)
    return vectors(masked_by(source, logits), By.ROWS, NOTES.note), Beside(labels)


def _seen(stacks: Iterator[Vectors], passes: Passes) -> Iterator[Vectors]:
    """Yield vectors, each stack when it has been seen that no file has changed."""
    for stack in stacks:
        passes.check()
        yield stack


def _beside(stacks: Iterator[Vectors], labels: Beside, ignored: int) -> Iterator[Vectors]:
    """Yield the vectors with their labels, as many of these as of those."""
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
    """Return labels as integers, or complain of the first that is no class of n."""
    given = block.values[:, 0].astype(np.float64)
    is_whole = given == np.floor(given)
    is_class = (given >= 0) & (given < n) | (given == ignored)
    wrong = np.flatnonzero(~(is_whole & is_class))
    if len(wrong):
        first = int(wrong[0])
        place = block.source if block.source == _ALONE else _place(block, first)
        reason = "no class" if is_whole[first] else "no integer"
        raise ReadError(f"{place}: {given[first]:.16g} is {reason}; {classes_text(n)}")
    return given.astype(np.int64)


def _place(block: Block, index: int) -> str:
    return f"{block.source}, row {block.offset + index + 1}"
