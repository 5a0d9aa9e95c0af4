"""Reads Parquet and Arrow files, Zstandard streams, and text at its fastest, with pyarrow.

Only this module uses pyarrow. It reads buffers directly, since ``to_numpy`` imports pandas and
turns null into NaN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.readers.blocks import (
    BLOCK_BYTES,
    Array,
    Block,
    By,
    Columns,
    Mask,
    ReadError,
    ReadOptions,
    choose_columns,
    damage,
    explaining,
    is_index_name,
    more_behind,
    runs,
)
from stablelse.readers.literals import number_reader
from stablelse.readers.sources import Source, mapped, seekable

if TYPE_CHECKING:
    import numpy.typing as npt

#: Bytes read ahead of all columns together, and at least of each.
_AHEAD_BYTES = 1 << 24
_AHEAD_BYTES_OF_COLUMN = 1 << 12

#: The longest part to hold in memory as it is: one page of a column, one batch from a pipe.
_PART_BYTES = 1 << 28

#: Number of rows of a batch used to estimate the length of its lists.
_SAMPLED_ROWS = 1000

#: If a piece of text has fewer rows, the overhead of a column exceeds the cost of its cells.
_FEWEST_ROWS = 100

_PARQUET_MAGIC, _FILE_MAGIC = b"PAR1", b"ARROW1"
#: The magic is padded to a multiple of eight bytes; a stream and a footer follow
#: (https://arrow.apache.org/docs/format/Columnar.html, "IPC File Format").
_FILE_BEGIN = 8

#: Arrow's names of the types that have the same bits in NumPy.
_DTYPES = {"double": "f8", "float": "f4", "halffloat": "f2"}
_DTYPES |= {f"{name}{8 * n}": f"{name[0]}{n}" for name in ("int", "uint") for n in (1, 2, 4, 8)}

#: The digits of decimal256, Arrow's longest.
_MOST_DIGITS = 76

#: More than a footer takes: about 40 bytes for each batch, and the names of the columns.
_FOOTER_BYTES = 1 << 26

_LISTS = ("list<", "large_list<", "fixed_size_list<")


class Layout(NamedTuple):
    """Which columns of a table to read, and how."""

    columns: Columns
    list_at: int | None  # which of them holds lists, whose numbers join the others in a row
    options: ReadOptions

    def place(self, row: int, position: int) -> str:
        """Return the place of a cell for an error message; rows count from 0 here."""
        return f"{self.columns.source}, row {row + 1}, {self.columns.label(position)}"


#: Reads an open table as lists of columns, of bounded size unless it is compressed.
_Batches = Callable[[Layout], Iterator[list[Any]]]


def parquet(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read a Parquet file."""
    with seekable(source) as file:
        yield from _blocks(file, options, _open_parquet)


def arrow(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read an Arrow file (Feather) or stream; a compressed or piped batch is held whole."""
    yield from _blocks(source, options, _open_stream)


def _blocks(
    source: Source,
    options: ReadOptions,
    open_table: Callable[[Source, ReadOptions], tuple[Any, _Batches, int]],
) -> Iterator[Block]:
    """Read a table."""
    with explaining(source.name, damage):
        schema, open_batches, first = open_table(source, options)
        layout = _lay_out(schema, options, source.name)  # decodes the names
    if not first:
        options.notify(layout.columns.index_notes())
    offset, batches = first, open_batches(layout)
    while True:
        with explaining(source.name, damage):
            columns = next(batches, None)
        if columns is None:
            break
        yield from _rows(columns, layout, offset)
        offset += len(columns[0])
    if offset == 0 and options.part == (0, 1):
        raise ReadError(f"{source.name} is empty: it has no rows")


def is_installed() -> bool:
    """Whether pyarrow can be imported, without importing it."""
    return find_spec("pyarrow") is not None


def parse_text(
    text: str, width: int, positions: Sequence[int], delimiter: str | None
) -> Array | None:
    """Read columns of whole lines several times as fast as NumPy, or return ``None``.

    pyarrow rounds correctly and takes the spellings of `literals`; it also takes ``nan(1)``, so
    text with a parenthesis is left out. A literal that overflows is inf here.
    """
    is_alike = "(" not in text and not text.startswith("\ufeff")  # pyarrow drops it
    if not is_alike or text.find("\n") * _FEWEST_ROWS > len(text):
        return None
    import pyarrow as pa
    from pyarrow import csv

    data = text.encode()
    wanted = list(map(str, positions))
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(
                use_threads=False,
                block_size=len(data) + 1,
                column_names=list(map(str, range(width))),
            ),
            # If each line is one cell, any delimiter that is in no number will do: a bar.
            csv.ParseOptions(delimiter=delimiter or "|", quote_char=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.float64()),
                null_values=[],
                include_columns=list(dict.fromkeys(wanted)),
            ),
        )
    except (pa.ArrowException, OSError, ValueError):
        return None
    values = np.empty((table.num_rows, len(wanted)))
    for index, name in enumerate(wanted):
        values[:, index] = _buffer(table.column(name).chunk(0), "f8")
    return values


def open_zstandard(source: Source) -> Any:
    """Return the unpacked bytes of consecutive Zstandard streams as a file."""
    pa = _pyarrow("Zstandard data")
    return pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise ReadError(
            f"{what} is read by pyarrow, which is not installed: pip install pyarrow"
        ) from None
    return pyarrow


def _open_parquet(source: Source, options: ReadOptions) -> tuple[Any, _Batches, int]:
    """Open a Parquet file, and count the rows before the part to read."""
    pa = _pyarrow("Parquet")
    from pyarrow import parquet

    source.most = _PART_BYTES
    file = pa.PythonFile(source, mode="r")
    metadata = parquet.read_metadata(file)
    _check_end(source, metadata)
    begin, end = options.share(metadata.num_row_groups)
    groups = range(begin, end)

    def batches(layout: Layout) -> Iterator[list[Any]]:
        if not groups:  # pyarrow 18 fails
            return
        names = layout.columns.headings or ()
        # With a buffer pyarrow reads pages; otherwise it holds whole columns of a row group.
        table = parquet.ParquetFile(
            file,
            metadata=metadata,
            buffer_size=max(_AHEAD_BYTES_OF_COLUMN, _AHEAD_BYTES // len(names)),
            pre_buffer=False,
            page_checksum_verification=True,
        )
        sizes = (
            -(sum(chunk.num_values for chunk in chunks) // -max(1, rows))
            for chunks, rows in _row_groups(metadata, layout)
        )
        rows = max(1, BLOCK_BYTES // (8 * max(1, *sizes)))
        for batch in table.iter_batches(rows, row_groups=groups, columns=names):
            yield from _valid_parts([batch.column(name) for name in names], rows)

    rows_before = sum(metadata.row_group(group).num_rows for group in range(begin))
    return metadata.schema.to_arrow_schema(), batches, rows_before


def _check_end(source: Source, metadata: Any) -> None:
    """Refuse concatenated files: only the last one's footer would be read."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    size = sum(
        group.column(at).total_compressed_size
        for group in groups
        for at in range(group.num_columns)
    )
    end = (source.size or 0) - 2 * len(_PARQUET_MAGIC) - metadata.serialized_size
    source.seek(begin := len(_PARQUET_MAGIC) + size)
    if any(2 * _PARQUET_MAGIC in part for part in source.parts(end - begin)):
        raise more_behind(source.name, "the first table")


def _row_groups(metadata: Any, layout: Layout) -> Iterator[tuple[list[Any], int]]:
    """Yield the wanted parts of each row group of a Parquet file, and how many rows it has."""
    names = set(layout.columns.headings or ())
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        wanted = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names]
        yield wanted, group.num_rows


def _open_stream(source: Source, options: ReadOptions) -> tuple[Any, _Batches, int]:
    """Open a stream of batches, with or without a footer, to read it from the beginning."""
    pa = _pyarrow("Arrow")
    has_footer = source.head.startswith(_FILE_MAGIC)
    if source.descriptor is None:
        source.most = _PART_BYTES
        file, forget = pa.PythonFile(source, mode="r"), None
    else:
        pages, forget = mapped(source)
        file = pa.BufferReader(pa.py_buffer(pages))
    file.read(_FILE_BEGIN if has_footer else 0)
    reader = pa.ipc.open_stream(file)

    def batches(layout: Layout) -> Iterator[list[Any]]:
        for batch in filter(len, reader):
            columns = [batch.column(position) for position in layout.columns.positions]
            for part in _valid_parts(columns, _rows_at_once(columns, layout)):
                yield part
                if forget is not None:
                    forget()
        rest = b""
        while part := file.read(_FOOTER_BYTES):
            rest += part
            if not has_footer or len(rest) > _FOOTER_BYTES:
                raise more_behind(source.name, "its table")
        if has_footer and not rest.endswith(_FILE_MAGIC):
            raise EOFError("it ends before its footer")
        # The footer, its length in four bytes, and the magic.
        if has_footer and int.from_bytes(rest[-10:-6], "little") + 10 != len(rest):
            raise more_behind(source.name, "its table")

    return reader.schema, batches, 0


def _rows_at_once(columns: list[Any], layout: Layout) -> int:
    """Return how many rows fit in a block, if all are as long as the first ones."""
    first = next(_valid_parts(columns, _SAMPLED_ROWS))
    numbers = len(columns)
    if layout.list_at is not None:
        numbers -= len(_storage(first[layout.list_at]).flatten()) // -len(first[0])
    return max(1, BLOCK_BYTES // (8 * numbers))


def _valid_parts(columns: list[Any], rows: int) -> Iterator[list[Any]]:
    """Cut columns into parts of `rows` rows, and check that none points outside its buffers."""
    for begin in range(0, len(columns[0]), rows):
        part = [column.slice(begin, rows) for column in columns]
        for column in part:
            column.validate(full=True)
        yield part


def _lay_out(schema: Any, options: ReadOptions, source: str) -> Layout:
    """Return what to read from a table with this schema."""
    names = tuple(schema.names)
    if not names:
        raise ReadError(f"{source} is empty: it has no columns")
    try:
        entries = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        index = {name for name in entries if isinstance(name, str)}
    except (ValueError, LookupError, TypeError, RecursionError):  # it may contain anything
        index = set()
    of_index = [place for place, name in enumerate(names) if name in index or is_index_name(name)]
    columns = choose_columns(options.columns, names, len(names), source, of_index)
    if not columns.positions:
        raise ReadError(f"{source} has index columns only; name those to read with --column")
    kinds = [_stored(schema.field(place).type) for place in columns.positions]
    lists = [at for at, kind in enumerate(kinds) if str(kind).startswith(_LISTS)]
    if lists and len(kinds) > 1 and (len(lists) > 1 or not options.columns):
        raise ReadError(
            f"{source}, {columns.label(columns.positions[lists[0]])} holds lists, each a row of "
            "its own; choose it with --column"
        )
    for at, (place, kind) in enumerate(zip(columns.positions, kinds, strict=True)):
        if not _is_number(_stored(kind.value_type) if at in lists else kind):
            raise ReadError(
                f"{source}, {columns.label(place)} holds {str(kind)[:40]}, not real numbers; "
                "choose the columns of numbers with --column"
            )
    return Layout(columns, lists[0] if lists else None, options)


def _rows(columns: Sequence[Any], layout: Layout, offset: int) -> Iterator[Block]:
    """Make blocks of valid columns after `offset` rows; lists in a block have equal length."""
    flat = list(map(_storage, columns))
    lengths = np.ones(len(columns[0]), np.int64)
    at = layout.list_at
    if at is not None:
        lengths, flat[at] = _lengths(flat[at], layout, offset), flat[at].flatten()
    cells = [_cells(column, layout.options.dtype) for column in flat]
    ends = np.cumsum(lengths)
    headings = layout.columns.headings if at is None else None  # the numbers of a list have none
    by = None if at is None else By.ROWS
    for begin, end in runs(lengths):
        width, parts = int(lengths[begin]), []
        for index, (numbers, nulls) in enumerate(cells):
            rows = slice(begin, end)
            if index == at:
                rows = slice(int(ends[begin]) - width, int(ends[end - 1]))
            parts.append(_part(numbers[rows], nulls[rows], end - begin))
        values, missing = (np.concatenate(cells, axis=1) for cells in zip(*parts, strict=True))
        source, left_out = layout.columns.source, layout.columns.left_out
        block = Block(values, source, offset + begin, None, headings, by=by, left_out=left_out)
        yield _without_nulls(block, missing, layout) if missing.any() else block


def _lengths(lists: Any, layout: Layout, offset: int) -> Array:
    """Return the lengths of lists; null has length 0."""
    lengths, nulls = _cells(lists.value_lengths(), np.int64)
    lengths = np.where(nulls, 0, lengths)
    if not layout.options.skip_na and not lengths.all():
        row = int(np.argmin(lengths))
        what = "is null" if nulls[row] else "is empty"
        place = layout.place(offset + row, layout.columns.positions[layout.list_at or 0])
        raise ReadError(f"{place} {what}; leave out such rows, here or with --skip-na")
    return lengths


def _part(numbers: Array, nulls: Mask, rows: int) -> tuple[Array, Mask]:
    """Return numbers in rows, and where one is missing; an empty row is one missing number."""
    if not numbers.size:
        return np.full((rows, 1), np.nan), np.ones((rows, 1), np.bool_)
    return numbers.reshape(rows, -1), nulls.reshape(rows, -1)


def _without_nulls(block: Block, missing: Array, layout: Layout) -> Block:
    """Refuse the first missing number, or turn all missing ones into NaN, as in text."""
    if layout.options.skip_na:
        block.values[missing] = np.nan
        return block._replace(missing=missing)
    row, index = divmod(int(np.argmax(missing)), missing.shape[1])
    positions, at, inside = layout.columns.positions, layout.list_at, ""
    length = missing.shape[1] - len(positions) + 1
    if at is not None and at <= index < at + length:
        inside, index = f", number {index - at + 1}", at
    elif at is not None and index > at:
        index -= length - 1
    place = layout.place(block.offset + row, positions[index])
    raise ReadError(f"{place}{inside} is null; fill it in, or leave out such cells with --skip-na")


def _cells(array: Any, dtype: npt.DTypeLike) -> tuple[Array, Mask]:
    """Return the numbers of an array, integers as `dtype`, and where it is null."""
    array = _storage(array)
    kind = str(array.type)
    if kind.startswith("dictionary<"):
        return _cells(array.dictionary_decode(), dtype)
    nulls = np.zeros(len(array), np.bool_)
    if array.null_count:
        nulls = _buffer(array.is_null().cast("uint8"), "?")
    if kind == "null":
        return np.full(len(array), np.nan), nulls
    if kind.startswith("decimal"):  # read like text: Arrow's conversion rounds more than once
        read_number: Callable[[str], Any] = number_reader(dtype)
        texts = (np.nan if cell is None else read_number(str(cell)) for cell in array.to_pylist())
        return np.fromiter(texts, dtype, len(array)), nulls
    if kind == "bool":
        array = array.cast("uint8")
    numbers = _buffer(array, _DTYPES[str(array.type)])
    return numbers if numbers.dtype.kind == "f" else numbers.astype(dtype), nulls


def _buffer(array: Any, dtype: str) -> Array:
    """Return the numbers of an array directly from its memory."""
    end = array.offset + len(array)
    return np.frombuffer(array.buffers()[1], dtype, count=end)[array.offset :]


def _is_number(kind: Any) -> bool:
    name = str(kind)
    if name.startswith("dictionary<"):
        return _is_number(kind.value_type)
    if name.startswith("decimal"):  # the scale is data, and may be anything
        return bool(abs(kind.scale) <= _MOST_DIGITS)
    return name in _DTYPES or name in ("bool", "null")


def _stored(kind: Any) -> Any:
    """Return the storage type of an extension type, such as that of tensors."""
    return getattr(kind, "storage_type", kind)


def _storage(array: Any) -> Any:
    return getattr(array, "storage", array)


def write_parquet(stream: Any, groups: Iterable[dict[str, Array]]) -> None:
    """Write groups of rows, as columns by name."""
    pa = _pyarrow("a .parquet file")
    from pyarrow import parquet

    writer = None
    try:
        for group in groups:
            table = pa.table({name: pa.array(column) for name, column in group.items()})
            writer = writer or parquet.ParquetWriter(stream, table.schema)
            writer.write_table(table)
    finally:  # an open writer would write to the closed file when it is deleted
        if writer is not None:
            writer.close()
