"""Where files are written, whole or not at all, and what is done when a signal ends the process."""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import sys
from contextlib import contextmanager, suppress
from functools import partial

TYPE_CHECKING = False  # the module typing takes as long to load as all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

#: What to do before a signal ends the process, the last first.
_ACTS: list[Callable[[int], object]] = []

#: Whether signals wait, and those that do.
_are_held = False
_waiting: list[int] = []


def end_on_signals() -> None:
    """Make signals clean up and end the process, unless it was started to ignore them.

    No exception is raised: one that is raised within a destructor would be lost.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    if hasattr(signal, "SIGPIPE"):  # Python ignores it, so that the write fails
        signal.signal(signal.SIGPIPE, _on_broken_pipe)


def _end(number: int, _: FrameType | None) -> None:
    """Clean up and end: by the signal, or with 130 on Ctrl-C, which a shell expects."""
    if _are_held:
        _waiting.append(number)
        return
    signal.signal(number, signal.SIG_IGN)
    for act in reversed(_ACTS):
        with suppress(Exception):  # the others must run too
            act(number)
    if number == signal.SIGINT:
        os._exit(130)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _on_broken_pipe(number: int, frame: FrameType | None) -> None:
    """End by the signal, as `| head` expects, if standard output broke; else the write fails."""
    poll = select.poll()
    poll.register(1, 0)  # no events: errors are always reported
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        _end(number, frame)


@contextmanager
def before_end(act: Callable[[int], object]) -> Iterator[None]:
    """Call something with the signal's number if one ends the process in this block."""
    _ACTS.append(act)
    try:
        yield
    finally:
        _ACTS.remove(act)


@contextmanager
def signals_held() -> Iterator[None]:
    """Make signals wait until the end of this block, which must be short."""
    global _are_held
    _are_held = True
    try:
        yield
    finally:
        _are_held = False
        while _waiting:
            _end(_waiting.pop(), None)


@contextmanager
def open_sink(path: str | None, mode: str = "w") -> Iterator[Any]:
    """Open a file, to be replaced completely or not at all, or standard output for None."""
    if path is None:
        yield sys.stdout
        return
    form: dict[str, Any] = {}
    if "b" not in mode:
        form = {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
    target = os.path.realpath(path)  # a symbolic link keeps pointing where it did
    name = os.path.join(os.path.dirname(target), f".stablelse-{os.urandom(8).hex()}")
    try:
        number = stream_of(path, mode)
        if number is not None or not is_replaced(path):
            with open(path if number is None else os.dup(number), mode, **form) as stream:
                yield stream
            return
        old = os.stat(target) if os.path.exists(target) else None
        create = partial(os.open, mode=0o600 if old else 0o666)
        with before_end(lambda _: _remove(name)):
            try:
                with open(name, mode.replace("w", "x"), opener=create, **form) as stream:
                    yield stream
                if old:
                    _keep_status(name, old)
                os.replace(name, target)
            finally:
                _remove(name)
    except OSError as error:
        if error.filename in (None, path, name):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def stream_of(path: str, mode: str = "w") -> int | None:
    """Return the number of the open stream that a path stands for: it is appended to.

    Such are /dev/stdout and /dev/fd/3, and a file to which the shell redirects standard output.
    """
    folder, name = os.path.split(path)
    if path in _STREAMS:
        return _STREAMS[path]
    if name.isdecimal() and os.path.realpath(folder) == os.path.realpath("/dev/fd"):
        return int(name)
    here = None if "b" in mode else identity(path)
    return next((n for n in _STREAMS.values() if here and identity(n) == here), None)


_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def identity(file: str | int) -> tuple[int, int] | None:
    """Return what all names of a regular file, and its descriptors, have in common."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):  # a NUL in the path
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def is_replaced(path: str) -> bool:
    """Whether a path is that of a regular file, or free for one."""
    return identity(path) is not None or not (os.path.exists(path) or path.endswith(os.sep))


def check_sink(path: str) -> None:
    """Refuse a file that cannot be written, before anything is computed."""
    folder = os.path.dirname(os.path.realpath(path))
    if stream_of(path) is not None:
        return
    if not (path and os.path.isdir(folder)):
        raise FileNotFoundError(errno.ENOENT, "no such directory", path or "''")
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only", path)
    if is_replaced(path) and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"the directory {folder} is read-only", path)


def _remove(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)


def _keep_status(name: str, old: os.stat_result) -> None:
    """Give a file the owner and the permissions of the one that it replaces."""
    if hasattr(os, "chown"):
        with suppress(PermissionError):  # only root may give files away
            os.chown(name, old.st_uid, old.st_gid)
    os.chmod(name, stat.S_IMODE(old.st_mode) & 0o777)
