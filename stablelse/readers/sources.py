"""Sources of bytes: files, directories, patterns, URLs, standard input.

A file's content decides its format, never its name: `SIGNATURES` is the table. Only this module
uses fsspec, which opens remote stores; each kind of store needs its own package.
"""

import os
import re
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple

from stablelse.files import signals_held
from stablelse.readers.blocks import (
    Gauge,
    ReadError,
    damaged,
    explaining,
    in_one_line,
    more_behind,
    shown,
)

#: Bytes read first to tell the kind of input; more than any signature needs.
_HEAD_BYTES = 1 << 12

#: Bytes read at once when they are only passed on.
_PART_BYTES = 1 << 22

#: The most bytes of a source to keep in a temporary file.
_SPOOLED_BYTES = 1 << 32

#: RFC 3986, section 3.1, but a single letter is a drive.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

#: Characters that make a path a pattern, as in a shell, if there is no such file.
_PATTERN = re.compile(r"[*?\[]")

#: Hidden files, and those that Spark, Hadoop and Delta add to the directories that they write.
_HIDDEN = re.compile(r"\.|_(SUCCESS|(common_)?metadata|started_|committed_|delta_log|temporary)")

_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: "check the path",
    IsADirectoryError: "name a file in it",
    PermissionError: "ask its owner for the right to read it",
}

#: Bytes fetched at once: a request takes as long as a few megabytes.
_FETCHED_BYTES = 1 << 22

#: How long to wait for a server's first answer, and for its next bytes, in seconds. aiohttp's own
#: timeout is for the whole download, however long that is.
_PATIENCE = 60


class Signature(NamedTuple):
    """How a kind of input begins, and which function reads it or how to make it readable."""

    kind: str
    begin: bytes  # a pattern
    hint: str = ""  # how to make it readable, or to save it so that it takes less memory
    reader: str = ""  # ``module:function`` of this package, if there is one
    #: Which of ``ReadOptions.axis`` and ``key``, and of those for text, it supports; whether parts
    #: can be read.
    features: str = ""


_PAGES = "write it with a smaller data_page_size"
_BATCHES = "write it with smaller batches (max_chunksize)"
_SAVE = "in the program that wrote it, save the array you want with numpy.save"
_CONVERT = "convert it to CSV or Parquet"
_UNPACK = "unpack it and pipe it in: {} | stablelse ..."
_ICONV = "convert it: iconv -f {} -t UTF-8"
#: Only JSON begins with a brace; after a bracket, it is JSON only if a value follows.
_JSON = (
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*"
    rb"(?:\{|\[[ \t\r\n]*(?:[\[{\"\]0-9-]|(?i:null|none|true|false|nan|inf|infinity)\b|\Z))"
)

#: Each format's own specification names these bytes; Python documents that a pickle of
#: protocol 2 and later begins with the opcode PROTO, 0x80, and the protocol's number.
SIGNATURES = tuple(
    Signature(*row)
    for row in (
        ("a .npy file", rb"\x93NUMPY", "", "arrays:npy", "axis parts"),
        ("a zip archive", rb"PK(\x03\x04|\x05\x06)", "", "arrays:npz", "axis key"),  # or of nothing
        # The length of the header, in eight bytes, is below 2**32; the header is JSON.
        ("a .safetensors file", rb".{4}\0\0\0\0\{", "", "arrays:safetensors", "axis key"),
        ("a Parquet file", b"PAR1", _PAGES, "tables:parquet", "parts"),
        ("an Arrow file", rb"ARROW1\0\0", _BATCHES, "tables:arrow"),
        ("an Arrow stream", rb"\xff\xff\xff\xff", _BATCHES, "tables:arrow"),  # before each message
        ("JSON", _JSON, "", "json:json_lines", "key"),
        ("gzip data", rb"\x1f\x8b"),
        ("bzip2 data", rb".{4}(1AY&SY|\x17rE8P\x90)"),  # or of nothing
        ("xz data", rb"\xfd7zXZ\0"),
        ("Zstandard data", rb"\x28\xb5\x2f\xfd"),
        ("a pickle (.pkl, .joblib, old .pt), which could run any code", rb"\x80[\x02-\x05]",
         "if you trust it, load it in Python, and save the array with numpy.save"),
        ("an HDF5 file", rb"\x89HDF\r\n\x1a\n",
         "in Python: numpy.save('x.npy', h5py.File('x.h5')['NAME'][:])"),
        ("a NetCDF file", rb"CDF[\x01\x02\x05]", _SAVE),
        ("a MATLAB file", rb"MATLAB 5\.0 MAT-file",
         "in Python: numpy.save('x.npy', scipy.io.loadmat('x.mat')['NAME'])"),
        ("a GGUF file of quantized weights", b"GGUF", "save the tensors as .safetensors"),
        ("a damaged .safetensors file", rb'.{8}\{"', "copy or save it again"),
        ("an encrypted Parquet file", b"PARE", "write it without encryption"),
        ("an Arrow file of the old Feather format", b"FEA1", _CONVERT),
        ("an Avro file", rb"Obj\x01", _CONVERT),
        ("an SQLite database", rb"SQLite format 3\0", "write the table you want as CSV"),
        ("an old Office file", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save the sheet as CSV"),
        ("LZ4 data", rb"\x04\x22\x4d\x18", _UNPACK.format("lz4 -dc")),
        ("data in the old LZMA format", rb"\x5d\0\0", _UNPACK.format("xz -dc")),
        ("a 7z archive", rb"7z\xbc\xaf\x27\x1c", "unpack it"),
        ("a tar archive", rb".{257}ustar", "unpack it, and name the directory with --file"),
        ("zlib data, as .joblib files are", rb"x[\x9c\xda]", _SAVE),
        ("UTF-32 text", rb"\xff\xfe\0\0|\0\0\xfe\xff", _ICONV.format("UTF-32")),
        ("UTF-16 text", rb"\xff\xfe|\xfe\xff", _ICONV.format("UTF-16")),
        ("text", b"", "", "text:text", "parts text"),
    )
)  # fmt: skip


def _unreadable(name: str, error: Exception) -> ReadError:
    """Return the error about a file that the system cannot read; other errors are our own."""
    if not isinstance(error, OSError):
        raise error
    hint = _HINTS.get(type(error))
    return ReadError(
        f"cannot read {name}: {error.strerror or error}" + (f"; {hint}" if hint else "")
    )


class Source:
    """Bytes that are read once, in order; from any place, if the file is seekable.

    A library may read it as a file, at most `most` bytes at once: if it trusts the sizes that the
    file claims, it is stopped before it allocates.
    """

    closed = False

    def __init__(
        self,
        name: str,
        file: Any,
        size: int | None = None,
        origin: int | None = None,
        packing: str = "",
        explain: Callable[[str, Exception], ReadError] = _unreadable,
    ) -> None:
        self.name = name  # what errors call it
        self.size = size  # in bytes, if it is known
        self.packing = packing  # what the bytes were unpacked from ("gzip data"), or ""
        self.gauge: Gauge | None = None
        self.most = sys.maxsize
        self.descriptor: int | None = None  # if this is a whole regular file
        self._file, self._explain = file, explain
        self._origin = origin  # where the first byte is in the file; None if not seekable
        self._place = 0
        self._is_over = False  # a terminal that is read again waits for more
        #: The first few thousand bytes, or all if there are fewer; `read` returns them again.
        self.head = self._ahead = self._fetch(0, _HEAD_BYTES)

    @property
    def signature(self) -> Signature:
        """The first row of `SIGNATURES` that fits."""
        return next(row for row in SIGNATURES if re.match(row.begin, self.head, re.DOTALL))

    def read(self, count: int | None = -1) -> bytes:
        """Return the next `count` bytes, all by default; fewer only at the end."""
        if self.most < sys.maxsize:  # the bound is for a library
            count = self.most + 1 if count is None or count < 0 else count
            left = count if self.size is None else max(0, self.size - self._place)
            count = min(count, left)
            if count > self.most:
                raise ReadError(
                    f"{self.name} has a part of more than {self.most >> 20} MiB, which must be "
                    "read at once; if it is not damaged, save it in smaller parts"
                )
        assert count is not None, "only a library reads all"
        data = b""
        if not self.seekable():
            data, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(data) < count:
            data += self._fetch(self._place, count - len(data))
        self._place += len(data)
        if self.gauge is not None:
            self.gauge.count += len(data)
        return data

    def parts(self, count: int) -> Iterator[bytes]:
        """Yield the next `count` bytes in parts, fewer at the end; nothing is allocated ahead."""
        while count > 0 and (part := self.read(min(count, _PART_BYTES))):
            yield part
            count -= len(part)

    def skip_to(self, place: int) -> None:
        """Go forward to a place."""
        if self.seekable():
            self.seek(place)
        else:
            for _ in self.parts(place - self._place):
                pass

    def expect_end(self, place: int, what: str) -> None:
        """Refuse a file that goes on after this place."""
        self.skip_to(place)
        if self.read(1):
            raise more_behind(self.name, what)

    def header(self, length: int, most: int) -> bytes:
        """Return the header of a file, if its claimed length is possible."""
        if length > most:
            raise damaged(self.name, f"its header claims {length:,} bytes")
        text = self.read(length)
        if len(text) < length:
            raise ReadError(f"{self.name} is truncated within its header; copy or save it again")
        return text

    def seekable(self) -> bool:
        """Whether any place can be read."""
        return self._origin is not None

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the beginning, from here or from the end."""
        if not self.seekable():
            raise OSError("a pipe has no places")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size or 0}[whence]
        if base + offset < 0:
            raise OSError(f"there is no place {base + offset}")
        self._place = base + offset
        return self._place

    def close(self) -> None:
        """Do nothing: whoever opened the file closes it."""

    def _fetch(self, place: int, count: int) -> bytes:
        """Read `count` bytes, fewer only at the end, from a place if the file is seekable."""
        if self._origin is not None:
            self._tried(self._file.seek, self._origin + place)
        parts: list[bytes] = []
        while count > 0 and not self._is_over:
            part = self._tried(self._file.read, count)
            self._is_over = not part and self._origin is None
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _tried(self, act: Callable[[Any], Any], argument: Any) -> Any:
        """Call a method of the file, and wait for data if there is none yet."""
        with explaining(self.name, self._explain):
            while (result := act(argument)) is None:
                select.select([self._file], [], [])  # the pipe is non-blocking
        return result


def file_source(name: str, file: BinaryIO) -> Source:
    """Return the rest of an open file as a source; the file stays open."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a stream in memory has no file number
        return Source(name, file)
    # A buffer would be filled again after each seek, and wait for a second end of a terminal.
    raw = getattr(file, "raw", file)
    if not stat.S_ISREG(status.st_mode):
        return Source(name, raw)
    origin = file.tell()
    source = Source(name, raw, status.st_size - origin, origin)
    source.descriptor = None if origin else file.fileno()
    return source


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file, a URL, or standard input where the path is ``-``."""
    name = shown(path)
    if path == "-":
        # sys.stdin is None if the process was started with it closed.
        if sys.stdin is None or sys.stdin.closed:
            raise ReadError("standard input is closed: give numbers or a file")
        yield file_source("standard input", sys.stdin.buffer)
        return
    if is_url(path):
        with _open_url(path) as source:
            yield source
        return
    if "\0" in path:
        raise ReadError(f"cannot read {name}: no file can have this name")
    with explaining(name, _unreadable):
        file = open(path, "rb", buffering=0)  # noqa: SIM115  explains only errors of opening
    with file:
        yield file_source(name, file)


def is_url(path: str) -> bool:
    """Whether a path begins with a scheme, as in ``s3://``."""
    return _URL.match(path) is not None


def find_files(path: str) -> list[str]:
    """Return the files of a path, directory or pattern, ``part-9`` before ``part-10``."""
    is_pattern = _PATTERN.search(path) is not None and len(path) < 4096  # as long as paths may be
    if is_url(path):
        paths = _files_at(path, is_pattern)
    elif os.path.isdir(path) and path != "-":
        paths = _files_in(path)
    elif is_pattern and not os.path.lexists(path):
        paths = [name for name in glob(path, recursive=True) if not os.path.isdir(name)]
    else:
        return [path]
    if paths == [path]:
        return paths
    files = [name for name in paths if not _HIDDEN.match(os.path.basename(name))]
    if not files:
        what = "no file matches {}" if is_pattern else "the directory {} has no files in it"
        raise ReadError(f"{what.format(shown(path))}; check the path")
    return sorted(files, key=_natural)


def _files_in(directory: str) -> list[str]:
    with explaining(shown(directory), _unreadable), os.scandir(directory) as entries:
        are_directories = {entry.path: entry.is_dir() for entry in entries}
    for path, is_directory in are_directories.items():
        name = os.path.basename(path)
        if is_directory and not _HIDDEN.match(name):
            raise ReadError(
                f"the directory {shown(directory)} contains another one, {shown(name)}; say which "
                f"files are wanted, for example --file {shown(directory + '/**/*.csv')!r}"
            )
    return [path for path, is_directory in are_directories.items() if not is_directory]


def _natural(name: str) -> list[str | int]:
    """Return a sort key that compares runs of digits as numbers."""
    pieces: list[str | int] = list(re.split("([0-9]+)", name))
    pieces[1::2] = map(int, pieces[1::2])
    return pieces


@contextmanager
def _open_url(url: str) -> Iterator[Source]:
    """Open the file at a URL."""
    with explaining(shown(url), _unreadable_url):
        system, path = _locate(url)
        file = system.open(path, "rb", block_size=_FETCHED_BYTES)
        if _is_web(url) and not _answers_ranges(file):
            file.close()
            file = system.open(path, "rb", block_size=0)
    with file:
        size = getattr(file, "size", None)  # known if it can be read from any place
        origin = None if size is None else 0
        yield Source(shown(url), file, size, origin, explain=_unreadable_url)


def _files_at(url: str, is_pattern: bool) -> list[str]:
    """Return the URLs of the files in a directory or of a pattern; otherwise the URL itself."""
    if _is_web(url):  # it has no directories to list, and a question mark is not a pattern
        return [url]
    with explaining(shown(url), _unreadable_url):
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
    """Return the store of a URL, and the file's name there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ReadError(
            f"{shown(url)} is read by fsspec, which is not installed: pip install 'fsspec[http]'"
        ) from None
    if "::" in url:  # fsspec's notation for a store within a store
        raise ReadError(f"{shown(url)} names one file within another; unpack it first")
    options: dict[str, Any] = {}
    if _is_web(url):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_PATIENCE)
        options["client_kwargs"] = {"timeout": timeout}
    system, path = url_to_fs(url, **options)
    return system, path


def _answers_ranges(file: Any) -> bool:
    """Whether a web server can send just a part of a file."""
    size = getattr(file, "size", None)
    if size is None:
        return False
    file.seek(size - 1)
    try:
        return len(file.read(1)) == 1
    except ValueError:  # fsspec raises it before it has read the whole file
        return False
    finally:
        file.seek(0)


def _unreadable_url(name: str, error: BaseException) -> ReadError:
    """Return the error of a store; fsspec reports a missing server as a missing file."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    status = getattr(error, "status", None)  # of a web server's answer
    what = in_one_line(error) if status is None else f"the server answers {status}; check the URL"
    if isinstance(error, FileNotFoundError):
        what = "no such file; check the URL"
    return ReadError(f"cannot read {name}: {what}")


@contextmanager
def seekable(source: Source, count: int = sys.maxsize, is_local: bool = False) -> Iterator[Source]:
    """Make a source seekable, if necessary by copying it to a file, which a local one is.

    Unpacked data are copied only if their size is known: a few bytes could fill the disk.
    """
    if source.descriptor is not None or (source.seekable() and not is_local):
        yield source
        return
    if source.packing and count == sys.maxsize:
        raise ReadError(
            f"{source.name} is {source.packing} of a file that must be read from its end; "
            "unpack it first"
        )
    with open_spool(source.name) as file:
        with explaining(source.name, not_kept):
            for part in source.parts(min(count, _SPOOLED_BYTES + 1)):
                file.write(part)
            if file.tell() > _SPOOLED_BYTES:
                raise ReadError(
                    f"{source.name} would take more than {_SPOOLED_BYTES >> 20:,} MiB in a "
                    "temporary file; save it unpacked, and name the file with --file"
                )
            file.seek(0)
        yield file_source(source.name, file)


def open_spool(name: str) -> Any:
    """Open a temporary file, which disappears when it is closed, to keep a source in it."""
    with explaining(name, not_kept), signals_held():  # some systems give it a name first
        return TemporaryFile()


def not_kept(name: str, error: Exception) -> ReadError:
    """Return the error about a source that cannot be kept in a temporary file."""
    if not isinstance(error, OSError):
        raise error
    return ReadError(
        f"cannot keep {name} in a temporary file: {error.strerror}; save it, and name the file "
        "with --file"
    )


def not_text(source: Source, what: str, hint: str) -> ReadError:
    """Return the error about bytes that are not UTF-8; it names their kind, if known."""
    signature = source.signature
    if signature.hint:
        return ReadError(f"cannot read {source.name}: it is {signature.kind}; {signature.hint}")
    return ReadError(f"{source.name}, {what}; {hint}")
