"""What pyarrow reads: Parquet and Arrow files, Zstandard streams, and text at its fastest."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.readers.block import Array, Block, ReadError, ReadOptions, complaining_of_damage
from stablelse.readers.columns import index_note
from stablelse.readers.source import Source, SourceFile, sought
from stablelse.readers.tables import (
    Layout,
    group_sizes,
    lay_out,
    make_blocks,
    most_numbers_a_row,
    numbers_a_row,
)

if TYPE_CHECKING:
    import io

    from stablelse.readers.dialect import Layout as TextLayout

#: What the numbers of a block take, as float64.
BLOCK_BYTES = 1 << 22

#: What is read ahead of all columns together, and of one at least.
_AHEAD_BYTES = 1 << 24
_AHEAD_BYTES_OF_COLUMN = 1 << 12

#: The longest part that is held as it is read: one page of a column, one batch from a pipe.
_PART_BYTES = 1 << 28

#: As many rows of a batch say how long its lists are.
_SAMPLED_ROWS = 1000

#: With fewer rows in a chunk of text, a column costs more than its cells do.
_FEWEST_ROWS = 100

#: Parts the cells of a text that has one: it is in no number.
_IN_NO_NUMBER = "|"

_FILE_MAGIC = b"ARROW1"
#: The magic is padded to a multiple of eight bytes; then the file is a stream, and a footer
#: (https://arrow.apache.org/docs/format/Columnar.html, "IPC File Format").
_FILE_BEGIN = 8


#: Makes lists of columns of what was opened, of bounded size unless it is compressed.
_Batches = Callable[[Layout, int], Iterator[list[Any]]]


def is_installed() -> bool:
    """Whether pyarrow can be imported, without importing it."""
    return find_spec("pyarrow") is not None


def blocks(source: Source, options: ReadOptions, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read a Parquet file, an Arrow file (Feather) or an Arrow stream.

    A batch of an Arrow file that is compressed or comes from a pipe is held whole.
    """
    if source.head.startswith(b"PAR1"):
        with sought(source) as file:
            yield from _table(file, options, block_bytes, _open_parquet)
    else:
        yield from _table(source, options, block_bytes, _open_stream)


class Groups(NamedTuple):
    """Some row groups of a Parquet file, and how many rows lie before them."""

    begin: int
    end: int
    offset: int


def ranges(source: Source, options: ReadOptions, part_bytes: int) -> list[tuple[Groups, int]]:
    """Split a Parquet file into whole row groups, with the sizes of the wanted columns."""
    with complaining_of_damage(source.name):
        schema, _, metadata = _open_parquet(source)
        layout = lay_out(schema, options, source.name)
        sizes = group_sizes(metadata, layout)
    parts: list[tuple[Groups, int]] = []
    begin = offset = rows = size = 0
    for index, more in enumerate(sizes):
        if size and size + more > part_bytes:
            parts.append((Groups(begin, index, offset), size))
            begin, offset, size = index, rows, 0
        size += more
        rows += metadata.row_group(index).num_rows
    return [*parts, (Groups(begin, len(sizes), offset), size)]


def range_blocks(source: Source, options: ReadOptions, part: Groups) -> Iterator[Block]:
    """Read some row groups that `ranges` has found."""
    groups = range(part.begin, part.end)
    opened = partial(_open_parquet, groups=groups)
    yield from _table(source, options, BLOCK_BYTES, opened, part.offset)


def _table(
    source: Source,
    options: ReadOptions,
    block_bytes: int,
    open_table: Callable[[Source], tuple[Any, _Batches, Any]],
    first: int = 0,
) -> Iterator[Block]:
    """Read a table, before whose rows so many others lie."""
    with complaining_of_damage(source.name):
        schema, open_batches, _ = open_table(source)
        layout = lay_out(schema, options, source.name)  # decodes the names
    if not first:
        options.tell(index_note(layout.names, layout.left_out, source.name))
    offset, batches = first, open_batches(layout, block_bytes)
    while True:
        with complaining_of_damage(source.name):
            columns = next(batches, None)
        if columns is None:
            break
        yield from make_blocks(columns, layout, offset)
        offset += len(columns[0])
    if offset == first:
        raise ReadError(f"{source.name} is empty: it has no rows")


def parse_text(data: bytearray, layout: TextLayout) -> Array | None:
    """Read the wanted columns of whole lines several times as fast as NumPy, or return ``None``.

    pyarrow's parser rounds correctly, and takes the same spellings of a number as `rows`, but for
    ``nan(1)``, which is kept from it, as are quotes, comments and whatever is not ASCII. A row
    with too few cells or too many is an error to it, and a blank cell is one where none is null. A
    literal that overflows is inf here.
    """
    if not data.isascii() or any(mark in data for mark in b'"#('):
        return None
    if data.find(b"\n") * _FEWEST_ROWS > len(data):
        return None
    import pyarrow as pa
    from pyarrow import csv

    names = [str(position) for position in range(layout.width)]
    wanted = [names[position] for position in layout.positions]
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            csv.ParseOptions(delimiter=layout.delimiter or _IN_NO_NUMBER, quote_char=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.float64()),
                null_values=[],
                include_columns=list(dict.fromkeys(wanted)),
                decimal_point=layout.options.decimal,
            ),
        )
    except (pa.ArrowException, OSError, ValueError):
        return None
    values = np.empty((table.num_rows, len(wanted)))
    for index, name in enumerate(wanted):
        chunk = table.column(name).chunk(0)
        values[:, index] = np.frombuffer(chunk.buffers()[1], np.float64, count=len(chunk))
    return values


def reads_text(layout: TextLayout) -> bool:
    """Whether pyarrow is there, and can read a text of this layout."""
    is_delimited = layout.delimiter is not None or layout.width == 1
    return is_delimited and not layout.is_closed and layout.dtype == np.float64 and is_installed()


def unpack_zstandard(packed: io.RawIOBase) -> Any:
    """Return the unpacked file of a Zstandard stream, or of several in a row."""
    pa = _pyarrow("Zstandard data")
    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")


def _open_parquet(source: Source, groups: Sequence[int] | None = None) -> tuple[Any, _Batches, Any]:
    """Open a file with its schema at its end, for some of its row groups, or all of them."""
    pa = _pyarrow("Parquet")
    from pyarrow import parquet

    file = pa.PythonFile(SourceFile(source, _PART_BYTES), mode="r")
    metadata = parquet.read_metadata(file)

    def batches(layout: Layout, block_bytes: int) -> Iterator[list[Any]]:
        names = [layout.names[position] for position in layout.positions]
        ahead = max(_AHEAD_BYTES_OF_COLUMN, _AHEAD_BYTES // len(names))
        # Told to buffer, pyarrow reads pages; else it would hold whole columns of a row group.
        table = parquet.ParquetFile(
            file,
            metadata=metadata,
            buffer_size=ahead,
            pre_buffer=False,
            page_checksum_verification=True,
        )
        first = next(table.iter_batches(1, row_groups=groups, columns=names), None)
        if first is None:
            return
        rows = _rows_at_once([first.column(name) for name in names], layout, block_bytes)
        rows = min(rows, max(1, block_bytes // (8 * most_numbers_a_row(metadata, layout))))
        for batch in table.iter_batches(rows, row_groups=groups, columns=names):
            yield from _valid_parts([batch.column(name) for name in names], rows)

    return metadata.schema.to_arrow_schema(), batches, metadata


def _open_stream(source: Source) -> tuple[Any, _Batches, Any]:
    """Open a file that is read from its begin: a stream of batches, with or without a footer."""
    pa = _pyarrow("Arrow")
    has_footer = source.head.startswith(_FILE_MAGIC)
    file, forget = _mapped(source, pa)
    file.read(_FILE_BEGIN if has_footer else 0)
    reader = pa.ipc.open_stream(file)

    def batches(layout: Layout, block_bytes: int) -> Iterator[list[Any]]:
        for batch in filter(len, reader):
            columns = [batch.column(position) for position in layout.positions]
            for part in _valid_parts(columns, _rows_at_once(columns, layout, block_bytes)):
                yield part
                forget()
        last = b""
        while has_footer and (part := file.read(_FILE_BEGIN)):
            last = (last + part)[-len(_FILE_MAGIC) :]
        if has_footer and last != _FILE_MAGIC:
            raise EOFError("it ends before its footer")

    return reader.schema, batches, None


def _rows_at_once(columns: list[Any], layout: Layout, block_bytes: int) -> int:
    """Return how many rows a block has: as many as fit, if all are as long as the first ones."""
    first = next(_valid_parts(columns, _SAMPLED_ROWS))
    return max(1, block_bytes // (8 * numbers_a_row(first, layout)))


def _valid_parts(columns: list[Any], rows: int) -> Iterator[list[Any]]:
    """Cut columns into parts of so many rows, of which nothing points out of its buffers."""
    for begin in range(0, len(columns[0]), rows):
        part = [column.slice(begin, rows) for column in columns]
        for column in part:
            column.validate(full=True)
        yield part


def _mapped(source: Source, pa: Any) -> tuple[Any, Callable[[], None]]:
    """Return a file's bytes for pyarrow, and what makes the memory forget the pages read so far.

    A batch may be as large as the file. One of a file in a map is not held, but for its pages.
    """
    descriptor = source.descriptor()
    if descriptor is None:
        return pa.PythonFile(SourceFile(source, _PART_BYTES), mode="r"), lambda: None
    pages = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    forget = getattr(pages, "madvise", lambda advice: None)
    advice = getattr(mmap, "MADV_DONTNEED", 0)
    return pa.BufferReader(pa.py_buffer(pages)), lambda: forget(advice)


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise ReadError(
            f"{what} is read by pyarrow, which is not installed: pip install 'stablelse[arrow]'"
        ) from None
    return pyarrow
