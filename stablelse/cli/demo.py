"""The guided tour: scene by scene in a terminal, straight through elsewhere."""

import os
import sys
from collections.abc import Iterator, Sequence

import typer
from rich.console import Console

from stablelse.analysis.demo import SCENES, Scene, demo, find_scene
from stablelse.cli.emit import emit
from stablelse.cli.options import Request
from stablelse.cli.screen import COLORS, terminal_restored
from stablelse.files import open_sink
from stablelse.render import Many
from stablelse.render.demo import scene_title
from stablelse.render.layout import console_of

#: Space, Enter and the right arrow go on; the left arrow and backspace go back; q, Escape and the
#: end of input quit. Other keys do nothing.
_NEXT = (" ", "\r", "\n", "\x1b[C", "\x1bOC")
_BACK = ("\x7f", "\x08", "\x1b[D", "\x1bOD")
_QUIT = ("q", "Q", "\x1b", "\x04")


def run(request: Request) -> None:
    """Show the tour: with keys on a terminal, otherwise straight through."""
    names = request.scene or list(SCENES)
    for name in names:  # refuses wrong names before anything is shown
        find_scene(name)
    if request.list:
        with open_sink(request.output) as stream:
            stream.writelines(f"{name:<15} {scene_title(name)}\n" for name in names)
    elif request.scene or request.all or not _is_interactive(request):
        emit(Many("scenes", _computed(names)), request)
    else:
        with terminal_restored("\r\n"):
            _walk(console_of(sys.stdout, **COLORS[request.color]), names)


def _computed(names: Sequence[str]) -> Iterator[Scene]:
    """Yield computed scenes; asking the libraries takes seconds, so a line says so."""
    for name in names:
        if name == "libraries" and sys.stderr is not None and sys.stderr.isatty():
            typer.echo(" asking the installed libraries ...", err=True)
        yield demo(name)


def _is_interactive(request: Request) -> bool:
    """Whether a person is at a terminal, and nothing is saved."""
    is_kept = request.output or request.save or request.format != "table"
    if is_kept or os.environ.get("TERM") == "dumb":
        return False
    streams = (sys.stdin, sys.stdout)
    return all(stream is not None and stream.isatty() for stream in streams)


def _walk(console: Console, names: Sequence[str]) -> None:
    """Show scene after scene, wait for a key after each, and clear the prompt."""
    index = 0
    left = "<-" if console.options.ascii_only else "←"
    while index < len(names):
        console.clear()
        (scene,) = _computed([names[index]])
        console.clear()
        console.print(scene, crop=False)
        on = "next" if index < len(names) - 1 else "end"
        console.print(f" space {on}   {left} back   q quit", style="dim", end="")
        try:
            key = _key()
        finally:
            console.print()
        if key in _QUIT:
            return
        index = max(index - 1, 0) if key in _BACK else index + 1


def _key() -> str:
    """Wait for a key that does something."""
    try:
        while True:
            # Keys pressed quickly arrive together: the first one counts.
            keys = typer.getchar()
            key = keys if keys.startswith("\x1b") else keys[:1]
            if key in (*_NEXT, *_BACK, *_QUIT):
                return key
    except EOFError:
        return _QUIT[0]
