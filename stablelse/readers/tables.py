"""Columns of an Arrow table into rows of numbers: which types are numbers, and what null means.

Nothing here imports pyarrow; it is handed its schemas and arrays. Their buffers are read as they
lie in memory, for ``to_numpy`` imports pandas and makes NaN of null.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, Block, By, ReadError, ReadOptions, quoted
from stablelse.readers.columns import choose_columns, is_index_name
from stablelse.readers.literals import number_reader

#: What one column is made of: its numbers, and where it is null, if it is anywhere.
_Cells = tuple[Array, npt.NDArray[np.bool_] | None]

#: Arrow's names of the types that NumPy has under the same bits.
_DTYPES = {
    "double": "f8",
    "float": "f4",
    "halffloat": "f2",
    **{f"{sign}int{8 * size}": f"{sign or 'i'}{size}"
       for sign in ("", "u") for size in (1, 2, 4, 8)},
}  # fmt: skip

_LISTS = ("list<", "large_list<", "fixed_size_list<")


class Layout(NamedTuple):
    """Which columns of a table are read, and how.

    `names` are all there are, `positions` those that are read, from 0, in their order. That at
    `list_at` of these holds lists: a row has the numbers of its list beside the others. `left_out`
    are the positions of columns that are an index of pandas.
    """

    source: str
    names: tuple[str, ...]
    positions: tuple[int, ...]
    list_at: int | None
    options: ReadOptions
    left_out: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns of the rows; the numbers of a list have none."""
        if self.list_at is not None:
            return None
        return tuple(self.names[place] for place in self.positions)

    def place(self, row: int, position: int) -> str:
        """Return how a complaint calls a cell of a row, from 0."""
        return f"{self.source}, row {row + 1}, {self.column(position)}"

    def column(self, position: int) -> str:
        """Return how a complaint calls a column."""
        return f"column {position + 1} ({quoted(self.names[position])})"


def lay_out(schema: Any, options: ReadOptions, source: str) -> Layout:
    """Tell from the schema of a table what is to be read of it."""
    names = tuple(schema.names)
    if not names:
        raise ReadError(f"{source} is empty: it has no columns")
    chosen = choose_columns(options.columns, names, len(names), source)
    left_out = _index_columns(schema) if chosen is None else ()
    positions = chosen or tuple(place for place in range(len(names)) if place not in left_out)
    if not positions:
        raise ReadError(f"{source} has index columns only; name those to read with --column")
    layout = Layout(source, names, positions, None, options, left_out)
    kinds = [_stored(schema.field(place).type) for place in positions]
    lists = [index for index, kind in enumerate(kinds) if str(kind).startswith(_LISTS)]
    if lists and len(kinds) > 1 and (len(lists) > 1 or not options.columns):
        raise ReadError(
            f"{source}, {layout.column(positions[lists[0]])} holds lists, each a row of its own; "
            "choose it with --column"
        )
    for index, (place, kind) in enumerate(zip(positions, kinds, strict=True)):
        if not _is_number(_stored(kind.value_type) if index in lists else kind):
            raise ReadError(
                f"{source}, {layout.column(place)} holds {str(kind)[:40]}, no real numbers; "
                "choose the columns of numbers with --column"
            )
    return layout._replace(list_at=lists[0] if lists else None)


def _index_columns(schema: Any) -> tuple[int, ...]:
    """Return the positions of the columns that pandas says, or whose names say, are its index."""
    try:
        known = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        index = {name for name in known if isinstance(name, str)}
    except (ValueError, LookupError, TypeError, RecursionError):  # anything may stand there
        index = set()
    return tuple(
        place for place, name in enumerate(schema.names) if name in index or is_index_name(name)
    )


def group_sizes(metadata: Any, layout: Layout) -> list[int]:
    """Return how many bytes of each row group of a Parquet file are to be read."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return [
        sum(chunk.total_compressed_size for chunk in _chunks(group, layout)) for group in groups
    ]


def most_numbers_a_row(metadata: Any, layout: Layout) -> int:
    """Return how many numbers a row of a Parquet file has, in the row group of the longest."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    most = 1
    for group in groups:
        numbers = sum(chunk.num_values for chunk in _chunks(group, layout))
        most = max(most, -(numbers // -max(1, group.num_rows)))
    return most


def _chunks(group: Any, layout: Layout) -> list[Any]:
    """Return the parts of a row group that are wanted."""
    names = {layout.names[place] for place in layout.positions}
    chunks = map(group.column, range(group.num_columns))
    return [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names]


def numbers_a_row(columns: Sequence[Any], layout: Layout) -> int:
    """Return how many numbers a row has on average, rounded up, of one row at least."""
    if layout.list_at is None:
        return len(columns)
    return len(columns) - len(_storage(columns[layout.list_at]).flatten()) // -len(columns[0])


def make_blocks(columns: Sequence[Any], layout: Layout, offset: int) -> Iterator[Block]:
    """Make blocks of equally long, valid columns of a layout, before which so many rows lie.

    Rows whose lists are equally long make a block with their neighbours.
    """
    flat = list(map(_storage, columns))
    lengths = np.ones(len(columns[0]), np.int64)
    if layout.list_at is not None:
        lists = flat[layout.list_at]
        lengths, flat[layout.list_at] = _lengths(lists, layout, offset), lists.flatten()
    cells = [_cells(column, layout.options.dtype) for column in flat]
    ends = np.cumsum(lengths)
    edges = np.flatnonzero(np.diff(lengths)) + 1
    for begin, end in pairwise((0, *edges.tolist(), len(lengths))):
        width = int(lengths[begin])
        parts = []
        for index, (numbers, nulls) in enumerate(cells):
            rows = slice(begin, end)
            if index == layout.list_at:
                rows = slice(int(ends[begin]) - width, int(ends[end - 1]))
            parts.append(_part(numbers[rows], nulls if nulls is None else nulls[rows], end - begin))
        values = np.concatenate([numbers for numbers, _ in parts], axis=1)
        missing = np.concatenate([nulls for _, nulls in parts], axis=1)
        by = None if layout.list_at is None else By.ROWS
        block = Block(values, layout.source, offset + begin, None, layout.columns, by=by)
        block = block._replace(left_out=layout.left_out)
        yield _settled(block, missing, layout) if missing.any() else block


def _lengths(lists: Any, layout: Layout, offset: int) -> Array:
    """Return how long lists are; null is as long as nothing."""
    lengths, nulls = _cells(lists.value_lengths(), np.int64)
    lengths = lengths.astype(np.int64)
    if nulls is not None:
        lengths[nulls] = 0
    if not layout.options.skip_na and not lengths.all():
        row = int(np.argmin(lengths))
        what = "is null" if nulls is not None and nulls[row] else "is empty"
        place = layout.place(offset + row, layout.positions[layout.list_at or 0])
        raise ReadError(f"{place} {what}; leave out such rows, here or with --skip-na")
    return lengths


def _part(numbers: Array, nulls: Array | None, rows: int) -> tuple[Array, Array]:
    """Return numbers in so many rows, and where one is missing: of no number it is all there is."""
    if not numbers.size:
        return np.full((rows, 1), np.nan), np.ones((rows, 1), np.bool_)
    missing = np.zeros(numbers.shape, np.bool_) if nulls is None else nulls
    return numbers.reshape(rows, -1), missing.reshape(rows, -1)


def _settled(block: Block, missing: Array, layout: Layout) -> Block:
    """Complain of the first number that is missing, or make NaN of all, as in text."""
    if layout.options.skip_na:
        block.values[missing] = np.nan
        return block._replace(missing=missing)
    row, index = divmod(int(np.argmax(missing)), missing.shape[1])
    length = missing.shape[1] - len(layout.positions) + 1
    at, inside = layout.list_at, ""
    if at is not None and at <= index < at + length:
        inside, index = f", number {index - at + 1}", at
    elif at is not None and index > at:
        index -= length - 1
    place = layout.place(block.offset + row, layout.positions[index])
    raise ReadError(f"{place}{inside} is null; fill it in, or leave out such cells with --skip-na")


def _cells(array: Any, dtype: npt.DTypeLike) -> _Cells:
    """Return the numbers of an array, floating-point ones as they are, others as `dtype`."""
    array = _storage(array)
    kind = str(array.type)
    if kind.startswith("dictionary<"):
        return _cells(array.dictionary_decode(), dtype)
    nulls = _nulls(array)
    if kind == "null":
        return np.full(len(array), np.nan), nulls
    if kind.startswith("decimal"):
        return _decimals(array, dtype), nulls
    begin, end = array.offset, array.offset + len(array)
    data = array.buffers()[1]
    if kind == "bool":
        return _bits(data, begin, end).astype(dtype), nulls
    numbers = np.frombuffer(data, _DTYPES[kind], count=end)[begin:]
    return numbers if numbers.dtype.kind == "f" else numbers.astype(dtype), nulls


def _nulls(array: Any) -> npt.NDArray[np.bool_] | None:
    if not array.null_count:
        return None
    validity = array.buffers()[0]
    if validity is None:  # of a type whose every cell is null
        return np.ones(len(array), np.bool_)
    return ~_bits(validity, array.offset, array.offset + len(array)).astype(np.bool_)


def _bits(data: Any, begin: int, end: int) -> Array:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=end, bitorder="little")
    return bits[begin:]


def _decimals(array: Any, dtype: npt.DTypeLike) -> Array:
    """Read decimals as text is read: Arrow's own conversion rounds more than once."""
    read_number: Callable[[str], Any] = number_reader(dtype)
    cells = (np.nan if cell is None else read_number(str(cell)) for cell in array.to_pylist())
    return np.fromiter(cells, dtype, len(array))


def _is_number(kind: Any) -> bool:
    name = str(kind)
    if name.startswith("dictionary<"):
        return _is_number(kind.value_type)
    return name in _DTYPES or name in ("bool", "null") or name.startswith("decimal")


def _stored(kind: Any) -> Any:
    """Return the type that an extension type, such as that of tensors, is stored as."""
    return getattr(kind, "storage_type", kind)


def _storage(array: Any) -> Any:
    return getattr(array, "storage", array)
