"""Files behind a URL, such as ``s3://bucket/x.npy``, by fsspec.

fsspec knows the stores; each has a package of its own. What a store complains of becomes an error
of the system, as :class:`Source` wants it.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from stablelse.readers.block import ReadError, in_one_line, shown
from stablelse.readers.source import Reading

#: What is fetched at once: a request takes as long as some megabytes do.
_FETCHED_BYTES = 1 << 22

#: How long to wait for a server's first answer, and for its next bytes, in seconds. aiohttp's own
#: bound is on the whole download, however long it is.
_PATIENCE = 60

#: Schemes of which no directory can be listed, and where a question mark is no pattern.
_WEB = ("http", "https")


@contextmanager
def open_remote(url: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a file behind a URL, with its size, if it can be read from any place."""
    with _complaining(url):
        system, path = _locate(url)
        file = system.open(path, "rb", block_size=_FETCHED_BYTES)
        if _is_web(url) and not _answers_ranges(file):
            file.close()
            file = system.open(path, "rb", block_size=0)
    size = getattr(file, "size", None)
    with file:
        yield io.BufferedReader(_Remote(file, size is not None)), size


def list_remote(url: str, is_pattern: bool) -> list[str]:
    """Return the URLs of the files that a directory has or a pattern matches; else itself."""
    if _is_web(url):
        return [url]
    with _complaining(url):
        system, path = _locate(url)
        if system.isdir(path):
            found = [entry["name"] for entry in system.ls(path, detail=True)]
        elif is_pattern and not system.exists(path):
            found = system.glob(path)
        else:
            return [url]
        return [str(system.unstrip_protocol(name)) for name in found]


class _Remote(Reading):
    """A remote file, all of whose errors are OSError."""

    def __init__(self, file: Any, is_seekable: bool) -> None:
        super().__init__(self._some)
        self._file = file
        self._is_seekable = is_seekable

    def seekable(self) -> bool:
        return self._is_seekable

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def _some(self, count: int) -> bytes:
        try:
            return bytes(self._file.read(count))
        except Exception as error:  # each store has errors of its own
            raise OSError(_reason(error)) from None


def _is_web(url: str) -> bool:
    return url.partition("://")[0].lower() in _WEB


def _locate(url: str) -> tuple[Any, str]:
    """Return the store of a URL, and what the file is called there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ReadError(
            f"{shown(url)} is read by fsspec, which is not installed: "
            "pip install 'stablelse[remote]'"
        ) from None
    if "::" in url:  # fsspec's way of one store within another
        raise ReadError(f"{shown(url)} names one file within another; unpack it first")
    options: dict[str, Any] = {}
    if _is_web(url):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_PATIENCE)
        options["client_kwargs"] = {"timeout": timeout}
    system, path = url_to_fs(url, **options)
    return system, path


def _answers_ranges(file: Any) -> bool:
    """Whether a web server sends a part of a file, when that is all it is asked for."""
    size = getattr(file, "size", None)
    if size is None:
        return False
    file.seek(size - 1)
    try:
        return len(file.read(1)) == 1
    except ValueError:  # what fsspec raises, before it has read the whole
        return False
    finally:
        file.seek(0)


@contextmanager
def _complaining(url: str) -> Iterator[None]:
    try:
        yield
    except ReadError:
        raise
    except Exception as error:  # each store has errors of its own
        raise ReadError(f"cannot read {shown(url)}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """Return what went wrong, for fsspec finds no file where it finds no server."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, FileNotFoundError):
        return "no such file; check the URL"
    status = getattr(error, "status", None)  # of a web server's answer
    return in_one_line(error) if status is None else f"the server answers {status}; check the URL"
