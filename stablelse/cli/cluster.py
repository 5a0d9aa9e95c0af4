"""Log-sum-exp of files by a cluster: which parts there are, and how far it has got."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from stablelse import engines
from stablelse.analysis.stream import StreamState
from stablelse.cli.input import read_options
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, Meter
from stablelse.readers import Block, Note, Part, find_files, split_file


def fold_on_cluster(
    blocks: Iterator[Block],
    states: list[StreamState],
    meter: Meter,
    source: Request,
    scheduler: str | None,
) -> list[StreamState]:
    """Fold all files into states, one or one a column, by the workers of a cluster."""
    first = next(blocks)
    meter.gauge.count = 0  # the workers read the beginning again

    states, notes = [state.fresh() for state in states], dict[str, Note]()

    def take(part: Part, folded: engines.Folded) -> None:
        for mine, theirs in zip(states, folded.states, strict=True):
            mine.merge(theirs)
        notes.update({note.text: note for note in folded.notes} | notes)
        meter.gauge.count += part.size
        meter.tell(sum(state.count for state in states), part.name, lambda: states[0].so_far)

    header = first._replace(values=first.values[:0], missing=None)
    engines.fold_on_cluster(
        [file for path in source.file or [] for file in find_files(path)],
        partial(split_file, options=read_options(source, "float64")._replace(note=None)),
        partial(engines.fold_part, states=states, first=header),
        take,
        scheduler,
    )
    for note in notes.values():
        NOTES.note_of_numbers(note)
    return states
