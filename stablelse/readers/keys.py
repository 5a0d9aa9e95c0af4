"""Which of several named arrays is wanted."""

from collections.abc import Sequence

from stablelse.readers.block import ReadError, quoted
from stablelse.readers.columns import list_names


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
