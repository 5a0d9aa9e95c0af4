"""Which columns are wanted, by their names or their numbers."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from stablelse.readers.block import Note, ReadError, quoted

#: How many names a complaint lists.
_LISTED = 8

#: Whether a name can stand in a list without quotes.
_PLAIN = re.compile(r"[\w.][\w .()/-]{0,38}")

#: What pandas and R call the index of a table, or pandas one that it has read back as a column.
_INDEX = re.compile(r"index|level_0|Unnamed: \d+(_level_\d+)?|__index_level_\d+__")


def choose_columns(
    wanted: Sequence[str], names: Sequence[str] | None, width: int, source: str
) -> tuple[int, ...] | None:
    """Return the positions, from 0, of columns as of `ReadOptions`, in order; None for all."""
    if not wanted:
        return None
    return tuple(_position(token, names, width, source) for token in wanted)


def bare(name: str) -> str:
    """Return a name as it is, for a note; in quotes where that is unclear."""
    return name if _PLAIN.fullmatch(name) else quoted(name)


def list_names(names: Sequence[str], spelled: Callable[[str], str] = quoted) -> str:
    """Return the first names of a header, in quotes for an error."""
    listed = ", ".join(map(spelled, names[:_LISTED]))
    return listed if len(names) <= _LISTED else f"{listed} and {len(names) - _LISTED} more"


def is_index_name(name: str) -> bool:
    """Whether a name other than a blank is what pandas calls an index that has none."""
    return _INDEX.fullmatch(name) is not None


def index_width(names: Sequence[str]) -> int:
    """Return how many columns at the beginning are an index that pandas or R wrote: not all."""
    is_index = (not name or is_index_name(name) for name in names[:-1])
    return sum(takewhile(bool, is_index))


def index_note(names: Sequence[str], left_out: Sequence[int], source: str) -> list[Note]:
    """Return what the user is told of the index columns at these positions, from 0, if any."""
    if not left_out:
        return []
    listed = ", ".join(
        f"{place + 1} ({quoted(names[place])})" if names[place] else str(place + 1)
        for place in left_out[:_LISTED]
    )
    which = f"column {listed} is" if len(left_out) == 1 else f"columns {listed} are"
    text = f"{which} an index and left out; to read it, name all columns to read with --column"
    return [Note(text, source)]


def count(number: int, noun: str) -> str:
    """Return a number and what it counts: ``1 cell``, ``2 cells``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    if is_number and 1 <= int(token[:9]) <= width and len(token) <= 9:
        return int(token) - 1
    has = f"it has {count(width, 'column')}" + (f": {list_names(names)}" if names else "")
    if is_number or names:
        raise ReadError(f"{source} has no column {quoted(token)}; {has}")
    raise ReadError(
        f"{source} has no column {quoted(token)}, for it has no header; "
        f"give the column's number, from 1 to {width}"
    )


def choose_key(wanted: str | None, names: Sequence[str], source: str) -> str:
    """Return the name of the wanted array of those there are: by default the only one."""
    if not names:
        raise ReadError(f"{source} is empty: there is no array in it")
    if wanted is None:
        if len(names) > 1:
            raise ReadError(
                f"{source} has {len(names):,} arrays: {list_names(names)}; choose one with --key"
            )
        return names[0]
    if wanted not in names:
        raise ReadError(f"{source} has no array {quoted(wanted)}; it has {list_names(names)}")
    return wanted


def keyed(source: str, key: str) -> str:
    """Return what complaints call one array of a file: as one would write it in Python."""
    return f"{source}[{quoted(key)}]"
