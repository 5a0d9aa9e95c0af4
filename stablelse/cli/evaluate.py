"""The main job: lse, softmax and log-softmax of vectors, by every method side by side."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

import typer

from stablelse.cli.options import Input, Methods, Output, Quiet, Steps

if TYPE_CHECKING:
    from stablelse.analysis.compare import Place
    from stablelse.analysis.comparison import Comparison
    from stablelse.numerics.formats import Format
    from stablelse.numerics.functions import Function
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
        steps: Steps = False,
        quiet: Quiet = False,
    ) -> None:
        from stablelse.cli.sink import open_sink
        from stablelse.cli.source import is_missing, read_vectors
        from stablelse.numerics.formats import find_format
        from stablelse.numerics.functions import Function

        if is_missing(source):
            typer.echo(context.get_help())
            return
        formats = [find_format(dtype) for dtype in methods.dtype or ["float64"]]
        parsed_to = "longdouble" if any(f.name == "longdouble" for f in formats) else "float64"
        stacks = read_vectors(source, parsed_to)
        with open_sink(output.output) as stream:
            if quiet:
                _write_values(stream, stacks, Function(function), formats, bool(methods.exact))
                return
            comparisons = _comparisons(stacks, Function(function), methods, formats)
            if output.kind == "table":
                _write_pictures(stream, comparisons, steps, in_full=bool(source.row))
            else:
                _write_records(stream, comparisons, steps, output.kind)

    command.__doc__ = help_text
    return command


lse = _command(
    "logsumexp",
    """Log-sum-exp, naive and shifted side by side.

    log(e^x_1 + ... + e^x_n) = a + log(e^(x_1 - a) + ... + e^(x_n - a)), for any a.

    \b
    Examples:
      stablelse lse 1000 1001 1002
      stablelse lse -1000 -1001 -inf --shift max --shift 0
      stablelse lse --file x.csv --column loglik
      stablelse lse --file logits.npy --dtype float16 --dtype float32
      seq 1 1000 | stablelse lse --quiet
    """,
)

softmax = _command(
    "softmax",
    """Softmax, naive and shifted side by side.

    e^x_j / (e^x_1 + ... + e^x_n), and the same with x - a for x, for any a.

    \b
    Examples:
      stablelse softmax 1000 1001 1002
      stablelse softmax --file logits.csv --row 7 --dtype float16
      stablelse softmax --file logits.csv --quiet > probabilities.tsv
    """,
)

log_softmax = _command(
    "log_softmax",
    """Log-softmax, naive and shifted side by side.

    The logarithm of the softmax; shifted, x_j - a - log(e^(x_1 - a) + ... + e^(x_n - a)).

    \b
    Examples:
      stablelse log-softmax 0 -1000
      stablelse log-softmax --file logits.csv --by columns
    """,
)


def _write_values(
    stream: TextIO,
    stacks: "Iterator[Vectors]",
    function: "Function",
    formats: "list[Format]",
    exact: bool,
) -> None:
    """Write the library's values alone, or the exact ones: a vector a line, as it came."""
    from stablelse.numerics.functions import library
    from stablelse.render.numbers import number_text

    compute = library
    if exact:
        from stablelse.numerics.functions import exact as compute
    for stack in stacks:
        separator = "\n" if stack.vertical else "\t"
        by_format = [compute(function, f.round(stack.values), f) for f in formats]
        for rows in zip(*by_format, strict=True):
            for row in rows:
                stream.write(separator.join(map(number_text, row)) + "\n")


def _comparisons(
    stacks: "Iterator[Vectors]", function: "Function", methods: Methods, formats: "list[Format]"
) -> "Iterator[Comparison]":
    from stablelse.analysis.compare import compare_rows
    from stablelse.numerics.shifted import find_shift

    shifts = [find_shift(shift.strip()) for shift in methods.shift or ["max"]]
    for stack in stacks:
        count, n = stack.values.shape
        rows = max(1, _BATCH // n)
        for begin in range(0, count, rows):
            part = range(begin, min(begin + rows, count))
            places = [_place(stack, index) for index in part]
            values = stack.values[part.start : part.stop]
            yield from compare_rows(values, function, shifts, formats, places, methods.exact)


def _place(stack: "Vectors", index: int) -> "Place":
    from stablelse.analysis.compare import Place
    from stablelse.readers import By

    number = stack.first + index
    if stack.axis is By.COLUMNS:
        column = stack.names[index] if stack.names else str(number)
        return Place(stack.source or None, None, column)
    return Place(stack.source or None, number if stack.axis is By.ROWS else None)


def _write_pictures(
    stream: TextIO, comparisons: "Iterator[Comparison]", steps: bool, in_full: bool
) -> None:
    """Draw one vector, or those asked for, in full, and many as a row each."""
    from stablelse.cli.sink import console_for

    console = console_for(stream)
    gathered = list(comparisons)
    pictures: list[object]
    if steps:
        from stablelse.render.walk import Walk

        pictures = [Walk(comparison) for comparison in gathered]
    elif in_full or len(gathered) == 1:
        pictures = list(gathered)
    else:
        from stablelse.render.overview import Overview

        pictures = [Overview(gathered)]
    for picture in pictures:
        console.print(picture, crop=False)


def _write_records(
    stream: TextIO, comparisons: "Iterator[Comparison]", steps: bool, kind: str
) -> None:
    from stablelse.render import plain, records

    if kind == "plain":
        to_lines = plain.step_lines if steps else plain.comparison_lines
        stream.writelines(f"{line}\n" for c in comparisons for line in to_lines(c))
    elif kind == "csv":
        to_rows = records.step_rows if steps else records.flat_rows
        stream.writelines(records.csv_lines(row for c in comparisons for row in to_rows(c)))
    else:
        found = map(records.with_steps if steps else records.record, comparisons)
        if kind == "json":
            stream.writelines(records.json_document("vectors", found))
        else:
            stream.writelines(map(records.json_line, found))
