"""Files with a cell for each number: masks and weights, with their errors and notes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

import numpy as np

from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES
from stablelse.numerics.formats import Array
from stablelse.numerics.rows import masked
from stablelse.printable import counted
from stablelse.readers import open_files
from stablelse.readers.blocks import Block, Note, ReadError, ReadOptions
from stablelse.readers.vectors import Beside

_HINT = re.compile(r"(.*)([;:] .*--[a-z].*)", re.DOTALL)
_OPTION = re.compile(r"--[a-z][a-z-]*")


def open_beside(
    paths: Sequence[str], reading: ReadOptions, names: Mapping[str, str]
) -> Iterator[Block]:
    """Read files as `open_files` does; errors use the options' names for these files, `names`."""

    def note(found: Note) -> None:
        NOTES.note(found._replace(text=_renamed(found.text, names)))

    try:
        yield from open_files(paths, reading._replace(note=note))
    except ReadError as error:
        raise ReadError(_renamed(str(error), names)) from error


@contextmanager
def proposing_no(option: str) -> Iterator[None]:
    """Remove advice to use an option that the command refuses from errors."""
    try:
        yield
    except ReadError as error:
        text = str(error)
        names = {name: name for name in _OPTION.findall(text) if name != option}
        raise ReadError(_renamed(text, names)) from error


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Rename the options in a hint, and remove advice that needs another option."""
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


class Companion(NamedTuple):
    """A file that goes with the numbers, cell by cell, and its valid contents."""

    option: str
    rule: str  # its shape
    allowed: str  # completes "5 is not ..."
    is_wrong: Callable[[Array], Array]


MASK = Companion(
    "--mask",
    "a mask has a cell for each number",
    "a mask value; 1 or true keeps a number, 0 or false masks it",
    lambda cells: (cells != 0) & (cells != 1),
)
WEIGHTS = Companion(
    "--weights",
    "each number has a weight",
    "a weight; give a finite number",
    lambda cells: ~np.isfinite(cells),
)
CLASS_WEIGHTS = Companion(
    "--class-weights",
    "each class has a weight",
    "the weight of a class; give a finite number, 0 or more",
    lambda cells: ~((cells >= 0) & np.isfinite(cells)),
)


def with_companions(blocks: Iterator[Block], options: Request, dtype: str) -> Iterator[Block]:
    """Yield blocks with their masks and weights."""
    for companion, path in ((MASK, options.mask), (WEIGHTS, options.weights)):
        if path:
            cells = _open(path, companion, dtype, options.axis)
            blocks = beside(blocks, cells, companion, options.by == "columns")
    return blocks


def beside(
    blocks: Iterator[Block], cells: Iterator[Block], companion: Companion, by_columns: bool = False
) -> Iterator[Block]:
    """Add a file's cells to numbers; one row, or column, may serve every vector."""
    head = next(blocks)
    first, cells = _turned(cells, head.length or head.values.shape[1], by_columns)
    second = next(cells, None)
    is_one_row = second is None and len(first.values) == 1
    rows = Beside(
        chain([first] if second is None else [first, second], cells),
        f"{companion.rule}, or one row for all",
    )
    for block in chain([head], blocks):
        expected = block.length or block.values.shape[1]
        if block.begin == 0:
            pieces = [first] if is_one_row else rows.step(len(block.values), block.source)
        for piece in pieces:
            width = piece.values.shape[1]
            if width != expected and not (width == 1 and by_columns):
                raise ReadError(
                    f"{piece.source} has {counted(width, 'column')}, but {block.source} has "
                    f"{expected:,}: {companion.rule}"
                )
        part = slice(block.begin, block.begin + block.values.shape[1])
        here = np.concatenate([piece.values[:, part] for piece in pieces])
        here = np.broadcast_to(here, block.values.shape)
        if companion is WEIGHTS:
            yield block._replace(weights=here)
        else:
            yield block._replace(values=masked(block.values, here != 0), masked=here == 0)
    if not is_one_row:
        rows.end(block.source)


def _turned(cells: Iterator[Block], width: int, by_columns: bool) -> tuple[Block, Iterator[Block]]:
    """Return the first rows and the rest; a column for rows becomes a row, and vice versa."""
    first = next(cells)
    if first.values.shape[1] > 1 == width == len(first.values):
        return first.mapped(lambda row: row.reshape(-1, 1)), cells
    if by_columns or not first.values.shape[1] == 1 < width:
        return first, cells
    head = [first]
    while sum(len(block.values) for block in head) <= width and (block := next(cells, None)):
        head.append(block)
    column = np.concatenate([block.values for block in head])
    if len(column) == width:
        return first._replace(values=column.reshape(1, -1)), iter(())
    return first, chain(head[1:], cells)


def all_cells(path: str, companion: Companion) -> Array:
    """Read all cells of a companion, which may be in rows or in columns."""
    return np.concatenate([piece.values.ravel() for piece in _open(path, companion, "float64")])


def _open(path: str, companion: Companion, dtype: str, axis: int | None = None) -> Iterator[Block]:
    """Read a companion, and refuse the first wrong cell."""
    names = {"--file": companion.option, "--axis": "--axis"}
    reading = ReadOptions(axis=axis, words=companion is MASK, dtype=dtype)
    blocks = open_beside([path], reading, names)
    if axis is not None and path != "-":
        try:
            blocks = chain([next(blocks)], blocks)
        except ReadError:  # one row for every row has no such axis
            blocks = open_beside([path], reading._replace(axis=None), names)
    for block in blocks:
        wrong = np.argwhere(companion.is_wrong(block.values))
        if len(wrong):
            row, column = wrong[0].tolist()
            raise ReadError(
                f"{block.source}, row {block.offset + row + 1}, column {column + 1}: "
                f"{float(block.values[row, column]):g} is not {companion.allowed}"
            )
        yield block
