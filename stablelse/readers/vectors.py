"""Blocks of rows into vectors: which numbers belong together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stablelse.readers.block import Array, Block, By, Note, ReadError
from stablelse.readers.columns import count

if TYPE_CHECKING:
    import numpy.typing as npt

    Missing = npt.NDArray[np.bool_] | None


#: What is made of numbers, their errors and the exact values, takes so many times the room.
_RESULTS = 20


class Vectors(NamedTuple):
    """Vectors of the same length n, one in each row of shape (m, n)."""

    values: Array
    #: Where they are from.
    source: str
    #: The number of the first vector within its source, from 1: the row or the column.
    first: int
    #: What a vector is in the source.
    axis: By
    #: Whether the numbers came one a line.
    vertical: bool
    #: The vectors' names, if they are columns below a header.
    names: tuple[str, ...] | None
    #: As of `Block`, shape (m, n).
    masked: Missing = None
    #: What the vectors are labelled with, shape (m,), if they are.
    labels: Array | None = None
    #: As of `Block`.
    outer: tuple[int, ...] = ()

    def one(self, index: int) -> Vectors:
        """Return the vector at this position, from 0, alone."""
        return self.part(index, index + 1)

    def part(self, begin: int, end: int) -> Vectors:
        """Return the vectors at these positions, from 0, the last one excluded."""
        return self._replace(
            values=self.values[begin:end],
            first=self.first + begin,
            names=self.names and self.names[begin:end],
            masked=None if self.masked is None else self.masked[begin:end],
            labels=None if self.labels is None else self.labels[begin:end],
        )


class Stream(NamedTuple):
    """More numbers than are to be gathered in memory, as they come: columns, or one vector."""

    blocks: Iterator[Block]
    axis: By


def vectors_or_stream(
    blocks: Iterator[Block], by: By | None, most: int, note: Callable[[Note], None]
) -> Iterator[Vectors] | Stream:
    """Arrange numbers in vectors, or leave a stream if a vector has more than `most`."""
    blocks, by = _settle(iter(blocks), by)
    if by is By.ROWS:
        return vectors(blocks, by, note)
    head: list[Block] = []
    while sum(block.values.size for block in head) <= most:
        block = next(blocks, None)
        if block is None:
            return vectors(iter(head), by, note)
        head.append(block)
    return Stream(chain(head, blocks), by)


def vectors(
    blocks: Iterator[Block], by: By | None = None, note: Callable[[Note], None] | None = None
) -> Iterator[Vectors]:
    """Arrange the numbers of one source, or of several in a row, in vectors.

    Rows come block by block; columns, and everything, are gathered in memory. A vector of which
    nothing is left without what is missing is left out, which a note says, but counts where vectors
    are numbered. By default one row or one column is one vector, otherwise each row is.
    """
    blocks, by = _settle(iter(blocks), by)
    source, found = None, False
    empty: list[int] = []
    for stack, missing in _arranged(blocks, by):
        source = stack.source
        if missing is not None:
            empty += (stack.first + np.flatnonzero(missing.all(axis=1))).tolist()
        for part in _without_missing(stack, missing):
            found = True
            yield part
    if source is not None and not found:
        raise ReadError(f"{source} has no numbers, only blank and NA cells; fill some in")
    if empty and note is not None:
        which = f"vector {empty[0]} has no numbers and is left out"
        if len(empty) > 1:
            which = f"{len(empty):,} vectors have no numbers and are left out, first {empty[0]}"
        note(Note(which, source or ""))


def _settle(blocks: Iterator[Block], by: By | None) -> tuple[Iterator[Block], By]:
    """Say what a vector is, where that is left to the shape of the input."""
    if by is not None:
        return _even(blocks) if by is By.COLUMNS else blocks, by
    head = list(islice(blocks, 1))
    if head and len(head[0].values) == 1:
        head += islice(blocks, 1)  # is it the only row?
    is_one_row = len(head) == 1 and len(head[0].values) == 1
    is_one_column = bool(head) and head[0].values.shape[1] == 1 and head[0].by is None
    return chain(head, blocks), By.ALL if is_one_row or is_one_column else By.ROWS


def _even(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks that have columns: lists may differ in length."""
    expected = None
    for block in blocks:
        if block.outer:
            raise ReadError(
                f"{block.source} has {len(block.outer) + 1} axes: choose one with --axis, not with "
                "--by columns"
            )
        width = block.values.shape[1]
        expected = expected or width
        if width != expected:
            raise ReadError(
                f"{block.source}, row {block.offset + 1} has {count(width, 'number')}, where the "
                f"rows before have {expected}: they have no columns; say --by rows"
            )
        yield block


def _arranged(blocks: Iterator[Block], by: By) -> Iterator[tuple[Vectors, Missing]]:
    """Yield the vectors with what is missing of them still in its place."""
    for block in blocks if by is By.ROWS else _whole(blocks):
        vertical = block.values.shape[1] == 1
        names, axis, outer = None, by, block.outer if by is By.ROWS else ()
        if by is By.ALL:
            block = block.mapped(lambda rows: rows.reshape(1, -1))
        elif by is By.COLUMNS:
            names, block = block.columns, block.mapped(lambda rows: np.ascontiguousarray(rows.T))
        else:
            axis = block.by or by
        first, values, masked = block.offset + 1, block.values, block.masked
        found = Vectors(values, block.source, first, axis, vertical, names, masked, outer=outer)
        yield found, block.missing


def _whole(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield everything in one block, if there is anything, and if there is room for it."""
    gathered: list[Block] = []
    size, most = 0, _most()
    for block in blocks:
        gathered.append(block)
        size += block.values.nbytes
        if size > most:
            raise ReadError(
                f"{block.source}: {size // block.values.itemsize:,} numbers or more do not fit in "
                "memory with all that is made of them; lse as it is, and softmax with --quiet or "
                "--output FILE.npy, take any number"
            )
    if len(gathered) < 2:
        yield from gathered
        return
    if len({block.values.shape[1] for block in gathered}) > 1:
        gathered = [block.mapped(lambda rows: rows.reshape(-1, 1)) for block in gathered]
    values = np.concatenate([block.values for block in gathered])
    missing = _joined([(block.missing, block.values.shape) for block in gathered])
    masked = _joined([(block.masked, block.values.shape) for block in gathered])
    source, *more = dict.fromkeys(block.source for block in gathered)
    source += f" and {len(more)} more" if more else ""
    yield gathered[0]._replace(values=values, source=source, missing=missing, masked=masked)


def _most() -> int:
    """Return how many bytes of numbers may be gathered, where the system tells its memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize
    return memory // _RESULTS if memory > 0 else sys.maxsize


def _joined(parts: list[tuple[Missing, tuple[int, ...]]]) -> Missing:
    """Put together what is told of the cells of several blocks, if it is told of any."""
    if all(where is None for where, _ in parts):
        return None
    return np.concatenate(
        [np.zeros(shape, np.bool_) if where is None else where for where, shape in parts]
    )


def _without_missing(stack: Vectors, missing: Missing) -> Iterator[Vectors]:
    """Leave out what is missing; neighbours that stay equally long stay together."""
    if missing is None:
        yield stack
        return
    present = ~missing
    lengths = np.count_nonzero(present, axis=1)
    edges = np.flatnonzero(np.diff(lengths)) + 1
    for begin, end in pairwise((0, *edges.tolist(), len(lengths))):
        length = int(lengths[begin])
        if length:
            part = stack.part(begin, end)
            here, shape = present[begin:end], (end - begin, length)
            masked = None if part.masked is None else part.masked[here].reshape(shape)
            yield part._replace(values=part.values[here].reshape(shape), masked=masked)
