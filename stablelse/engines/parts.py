"""The fold over parts of files: what a worker does, as plain functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stablelse.analysis.stream_state import StreamState
from stablelse.engines.local import fold
from stablelse.readers.block import Block
from stablelse.readers.parts import check_columns
from stablelse.readers.ranges import Part, read


def fold_part(part: Part, states: Sequence[StreamState], first: Block) -> list[StreamState]:
    """Take the numbers of a part into states.

    Parameters
    ----------
    part : Part
        What to read.
    states : sequence of StreamState
        Say what is wanted; they stay as they are.
    first : Block
        The first of all, whose columns those of the part have to be. Its rows do not matter.

    Returns
    -------
    list of StreamState
        As many, of what the part has.

    Raises
    ------
    ReadError
        Where the part cannot be read, or has other columns.
    """
    found = [state.fresh() for state in states]
    fold(_alike(read(part), first), found, threads=1)  # a cluster has its own
    return found


def _alike(blocks: Iterator[Block], first: Block) -> Iterator[Block]:
    for number, block in enumerate(blocks):
        if not number:
            check_columns(block, first)
        yield block


def merge_states(found: Sequence[Sequence[StreamState]]) -> list[StreamState]:
    """Merge what was found in some parts, in the order of the parts."""
    merged = [state.fresh() for state in found[0]]
    for states in found:
        for mine, theirs in zip(merged, states, strict=True):
            mine.merge(theirs)
    return merged
