"""The options that commands share, in bundles, and how a command takes a bundle."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

import typer

_INPUT, _METHOD, _OUTPUT = "Input", "Method", "Output"


@dataclass(frozen=True)
class Input:
    """Where the numbers come from, and how a file is read."""

    numbers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NUMBER]...", help="The vector x; negative numbers as they are."),
    ] = None
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Text or .npy; - is standard input."),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option("--column", "-c", metavar="NAME|INDEX", help="Only this column, from 1."),
    ] = None
    by: Annotated[
        Literal["rows", "columns", "all"] | None,
        typer.Option(help="What one vector is; a row, if there are several rows and columns."),
    ] = None
    row: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, help="Only this vector, from 1, shown in full."),
    ] = None
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Otherwise: if a cell of line 1 is no number."),
    ] = None
    skip_na: Annotated[
        bool, typer.Option("--skip-na", help="Leave out blank and NA cells.", show_default=False)
    ] = False
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", "-d", metavar="CHAR", help="Otherwise: detected.")
    ] = None
    decimal: Annotated[
        Literal[".", ","], typer.Option(help="The decimal sign; a comma is never guessed.")
    ] = "."


@dataclass(frozen=True)
class Methods:
    """How the numbers are computed with."""

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


@dataclass(frozen=True)
class Output:
    """What is printed, and where to."""

    format: Annotated[
        Literal["table", "plain", "json", "jsonl", "csv"], typer.Option(help="What is printed.")
    ] = "table"
    json: Annotated[
        bool, typer.Option("--json", help="Short for --format json.", show_default=False)
    ] = False
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there, whole or not at all."),
    ] = None

    @property
    def kind(self) -> str:
        """The format asked for, either way."""
        return "json" if self.json else self.format


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="The library's value alone, for scripts.", show_default=False
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
        Some of its parameters are annotated with dataclasses of this module.

    Returns
    -------
    callable
        Takes every field of the bundles as a keyword, as Typer wants it.
    """
    hints = get_type_hints(command, include_extras=True)
    spread: dict[str, list[str]] = {}
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        annotation = hints[parameter.name]
        if hasattr(annotation, "__dataclass_fields__"):
            spread[parameter.name] = [field.name for field in fields(annotation)]
            parameters += _parameters(annotation)
        else:
            parameters.append(
                parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)
            )

    def typer_command(**options: Any) -> None:
        for name, names in spread.items():
            options[name] = hints[name](**{field: options.pop(field) for field in names})
        command(**options)

    typer_command.__doc__ = command.__doc__
    typer_command.__name__ = command.__name__
    typer_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typer_command.__annotations__ = {p.name: p.annotation for p in parameters}
    return typer_command


def _parameters(bundle: type) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(bundle)
    ]
