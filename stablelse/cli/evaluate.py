"""The main job: lse, softmax and log-softmax of vectors, by every method side by side."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

import typer

from stablelse.cli.options import Errors, Input, Methods, Output, Quiet, Steps

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stablelse.analysis.comparison import Comparison
    from stablelse.numerics.formats import Array, Format
    from stablelse.numerics.formula import Method
    from stablelse.numerics.functions import Function
    from stablelse.numerics.shifted import Shift
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
        errors: Errors = False,
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
        if errors and not quiet and methods.exact is None:
            methods = methods._replace(exact=True)
        tried = _tried(Function(function), methods, steps)
        parsed_to = "longdouble" if any(f.name == "longdouble" for f in formats) else "float64"
        stacks = read_vectors(source, parsed_to)
        with open_sink(output.output) as stream:
            if quiet:
                _write_values(stream, stacks, tried, formats)
                return
            measured = errors or output.kind not in ("table", "plain")
            comparisons = _comparisons(stacks, tried, formats, measured)
            if output.kind == "table":
                _write_pictures(stream, comparisons, steps, errors, bool(source.row), output)
            else:
                _write_records(stream, comparisons, steps, errors, output.kind)

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
      stablelse lse -0.775 -0.6175 --errors
      stablelse lse --file x.csv --column loglik
      stablelse lse --file logits.npy --dtype float16 --dtype float32
      stablelse lse --file 'parts/*.csv.gz' --quiet
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
      stablelse softmax 1000 1001 1002 --method shifted --method division-free
      stablelse softmax --file logits.csv --quiet > probabilities.tsv
      stablelse softmax --file model.safetensors --key logits --row 1
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


class _Tried(NamedTuple):
    """What is computed, and how.

    Attributes
    ----------
    function : Function
        What is computed.
    methods : list of Method or None
        Those asked for; ``None`` for the usual ones.
    shifts : list of Shift
        The a's of the identity.
    exact : bool or None
        Whether the exact value is asked for; ``None`` for: if that is quick.
    """

    function: "Function"
    methods: "list[Method] | None"
    shifts: "list[Shift]"
    exact: bool | None


def _tried(function: "Function", options: Methods, steps: bool) -> _Tried:
    """Return what is asked for, or raise where there is no such thing."""
    from stablelse.numerics.shifted import find_shift

    shifts = [find_shift(shift.strip()) for shift in options.shift or ["max"]]
    if not options.method:
        return _Tried(function, None, shifts, options.exact)
    from stablelse.analysis.compare import chosen_methods
    from stablelse.numerics.methods import FORMULAS, candidates, find_method

    methods = [find_method(name) for name in options.method]
    candidates(function, chosen_methods(methods, options.exact), shifts)
    if steps and not FORMULAS.keys() & set(methods):
        formulas = ", ".join(method.value for method in FORMULAS)
        raise typer.BadParameter(f"--steps needs a method that has steps: {formulas}")
    return _Tried(function, methods, shifts, options.exact)


def _write_values(
    stream: TextIO, stacks: "Iterator[Vectors]", tried: _Tried, formats: "list[Format]"
) -> None:
    """Write the values alone, the library's or those asked for: a vector a line, as it came."""
    from stablelse.render.numbers import number_text

    computations = _computations(tried, formats)
    for stack in stacks:
        separator = "\n" if stack.vertical else "\t"
        columns = [compute(stack.values) for compute in computations]
        for rows in zip(*columns, strict=True):
            for row in rows:
                stream.write(separator.join(map(number_text, row)) + "\n")


def _computations(tried: _Tried, formats: "list[Format]") -> "list[Callable[[Array], Array]]":
    """Return what gives the values of a stack of vectors, one for every line of a vector."""
    from functools import partial

    if tried.methods is None and not tried.exact:
        from stablelse.numerics.functions import library

        def compensated(x: "Array", format_: "Format") -> "Array":
            return library(tried.function, format_.round(x), format_)

        return [partial(compensated, format_=f) for f in formats]
    from stablelse.analysis.compare import chosen_methods
    from stablelse.numerics.formula import Method
    from stablelse.numerics.methods import candidates

    chosen = chosen_methods(tried.methods or [Method.EXACT], tried.exact)
    computed = candidates(tried.function, chosen, tried.shifts)
    return [partial(c.values, tried.function, format_=f) for f in formats for c in computed]


def _comparisons(
    stacks: "Iterator[Vectors]", tried: _Tried, formats: "list[Format]", errors: bool
) -> "Iterator[Comparison]":
    from stablelse.analysis.compare import compare_rows
    from stablelse.cli.source import place_of

    for stack in stacks:
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
                tried.exact,
                tried.methods,
                errors,
            )


def _write_pictures(
    stream: TextIO,
    comparisons: "Iterator[Comparison]",
    steps: bool,
    errors: bool,
    in_full: bool,
    output: Output,
) -> None:
    """Draw one vector, or those asked for, in full, and many as a row each."""
    from stablelse.cli.show import show

    gathered = list(comparisons)
    pictures: list[RenderableType]
    if steps:
        from stablelse.render.walk import Walk

        pictures = [Walk(comparison) for comparison in gathered]
    elif in_full or len(gathered) == 1:
        pictures = list(gathered)
    else:
        from stablelse.render.overview import Overview

        pictures = [Overview(gathered)]
    if errors:
        from stablelse.render.accuracy import AccuracyPicture

        pictures.append(AccuracyPicture(gathered))
    show(pictures, stream, output)


def _write_records(
    stream: TextIO, comparisons: "Iterator[Comparison]", steps: bool, errors: bool, kind: str
) -> None:
    from stablelse.render import plain, records

    if kind == "plain":
        for comparison in comparisons:
            if steps:
                stream.writelines(f"{line}\n" for line in plain.step_lines(comparison))
            if errors or not steps:
                lines = plain.comparison_lines(comparison, errors)
                stream.writelines(f"{line}\n" for line in lines)
    elif kind == "csv":
        to_rows = records.step_rows if steps else records.flat_rows
        stream.writelines(records.csv_lines(row for c in comparisons for row in to_rows(c)))
    else:
        found = map(records.with_steps if steps else records.record, comparisons)
        if kind == "json":
            stream.writelines(records.json_document("vectors", found))
        else:
            stream.writelines(map(records.json_line, found))
