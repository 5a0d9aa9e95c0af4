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
from stablelse.cli.input import Job, open_input, place_of, read_options
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, Meter
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function
from stablelse.readers import Part, split_file
from stablelse.readers.blocks import Block, By, Note, explaining
from stablelse.readers.sources import find_files, is_url, not_kept, open_spool
from stablelse.readers.vectors import Passes, Stream

#: How many bytes of spooled numbers are read back at once.
_SPOOLED = 1 << 22


class _Reading:
    """One more reading of all files, from one long row to a later one, or of everything."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks, self.row = blocks, 0  # how many long rows have begun

    def blocks(self, row: int) -> Iterator[Block]:
        """Yield the pieces of a row, by its number from 1, or all blocks."""
        for block in self._blocks:
            self.row += block.length is not None and block.begin == 0
            if row in (0, self.row) and (row == 0 or block.length is not None):
                yield block
                if row and block.begin + block.values.shape[1] == block.length:
                    return


class LongInput:
    """Vectors, or columns, too long for memory."""

    def __init__(self, request: Request, meter: Meter) -> None:
        self._request, self._meter = request, meter
        self._passes = self._passes_over_files()
        self._spool: Any = None
        self._row = 0  # the number of the present row among the long ones
        self._readings: list[_Reading] = []

    def _passes_over_files(self) -> Passes | None:
        """Return the passes over the files, if all can be opened again."""
        files = [*(self._request.file or ["-"]), *filter(None, [self._request.mask])]
        if self._request.engine == "dask" or any(path == "-" or is_url(path) for path in files):
            return None
        parts = [part for path in files for part in find_files(path)]
        return Passes(parts) if all(map(os.path.isfile, parts)) else None

    def fold(self, stream: Stream, job: Job) -> list[Comparison]:
        """Return the log-sum-exp of a vector, or of each column, by all methods."""
        methods = {each.method for each in job.candidates}
        names = self._names(stream)
        is_plain = methods != {Method.EXACT}
        states = [StreamState([f.name for f in job.formats], is_plain) for _ in names]
        if self._request.engine == "dask":
            states = self._fold_parts(stream.blocks, states)
        else:
            self._fold_here(stream, states)
        found = []
        for index, (state, name) in enumerate(zip(states, names, strict=True)):
            if self._passes is not None:
                state.settle(partial(self._again, slice(index, index + 1) if name else slice(None)))
            comparison = _placed(replace(state.result(), column=name), stream)
            kept = tuple(result for result in comparison.results if result.method in methods)
            found.append(replace(comparison, results=kept))
        return found

    def _names(self, stream: Stream) -> list[str | None]:
        """Return the names of columns, or no name for a single vector."""
        if stream.axis is not By.COLUMNS:
            return [None]
        first = next(stream.blocks)
        stream.blocks = chain([first], stream.blocks)
        return list(first.columns or map(str, range(1, first.values.shape[1] + 1)))

    def _fold_here(self, stream: Stream, states: list[StreamState]) -> None:
        def show_progress(block: Block) -> None:
            self._meter.tell(sum(state.count for state in states), block.source)

        self._row = self._row + 1 if stream.axis is By.ROWS else 0
        blocks = stream.blocks
        if stream.axis is By.ROWS:  # the rows before it count
            before = np.zeros((stream.first - 1, 1))
            states[0].update(before, stream.source, before == 0)
        if self._passes is not None:
            blocks = self._passes.blocks(blocks, is_first=True)
        elif self._spool is not None:
            blocks = self._spooled(blocks)
        engines.fold(blocks, states, show_progress)
        stream.n = states[0].count

    def _fold_parts(self, blocks: Iterator[Block], states: list[StreamState]) -> list[StreamState]:
        """Fold all files in parts into one state, or one per column."""
        first, meter = next(blocks), self._meter
        meter.gauge.count = 0  # the workers read the beginning again
        states = [state.fresh() for state in states]

        def take(part: Part, folded: tuple[list[StreamState], list[Note]]) -> None:
            for mine, theirs in zip(states, folded[0], strict=True):
                mine.merge(theirs)
            for note in folded[1]:
                NOTES.note_of_numbers(note)
            meter.gauge.count += part.size
            meter.tell(sum(state.count for state in states), part.name)

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
        return states

    def compare(self, stream: Stream, job: Job) -> Iterator[Comparison]:
        """Yield the methods on a vector, or each column; for a program, with all elements."""
        if job.function is Function.LOGSUMEXP:
            yield from self.fold(stream, job)
            return
        state = StreamState([format_.name for format_ in job.formats], plain=False)
        with self._summed(stream, state):
            vector = LongVector(job.function, job.candidates, state, self._again)
            yield _placed(vector.result(not self._request.is_picture), stream)

    def elements(self, stream: Stream, job: Job) -> Iterator[Array]:
        """Yield the elements of one vector; doubtful ones take more than two passes."""
        (format_,) = job.formats
        state = StreamState([format_.name], plain=False)
        with self._summed(stream, state):
            whole = state.sides[0].whole(self._again)
            for x in self._again():
                yield whole.elements(job.function, format_.round(x), format_)

    @contextmanager
    def _summed(self, stream: Stream, state: StreamState) -> Iterator[None]:
        """Fold one vector into a state; input that cannot be read again is kept in a file."""
        self._meter.passes = 1 if self._passes is None else 2
        with open_spool("the input") if self._passes is None else nullcontext() as spool:
            self._spool = spool
            self._fold_here(stream, [state])
            yield

    def _again(self, columns: slice = slice(None)) -> Iterator[Array]:
        """Read all numbers again, or those of some columns."""
        if self._passes is None:
            yield from self._kept()
            return
        reading = next((each for each in self._readings if each.row < self._row), None)
        if reading is None:
            blocks, _ = open_input(self._request, "float64", self._meter.gauge, may_stream=True)
            reading = _Reading(blocks)
            self._readings.append(reading)
            self._meter.passes = max(self._meter.passes, 1 + len(self._readings))
        for block in self._passes.blocks(reading.blocks(self._row)):
            self._meter.tell(block.values.size, block.source)
            yield _numbers(block, columns)

    def _spooled(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the blocks, and keep their numbers in a temporary file."""
        for block in blocks:
            with explaining(block.source, not_kept):
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


def _placed(comparison: Comparison, stream: Stream) -> Comparison:
    """Return the results with the place of a row."""
    if stream.axis is not By.ROWS:
        return comparison
    return replace(comparison, **place_of(stream, 0)._asdict())


def _numbers(block: Block, columns: slice = slice(None)) -> Array:
    """Return the numbers of a block in a row, without missing ones."""
    values = block.values[:, columns]
    return values.reshape(-1) if block.missing is None else values[~block.missing[:, columns]]
