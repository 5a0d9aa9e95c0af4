"""The fold on this machine, in one thread.

NumPy's operations on pieces that stay in the cache are too short for threads to share the
interpreter's lock over them: measured, two threads take longer than one. Readers of text parse in
others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stablelse.analysis.stream_state import StreamState
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
        In order.
    states : sequence of StreamState
        One for all numbers, or one for each column.
    told : callable, optional
        Called with each block when its numbers have been taken in.

    Raises
    ------
    ReadError
        What the blocks raised; what came before it has been taken in.
    """
    for block in blocks:
        if len(states) == 1:
            states[0].update(block.values, block.source, block.missing)
        else:
            _update_columns(states, block)
        if told is not None:
            told(block)


def _update_columns(states: Sequence[StreamState], block: Block) -> None:
    missing = [None] * len(states) if block.missing is None else list(block.missing.T)
    for state, column, absent in zip(states, block.values.T, missing, strict=True):
        state.update(column, block.source, absent)
