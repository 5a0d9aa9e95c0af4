"""Softmax and log-softmax as values alone, of any number of vectors of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, TextIO

import numpy as np
import typer

from stablelse.analysis.stream_state import StreamState
from stablelse.cli.options import Input, Output
from stablelse.cli.progress import Meter, meter_of
from stablelse.cli.source import open_input, read_bounded, read_vectors
from stablelse.cli.stream import passes_over
from stablelse.cli.values import GATHERED, Tried, computations, policed
from stablelse.cli.writers import LineWriter, NpyWriter, TextWriter, Writer, kind_of, open_writer
from stablelse.engines.local import fold
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.running import Whole
from stablelse.readers import Block, By, ReadError, Stream, Vectors, count, vectors

# What is read back of the spooled numbers at once, in bytes.
_SPOOLED = 1 << 22


def write_stream(
    stream: Stream,
    source: Input,
    tried: Tried,
    format_: Format,
    writer: Writer,
    meter: Meter,
    on_screen: bool = False,
) -> None:
    """Write the elements of one long vector: the first pass sums up, the second one divides.

    Further passes add up more digits, if elements are in doubt that are to be correctly rounded:
    two of them, and for what is next to a tie one for every precision.

    Parameters
    ----------
    stream : Stream
        The vector.
    source : Input
        Where it comes from. What cannot be read again is kept in a temporary file.
    tried : Tried
        Softmax or log_softmax.
    format_ : Format
        The format to compute in.
    writer : Writer
        Given one column, a block at a time; it is not closed.
    meter : Meter
        Told how far it is.
    on_screen : bool
        Whether the writer prints where the meter shows that.
    """
    state = StreamState([format_.name], plain=False)
    with summed(stream, source, state, meter) as again:

        def rounded() -> Iterator[Array]:
            return map(format_.round, again())

        if on_screen:
            meter.hide()
        whole = Whole(state.log_state, rounded)
        count = 0
        for x in rounded():
            values = whole.elements(tried.function, x, format_)
            writer.write(values[:, np.newaxis])
            count += len(x)
            meter.tell(state.count + count, "the second pass", {})


@contextmanager
def summed(
    stream: Stream, source: Input, state: StreamState, meter: Meter
) -> Iterator[Callable[[], Iterator[Array]]]:
    """Take one long vector into a state, and yield what reads its numbers once more.

    Parameters
    ----------
    stream : Stream
        The vector.
    source : Input
        Where it comes from. What cannot be read again is kept in a temporary file.
    state : StreamState
        Given all numbers.
    meter : Meter
        Told how far it is; that there is a second pass, too, and of every one after it.
    """
    passes = passes_over(source)
    meter.passes = 1 if passes is None else 2

    def told(block: Block) -> None:
        meter.tell(state.count, block.source, state.so_far)

    if passes is None:
        with _spool() as spool:
            fold(_spooled(stream.blocks, spool), [state], told)
            yield partial(_kept, spool)
        return

    def again() -> Iterator[Array]:
        return map(_numbers, passes.blocks(open_input(source, "float64", meter.again())[0]))

    fold(passes.blocks(stream.blocks), [state], told)
    yield again


def _numbers(block: Block) -> Array:
    """Return the numbers of a block in a row, without those that are missing."""
    return block.values.reshape(-1) if block.missing is None else block.values[~block.missing]


@contextmanager
def _spool() -> Iterator[Any]:
    """Open a temporary file that is gone in the end, however that comes."""
    from tempfile import TemporaryFile

    with TemporaryFile(prefix="stablelse-") as file:
        yield file


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


def write_lines(
    stream: TextIO, found: Stream, source: Input, tried: Tried, format_: Format, meter: Meter
) -> Iterator[Vectors] | None:
    """Write the elements of one long vector as lines or a line; return the columns, if many."""
    if found.axis is not By.ALL:
        return vectors(found.blocks, found.axis)

    first = next(found.blocks)
    is_vertical = first.values.shape[1] == 1
    writer = TextWriter(stream, "") if is_vertical else LineWriter(stream, "\t")
    whole = Stream(chain([first], found.blocks), found.axis)
    write_stream(whole, source, tried, format_, writer, meter, stream.isatty())
    writer.close()
    return None


def write_file(output: Output, source: Input, tried: Tried, formats: list[Format]) -> bool:
    """Write the values to a file of numbers, if that is what its name ends in.

    Returns
    -------
    bool
        Whether it does.
    """
    path = output.output
    if path is None or kind_of(path) is None:
        return False
    if output.save:
        raise typer.BadParameter(
            f"--save keeps the picture of the table: it does not go with numbers in {path}"
        )
    computed = computations(tried, formats)
    if len(computed) > 1:
        raise typer.BadParameter(
            f"{path} is to hold the values of one method in one format: choose one each, "
            "or --format csv for a table of them all"
        )
    (format_,) = formats
    writing = open_writer(path, format_, tried.function.value)
    with writing as writer, (meter := meter_of(source)).running():
        if tried.is_right and tried.empty == "nan" and format_.name != "longdouble":
            found = read_bounded(source, "float64", GATHERED, meter.gauge)
        else:
            parsed_to = "longdouble" if format_.name == "longdouble" else "float64"
            found = read_vectors(source, parsed_to, meter.gauge)
        if isinstance(found, Stream) and found.axis is By.ALL:
            write_stream(found, source, tried, format_, writer, meter)
            return True
        if isinstance(found, Stream):
            found = vectors(found.blocks, found.axis)
        stacks = meter.following(policed(found, tried))
        write_vectors(stacks, computed[0], writer, source.axis)
    return True


#: What one vector of a file is called.
_NOUNS = {By.ROWS: "row", By.COLUMNS: "column", By.ALL: "row"}


def write_vectors(
    stacks: Iterator[Vectors],
    compute: Callable[[Array], Array],
    writer: Writer,
    axis: int | None = None,
) -> None:
    """Write the values of vectors as they lie in the source: rows as rows, columns as columns.

    Raises
    ------
    ReadError
        If the rows are not equally long, which no table can be.
    """
    width = None
    columns: list[Array] = []
    for stack in stacks:
        values = compute(stack.values)
        if stack.axis is By.ALL:
            values = values.T
        here = values.shape[1]
        if width not in (None, here):
            raise ReadError(
                f"{stack.source}, {_NOUNS[stack.axis]} {stack.first} has {count(here, 'number')}, "
                f"where those before have {width}: a table needs vectors of the same length; print "
                "them instead"
            )
        width = here
        if isinstance(writer, NpyWriter) and axis in (None, -1, len(stack.outer)):
            writer.outer = stack.outer if len(stack.outer) > 1 else ()
        if stack.axis is By.COLUMNS:
            columns.append(values)
        else:
            writer.write(values)
    if columns:
        writer.write(np.concatenate(columns).T)
