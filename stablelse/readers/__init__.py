"""Bytes into blocks of numbers, with the place of every error.

What a file is, its content says, never its name: `stablelse.readers.sources` has the table. To read
one more format is to add a row to it and the function it names::

    def name(source: Source, options: ReadOptions) -> Iterator[Block]: ...

A reader that can begin in the middle also has ``name_parts`` and ``name_part``: a part is some rows
of an array, some row groups, some bytes of a text, with what the head of the file says of them.
Readers are imported on use: numbers on a command line need none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pkgutil import resolve_name
from typing import Any, NamedTuple

from stablelse.readers.blocks import (
    DEFAULTS,
    Block,
    By,
    Gauge,
    Note,
    ReadError,
    ReadOptions,
    changed,
    count,
    in_one_line,
    list_names,
    quoted,
)
from stablelse.readers.literals import parse_numbers
from stablelse.readers.sources import (
    SIGNATURES,
    Source,
    file_source,
    find_files,
    is_url,
    open_source,
    unpacked,
)
from stablelse.readers.vectors import (
    Beside,
    Passes,
    Stream,
    Vectors,
    one_column,
    split_column,
    vectors,
    vectors_or_stream,
)

__all__ = [
    "Beside", "Block", "By", "Gauge", "Note", "Part", "Passes", "ReadError", "ReadOptions",
    "Stream", "Vectors", "check_columns", "count", "file_source", "find_files", "in_one_line",
    "is_url", "one_column", "open_blocks", "open_files", "parse_numbers", "read_part",
    "read_source", "split_column", "split_file", "vectors", "vectors_or_stream",
]  # fmt: skip


def open_files(
    paths: Sequence[str], options: ReadOptions = DEFAULTS, alike: bool = True
) -> Iterator[Block]:
    """Read several files as one stack of rows, which have the same columns if `alike`."""
    first: Block | None = None
    for path in paths:
        for file in find_files(path):
            for block in open_blocks(file, options):
                first = first or block._replace(values=block.values[:0], missing=None)
                if alike and block.offset == 0 and block.by is None:
                    check_columns(block, first)
                yield block


def open_blocks(path: str, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read a file, a URL, or standard input (``-``) in blocks of bounded size, at least one."""
    with open_source(path) as source:
        source.gauge = options.gauge
        yield from read_source(source, options)


def read_source(source: Source, options: ReadOptions = DEFAULTS) -> Iterator[Block]:
    """Read the numbers of an open source, unpacked, by the first signature that fits it."""
    source = unpacked(source)
    _check(source, options)
    # What has no reader is text, until something in it says otherwise.
    yield from _load(source.signature.reader or SIGNATURES[-1].reader)(source, options)


def check_columns(block: Block, first: Block) -> None:
    """Refuse a file whose columns differ from those of the first file."""
    width, expected = block.values.shape[1], first.values.shape[1]
    if width != expected:
        raise ReadError(
            f"{block.source} has {count(width, 'column')}, but {first.source} has {expected}; "
            "choose as many of each with --column, or use --by rows if each row is a vector"
        )
    if block.columns and first.columns and block.columns != first.columns:
        raise ReadError(
            f"{block.source} has the columns {list_names(block.columns)}, but {first.source} has "
            f"{list_names(first.columns)}; choose them by name with --column"
        )


def _check(source: Source, options: ReadOptions) -> None:
    """Refuse a source that is empty, or does not go with the key or the axis."""
    if not source.head:
        hint = "give it rows of numbers"
        if source.name == "standard input":
            hint = "give numbers as arguments, --file, or pipe some in"
        raise ReadError(f"{source.name} is empty: {hint}")
    features = source.signature.features
    if options.key is not None and "key" not in features:
        raise ReadError(
            f"{source.name} has no array named {quoted(options.key)}: only its columns can have "
            "names; leave out --key, or use --column"
        )
    if options.axis is not None and "axis" not in features:
        raise ReadError(
            f"{source.name} has rows and columns, not axes; leave out --axis, or use --by columns"
        )


def _load(reader: str) -> Any:
    return resolve_name(f"{__name__}.{reader}")


class Part(NamedTuple):
    """A file, or some of it: a few hundred bytes, whatever it stands for."""

    path: str  # from the root, or a URL
    name: str  # what errors call the file
    options: ReadOptions
    size: int  # in bytes, as they lie in the file, 0 if not known
    reader: str = ""  # what reads it if it is not all of the file
    extent: Any = None  # what of the file that reads
    whole: int = 0  # the size of the file


def split_file(path: str, options: ReadOptions = DEFAULTS, part_bytes: int = 1 << 26) -> list[Part]:
    """Split a file between rows into parts of at most so many bytes, where it can be split."""
    options = options._replace(gauge=None, note=None)
    with open_source(path) as source:
        name, size = source.name, source.size or 0
        reader, extents = source.signature.reader, list[tuple[Any, int]]()
        if source.seekable() and size > part_bytes and "parts" in source.signature.features:
            _check(source, options)
            extents = _load(f"{reader}_parts")(source, options, part_bytes)
    path = path if is_url(path) else os.path.abspath(path)
    if len(extents) < 2:
        return [Part(path, name, options, size)]
    return [Part(path, name, options, length, reader, extent, size) for extent, length in extents]


def read_part(part: Part, note: Callable[[Note], None] | None = None) -> Iterator[Block]:
    """Read a part in blocks of bounded size; rows of a text are counted from its own first one."""
    options = part.options._replace(note=note)
    with open_source(part.path) as source:
        source.name = part.name
        if not part.reader:
            yield from read_source(source, options)
        elif source.size != part.whole:
            raise changed(part.name)
        else:
            yield from _load(f"{part.reader}_part")(source, options, part.extent)
