"""The survival map: a vector moved or stretched, by every method in every format."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import FigureOutput, Input

if TYPE_CHECKING:
    from stablelse.analysis.survival import Range, Sweep

#: The functions by the names of their commands.
_FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax", "log-softmax": "log_softmax"}


def sweep(
    context: typer.Context,
    source: Input,
    output: FigureOutput,
    offset: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Move x: x + t, t from A to B.  [default: -1000:1000]"),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Stretch x instead: t x, t from A to B, both positive."),
    ] = None,
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"], typer.Option(help="What to compute.")
    ] = "lse",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            metavar="naive|shifted|division-free|exact",
            help="Only this method; repeatable.  [default: all]",
        ),
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="max|min|mean|A", help="The a of the identity; repeatable.  [default: max]"
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT",
            help="The floating-point format, as `stablelse limits` lists them; repeatable."
            "  [default: all but longdouble]",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many t are tried first in float32 and wider formats; in narrower ones, every"
            " t is.  [default: 400]",
        ),
    ] = None,
) -> None:
    """Draw the survival map."""
    from stablelse.analysis.sweep import POINTS, sweep_vector
    from stablelse.cli.sink import open_sink
    from stablelse.cli.source import is_missing, read_one
    from stablelse.numerics.formats import find_format
    from stablelse.numerics.formulas.methods import find_method
    from stablelse.numerics.functions import Function

    if is_missing(source):
        typer.echo(context.get_help())
        return
    range_ = _range(offset, scale)
    formats = [find_format(name) for name in dtype or []]
    methods = [find_method(name) for name in method or []]
    x, place = read_one(source, formats)
    result = sweep_vector(
        x,
        Function(_FUNCTIONS[function]),
        range_,
        methods or None,
        [text.strip() for text in shift or ["max"]],
        formats or None,
        POINTS if points is None else points,
        place,
    )
    with open_sink(output.output) as stream:
        _write(stream, result, output)


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
sweep.__doc__ = """Where each method stops being right: x moved or stretched, in every format.

    The chart shows for every method where it is right, where it has lost digits, and where it
    has overflowed or underflowed; below it stand the t between which that changes, to the last
    number of the format. In every format x and t are rounded to it, then x + t (or t x) is, and
    the methods are held against the exact result for that.

    \b
    Examples:
      stablelse sweep 0 1 2
      stablelse sweep 0 1 2 --scale 1e-3:1e6 --function softmax
      stablelse sweep 0 1 2 --offset -30:20 --dtype float16 --method naive
      stablelse sweep --file logits.csv --row 7 --save map.pdf
      stablelse sweep 0 --dtype float64 --format csv
    """


def _range(offset: str | None, scale: str | None) -> "Range":
    from stablelse.analysis.survival import Motion, Range
    from stablelse.analysis.sweep import OFFSETS

    if offset is not None and scale is not None:
        raise typer.BadParameter("x is moved or stretched: leave out --offset or --scale")
    if scale is not None:
        return Range.parsed(Motion.SCALE, scale)
    if offset is not None:
        return Range.parsed(Motion.OFFSET, offset)
    return Range(Motion.OFFSET, *OFFSETS)


def _write(stream: TextIO, result: "Sweep", output: FigureOutput) -> None:
    from stablelse.cli.show import show
    from stablelse.render.records import csv_lines, flat_rows, json_line, json_object, record

    match output.kind:
        case "table":
            from stablelse.render.matplotlib import figure

            show([result], stream, output, partial(figure, result))
        case "plain":
            from stablelse.render.sweep_wording import sweep_lines

            stream.writelines(f"{line}\n" for line in sweep_lines(result))
        case "csv":
            stream.writelines(csv_lines(flat_rows(result)))
        case "json":
            stream.write(json_object(record(result) | NOTES.fields()))
        case "jsonl":
            stream.write(json_line(record(result) | NOTES.fields()))
