"""Pictures on a terminal and in files, with Rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from rich.console import Group

from stablelse.cli.options import FIGURES
from stablelse.files import before_end, open_sink
from stablelse.render import FORMS, form
from stablelse.render.export import SAVED, WIDTH
from stablelse.render.layout import console_of

#: Rich's settings for --color; by default, Rich colours only terminals that have colour.
COLORS: dict[str, dict[str, Any]] = {
    "auto": {},
    "always": {"force_terminal": True, "color_system": "standard", "no_color": False},
    "never": {"no_color": True, "color_system": None},
}


def show(results: Iterable[Any], stream: Any, request: Any, hide: Callable[[], None]) -> None:
    """Save pictures, then print them; if saving fails, nothing is printed."""
    console = console_of(stream, **COLORS[request.color])
    if request.save:
        results = list(results)
        is_wide = stream.isatty() or os.environ.get("COLUMNS")
        _save(results, request, console.width if is_wide else WIDTH)
    for picture in results:
        hide()
        console.print(picture, crop=False)


def _save(results: list[Any], request: Any, width: int) -> None:
    """Save pictures to files, in the formats of their suffixes."""
    is_drawn = "figure" in FORMS.get(type(results[0]).__name__, {})
    with ExitStack() as files:
        for path in request.save:
            suffix = Path(path).suffix.lower()
            if is_drawn and suffix in FIGURES:
                drawn = form(results[0], "figure")(results[0], suffix)
                files.enter_context(open_sink(path, "wb")).write(drawn)
            else:
                text = SAVED[suffix](Group(*results), request.title, width)
                files.enter_context(open_sink(path)).write(text)


@contextmanager
def terminal_restored(leave: str) -> Iterator[None]:
    """Write this, and put the terminal back as it is now, if a signal comes within the block."""
    if find_spec("termios") is None:
        yield
        return
    keys, shown = sys.stdin.fileno(), os.dup(sys.stdout.fileno())  # others replace these streams
    before = resolve_name("termios:tcgetattr")(keys)

    def restore(_: int) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # for what other threads still write
            os.dup2(nowhere, stream)
        os.write(shown, leave.encode())
        resolve_name("termios:tcsetattr")(keys, 0, before)  # 0: now

    try:
        with before_end(restore):
            yield
    finally:
        os.close(shown)
