"""How a command takes bundles of options, so that Typer sees each of them."""

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import (
    Cluster,
    FigureOutput,
    Files,
    Input,
    Labels,
    Methods,
    NotesOutput,
    Output,
)


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose parameters are bundles the options of the bundles.

    Parameters
    ----------
    command : callable
        Some of its parameters are annotated with the bundles, no annotation
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
        # Every command needs NumPy. From deeper down the stack its import takes a third longer:
        # Python keeps frames in chunks, and calls across the border of two map memory each time.
        import_module("numpy")
        NOTES.begin(quiet=options.get("quiet", False))
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


_BUNDLES = (Input, Files, Labels, Methods, Output, NotesOutput, FigureOutput, Cluster)
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


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
