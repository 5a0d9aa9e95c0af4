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


def open_blocks(path: str, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read the numbers of a file, a URL, or standard input (``-``) in blocks of bounded size.

    There is one at least. A ReadError comes where the first thing cannot be read, maybe late.
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
        mend = "give it rows of numbers"
        if source.name == "standard input":
            mend = "give numbers as arguments, --file, or pipe some in"
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
