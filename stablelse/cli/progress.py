"""How far a long run has got: on a terminal after a second, and where it is interrupted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from stablelse.readers.block import Gauge

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: What takes less is over before anyone has read how far it got.
PATIENCE = 1.0  # seconds

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


class Meter:
    """Tells how far a run has got.

    Parameters
    ----------
    files : sequence of str
        What is read.
    gauge : Gauge
        Has been given to the readers.
    passes : int
        How often it is read.
    """

    def __init__(self, files: list[str], gauge: Gauge, passes: int = 1) -> None:
        self.gauge = gauge
        self._files = files
        self._passes = passes
        self._begin = time.monotonic()
        self._count = 0
        self._place = ""
        self._shown: tuple[Progress, TaskID] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Clear the screen in the end; if interrupted, say in one line how far it got."""
        try:
            yield
        except KeyboardInterrupt:
            self._clear()
            typer.echo(f"stablelse: interrupted after {self._so_far()}", err=True)
            raise
        finally:
            self._clear()

    def tell(self, count: int, place: str, values: dict[str, Any]) -> None:
        """Take note of how far it is.

        Parameters
        ----------
        count : int
            The numbers so far.
        place : str
            The file that the last ones are from.
        values : dict of str to scalar
            The results so far, by what they are called.
        """
        self._count, self._place = count, place
        if self._shown is None:
            if time.monotonic() - self._begin < PATIENCE or not _is_watched():
                return
            self._shown = self._show()
        from stablelse.render.numbers import rough_text

        progress, task = self._shown
        told = "  ".join(f"{name} {rough_text(value, 8)}" for name, value in values.items())
        progress.update(task, completed=self.gauge.count, told=told, speed_told=self._speed())

    def _so_far(self) -> str:
        text = f"{self._count:,} numbers"
        total = total_bytes(self._files)
        if total is not None:
            text += f", {_bytes(self.gauge.count)} of {_bytes(total * self._passes)}"
        return text + (f", in {self._place}" if self._place else "")

    def _speed(self) -> str:
        speed = self._count / (time.monotonic() - self._begin)
        return f"{speed / 1e6:.1f} million/s" if speed >= 1e5 else f"{speed:,.0f}/s"

    def _show(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        total = total_bytes(self._files)
        columns: list[Any] = [BarColumn(12), DownloadColumn()] if total else [DownloadColumn()]
        columns.append(TextColumn("{task.fields[speed_told]}"))
        columns += [Remaining(compact=True)] if total else []
        columns.append(TextColumn("{task.fields[told]}", markup=False))
        progress = Progress(
            *columns,
            console=Console(stderr=True, highlight=False, markup=False),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        every_pass = None if total is None else total * self._passes
        task = progress.add_task("", total=every_pass, told="", speed_told="")
        progress.start()
        return progress, task

    def _clear(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()
            self._shown = None


def total_bytes(files: list[str]) -> int | None:
    """Return how many bytes all files have, ``None`` where that cannot be known."""
    from stablelse.readers.parts import find_parts
    from stablelse.readers.source import is_url

    if any(path == "-" or is_url(path) for path in files):
        return None
    parts = [part for path in files for part in find_parts(path)]
    return sum(os.path.getsize(part) for part in parts) or None  # of a named pipe it is 0


def _is_watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _bytes(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
