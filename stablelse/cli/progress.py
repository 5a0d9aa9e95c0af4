"""Notes and progress on stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from stablelse.cli import tell
from stablelse.files import before_end, signals_held
from stablelse.printable import printable
from stablelse.readers.blocks import Gauge, Note, ReadError
from stablelse.readers.sources import find_files, is_url
from stablelse.readers.vectors import Vectors

if TYPE_CHECKING:
    from stablelse.cli.options import Request

#: Shorter runs end before anyone could read their progress.
PATIENCE = 1.0  # seconds

#: How often the progress is redrawn, in seconds.
_EVERY = 0.1

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
        tell(f"note: {source}{note.text}", _CLEAR if _is_screen() else "")

    def note_of_numbers(self, note: Note) -> None:
        """Print a note about the numbers themselves, not about masks or labels."""
        self.header = self.header or note.header
        self.note(note)


#: The notes of the running command.
NOTES = Notes()


def _is_screen() -> bool:
    """Whether somebody sees stderr, and a line of it can be cleared."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Meter:
    """Shows the progress of a run; without files there is nothing to wait for."""

    def __init__(self, files: list[str]) -> None:
        self.gauge = Gauge()
        self.passes = 1  # how often the files are read, as far as known
        self._files, self._begin = files, time.monotonic()
        self._count, self._place = 0, ""
        self._trouble = ""  # why nothing happens
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the progress of a block; if interrupted, say in one line how far it got."""
        if self._files and _is_screen():
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
        if number != getattr(signal, "SIGPIPE", None):
            place = f", in {self._place}" if self._place else ""
            tell(f"interrupted after {self._count:,} numbers, {self._read()}{place}")

    def hide(self) -> None:
        """Clear the progress line before output."""
        with signals_held():
            self._is_over.set()
            if self._thread is not None:
                self._thread.join()
                self._thread = None

    def tell(self, count: int, place: str) -> None:
        """Record how many numbers have been read, and from where."""
        self._count, self._place = count, place

    def warn(self, trouble: str) -> None:
        """Show why nothing happens, in the progress or, if nobody sees it, in a note."""
        self._trouble = trouble
        if trouble and self._thread is None:
            NOTES.note(Note(f"waiting for the cluster: {trouble}"))

    def following(self, stacks: Iterator[Any]) -> Iterator[Any]:
        """Yield vectors, and record the progress, which streams record themselves."""
        for stack in stacks:
            yield stack
            if isinstance(stack, Vectors):
                self.tell(self._count + stack.values.size, stack.source)

    def _draw(self) -> None:
        """Show the progress after a while, in a thread, since the first numbers may take long."""
        if self._is_over.wait(PATIENCE):
            return
        with suppress(OSError):  # the terminal is gone
            while not self._is_over.wait(_EVERY):
                width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
                sys.stderr.write(_CLEAR + printable(self._line())[: width - 1])
                sys.stderr.flush()
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def _line(self) -> str:
        """Return how much is read, how fast, how long the rest takes, and what keeps it."""
        done, seconds = self.gauge.count, time.monotonic() - self._begin
        speed, left = self._count / seconds, ""
        if self._total and done:
            left_bytes = max(0, self._total * self.passes - done)
            minutes, rest = divmod(round(seconds * left_bytes / done), 60)
            left = f"  {minutes}:{rest:02} left"
        fast = f"{speed / 1e6:.1f} million/s" if speed >= 1e5 else f"{speed:,.0f}/s"
        return f"{self._read()}  {fast}{left}  {self._trouble}"

    def _read(self) -> str:
        """Return how many bytes are read, of how many if that is known."""
        size = resolve_name("rich.filesize:decimal")
        whole = f" of {size(self._total * self.passes)}" if self._total else ""
        return f"{size(self.gauge.count)}{whole}"

    @cached_property
    def _total(self) -> int | None:
        """The size of all files in bytes, if it is known."""
        if any(path == "-" or is_url(path) for path in self._files):
            return None
        try:
            parts = [part for path in self._files for part in find_files(path)]
            return sum(os.path.getsize(part) for part in parts) or None  # a named pipe has size 0
        except (OSError, ReadError):  # the reader will complain
            return None


def meter_of(source: Request) -> Meter:
    """Return the meter of the files; arguments need none."""
    return Meter([] if source.numbers else source.file or ["-"])
