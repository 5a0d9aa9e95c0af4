"""Vectors too long to gather in memory: read in passes over their files, or spooled from a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from stablelse.analysis.long_vector import LongVector
from stablelse.analysis.results import Comparison
from stablelse.analysis.stream import StreamState
from stablelse.cli.cluster import fold_on_cluster
from stablelse.cli.input import Job, open_input
from stablelse.cli.options import Request
from stablelse.cli.progress import Meter
from stablelse.engines import fold
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import USUAL, Method
from stablelse.numerics.states import Whole
from stablelse.readers import Block, By, Passes, ReadError, Stream, find_files, is_url

# What is read back of the spooled numbers at once, in bytes.
_SPOOLED = 1 << 22

#: Takes all blocks into states, and returns them.
_Engine = Callable[..., list[StreamState]]


def fold_stream(
    stream: Stream, source: Request, job: Job, plain: bool, meter: Meter
) -> list[Comparison]:
    """Fold a stream into what every method makes of it: one result, or one a column."""
    passes = passes_over(source) if source.engine == "local" else None
    engine: _Engine = partial(_fold_here, meter=meter)
    if source.engine == "dask":
        engine = partial(fold_on_cluster, source=source, scheduler=source.scheduler, meter=meter)
    blocks, width, names = _beginning(stream)
    states = [StreamState([f.name for f in job.formats], plain) for _ in range(width)]
    states = engine(blocks, states)
    if passes is not None:
        for index, state in enumerate(states):
            column = None if stream.axis is By.ALL else index
            state.settle(partial(_again, passes, source, column, meter))
    found = [state.result(column=name) for state, name in zip(states, names, strict=True)]
    return [_only(comparison, job.methods or USUAL) for comparison in found]


def _again(passes: Passes, source: Request, column: int | None, meter: Meter) -> Iterator[Array]:
    """Read all numbers again, or those of a column."""
    whole = slice(None) if column is None else slice(column, column + 1)
    for block in passes.blocks(open_input(source, "float64", meter.again())[0]):
        values = block.values[:, whole]
        yield values.reshape(-1) if block.missing is None else values[~block.missing[:, whole]]


def _only(comparison: Comparison, methods: Sequence[Method]) -> Comparison:
    """Leave out the methods that are not asked for."""
    results = tuple(result for result in comparison.results if result.method in methods)
    return replace(comparison, results=results)


def _fold_here(
    blocks: Iterator[Block], states: list[StreamState], meter: Meter
) -> list[StreamState]:
    def show_progress(block: Block) -> None:
        count = sum(state.count for state in states)
        meter.tell(count, block.source, lambda: states[0].so_far)

    fold(blocks, states, show_progress)
    return states


def _beginning(stream: Stream) -> tuple[Iterator[Block], int, list[str | None]]:
    """Return all blocks, how many vectors there are, and what they are called."""
    first = next(stream.blocks)
    blocks = chain([first], stream.blocks)
    if stream.axis is By.ALL:
        return blocks, 1, [None]
    width = first.values.shape[1]
    numbers = [str(number) for number in range(1, width + 1)]
    return blocks, width, list(first.columns or numbers)


def passes_over(source: Request) -> Passes | None:
    """Return the passes over the files, if all can be opened a second time."""
    files = [*(source.file or ["-"]), *filter(None, [source.mask])]
    if any(path == "-" or is_url(path) for path in files):
        return None
    parts = [part for path in files for part in find_files(path)]
    return Passes(parts) if all(map(os.path.isfile, parts)) else None


def compare_long(stream: Stream, source: Request, job: Job, meter: Meter) -> Comparison:
    """Compare the methods on one long softmax or log-softmax, in two passes."""
    state = StreamState([format_.name for format_ in job.formats])
    with _summed(stream, source, state, meter) as again:
        wholes = [
            Whole(side.right.state, partial(_rounded, side.format, again)) for side in state.sides
        ]
        whole = LongVector(job.function, job.candidates(), state.sides, wholes)
        for x in again():
            with np.errstate(all="ignore"):
                whole.update(x)
            meter.tell(state.count + whole.count, "the second pass")
        return whole.result(state.source)


def long_elements(stream: Stream, source: Request, job: Job, meter: Meter) -> Iterator[Array]:
    """Yield the elements of one long vector; those in doubt take more passes than two."""
    (format_,) = job.formats
    state = StreamState([format_.name], plain=False)
    with _summed(stream, source, state, meter) as again:
        whole = Whole(state.sides[0].right.state, partial(_rounded, format_, again))
        count = 0
        for x in _rounded(format_, again):
            yield whole.elements(job.function, x, format_)
            count += len(x)
            meter.tell(state.count + count, "the second pass")


def _rounded(format_: Format, again: Callable[[], Iterator[Array]]) -> Iterator[Array]:
    return map(format_.round, again())


@contextmanager
def _summed(
    stream: Stream, source: Request, state: StreamState, meter: Meter
) -> Iterator[Callable[[], Iterator[Array]]]:
    """Take one long vector into a state, and yield what reads its numbers once more."""
    passes = passes_over(source)
    meter.passes = 1 if passes is None else 2

    def show_progress(block: Block) -> None:
        meter.tell(state.count, block.source, lambda: state.so_far)

    if passes is None:
        with TemporaryFile(prefix="stablelse-") as spool:
            fold(_spooled(stream.blocks, spool), [state], show_progress)
            yield partial(_kept, spool)
        return

    def again() -> Iterator[Array]:
        return map(_numbers, passes.blocks(open_input(source, "float64", meter.again())[0]))

    fold(passes.blocks(stream.blocks), [state], show_progress)
    yield again


def _numbers(block: Block) -> Array:
    """Return the numbers of a block in a row, without those that are missing."""
    return block.values.reshape(-1) if block.missing is None else block.values[~block.missing]


def _spooled(blocks: Iterator[Block], spool: Any) -> Iterator[Block]:
    """Yield the blocks, and keep their numbers."""
    for block in blocks:
        try:
            spool.write(np.ascontiguousarray(_numbers(block), np.float64).data)
        except OSError as error:
            raise ReadError(
                f"cannot keep {block.source} in a temporary file: {error.strerror}; "
                "save it, and name the file with --file"
            ) from error
        yield block


def _kept(spool: Any) -> Iterator[Array]:
    begin = 0
    while True:
        spool.seek(begin)  # others may have read it meanwhile
        data = spool.read(_SPOOLED)
        if not data:
            return
        begin += len(data)
        yield np.frombuffer(data, np.float64)
