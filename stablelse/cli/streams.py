"""Vectors too long for memory: folded as they come, and read again if that helps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from stablelse import engines
from stablelse.analysis.elements import LongVector
from stablelse.analysis.results import Comparison
from stablelse.analysis.stream import StreamState
from stablelse.cli.input import Job, open_input, read_options
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, Meter
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Method
from stablelse.readers import (
    Block,
    By,
    Note,
    Part,
    Passes,
    Stream,
    find_files,
    is_url,
    keeping,
    open_spool,
    split_file,
)

#: How many bytes of spooled numbers are read back at once.
_SPOOLED = 1 << 22


class LongInput:
    """A vector, or columns, too long for memory."""

    def __init__(self, stream: Stream, request: Request, meter: Meter) -> None:
        self._stream, self._request, self._meter = stream, request, meter
        self._passes = self._passes_over_files()
        self._spool: Any = None

    def _passes_over_files(self) -> Passes | None:
        """Return the passes over the files, if all can be opened again."""
        files = [*(self._request.file or ["-"]), *filter(None, [self._request.mask])]
        if self._request.engine == "dask" or any(path == "-" or is_url(path) for path in files):
            return None
        parts = [part for path in files for part in find_files(path)]
        return Passes(parts) if all(map(os.path.isfile, parts)) else None

    def fold(self, job: Job) -> list[Comparison]:
        """Return the results of all methods on the vector, or on each column."""
        methods = {each.method for each in job.candidates}
        blocks, width, names = self._beginning()
        is_plain = methods != {Method.EXACT}
        states = [StreamState([f.name for f in job.formats], is_plain) for _ in range(width)]
        if self._request.engine == "dask":
            states = self._fold_on_cluster(blocks, states)
        else:
            self._fold_here(blocks, states)
        found = []
        for index, (state, name) in enumerate(zip(states, names, strict=True)):
            if self._passes is not None:
                state.settle(partial(self._again, slice(index, index + 1) if name else None))
            comparison = state.result(column=name)
            kept = tuple(result for result in comparison.results if result.method in methods)
            found.append(replace(comparison, results=kept))
        return found

    def _beginning(self) -> tuple[Iterator[Block], int, list[str | None]]:
        """Return the blocks, their number of vectors, and the vectors' names."""
        if self._stream.axis is By.ALL:
            return self._stream.blocks, 1, [None]
        first = next(self._stream.blocks)
        width = first.values.shape[1]
        names = first.columns or [str(number) for number in range(1, width + 1)]
        return chain([first], self._stream.blocks), width, list(names)

    def _fold_here(self, blocks: Iterator[Block], states: list[StreamState]) -> None:
        def show_progress(block: Block) -> None:
            count = sum(state.count for state in states)
            self._meter.tell(count, block.source, lambda: states[0].so_far)

        if self._passes is not None:
            blocks = self._passes.blocks(blocks)
        elif self._spool is not None:
            blocks = self._spooled(blocks)
        engines.fold(blocks, states, show_progress)

    def _fold_on_cluster(
        self, blocks: Iterator[Block], states: list[StreamState]
    ) -> list[StreamState]:
        """Fold all files into one state, or one per column, on the workers of a cluster."""
        first, meter = next(blocks), self._meter
        meter.gauge.count = 0  # the workers read the beginning again
        states, notes = [state.fresh() for state in states], dict[str, Note]()

        def take(part: Part, folded: engines.Folded) -> None:
            for mine, theirs in zip(states, folded.states, strict=True):
                mine.merge(theirs)
            notes.update({note.text: note for note in folded.notes} | notes)
            meter.gauge.count += part.size
            meter.tell(sum(state.count for state in states), part.name, lambda: states[0].so_far)

        options = read_options(self._request, "float64")._replace(note=None)
        header = first._replace(values=first.values[:0], missing=None)
        engines.fold_parts(
            [file for path in self._request.file or [] for file in find_files(path)],
            partial(split_file, options=options, root=os.getcwd()),
            partial(engines.fold_part, states=states, first=header),
            take,
            self._request.scheduler,
            self._request.timeout,
            meter.warn,
        )
        for note in notes.values():
            NOTES.note_of_numbers(note)
        return states

    def compare(self, job: Job) -> Iterator[Comparison]:
        """Yield the methods on a softmax or log-softmax; for a program, with all elements."""
        state = StreamState([format_.name for format_ in job.formats], plain=False)
        with self._summed(state):
            vector = LongVector(job.function, job.candidates, state, self._again)
            yield vector.result(not self._request.is_picture)

    def elements(self, job: Job) -> Iterator[Array]:
        """Yield the elements of one long vector; doubtful ones take more than two passes."""
        (format_,) = job.formats
        state = StreamState([format_.name], plain=False)
        with self._summed(state):
            whole = state.sides[0].whole(self._again)
            count = state.count
            for x in self._again():
                yield whole.elements(job.function, format_.round(x), format_)
                count += len(x)
                self._meter.tell(count, "the second pass")

    @contextmanager
    def _summed(self, state: StreamState) -> Iterator[None]:
        """Fold one vector into a state; input that cannot be read again is kept in a file."""
        self._meter.passes = 1 if self._passes is None else 2
        with open_spool("the input") if self._passes is None else nullcontext() as spool:
            self._spool = spool
            self._fold_here(self._stream.blocks, [state])
            yield

    def _again(self, columns: slice | None = None) -> Iterator[Array]:
        """Read all numbers again, or those of some columns."""
        if self._passes is None:
            yield from self._kept()
            return
        blocks, _ = open_input(self._request, "float64", self._meter.again())
        for block in self._passes.blocks(blocks):
            yield _numbers(block, columns or slice(None))

    def _spooled(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the blocks, and keep their numbers in a temporary file."""
        for block in blocks:
            with keeping(block.source):
                self._spool.write(np.ascontiguousarray(_numbers(block), np.float64).data)
                self._spool.flush()
            yield block

    def _kept(self) -> Iterator[Array]:
        """Yield the numbers that were kept."""
        begin = 0
        while True:
            self._spool.seek(begin)  # others may have moved it
            data = self._spool.read(_SPOOLED)
            if not data:
                return
            begin += len(data)
            yield np.frombuffer(data, np.float64)


def _numbers(block: Block, columns: slice = slice(None)) -> Array:
    """Return the numbers of a block in a row, without missing ones."""
    values = block.values[:, columns]
    return values.reshape(-1) if block.missing is None else values[~block.missing[:, columns]]
