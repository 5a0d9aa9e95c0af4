"""Notes and progress on stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from stablelse.cli import tell
from stablelse.files import before_end, signals_held
from stablelse.readers import Gauge, Note, ReadError, Vectors, find_files, is_url
from stablelse.render.numbers import rough_text

if TYPE_CHECKING:
    from stablelse.cli.options import Request

#: Shorter runs end before anyone could read their progress.
PATIENCE = 1.0  # seconds

#: How often the progress is redrawn, in seconds.
_EVERY = 0.1

#: Draws the progress; loads Rich.
_BAR = "stablelse.cli.bar:bar"


#: Clears the line that may show the progress.
_CLEAR = "\r\x1b[2K"


class Notes:
    """The notes of one command; the same note for several files is printed once."""

    def __init__(self) -> None:
        self.begin(quiet=False)

    def begin(self, quiet: bool) -> None:
        """Forget all notes; a quiet command prints none about headers."""
        self.header: tuple[str, ...] | None = None  # the names of the numbers' columns
        self._quiet = quiet
        self._printed: set[str] = set()

    def note(self, note: Note) -> None:
        """Print a note."""
        if note.text in self._printed or (self._quiet and note.header is not None):
            return
        self._printed.add(note.text)
        source = f"{note.source}, " if note.source else ""
        has_line = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        tell(f"note: {source}{note.text}", _CLEAR if has_line else "")

    def note_of_numbers(self, note: Note) -> None:
        """Print a note about the numbers themselves, not about masks or labels."""
        self.header = self.header or note.header
        self.note(note)


#: The notes of the running command.
NOTES = Notes()


class Meter:
    """Shows the progress of a run; without files there is nothing to wait for."""

    def __init__(self, files: list[str]) -> None:
        self.gauge = Gauge()
        self.passes = self._begun = 1  # how often the files are read, as far as known
        self._files = files
        self._begin = time.monotonic()
        self._count = 0
        self._place = ""
        self._values: dict[str, Any] = {}
        self._wants_values = False
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the progress of a block; if interrupted, say in one line how far it got."""
        if self._files and sys.stderr is not None and sys.stderr.isatty():
            with signals_held():
                self._thread = threading.Thread(target=self._draw, daemon=True)
                self._thread.start()
        with before_end(self._tell_end):
            try:
                yield
            finally:
                self.hide()

    def _tell_end(self, number: int) -> None:
        """Say in one line how far an interrupted run got, unless nobody reads its output."""
        self.hide()
        if number == getattr(signal, "SIGPIPE", None):
            return
        tell(f"interrupted after {self._so_far()}")

    def hide(self) -> None:
        """Clear the progress line before output."""
        with signals_held():
            self._is_over.set()
            if self._thread is not None:
                self._thread.join()
                self._thread = None

    def again(self) -> Gauge:
        """Return the gauge for another reading of the files."""
        self._begun += 1
        self.passes = max(self.passes, self._begun)
        return self.gauge

    def tell(self, count: int, place: str, values: Callable[[], dict[str, Any]] = dict) -> None:
        """Record the progress; `values` returns the results so far, if they are shown."""
        self._count, self._place = count, place
        if self._wants_values:
            self._values, self._wants_values = values(), False

    def following(self, stacks: Iterator[Vectors]) -> Iterator[Vectors]:
        """Yield the vectors, and record the progress."""
        for stack in stacks:
            yield stack
            self.tell(self._count + stack.values.size, stack.source)

    def _draw(self) -> None:
        """Show the progress after a while, in a thread, since the first numbers may take long."""
        if hasattr(signal, "pthread_sigmask"):  # leave interrupts to the working thread
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if self._is_over.wait(PATIENCE):
            return
        total = total_bytes(self._files)
        with resolve_name(_BAR)(total is not None) as progress:
            task = progress.add_task("", total=total, state="", speed="")
            while not self._is_over.wait(_EVERY):
                self._wants_values = True
                values = self._values.items()
                state = "  ".join(f"{name} {rough_text(value, 8)}" for name, value in values)
                progress.update(
                    task,
                    total=None if total is None else total * self.passes,
                    completed=self.gauge.count,
                    state=state,
                    speed=self._speed(),
                    refresh=True,
                )

    def _so_far(self) -> str:
        text = f"{self._count:,} numbers"
        total = total_bytes(self._files)
        if total is not None:
            size = resolve_name("rich.filesize:decimal")
            text += f", {size(self.gauge.count)} of {size(total * self.passes)}"
        return text + (f", in {self._place}" if self._place else "")

    def _speed(self) -> str:
        speed = self._count / (time.monotonic() - self._begin)
        return f"{speed / 1e6:.1f} million/s" if speed >= 1e5 else f"{speed:,.0f}/s"


def meter_of(source: Request) -> Meter:
    """Return the meter of the files; arguments need none."""
    return Meter([] if source.numbers else source.file or ["-"])


def total_bytes(files: list[str]) -> int | None:
    """Return the size of all files in bytes, or ``None`` if it is unknown."""
    if any(path == "-" or is_url(path) for path in files):
        return None
    try:
        parts = [part for path in files for part in find_files(path)]
        return sum(os.path.getsize(part) for part in parts) or None  # a named pipe has size 0
    except (OSError, ReadError):  # the reader will complain
        return None
