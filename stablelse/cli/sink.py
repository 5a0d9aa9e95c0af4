"""Where output goes: standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def open_sink(path: str | None) -> Iterator[TextIO]:
    """Open the stream that output is written to.

    Parameters
    ----------
    path : str or None
        A file, replaced in one step when everything has been written, and left as it was
        if anything goes wrong; ``None`` is standard output.

    Raises
    ------
    OSError
        If it cannot be written, with the file's name.
    """
    if path is None:
        yield sys.stdout
        return
    with _named(path), _opened(path, "w") as stream:
        yield stream


@contextmanager
def open_binary_sink(path: str) -> Iterator[BinaryIO]:
    """Open a file that bytes are written to, as `open_sink` does."""
    with _named(path), _opened(path, "wb") as stream:
        yield stream


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Tell the file's name where it cannot be written."""
    try:
        yield
    except OSError as error:
        if error.filename in (None, path):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def console_for(stream: TextIO) -> Console:
    """Return the Rich console of a stream: colour only on a terminal that has it."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


@contextmanager
def _opened(path: str, mode: str) -> Iterator[Any]:
    if _is_regular(path):
        with _replacement(Path(path), mode) as stream:
            yield stream
    else:  # a pipe or a device cannot be replaced, and has nothing to lose
        with open(path, mode, **_AS_TEXT.get(mode, {})) as stream:
            yield stream


_AS_TEXT: dict[str, Any] = {"w": {"encoding": "utf-8", "newline": "\n"}}


@contextmanager
def _replacement(path: Path, mode: str) -> Iterator[Any]:
    target = path.resolve()  # a symbolic link keeps pointing where it did
    from tempfile import mkstemp

    if not target.parent.is_dir():
        raise FileNotFoundError(2, "no such directory", str(path))
    descriptor, name = mkstemp(dir=target.parent, prefix=".stablelse-")
    try:
        with open(descriptor, mode, **_AS_TEXT.get(mode, {})) as stream:
            yield stream
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _mode(target: Path) -> int:
    """Return the permissions the file has, or a new one would get."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
