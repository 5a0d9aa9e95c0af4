"""Files beside the numbers, labels and masks: errors and notes name only the options they have."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from stablelse.cli.notes import NOTES
from stablelse.readers import Block, Note, ReadError, ReadOptions, open_files

_HINT = re.compile(r"(.*)([;:] .*--[a-z].*)", re.DOTALL)
_OPTION = re.compile(r"--[a-z][a-z-]*")


def open_beside(
    paths: Sequence[str], reading: ReadOptions, names: Mapping[str, str]
) -> Iterator[Block]:
    """Read files as `open_files` does.

    Parameters
    ----------
    paths : sequence of str
        The files.
    reading : ReadOptions
        How to read them.
    names : mapping of str to str
        The options of the numbers' file that these have too, and what they are called here.

    Raises
    ------
    ReadError
        As `open_files`; what it proposes are options that these files have.
    """

    def note(found: Note) -> None:
        NOTES.note(found._replace(text=_renamed(found.text, names)))

    try:
        yield from open_files(paths, reading._replace(note=note))
    except ReadError as error:
        raise ReadError(_renamed(str(error), names)) from error


@contextmanager
def proposing_no(option: str) -> Iterator[None]:
    """Leave out of errors what proposes an option that the command refuses."""
    try:
        yield
    except ReadError as error:
        text = str(error)
        names = {name: name for name in _OPTION.findall(text) if name != option}
        raise ReadError(_renamed(text, names)) from error


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Rename the options that a hint proposes, and leave out what needs one that is not there."""
    match = _HINT.fullmatch(text)
    if match is None:
        return text
    what, hint = match.groups()
    kept = [
        _OPTION.sub(lambda option: names[option[0]], clause)
        for clause in re.split(r", (?=(?:or|and|here)\b)", hint[2:])
        if names.keys() >= set(_OPTION.findall(clause))
    ]
    return what + hint[:2] + re.sub(r"^(or|and) ", "", ", ".join(kept) or "correct the file")
