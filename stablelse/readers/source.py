"""Where bytes come from: a file, a URL or standard input, with the system's complaints readable."""

import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

from stablelse.readers.block import Gauge, ReadError, damaged, shown

#: What is read at once to tell what kind of input it is; more than any signature needs.
_HEAD_BYTES = 1 << 12

#: What is read at once of bytes that are only passed on.
_PART_BYTES = 1 << 22

#: RFC 3986, section 3.1, but for one letter alone, which is a drive.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

_MENDS: dict[type[OSError], str] = {
    FileNotFoundError: "check the path",
    IsADirectoryError: "name a file in it",
    PermissionError: "ask its owner for the right to read it",
}


class Source:
    """Bytes that are read once, in order; where they can be sought, also from any place.

    `name` is what complaints call it; `file` stays open when the source is done with. `size` and
    `is_seekable` are those of a file that is not one of the system, if they are known. `packing` is
    what the bytes were unpacked from, ``"gzip data"``, or nothing. A `gauge` counts what is read.
    """

    def __init__(
        self,
        name: str,
        file: BinaryIO,
        size: int | None = None,
        is_seekable: bool = False,
        packing: str = "",
    ) -> None:
        self.name = name
        self.packing = packing
        self.gauge: Gauge | None = None
        self._file = file
        self._origin = file.tell() if file.seekable() else 0
        self._regular = _regular_size(file)
        self._size = size if self._regular is None else self._regular - self._origin
        self.is_seekable = is_seekable or self._regular is not None
        self._ahead = b""

    @cached_property
    def head(self) -> bytes:
        """The first few thousand bytes, or all if there are fewer; they are still to be read.

        Reading from other places never asks for them: from afar, they take as long as megabytes.
        """
        with self._complaining():
            if self.is_seekable:
                self._file.seek(self._origin)
            self._ahead = self._file.read(_HEAD_BYTES)
        return self._ahead

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        _ = self.head
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(data) < count:
            with self._complaining():
                data += self._file.read(count - len(data))
        return self._counted(data)

    def read_at(self, position: int, count: int) -> bytes:
        """Return `count` bytes from a place, counted from the first byte; not on a pipe."""
        with self._complaining():
            self._file.seek(self._origin + position)
            return self._counted(self._file.read(count))

    def _counted(self, data: bytes) -> bytes:
        if self.gauge is not None:
            self.gauge.count += len(data)
        return data

    def span(self, begin: int, end: int) -> "Source":
        """Return the bytes between two places as a source of their own; not on a pipe."""
        place = begin

        def read(count: int) -> bytes:
            nonlocal place
            data = self.read_at(place, min(count, end - place))
            place += len(data)
            return data

        return Source(
            self.name, io.BufferedReader(Reading(read)), end - begin, packing=self.packing
        )

    def size(self) -> int | None:
        """Return how many bytes there are in all, ``None`` where that cannot be known."""
        return self._size

    def descriptor(self) -> int | None:
        """Return the number of the regular file that this is from its first byte, if it is one."""
        return None if self._regular is None or self._origin else self._file.fileno()

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReadError(_system_complaint(self.name, error)) from error


class Reading(io.RawIOBase):
    """What a function reads, as a file: it returns at most so many bytes, none at the end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes, and return how many there were."""
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)


class SourceFile(Reading):
    """A source as the file object that a library wants; closing it closes nothing.

    It reads from the first byte if the source can be sought, else from where it is, and at most
    `most` bytes at once: a library that believes what a file says of its own parts is stopped
    before it allocates.
    """

    def __init__(self, source: Source, most: int) -> None:
        super().__init__(self.read)
        self._source = source
        self._most = most
        self._place = 0

    def seekable(self) -> bool:
        """Whether it can be read from any place."""
        return self._source.is_seekable

    def tell(self) -> int:
        """Return how many bytes lie before the next one."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the begin, from here or from the end."""
        if not self.seekable():
            raise io.UnsupportedOperation("a pipe has no places")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._source.size() or 0}
        if base[whence] + offset < 0:
            raise OSError(f"there is no place {base[whence] + offset}")
        self._place = base[whence] + offset
        return self._place

    def read(self, count: int | None = -1) -> bytes:
        """Return the next `count` bytes, all by default; fewer only at the end."""
        source, size = self._source, self._source.size()
        if count is None or count < 0:
            count = self._most + 1
        if size is not None:
            count = min(count, max(0, size - self._place))
        if count > self._most:
            raise ReadError(
                f"{source.name} has a part of more than {self._most >> 20} MiB, which must be read "
                "at once; if it is not damaged, save it in smaller parts"
            )
        if self.seekable():
            data = source.read_at(self._place, count)
        else:
            data = b"".join(read_parts(source, count))
        self._place += len(data)
        return data


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file, a URL, or standard input where the path is ``-``."""
    if path == "-":
        yield Source("standard input", _standard_input())
        return
    name = shown(path)
    if is_url(path):
        from stablelse.readers.remote import open_remote

        with open_remote(path) as (remote, size):
            yield Source(name, remote, size, is_seekable=size is not None)
        return
    try:
        file = open(path, "rb")  # noqa: SIM115  closed below; here only its own errors are meant
    except OSError as error:
        raise ReadError(_system_complaint(name, error)) from error
    except ValueError:  # a NUL in the path
        raise ReadError(f"cannot read {name}: no file can have this name") from None
    with file:
        yield Source(name, file)


def is_url(path: str) -> bool:
    """Whether a path begins with a scheme, as in ``s3://``."""
    return _URL.match(path) is not None


@contextmanager
def sought(source: Source) -> Iterator[Source]:
    """Make a source that can be read from any place: of a pipe, by a temporary file.

    Not of what is unpacked as it is read: a few bytes could fill the disk.
    """
    if source.is_seekable:
        yield source
    elif source.packing:
        raise ReadError(
            f"{source.name} is {source.packing} of a file that must be read from its end; "
            "unpack it first"
        )
    else:
        with spooled(source, sys.maxsize) as copy:
            yield copy


@contextmanager
def spooled(source: Source, count: int) -> Iterator[Source]:
    """Copy at most the next `count` bytes to a temporary file, to be read from any place."""
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        for part in read_parts(source, count):
            try:
                file.write(part)
            except OSError as error:
                raise ReadError(
                    f"cannot keep {source.name} in a temporary file: {error.strerror}; "
                    "save it, and name the file with --file"
                ) from error
        file.seek(0)
        yield Source(source.name, file)


def read_parts(source: Source, count: int) -> Iterator[bytes]:
    """Yield the next `count` bytes in parts, fewer at the end: allocate nothing on a promise."""
    while count > 0 and (part := source.read(min(count, _PART_BYTES))):
        yield part
        count -= len(part)


def read_header(source: Source, length: int, most: int, kind: str) -> bytes:
    """Read a header that says how long it is, if that is not more than there can be."""
    if length > most:
        raise damaged(source.name, kind, f"its header claims {length:,} bytes")
    text = source.read(length)
    if len(text) < length:
        raise ReadError(f"{source.name} is truncated within its header; copy or save it again")
    return text


def _regular_size(file: BinaryIO) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a stream in memory has no file number
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _standard_input() -> BinaryIO:
    # Python has no sys.stdin at all if the process was started with it closed.
    if sys.stdin is None or sys.stdin.closed:
        raise ReadError("standard input is closed: give numbers as arguments, or --file")
    return sys.stdin.buffer


def _system_complaint(name: str, error: OSError) -> str:
    mend = _MENDS.get(type(error))
    return f"cannot read {name}: {error.strerror or error}" + (f"; {mend}" if mend else "")
