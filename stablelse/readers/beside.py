"""Rows of one input beside those of another: labels beside vectors, a mask beside numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from stablelse.readers.block import Block, ReadError
from stablelse.readers.columns import choose_columns, count


class Beside:
    """An input whose rows are taken as many at a time as another one has."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._rest: Block | None = None

    def take(self, rows: int) -> list[Block]:
        """Return the next rows, in pieces that know their places; fewer where it ends."""
        pieces: list[Block] = []
        while rows and (block := self._rest or next(self._blocks, None)):
            piece = part(block, 0, rows)
            pieces.append(piece)
            rows -= len(piece.values)
            rest = part(block, len(piece.values), len(block.values))
            self._rest = rest if len(rest.values) else None
        return pieces

    @property
    def is_spent(self) -> bool:
        """Whether no row is left."""
        self._rest = self._rest or next(self._blocks, None)
        return self._rest is None


def part(block: Block, begin: int, end: int) -> Block:
    """Return the rows of a block at these positions, from 0, the last one excluded."""
    return block.mapped(lambda rows: rows[begin:end])._replace(offset=block.offset + begin)


def one_column(blocks: Iterator[Block], outer: tuple[int, ...] = ()) -> Iterator[Block]:
    """Yield a single column, a single row, or labels of an array of vectors, as a column."""
    head = list(islice(blocks, 2))
    is_one_row = len(head) == 1 and len(head[0].values) == 1
    for block in chain(head, blocks):
        width = block.values.shape[1]
        is_alike = len(outer) > 1 and (block.outer or outer[:-1], width) == (outer[:-1], outer[-1])
        if width > 1 and not (is_one_row or is_alike):
            raise ReadError(
                f"{block.source} has {count(width, 'column')}; choose that of the labels with "
                "--label-column"
            )
        column = block.mapped(lambda rows: rows.reshape(-1, 1))
        yield column._replace(offset=block.offset * width)


def _place(column: str, block: Block) -> int:
    """Return the position of a column in a block, by its name or its number in the file."""
    width = block.values.shape[1] + len(block.left_out)
    kept = [position for position in range(width) if position not in block.left_out]
    known = dict(zip(kept, block.columns or (), strict=False))
    names = [known.get(position, "") for position in range(width)] if known else None
    (chosen,) = choose_columns([column], names, width, block.source) or (0,)
    if chosen not in kept:
        raise ReadError(
            f"{block.source}, column {chosen + 1} is an index and left out; name the columns of "
            "the logits with --column"
        )
    return kept.index(chosen)


def split_column(
    blocks: Iterator[Block], column: str | None
) -> tuple[Iterator[Block], Iterator[Block]]:
    """Part one column, by default the last one, from the others.

    The second iterator has what the first one has gone through.
    """
    alone: deque[Block] = deque()

    def others() -> Iterator[Block]:
        for block in blocks:
            width = block.values.shape[1]
            if width == 1:
                raise ReadError(f"{block.source} has the column of the labels, and no logits")
            place = width - 1 if column is None else _place(column, block)
            alone.append(block._replace(values=block.values[:, [place]], columns=None))
            kept = [position for position in range(width) if position != place]
            names = block.columns and tuple(block.columns[position] for position in kept)
            yield block._replace(values=np.ascontiguousarray(block.values[:, kept]), columns=names)

    def passed() -> Iterator[Block]:
        while alone:
            yield alone.popleft()

    return others(), passed()
