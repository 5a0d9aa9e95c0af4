"""Numbers with a mask of their own, which is a file of zeros and ones beside them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from stablelse.cli.beside import open_beside
from stablelse.numerics.formats import Array
from stablelse.numerics.functions import Function
from stablelse.numerics.rows import masked
from stablelse.readers import Beside, Block, ReadError, ReadOptions, Vectors, count

if TYPE_CHECKING:
    from stablelse.cli.job import Job

#: What a mask's file has of the options for the numbers' file.
_OPTIONS = {"--file": "--mask", "--axis": "--axis"}


def masked_blocks(blocks: Iterator[Block], path: str, axis: int | None = None) -> Iterator[Block]:
    """Yield blocks with -inf where a mask says so; a mask of one row is that of every row.

    Raises
    ------
    ReadError
        If the mask has other rows or columns than the numbers, or a cell that is neither 0 nor 1.
    """
    rows = _open(path, axis)
    first = next(rows)
    second = next(rows, None)
    is_one_row = second is None and len(first.values) == 1
    mask = Beside(chain([first] if second is None else [first, second], rows))
    block = None
    for block in blocks:
        length = len(block.values)
        pieces = [first] if is_one_row else mask.take(length)
        rows_kept = [_kept(piece, block) for piece in pieces]
        if not is_one_row and sum(map(len, rows_kept)) < length:
            raise ReadError(
                f"{path} has fewer rows than {block.source}: a mask has a cell for each number, or "
                "one row for all"
            )
        kept = np.concatenate(rows_kept)
        yield _masked(block, np.broadcast_to(kept, block.values.shape))
    if block is not None and not is_one_row and not mask.is_spent:
        raise ReadError(
            f"{path} has more rows than {block.source}: a mask has a cell for each number, or one "
            "row for all"
        )


def masked_vector(values: Array, path: str) -> Block:
    """Return a vector given as arguments, shape (1, n), with -inf where a mask says so.

    Raises
    ------
    ReadError
        As `masked_blocks`.
    """
    block = Block(values, "the vector given", 0)
    n = values.shape[1]
    pieces = list(_open(path))
    cells = np.concatenate([piece.values.reshape(-1) for piece in pieces])
    if len(cells) != n:
        raise ReadError(
            f"{path} has {count(len(cells), 'cell')}, where {block.source} has {count(n, 'number')}"
        )
    row = pieces[0]._replace(values=cells[np.newaxis])
    return _masked(block, _kept(row, block))


def _open(path: str, axis: int | None = None) -> Iterator[Block]:
    return open_beside([path], ReadOptions(axis=axis, words=True), _OPTIONS)


def _kept(piece: Block, block: Block) -> Array:
    """Return where a piece of a mask keeps the numbers beside it."""
    width, expected = piece.values.shape[1], block.values.shape[1]
    if width != expected:
        raise ReadError(
            f"{piece.source} has {count(width, 'column')}, where {block.source} has {expected}: a "
            "mask has a cell for each number"
        )
    wrong = np.argwhere((piece.values != 0) & (piece.values != 1))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ReadError(
            f"{piece.source}, row {piece.offset + row + 1}, column {column + 1}: "
            f"{float(piece.values[row, column]):g} is no mask; 1 or true keeps a number, 0 or "
            "false masks it"
        )
    kept: Array = piece.values != 0
    return kept


def _masked(block: Block, kept: Array) -> Block:
    return block._replace(values=masked(block.values, kept), masked=~kept)


def policed(stacks: Iterator[Vectors], job: Job, ignored: int | None = None) -> Iterator[Vectors]:
    """Return vectors as the policy has those of which nothing is left.

    Of labelled vectors the loss itself knows the policy, but for errors.
    """
    is_moot = job.function is Function.LOGSUMEXP or ignored is not None
    if job.empty in ("nan", "zero") or (is_moot and job.empty != "error"):
        return stacks  # the logarithm of nothing is -inf
    return _settled(stacks, job.empty, ignored)


def _settled(
    stacks: Iterator[Vectors], empty: str, ignored: int | None = None
) -> Iterator[Vectors]:
    """Yield vectors as a policy has them that are masked throughout or hold -inf alone.

    Under "uniform" what is not masked of such a vector is 0, and everything, if all is masked:
    so every method knows the policy. Under "zero" and "nan" they are left as they are, as are those
    that have the label that is to be ignored.

    Raises
    ------
    ReadError
        Under "error", if there is such a vector.
    """
    for stack in stacks:
        nothing = np.all(stack.values == -np.inf, axis=1)
        if stack.labels is not None:
            nothing &= stack.labels != ignored
        if empty == "error" and nothing.any():
            raise ReadError(
                f"{_name(stack, int(np.argmax(nothing)))} is masked throughout or holds -inf "
                "alone; leave it out, or choose another --empty"
            )
        if empty == "uniform" and nothing.any():
            kept = np.ones(stack.values.shape, bool) if stack.masked is None else ~stack.masked
            kept |= ~kept.any(axis=1, keepdims=True)
            zero = stack.values.dtype.type(0)
            values = np.where(nothing[:, np.newaxis] & kept, zero, stack.values)
            stack = stack._replace(values=values)
        yield stack


def _name(stack: Vectors, index: int) -> str:
    """Return what a complaint calls a vector."""
    from stablelse.cli.source import place_of
    from stablelse.render.wording import place_text

    return place_text(place_of(stack, index)) or "the vector given"
