"""The fold on this machine: blocks are read while those before them are computed on, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from stablelse.analysis.stream_state import StreamState
from stablelse.readers.ahead import in_order
from stablelse.readers.block import Block


def fold(
    blocks: Iterable[Block],
    states: Sequence[StreamState],
    told: Callable[[Block], None] | None = None,
) -> None:
    """Take the numbers of all blocks into states, in constant memory.

    Parameters
    ----------
    blocks : iterable of Block
        Asked for from the caller's own thread.
    states : sequence of StreamState
        One for all numbers, or one for each column.
    told : callable, optional
        Called with each block when its numbers have been taken in.

    Raises
    ------
    ReadError
        What the blocks raised; what came before it has been taken in.
    """
    for block, parts in in_order(partial(_of_block, states), iter(blocks)):
        for state, part in zip(states, parts, strict=True):
            state.merge(part)
        if told is not None:
            told(block)


def _of_block(states: Sequence[StreamState], block: Block) -> list[StreamState]:
    """Return a state for each of the states, of what the block adds to it."""
    if len(states) == 1:
        return [states[0].fresh().update(block.values, block.source, block.missing)]
    missing = [None] * len(states) if block.missing is None else list(block.missing.T)
    return [
        state.fresh().update(column, block.source, absent)
        for state, column, absent in zip(states, block.values.T, missing, strict=True)
    ]
