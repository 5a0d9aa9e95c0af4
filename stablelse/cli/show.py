"""How a command shows something: its picture on the screen, and in the files of --save."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from stablelse.cli.app import TYPED
from stablelse.cli.sink import console_for, open_binary_sink, open_sink

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from stablelse.cli.options import FigureOutput, NotesOutput, Output

#: What draws a figure: it takes the suffix of its file, and gives what is in it.
Figure = Callable[[str], bytes]


def show(
    pictures: Sequence[RenderableType],
    stream: TextIO,
    output: Output | NotesOutput | FigureOutput,
    figure: Figure | None = None,
) -> None:
    """Print pictures one below the other, and save them where --save says.

    What is saved is the whole of it, at the width of the screen, and it is saved first: where it
    cannot be, nothing is printed.

    Parameters
    ----------
    pictures : sequence of renderable
        Results that show themselves, or any other that Rich can print.
    stream : text stream
        From `stablelse.cli.sink.open_sink`.
    output : Output, NotesOutput or FigureOutput
        The command's.
    figure : callable, optional
        What draws the figure, where a file has the suffix of one; see `FIGURES`.

    Raises
    ------
    OSError
        If a file cannot be written, with its name; then none is.
    """
    console = console_for(stream)
    if output.save:
        save(pictures, output.save, output.title, _width(console), figure)
    for picture in pictures:
        console.print(picture, crop=False)


def save(
    pictures: Sequence[RenderableType],
    paths: Sequence[str],
    title: str,
    width: int,
    figure: Figure | None = None,
) -> None:
    """Save pictures, one below the other, to files of the kinds that their suffixes tell."""
    from rich.console import Group

    from stablelse.render.export import FIGURES, SAVED

    picture = Group(*pictures)
    with ExitStack() as files:
        for path in paths:
            suffix = Path(path).suffix.lower()
            if figure is not None and suffix in FIGURES:
                drawn = figure(suffix)
                files.enter_context(open_binary_sink(path)).write(drawn)
            else:
                text = SAVED[suffix](picture, title, width)
                files.enter_context(open_sink(path)).write(text)


def check_suffixes(paths: Sequence[str], figures: bool = False) -> None:
    """Complain of a file of no kind that a picture, or a figure, can be saved as."""
    from stablelse.render.export import FIGURES, SAVED

    known = dict.fromkeys([*FIGURES, *SAVED] if figures else SAVED)
    for path in paths:
        suffix = Path(path).suffix.lower()
        if suffix not in known:
            raise typer.BadParameter(
                f"{path!r} ends in none of {', '.join(known)}: the suffix says what is saved"
            )
        if figures and suffix in FIGURES and find_spec("matplotlib") is None:
            raise typer.BadParameter(
                f"{path!r} is a figure, which needs matplotlib: pip install 'stablelse[plot]' "
                "brings it"
            )


def titled(output: Output, context: typer.Context, quiet: bool) -> Output:
    """Return the options of the output with the title of the picture that is to be saved.

    Raises
    ------
    typer.BadParameter
        If no picture is shown, but something else is printed.
    """
    if quiet or output.kind != "table":
        other = "--quiet" if quiet else f"--format {output.kind}"
        raise typer.BadParameter(
            f"--save keeps the picture of the table: it does not go with {other}"
        )
    return output._replace(title=f"{context.command_path} {_typed(context.meta[TYPED])}".rstrip())


def _typed(args: Sequence[str]) -> str:
    """Return the arguments as they were typed, but for the files that the output goes to."""
    told = []
    rest = iter(args)
    for arg in rest:
        if arg in ("--save", "--output", "-o"):
            next(rest, None)
        elif not arg.startswith(("--save=", "--output=", "-o")):
            told.append(arg)
    return shlex.join(told)


def _width(console: Console) -> int:
    """Return the screen's width, that of COLUMNS, or the usual one of pictures."""
    from stablelse.render.export import WIDTH

    return console.width if console.is_terminal or os.environ.get("COLUMNS") else WIDTH
