"""Parquet and Arrow: every type of number exactly, null as NA, bounded blocks, any damage."""

import decimal
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from files import TABLE_WRITERS, complaint, gathered, ipc_file, parquet_file

from stablelse.readers import By, ReadError, ReadOptions, open_blocks, tables

pa = pytest.importorskip("pyarrow")
from pyarrow import feather, ipc  # noqa: E402  only where there is pyarrow


@pytest.fixture(params=TABLE_WRITERS)
def writer(request):
    return TABLE_WRITERS[request.param]


RNG = np.random.default_rng(8)
FLOATS = RNG.normal(size=50)
NUMBERS = {
    "double": pa.array(FLOATS),
    "float": pa.array(FLOATS.astype(np.float32)),
    "halffloat": pa.array(FLOATS.astype(np.float16)),
    **{
        name: pa.array(RNG.integers(0, 100, 50).astype(name))
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "bool": pa.array(FLOATS > 0),
    "dictionary": pa.array(np.round(FLOATS, 1)).dictionary_encode(),
    "decimal": pa.array([decimal.Decimal(x) / 10 for x in range(50)], pa.decimal128(20, 3)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_types(name, writer, written):
    """What is a floating-point number stays what it is, to the last bit."""
    column = NUMBERS[name]
    values = gathered(written(writer(pa.table({"a": column}))))
    expected = np.array([float(x) for x in column.to_pylist()])
    assert values.shape == (50, 1)
    assert np.array_equal(values[:, 0], expected)
    kept = {"float": np.float32, "halffloat": np.float16}
    assert values.dtype == kept.get(name, np.float64)


def test_special_numbers(writer, written):
    numbers = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]
    values = gathered(written(writer(pa.table({"a": numbers}))))
    assert values[:, 0].tobytes() == np.array(numbers).tobytes()


def test_several_columns_by_name_and_number(writer, written):
    table = pa.table({"a": np.arange(20.0), "note": ["x"] * 20, "b.c": np.arange(20) + 100})
    path = written(writer(table))
    values = gathered(path, columns=("b.c", "1"))
    assert np.array_equal(values, np.column_stack([np.arange(20) + 100, np.arange(20)]))
    (block, *_) = open_blocks(str(path), ReadOptions(columns=("b.c", "1")))
    assert block.columns == ("b.c", "a")
    assert np.array_equal(gathered(path, columns=("a", "a")), np.arange(20.0)[:, None][:, [0, 0]])


def test_a_name_that_begins_another(writer, written):
    path = written(writer(pa.table({"a": [1.0], "a.b": [2.0], "ab": [3.0]})))
    assert gathered(path, columns=("a",)).tolist() == [[1]]


def test_mixed_types_become_the_one_that_holds_all(writer, written):
    halves = np.array([0.5, 65504], np.float16)
    table = pa.table({"a": pa.array(halves), "b": pa.array([1e-45, 3e38], pa.float32())})
    values = gathered(written(writer(table)))
    assert values.dtype == np.float32
    assert np.array_equal(values[:, 0], halves)


def test_large_integers(writer, written):
    path = written(writer(pa.table({"a": pa.array([2**63 - 1])})))
    (value,) = gathered(path, dtype="longdouble")[:, 0]
    assert int(value) == 2**63 - 1


def test_decimals_are_rounded_once(writer, written):
    """Half-way cases of 17 digits and more, which are no quotient of two exact numbers."""
    texts = [
        "9007199254740993.0000000001",
        "0.1234567890123456789",
        "-1.00000000000000011102230246",
    ]
    cells = [decimal.Decimal(text) for text in texts]
    table = pa.table({"a": pa.array(cells, pa.decimal256(60, 30))})
    assert gathered(written(writer(table)))[:, 0].tolist() == [float(text) for text in texts]


HOLES = pa.table({"a": [1.0, None, 3.0], "b": pa.array([4, 5, None]), "c": pa.nulls(3)})


def test_null_is_a_missing_cell(writer, written):
    path = written(writer(HOLES.select(["a", "b"])))
    assert complaint(path) == (
        "x, row 2, column 1 ('a') is null; fill it in, or leave out such cells with --skip-na"
    )
    assert complaint(path, columns=("b",)).startswith("x, row 3, column 2 ('b') is null; ")
    (block,) = open_blocks(str(path), ReadOptions(skip_na=True))
    assert block.missing.tolist() == [[False, False], [True, False], [False, True]]
    assert np.array_equal(block.values, [[1, 4], [np.nan, 5], [3, np.nan]], equal_nan=True)


def test_nan_is_a_number(writer, written):
    (block,) = open_blocks(
        str(written(writer(pa.table({"a": [np.nan, 1.0]})))), ReadOptions(skip_na=True)
    )
    assert block.missing is None


def test_nothing_but_null(writer, written):
    path = written(writer(HOLES.select(["c"])))
    (block,) = open_blocks(str(path), ReadOptions(skip_na=True))
    assert block.missing.all()


LISTS = {
    "list": pa.list_(pa.float32()),
    "large list": pa.large_list(pa.float32()),
    "fixed size": pa.list_(pa.float32(), 3),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_a_row(name, writer, written):
    rows = RNG.normal(size=(40, 3)).astype(np.float32)
    table = pa.table({"label": ["x"] * 40, "logits": pa.array(rows.tolist(), LISTS[name])})
    values = gathered(written(writer(table)), columns=("logits",))
    assert values.dtype == np.float32
    assert np.array_equal(values, rows)


def test_lists_with_holes(writer, written):
    path = written(writer(pa.table({"a": [[1.0, 2.0], [None, 4.0]]})))
    (block,) = open_blocks(str(path), ReadOptions(skip_na=True))
    assert block.missing.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("kind", ["list", "large list"])
@pytest.mark.parametrize("at", [1, 2, 30])
def test_lists_of_other_lengths_are_vectors_of_their_own(at, kind, writer, written):
    rows = [[1.0, 2.0]] * at + [[3.0], [4.0, 5.0, 6.0], [7.0]]
    table = pa.table({"a": pa.array(rows, LISTS[kind])})
    blocks = list(open_blocks(str(written(writer(table)))))
    assert [row for block in blocks for row in block.values.tolist()] == rows
    assert [block.offset for block in blocks] == np.cumsum(
        [0, *(len(block.values) for block in blocks[:-1])]
    ).tolist()
    assert {block.by for block in blocks} == {By.ROWS}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_beside_numbers(name, writer, written):
    rows = RNG.normal(size=(40, 3)).astype(np.float32)
    table = pa.table(
        {"before": range(40), "x": pa.array(rows.tolist(), LISTS[name]), "after": [0.5] * 40}
    )
    path = written(writer(table))
    values = gathered(path, columns=("before", "x", "after"))
    assert np.array_equal(values[:, 0], np.arange(40))
    assert np.array_equal(values[:, 1:-1], rows)
    assert np.array_equal(values[:, -1], np.full(40, 0.5))


def test_an_extension_type(writer, written):
    """What it is stored as is read: here a tensor a row."""
    kind = pa.fixed_shape_tensor(pa.float32(), [2, 2])
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    column = pa.ExtensionArray.from_storage(
        kind, pa.array(rows.tolist(), pa.list_(pa.float32(), 4))
    )
    assert np.array_equal(gathered(written(writer(pa.table({"a": column})))), rows)


def test_a_pipe(writer, monkeypatch):
    table = pa.table({"a": FLOATS, "b": FLOATS + 1})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(writer(table))))
    assert np.array_equal(gathered("-"), np.column_stack([FLOATS, FLOATS + 1]))


@pytest.mark.parametrize("width", [1, 3, 40])
def test_blocks_are_bounded(width, writer, written, monkeypatch):
    table = pa.table({f"c{i}": np.arange(200.0) for i in range(width)})
    path = written(writer(table))
    monkeypatch.setattr(tables, "BLOCK_BYTES", 800)
    blocks = list(open_blocks(str(path)))
    assert max(len(block.values) for block in blocks) <= max(1, 800 // (8 * width))
    values = np.concatenate([block.values for block in blocks])
    assert np.array_equal(values, np.repeat(np.arange(200.0)[:, None], width, axis=1))


def test_blocks_of_lists_are_bounded(writer, written, monkeypatch):
    """A list's length is not in the schema; that of the first one tells."""
    path = written(writer(pa.table({"a": np.ones((1000, 50)).tolist()})))
    monkeypatch.setattr(tables, "BLOCK_BYTES", 4000)
    blocks = list(open_blocks(str(path)))
    assert {block.values.shape[1] for block in blocks} == {50}
    assert max(len(block.values) for block in blocks) <= 10


def test_empty_batches(written):
    data = io.BytesIO()
    empty, one = (pa.table({"a": pa.array(cells, pa.list_(pa.float64()))}) for cells in ([], [[1]]))
    with ipc.new_stream(data, one.schema) as writer:
        for table in (empty, one, empty, one):
            writer.write_batch(pa.record_batch([table.column(0).combine_chunks()], ["a"]))
    assert gathered(written(data.getvalue())).tolist() == [[1], [1]]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_truncated(kept, is_pipe, writer, written, monkeypatch):
    data = writer(pa.table({"a": np.arange(1000.0)}))
    if writer is TABLE_WRITERS["Arrow stream"] and kept > 0.9:
        kept = 0.95  # a stream may end without a mark, behind any batch
    data = data[: int(kept * len(data))]
    path = written(data)
    if is_pipe:
        path = "-"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert complaint(path).startswith("x is damaged (")


def test_a_name_that_is_no_text(writer, written):
    data = writer(pa.table({"column": FLOATS}))
    assert data.count(b"column") > 0
    message = complaint(written(data.replace(b"column", b"\xff\xfe\xfd\xfc\xfb\xfa")))
    assert message.startswith(("x is damaged (", "x has a part"))


def test_a_flipped_bit_in_a_page_with_a_checksum(written):
    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    data = bytearray(parquet_file(pa.table({"a": FLOATS}), **options))
    place = data.index(FLOATS[20].tobytes())
    data[place] ^= 1
    assert complaint(written(bytes(data))).startswith("x is damaged (")


def test_a_batch_that_claims_terabytes(monkeypatch):
    """From a pipe a batch is held whole, so there is a bound of it."""
    data = bytearray(ipc_file(pa.table({"a": np.arange(100.0)}), "new_stream"))
    length = (800).to_bytes(8, "little")
    assert data.count(length) > 0
    damaged = data.replace(length, (1 << 43).to_bytes(8, "little"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(damaged)))
    assert complaint("-") == (
        "x has a part of more than 256 MiB, which must be read at once; if it is not damaged, "
        "save it in smaller parts"
    )


def test_feather(tmp_path):
    table = pa.table({"a": FLOATS})
    feather.write_feather(table, tmp_path / "x")
    assert np.array_equal(gathered(tmp_path / "x")[:, 0], FLOATS)
    (tmp_path / "x").write_bytes(b"FEA1" + bytes(100))
    assert complaint(tmp_path / "x") == (
        "cannot read x: it is an Arrow file of the old Feather format; convert it to CSV or Parquet"
    )


def test_without_pyarrow(writer, written, monkeypatch):
    path = written(writer(HOLES))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReadError) as error:
        list(open_blocks(str(path)))
    assert str(error.value).endswith(
        " is read by pyarrow, which is not installed: pip install pyarrow"
    )


def pandas_table(index_columns, names=("a", "when", "b")):
    """Return a table as pandas describes it; the columns are 0, 1 and 2."""
    metadata = {"pandas": json.dumps({"index_columns": index_columns, "columns": []})}
    table = pa.table({name: [float(place)] * 3 for place, name in enumerate(names)})
    return table.replace_schema_metadata(metadata)


RANGE = {"kind": "range", "name": None, "start": 0, "stop": 3, "step": 1}


@pytest.mark.parametrize(
    ("table", "kept", "left_out"),
    [
        (pandas_table(["when"]), [0, 2], "column 2 ('when') is"),
        (pandas_table(["a", "b"]), [1], "columns 1 ('a'), 3 ('b') are"),
        (pandas_table([RANGE]), [0, 1, 2], None),
        (pandas_table(None), [0, 1, 2], None),
        (pandas_table([["a"], 7]), [0, 1, 2], None),
        (
            pandas_table([], ("a", "b", "__index_level_0__")),
            [0, 1],
            "column 3 ('__index_level_0__') is",
        ),
        (
            pa.table({"a": [0.0], "b": [1.0]}).replace_schema_metadata({"pandas": b"[" * 9999}),
            [0, 1],
            None,
        ),
    ],
)
@pytest.mark.parametrize("skip_na", [False, True])
def test_an_index_of_pandas_is_left_out(table, kept, left_out, skip_na, writer, written):
    notes = []
    options = ReadOptions(note=notes.append, skip_na=skip_na)
    path = written(writer(table))
    blocks = list(open_blocks(str(path), options))
    assert {tuple(row) for block in blocks for row in block.values.tolist()} == {tuple(kept)}
    assert blocks[0].columns == tuple(table.column_names[place] for place in kept)
    text = f"{left_out} an index and left out; to read it, name all columns to read with --column"
    assert [note.text for note in notes] == ([text] if left_out else [])
    assert all(note.source == str(path) and note.header is None for note in notes)


def test_an_index_of_pandas_is_read_if_it_is_chosen(writer, written):
    path = written(writer(pandas_table(["when"])))
    assert gathered(path, columns=("when", "b")).tolist() == [[1, 2]] * 3
    path = written(writer(pandas_table(["a", "b", "when"])))
    assert complaint(path) == "x has index columns only; name those to read with --column"


def test_pandas_writes_what_is_expected_here(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [0.5, 1.5]}, index=[10, 20])
    for table, name in ((frame, "__index_level_0__"), (frame.rename_axis("when"), "when")):
        table.to_parquet(tmp_path / "x")
        notes = []
        (block,) = open_blocks(str(tmp_path / "x"), ReadOptions(note=notes.append))
        assert block.values.tolist() == [[0.5], [1.5]]
        assert f"column 2 ('{name}') is an index" in notes[0].text


def test_pandas_is_not_imported(tmp_path, environment):
    """It takes half a second to import, where it is installed; here it ends the process."""
    (tmp_path / "pandas.py").write_text("import os; os._exit(3)")
    (tmp_path / "x.parquet").write_bytes(parquet_file(HOLES))
    (tmp_path / "x.arrow").write_bytes(ipc_file(HOLES))
    (tmp_path / "x.csv").write_text("1,2\n" * 1000)
    code = (
        "import sys\n"
        "from stablelse.readers import ReadOptions, open_blocks, text\n"
        "text._PIECES_OF_NUMPY = 0\n"
        "for path in sys.argv[1:]:\n"
        "    list(open_blocks(path, ReadOptions(skip_na=True)))\n"
        "assert 'pyarrow' in sys.modules"
    )
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    files = [tmp_path / name for name in ("x.parquet", "x.arrow", "x.csv")]
    subprocess.run([sys.executable, "-c", code, *files], env=environment, check=True)
