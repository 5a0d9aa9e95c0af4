"""Where bytes come from: a file or standard input, with the system's complaints made readable."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from stablelse.readers.block import ReadError

#: What is read at once to tell what kind of input it is; more than any signature needs.
_HEAD_BYTES = 1 << 12

_MENDS: dict[type[OSError], str] = {
    FileNotFoundError: "check the path",
    IsADirectoryError: "name a file in it",
    PermissionError: "ask its owner for the right to read it",
}


class Source:
    """Bytes that are read once, in order; of a regular file also from any place.

    Parameters
    ----------
    name : str
        What complaints call it.
    file : binary file
        Stays open when the source is done with.

    Attributes
    ----------
    head : bytes
        The first few thousand bytes, or all if there are fewer; they are still to be read.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        self._origin = self._position()
        with self._complaining():
            self.head = file.read(_HEAD_BYTES)
        self._ahead = self.head

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end.

        Raises
        ------
        ReadError
            If the system cannot read on.
        """
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(data) < count:
            with self._complaining():
                data += self._file.read(count - len(data))
        return data

    def read_at(self, position: int, count: int) -> bytes:
        """Return `count` bytes from a place, counted from the first byte; not on a pipe."""
        with self._complaining():
            self._file.seek(self._origin + position)
            return self._file.read(count)

    def size(self) -> int | None:
        """Return how many bytes there are in all, ``None`` where that cannot be known."""
        try:
            status = os.fstat(self._file.fileno())
        except OSError:  # a stream in memory has no file number
            return None
        return status.st_size - self._origin if stat.S_ISREG(status.st_mode) else None

    def _position(self) -> int:
        try:
            return self._file.tell()
        except OSError:  # a pipe has no positions
            return 0

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReadError(_system_complaint(self.name, error)) from error


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file, or standard input where the path is ``-``.

    Raises
    ------
    ReadError
        If there is no such file, it may not be read, or standard input is closed.
    """
    if path == "-":
        yield Source("standard input", _standard_input())
        return
    name = path if path and path.isprintable() else repr(path)
    try:
        file = open(path, "rb")  # noqa: SIM115  closed below; here only its own errors are meant
    except OSError as error:
        raise ReadError(_system_complaint(name, error)) from error
    except ValueError:  # a NUL in the path
        raise ReadError(f"cannot read {name}: no file can have this name") from None
    with file:
        yield Source(name, file)


def _standard_input() -> BinaryIO:
    # Python has no sys.stdin at all if the process was started with it closed.
    if sys.stdin is None or sys.stdin.closed:
        raise ReadError("standard input is closed: give numbers as arguments, or --file")
    return sys.stdin.buffer


def _system_complaint(name: str, error: OSError) -> str:
    mend = _MENDS.get(type(error))
    return f"cannot read {name}: {error.strerror or error}" + (f"; {mend}" if mend else "")
