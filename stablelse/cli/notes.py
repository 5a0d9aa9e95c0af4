"""What is not an error but must not go unsaid: one line each on stderr, and the header in JSON."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablelse.readers import Note

#: Clears the line on which the progress may have been drawn.
_CLEAR = "\r\x1b[2K"


class Notes:
    """The notes of one command; the same one is printed once, however many files it is true of.

    Attributes
    ----------
    header : tuple of str or None
        What the columns of the numbers are called, if a header was found.
    """

    def __init__(self) -> None:
        self.begin(quiet=False)

    def begin(self, quiet: bool) -> None:
        """Forget all notes; a quiet command does not print those about headers."""
        self.header: tuple[str, ...] | None = None
        self._quiet = quiet
        self._printed: set[str] = set()

    def note(self, note: Note) -> None:
        """Print a note."""
        if note.text in self._printed or (self._quiet and note.header is not None):
            return
        self._printed.add(note.text)
        if sys.stderr is not None:
            source = f"{note.source}, " if note.source else ""
            clear = (
                _CLEAR if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else ""
            )
            sys.stderr.write(f"{clear}stablelse: note: {_printable(source + note.text)}\n")

    def note_of_numbers(self, note: Note) -> None:
        """Print a note about the numbers themselves, not about a file beside them."""
        self.header = self.header or note.header
        self.note(note)

    def fields(self) -> dict[str, Any]:
        """Return what JSON says about the input."""
        return {"header": self.header and list(self.header)}


#: Those of the command that runs.
NOTES = Notes()


def _printable(text: str) -> str:
    """Escape what would move the cursor or change the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
