"""Columns of an Arrow table into rows of numbers: which types are numbers, and what null means.

Nothing here imports pyarrow; it is handed its schemas and arrays. Their buffers are read as they
lie in memory, for ``to_numpy`` imports pandas and makes NaN of null.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stablelse.readers.block import Array, Block, ReadError, ReadOptions, quoted
from stablelse.readers.columns import choose_columns, count, is_index_name
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

    Attributes
    ----------
    source : str
        What complaints call the table.
    names : tuple of str
        The names of all columns.
    positions : tuple of int
        Those that are read, from 0, in their order.
    is_list : bool
        Whether there is one that is read, and each of its cells is a whole row.
    options : ReadOptions
        What else was asked for.
    left_out : tuple of int
        The positions of the columns that are an index of pandas.
    """

    source: str
    names: tuple[str, ...]
    positions: tuple[int, ...]
    is_list: bool
    options: ReadOptions
    left_out: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns of the rows; the numbers of a list have none."""
        return None if self.is_list else tuple(self.names[place] for place in self.positions)

    def place(self, position: int) -> str:
        """Return how a complaint calls a column."""
        return f"column {position + 1} ({quoted(self.names[position])})"


def lay_out(schema: Any, options: ReadOptions, source: str) -> Layout:
    """Tell from the schema of a table what is to be read of it.

    Raises
    ------
    ReadError
        If there is no such column, or one of them holds no numbers.
    """
    names = tuple(schema.names)
    if not names:
        raise ReadError(f"{source} is empty: it has no columns")
    chosen = choose_columns(options.columns, names, len(names), source)
    left_out = _index_columns(schema) if chosen is None else ()
    positions = chosen or tuple(place for place in range(len(names)) if place not in left_out)
    if not positions:
        raise ReadError(f"{source} has index columns only; name those to read with --column")
    layout = Layout(source, names, positions, False, options, left_out)
    kinds = [_stored(schema.field(place).type) for place in positions]
    lists = [str(kind).startswith(_LISTS) for kind in kinds]
    for place, kind, is_list in zip(positions, kinds, lists, strict=True):
        if is_list and len(kinds) > 1:
            raise ReadError(
                f"{source}, {layout.place(place)} holds lists, each a row of its own; "
                "choose it alone with --column"
            )
        if not _is_number(_stored(kind.value_type) if is_list else kind):
            raise ReadError(
                f"{source}, {layout.place(place)} holds {str(kind)[:40]}, no real numbers; "
                "choose the columns of numbers with --column"
            )
    return layout._replace(is_list=any(lists))


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
    names = {layout.names[place] for place in layout.positions}
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return [
        sum(
            column.total_compressed_size
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema.partition(".")[0] in names
        )
        for group in groups
    ]


def numbers_a_row(columns: Sequence[Any], layout: Layout) -> int:
    """Return how many numbers the first row has, of at least one."""
    if not layout.is_list:
        return len(columns)
    return len(_storage(columns[0].slice(0, 1)).flatten())


def make_block(columns: Sequence[Any], layout: Layout, offset: int) -> Block:
    """Make a block of some columns.

    Parameters
    ----------
    columns : sequence of pyarrow.Array
        Those of `layout`, in their order, equally long, valid.
    layout : Layout
        What they are.
    offset : int
        How many rows lie before them.

    Raises
    ------
    ReadError
        Where a cell is null, unless such cells are left out, and where lists differ in length.
    """
    return (_list_rows if layout.is_list else _scalar_rows)(columns, layout, offset)


def _scalar_rows(columns: Sequence[Any], layout: Layout, offset: int) -> Block:
    cells = [_cells(column, layout.options.dtype) for column in columns]
    shape = len(columns[0]), len(columns)
    values = np.empty(shape, np.result_type(*(numbers for numbers, _ in cells)))
    missing = None
    for index, (numbers, nulls) in enumerate(cells):
        values[:, index] = numbers
        if nulls is not None:
            missing = np.zeros(shape, np.bool_) if missing is None else missing
            missing[:, index] = nulls
    if missing is not None:
        _settle_missing(values, missing, layout, offset)
    return Block(values, layout.source, offset, missing, layout.columns, left_out=layout.left_out)


def _list_rows(columns: Sequence[Any], layout: Layout, offset: int) -> Block:
    column, rows = _storage(columns[0]), len(columns[0])
    place = layout.place(layout.positions[0])
    nulls = _nulls(column)
    if nulls is not None:
        row = offset + 1 + int(np.argmax(nulls))
        raise ReadError(
            f"{layout.source}, row {row}, {place} is null, no list; leave out such rows"
        )
    lengths, _ = _cells(column.value_lengths(), np.int64)
    width = int(lengths[0])
    others = np.flatnonzero(lengths != width)
    if others.size:
        raise ragged(layout, offset + int(others[0]), int(lengths[others[0]]), offset, width)
    numbers, nulls = _cells(column.flatten(), layout.options.dtype)
    values = np.array(numbers).reshape(rows, width)
    missing = None if nulls is None else nulls.reshape(rows, width)
    if missing is not None:
        _settle_missing(values, missing, layout, offset)
    return Block(values, layout.source, offset, missing, layout.columns, left_out=layout.left_out)


def ragged(layout: Layout, row: int, length: int, first: int, width: int) -> ReadError:
    """Return the complaint about two rows, from 0, whose lists differ in length."""
    return ReadError(
        f"{layout.source}, row {row + 1}, {layout.place(layout.positions[0])} has "
        f"{count(length, 'number')}, where row {first + 1} has {width}; give all rows as many"
    )


def _settle_missing(
    values: Array, missing: npt.NDArray[np.bool_], layout: Layout, offset: int
) -> None:
    """Complain of the first cell that is null, or make NaN of all, as in text."""
    if layout.options.skip_na:
        values[missing] = np.nan
        return
    row, index = divmod(int(np.argmax(missing)), missing.shape[1])
    position = layout.positions[0 if layout.is_list else index]
    inside = f", number {index + 1}" if layout.is_list else ""
    raise ReadError(
        f"{layout.source}, row {offset + row + 1}, {layout.place(position)}{inside} is null; "
        "fill it in, or leave out such cells with --skip-na"
    )


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
