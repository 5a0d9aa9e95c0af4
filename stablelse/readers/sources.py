"""Where bytes come from: files, directories, patterns, URLs, standard input; packed or not.

What a file is, its content says, never its name: `SIGNATURES` has the table. This is the only place
that knows fsspec, which knows the stores; each has a package of its own.
"""

import mmap
import os
import re
import select
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from glob import glob
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

from stablelse.readers.blocks import (
    Gauge,
    ReadError,
    changed,
    damaged,
    explaining,
    in_one_line,
    more_behind,
    shown,
)

#: What is read at once to tell what kind of input it is; more than any signature needs.
_HEAD_BYTES = 1 << 12

#: What is read at once of bytes that are only passed on, and of packed ones.
_PART_BYTES = 1 << 22
_PACKED_BYTES = 1 << 16

#: A stream claims how much memory unpacking takes, up to 4 GiB. `xz -9` takes 65 MiB (its manual,
#: table of presets); Zstandard's decoder accepts 128 MiB (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
_UNPACKING_BYTES = 1 << 27

#: RFC 3986, section 3.1, except for a single letter, which is a drive.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

#: What makes a path a pattern, as in a shell, if it names no file.
_PATTERN = re.compile(r"[*?\[]")

#: Notes that Spark, Hadoop and Delta keep in directories that they write, and hidden files.
_HIDDEN = re.compile(r"\.|_(SUCCESS|(common_)?metadata|started_|committed_|delta_log|temporary)")

_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: "check the path",
    IsADirectoryError: "name a file in it",
    PermissionError: "ask its owner for the right to read it",
}


#: What is fetched at once: a request takes as long as some megabytes do.
_FETCHED_BYTES = 1 << 22

#: How long to wait for a server's first answer, and for its next bytes, in seconds. aiohttp's own
#: bound is on the whole download, however long it is.
_PATIENCE = 60


class Signature(NamedTuple):
    """How a kind of input begins, and what reads it or how to make it readable."""

    kind: str
    begin: bytes  # a pattern
    hint: str = ""  # how to make it readable
    reader: str = ""  # ``module:function`` of this package, if there is one
    #: Which of ``ReadOptions.axis`` and ``key`` choose something there; whether parts can be read.
    features: str = ""


_SAVE = "in the program that wrote it, save the array you want with numpy.save"
_CONVERT = "convert it to CSV or Parquet"
_UNPACK = "unpack it and pipe it in: {} | stablelse ..."
_ICONV = "convert it: iconv -f {} -t UTF-8"
#: A brace begins nothing else; a bracket begins JSON only if a value follows it.
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
        ("a Parquet file", b"PAR1", "", "tables:parquet", "parts"),
        ("an Arrow file", rb"ARROW1\0\0", "", "tables:arrow"),
        ("an Arrow stream", rb"\xff\xff\xff\xff", "", "tables:arrow"),  # before each message
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
        ("text", b"", "", "text:text", "parts"),
    )
)  # fmt: skip

#: What unpacks one stream of each kind: a module, a class of it, and its options.
_DECOMPRESSORS: dict[str, tuple[str, str, dict[str, int]]] = {
    "gzip data": ("gzip", "GzipFile", {}),
    "bzip2 data": ("bz2", "BZ2Decompressor", {}),
    "xz data": ("lzma", "LZMADecompressor", {"memlimit": _UNPACKING_BYTES}),
    "Zstandard data": ("compression.zstd", "ZstdDecompressor", {}),  # since Python 3.14
}


def _unreadable(name: str, error: Exception) -> ReadError:
    """Return the error about a file that the system does not read; others are our own."""
    if not isinstance(error, OSError):
        raise error
    hint = _HINTS.get(type(error))
    return ReadError(
        f"cannot read {name}: {error.strerror or error}" + (f"; {hint}" if hint else "")
    )


class Source:
    """Bytes that are read once, in order; where they can be sought, also from any place.

    A library may read it as its file, at most `most` bytes at once: one that believes what a file
    claims about its parts is stopped before it allocates.
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
        self.packing = packing  # what the bytes were unpacked from, "gzip data", or nothing
        self.gauge: Gauge | None = None
        self.most = sys.maxsize
        self.descriptor: int | None = None  # of a regular file that this is from its first byte
        self._file, self._explain = file, explain
        self._origin = origin  # where in the file the first byte is; None if it cannot be sought
        self._place = 0
        #: The first few thousand bytes, or all if there are fewer; they are still to be read.
        self.head = self._ahead = self._fetch(0, _HEAD_BYTES)

    @property
    def signature(self) -> Signature:
        """The first row of `SIGNATURES` that fits."""
        return next(row for row in SIGNATURES if re.match(row.begin, self.head, re.DOTALL))

    def read(self, count: int | None = -1) -> bytes:
        """Return the next `count` bytes, all by default; fewer only at the end."""
        if self.most < sys.maxsize:  # a library's own bound is what there is
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
        """Go to a place that has not been passed."""
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

    def header(self, length: int, most: int, kind: str) -> bytes:
        """Return the header of a file, if its claimed length is possible."""
        if length > most:
            raise damaged(self.name, kind, f"its header claims {length:,} bytes")
        text = self.read(length)
        if len(text) < length:
            raise ReadError(f"{self.name} is truncated within its header; copy or save it again")
        return text

    def seekable(self) -> bool:
        """Whether it can be read from any place."""
        return self._origin is not None

    def tell(self) -> int:
        """Return how many bytes lie before the next one."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the begin, from here or from the end."""
        if not self.seekable():
            raise OSError("a pipe has no places")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size or 0}[whence]
        if base + offset < 0:
            raise OSError(f"there is no place {base + offset}")
        self._place = base + offset
        return self._place

    def close(self) -> None:
        """Close nothing: whoever opened the file does."""

    def _fetch(self, place: int, count: int) -> bytes:
        """Read `count` bytes, fewer only at the end, from a place if there is one."""
        if self._origin is not None:
            self._tried(self._file.seek, self._origin + place)
        parts: list[bytes] = []
        while count > 0 and (part := self._tried(self._file.read, count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _tried(self, act: Callable[[Any], Any], argument: Any) -> Any:
        """Call a method of the file, and wait while it has nothing to read."""
        with explaining(self.name, self._explain):
            while (result := act(argument)) is None:
                select.select([self._file], [], [])  # whoever opened the pipe does not wait
        return result


def file_source(name: str, file: BinaryIO) -> Source:
    """Return the source of an open file from where it is, which stays open."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a stream in memory has no file number
        return Source(name, file)
    if not stat.S_ISREG(status.st_mode):
        return Source(name, file)
    origin = file.tell()
    # A buffer would be filled again after each seek.
    source = Source(name, getattr(file, "raw", file), status.st_size - origin, origin)
    source.descriptor = None if origin else file.fileno()
    return source


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file, a URL, or standard input where the path is ``-``."""
    name = shown(path)
    if path == "-":
        # Python has no sys.stdin at all if the process was started with it closed.
        if sys.stdin is None or sys.stdin.closed:
            raise ReadError("standard input is closed: give numbers as arguments, or --file")
        yield file_source("standard input", sys.stdin.buffer)
        return
    if is_url(path):
        with _open_url(path) as source:
            yield source
        return
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115  here only its own errors are meant
    except OSError as error:
        raise _unreadable(name, error) from error
    except ValueError:  # a NUL in the path
        raise ReadError(f"cannot read {name}: no file can have this name") from None
    with file:
        yield file_source(name, file)


def is_url(path: str) -> bool:
    """Whether a path begins with a scheme, as in ``s3://``."""
    return _URL.match(path) is not None


def find_files(path: str) -> list[str]:
    """Return the files of a path, directory or pattern, ``part-9`` before ``part-10``."""
    is_pattern = _PATTERN.search(path) is not None
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
    try:
        with os.scandir(directory) as entries:
            are_directories = {entry.path: entry.is_dir() for entry in entries}
    except OSError as error:
        raise ReadError(f"cannot read {shown(directory)}: {error.strerror or error}") from error
    for path, is_directory in are_directories.items():
        name = os.path.basename(path)
        if is_directory and not _HIDDEN.match(name):
            raise ReadError(
                f"the directory {shown(directory)} contains another one, {shown(name)}; say which "
                f"files are wanted, for example --file {shown(directory + '/**/*.csv')!r}"
            )
    return [path for path, is_directory in are_directories.items() if not is_directory]


def _natural(name: str) -> list[str | int]:
    """Return a key that sorts runs of digits as numbers."""
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
    """Return the URLs of the files that a directory has or a pattern matches; else itself."""
    if _is_web(url):  # no directory can be listed there, and a question mark is not a pattern
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
def seekable(source: Source, count: int = sys.maxsize, to_map: bool = False) -> Iterator[Source]:
    """Make a source that can be read from any place, or mapped; others are copied to a file.

    What is unpacked is copied only if its size is known: a few bytes could fill the disk.
    """
    if source.descriptor is not None or (source.seekable() and not to_map):
        yield source
        return
    if source.packing and count == sys.maxsize:
        raise ReadError(
            f"{source.name} is {source.packing} of a file that must be read from its end; "
            "unpack it first"
        )
    with tempfile.TemporaryFile() as file:
        for part in source.parts(count):
            try:
                file.write(part)
            except OSError as error:
                raise ReadError(
                    f"cannot keep {source.name} in a temporary file: {error.strerror}; "
                    "save it, and name the file with --file"
                ) from error
        file.seek(0)
        yield file_source(source.name, file)


def mapped(source: Source) -> tuple[mmap.mmap, Callable[[], None]]:
    """Return a map of a file, and what makes the memory forget the pages read so far."""
    descriptor = source.descriptor
    assert descriptor is not None, "only a file can be mapped"
    pages = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)

    def forget() -> None:
        if os.fstat(descriptor).st_size < len(pages):  # to read what is gone ends a process
            raise changed(source.name)
        if hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)

    return pages, forget


def unpacked(source: Source) -> Source:
    """Return a source whose content is unpacked as it is read, if it is compressed."""
    kind = source.signature.kind
    if kind not in _DECOMPRESSORS:
        return source
    source.most = _UNPACKING_BYTES

    def explain(name: str, error: Exception) -> ReadError:
        what = f"is {kind} that cannot be unpacked ({in_one_line(error)})"
        if isinstance(error, EOFError):
            what = f"is truncated: its {kind} ends before its end mark"
        return ReadError(f"{name} {what}; copy or save it again")

    content = Source(source.name, _unpacker(source, kind), packing=kind, explain=explain)
    if content.signature.kind in _DECOMPRESSORS:  # a file that unpacks to itself would never end
        raise ReadError(f"{source.name} is {content.signature.kind} within {kind}; unpack it first")
    return content


def _unpacker(source: Source, kind: str) -> Any:
    """Return the file of the unpacked bytes."""
    module, name, options = _DECOMPRESSORS[kind]
    try:
        decompressor: Any = getattr(import_module(module), name)
    except ImportError:
        if kind != "Zstandard data":
            raise ReadError(f"{kind} needs the module {module}, which this Python lacks") from None
        return import_module("stablelse.readers.tables").open_zstandard(source)
    if name == "GzipFile":
        return decompressor(fileobj=source)
    return _Streams(source, partial(decompressor, **options))


class _Streams:
    """One stream after the other in bounded memory; ``lzma.LZMAFile`` has no bound."""

    def __init__(self, packed: Source, decompressor: Callable[[], Any]) -> None:
        self._packed = packed
        self._new = decompressor
        self._current = decompressor()

    def read(self, count: int) -> bytes:
        """Return some of the next bytes, at most `count`; none only at the end."""
        data = b""
        while not data:
            packed = b""
            if self._current.eof:
                packed = self._current.unused_data.lstrip(b"\0")  # zeros are padding
                while not packed:
                    if not (padding := self._packed.read(_PACKED_BYTES)):
                        return b""
                    packed = padding.lstrip(b"\0")
                self._current = self._new()
            elif self._current.needs_input and not (packed := self._packed.read(_PACKED_BYTES)):
                raise EOFError
            data = self._current.decompress(packed, count)
        return data


def not_text(source: Source, what: str, hint: str) -> ReadError:
    """Return the error about bytes that are not UTF-8, by their kind if that is known."""
    signature = source.signature
    if signature.hint:
        return ReadError(f"cannot read {source.name}: it is {signature.kind}; {signature.hint}")
    return ReadError(f"{source.name}, {what}; {hint}")
