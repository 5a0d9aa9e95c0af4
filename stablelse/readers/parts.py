"""Several files, directories of files and patterns of names, read as one input; and in parts.

A part is some rows of an array, some row groups, some bytes of a text. A file is opened once to
say what its parts are; what stands in its head (the shape, the header, the delimiter) goes with
each part. So a part is read without what lies before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stablelse.readers import find_reader, load, open_blocks, read_source
from stablelse.readers.again import changed
from stablelse.readers.block import DEFAULTS, Block, Note, ReadError, ReadOptions, shown
from stablelse.readers.columns import count, list_names
from stablelse.readers.source import is_url, open_source

#: What makes a pattern of a path that is no file's name, as in a shell.
_MAGIC = "*?["

#: Programs that write directories of parts keep notes of their own there, such as `_SUCCESS`.
_HIDDEN = (".", "_")

_DIGITS = re.compile(r"([0-9]+)")


def open_parts(
    paths: Sequence[str], options: ReadOptions = DEFAULTS, alike: bool = True
) -> Iterator[Block]:
    """Read the numbers of several files, as of `find_parts`, as one stack of rows.

    All must have the same columns if they are to be `alike`; rows that are vectors of their own
    never need to.
    """
    first: Block | None = None
    for path in paths:
        for part in find_parts(path):
            for block in open_blocks(part, options):
                if first is None:
                    first = block._replace(values=block.values[:0], missing=None)
                if alike and block.offset == 0 and block.by is None:
                    check_columns(block, first)
                yield block


def find_parts(path: str) -> list[str]:
    """Return the files that a path stands for, at least one, ``part-9`` before ``part-10``.

    A directory stands for the files in it but for hidden ones (``.name``, ``_name``), a pattern for
    what a shell would make of it, with ``**`` for directories at any depth.
    """
    is_pattern = any(character in path for character in _MAGIC)
    if is_url(path):
        from stablelse.readers.remote import list_remote

        found = list_remote(path, is_pattern)
    elif os.path.isdir(path) and path != "-":
        found = _files_of(path)
    elif is_pattern and not os.path.lexists(path):
        from glob import glob

        found = [name for name in glob(path, recursive=True) if not os.path.isdir(name)]
    else:
        return [path]
    if found == [path]:
        return found
    parts = [name for name in found if not os.path.basename(name).startswith(_HIDDEN)]
    if not parts:
        what = "no file matches {}" if is_pattern else "the directory {} has no files in it"
        raise ReadError(f"{what.format(shown(path))}; check the path")
    return sorted(parts, key=_natural)


def _files_of(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            found = [(entry.path, entry.is_dir()) for entry in entries]
    except OSError as error:
        raise ReadError(f"cannot read {shown(directory)}: {error.strerror or error}") from error
    for path, is_directory in found:
        name = os.path.basename(path)
        if is_directory and not name.startswith(_HIDDEN):
            raise ReadError(
                f"the directory {shown(directory)} has another in it, {shown(name)}; say which "
                f"files are wanted, for example --file {shown(directory + '/**/*.csv')!r}"
            )
    return [path for path, is_directory in found if not is_directory]


def _natural(name: str) -> list[str | int]:
    """Return a key that sorts runs of digits as numbers."""
    pieces: list[str | int] = list(_DIGITS.split(name))
    pieces[1::2] = map(int, pieces[1::2])
    return pieces


def check_columns(block: Block, first: Block) -> None:
    """Complain of a file whose rows are not as those of the first file."""
    width, expected = block.values.shape[1], first.values.shape[1]
    if width != expected:
        raise ReadError(
            f"{block.source} has {count(width, 'column')}, where {first.source} has {expected}; "
            "choose as many of each with --column, or say --by rows if each row is a vector"
        )
    if block.columns and first.columns and block.columns != first.columns:
        raise ReadError(
            f"{block.source} has the columns {list_names(block.columns)}, where {first.source} has "
            f"{list_names(first.columns)}; choose them by name with --column"
        )


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

    A row or a row group is never split; nor is what is small, compressed, or of a kind that cannot
    be read from the middle.
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
