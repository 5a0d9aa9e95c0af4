"""Log-sum-exp of files by a cluster: which parts there are, and how far it has got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from stablelse import engines
from stablelse.analysis.stream import StreamState
from stablelse.cli.input import read_options
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, Meter
from stablelse.readers import Block, Part, find_files, split_file


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

    def show_progress(parts: Sequence[Part], found: engines.Folded | None) -> None:
        meter.gauge.count += sum(part.size for part in parts)
        known = found.states if found else states
        count = sum(state.count for state in known)
        meter.tell(count, parts[-1].name, lambda: known[0].so_far)

    header = first._replace(values=first.values[:0], missing=None)
    found = engines.fold_on_cluster(
        [file for path in source.file or [] for file in find_files(path)],
        partial(split_file, options=read_options(source, "float64")._replace(note=None)),
        partial(engines.fold_part, states=states, first=header),
        engines.merge_parts,
        show_progress,
        scheduler,
    )
    for note in found.notes:
        NOTES.note_of_numbers(note)
    return found.states
