"""What breaks on thousands of vectors, and a guard against it."""

from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import Files, Input, Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stablelse.analysis.scan import Condition, Scan

#: The functions by the names of their commands.
_FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax", "log-softmax": "log_softmax"}


def scan(
    context: typer.Context,
    files: Files,
    output: Output,
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"],
        typer.Option(help="What to compute of each vector."),
    ] = "lse",
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT",
            help="The floating-point format; repeatable."
            "  [default: float16, float32, and bfloat16 if installed]",
        ),
    ] = None,
    max_ulp: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=0.5, help="How many ulps a finite result may lose.  [default: 10]"
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[METHOD:]VERDICT",
            help="Exit with 1 if that occurs, of that method or any: overflow, underflow, nan,"
            " does_not_fit, no_digits, broken (any of these), digits_lost, ulp>N (any result more"
            " than N ulp off); repeatable, or a list with commas; none.  [default: shifted:broken]",
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Nothing but the exit code, and on stderr what failed.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Count what breaks."""
    from stablelse.cli.sink import open_sink
    from stablelse.cli.source import is_missing

    source = Input(**files._asdict())
    if is_missing(source):
        typer.echo(context.get_help())
        return
    if quiet and (output.kind != "table" or output.output):
        other = "--output" if output.output else "--json" if output.json else "--format"
        raise typer.BadParameter(f"--quiet prints nothing: it does not go with {other}")
    conditions, allowed = _conditions(fail_on, max_ulp)
    formats = dtype or _usual_formats()
    with open_sink(None if quiet else output.output) as stream:
        found = _scanned(source, _FUNCTIONS[function], formats, allowed)
        if not quiet:
            _write(stream, found, output)
    _hold(found, conditions)


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
scan.__doc__ = """Which vectors break naive and shifted formulas, in which formats.

    A vector per row, of any number of files, in constant memory. A file of one row or one column is
    one vector, as everywhere; that, --by columns and --by all gather what they read. The methods
    are naive, shifted, and shifted-float32: shifted, with the exponentials and their sum in
    float32. The exit code is 1 if what --fail-on names occurs.

    \\b
    Examples:
      stablelse scan logits.npy
      stablelse scan logits.npy --axis 1
      stablelse scan 'logits-*.npy' --function softmax --dtype bfloat16
      stablelse scan logits.csv --fail-on naive:overflow,shifted:broken -q
      stablelse scan logits.csv --fail-on 'shifted:ulp>4' --json
    """.replace("\\b", "\b")


def _usual_formats() -> list[str]:
    """Return the formats that networks are trained in, as far as they are installed."""
    from stablelse.numerics.formats import installed_formats

    installed = [format_.name for format_ in installed_formats()]
    return [name for name in ("float16", "bfloat16", "float32") if name in installed]


def _conditions(
    fail_on: "list[str] | None", max_ulp: float | None
) -> "tuple[list[Condition], float]":
    """Return what must not occur, and how many ulps may be lost."""
    from stablelse.analysis.results import DIGIT
    from stablelse.analysis.scan import DEFAULT_CONDITIONS, ConditionError, parse_conditions

    try:
        conditions = parse_conditions(",".join(fail_on or [DEFAULT_CONDITIONS]))
    except ConditionError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-on") from None
    if max_ulp is not None and not max_ulp < float("inf"):
        raise typer.BadParameter(f"{max_ulp} is not a number of ulps", param_hint="--max-ulp")
    told = {condition.ulps for condition in conditions if condition.ulps is not None}
    told |= set() if max_ulp is None else {max_ulp}
    if len(told) > 1:
        numbers = " and ".join(f"{number:g}" for number in sorted(told))
        raise typer.BadParameter(
            f"a scan counts by one number of ulps, not by {numbers}: choose one",
            param_hint="--fail-on",
        )
    return conditions, told.pop() if told else DIGIT


def _scanned(source: Input, function: str, formats: list[str], max_ulp: float) -> "Scan":
    from functools import partial
    from itertools import groupby

    from stablelse.analysis.scan import ScanState
    from stablelse.cli.progress import Meter
    from stablelse.cli.source import open_numbers, place_of
    from stablelse.readers import vectors

    state = ScanState(function, formats, max_ulp)
    parsed_to = "longdouble" if "longdouble" in formats else "float64"
    with (meter := Meter(source.file or ["-"])).running():
        blocks, by = open_numbers(source, parsed_to, meter.gauge, alike=source.by is not None)
        # unless it is said what a vector is, the shape of each file tells
        for _, part in groupby(blocks, lambda block: None if by else block.source):
            for stack in vectors(part, by, NOTES.note):
                state.update(stack.values, partial(place_of, stack))
                meter.tell(state.elements, stack.source, {})
    return state.result()


def _write(stream: TextIO, found: "Scan", output: Output) -> None:
    from stablelse.cli.show import show
    from stablelse.render.records import csv_lines, json_line, json_object
    from stablelse.render.scan_text import scan_lines, scan_record, scan_rows

    match output.kind:
        case "table":
            show([found], stream, output)
        case "plain":
            stream.writelines(f"{line}\n" for line in scan_lines(found))
        case "csv":
            stream.writelines(csv_lines(scan_rows(found)))
        case "json":
            stream.write(json_object(scan_record(found) | NOTES.fields()))
        case "jsonl":
            stream.write(json_line(scan_record(found) | NOTES.fields()))


def _hold(found: "Scan", conditions: "Sequence[Condition]") -> None:
    """Say what occurred that must not, and end with exit code 1."""
    from stablelse.analysis.scan import failures
    from stablelse.render.scan_text import failure_text

    failed = list(failures(found, conditions))
    for failure in failed:
        typer.echo(f"stablelse: failed: {failure_text(failure, found)}", err=True)
    if failed:
        raise typer.Exit(1)
