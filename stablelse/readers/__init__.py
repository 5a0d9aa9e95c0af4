"""Bytes into blocks of numbers, with the place for every complaint.

What a file is, its content says, never its name: `stablelse.readers.signatures` has the table. To
read one more format is to add a row to it and a module that has::

    def blocks(source: Source, options: ReadOptions) -> Iterator[Block]: ...

The modules of the readers are imported on use, so that numbers on a command line need none.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from stablelse.readers.block import DEFAULTS, Block, By, ReadError, ReadOptions, quoted
from stablelse.readers.literals import parse_numbers
from stablelse.readers.signatures import TEXT, Signature, find
from stablelse.readers.source import Source, open_source
from stablelse.readers.vectors import Vectors

__all__ = [
    "Block",
    "By",
    "ReadError",
    "ReadOptions",
    "Vectors",
    "open_blocks",
    "parse_numbers",
    "read_source",
]


_EMPTY_MENDS = {"standard input": "give numbers as arguments, --file, or pipe some in"}


def open_blocks(path: str, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read the numbers of a file in blocks of bounded size.

    Parameters
    ----------
    path : str
        A file of any kind that a signature names, or the URL of one; ``-`` is standard input.
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
        source.gauge = options.gauge
        yield from read_source(source, options)


def read_source(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read the numbers of an open source by the first signature that fits it."""
    read: Callable[[Source, ReadOptions], Iterator[Block]]
    read = load(find_reader(source, options).module).blocks
    yield from read(source, options)


def find_reader(source: Source, options: ReadOptions) -> Signature:
    """Return the first signature that fits a source, if the key and the axis go with it."""
    if not source.head:
        mend = _EMPTY_MENDS.get(source.name, "give it rows of numbers")
        raise ReadError(f"{source.name} is empty: {mend}")
    found = find(source.head)
    reader = found if found is not None and found.module else TEXT
    if options.key is not None and not reader.has_keys:
        raise ReadError(
            f"{source.name} has no array of the name {quoted(options.key)}, for its numbers have "
            "no names but those of columns; leave out --key, or use --column"
        )
    if options.axis is not None and not reader.has_axes:
        raise ReadError(
            f"{source.name} has rows and columns, not axes; leave out --axis, or say --by columns"
        )
    return reader


def load(module: str) -> Any:
    """Import a module that reads."""
    return import_module(f"{__name__}.{module}")
