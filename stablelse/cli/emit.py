"""The only way out: a result goes to the screen, to a program or to files, as the options say."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pkgutil import resolve_name
from typing import Any, NamedTuple

import numpy as np
import typer

from stablelse.cli.progress import NOTES, Meter
from stablelse.files import check_sink, identity, is_replaced, open_sink, stream_of
from stablelse.numerics.formats import Array, Format
from stablelse.printable import printable
from stablelse.readers.blocks import Note, ReadError
from stablelse.readers.sources import find_files, is_url
from stablelse.render import Many, form
from stablelse.render.numbers import number_texts


class WrittenRows(NamedTuple):
    """Rows of numbers, or a piece of a row."""

    values: Array
    width: int  # of whole rows
    outer: tuple[int, ...]  # the lengths of the axes over which the rows are counted


class Values(NamedTuple):
    """Numbers for --quiet: a vector's, or those of a part of a long vector."""

    values: Array
    #: Whether they are printed one per line.
    vertical: bool
    #: Whether the vector goes on.
    goes_on: bool = False


def emit(result: Any, request: Any, meter: Meter | None = None) -> None:
    """Print a result or many, and save them, in the form that the request asks for."""
    hide = meter.hide if meter is not None else lambda: None
    results = result.results if isinstance(result, Many) else [result]
    with open_sink(request.output) as stream:
        if request.format == "table" and not request.quiet:
            resolve_name("stablelse.cli.screen:show")(results, stream, request, hide)  # loads Rich
            return
        if request.quiet:
            lines = _value_texts(results)
        elif request.format in _DOCUMENTS:
            write = resolve_name(f"stablelse.render.records:{_DOCUMENTS[request.format]}")
            lines = write(result, partial(_more, request))
        else:
            each_line = (line for each in results for line in form(each, request.format)(each))
            lines = (f"{line}\n" for line in each_line)
        if stream.isatty():
            hide()
            if not request.quiet:
                lines = ("\n".join(map(printable, text.split("\n"))) for text in lines)
        stream.writelines(lines)


def _more(request: Any) -> dict[str, Any]:
    """Return what JSON says about the input; the header is known once it is read."""
    header = {"header": NOTES.header and list(NOTES.header)} if request.decimal else {}
    options = vars(request)
    return header | {
        name: options[name] for name in ("temperature", "label_smoothing") if name in options
    }


#: Writers of the forms for programs, in `stablelse.render.records`.
_DOCUMENTS = {"json": "json_document", "jsonl": "json_lines", "csv": "csv_document"}


def _value_texts(results: Iterable[Values]) -> Iterator[str]:
    """Yield only the values, as the shortest texts that read back the same."""
    is_begun = False
    for values, vertical, goes_on in results:
        separator = "\n" if vertical else "\t"
        if len(values):
            yield (separator if is_begun else "") + separator.join(number_texts(values))
        is_begun = goes_on
        if not goes_on:
            yield "\n"


def check_sinks(request: Any) -> None:
    """Refuse files that cannot be written, or that are read too, before anything is computed."""
    paths = [*([] if request.output is None else [request.output]), *(request.save or ())]
    for number, path in enumerate(paths):
        check_sink(path)
        if is_replaced(path) and os.path.realpath(path) in map(os.path.realpath, paths[:number]):
            raise typer.BadParameter(f"{path} would be written twice: name two files")
    sinks = {identity(sink): sink for sink in (paths if request.output else [1, *paths])}
    for source in _files_of(request.sources):
        key = identity(0 if source == "-" else source)
        if key is not None and key in sinks:
            sink = "standard output" if sinks[key] == 1 else sinks[key]
            name = "standard input" if source == "-" else source
            alias = "" if name == sink else f", as {name}"
            raise typer.BadParameter(f"{sink} is also read{alias}: write to another file")
    for path in paths:
        if stream_of(path) is None and identity(path) and os.stat(path).st_nlink > 1:
            text = "it has other names (hard links), under which the old content stays"
            NOTES.note(Note(text, path))


def _files_of(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        with suppress(ReadError):  # the reader will complain
            yield from [] if is_url(path) else find_files(path)


def _write_csv(path: str, blocks: Iterable[WrittenRows], format_: Format, title: str) -> None:
    """Write lines of CSV below a header."""
    with open_sink(path) as stream:
        size = 0
        for block, width, _ in blocks:
            if size == 0:
                names = enumerate(_titles(title, width), start=1)
                stream.writelines(f"{name}{',' if at < width else chr(10)}" for at, name in names)
            for row in block:
                size += len(row)
                stream.write(",".join(number_texts(row)) + (",\n"[size % width == 0]))


#: A multiple of 64 (NEP 1), with room for a shape of 64 axes.
_HEADER_BYTES = 512


def _write_npy(path: str, blocks: Iterable[WrittenRows], format_: Format, _: str) -> None:
    """Write a NumPy array; its header is written last, when the length is known."""
    dtype = _stored(format_, ".npy").newbyteorder("<")
    size, width = 0, 1
    axes: tuple[int, ...] = ()
    with open_sink(path, "wb") as stream:
        if not stream.seekable():
            raise typer.BadParameter(f"{path} must be a file: the length comes first in a .npy")
        stream.write(bytes(_HEADER_BYTES))
        for block, width, axes in blocks:  # noqa: B007 (the last ones count)
            size += block.size
            stream.write(np.ascontiguousarray(block, dtype).data)
        rows = size // width
        # one column becomes an array of one axis
        shape: tuple[int, ...] = (rows,) if width == 1 else (rows, width)
        if len(axes) > 1 and math.prod(axes) == rows:  # not if rows were chosen
            shape = (*axes, width)
        fields = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        length = _HEADER_BYTES - 10  # without magic, version and itself
        stream.seek(0)
        stream.write(b"\x93NUMPY\1\0" + length.to_bytes(2, "little"))
        stream.write(f"{fields!r:<{length - 1}}\n".encode())


def _write_parquet(path: str, blocks: Iterable[WrittenRows], format_: Format, title: str) -> None:
    """Write a Parquet file with one row group per block."""
    dtype = _stored(format_, ".parquet")

    def groups() -> Iterator[dict[str, Array]]:
        for block, width, _ in blocks:
            if block.shape[1] < width:
                raise typer.BadParameter(
                    f"a .parquet file has no room for rows of {width:,} numbers: write .npy"
                )
            columns = (np.ascontiguousarray(column, dtype) for column in block.T)
            yield dict(zip(_titles(title, width), columns, strict=True))

    with open_sink(path, "wb") as stream:
        resolve_name("stablelse.readers.tables:write_parquet")(stream, groups())


def _titles(title: str, width: int) -> Iterator[str]:
    """Yield the names of columns, numbered from 1 if there are several."""
    yield from [title] if width == 1 else (f"{title}_{at}" for at in range(1, width + 1))


def _stored(format_: Format, suffix: str) -> np.dtype[Any]:
    if format_.extra is not None or format_.name == "longdouble":
        raise typer.BadParameter(
            f"a {suffix} file has no {format_.name}: write .csv, or choose float64, float32 or "
            "float16 with --dtype"
        )
    return format_.dtype


#: What writes rows of numbers to a file, completely or not at all, by the suffix.
NUMBER_WRITERS: dict[str, Callable[[str, Iterable[WrittenRows], Format, str], None]] = {
    ".csv": _write_csv,
    ".npy": _write_npy,
    ".parquet": _write_parquet,
}
