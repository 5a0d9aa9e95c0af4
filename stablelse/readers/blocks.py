"""What all readers share: blocks, options, the choice of columns, and errors.

The types are named tuples: a dataclass takes five times as long to define, at every start.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from stablelse.printable import counted, printable, without_secrets

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Mask = npt.NDArray[np.bool_]
else:
    Array = Mask = np.ndarray  # numpy.typing is slow to import

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How many characters of the input and of a library's message, and how many names, an error shows;
#: and how many characters of names a note shows, which fits a line of the screen.
_QUOTED, _REPEATED, _LISTED, _BRIEF = 40, 160, 8, 22

#: Bytes of the numbers of a block: little memory, but enough to repay the cost of a block.
BLOCK_BYTES = 1 << 22

#: Most bytes to hold at once because of what a file claims, unless the file itself is not much
#: smaller: honest numbers compress to a third, and those of a bomb to a thousandth.
HELD_BYTES, _HELD_RATIO = 1 << 27, 16

#: A name that needs no quotes in a list.
_BARE = re.compile(r"[\w.][\w .()/-]{0,38}")

#: Names that pandas and R give to a table's index, or pandas to an index read back as a column.
_INDEX = re.compile(r"index|level_0|Unnamed: \d+(_level_\d+)?|__index_level_\d+__")


class ReadError(ValueError):
    """Input cannot be read: one line says where the problem is and how to fix it."""


class By(Enum):
    """What one vector is."""

    ROWS = "rows"
    COLUMNS = "columns"
    ALL = "all"


class Block(NamedTuple):
    """Some rows of numbers, shape (rows, columns)."""

    #: In the dtype that text is parsed to, or that of the file; NaN where a cell is missing.
    values: Array
    source: str  # where they come from: the path, or ``"standard input"``
    offset: int  # number of rows before them in this source
    missing: Mask | None = None  # where a cell was blank or NA; ``None`` if none was
    columns: tuple[str, ...] | None = None  # the names of the columns, if there was a header
    #: Where a mask replaces a number by -inf; ``None`` without a mask.
    masked: Mask | None = None
    weights: Array | None = None  # one for each number, in the same shape
    #: What a vector is, if the input says so. Lists may have another length in the next block.
    by: By | None = None
    outer: tuple[int, ...] = ()  # lengths of the axes that rows count over, if several
    #: How many numbers a row has that comes in several blocks, and how many of them came before.
    length: int | None = None
    begin: int = 0

    def mapped(self, change: Callable[[Array], Array]) -> Block:
        """Return the block with its numbers, and the arrays beside them, changed."""
        aligned = {name: getattr(self, name) for name in ("values", "missing", *BESIDE)}
        new: dict[str, Any] = {
            name: change(cells) for name, cells in aligned.items() if cells is not None
        }
        return self._replace(**new)

    def rows(self, begin: int, end: int) -> Block:
        """Return the rows at positions `begin` to `end` - 1, from 0."""
        return self.mapped(lambda cells: cells[begin:end])._replace(offset=self.offset + begin)


#: The fields of blocks and vectors that are None or have a cell for each number.
BESIDE = ("masked", "weights")


class Gauge:
    """Counts the bytes read from its sources, before unpacking."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Note(NamedTuple):
    """One line for the user that is not an error."""

    text: str
    source: str = ""  # what it is about: the path, or ``"standard input"``
    #: The names of the columns, if the note is about a header.
    header: tuple[str, ...] | None = None


class ReadOptions(NamedTuple):
    """How to read input."""

    key: str | None = None  # which of several named arrays to read; ``None``: the only one
    #: The axis along which an array's vectors lie, from 0, or from -1 backward; ``None``: the last.
    axis: int | None = None
    #: Names of columns, or their numbers from 1, in the order wanted; a name takes precedence over
    #: a number. Empty: all except an index of pandas or R.
    columns: tuple[str, ...] = ()
    last: str | None = None  # the column to put last, also if it is not among these
    #: Whether the first line holds names; ``None``: if a cell looks like one, none like a number.
    header: bool | None = None
    skip_na: bool = False  # whether to leave out blank and NA cells, instead of raising an error
    #: One character; a blank means any run of blanks and tabs. ``None``: detected.
    delimiter: str | None = None
    decimal: str = "."  # ``"."`` or ``","``; never guessed
    #: The dtype for text and integers: ``"float64"`` or ``"longdouble"``.
    dtype: npt.DTypeLike = "float64"
    gauge: Gauge | None = None  # counts the bytes that are read
    #: Whether true and false, in any case, mean 1 and 0, as in a mask.
    words: bool = False
    #: Which part, of how many, to read of a file that `split_file` can split.
    part: tuple[int, int] = (0, 1)
    #: Called with each note, once more each time a file is read again.
    note: Callable[[Note], None] | None = None
    #: Whether a row of more than `BLOCK_BYTES` may come in several blocks.
    in_pieces: bool = False

    def notify(self, notes: Iterable[Note]) -> None:
        """Pass on notes to `note`, if there is one."""
        if self.note is not None:
            for note in notes:
                self.note(note)

    def share(self, count: int) -> tuple[int, int]:
        """Return the begin and the end of this part among `count` things."""
        part, parts = self.part
        return count * part // parts, count * (part + 1) // parts


#: Everything detected, nothing left out.
DEFAULTS = ReadOptions()


class Columns(NamedTuple):
    """Which columns of a table to read: all its names, and positions from 0."""

    source: str
    names: tuple[str, ...] | None
    positions: Sequence[int]  # the columns to read, in order
    left_out: tuple[int, ...]  # the index columns to leave out

    @property
    def headings(self) -> tuple[str, ...] | None:
        """The names of the columns to read, if there are names."""
        return self.names and tuple(self.names[position] for position in self.positions)

    def label(self, position: int) -> str:
        """Return the name of a column for errors."""
        name = f" ({quoted(self.names[position])})" if self.names else ""
        return f"column {position + 1}{name}"

    def index_notes(self) -> list[Note]:
        """Return a note that the index is left out, if there is one."""
        if not self.left_out:
            return []
        labels = [self.label(place).removeprefix("column ") for place in self.left_out[:_LISTED]]
        listed = ", ".join(label.removesuffix(" ('')") for label in labels)
        which = f"column {listed} is" if len(self.left_out) == 1 else f"columns {listed} are"
        text = f"{which} an index and left out; to read it, name all columns to read with --column"
        return [Note(text, self.source)]


def choose_columns(
    options: ReadOptions,
    names: Sequence[str] | None,
    width: int,
    source: str,
    index: Sequence[int] = (),
) -> Columns:
    """Return the wanted columns: by default all except those of an index."""
    left_out = () if options.columns else tuple(index)
    kept: Sequence[int] = range(width)
    if options.columns:
        kept = tuple(_position(token, names, width, source) for token in options.columns)
    elif left_out:
        kept = tuple(place for place in kept if place not in left_out)
    if options.last is not None:
        last = _position(options.last, names, width, source)
        kept = (*(place for place in kept if place != last), last)
    return Columns(source, None if names is None else tuple(names), kept, left_out)


def _position(token: str, names: Sequence[str] | None, width: int, source: str) -> int:
    places = [place for place, name in enumerate(names or ()) if name == token]
    if len(places) == 1:
        return places[0]
    if places:
        numbers = " or ".join(str(place + 1) for place in places[:_LISTED])
        raise ReadError(
            f"{source} has {len(places)} columns named {quoted(token)}; "
            f"choose one by its number: {numbers}"
        )
    is_number = token.isascii() and token.isdigit()
    if is_number and len(token) <= 9 and 1 <= int(token) <= width:
        return int(token) - 1
    has = f"it has {counted(width, 'column')}" + (f": {list_names(names)}" if names else "")
    if is_number or names:
        raise ReadError(f"{source} has no column {quoted(token)}; {has}")
    raise ReadError(
        f"{source} has no column {quoted(token)}, because it has no header; "
        f"give the column's number, from 1 to {width:,}"
    )


def is_index_name(name: str) -> bool:
    """Whether pandas gives this name to an unnamed index."""
    return _INDEX.fullmatch(name) is not None


def choose_key(wanted: str | None, names: Sequence[str], source: str) -> str:
    """Return the name of the wanted array: by default the only one."""
    if not names:
        raise ReadError(f"{source} is empty: it holds no array")
    if wanted is None and len(names) > 1:
        raise ReadError(
            f"{source} has {len(names):,} arrays: {list_names(names)}; choose one with --key"
        )
    if wanted is not None and wanted not in names:
        raise ReadError(f"{source} has no array {quoted(wanted)}; it has {list_names(names)}")
    return names[0] if wanted is None else wanted


def list_names(names: Sequence[str], is_brief: bool = False) -> str:
    """Return the first names of a header, in quotes; for a note of one line, fewer and without."""
    listed = [n if is_brief and _BARE.fullmatch(n) else quoted(n) for n in names[:_LISTED]]
    while is_brief and len(listed) > 1 and len(", ".join(listed)) > _BRIEF:
        listed.pop()
    rest = f" and {len(names) - len(listed)} more" if len(listed) < len(names) else ""
    return ", ".join(listed) + rest


def quoted(text: str) -> str:
    """Return a piece of the input in quotes, cut short, for a one-line error."""
    text = without_secrets(text)
    return repr(text) if len(text) <= _QUOTED else repr(text[:_QUOTED]) + "..."


def shown(path: str) -> str:
    """Return the name of a source: its path, or its URL without secrets."""
    return without_secrets(path) or repr(path)


def in_one_line(thing: object) -> str:
    """Return a library's error, or what a header says, cut short, for a one-line error."""
    text = printable(" ".join(str(thing).split())) or type(thing).__name__
    return text if len(text) <= _REPEATED else text[:_REPEATED] + "..."


@contextmanager
def explaining(name: str, explain: Callable[[str, Exception], ReadError]) -> Iterator[None]:
    """Turn a library's errors into our own: damaged files make them raise errors of any kind."""
    try:
        yield
    except (ReadError, MemoryError):  # the latter says nothing about the file
        raise
    except Exception as error:
        raise explain(name, error) from None


def damaged(source: str, what: str) -> ReadError:
    """Return the error about a file that breaks the rules of its format."""
    return ReadError(f"{source} is damaged ({what}); copy or save it again")


def unreadable(source: str, error: Exception) -> ReadError:
    """Return the error about a file that a library fails to read."""
    is_bare = isinstance(error, EOFError) and not str(error)
    return damaged(source, "it ends too early" if is_bare else in_one_line(error))


def too_large(source: str, what: str, size: int, hint: str) -> ReadError:
    """Return the error about what a small file claims, or unpacks to, and must be held at once."""
    held = f"{what} of {size >> 20:,} MiB, which must be held in memory at once"
    return ReadError(f"{source} has {held}; {hint}")


def more_behind(source: str, what: str) -> ReadError:
    """Return the error about a file with more bytes after its content."""
    return ReadError(
        f"{source} goes on after {what}, and the rest would not be read; save each in its own file"
    )


def cuts(rows: range, width: int, itemsize: int = 8) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of each block; a long row is cut into several."""
    columns = max(1, BLOCK_BYTES // itemsize)
    step = max(1, columns // max(1, width))
    for row in range(rows.start, rows.stop, step):
        for begin in range(0, max(1, width), columns):
            yield slice(row, min(row + step, rows.stop)), slice(begin, min(begin + columns, width))


def in_pieces(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks in which rows too long to be processed at once come in pieces."""
    for block in blocks:
        height, width = block.values.shape
        if block.length is not None or 16 * width <= BLOCK_BYTES:
            yield block
            continue
        for rows, columns in cuts(range(height), width, 16):
            piece = block.rows(rows.start, rows.stop).mapped(itemgetter((slice(None), columns)))
            yield piece._replace(length=width, begin=columns.start)


def whole_rows(blocks: Iterable[Block], file_bytes: Callable[[], int]) -> Iterator[Block]:
    """Yield blocks of whole rows; a long row is held, unless the file is far too small for it."""
    row: Block | None = None
    for block in blocks:
        if block.length is None:
            yield block
            continue
        if row is None:
            size = block.length * block.values.itemsize
            if size > max(HELD_BYTES, _HELD_RATIO * file_bytes()):
                raise too_large(block.source, "a row", size, "unpack it first")
            values = np.empty((1, block.length), block.values.dtype)
            row = block._replace(values=values, missing=None, length=None)
        end = block.begin + block.values.shape[1]
        row.values[:, block.begin : end] = block.values
        if block.missing is not None:
            missing = np.zeros(row.values.shape, np.bool_) if row.missing is None else row.missing
            missing[:, block.begin : end] = block.missing
            row = row._replace(missing=missing)
        if end == block.length:
            yield row
            row = None


def runs(lengths: Array) -> Iterator[tuple[int, int]]:
    """Return where each run of equal lengths begins and ends."""
    return pairwise((0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(lengths)))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, or raise a KeyError if it has a key twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return fields


def in_order(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its future's result, in order; an error of `items` comes last.

    At most `ahead` submitted items wait to be yielded.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    items, failure = iter(items), None
    while failure is None:
        try:
            item = next(items)
            waiting.append((item, submit(item)))
        except (StopIteration, ReadError) as error:
            failure = error
        while waiting and (failure or len(waiting) >= ahead):
            item, future = waiting.popleft()
            yield item, future.result()
    if isinstance(failure, ReadError):
        raise failure


def changed(path: str) -> ReadError:
    """Return the error about a file that changed between two reads."""
    return ReadError(
        f"{path} changed while it was being read: run the command again when nothing writes to it"
    )
