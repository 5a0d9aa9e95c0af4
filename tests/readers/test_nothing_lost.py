"""Numbers that a file has beside those that are read: an error, never silence."""

import io
import json
import zipfile

import numpy as np
import pytest

from stablelse.readers import ReadError
from tests.files import piped

ONE, TWO = np.arange(2.0), np.arange(3.0)


def npy(*arrays):
    file = io.BytesIO()
    for array in arrays:
        np.save(file, array)
    return file.getvalue()


def npz(*entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def safetensors(*tensors):
    pairs = []
    for at, name in enumerate(tensors):
        entry = {"dtype": "F64", "shape": [1], "data_offsets": [8 * at, 8 * at + 8]}
        pairs.append(f'"{name}": {json.dumps(entry)}')
    header = f"{{{', '.join(pairs)}}}".encode()
    return len(header).to_bytes(8, "little") + header + np.arange(len(tensors) * 1.0).tobytes()


def parquet():
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as format

    file = io.BytesIO()
    format.write_table(pa.table({"x": ONE}), file)
    return file.getvalue()


def arrow(new):
    pa = pytest.importorskip("pyarrow")
    file, table = io.BytesIO(), pa.table({"x": ONE})
    with getattr(pa.ipc, new)(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


BEHIND = "x goes on after {}, and the rest would not be read; save each in its own file"
TWICE = pytest.warns(UserWarning, match="Duplicate name")

CASES = {
    "two arrays": (lambda: npy(ONE, TWO), BEHIND.format("its array")),
    "an array, and bytes": (lambda: npy(ONE) + b"\0", BEHIND.format("its array")),
    "two arrays, read across": (
        lambda: npy(np.asfortranarray(np.ones((2, 1 << 20))), TWO),
        BEHIND.format("its array"),
    ),
    "two arrays in one entry": (
        lambda: npz(("a.npy", npy(ONE, TWO))),
        BEHIND.format("its array").replace("x ", "x['a'] ", 1),
    ),
    "two tensors of one name": (
        lambda: safetensors("a", "a"),
        "x is a damaged .safetensors file: its header has 'a' twice; copy or save it again",
    ),
    "two .safetensors files": (lambda: 2 * safetensors("a"), BEHIND.format("its tensors")),
    "two Parquet files": (lambda: 2 * parquet(), BEHIND.format("the first table")),
    "two Arrow files": (lambda: 2 * arrow("new_file"), BEHIND.format("its table")),
    "two Arrow streams": (lambda: 2 * arrow("new_stream"), BEHIND.format("its table")),
    "a field more, later": (
        lambda: b'{"a": [1]}\n{"a": [2], "b": [3]}',
        "x, line 2 has several fields of numbers; choose one of its keys with --key: 'a', 'b'",
    ),
    "another field, later": (
        lambda: b'{"a": [1]}\n{"a": null, "b": [3]}',
        "x, line 2 has several fields of numbers; choose one of its keys with --key: 'a', 'b'",
    ),
    "a field behind vectors": (
        lambda: b'{"vectors": [[1, 2]], "b": [3]}',
        "x, line 1 has several fields of numbers; choose one of its keys with --key: "
        "'vectors', 'b'",
    ),
    "an object that has keys of ours": (
        lambda: b'{"quantity": [1], "totals": [2]}\n{"quantity": [4]}',
        "x, line 1 has several fields of numbers; choose one of its keys with --key: "
        "'quantity', 'totals'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_lies_behind(case):
    make, message = CASES[case]
    with pytest.raises(ReadError) as error:
        piped(make())
    assert str(error.value) == message


def test_two_entries_of_one_name():
    with TWICE:
        data = npz(("a.npy", npy(ONE)), ("a.npy", npy(TWO)))
    with pytest.raises(ReadError, match=r"^x has two arrays of the same name; save it again$"):
        piped(data)


@pytest.mark.parametrize("make", [npy, lambda x: npz(("a.npy", npy(x)))])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_what_ends_where_it_should(make, shape):
    x = np.ones(shape)
    assert sum(block.values.size for block in piped(make(x))) == x.size
