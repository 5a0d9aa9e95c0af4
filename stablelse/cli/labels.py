"""Labels of vectors: from their own file, a column, an array or a field, or a single one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import typer

from stablelse.cli.beside import open_beside
from stablelse.cli.input import chosen, only, open_numbers, prepared, read_vectors
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES
from stablelse.numerics.formats import Array
from stablelse.numerics.targets import classes_text
from stablelse.readers.blocks import Block, By, ReadError, ReadOptions
from stablelse.readers.sources import find_files
from stablelse.readers.vectors import Beside, Passes, Vectors, one_column, split_last, vectors

#: The source of a single label in errors.
_ALONE = "--label"

#: What a file has too many or too few of.
_RULE = "each vector has a label"

#: The options of the numbers' file, and those of the labels' file.
_OPTIONS = {"--file": "--labels", "--column": "--label-column", "--key": "--label-key"}


def read_labelled(request: Request, dtype: str) -> Iterator[Vectors]:
    """Read vectors with their labels, in stacks of bounded size."""
    if request.label is not None:
        stack = only(
            read_vectors(request, dtype),
            "--label is for a single vector, and {} has more: choose one with --row, or give "
            "--labels",
        )
        given = Block(np.array([[request.label]], np.float64), _ALONE, 0)
        yield stack._replace(labels=_checked(given, stack.values.shape[1], request.ignore_index))
        return
    read = _labels_apart if request.labels or request.label_key else _labels_in_a_column
    yield from chosen(_beside(*read(request, dtype), request.ignore_index), request.row)


def _labels_apart(request: Request, dtype: str) -> tuple[Iterator[Vectors], Beside]:
    """Open the logits and their labels from another file, array or field."""
    files = [request.labels] if request.labels else request.file or []
    twice = [] if request.labels else files
    passes = Passes(part for path in twice for part in find_files(path))

    def unchanged() -> Iterator[Vectors]:
        for stack in read_vectors(request.but(row=None), dtype):
            passes.check()
            yield stack

    stacks = unchanged()
    first = next(stacks)
    labels = _opened(request, files, passes, first.outer)
    return chain([first], stacks), Beside(labels, _RULE, "labels")


def _labels_in_a_column(request: Request, dtype: str) -> tuple[Iterator[Vectors], Beside]:
    """Open the logits and their labels from a column of the same files."""
    blocks, by = open_numbers(request, dtype, last=request.label_column)
    if by not in (None, By.ROWS):
        raise typer.BadParameter(f"--label-column labels rows: it does not go with --by {by.value}")
    logits, labels = split_last(blocks)
    return vectors(prepared(request, logits, dtype), By.ROWS, NOTES.note), Beside(labels, _RULE)


def _opened(
    request: Request, files: Sequence[str], passes: Passes, outer: tuple[int, ...]
) -> Iterator[Block]:
    """Return the labels of some files as a column."""
    columns = () if request.label_column is None else (request.label_column,)
    reading = ReadOptions(key=request.label_key, columns=columns)
    return one_column(passes.blocks(open_beside(files, reading, _OPTIONS), is_first=True), outer)


def _beside(stacks: Iterator[Vectors], labels: Beside, ignored: int) -> Iterator[Vectors]:
    """Yield the vectors with their labels, one for each."""
    source = ""
    for stack in stacks:
        source, n = stack.source or "the arguments", stack.values.shape[1]
        pieces = labels.step(len(stack.values), source)
        yield stack._replace(labels=np.concatenate([_checked(p, n, ignored) for p in pieces]))
    labels.end(source)


def _checked(block: Block, n: int, ignored: int) -> Array:
    """Return labels as integers, or refuse the first that is not a class."""
    given = block.values[:, 0].astype(np.float64)
    is_whole = given == np.floor(given)
    is_class = (given >= 0) & (given < n) | (given == ignored)
    wrong = np.flatnonzero(~(is_whole & is_class))
    if len(wrong):
        first = int(wrong[0])
        place = f", row {block.offset + first + 1}" if block.source != _ALONE else ""
        what = "a class" if is_whole[first] else "an integer"
        raise ReadError(
            f"{block.source}{place}: {given[first]:.16g} is not {what}; {classes_text(n)}"
        )
    return given.astype(np.int64)
