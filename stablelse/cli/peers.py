"""The installed libraries on the same vectors."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from stablelse.analysis.peers import PEERS, UnknownPeerError, choose_peers
from stablelse.cli.notes import NOTES
from stablelse.cli.options import Input, Output

if TYPE_CHECKING:
    from stablelse.analysis.gallery import Gallery
    from stablelse.analysis.peers.comparison import PeerComparison

#: The functions by the names of their commands.
_FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax", "log-softmax": "log_softmax"}

_NAMES = ", ".join(row.name for row in PEERS[:-1])


def peers(
    source: Input,
    output: Output,
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"] | None,
        typer.Option(help="What to compute.  [default: lse]"),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT", help="The floating-point format; repeatable.  [default: float64]"
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Only this library beside our own; repeatable: {_NAMES}."
            "  [default: all installed]",
        ),
    ] = None,
    time: Annotated[
        bool, typer.Option("--time/--no-time", help="How long each takes per element.")
    ] = True,
) -> None:
    """Show what each library gives."""
    from stablelse.cli.sink import open_sink
    from stablelse.cli.source import place_of, read_vectors, refuse_file_options

    names = peer or []
    try:
        choose_peers(names)
    except UnknownPeerError as error:
        raise typer.BadParameter(str(error), param_hint="--peer") from None
    result: Gallery | PeerComparison
    if not source.numbers and not source.file:
        refuse_file_options(source, "without a file")
        if function or dtype:
            option = "--function" if function else "--dtype"
            raise typer.BadParameter(f"{option} goes with numbers or --file, not with the gallery")
        from stablelse.analysis.gallery import gallery

        result = gallery(names)
    else:
        from stablelse.analysis.peers.compare import Stack, compare_stacks
        from stablelse.numerics.formats import find_format
        from stablelse.numerics.functions import Function

        formats = [find_format(name) for name in dtype or ["float64"]]
        parsed_to = "longdouble" if any(f.name == "longdouble" for f in formats) else "float64"
        stacks = (Stack(s.values, partial(place_of, s)) for s in read_vectors(source, parsed_to))
        what = Function(_FUNCTIONS[function or "lse"])
        result = compare_stacks(stacks, what, formats, names, time=time)
    with open_sink(output.output) as stream:
        _write(stream, result, output)


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
peers.__doc__ = """NumPy, SciPy, PyTorch and JAX on the same vectors, held against the exact result.

    Without numbers and files: a gallery of vectors on which they go wrong. Standard input is
    read as `--file -`. Only what is installed is shown; `pip install scipy torch jax` brings
    in more.

    \b
    Examples:
      stablelse peers
      stablelse peers -0.775 -0.6175
      stablelse peers --file logits.csv --function softmax --dtype float16
      seq 1 1000 | stablelse peers --file - --peer scipy --no-time
    """


def _write(stream: TextIO, result: "Gallery | PeerComparison", output: Output) -> None:
    from stablelse.analysis.gallery import Gallery
    from stablelse.cli.show import show
    from stablelse.render.peer_plain import gallery_lines, peer_lines
    from stablelse.render.records import csv_lines, json_line, json_object, peer_rows, record

    comparisons = result.cases if isinstance(result, Gallery) else (result,)
    match output.kind:
        case "table":
            show([result], stream, output)
        case "plain":
            lines = gallery_lines(result) if isinstance(result, Gallery) else peer_lines(result)
            stream.writelines(f"{line}\n" for line in lines)
        case "csv":
            stream.writelines(csv_lines(row for c in comparisons for row in peer_rows(c)))
        case "json":
            stream.write(json_object(record(result) | NOTES.fields()))
        case "jsonl":
            stream.writelines(json_line(record(comparison)) for comparison in comparisons)
