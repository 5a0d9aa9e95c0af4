"""Log-sum-exp of more numbers than are gathered in memory: one pass, every method side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TextIO

from stablelse.analysis.compare import chosen_methods
from stablelse.analysis.stream import StreamComparison
from stablelse.analysis.stream_state import StreamState
from stablelse.cli.notes import NOTES
from stablelse.cli.options import Cluster, Input, Output
from stablelse.cli.progress import Meter
from stablelse.cli.source import open_input
from stablelse.engines.local import fold
from stablelse.numerics.formulas.formula import Method
from stablelse.readers import Block, By, Note, Passes, Stream, find_files, is_url
from stablelse.render.numbers import number_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stablelse.numerics.formats import Array, Format

#: Takes all blocks into states, and returns them.
_Engine = Callable[..., list[StreamState]]


def fold_stream(
    stream: Stream,
    source: Input,
    formats: Sequence[Format],
    methods: Sequence[Method] | None,
    quiet: bool,
    meter: Meter,
    cluster: Cluster,
) -> list[StreamComparison]:
    """Fold a stream into what every method makes of it.

    What can be read again is, if the certified value is still in doubt after one pass.

    Parameters
    ----------
    stream : Stream
        The numbers.
    source : Input
        Where they come from.
    formats : sequence of Format
        The formats to compute in.
    methods : sequence of Method or None
        Those asked for; ``None`` for all.
    quiet : bool
        Whether nothing but the values is wanted.
    meter : Meter
        Told how far it is.
    cluster : Cluster
        Where the work is done.

    Returns
    -------
    list of StreamComparison
        One, or one a column.

    Raises
    ------
    MethodError
        If there is no such method for a log-sum-exp.
    """
    chosen = chosen_methods(methods)
    passes = passes_over(source) if cluster.engine == "local" else None
    plain = not quiet or bool({Method.NAIVE, Method.SHIFTED}.intersection(methods or []))
    engine: _Engine = _fold_here
    if cluster.engine == "dask":
        from stablelse.cli.cluster import fold_on_cluster

        engine = partial(fold_on_cluster, source=source, scheduler=cluster.scheduler)
    engine = partial(engine, meter=meter)
    states, names = _folded(stream, formats, plain, engine)
    if passes is not None:
        for index, state in enumerate(states):
            column = None if stream.axis is By.ALL else index
            state.settle(partial(_numbers, passes, source, column, meter))
    found = [state.result(column=name) for state, name in zip(states, names, strict=True)]
    return found if methods is None else [_only(comparison, chosen) for comparison in found]


def _numbers(passes: Passes, source: Input, column: int | None, meter: Meter) -> Iterator[Array]:
    """Read all numbers again, or those of a column."""
    for block in passes.blocks(open_input(source, "float64", meter.again())[0]):
        whole = slice(None) if column is None else slice(column, column + 1)
        values = block.values[:, whole]
        yield values.reshape(-1) if block.missing is None else values[~block.missing[:, whole]]


def _only(comparison: StreamComparison, methods: Sequence[Method]) -> StreamComparison:
    """Leave out the methods that are not asked for."""
    results = tuple(result for result in comparison.results if result.method in methods)
    return comparison._replace(results=results)


def _folded(
    stream: Stream, formats: Sequence[Format], plain: bool, engine: _Engine
) -> tuple[list[StreamState], list[str | None]]:
    blocks, width, names = _beginning(stream)
    states = [StreamState([f.name for f in formats], plain) for _ in range(width)]
    return engine(blocks, states), names


def _fold_here(
    blocks: Iterator[Block], states: list[StreamState], meter: Meter
) -> list[StreamState]:
    def told(block: Block) -> None:
        count = sum(state.count for state in states)
        meter.tell(count, block.source, states[0].so_far)

    fold(blocks, states, told)
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


def passes_over(source: Input) -> Passes | None:
    """Return what sees to passes over the files named, if all can be opened a second time."""
    files = [*(source.file or ["-"]), *filter(None, [source.mask])]
    if any(path == "-" or is_url(path) for path in files):
        return None
    parts = [part for path in files for part in find_files(path)]
    return Passes(parts) if all(map(os.path.isfile, parts)) else None


def write_values(stream: TextIO, found: Sequence[StreamComparison], every: bool) -> None:
    """Write the values alone: of every method that there is, or the best ones."""
    for comparison in found:
        for result in comparison.results:
            if every or result.method is Method.EXACT:
                stream.write(number_text(result.value) + "\n")
            if result.method is Method.EXACT and result.error_bound and result.error_bound > 0.5:
                text = (
                    "the value could not be proved to be correctly rounded, for pipes, URLs and "
                    "what a cluster reads are read only once; it is within "
                    f"{result.error_bound:.2g} ulp"
                )
                NOTES.note(Note(text))


def write_found(
    stream: TextIO, found: Sequence[StreamComparison], output: Output, errors: bool
) -> None:
    """Write what was found, in the form asked for, and how wrong every method is."""
    from stablelse.render import records

    kind = output.kind
    if kind == "table":
        from stablelse.cli.show import show
        from stablelse.render.stream import StreamPicture

        pictures: list[RenderableType] = [StreamPicture(comparison) for comparison in found]
        if errors:
            from stablelse.render.accuracy import AccuracyPicture

            pictures.append(AccuracyPicture(found))
        show(pictures, stream, output)
    elif kind == "plain":
        from stablelse.render.stream import stream_lines

        stream.writelines(f"{line}\n" for c in found for line in stream_lines(c, errors))
    elif kind == "csv":
        rows = (row for comparison in found for row in comparison.flat_records())
        stream.writelines(records.csv_lines(rows))
    elif kind == "json":
        stream.writelines(
            records.json_document("vectors", map(records.record, found), NOTES.fields)
        )
    else:
        stream.writelines(map(records.json_line, map(records.record, found)))
