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
    """Some rows of numbers.

    Attributes
    ----------
    values : ndarray, shape (rows, columns)
        The numbers: in the type that text is parsed to, or in the floating-point type that a
        file of numbers has. NaN where a cell is missing.
    source : str
        Where they are from: the path, or ``"standard input"``.
    offset : int
        How many rows of numbers lie before them in this source.
    missing : ndarray of bool, shape (rows, columns), or None
        Where a cell was blank or NA; ``None`` where none was.
    columns : tuple of str or None
        The names of the columns, if there was a header.
    masked : ndarray of bool, shape (rows, columns), or None
        Where a mask says that there is no number; -inf stands there. ``None`` without a mask.
    by : By or None
        What a vector is, where the input says so: each row, if they are lists or may differ in
        length from block to block. Of an array that is read down its columns, each column.
    outer : tuple of int
        How long the axes are over which rows are counted, the last one fastest, if they are
        several.
    left_out : tuple of int
        The positions in the file, from 0, of index columns, which are not among these.
    """

    values: Array
    source: str
    offset: int
    missing: npt.NDArray[np.bool_] | None = None
    columns: tuple[str, ...] | None = None
    masked: npt.NDArray[np.bool_] | None = None
    by: By | None = None
    outer: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()


class Gauge:
    """Counts the bytes that are read, of all sources it is given to.

    Attributes
    ----------
    count : int
        The bytes so far, as they lie in the files: packed, if they are.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Note(NamedTuple):
    """What a reader tells the user that is not an error.

    Attributes
    ----------
    text : str
        One line.
    source : str
        What it is about: the path, or ``"standard input"``.
    header : tuple of str or None
        The names of the columns, if the note is that there is a header.
    """

    text: str
    source: str = ""
    header: tuple[str, ...] | None = None


class ReadOptions(NamedTuple):
    """How input is to be read.

    Attributes
    ----------
    key : str or None
        Which of several named arrays is wanted; ``None``: the only one.
    axis : int or None
        Which axis of an array has the vectors, from 0, or from -1 backward; ``None``: the last.
    columns : tuple of str
        The name of a column or its number, from 1, each, in the order in which they are
        wanted; a name in the header goes before a number. Empty: all columns, but for an index
        that pandas or R has written.
    header : bool or None
        Whether the first line holds names; ``None``: if a cell begins with a letter or an
        underscore, or is a word in quotes, and none is a number or begins like one. A blank or NA
        cell decides nothing.
    skip_na : bool
        Whether a blank or NA cell is left out, instead of being an error.
    delimiter : str or None
        What lies between cells, one character; a blank stands for any run of blanks and tabs.
        ``None``: a tab, a semicolon, a bar, a comma or blanks, whichever the first row of numbers
        has, looked for in this order.
    decimal : str
        The decimal sign, ``"."`` or ``","``. Never guessed.
    dtype : str or dtype
        What text and integers are converted to: ``"float64"`` or ``"longdouble"``.
    gauge : Gauge or None
        Told how many bytes are read.
    words : bool
        Whether true and false, in any case, are the numbers 1 and 0, as a mask may have it.
    note : callable or None
        Called with each :class:`Note`; the same ones again where a file is read again.

    Notes
    -----
    Files of numbers (.npy, Parquet) have no delimiter, no decimal sign and no first line that
    might be a header, so these options do not concern them.
    """

    key: str | None = None
    axis: int | None = None
    columns: tuple[str, ...] = ()
    header: bool | None = None
    skip_na: bool = False
    delimiter: str | None = None
    decimal: str = "."
    dtype: npt.DTypeLike = "float64"
    gauge: Gauge | None = None
    words: bool = False
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
