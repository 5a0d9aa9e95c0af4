"""Numbers into files, a block at a time: .csv, .npy, .parquet, or lines of text."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

import numpy as np
import typer

from stablelse.cli.sink import open_binary_sink, open_sink
from stablelse.numerics.formats import Array, Format
from stablelse.render.numbers import number_text

# NumPy pads its headers to a multiple of 64 bytes (NEP 1); this leaves room for any shape.
_HEADER_BYTES = 128


class Writer(Protocol):
    """Takes arrays of shape (rows, width) one after the other; width is always the same."""

    def write(self, values: Array) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write what comes last."""


class TextWriter:
    """Lines of text: the numbers of a row with a separator between."""

    def __init__(self, stream: TextIO, separator: str) -> None:
        self._stream = stream
        self._separator = separator

    def write(self, values: Array) -> None:
        """Write a line for each row."""
        lines = (self._separator.join(map(number_text, row)) for row in values)
        self._stream.writelines(f"{line}\n" for line in lines)

    def close(self) -> None:
        """Do nothing: every line is complete."""


class LineWriter:
    """One line of text, whatever comes."""

    def __init__(self, stream: TextIO, separator: str) -> None:
        self._stream = stream
        self._separator = separator
        self._between = ""

    def write(self, values: Array) -> None:
        """Go on with the line."""
        self._stream.write(self._between)
        self._stream.write(self._separator.join(map(number_text, values.reshape(-1))))
        self._between = self._separator

    def close(self) -> None:
        """End the line."""
        self._stream.write("\n")


class NpyWriter:
    """An array of NumPy's, whose header is written when its length is known."""

    def __init__(self, stream: Any, dtype: np.dtype[Any], name: str) -> None:
        if not stream.seekable():
            raise typer.BadParameter(f"{name} must be a file: the length comes first in a .npy")
        self._stream = stream
        self._dtype = dtype.newbyteorder("<")
        self._rows, self._width = 0, 1
        #: How long the axes are over which rows are counted, if they are several.
        self.outer: tuple[int, ...] = ()
        stream.write(bytes(_HEADER_BYTES))

    def write(self, values: Array) -> None:
        """Append rows."""
        self._rows += len(values)
        self._width = values.shape[1]
        self._stream.write(np.ascontiguousarray(values, self._dtype).data)

    def close(self) -> None:
        """Write the header; one column is an array of one axis."""
        shape: tuple[int, ...] = (self._rows,) if self._width == 1 else (self._rows, self._width)
        if self.outer and math.prod(self.outer) == self._rows:  # not where rows were chosen
            shape = (*self.outer, self._width)
        fields = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, fields)
        text = header.getvalue()
        # magic, version and length take ten bytes; the header is padded with blanks to its end
        padded = text[10:].rstrip(b"\n").ljust(_HEADER_BYTES - 11) + b"\n"
        self._stream.seek(0)
        self._stream.write(text[:8] + (_HEADER_BYTES - 10).to_bytes(2, "little") + padded)


class _Kind(NamedTuple):
    """A kind of file: whether it is text, and what writes it."""

    is_text: bool
    open: Callable[[Any, Format, str, str], Writer]


def _csv(stream: TextIO, format_: Format, name: str, title: str) -> Writer:
    return _Titled(stream, title)


def _npy(stream: Any, format_: Format, name: str, title: str) -> Writer:
    return NpyWriter(stream, _stored(format_, ".npy"), name)


def _parquet(stream: Any, format_: Format, name: str, title: str) -> Writer:
    from stablelse.cli.parquet import ParquetWriter

    return ParquetWriter(stream, _stored(format_, ".parquet"), title)


class _Titled(TextWriter):
    """Lines of CSV below a header: the function, numbered where there are several columns."""

    def __init__(self, stream: TextIO, title: str) -> None:
        super().__init__(stream, ",")
        self._title: str | None = title

    def write(self, values: Array) -> None:
        """Write a line for each row, the header before the first."""
        if self._title is not None:
            self._stream.write(",".join(titles(self._title, values.shape[1])) + "\n")
            self._title = None
        super().write(values)


def titles(title: str, width: int) -> list[str]:
    """Return the names of columns: numbered from 1, if there are several."""
    return [title] if width == 1 else [f"{title}_{number}" for number in range(1, width + 1)]


def _stored(format_: Format, suffix: str) -> np.dtype[Any]:
    if format_.extra is not None or format_.name == "longdouble":
        raise typer.BadParameter(
            f"a {suffix} file has no {format_.name}: write .csv, or choose float64, float32 or "
            "float16 with --dtype"
        )
    return format_.dtype


#: The kinds of files that values are written to, by the end of their names.
KINDS = {
    ".csv": _Kind(True, _csv),
    ".npy": _Kind(False, _npy),
    ".parquet": _Kind(False, _parquet),
}


def kind_of(path: str | None) -> str | None:
    """Return which of the kinds a file is to be, by its name; ``None`` if it is none."""
    suffix = "" if path is None else Path(path).suffix.lower()
    return suffix if suffix in KINDS else None


@contextmanager
def open_writer(path: str, format_: Format, title: str) -> Iterator[Writer]:
    """Open a file that values are written to, whole or not at all.

    Parameters
    ----------
    path : str
        Its suffix is one of `KINDS`.
    format_ : Format
        Of the values.
    title : str
        What the columns are called.
    """
    kind = KINDS[Path(path).suffix.lower()]
    with open_sink(path) if kind.is_text else open_binary_sink(path) as stream:
        writer = kind.open(stream, format_, path, title)
        try:
            yield writer
        finally:  # a writer that is not closed would write to the closed file when it is deleted
            writer.close()
