"""Reads Parquet and Arrow files, Zstandard streams, and text at its fastest, with pyarrow.

Only this module uses pyarrow. It reads buffers directly, since ``to_numpy`` imports pandas and
turns null into NaN.
"""

from __future__ import annotations

import json
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.printable import printable
from stablelse.readers.blocks import (
    BLOCK_BYTES,
    HELD_BYTES,
    Array,
    Block,
    By,
    Columns,
    Mask,
    ReadError,
    ReadOptions,
    choose_columns,
    cuts,
    explaining,
    is_index_name,
    more_behind,
    runs,
    too_large,
    unreadable,
)
from stablelse.readers.literals import number_reader
from stablelse.readers.sources import Source, seekable

if TYPE_CHECKING:
    import numpy.typing as npt

#: Bytes read ahead of all columns together, and at least of each.
_AHEAD_BYTES = 1 << 24
_AHEAD_BYTES_OF_COLUMN = 1 << 12

#: The most columns, or groups of rows: pyarrow takes 700 bytes for each that a footer claims.
_MOST_COLUMNS = 1 << 17

#: The longest header of a page, with its least and greatest number; the kind of a dictionary page.
_PAGE_HEADER_BYTES, _DICTIONARY = 1 << 10, 2

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


class Selection(NamedTuple):
    """Which columns of a table to read, and how."""

    columns: Columns
    list_at: int | None  # which of them holds lists, whose numbers join the others in a row
    options: ReadOptions

    def place(self, row: int, position: int) -> str:
        """Return the place of a cell for an error message; rows count from 0 here."""
        return f"{self.columns.source}, row {row + 1}, {self.columns.label(position)}"


def parquet(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read a Parquet file."""
    with seekable(source) as file, explaining(source.name, unreadable):
        yield from _parquet(file, options)


def arrow(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read an Arrow file (Feather) or stream; each batch is held whole."""
    with explaining(source.name, unreadable):
        yield from _arrow(source, options)


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


def _parquet(source: Source, options: ReadOptions) -> Iterator[Block]:
    pa = _pyarrow("Parquet")
    from pyarrow import parquet

    source.most = HELD_BYTES
    file = pa.PythonFile(source, mode="r")
    metadata = parquet.ParquetFile(file, thrift_container_size_limit=_MOST_COLUMNS).metadata
    groups = _row_groups(source)
    begin, end = options.share(metadata.num_row_groups)
    rows_before = sum(metadata.row_group(group).num_rows for group in range(begin))
    selection = _lay_out(metadata.schema.to_arrow_schema(), options, source.name)
    names = selection.columns.headings or ()
    wanted = [[chunk for chunk in chunks if chunk.name in names] for chunks in groups]
    pages = _Pages(source, list(chain(*wanted)), selection.list_at is not None)
    # With a buffer pyarrow reads pages; otherwise it holds whole columns of a row group.
    table = parquet.ParquetFile(
        pa.PythonFile(pages, mode="r"),
        metadata=metadata,
        buffer_size=max(_AHEAD_BYTES_OF_COLUMN, _AHEAD_BYTES // len(names)),
        pre_buffer=False,
        page_checksum_verification=True,
    )
    sizes = (
        -(sum(chunk.numbers for chunk in chunks) // -max(1, metadata.row_group(at).num_rows))
        for at, chunks in enumerate(wanted)
    )
    rows = max(1, BLOCK_BYTES // (8 * max(1, *sizes)))

    def batches() -> Iterator[list[Any]]:
        if begin == end:  # pyarrow 18 fails
            return
        for batch in table.iter_batches(
            rows, row_groups=range(begin, end), columns=names, use_threads=False
        ):
            pages.numbers = 0
            yield [batch.column(name) for name in names]

    yield from _table(batches(), selection, rows_before)


class _Chunk(NamedTuple):
    """A column of a row group, as the footer describes it."""

    column: int  # its position among all columns
    name: str
    numbers: int
    begin: int  # where its bytes begin, and how many there are
    size: int


def _row_groups(source: Source) -> list[list[_Chunk]]:
    """Return the columns of each row group; pyarrow's own access ends the process if one is odd."""
    end = (source.size or 0) - 2 * len(_PARQUET_MAGIC)
    source.seek(end)
    length = int.from_bytes(source.read(4), "little")
    source.seek(end - length)
    footer, _ = _thrift_struct(source.read(length), 0, _FOOTER)
    groups: list[list[_Chunk]] = [[] for _ in footer[4, _LIST]]
    for group, chunks in zip(footer[4, _LIST], groups, strict=True):
        for at, column in enumerate(group[1, _LIST]):
            chunk = column[3, _STRUCT]
            begin, dictionary = chunk[9, _I64], chunk.get((11, _I64), 0)
            begin = min(begin, dictionary) if dictionary > 0 else begin
            name = chunk[3, _LIST][0].decode()
            chunks.append(_Chunk(at, name, chunk[5, _I64], begin, chunk[7, _I64]))
    source.seek(begin := len(_PARQUET_MAGIC) + sum(chunk.size for chunk in chain(*groups)))
    # In concatenated files, only the last footer would be read.
    if any(2 * _PARQUET_MAGIC in part for part in source.parts(end - length - begin)):
        raise more_behind(source.name, "the first table")
    return groups


class _Pages:
    """A Parquet file whose page headers are checked as they are read, before pages are unpacked."""

    closed = False

    def __init__(self, source: Source, chunks: list[_Chunk], has_lists: bool) -> None:
        self._source, self._has_lists = source, has_lists
        self.tell, self.seek, self.close = source.tell, source.seek, source.close
        self.seekable = source.seekable
        self.numbers = 0  # in the pages of lists since the last batch
        self._largest: dict[tuple[int, bool], int] = {}  # page of each column
        self._chunks = sorted(chunks, key=attrgetter("begin"))
        self._begins = [chunk.begin for chunk in self._chunks]
        self._next = self._begins.copy()  # where the next page of each chunk begins
        if any(one.begin + one.size > two.begin for one, two in pairwise(self._chunks)):
            raise ValueError("its columns overlap")

    def read(self, count: int) -> bytes:
        """Return the next bytes, after checking the pages that begin in them."""
        begin = self.tell()
        data = self._source.read(count)
        at = bisect_right(self._begins, begin) - 1
        if at >= 0:
            chunk = self._chunks[at]
            while begin <= self._next[at] < min(begin + len(data), chunk.begin + chunk.size):
                self._next[at] += self._page(chunk.column, self._next[at])
            self.seek(begin + len(data))
        return data

    def _page(self, column: int, place: int) -> int:
        """Check the page at this place, and return its size."""
        self.seek(place)
        header, size = _thrift_struct(self._source.read(_PAGE_HEADER_BYTES), 0, _PAGE_HEADER)
        key, packed = (column, header[1, _I32] == _DICTIONARY), header[3, _I32]
        self._largest[key] = max(header[2, _I32], packed, self._largest.get(key, 0))
        held = sum(self._largest.values())
        if packed < 0:
            raise ValueError(f"a page has {packed} bytes")
        if held > HELD_BYTES:
            hint = "choose fewer columns with --column, or write it with a smaller data_page_size"
            raise too_large(self._source.name, "pages", held, hint)
        if self._has_lists:
            of_data = header.get((5, _STRUCT)) or header.get((8, _STRUCT))
            self.numbers += of_data[1, _I32] if of_data else 0
            if 16 * self.numbers > HELD_BYTES:  # a number and its levels
                hint = "write it with a smaller data_page_size, or one number in each row"
                raise too_large(self._source.name, "long lists", 16 * self.numbers, hint)
        return int(size + packed)


#: Kinds of values in Thrift's compact protocol (its specification, thrift-compact-protocol.md).
_I32, _I64, _BYTES, _LIST, _STRUCT = 5, 6, 8, 9, 12

#: The numbers of the fields to keep, and of those in them (Parquet's specification,
#: parquet.thrift): in a footer, the columns of its row groups; in the header of a page, its sizes.
_FOOTER: Any = {4: {1: {3: {3: {}, 5: {}, 7: {}, 9: {}, 11: {}}}}}
_PAGE_HEADER: Any = {1: {}, 2: {}, 3: {}, 5: {1: {}}, 8: {1: {}}}


def _thrift_struct(data: bytes, at: int, kept: Any) -> tuple[dict[tuple[int, int], Any], int]:
    """Return the kept fields of a struct by number and kind, as others know them, and its end."""
    fields: dict[tuple[int, int], Any] = {}
    number = 0
    while kind := data[at] & 15:
        number, at = (number + (data[at] >> 4), at + 1) if data[at] >> 4 else _varint(data, at + 1)
        if (number, kind) in fields:  # others might merge both
            raise ValueError(f"it has field {number} twice")
        value, at = (None, at) if kind <= 2 else _thrift(kind, data, at, kept.get(number, {}))
        if number in kept:
            fields[number, kind] = value
    return fields, at + 1


def _thrift(kind: int, data: bytes, at: int, kept: Any) -> tuple[Any, int]:
    """Return a value of this kind, None for some, and where it ends."""
    if kind in (4, _I32, _I64):
        return _varint(data, at)
    if kind == _STRUCT:
        return _thrift_struct(data, at, kept)
    if kind == _BYTES:
        length, at = _varint(data, at, is_signed=False)
        return data[at : at + length], at + length
    if kind in (_LIST, 10):
        kind, count, at = data[at] & 15, data[at] >> 4, at + 1
        if count == 15:
            count, at = _varint(data, at, is_signed=False)
        items = []
        for _ in range(count):  # each takes at least a byte
            item, at = _thrift(kind, data, at, kept)
            items.append(item)
        return items, at
    return None, at + {1: 1, 2: 1, 3: 1, 7: 8}[kind]


def _varint(data: bytes, at: int, is_signed: bool = True) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 128 and shift < 63:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    value |= data[at] << shift
    return (value >> 1) ^ -(value & 1) if is_signed else value, at + 1


def _arrow(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read a stream of batches, with or without a footer, from the beginning."""
    pa = _pyarrow("Arrow")
    has_footer = source.head.startswith(_FILE_MAGIC)
    source.most = max(HELD_BYTES, source.size or 0)
    source.read(_FILE_BEGIN if has_footer else 0)
    reader = pa.ipc.open_stream(pa.PythonFile(_Messages(source), mode="r"))
    selection = _lay_out(reader.schema, options, source.name)

    def batches() -> Iterator[list[Any]]:
        for batch in filter(len, reader):
            columns = [batch.column(position) for position in selection.columns.positions]
            rows = max(1, BLOCK_BYTES // (8 * len(columns)))
            for begin in range(0, len(batch), rows):
                yield [column.slice(begin, rows) for column in columns]

    yield from _table(batches(), selection, 0)
    rest = b""
    while part := source.read(_FOOTER_BYTES):
        rest += part
        if not has_footer or len(rest) > _FOOTER_BYTES:
            raise more_behind(source.name, "its table")
    if has_footer and not rest.endswith(_FILE_MAGIC):
        raise EOFError("it ends before its footer")
    # The footer, its length in four bytes, and the magic.
    if has_footer and int.from_bytes(rest[-10:-6], "little") + 10 != len(rest):
        raise more_behind(source.name, "its table")


class _Messages:
    """An Arrow stream whose batches are checked before they are unpacked."""

    closed = False

    def __init__(self, source: Source) -> None:
        pa = _pyarrow("Arrow")
        messages = pa.ipc.MessageReader.open_stream(pa.PythonFile(source, mode="r"))
        self._parts = self._checked(source.name, messages)

    def close(self) -> None:
        """Do nothing: there is no file."""

    def read(self, count: int) -> Any:
        """Return the next part of a message, of `count` bytes; none at the end."""
        part = next(self._parts, b"")
        if len(part) not in (0, count):
            raise ValueError("its messages have other lengths")
        return part

    @staticmethod
    def _checked(name: str, messages: Iterable[Any]) -> Iterator[Any]:
        for message in messages:
            if message.type != "schema" and (size := _unpacked_bytes(message)) > HELD_BYTES:
                hint = "write it with smaller batches (max_chunksize)"
                raise too_large(name, "a compressed batch", size, hint)
            yield from (b"\xff" * 4, len(message.metadata).to_bytes(4, "little"))
            yield message.metadata
            if len(message.body):
                yield message.body


def _unpacked_bytes(message: Any) -> int:
    """Return the size of a batch's compressed buffers (Arrow's Message.fbs, a FlatBuffer)."""
    data = memoryview(message.metadata)

    def read(code: str, at: int) -> int:
        return int(struct.unpack_from(f"<{code}", data, at)[0])

    def field(table: int, number: int) -> int:
        """Return the place that a field of a table points to, or 0."""
        vtable, slot = table - read("i", table), 4 + 2 * number
        offset = read("H", vtable + slot) if slot < read("H", vtable) else 0
        return table + offset + read("I", table + offset) if offset else 0

    batch = field(read("I", 0), 2)
    if message.type == "dictionary":
        batch = field(batch, 1)
    buffers = field(batch, 2)
    if not field(batch, 3) or not buffers:
        return 0
    places = np.frombuffer(data, "<i8", 2 * read("I", buffers), buffers + 4).reshape(-1, 2)
    body = memoryview(message.body)
    return sum(
        max(0, *struct.unpack_from("<q", body, place)) for place, size in places.tolist() if size
    )


def _table(batches: Iterable[list[Any]], selection: Selection, offset: int) -> Iterator[Block]:
    """Read the columns of batches; the first has `offset` rows before it."""
    if not offset:
        selection.options.notify(selection.columns.index_notes())
    for columns in batches:
        for column in columns:
            column.validate(full=True)  # none points outside its buffers
        yield from _rows(columns, selection, offset)
        offset += len(columns[0])
    if offset == 0 and selection.options.part == (0, 1):
        raise ReadError(f"{selection.columns.source} is empty: it has no rows")


def _lay_out(schema: Any, options: ReadOptions, source: str) -> Selection:
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
    columns = choose_columns(options, names, len(names), source, of_index)
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
                f"{source}, {columns.label(place)} holds {printable(str(kind)[:40])}, "
                "not real numbers; choose the columns of numbers with --column"
            )
    return Selection(columns, lists[0] if lists else None, options)


def _rows(columns: Sequence[Any], selection: Selection, offset: int) -> Iterator[Block]:
    """Make blocks of valid columns after `offset` rows; lists in a block have equal length."""
    flat, at, dtype = list(map(_storage, columns)), selection.list_at, selection.options.dtype
    lengths = np.ones(len(columns[0]), np.int64)
    if at is not None:
        lengths, flat[at] = _lengths(flat[at], selection, offset), flat[at].flatten()
    ends = np.cumsum(lengths)
    is_short = max(map(len, flat)) <= BLOCK_BYTES  # 64 bits may be written as one, or none
    ready = [_cells(column, dtype) for column in flat] if is_short else None
    headings = selection.columns.headings if at is None else None  # the numbers of a list have none
    by, source = None if at is None else By.ROWS, selection.columns.source
    for begin, end in runs(lengths):
        width = int(lengths[begin])
        row_bytes = 8 * (len(flat) - 1 + max(1, width))
        if row_bytes > HELD_BYTES:
            raise too_large(source, "a list", row_bytes, "write one number in each row")
        for rows, _ in cuts(range(begin, end), 1, row_bytes):
            row, count, parts = rows.start, rows.stop - rows.start, []
            for index, column in enumerate(flat):
                place, size = row, count
                if index == at:
                    place, size = int(ends[row]) - width, count * width
                if ready:
                    numbers, nulls = (cells[place : place + size] for cells in ready[index])
                else:
                    numbers, nulls = _cells(column.slice(place, size), dtype)
                if not numbers.size:  # an empty row is one missing number
                    numbers, nulls = np.full(count, np.nan), np.ones(count, np.bool_)
                parts.append((numbers.reshape(count, -1), nulls.reshape(count, -1)))
            values, missing = (np.concatenate(cells, axis=1) for cells in zip(*parts, strict=True))
            block = Block(values, source, offset + row, None, headings, by=by)
            yield _without_nulls(block, missing, selection) if missing.any() else block


def _lengths(lists: Any, selection: Selection, offset: int) -> Array:
    """Return the lengths of lists; null has length 0."""
    lengths, nulls = _cells(lists.value_lengths(), np.int64)
    lengths = np.where(nulls, 0, lengths)
    if not selection.options.skip_na and not lengths.all():
        row = int(np.argmin(lengths))
        what = "is null" if nulls[row] else "is empty"
        place = selection.place(offset + row, selection.columns.positions[selection.list_at or 0])
        raise ReadError(f"{place} {what}; leave out such rows, here or with --skip-na")
    return lengths


def _without_nulls(block: Block, missing: Array, selection: Selection) -> Block:
    """Refuse the first missing number, or turn all missing ones into NaN, as in text."""
    if selection.options.skip_na:
        block.values[missing] = np.nan
        return block._replace(missing=missing)
    row, index = divmod(int(np.argmax(missing)), missing.shape[1])
    positions, at, inside = selection.columns.positions, selection.list_at, ""
    length = missing.shape[1] - len(positions) + 1
    if at is not None and at <= index < at + length:
        inside, index = f", number {index - at + 1}", at
    elif at is not None and index > at:
        index -= length - 1
    place = selection.place(block.offset + row, positions[index])
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

    tables = map(pa.table, groups)
    first = next(tables)
    # An open writer would write to the closed file when it is deleted.
    with parquet.ParquetWriter(stream, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
