"""The options that commands share, in bundles, and how a command takes a bundle."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import typer

_Key = Annotated[
    str | None,
    typer.Option("--key", "-k", metavar="NAME", help="Which array of a .npz or safetensors."),
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
    typer.Option("--header/--no-header", help="Otherwise: if a cell of line 1 is no number."),
]
_SkipNa = Annotated[
    bool, typer.Option("--skip-na", help="Leave out blank and NA cells.", show_default=False)
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
            help="A file, directory, glob or URL; repeatable; - is standard input.",
        ),
    ] = None
    key: _Key = None
    column: _Column = None
    by: _By = None
    row: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, help="Only this vector, from 1, shown in full."),
    ] = None
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."


class Files(NamedTuple):
    """Files that are named one after another, and how they are read."""

    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files, directories, globs or URLs; - is standard input."
        ),
    ] = None
    key: _Key = None
    column: _Column = None
    by: Annotated[Literal["rows", "columns", "all"], typer.Option(help="What one vector is.")] = (
        "rows"
    )
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."


class Methods(NamedTuple):
    """How the numbers are computed with."""

    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            metavar="naive|shifted|division-free|compensated|exact",
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
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--no-exact",
            help="The correctly rounded value, and all errors in ulps; otherwise: if quick, or if"
            " errors are asked for.",
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
        help="The value alone, for scripts: the library's, or that of --method.",
        show_default=False,
    ),
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


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose parameters are bundles the options of the bundles.

    Parameters
    ----------
    command : callable
        Some of its parameters are annotated with the bundles of this module, no annotation
        is a string.

    Returns
    -------
    callable
        Takes every option of the bundles as a keyword, as Typer wants it, and the context.
    """
    bundles: dict[str, Any] = {}
    context = inspect.Parameter("context", _KEYWORD, annotation=typer.Context)
    parameters = [context]
    wants_context = False
    for parameter in inspect.signature(command).parameters.values():
        if parameter.annotation in _BUNDLES:
            bundles[parameter.name] = parameter.annotation
            parameters += _options(parameter.annotation)
        elif parameter.name == context.name:
            wants_context = True
        else:
            parameters.append(parameter.replace(kind=_KEYWORD))

    def typer_command(context: typer.Context, **options: Any) -> None:
        for name, bundle in bundles.items():
            given = bundle(**{p.name: options.pop(p.name) for p in _options(bundle)})
            if getattr(given, "save", None):
                from stablelse.cli.show import titled

                given = titled(given, context, quiet=options.get("quiet", False))
            options[name] = given
        if wants_context:
            options["context"] = context
        command(**options)

    typer_command.__name__ = command.__name__
    typer_command.__doc__ = command.__doc__
    typer_command.__annotations__ = {p.name: p.annotation for p in parameters}
    typer_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typer_command


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_BUNDLES = (Input, Files, Methods, Output, NotesOutput, Cluster)


@cache
def _options(bundle: type[Any]) -> list[inspect.Parameter]:
    """Return the fields that are options: those that say how they are told."""
    return [
        inspect.Parameter(
            name,
            _KEYWORD,
            default=bundle._field_defaults[name],
            annotation=annotation,
        )
        for name, annotation in bundle.__annotations__.items()
        if hasattr(annotation, "__metadata__")
    ]
