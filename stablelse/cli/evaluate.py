"""The main job: lse, softmax and log-softmax of vectors, by every method side by side."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import HERE, Cluster, Empty, Errors, Input, Methods, Output, Quiet, Steps
from stablelse.cli.values import Asked, parse_methods, policed, write_values

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stablelse.analysis.results import Comparison
    from stablelse.cli.progress import Meter
    from stablelse.readers import Vectors

#: How many elements are compared at once: bounds the memory that intermediate results take.
_BATCH = 1 << 18


def _command(function: str, help_text: str) -> Callable[..., None]:
    """Return the command that computes one function."""

    def command(
        context: typer.Context,
        source: Input,
        methods: Methods,
        output: Output,
        cluster: Cluster,
        empty: Empty = "nan",
        errors: Errors = False,
        steps: Steps = False,
        quiet: Quiet = False,
    ) -> None:
        from stablelse.cli.progress import meter_of
        from stablelse.cli.sink import open_sink
        from stablelse.cli.source import find_formats, is_missing, read_vectors, refuse_cluster
        from stablelse.numerics.functions import Function

        if is_missing(source):
            typer.echo(context.get_help())
            return
        formats = find_formats(source, methods.dtype)
        errors = errors and not quiet
        tried = parse_methods(Function(function), methods, steps)._replace(empty=empty)
        parsed_to = "longdouble" if any(f.name == "longdouble" for f in formats) else "float64"
        if function != "logsumexp" and output.kind == "table" and output.output and not quiet:
            from stablelse.cli.elements import write_file

            if not (steps or errors) and write_file(output, source, tried, formats):
                return
        asked = Asked(tried, formats, output, steps, errors, quiet)
        may_stream = not source.numbers and _may_stream(asked, source)
        refuse_cluster(cluster, source, may_stream)
        with open_sink(output.output) as stream, (meter := meter_of(source)).running():
            stacks: Iterator[Vectors] | None
            if may_stream:
                from stablelse.cli.unbounded import write_stream

                stacks = write_stream(stream, asked, source, cluster, meter)
            else:
                stacks = read_vectors(source, parsed_to, meter.gauge)
            if stacks is None:
                return
            stacks = policed(stacks, tried)
            if quiet:
                write_values(stream, _followed(stacks, stream, meter), tried, formats)
            else:
                found = _Found(stacks, asked, bool(source.row))
                _write_found(stream, found, meter)

    command.__doc__ = help_text
    return command


def _may_stream(asked: Asked, source: Input) -> bool:
    from stablelse.cli.unbounded import may_stream

    return may_stream(asked, source)


def _alone(function: str, help_text: str) -> Callable[..., None]:
    """Return a command that no cluster helps: its results are as many as the numbers."""
    command = _command(function, help_text)

    def command_here(
        context: typer.Context,
        source: Input,
        methods: Methods,
        output: Output,
        empty: Empty = "nan",
        errors: Errors = False,
        steps: Steps = False,
        quiet: Quiet = False,
    ) -> None:
        command(context, source, methods, output, HERE, empty, errors, steps, quiet)

    command_here.__doc__ = help_text
    return command_here


lse = _command(
    "logsumexp",
    """Log-sum-exp, naive and shifted side by side.

    log(e^x_1 + ... + e^x_n) = a + log(e^(x_1 - a) + ... + e^(x_n - a)), for any a.

    \b
    Examples:
      stablelse lse 1000 1001 1002
      stablelse lse -1000 -1001 -inf --shift max --shift 0
      stablelse lse -0.775 -0.6175 --errors
      stablelse lse --file x.csv --column loglik
      stablelse lse --file x.jsonl --key logprobs
      stablelse lse --file logits.npy --dtype float16 --dtype float32
      stablelse lse --file 'parts/*.csv.gz' --quiet
      stablelse lse --file large.npy --engine dask
      seq 1 1000 | stablelse lse --quiet
    """,
)

softmax = _alone(
    "softmax",
    """Softmax, naive and shifted side by side.

    e^x_j / (e^x_1 + ... + e^x_n), and the same with x - a for x, for any a.

    \b
    Examples:
      stablelse softmax 1000 1001 1002
      stablelse softmax --file logits.csv --row 7 --dtype float16
      stablelse softmax 1000 1001 1002 --method shifted --method division-free
      stablelse softmax --file logits.csv --quiet > probabilities.tsv
      stablelse softmax --file model.safetensors --key logits --row 1
    """,
)

log_softmax = _alone(
    "log_softmax",
    """Log-softmax, naive and shifted side by side.

    The logarithm of the softmax; shifted, x_j - a - log(e^(x_1 - a) + ... + e^(x_n - a)).

    \b
    Examples:
      stablelse log-softmax 0 -1000
      stablelse log-softmax --file logits.csv --by columns
    """,
)


class _Found(NamedTuple):
    """Vectors, and what is to be shown of them."""

    stacks: "Iterator[Vectors]"
    asked: Asked
    in_full: bool


def _followed(stacks: "Iterator[Vectors]", stream: TextIO, meter: "Meter") -> "Iterator[Vectors]":
    """Have the meter follow vectors, of each of which something is printed as it comes."""
    if stream.isatty():
        meter.hide()
    return meter.following(stacks)


def _write_found(stream: TextIO, found: _Found, meter: "Meter") -> None:
    """Show the vectors, in the form asked for."""
    _, _, output, steps, errors, _ = found.asked
    if output.kind == "table":
        from stablelse.cli.show import show

        stacks = meter.following(found.stacks)
        pictures = _pictures(_comparisons(found._replace(stacks=stacks), errors), found)
        meter.hide()
        show(pictures, stream, output)
        return
    stacks = _followed(found.stacks, stream, meter)
    measured = errors or (None if output.kind != "plain" else False)  # None: where it is quick
    comparisons = _comparisons(found._replace(stacks=stacks), measured)
    _write_records(stream, comparisons, steps, errors, output.kind)


def _comparisons(found: _Found, measured: bool | None) -> "Iterator[Comparison]":
    from stablelse.analysis.compare import compare_rows
    from stablelse.cli.source import place_of

    tried, formats, *_ = found.asked
    for stack in found.stacks:
        count, n = stack.values.shape
        rows = max(1, _BATCH // n)
        for begin in range(0, count, rows):
            part = range(begin, min(begin + rows, count))
            yield from compare_rows(
                stack.values[part.start : part.stop],
                tried.function,
                tried.shifts,
                formats,
                [place_of(stack, index) for index in part],
                tried.methods,
                measured,
                tried.empty,
            )


def _pictures(comparisons: "Iterator[Comparison]", found: _Found) -> "list[RenderableType]":
    """Draw one vector, or those asked for, in full, and many as a row each."""
    pictures: list[RenderableType]
    steps, errors = found.asked.steps, found.asked.errors
    if steps or found.in_full:
        gathered = list(comparisons)
    else:
        from stablelse.analysis.tally import Tally

        tally: Tally[Comparison] = Tally()
        for comparison in comparisons:
            tally.add(comparison)
        gathered = tally.comparisons
    if steps:
        from stablelse.render.walk import Walk

        pictures = [Walk(comparison) for comparison in gathered]
    elif found.in_full or len(gathered) == 1:
        pictures = list(gathered)
    else:
        from stablelse.render.overview import Overview

        pictures = [Overview(tally)]
    if errors:
        from stablelse.render.accuracy import AccuracyPicture

        pictures.append(AccuracyPicture(gathered))
    return pictures


def _write_records(
    stream: TextIO, comparisons: "Iterator[Comparison]", steps: bool, errors: bool, kind: str
) -> None:
    from stablelse.render import plain, records

    found = (c.steps if steps else c for c in comparisons)
    if kind == "plain":
        for comparison in comparisons:
            if steps:
                stream.writelines(f"{line}\n" for line in plain.step_lines(comparison))
            if errors or not steps:
                lines = plain.comparison_lines(comparison, errors)
                stream.writelines(f"{line}\n" for line in lines)
    elif kind == "csv":
        rows = (row for result in found for row in result.flat_records())
        stream.writelines(records.csv_lines(rows))
    else:
        told = (record for result in found for record in result.records())
        if kind == "json":
            stream.writelines(records.json_document("vectors", told, NOTES.fields))
        else:
            stream.writelines(map(records.json_line, told))
