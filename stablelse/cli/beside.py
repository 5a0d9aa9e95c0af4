"""Files that go with the numbers: masks and labels, with their errors and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np

from stablelse.cli.progress import NOTES
from stablelse.numerics.formats import Array
from stablelse.numerics.rows import masked
from stablelse.readers import Beside, Block, Note, ReadError, ReadOptions, count, open_files

_HINT = re.compile(r"(.*)([;:] .*--[a-z].*)", re.DOTALL)
_OPTION = re.compile(r"--[a-z][a-z-]*")


def open_beside(
    paths: Sequence[str], reading: ReadOptions, names: Mapping[str, str]
) -> Iterator[Block]:
    """Read files as `open_files` does; errors propose the options that these have, by `names`."""

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


#: What a mask's file has of the options for the numbers' file.
_OPTIONS = {"--file": "--mask", "--axis": "--axis"}


def masked_blocks(blocks: Iterator[Block], path: str, axis: int | None = None) -> Iterator[Block]:
    """Yield blocks with -inf where a mask says so; a mask of one row is that of every row."""
    rows = _open(path, axis)
    first = next(rows)
    second = next(rows, None)
    is_one_row = second is None and len(first.values) == 1
    mask = Beside(chain([first] if second is None else [first, second], rows))
    block = None
    for block in blocks:
        length = len(block.values)
        pieces = [first] if is_one_row else mask.take(length)
        rows_kept = [_kept(piece, block) for piece in pieces]
        if not is_one_row and sum(map(len, rows_kept)) < length:
            raise ReadError(
                f"{path} has fewer rows than {block.source}: a mask has a cell for each number, or "
                "one row for all"
            )
        kept = np.concatenate(rows_kept)
        yield _masked(block, np.broadcast_to(kept, block.values.shape))
    if block is not None and not is_one_row and not mask.is_spent:
        raise ReadError(
            f"{path} has more rows than {block.source}: a mask has a cell for each number, or one "
            "row for all"
        )


def masked_vector(block: Block, path: str) -> Block:
    """Return a vector given as arguments, shape (1, n), with -inf where a mask says so."""
    n = block.values.shape[1]
    pieces = list(_open(path))
    cells = np.concatenate([piece.values.reshape(-1) for piece in pieces])
    if len(cells) != n:
        raise ReadError(
            f"{path} has {count(len(cells), 'cell')}, but {block.source} has {count(n, 'number')}"
        )
    row = pieces[0]._replace(values=cells[np.newaxis])
    return _masked(block, _kept(row, block))


def _open(path: str, axis: int | None = None) -> Iterator[Block]:
    return open_beside([path], ReadOptions(axis=axis, words=True), _OPTIONS)


def _kept(piece: Block, block: Block) -> Array:
    """Return where a piece of a mask keeps the numbers beside it."""
    width, expected = piece.values.shape[1], block.values.shape[1]
    if width != expected:
        raise ReadError(
            f"{piece.source} has {count(width, 'column')}, but {block.source} has {expected}: a "
            "mask has a cell for each number"
        )
    wrong = np.argwhere((piece.values != 0) & (piece.values != 1))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ReadError(
            f"{piece.source}, row {piece.offset + row + 1}, column {column + 1}: "
            f"{float(piece.values[row, column]):g} is not a mask value; 1 or true keeps a number, "
            "0 or false masks it"
        )
    kept: Array = piece.values != 0
    return kept


def _masked(block: Block, kept: Array) -> Block:
    return block._replace(values=masked(block.values, kept), masked=~kept)
