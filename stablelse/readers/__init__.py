"""Bytes into blocks of numbers, with the place for every complaint.

What a file is, its content says, never its name: :data:`READERS` is the table. To read one more
format is to add a row to it and a module that has::

    def blocks(source: Source, options: ReadOptions) -> Iterator[Block]: ...

The modules of the readers are imported on use, so that numbers on a command line need none.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from stablelse.readers.block import DEFAULTS, Block, ReadError, ReadOptions, quoted
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
    "read_source",
]


class Reader(NamedTuple):
    """How a kind of input begins, and the module that reads it.

    Attributes
    ----------
    magic : bytes
        What stands at a fixed place.
    offset : int
        How many bytes lie before it.
    module : str
        The module that reads it.
    has_keys : bool
        Whether it holds arrays that have names, of which ``ReadOptions.key`` chooses one.
    has_ranges : bool
        Whether parts of it can be read on their own: see :mod:`stablelse.readers.ranges`.
    """

    magic: bytes
    offset: int
    module: str
    has_keys: bool = False
    has_ranges: bool = False


#: The first row that fits reads the input. Text comes last: it begins with anything.
READERS = (
    Reader(b"\x93NUMPY", 0, "npy", has_ranges=True),
    Reader(b"PK\x03\x04", 0, "npz", has_keys=True),
    Reader(b"PK\x05\x06", 0, "npz", has_keys=True),  # of nothing
    Reader(b"PAR1", 0, "arrow", has_ranges=True),
    Reader(b"ARROW1\x00\x00", 0, "arrow"),
    Reader(b"\xff\xff\xff\xff", 0, "arrow"),  # of a stream: the mark before each message
    # The length of the header, in eight bytes, is below 2**32; the header is an object in JSON.
    Reader(b"\0\0\0\0{", 4, "safetensors", has_keys=True),
    Reader(b"\x1f\x8b", 0, "compressed", has_keys=True),
    Reader(b"1AY&SY", 4, "compressed", has_keys=True),
    Reader(b"\x17\x72\x45\x38\x50\x90", 4, "compressed", has_keys=True),  # of nothing, by bzip2
    Reader(b"\xfd7zXZ\x00", 0, "compressed", has_keys=True),
    Reader(b"\x28\xb5\x2f\xfd", 0, "compressed", has_keys=True),
    Reader(b"", 0, "text", has_ranges=True),
)

_EMPTY_MENDS = {"standard input": "give numbers as arguments, --file, or pipe some in"}


def open_blocks(path: str, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read the numbers of a file in blocks of bounded size.

    Parameters
    ----------
    path : str
        A file of any kind that :data:`READERS` lists, or the URL of one; ``-`` is standard input.
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
    """Read the numbers of an open source by the first row of :data:`READERS` that fits it."""
    read: Callable[[Source, ReadOptions], Iterator[Block]]
    read = load(find_reader(source, options)).blocks
    yield from read(source, options)


def find_reader(source: Source, options: ReadOptions) -> Reader:
    """Return the first row of :data:`READERS` that fits a source.

    Raises
    ------
    ReadError
        If the source is empty, or a key is asked for where there are none.
    """
    if not source.head:
        mend = _EMPTY_MENDS.get(source.name, "give it rows of numbers")
        raise ReadError(f"{source.name} is empty: {mend}")
    reader = next(row for row in READERS if source.head.startswith(row.magic, row.offset))
    if options.key is not None and not reader.has_keys:
        raise ReadError(
            f"{source.name} has no array of the name {quoted(options.key)}, for its numbers have "
            "no names but those of columns; leave out --key, or use --column"
        )
    return reader


def load(reader: Reader) -> Any:
    """Import the module of a reader."""
    return import_module(f"{__name__}.{reader.module}")
