"""Compressed input: unpacked as it is read, in bounded memory, and read as what is in it.

A few bytes may unpack to any number of them. They are never held: what a bomb costs is time.
"""

import gzip
import io
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from stablelse.readers import read_source
from stablelse.readers.block import Block, ReadError, ReadOptions, in_one_line
from stablelse.readers.signatures import find
from stablelse.readers.source import Reading, Source, SourceFile

#: What is unpacked, and what is asked of the input, at once.
_UNPACKED_BYTES = 1 << 18
_PACKED_BYTES = 1 << 16

#: A stream says itself how much memory it takes to unpack it, up to 4 GiB. The largest that
#: `xz -9` makes takes 65 MiB (its manual, table of presets), and Zstandard's own default for what
#: a decoder accepts is 128 MiB (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
_MEMORY_BYTES = 1 << 27


def blocks(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read what is compressed, whatever it is: text, an array."""
    found = find(source.head)
    assert found is not None, "it is packed"
    if source.packing:  # a file that unpacks to itself would never end
        raise ReadError(f"{source.name} is {found.kind} within {source.packing}; unpack it first")
    file = io.BufferedReader(Reading(_unpacking(source, found.kind)), _UNPACKED_BYTES)
    yield from read_source(Source(source.name, file, packing=found.kind), options)


def _unpacking(source: Source, kind: str) -> Callable[[int], bytes]:
    """Return what reads the unpacked bytes, or complains of what is wrong with them."""
    file = _unpacked(SourceFile(source, most=_MEMORY_BYTES), kind)

    def read(count: int) -> bytes:
        try:
            return bytes(file.read(count))
        except ReadError:
            raise
        except EOFError:
            raise ReadError(
                f"{source.name} is truncated: its {kind} ends before its end mark; copy or save it "
                "again"
            ) from None
        except Exception as error:  # each of the libraries has errors of its own
            raise ReadError(
                f"{source.name} is {kind} that cannot be unpacked ({in_one_line(error)}); copy or "
                "save it again"
            ) from None

    return read


class _Streams:
    """One stream after the other in bounded memory, which ``lzma.LZMAFile`` knows no bound of."""

    def __init__(self, packed: io.RawIOBase, decompressor: Callable[[], Any]) -> None:
        self._packed = packed
        self._new = decompressor
        self._current = decompressor()

    def read(self, count: int) -> bytes:
        """Return some of the next bytes, at most `count`; none only at the end."""
        data = b""
        while not data:
            ahead = b""
            if self._current.eof:
                ahead = self._current.unused_data.lstrip(b"\0")  # zeros are padding
                while not ahead:
                    if not (padding := self._packed.read(_PACKED_BYTES)):
                        return b""
                    ahead = padding.lstrip(b"\0")
                self._current = self._new()
            elif self._current.needs_input and not (ahead := self._packed.read(_PACKED_BYTES)):
                raise EOFError
            data = self._current.decompress(ahead, count)
        return data


def _unpacked(packed: io.RawIOBase, kind: str) -> Any:
    """Return the unpacked file of a packed one; only its ``read`` is used."""
    if kind == "gzip data":
        return gzip.GzipFile(fileobj=packed)
    module, name, options = _DECOMPRESSORS[kind]
    try:
        decompressor = getattr(import_module(module), name)
    except ImportError:
        if kind != "Zstandard data":
            raise ReadError(f"{kind} needs the module {module}, which this Python lacks") from None
        from stablelse.readers.arrow import unpack_zstandard

        return unpack_zstandard(packed)
    return _Streams(packed, partial(decompressor, **options))


#: What unpacks one stream of each other kind: a module, a class of it, and its options.
_DECOMPRESSORS: dict[str, tuple[str, str, dict[str, int]]] = {
    "bzip2 data": ("bz2", "BZ2Decompressor", {}),
    "xz data": ("lzma", "LZMADecompressor", {"memlimit": _MEMORY_BYTES}),
    "Zstandard data": ("compression.zstd", "ZstdDecompressor", {}),  # since Python 3.14
}
