"""The guided tour: scene by scene in a terminal, straight through elsewhere."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from stablelse.cli.options import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from stablelse.analysis.tour import Scene

#: Keys that lead back, and out: backspace and the left arrow; q, Escape, and the end of input.
_BACK = ("\x7f", "\x08", "\x1b[D", "\x1bOD")
_OUT = ("q", "Q", "\x1b", "\x04")


def demo(
    output: Output,
    scene: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this scene; repeatable.  [default: all]"),
    ] = None,
    straight: Annotated[
        bool, typer.Option("--all", help="Straight through, without waiting for keys.")
    ] = False,
    names: Annotated[bool, typer.Option("--list", help="The names of the scenes.")] = False,
) -> None:
    """Tour the ways in which numbers are lost."""
    from stablelse.analysis.tour import SCENES
    from stablelse.cli.sink import console_for, open_sink
    from stablelse.render.tour import WORDS

    for name in scene or []:
        check_scene(name)
    if names and (output.kind != "table" or output.save):
        raise typer.BadParameter("--list has names alone: leave out --format, --json and --save")
    with open_sink(output.output) as stream:
        if names:
            stream.writelines(f"{name:<15} {WORDS[name].title}\n" for name in scene or SCENES)
        elif scene or straight or output.kind != "table" or not _is_interactive(output):
            _write(stream, computed(scene or list(SCENES)), output)
        else:
            _walk(console_for(stream), list(SCENES))


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
demo.__doc__ = """A guided tour of the ways in which numbers are lost, and of what keeps them.

    One scene a screen: any key goes on, backspace goes back, q leaves. Everything is computed
    as it is shown. Where the output or the input is no terminal, it goes straight through.

    \b
    Examples:
      stablelse demo
      stablelse demo --all
      stablelse demo --list
      stablelse demo --scene overflow --scene shift
      stablelse demo --scene near-zero --save near-zero.svg
    """


def check_scene(name: str) -> None:
    """Complain of a scene that there is not."""
    from stablelse.analysis.tour import SCENES, unknown_scene

    if name not in SCENES:
        raise typer.BadParameter(unknown_scene(name), param_hint="--scene")


def computed(names: Sequence[str]) -> "Iterator[Scene]":
    """Yield scenes as they are computed; to ask the libraries takes seconds, and that is told."""
    from stablelse.analysis.tour import tour

    for name in names:
        if name == "libraries" and sys.stderr is not None and sys.stderr.isatty():
            typer.echo(" asking the installed libraries ...", err=True)
        yield from tour([name])


def _is_interactive(output: Output) -> bool:
    """Whether somebody sits at a terminal, with nothing to be kept."""
    if output.output or output.save or os.environ.get("TERM") == "dumb":
        return False
    streams = (sys.stdin, sys.stdout)
    return all(stream is not None and stream.isatty() for stream in streams)


def _walk(console: "Console", names: Sequence[str]) -> None:
    """Show scene after scene, wait for a key after each, and leave the screen clear of prompts."""
    index = 0
    while index < len(names):
        console.clear()
        (scene,) = computed([names[index]])
        console.clear()
        console.print(scene, crop=False)
        is_last = index == len(names) - 1
        on = "any key ends the tour" if is_last else "any key goes on"
        console.print(f" {on}, backspace goes back, q leaves", style="dim", end="")
        try:
            key = _key()
        finally:
            console.print()
        if key in _OUT:
            return
        index = max(index - 1, 0) if key in _BACK else index + 1


def _key() -> str:
    try:
        return typer.getchar()
    except EOFError:
        return _OUT[0]


def _write(stream: TextIO, scenes: "Iterable[Scene]", output: Output) -> None:
    from stablelse.cli.show import show
    from stablelse.render.records import csv_lines, json_document, json_line, record
    from stablelse.render.tour import figure_rows, scene_lines

    match output.kind:
        case "table":
            for together in [list(scenes)] if output.save else ([scene] for scene in scenes):
                show(together, stream, output)
        case "plain":
            stream.writelines(f"{line}\n" for scene in scenes for line in [*scene_lines(scene), ""])
        case "csv":
            stream.writelines(csv_lines(row for scene in scenes for row in figure_rows(scene)))
        case "json":
            stream.writelines(json_document("scenes", map(record, scenes)))
        case "jsonl":
            stream.writelines(json_line(record(scene)) for scene in scenes)
