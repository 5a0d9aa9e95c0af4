"""Compressed input: unpacked as it is read, in bounded memory, and read as what is in it.

A few bytes may unpack to any number of them. They are never held: what a bomb costs is time.
"""

import io
from collections.abc import Callable, Iterator
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
    file = _UNPACKERS[kind](SourceFile(source, most=_MEMORY_BYTES))

    def read(count: int) -> bytes:
        try:
            data: bytes = file.read(count)
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
        return data

    return read


class _Streams:
    """One compressed stream after the other, by any of Python's incremental decompressors.

    What Python has for whole files (``lzma.LZMAFile``) knows no bound of its memory.
    """

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
                ahead = self._behind_stream()
                if not ahead:
                    return b""
                self._current = self._new()
            elif self._current.needs_input:
                ahead = self._packed.read(_PACKED_BYTES)
                if not ahead:
                    raise EOFError
            data = self._current.decompress(ahead, count)
        return data

    def _behind_stream(self) -> bytes:
        """Return the begin of the next stream; zeros between streams are padding."""
        ahead: bytes = self._current.unused_data.lstrip(b"\0")
        while not ahead:
            padding = self._packed.read(_PACKED_BYTES)
            if not padding:
                break
            ahead = padding.lstrip(b"\0")
        return ahead


def _gzip(packed: io.RawIOBase) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=packed)


def _bzip2(packed: io.RawIOBase) -> Any:
    import bz2

    return _Streams(packed, bz2.BZ2Decompressor)


def _xz(packed: io.RawIOBase) -> Any:
    import lzma

    return _Streams(packed, lambda: lzma.LZMADecompressor(memlimit=_MEMORY_BYTES))


def _zstandard(packed: io.RawIOBase) -> Any:
    try:
        from compression.zstd import ZstdDecompressor  # since Python 3.14
    except ImportError:
        from stablelse.readers.arrow import unpack_zstandard

        return unpack_zstandard(packed)
    return _Streams(packed, ZstdDecompressor)


#: What unpacks each kind of `SIGNATURES`: takes the packed file, and returns the unpacked one, of
#: which only ``read`` is used.
_UNPACKERS = {
    "gzip data": _gzip,
    "bzip2 data": _bzip2,
    "xz data": _xz,
    "Zstandard data": _zstandard,
}
