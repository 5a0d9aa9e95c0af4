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

    `path` is from the root, or a URL; `size` is in bytes, as they lie in the file, 0 if not known.
    `reader` is the module that reads it if it is not all of the file, and `extent` what that reads.
    """

    path: str
    name: str
    options: ReadOptions
    size: int
    reader: str | None = None
    extent: Any = None
    whole: int = 0


def split(path: str, options: ReadOptions = DEFAULTS, part_bytes: int = 1 << 26) -> list[Part]:
    """Split a file into parts of at most so many bytes, reading no more than its head.

    A row, or a row group of Parquet, is never split; nor is what is small, compressed, or of a kind
    that cannot be read from the middle.
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

    Rows of a text are counted from the part's own first one, and only the part with the file's
    beginning calls `note`.
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
