"""The fold on this machine: blocks are summed up in threads while the next ones are read.

NumPy lets go of the interpreter while an operation runs, and the pieces that blocks are cut into
are long enough for threads to seldom wait for it. No bit of the result hangs on their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from stablelse.analysis.stream_state import StreamState
from stablelse.numerics.threads import available, limited
from stablelse.readers import Block

#: Blocks in memory at once. It bounds the threads, too: reading keeps up with no more.
_AT_ONCE = 4

_Told = Callable[[Block], None]

#: Begins to take a block into an empty state; what it returns waits for the state.
_Submit = Callable[[Block, StreamState], Callable[[], StreamState]]


def fold(
    blocks: Iterable[Block],
    states: Sequence[StreamState],
    told: _Told | None = None,
    threads: int | None = None,
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
    threads : int, optional
        At most so many; as many as the process may use by default.

    Raises
    ------
    ReadError
        What the blocks raised; what came before it has been taken in.
    """
    told = told or (lambda block: None)
    if len(states) > 1:
        _fold_columns(blocks, states, told)
        return
    with _submitting(min(threads or available(), _AT_ONCE)) as submit:
        _fold_ahead(blocks, states[0], told, submit)


def _fold_columns(blocks: Iterable[Block], states: Sequence[StreamState], told: _Told) -> None:
    """Take in columns one after another: in a block, they are too short for threads."""
    for block in blocks:
        missing = [None] * len(states) if block.missing is None else list(block.missing.T)
        for state, column, absent in zip(states, block.values.T, missing, strict=True):
            state.update(column, block.source, absent)
        told(block)


def _fold_ahead(blocks: Iterable[Block], state: StreamState, told: _Told, submit: _Submit) -> None:
    """Sum up each block by itself, a few ahead, and merge them in order.

    What the state of a block knows of those before it is `_AT_ONCE` blocks old, with any number
    of threads; so what it finds is the same.
    """
    tasks: deque[tuple[Block, Callable[[], StreamState]]] = deque()

    def merge_first() -> None:
        block, pending = tasks.popleft()
        state.merge(pending())
        told(block)

    try:
        for block in blocks:
            tasks.append((block, submit(block, state.fresh())))
            if len(tasks) == _AT_ONCE:
                merge_first()
    finally:
        while tasks:
            merge_first()


@contextmanager
def _submitting(threads: int) -> Iterator[_Submit]:
    """Let blocks be taken in by so many threads, or by the caller's alone."""
    if threads == 1:
        yield _taken_now
        return
    from concurrent.futures import ThreadPoolExecutor  # on use: it takes milliseconds

    with ThreadPoolExecutor(threads, "fold") as pool:
        yield lambda block, state: pool.submit(_taken, block, state).result


def _taken(block: Block, state: StreamState) -> StreamState:
    with limited(1):
        return state.update(block.values, block.source, block.missing)


def _taken_now(block: Block, state: StreamState) -> Callable[[], StreamState]:
    taken = _taken(block, state)
    return lambda: taken
