"""Files at a URL, such as ``s3://bucket/x.npy``: the only module that uses fsspec.

fsspec knows the stores; each has a package of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stablelse.readers.blocks import ReadError, explaining, in_one_line, shown

#: What is fetched at once: a request takes as long as some megabytes do.
_FETCHED_BYTES = 1 << 22

#: How long to wait for a server's first answer, and for its next bytes, in seconds. aiohttp's own
#: bound is on the whole download, however long it is.
_PATIENCE = 60


@contextmanager
def open_file(url: str) -> Iterator[tuple[Any, int | None]]:
    """Open the file at a URL; its size is known if it can be read from any place."""
    with explaining(shown(url), unreadable):
        system, path = _locate(url)
        file = system.open(path, "rb", block_size=_FETCHED_BYTES)
        if _is_web(url) and not _answers_ranges(file):
            file.close()
            file = system.open(path, "rb", block_size=0)
    with file:
        yield file, getattr(file, "size", None)


def list_files(url: str, is_pattern: bool) -> list[str]:
    """Return the URLs of the files that a directory has or a pattern matches; else itself."""
    if _is_web(url):  # no directory can be listed there, and a question mark is not a pattern
        return [url]
    with explaining(shown(url), unreadable):
        system, path = _locate(url)
        if system.isdir(path):
            names = [entry["name"] for entry in system.ls(path, detail=True)]
        elif is_pattern and not system.exists(path):
            names = system.glob(path)
        else:
            return [url]
        return [str(system.unstrip_protocol(name)) for name in names]


def _is_web(url: str) -> bool:
    return url.partition("://")[0].lower() in ("http", "https")


def _locate(url: str) -> tuple[Any, str]:
    """Return the store of a URL, and what the file is called there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ReadError(
            f"{shown(url)} is read by fsspec, which is not installed: pip install 'fsspec[http]'"
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


def unreadable(name: str, error: BaseException) -> ReadError:
    """Return the error of a store; fsspec reports a missing server as a missing file."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    status = getattr(error, "status", None)  # of a web server's answer
    what = in_one_line(error) if status is None else f"the server answers {status}; check the URL"
    if isinstance(error, FileNotFoundError):
        what = "no such file; check the URL"
    return ReadError(f"cannot read {name}: {what}")
