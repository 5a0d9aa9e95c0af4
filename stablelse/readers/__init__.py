"""Bytes into blocks of numbers, with the place for every complaint.

What a file is, its content says, never its name: :data:`READERS` is the table. To read one more
format is to add a row to it and a module that has::

    def blocks(source: Source, options: ReadOptions) -> Iterator[Block]: ...

The modules of the readers are imported on use, so that numbers on a command line need none.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import NamedTuple

from stablelse.readers.block import DEFAULTS, Block, ReadError, ReadOptions
from stablelse.readers.literals import parse_numbers
from stablelse.readers.source import Source, open_source
from stablelse.readers.vectors import By, Vectors

__all__ = [
    "READERS",
    "Block",
    "By",
    "ReadError",
    "ReadOptions",
    "Vectors",
    "open_blocks",
    "parse_numbers",
]


class Reader(NamedTuple):
    """How a kind of input begins, and the module that reads it."""

    magic: bytes
    module: str


#: The first row that fits reads the input. Text comes last: it begins with anything.
READERS = (
    Reader(b"\x93NUMPY", "npy"),
    Reader(b"", "text"),
)

_EMPTY_MENDS = {"standard input": "give numbers as arguments, --file, or pipe some in"}


def open_blocks(path: str, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read the numbers of a file in blocks of bounded size.

    Parameters
    ----------
    path : str
        A file of text or a .npy file; ``-`` is standard input.
    options : ReadOptions
        How to read it.

    Yields
    ------
    Block
        Some rows each, in order, at least one in all.

    Raises
    ------
    ReadError
        At the first thing that cannot be read; blocks before it may have been yielded.
    """
    with open_source(path) as source:
        if not source.head:
            mend = _EMPTY_MENDS.get(source.name, "give it rows of numbers")
            raise ReadError(f"{source.name} is empty: {mend}")
        module = next(row.module for row in READERS if source.head.startswith(row.magic))
        read: Callable[[Source, ReadOptions], Iterator[Block]]
        read = import_module(f"{__name__}.{module}").blocks
        yield from read(source, options)
