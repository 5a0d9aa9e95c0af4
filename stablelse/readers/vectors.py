"""Turns blocks of rows into vectors: which numbers belong together, and what lies beside them."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import numpy as np

from stablelse.printable import counted
from stablelse.readers.blocks import (
    BESIDE,
    Array,
    Block,
    By,
    Mask,
    Note,
    ReadError,
    changed,
    runs,
)

#: Memory for results, their errors and the exact values, as a multiple of that for the numbers.
_RESULTS = 20


class Vectors(NamedTuple):
    """Vectors of the same length n, one in each row of shape (m, n)."""

    values: Array
    source: str  # where they come from
    first: int  # the number of the first vector in its source, from 1: its row or column
    axis: By  # what a vector is in the source: a row, a column or everything
    vertical: bool  # whether each line had one number
    names: tuple[str, ...] | None  # the vectors' names, if they are columns below a header
    masked: Mask | None = None  # as in `Block`, shape (m, n)
    weights: Array | None = None  # the same
    labels: Array | None = None  # the labels of the vectors, shape (m,)
    outer: tuple[int, ...] = ()  # as in `Block`

    @property
    def n(self) -> int:
        """The length of the vectors."""
        return len(self.values[0])

    @property
    def kept(self) -> Array | None:
        """Which elements are not masked, shape (m, n), or None for all."""
        return None if self.masked is None else ~self.masked

    def part(self, begin: int, end: int) -> Vectors:
        """Return the vectors at positions `begin` to `end` - 1, from 0."""
        aligned = {name: getattr(self, name) for name in ("values", "names", "labels", *BESIDE)}
        cut = {name: cells[begin:end] for name, cells in aligned.items() if cells is not None}
        return self._replace(first=self.first + begin, **cut)


class Stream:
    """Columns, a row or everything, too long for memory: block by block, once."""

    def __init__(self, blocks: Iterator[Block], first: Block, axis: By, may_be_all: bool) -> None:
        self.blocks = self._pieces(first, blocks) if axis is By.ROWS else chain([first], blocks)
        self.axis, self._may_be_all = axis, may_be_all
        self.source, self.first, self.outer = first.source, first.offset + 1, first.outer
        self.vertical = first.values.shape[1] == 1
        self.n = 0  # how many numbers it has, once known
        self.next: Block | None = None  # the beginning of the next row

    def _pieces(self, block: Block, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the pieces of a row; if no other row follows, it may be everything."""
        while block.begin + block.values.shape[1] != block.length:
            yield block
            block = next(blocks)
        self.next = next(blocks, None)
        if self.next is None and self._may_be_all:
            self.axis = By.ALL
        yield block


def vectors_or_streams(
    blocks: Iterator[Block],
    by: By | None,
    most: Mapping[By, int],
    note: Callable[[Note], None] | None = None,
) -> Iterator[Vectors | Stream]:
    """Arrange numbers in vectors; rows in pieces, and what has more than `most`, in streams."""
    may_be_all = by is None
    blocks, by = _settle(iter(blocks), by)
    if by in most:
        head, size = list[Block](), 0
        for block in blocks:
            head.append(block)
            size += block.values.size
            is_narrow = by is By.ALL or block.values.shape[1] <= most[by]
            if size > most[by] and is_narrow:
                yield Stream(chain(head[1:], blocks), head[0], by, False)
                return
        blocks = chain(head, blocks)
    for is_long, group in groupby(blocks, lambda block: block.length is not None):
        if by is not By.ROWS or not is_long:
            yield from vectors(group, by, note)
            continue
        pieces = chain(group)
        first = next(pieces, None)
        while first is not None:
            yield (stream := Stream(pieces, first, by, may_be_all and first.by is None))
            deque(stream.blocks, maxlen=0)
            first, may_be_all = stream.next, False


def vectors(
    blocks: Iterator[Block], by: By | None = None, note: Callable[[Note], None] | None = None
) -> Iterator[Vectors]:
    """Arrange numbers in vectors: rows block by block; columns and everything in memory.

    By default a single row or column is one vector; otherwise each row is one. A vector without
    numbers is left out with a note, but still counts.
    """
    blocks, by = _settle(iter(blocks), by)
    source, is_empty = None, True
    empty: list[int] = []
    for stack, missing in _arranged(blocks, by):
        source = stack.source
        if missing is not None:
            empty += (stack.first + np.flatnonzero(missing.all(axis=1))).tolist()
        for part in _without_missing(stack, missing):
            is_empty = False
            yield part
    if source is not None and is_empty:
        raise ReadError(f"{source} has no numbers, only blank and NA cells; fill some in")
    if empty and note is not None:
        which = f"vector {empty[0]} has no numbers and is left out"
        if len(empty) > 1:
            which = f"{len(empty):,} vectors have no numbers and are left out, first {empty[0]}"
        note(Note(which, source or ""))


def _settle(blocks: Iterator[Block], by: By | None) -> tuple[Iterator[Block], By]:
    """Decide what a vector is, from the shape of the input if `by` is None."""
    if by is not None:
        return _even(blocks) if by is By.COLUMNS else blocks, by
    head = list(islice(blocks, 1))
    # A piece is not all of a row, and the only row of several axes has a place.
    is_part = bool(head) and bool(head[0].length or head[0].outer)
    if head and len(head[0].values) == 1 and not is_part:
        head += islice(blocks, 1)  # is it the only row?
    is_one_row = len(head) == 1 and len(head[0].values) == 1 and not is_part
    is_one_column = bool(head) and head[0].values.shape[1] == 1 and head[0].by is None
    return chain(head, blocks), By.ALL if is_one_row or is_one_column else By.ROWS


def _even(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the blocks, and refuse those without columns: lists may differ in length."""
    expected = 0
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
                f"{block.source}, row {block.offset + 1} has {counted(width, 'number')}, but the "
                f"rows before have {expected:,}: they have no columns; use --by rows"
            )
        yield block


def _arranged(blocks: Iterator[Block], by: By) -> Iterator[tuple[Vectors, Mask | None]]:
    """Yield the vectors, and the mask of their missing numbers."""
    for block in blocks if by is By.ROWS else _whole(blocks):
        vertical = block.values.shape[1] == 1
        names = block.columns if by is By.COLUMNS else None
        axis, outer = (block.by or by, block.outer) if by is By.ROWS else (by, ())
        if by is By.ALL:
            block = block.mapped(lambda rows: rows.reshape(1, -1))
        elif by is By.COLUMNS:
            block = block.mapped(lambda rows: np.ascontiguousarray(rows.T))
        beside = {name: getattr(block, name) for name in BESIDE}
        stack = Vectors(block.values, block.source, block.offset + 1, axis, vertical, names)
        yield stack._replace(outer=outer, **beside), block.missing


def _whole(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield everything in one block, if there is anything; refuse what does not fit in memory."""
    gathered: list[Block] = []
    size, most = 0, _most()
    for block in blocks:
        gathered.append(block)
        size += block.values.nbytes
        if size > most:
            raise ReadError(
                f"{block.source}: {size // block.values.itemsize:,} numbers or more do not fit in "
                "memory with the results computed from them; lse, and softmax with --quiet or "
                "--output FILE.npy, accept any number"
            )
    if len(gathered) < 2:
        yield from gathered
        return
    if len({block.values.shape[1] for block in gathered}) > 1:
        gathered = [block.mapped(lambda rows: rows.reshape(-1, 1)) for block in gathered]
    values = np.concatenate([block.values for block in gathered])
    beside: dict[str, Any] = {name: _joined(gathered, name) for name in ("missing", *BESIDE)}
    source, *others = dict.fromkeys(block.source for block in gathered)
    source += f" and {len(others)} more" if others else ""
    yield gathered[0]._replace(values=values, source=source, **beside)


def _most() -> int:
    """Return how many bytes of numbers fit in memory, if its size is known."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize
    return memory // _RESULTS if memory > 0 else sys.maxsize


def _joined(blocks: list[Block], name: str) -> Mask | None:
    """Join the masks of several blocks, if one has any."""
    masks = [(getattr(block, name), block.values.shape) for block in blocks]
    if all(mask is None for mask, _ in masks):
        return None
    return np.concatenate([np.zeros(size, "?") if mask is None else mask for mask, size in masks])


def _without_missing(stack: Vectors, missing: Mask | None) -> Iterator[Vectors]:
    """Leave out missing numbers; neighbours of the same length stay together."""
    if missing is None:
        yield stack
        return
    present = ~missing
    lengths = np.count_nonzero(present, axis=1)
    for begin, end in runs(lengths):
        length = int(lengths[begin])
        if length:
            part = stack.part(begin, end)
            here, shape = present[begin:end], (end - begin, length)
            aligned = {name: getattr(part, name) for name in ("values", *BESIDE)}
            kept: dict[str, Any] = {
                name: cells[here].reshape(shape)
                for name, cells in aligned.items()
                if cells is not None
            }
            yield part._replace(**kept)


class Passes:
    """Several passes over the same files: the same numbers each time, or an error.

    Each file's status is checked between blocks. Times can be set and tick in milliseconds, so each
    pass must also find the same sum of every block.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._statuses = {path: _status(path) for path in paths}
        self._sums: list[int] = []  # of the first pass

    def blocks(self, blocks: Iterable[Block], is_first: bool = False) -> Iterator[Block]:
        """Yield the blocks of a pass, after checking that each is the same as before."""
        self._sums, place = [] if is_first else self._sums, 0
        self.check()
        for place, block in enumerate(blocks, 1):
            if is_first:
                self._sums.append(_sum(block))
            elif self._sums[place - 1 : place] != [_sum(block)]:
                raise changed(block.source)
            self.check()
            yield block
        if place < len(self._sums):
            raise changed(next(iter(self._statuses)))

    def check(self) -> None:
        """Raise a ReadError if the status of a file has changed."""
        for path, status in self._statuses.items():
            if _status(path) != status:
                raise changed(path)


def _status(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sum(block: Block) -> int:
    """Return the sum of the numbers' bits and of their count, modulo 2**64."""
    values = block.values if block.missing is None else block.values[~block.missing]
    bits = np.ascontiguousarray(values).view(f"u{min(values.itemsize, 8)}")
    return int(np.add.reduce(bits, axis=None, dtype=np.uint64)) + values.size


class Beside:
    """A second input, read in step with the first: labels, weights or a mask."""

    def __init__(self, blocks: Iterator[Block], rule: str, what: str = "rows") -> None:
        self._blocks, self._rule, self._what = blocks, rule, what
        self._source = "the input"
        self._rest: Block | None = None

    def take(self, rows: int) -> list[Block]:
        """Return the next rows, in blocks; fewer at the end."""
        pieces: list[Block] = []
        while rows > 0 and (block := self._next()):
            piece, rest = block.rows(0, rows), block.rows(rows, len(block.values))
            pieces.append(piece)
            rows -= len(piece.values)
            self._rest = rest if len(rest.values) else None
        return pieces

    def step(self, rows: int, of: str) -> list[Block]:
        """Return the next rows, for as many of the input `of`, or raise a ReadError."""
        pieces = self.take(rows)
        if sum(len(piece.values) for piece in pieces) < rows:
            raise self._refusal("fewer", of)
        return pieces

    def end(self, of: str) -> None:
        """Raise a ReadError if rows are left at the end of the input `of`."""
        if self._next():
            raise self._refusal("more", of)

    def _next(self) -> Block | None:
        self._rest = self._rest or next(self._blocks, None)
        self._source = self._rest.source if self._rest else self._source
        return self._rest

    def _refusal(self, which: str, of: str) -> ReadError:
        return ReadError(f"{self._source} has {which} {self._what} than {of}: {self._rule}")


def one_column(blocks: Iterator[Block], outer: tuple[int, ...] = ()) -> Iterator[Block]:
    """Yield a single column, a single row, or the labels of an array of vectors, as a column."""
    head = list(islice(blocks, 2))
    is_one_row = len(head) == 1 and len(head[0].values) == 1
    for block in chain(head, blocks):
        width = block.values.shape[1]
        is_alike = len(outer) > 1 and (block.outer or outer[:-1], width) == (outer[:-1], outer[-1])
        if width > 1 and not (is_one_row or is_alike):
            raise ReadError(
                f"{block.source} has {counted(width, 'column')}; choose the column of labels with "
                "--label-column"
            )
        column = block.mapped(lambda rows: rows.reshape(-1, 1))
        yield column._replace(offset=block.offset * width)


def split_last(blocks: Iterator[Block]) -> tuple[Iterator[Block], Iterator[Block]]:
    """Split the last column, of labels, from the others; read the others first."""
    alone: deque[Block] = deque()

    def others() -> Iterator[Block]:
        for block in blocks:
            if block.values.shape[1] == 1:
                raise ReadError(f"{block.source} has only the column of labels, and no logits")
            alone.append(block.mapped(lambda rows: rows[:, -1:]))
            rest = block.mapped(lambda rows: np.ascontiguousarray(rows[:, :-1]))
            yield rest._replace(columns=block.columns and block.columns[:-1])

    def passed() -> Iterator[Block]:
        while alone:
            yield alone.popleft()

    return others(), passed()
