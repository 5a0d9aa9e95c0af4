"""Parquet and Arrow: every type of number exactly, null as NA, bounded blocks, any damage."""

import decimal
import io
import json
import os

import numpy as np
import pytest
from files import TABLE_WRITERS, complaint, gathered, ipc_file, parquet_file

from stablelse.readers import open_blocks
from stablelse.readers.blocks import By, ReadOptions

pa = pytest.importorskip("pyarrow")
from pyarrow import feather, ipc  # noqa: E402  only with pyarrow


@pytest.fixture(params=TABLE_WRITERS)
def writer(request):
    return TABLE_WRITERS[request.param]


@pytest.fixture
def stored(writer, written):
    """Return a function that writes columns in one of the formats, and returns the path."""
    return lambda **columns: written(writer(pa.table(columns)))


RNG = np.random.default_rng(8)
FLOATS = RNG.normal(size=50)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308])
HALVES = np.array([0.5, 65504], np.float16)
ROWS = RNG.normal(size=(40, 3)).astype(np.float32)
EXACT = ["9007199254740993.0000000001", "0.1234567890123456789", "-1.00000000000000011102230246"]
LISTS = {
    "list": pa.list_(pa.float32()),
    "large list": pa.large_list(pa.float32()),
    "fixed size": pa.list_(pa.float32(), 3),
}
TENSORS = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.float32(), [1, 3]), pa.array(ROWS.tolist(), LISTS["fixed size"])
)
COUNTED = {"a": np.arange(20.0), "note": ["x"] * 20, "b.c": np.arange(20) + 100}


def of(*columns, dtype=np.float64):
    return np.column_stack(columns).astype(dtype)


#: Columns that are read, and the exact numbers and dtype expected.
GOOD = {
    "double": ({"a": FLOATS}, (), of(FLOATS)),
    "float": ({"a": FLOATS.astype("f4")}, (), of(FLOATS, dtype="f4")),
    "halffloat": ({"a": FLOATS.astype("f2")}, (), of(FLOATS, dtype="f2")),
    **{
        f"{kind}int{8 * n}": ({"a": np.arange(50).astype(f"{kind or 'i'}{n}")}, (), of(range(50)))
        for kind in ("", "u")
        for n in (1, 2, 4, 8)
    },
    "bool": ({"a": FLOATS > 0}, (), of(FLOATS > 0)),
    "dictionary": ({"a": pa.array(FLOATS).dictionary_encode()}, (), of(FLOATS)),
    # Half-way cases of 17 digits or more, which must be rounded only once.
    "decimal": ({"a": pa.array(list(map(decimal.Decimal, EXACT)), pa.decimal256(60, 30))}, (),
        of(list(map(float, EXACT)))),
    "special": ({"a": SPECIAL}, (), of(SPECIAL)),
    "mixed": ({"a": HALVES, "b": np.float32([1e-45, 3])}, (), of(HALVES, [1e-45, 3], dtype="f4")),
    "by name and number": (COUNTED, ("b.c", "1"), of(np.arange(20) + 100, np.arange(20))),
    "one twice": (COUNTED, ("a", "a"), of(np.arange(20), np.arange(20))),
    "a name that begins another": ({"a": [1.0], "a.b": [2.0], "ab": [3.0]}, ("a",), of([1])),
    "an extension type": ({"a": TENSORS}, (), ROWS),
    **{
        name: ({"label": ["x"] * 40, "x": pa.array(ROWS.tolist(), kind)}, ("x",), ROWS)
        for name, kind in LISTS.items()
    },
    **{
        f"{name}, beside numbers": (
            {"a": range(40), "x": pa.array(ROWS.tolist(), kind), "b": np.full(40, 0.5)},
            ("a", "x", "b"),
            of(np.arange(40), ROWS, np.full(40, 0.5)),
        )
        for name, kind in LISTS.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good(name, stored):
    columns, chosen, expected = GOOD[name]
    path = stored(**columns)
    values = gathered(path, columns=chosen)
    assert (values.dtype, values.shape) == (expected.dtype, expected.shape)
    assert values.tobytes() == expected.tobytes()
    if name == "by name and number":
        assert next(open_blocks(str(path), ReadOptions(columns=chosen))).columns == ("b.c", "a")


def test_large_integers(stored):
    (value,) = gathered(stored(a=[2**63 - 1]), dtype="longdouble")[:, 0]
    assert int(value) == 2**63 - 1


HOLES = {"a": [1.0, None, 3.0], "b": pa.array([4, 5, None])}


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (HOLES, [[False, False], [True, False], [False, True]]),
        ({"a": pa.nulls(2)}, [[True], [True]]),
        ({"a": [np.nan, 1.0]}, None),
        ({"a": [[1.0, 2.0], [None, 4.0]]}, [[False, False], [True, False]]),
    ],
)
def test_missing_cells(columns, missing, stored):
    (block,) = open_blocks(str(stored(**columns)), ReadOptions(skip_na=True))
    assert (None if block.missing is None else block.missing.tolist()) == missing
    assert missing is None or np.array_equal(np.isnan(block.values), missing)


@pytest.mark.parametrize("cell", [None, []])
def test_no_list_is_a_missing_row(cell, stored):
    blocks = open_blocks(str(stored(a=[[1.0, 2.0], cell, [3.0]])), ReadOptions(skip_na=True))
    rows = [block.values[~np.isnan(block.values)].tolist() for block in blocks]
    assert rows == [[1, 2], [], [3]]


@pytest.mark.parametrize("kind", ["list", "large list"])
@pytest.mark.parametrize("at", [1, 2, 30])
def test_lists_of_other_lengths_are_vectors_of_their_own(at, kind, stored):
    rows = [[1.0, 2.0]] * at + [[3.0], [4.0, 5.0, 6.0], [7.0]]
    offset = 0
    for block in open_blocks(str(stored(a=pa.array(rows, LISTS[kind])))):
        assert (block.by, block.offset) == (By.ROWS, offset)
        assert block.values.tolist() == rows[offset : offset + len(block.values)]
        offset += len(block.values)
    assert offset == len(rows)


def test_no_columns(stored):
    assert complaint(stored()).startswith("x is empty: it has no ")


def test_a_pipe(writer, piped_in):
    path = piped_in(writer(pa.table({"a": FLOATS, "b": FLOATS + 1})))
    assert np.array_equal(gathered(path), of(FLOATS, FLOATS + 1))


@pytest.mark.parametrize("width", [1, 3, 40])
def test_blocks_are_bounded(width, stored, monkeypatch):
    """The schema does not say how long lists are; the first ones do."""
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 800)
    rows = np.repeat(np.arange(200.0)[:, None], width, axis=1)
    for columns in ({f"c{i}": rows[:, i] for i in range(width)}, {"a": rows.tolist()}):
        path = stored(**columns)
        assert np.array_equal(gathered(path), rows)
        longest = max(len(block.values) for block in open_blocks(str(path)))
        assert longest <= max(1, 800 // (8 * width))


@pytest.mark.parametrize("block_bytes", [8, 24, 1 << 20])
@pytest.mark.parametrize("name", LISTS)
def test_lists_beside_other_columns(name, block_bytes, stored, monkeypatch):
    """Blocks of any size have the same rows, and errors name the same places."""
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", block_bytes)
    rows = pa.array([[1.0, 2.0, 3.0], [4.0, 5.0, None], [7.0, 8.0, 9.0]], LISTS[name])
    options = {"columns": ("a", "x", "b")}
    path = stored(a=[10, 20, 30], x=rows, b=[0.5, None, 1.5])
    blocks = list(open_blocks(str(path), ReadOptions(skip_na=True, **options)))
    expected = [[10, 1, 2, 3, 0.5], [20, 4, 5, None, None], [30, 7, 8, 9, 1.5]]
    found = np.concatenate([block.values for block in blocks])
    assert np.where(np.isnan(found), None, found).tolist() == expected
    assert complaint(path, **options).startswith("x, row 2, column 2 ('x'), number 3 is null; ")


def test_empty_batches(written):
    data = io.BytesIO()
    empty, one = (pa.table({"a": pa.array(cells, pa.list_(pa.float64()))}) for cells in ([], [[1]]))
    with ipc.new_stream(data, one.schema) as writer:
        for table in (empty, one, empty, one):
            writer.write_batch(pa.record_batch([table.column(0).combine_chunks()], ["a"]))
    assert gathered(written(data.getvalue())).tolist() == [[1], [1]]


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


def test_a_batch_that_claims_terabytes(piped_in):
    """A batch from a pipe is held whole, so its size is bounded."""
    data = ipc_file(pa.table({"a": np.arange(100.0)}), "new_stream")
    length = (800).to_bytes(8, "little")
    assert data.count(length) > 0
    path = piped_in(data.replace(length, (1 << 43).to_bytes(8, "little")))
    assert complaint(path).startswith("x has a part of more than 128 MiB, which must be read at")


def test_feather(tmp_path):
    feather.write_feather(pa.table({"a": FLOATS}), tmp_path / "x")
    assert np.array_equal(gathered(tmp_path / "x")[:, 0], FLOATS)


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
)  # fmt: skip
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


def test_pandas_is_not_imported(tmp_path, environment, python):
    """Importing it takes half a second; here it would end the process."""
    (tmp_path / "pandas.py").write_text("import os; os._exit(3)")
    (tmp_path / "x.parquet").write_bytes(parquet_file(pa.table(HOLES)))
    (tmp_path / "x.arrow").write_bytes(ipc_file(pa.table(HOLES)))
    (tmp_path / "x.csv").write_text("1,2\n" * 1000)
    code = (
        "import sys\n"
        "from stablelse.readers import ReadOptions, open_blocks, text\n"
        "text._PIECES_OF_NUMPY = 0\n"
        "for path in sys.argv[1:]:\n"
        "    list(open_blocks(path, ReadOptions(skip_na=True)))\n"
        "assert 'pyarrow' in sys.modules"
    )
    place = os.pathsep.join([environment["PYTHONPATH"], str(tmp_path)])
    files = [tmp_path / name for name in ("x.parquet", "x.arrow", "x.csv")]
    python("-c", code, *files, check=True, PYTHONPATH=place)
