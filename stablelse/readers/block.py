"""What flows out of every reader, what may be asked of it, and how it complains.

The types are named tuples: a data class takes five times as long to define, at every start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    Array = np.ndarray  # numpy.typing takes its time to import


class ReadError(ValueError):
    """Input that cannot be read: ``str(error)`` is one line, with the place and the mend."""


class By(Enum):
    """What one vector is."""

    ROWS = "rows"
    COLUMNS = "columns"
    ALL = "all"


class Block(NamedTuple):
    """Some rows of numbers, shape (rows, columns)."""

    #: In the type that text is parsed to, or that a file has; NaN where a cell is missing.
    values: Array
    #: Where they are from: the path, or ``"standard input"``.
    source: str
    #: How many rows of numbers lie before them in this source.
    offset: int
    #: Where a cell was blank or NA; ``None`` where none was.
    missing: npt.NDArray[np.bool_] | None = None
    #: The names of the columns, if there was a header.
    columns: tuple[str, ...] | None = None
    #: Where a mask says that there is no number, and -inf stands; ``None`` without a mask.
    masked: npt.NDArray[np.bool_] | None = None
    #: What a vector is, where the input says so: each row, if they are lists, whose length may
    #: differ from block to block. Of an array that is read down its columns, each column.
    by: By | None = None
    #: How long the axes are over which rows are counted, if they are several.
    outer: tuple[int, ...] = ()
    #: The positions in the file, from 0, of index columns, which are not among these.
    left_out: tuple[int, ...] = ()

    def mapped(self, change: Callable[[Array], Array]) -> Block:
        """Return the same block with a change made to its numbers and to what is told of them."""
        missing, masked = (
            None if cells is None else change(cells) for cells in (self.missing, self.masked)
        )
        return self._replace(values=change(self.values), missing=missing, masked=masked)


class Gauge:
    """Counts the bytes read of all sources it is given to, as they lie there: packed or not."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Note(NamedTuple):
    """One line that a reader tells the user and that is not an error."""

    text: str
    #: What it is about: the path, or ``"standard input"``.
    source: str = ""
    #: The names of the columns, if the note is that there is a header.
    header: tuple[str, ...] | None = None


class ReadOptions(NamedTuple):
    """How input is to be read. What concerns only text does not matter to a file of numbers."""

    #: Which of several named arrays is wanted; ``None``: the only one.
    key: str | None = None
    #: Which axis of an array has the vectors, from 0, or from -1 backward; ``None``: the last.
    axis: int | None = None
    #: The name of a column or its number, from 1, each, in the order in which they are wanted; a
    #: name in the header goes before a number. Empty: all, but for an index of pandas or R.
    columns: tuple[str, ...] = ()
    #: Whether the first line holds names; ``None``: if a cell begins with a letter or an
    #: underscore, or is a word in quotes, and none is a number or begins like one.
    header: bool | None = None
    #: Whether a blank or NA cell is left out, instead of being an error.
    skip_na: bool = False
    #: One character; a blank stands for any run of blanks and tabs. ``None``: a tab, a semicolon,
    #: a bar, a comma or blanks, the first of these that the first row of numbers has.
    delimiter: str | None = None
    #: ``"."`` or ``","``. Never guessed.
    decimal: str = "."
    #: What text and integers are converted to: ``"float64"`` or ``"longdouble"``.
    dtype: npt.DTypeLike = "float64"
    #: Told how many bytes are read.
    gauge: Gauge | None = None
    #: Whether true and false, in any case, are the numbers 1 and 0, as a mask may have it.
    words: bool = False
    #: Called with each note; with the same ones again where a file is read again.
    note: Callable[[Note], None] | None = None

    def tell(self, notes: Iterable[Note]) -> None:
        """Pass notes on to whoever wants them."""
        if self.note is not None:
            for note in notes:
                self.note(note)


#: Everything detected, nothing left out.
DEFAULTS = ReadOptions()

#: How many characters of the input, and of a library's error, a complaint repeats.
_QUOTED = 40
_REPEATED = 160


def quoted(text: str) -> str:
    """Return a piece of the input in quotes, cut short, for a complaint of one line."""
    return repr(text) if len(text) <= _QUOTED else repr(text[:_QUOTED]) + "..."


def shown(path: str) -> str:
    """Return a path as a complaint shows it: as it is, unless it is empty or no text."""
    return path if path and path.isprintable() else repr(path)


def in_one_line(error: BaseException) -> str:
    """Return what a library complains of, cut short, for a complaint of one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _REPEATED else text[:_REPEATED] + "..."


@contextmanager
def complaining_of_damage(name: str) -> Iterator[None]:
    """Say that a file is damaged where a library fails that reads it."""
    try:
        yield
    except ReadError:
        raise
    except Exception as error:  # damage makes libraries raise errors of any kind
        is_bare = isinstance(error, EOFError) and not str(error)
        what = "it ends too early" if is_bare else in_one_line(error)
        raise ReadError(f"{name} is damaged ({what}); copy or save it again") from None


def damaged(source: str, kind: str, what: str) -> ReadError:
    """Return the complaint of a file that is not as its kind has to be."""
    return ReadError(f"{source} is a damaged {kind} file: {what}; copy or save it again")
