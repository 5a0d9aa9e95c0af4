"""Parts of files that are read each on its own: rows of an array, row groups, bytes of a text.

A file is opened once to say what its parts are; what stands in its head (the shape, the header,
the delimiter) goes with each part. So a part is read without what lies before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from stablelse.readers import find_reader, load, read_source
from stablelse.readers.again import changed
from stablelse.readers.block import DEFAULTS, Block, Note, ReadOptions
from stablelse.readers.source import is_url, open_source


class Part(NamedTuple):
    """A file, or some of it: a few hundred bytes, whatever it stands for.

    Attributes
    ----------
    path : str
        The file, from the root, or its URL.
    name : str
        What complaints call it.
    options : ReadOptions
        How it is read.
    size : int
        How many bytes it has, as they lie in the file; 0 if that is not known.
    reader : str or None
        The module that reads it, if it is not all of the file.
    extent : tuple or None
        Which of the numbers of the file it has, as the reader says it.
    whole : int
        How many bytes the file had when it was split.
    """

    path: str
    name: str
    options: ReadOptions
    size: int
    reader: str | None = None
    extent: Any = None
    whole: int = 0


def split(path: str, options: ReadOptions = DEFAULTS, part_bytes: int = 1 << 26) -> list[Part]:
    """Split a file into parts of about the same size, reading no more than its head.

    Parameters
    ----------
    path : str
        A file or a URL.
    options : ReadOptions
        How to read it.
    part_bytes : int
        How large a part may be. A row, or a row group of Parquet, is never split.

    Returns
    -------
    list of Part
        In the order of the file. One for all of it, if it is small, compressed, or of a kind that
        cannot be read from the middle.

    Raises
    ------
    ReadError
        If the file cannot be read, or is damaged.
    """
    options = options._replace(gauge=None, note=None)
    with open_source(path) as source:
        reader = find_reader(source, options)
        size = source.size() or 0
        name, place = source.name, path if is_url(path) else os.path.abspath(path)
        extents: list[tuple[Any, int]] = []
        if reader.has_ranges and source.is_seekable and size > part_bytes:
            extents = load(reader.module).ranges(source, options, part_bytes)
    if len(extents) < 2:
        return [Part(place, name, options, size)]
    return [
        Part(place, name, options, length, reader.module, extent, size)
        for extent, length in extents
    ]


def read(part: Part, note: Callable[[Note], None] | None = None) -> Iterator[Block]:
    """Read the numbers of a part in blocks of bounded size.

    Parameters
    ----------
    part : Part
        What to read.
    note : callable, optional
        Called with what there is to say about the file, from the part that has its beginning.

    Yields
    ------
    Block
        As of :func:`stablelse.readers.open_blocks`; but the rows of a text, and those of a
        block of it, are counted from the part's own first one.

    Raises
    ------
    ReadError
        At the first thing that cannot be read, by its place in the file.
    """
    options = part.options._replace(note=note)
    with open_source(part.path) as source:
        source.name = part.name
        if part.reader is None:
            yield from read_source(source, options)
            return
        if source.size() != part.whole:
            raise changed(part.name)
        yield from load(part.reader).range_blocks(source, options, part.extent)
