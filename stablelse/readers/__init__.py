"""Turns bytes into blocks of numbers, and says where every error is.

A file's content decides its format, never its name: the table is in `stablelse.readers.sources`. To
read one more format, add a row there and the function that it names::

    def name(source: Source, options: ReadOptions) -> Iterator[Block]: ...

A reader that can begin in the middle reads `ReadOptions.share` of the rows, row groups or bytes.
Readers are imported on use: numbers on a command line need none.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pkgutil import resolve_name
from typing import Any, NamedTuple

from stablelse.printable import counted
from stablelse.readers.blocks import (
    DEFAULTS,
    Block,
    Note,
    ReadError,
    ReadOptions,
    changed,
    in_one_line,
    in_pieces,
    list_names,
    quoted,
    shown,
    whole_rows,
)
from stablelse.readers.sources import SIGNATURES, Source, find_files, is_url, open_source

#: Bytes of packed data read at once.
_PACKED_BYTES = 1 << 16

#: Most memory for unpacking: a stream may ask for up to 4 GiB. `xz -9` takes 65 MiB (its manual,
#: table of presets); Zstandard's decoder accepts 128 MiB (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
_UNPACKING_BYTES = 1 << 27

#: The decompressor of one stream of each kind: its module, class and options.
_DECOMPRESSORS: dict[str, tuple[str, str, dict[str, int]]] = {
    "gzip data": ("gzip", "GzipFile", {}),
    "bzip2 data": ("bz2", "BZ2Decompressor", {}),
    "xz data": ("lzma", "LZMADecompressor", {"memlimit": _UNPACKING_BYTES}),
    "Zstandard data": ("compression.zstd", "ZstdDecompressor", {}),  # since Python 3.14
}


def open_files(
    paths: Sequence[str], options: ReadOptions = DEFAULTS, alike: bool = True
) -> Iterator[Block]:
    """Read several files as one stack of rows; if `alike`, all must have the same columns.

    If several have one name, as URLs without their queries may, the second is called ``name (2)``.
    """
    first: Block | None = None
    readings = Counter[str]()
    for path in paths:
        for file in find_files(path):
            readings[shown(file)] += 1
            again = f" ({readings[shown(file)]})" if readings[shown(file)] > 1 else ""
            for block in open_blocks(file, options):
                block = block._replace(source=block.source + again)
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
    """Unpack an open source, and read its numbers by the first signature that fits."""
    packed, source = source, _unpacked(source)
    _check(source, options)
    # A file without a reader counts as text until something in it shows otherwise.
    reader = source.signature.reader or SIGNATURES[-1].reader
    blocks = resolve_name(f"{__name__}.{reader}")(source, options)
    if options.in_pieces:
        blocks = in_pieces(blocks)
    else:
        blocks = whole_rows(blocks, lambda: packed.size or packed.tell())
    try:
        yield from blocks
    except MemoryError:
        if not (hint := source.signature.hint):
            raise
        raise ReadError(f"out of memory while reading {source.name}; {hint}") from None


def check_columns(block: Block, first: Block) -> None:
    """Refuse a file whose columns differ from those of the first file."""
    width, expected = (each.length or each.values.shape[1] for each in (block, first))
    if width != expected:
        raise ReadError(
            f"{block.source} has {counted(width, 'column')}, but {first.source} has {expected:,}; "
            "choose as many of each with --column, or use --by rows if each row is a vector"
        )
    if block.columns and first.columns and block.columns != first.columns:
        raise ReadError(
            f"{block.source} has the columns {list_names(block.columns)}, but {first.source} has "
            f"{list_names(first.columns)}; choose them by name with --column"
        )


def _check(source: Source, options: ReadOptions) -> None:
    """Refuse a source that is empty, or has no use for an option."""
    if not source.head:
        hint = "give it rows of numbers"
        if source.name == "standard input":
            hint = "give numbers or a file, or pipe some in"
        raise ReadError(f"{source.name} is empty: {hint}")
    kind, *_, reader, features = source.signature
    of_text = {
        "--header" if options.header else "--no-header": options.header is not None,
        "--delimiter": options.delimiter is not None,
        "--decimal": options.decimal != DEFAULTS.decimal,
    }
    if reader and "text" not in features and any(of_text.values()):
        given = " and ".join(option for option, is_given in of_text.items() if is_given)
        raise ReadError(f"{source.name} is {kind}, not text: leave out {given}")
    if options.key is not None and "key" not in features:
        raise ReadError(
            f"{source.name} has no array named {quoted(options.key)}: only its columns can have "
            "names; leave out --key, or use --column"
        )
    if options.axis is not None and "axis" not in features:
        raise ReadError(
            f"{source.name} has rows and columns, not axes; leave out --axis, or use --by columns"
        )


def _unpacked(source: Source) -> Source:
    """Return a source that is unpacked as it is read, if it is compressed."""
    kind = source.signature.kind
    if kind not in _DECOMPRESSORS:
        return source
    source.most = _UNPACKING_BYTES

    def explain(name: str, error: Exception) -> ReadError:
        what = f"is {kind} that cannot be unpacked ({in_one_line(error)})"
        if isinstance(error, EOFError):
            what = f"is truncated: its {kind} ends before its end mark"
        return ReadError(f"{name} {what}; copy or save it again")

    content = Source(source.name, _unpacker(source, kind), packing=kind, explain=explain)
    if content.signature.kind in _DECOMPRESSORS:  # a file that unpacks to itself would never end
        raise ReadError(f"{source.name} is {content.signature.kind} within {kind}; unpack it first")
    return content


def _unpacker(source: Source, kind: str) -> Any:
    """Return the unpacked bytes as a file."""
    module, name, options = _DECOMPRESSORS[kind]
    try:
        decompressor: Any = getattr(import_module(module), name)
    except ImportError:
        if kind != "Zstandard data":
            raise ReadError(f"{kind} needs the module {module}, which this Python lacks") from None
        return resolve_name(f"{__name__}.tables:open_zstandard")(source)
    if name == "GzipFile":
        return decompressor(fileobj=source)
    return _Streams(source, partial(decompressor, **options))


class _Streams:
    """Compressed streams, one after another, in bounded memory; ``lzma.LZMAFile`` has no bound."""

    def __init__(self, packed: Source, decompressor: Callable[[], Any]) -> None:
        self._packed = packed
        self._new = decompressor
        self._current = decompressor()

    def read(self, count: int) -> bytes:
        """Return some of the next bytes, at most `count`; none only at the end."""
        data = b""
        while not data:
            packed = b""
            if self._current.eof:
                packed = self._current.unused_data.lstrip(b"\0")  # zeros are padding
                while not packed:
                    if not (padding := self._packed.read(_PACKED_BYTES)):
                        return b""
                    packed = padding.lstrip(b"\0")
                self._current = self._new()
            elif self._current.needs_input and not (packed := self._packed.read(_PACKED_BYTES)):
                raise EOFError
            data = self._current.decompress(packed, count)
        return data


class Part(NamedTuple):
    """A file, or a part of it: a few hundred bytes, however large the file is."""

    path: str  # from the root, or a URL
    name: str  # what errors call the file
    options: ReadOptions
    size: int  # in bytes in the file, 0 if unknown
    whole: int | None  # the size of the file


def split_file(
    path: str, options: ReadOptions = DEFAULTS, part_bytes: int = 1 << 26, root: str = ""
) -> list[Part]:
    """Split a file, found from `root`, into parts of at most `part_bytes`, if it can be split."""
    options = options._replace(gauge=None, note=None)
    name, path = shown(path), path if is_url(path) else os.path.abspath(os.path.join(root, path))
    with open_source(path) as source:
        whole = source.size
        size, can_split = whole or 0, "parts" in source.signature.features and source.seekable()
    count = max(1, -(-size // part_bytes)) if can_split else 1
    parts = []
    for part in range(count):
        mine = options._replace(part=(part, count))
        begin, end = mine.share(size)
        parts.append(Part(path, name, mine, end - begin, whole))
    return parts


def read_part(part: Part, note: Callable[[Note], None] | None = None) -> Iterator[Block]:
    """Read a part in blocks of bounded size; rows of a text count from the part's first one."""
    with open_source(part.path) as source:
        source.name = part.name
        if part.options.part != DEFAULTS.part and source.size != part.whole:
            raise changed(part.name)
        yield from read_source(source, part.options._replace(note=note))
