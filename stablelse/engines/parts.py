"""The fold over parts of files: what a worker does, as plain functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stablelse.analysis.stream_state import StreamState
from stablelse.engines.local import fold
from stablelse.readers import Block, Note, Part, check_columns, read_part


class Folded(NamedTuple):
    """What parts add up to, and what the readers noted in them, each note once."""

    states: list[StreamState]
    notes: tuple[Note, ...]


def fold_part(part: Part, states: Sequence[StreamState], first: Block) -> Folded:
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
    Folded
        As many states, of what the part has.

    Raises
    ------
    ReadError
        Where the part cannot be read, or has other columns.
    """
    found = [state.fresh() for state in states]
    notes: list[Note] = []
    blocks = read_part(part, notes.append)
    if len(states) > 1 or first.by is None:
        blocks = _alike(blocks, first)
    fold(blocks, found, threads=1)  # a cluster has its own
    return Folded(found, tuple(notes))


def _alike(blocks: Iterator[Block], first: Block) -> Iterator[Block]:
    for block in blocks:
        check_columns(block, first)
        yield block


def merge_parts(found: Sequence[Folded]) -> Folded:
    """Merge what was found in some parts, in the order of the parts."""
    merged = [state.fresh() for state in found[0].states]
    notes: dict[str, Note] = {}
    for states, noted in found:
        for mine, theirs in zip(merged, states, strict=True):
            mine.merge(theirs)
        for note in noted:
            notes.setdefault(note.text, note)
    return Folded(merged, tuple(notes.values()))
