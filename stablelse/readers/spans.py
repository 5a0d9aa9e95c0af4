"""Some bytes of a file, as a source of their own."""

from __future__ import annotations

import io
from typing import Any

from stablelse.readers.source import Source


def span(source: Source, begin: int, end: int) -> Source:
    """Return the bytes between two places of a source that can be sought."""
    file = io.BufferedReader(_Span(source, begin, end))
    return Source(source.name, file, end - begin, packing=source.packing)


class _Span(io.RawIOBase):
    """The file between two places."""

    def __init__(self, source: Source, begin: int, end: int) -> None:
        self._source = source
        self._place = begin
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._end - self._place)
        data = self._source.read_at(self._place, count)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
