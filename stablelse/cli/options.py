"""The options that commands share, in bundles; how they are taken says `stablelse.cli.bundles`."""

from typing import Annotated, Literal, NamedTuple

import typer

_Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        "-k",
        metavar="NAME",
        help="Which array of a .npz or safetensors; which field of JSON, or a path: a.b[].c.",
    ),
]
_Axis = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Which axis of an array has the vectors, from 0 or, backward, -1.  [default: -1]",
    ),
]
_Column = Annotated[
    list[str] | None,
    typer.Option("--column", "-c", metavar="NAME|INDEX", help="Only this column, from 1."),
]
_By = Annotated[
    Literal["rows", "columns", "all"] | None,
    typer.Option(help="What one vector is; a row, if there are several rows and columns."),
]
_Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Otherwise: if line 1 holds names, and no numbers."),
]
_SkipNa = Annotated[
    bool,
    typer.Option(
        "--skip-na", help="Leave out cells that are blank, NA or #N/A.", show_default=False
    ),
]
_Delimiter = Annotated[
    str | None, typer.Option("--delimiter", "-d", metavar="CHAR", help="Otherwise: detected.")
]
_Decimal = Annotated[
    Literal[".", ","], typer.Option(help="The decimal sign; a comma is never guessed.")
]


class Input(NamedTuple):
    """Where the numbers come from, and how a file is read."""

    numbers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NUMBER]...", help="The vector x; negative numbers as they are."),
    ] = None
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help="A file, directory, glob or URL; repeatable; - is standard input. In text, # at"
            " the beginning of a line or after a blank starts a comment.",
        ),
    ] = None
    key: _Key = None
    axis: _Axis = None
    column: _Column = None
    by: _By = None
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|I,J",
            help="Only this vector, from 1, shown in full; I,J in an array of three axes.",
        ),
    ] = None
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="A file with a cell for each number: 1 or true keeps it, 0 or false counts as"
            " -inf; or one row of them, for every row.",
        ),
    ] = None


class Files(NamedTuple):
    """Files that are named one after another, and how they are read."""

    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Files, directories, globs or URLs; - is standard input. In text, # starts a"
            " comment.",
        ),
    ] = None
    key: _Key = None
    axis: _Axis = None
    column: _Column = None
    by: _By = None
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."


class Labels(NamedTuple):
    """Where the labels of vectors are."""

    labels: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The labels, counted from 0: a file as the logits may be in, one for each vector.",
        ),
    ] = None
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|INDEX",
            help="The column of the labels, from 1: of the file of --labels, or of the logits'.",
        ),
    ] = None
    label_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which array or field of --labels; without it, of the logits' file.",
        ),
    ] = None
    label: Annotated[
        int | None, typer.Option(metavar="K", help="The label of a single vector.")
    ] = None
    ignore_index: Annotated[
        int, typer.Option(metavar="K", help="A label that says to leave its vector out.")
    ] = -100


class Methods(NamedTuple):
    """How the numbers are computed with."""

    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            metavar="naive|shifted|division-free|exact",
            help="Only this method; repeatable.  [default: all but division-free]",
        ),
    ] = None
    shift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="max|min|mean|A", help="The a of the identity; repeatable.  [default: max]"
        ),
    ] = None
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT",
            help="The floating-point format, as `stablelse limits` lists them; repeatable."
            "  [default: float64]",
        ),
    ] = None


_Json = Annotated[bool, typer.Option("--json", help="Short for --format json.", show_default=False)]
_File = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there, whole or not at all."),
]


def _checked(paths: list[str] | None) -> list[str] | None:
    if paths:
        from stablelse.cli.show import check_suffixes

        check_suffixes(paths)
    return paths


def _checked_figures(paths: list[str] | None) -> list[str] | None:
    if paths:
        from stablelse.cli.show import check_suffixes

        check_suffixes(paths, figures=True)
    return paths


#: For any command that shows something; `stablelse.cli.show.show` does it.
Save = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.svg|html|txt",
        callback=_checked,
        help="Keep the picture of the table as well, as wide as the screen; repeatable; not with"
        " --quiet or another --format.",
    ),
]


class Output(NamedTuple):
    """What is printed and saved, and where to."""

    format: Annotated[
        Literal["table", "plain", "json", "jsonl", "csv"], typer.Option(help="What is printed.")
    ] = "table"
    json: _Json = False
    output: _File = None
    save: Save = None
    title: str = ""  # no option: the command as it was typed, where a picture is saved

    @property
    def kind(self) -> str:
        """The format asked for, either way."""
        return "json" if self.json else self.format


class NotesOutput(NamedTuple):
    """What is printed and saved, also in the forms that notes and slides are written in."""

    format: Annotated[
        Literal["table", "plain", "markdown", "latex", "json", "jsonl", "csv"],
        typer.Option(help="What is printed."),
    ] = "table"
    json: _Json = False
    output: _File = None
    save: Save = None
    title: str = ""  # no option: the command as it was typed, where a picture is saved

    @property
    def kind(self) -> str:
        """The format asked for, either way."""
        return "json" if self.json else self.format


class FigureOutput(NamedTuple):
    """What is printed and saved, where the result is also drawn as a figure."""

    format: Annotated[
        Literal["table", "plain", "json", "jsonl", "csv"], typer.Option(help="What is printed.")
    ] = "table"
    json: _Json = False
    output: _File = None
    save: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.png|svg|pdf|html|txt",
            callback=_checked_figures,
            help="Keep a figure for a paper or a slide (.png, .svg, .pdf), or the picture of the"
            " screen (.html, .txt); repeatable; not with another --format.",
        ),
    ] = None
    title: str = ""  # no option: the command as it was typed, where a picture is saved

    @property
    def kind(self) -> str:
        """The format asked for, either way."""
        return "json" if self.json else self.format


class Cluster(NamedTuple):
    """Where the work is done."""

    engine: Annotated[
        Literal["local", "dask"], typer.Option(help="Where long files are summed up.")
    ] = "local"
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="A Dask cluster, tcp://host:8786.  [default: $DASK_SCHEDULER_ADDRESS, or"
            " processes here]",
        ),
    ] = None


#: In this process.
HERE = Cluster()

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="The value alone, for scripts: correctly rounded, or that of --method.",
        show_default=False,
    ),
]
Empty = Annotated[
    Literal["nan", "zero", "uniform", "error"],
    typer.Option(help="What is made of a vector that is masked throughout or holds -inf alone."),
]
Errors = Annotated[
    bool,
    typer.Option(
        "--errors",
        help="Relative errors beside their bounds, and the condition number.",
        show_default=False,
    ),
]
Steps = Annotated[
    bool,
    typer.Option("--steps", help="The evaluation, operation by operation.", show_default=False),
]
