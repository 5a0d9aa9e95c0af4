"""The proof of the identities, on the user's numbers."""

from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import Input, NotesOutput

if TYPE_CHECKING:
    from stablelse.analysis.proof import Proof

#: The functions that have a derivation, by the names of their commands.
_FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax"}


def prove(
    function: Annotated[
        Literal["lse", "softmax"],
        typer.Argument(metavar="lse|softmax", help="Whose identity.", show_default=False),
    ],
    source: Input,
    output: NotesOutput,
    shift: Annotated[
        str | None,
        typer.Option(metavar="max|min|mean|A", help="The a of the identity.  [default: max]"),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT", help="The floating-point format; repeatable.  [default: float64]"
        ),
    ] = None,
) -> None:
    """Prove the identity for any a."""
    from stablelse.cli.sink import open_sink
    from stablelse.cli.source import refuse_file_options

    if source.numbers or source.file:
        proof = _on_numbers(function, source, shift or "max", dtype or ["float64"])
    else:
        refuse_file_options(source, "without a file")
        if shift is not None or dtype:
            option = "--dtype" if shift is None else "--shift"
            raise typer.BadParameter(f"{option} goes with numbers or --file, not without")
        from stablelse.analysis.prove import prove as in_symbols

        proof = in_symbols(None, _FUNCTIONS[function])
    with open_sink(output.output) as stream:
        _write(stream, proof, output)


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
prove.__doc__ = """Why the shift changes nothing: the derivation line by line, on your numbers.

    log sum e^x_i = a + log sum e^(x_i - a), and e^x_j / sum e^x_i = e^(x_j - a) / sum e^(x_i - a),
    for any a. Every line is evaluated exactly, to the last bit, and in the floating-point format,
    so that it shows where that departs, and which line is the one to compute.

    Without numbers and files the derivation is in symbols only. Standard input is read as
    `--file -`. Of many vectors, --row chooses the one that is shown.

    \b
    Examples:
      stablelse prove lse 1000 1001 1002
      stablelse prove lse 1000 1001 1002 --shift 0 --dtype float16
      stablelse prove softmax -1000 -1001 --format markdown
      stablelse prove softmax --format latex > softmax.tex
    """


def _on_numbers(function: str, source: Input, shift: str, dtypes: list[str]) -> "Proof":
    """Return the derivation on the one vector that the input must be."""
    from stablelse.analysis.prove import prove_vector
    from stablelse.cli.source import read_one
    from stablelse.numerics.formats import find_format
    from stablelse.numerics.formulas.shifted import find_shift
    from stablelse.numerics.functions import Function

    formats = [find_format(name) for name in dtypes]
    a = find_shift(shift.strip())
    x, place = read_one(source, formats)
    what = Function(_FUNCTIONS[function])
    return prove_vector(x, what, a, formats, place)


def _write(stream: TextIO, proof: "Proof", output: NotesOutput) -> None:
    if output.kind == "table":
        from stablelse.cli.show import show

        show([proof], stream, output)
        return
    from stablelse.render import derivation_text
    from stablelse.render.records import csv_lines, json_line, json_object

    match output.kind:
        case "json":
            stream.write(json_object(derivation_text.proof_record(proof) | NOTES.fields()))
        case "jsonl":
            stream.write(json_line(derivation_text.proof_record(proof) | NOTES.fields()))
        case "csv":
            stream.writelines(csv_lines(derivation_text.proof_rows(proof)))
        case _:
            lines = getattr(derivation_text, f"{output.kind}_lines")(proof)
            stream.writelines(f"{line}\n" for line in lines)
