"""The limits of the formats."""

from typing import Annotated

import typer

from stablelse.cli.options import Output


def limits(
    output: Output,
    dtype: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="Only this format; repeatable.  [default: all]"),
    ] = None,
) -> None:
    """Where exp leaves each floating-point format.

    Everything is computed from the formats. bfloat16 and float8 are shown where the extra
    `ml` is installed.
    """
    from stablelse.analysis.limits import limits as compute
    from stablelse.cli.show import show
    from stablelse.cli.sink import open_sink
    from stablelse.numerics.formats import find_format, installed_formats
    from stablelse.render.plain import limits_lines
    from stablelse.render.records import csv_lines, flat_rows, json_document, json_line, record

    formats = [find_format(name) for name in dtype] if dtype else installed_formats()
    result = compute(formats)
    with open_sink(output.output) as stream:
        match output.kind:
            case "table":
                show([result], stream, output)
            case "plain":
                stream.writelines(f"{line}\n" for line in limits_lines(result))
            case "csv":
                stream.writelines(csv_lines(flat_rows(result)))
            case "json":
                stream.writelines(json_document("formats", map(record, result.formats)))
            case "jsonl":
                stream.writelines(json_line(record(row)) for row in result.formats)
