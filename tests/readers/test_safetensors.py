"""Tensors on disk: every type there is, files and pipes, and nothing of their header believed."""

import io
import json
import sys

import numpy as np
import pytest
from files import complaint, gathered, piped
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError

ml_dtypes = pytest.importorskip("ml_dtypes")

#: Each type's name in the format, and NumPy's or ml_dtypes' own.
DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def tensors(**arrays):
    """Return a file of arrays, as the format's specification says."""
    header, data = {"__metadata__": {"format": "np"}}, b""
    names = {np.dtype(kind): name for name, kind in DTYPES.items()}
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = tensor(names[array.dtype], array.shape, (len(data), end))
        data += array.tobytes()
    return file_of(header, data)


@pytest.fixture
def written(tmp_path):
    def write(data):
        path = tmp_path / "x"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture(params=["file", "pipe"])
def place(request, written, monkeypatch):
    """Put bytes in a file, or in a pipe, and return the path to open."""

    def put(data):
        if request.param == "file":
            return written(data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return "-"

    return put


@pytest.mark.parametrize("name", DTYPES)
def test_types(name, place):
    """All numbers of 8 and 16 bits, and some of the others."""
    dtype = np.dtype(DTYPES[name])
    if dtype.itemsize < 4 and dtype != np.bool_:
        codes = np.arange(256**dtype.itemsize, dtype=f"u{dtype.itemsize}")
        array = codes.view(dtype).reshape(-1, 4)
    else:
        array = np.random.default_rng(5).integers(0, 2, (64, 4)).astype(dtype)
    values = gathered(place(tensors(before=np.ones(3), x=array, behind=np.ones(3))), key="x")
    assert values.dtype.kind == "f"
    with np.errstate(invalid="ignore"):  # some of the NaN are signalling ones
        expected = array.astype(np.float64)
    assert np.array_equal(values, expected, equal_nan=True)
    assert np.array_equal(np.signbit(values[values == 0]), np.signbit(expected[expected == 0]))


def test_the_format_is_what_its_package_writes(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    array = np.random.default_rng(6).normal(size=(100, 9)).astype(ml_dtypes.bfloat16)
    library.save_file({"a": np.ones(3), "x": array}, tmp_path / "x", {"note": "any"})
    assert np.array_equal(gathered(tmp_path / "x", key="x"), array.astype(np.float32))


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 6), (6, 1), (2, 3, 4)])
def test_shapes(shape, place):
    array = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    width = shape[-1] if len(shape) >= 2 else 1
    assert np.array_equal(gathered(place(tensors(x=array))), array.reshape(-1, width))


def test_one_tensor_needs_no_key_and_blocks_name_it(written):
    (block,) = piped(tensors(a=np.arange(2.0)))
    assert block.source == "x['a']"


def test_columns(place):
    array = np.arange(12.0).reshape(4, 3)
    path = place(tensors(a=array, b=array + 100))
    assert np.array_equal(gathered(path, key="b", columns=("3", "1")), array[:, [2, 0]] + 100)


def test_integers_become_what_text_would(written):
    path = written(tensors(x=np.array([2**64 - 1], np.uint64)))
    (value,) = gathered(path, dtype="longdouble").ravel()
    assert int(value) == 2**64 - 1


AGAIN = "; copy or save it again"
DAMAGED = "x is a damaged .safetensors file: "
UNDESCRIBED = f"{DAMAGED}its header does not describe 'a'{AGAIN}"
EIGHT = bytes(8)
BAD = {
    "several": (
        tensors(a=np.ones(2), b=np.ones(2)),
        "x has 2 arrays: 'a', 'b'; choose one with --key",
    ),
    "none": (file_of({"__metadata__": {}}), "x is empty: it holds no array"),
    "an empty tensor": (
        tensors(a=np.ones((0, 3))),
        "x['a'] is empty: its array has the shape (0, 3)",
    ),
    "truncated": (
        tensors(a=np.ones(2))[:-1],
        f"x['a'] is truncated: its header promises 16 bytes for the shape (2,) of float64, "
        f"and 15 follow{AGAIN}",
    ),
    "truncated header": (tensors(a=np.ones(2))[:30], f"x is truncated within its header{AGAIN}"),
    "a header of gigabytes": (
        file_of(b'{"a":', length=2**31),
        f"{DAMAGED}its header claims 2,147,483,648 bytes{AGAIN}",
    ),
    "a header longer still": (
        file_of(b'{"a":', length=2**60),
        "cannot read x: it is a damaged .safetensors file; copy or save it again",
    ),
    "no JSON": (file_of(b"{'a': 1}"), f"{DAMAGED}its header is not JSON{AGAIN}"),
    "deep nesting": (file_of(b'{"a":' + b"[" * 100_000), f"{DAMAGED}its header is not JSON{AGAIN}"),
    "Latin-1": (file_of('{"µ": 1}'.encode("latin-1")), f"{DAMAGED}its header is not JSON{AGAIN}"),
    "no entry": (file_of({"a": 1}, EIGHT), UNDESCRIBED),
    "no shape": (file_of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT), UNDESCRIBED),
    "three offsets": (file_of({"a": tensor(offsets=(0, 8, 9))}, EIGHT), UNDESCRIBED),
    "a negative offset": (file_of({"a": tensor(offsets=(-8, 0))}, EIGHT), UNDESCRIBED),
    "a fraction": (file_of({"a": tensor(shape=(2.5,))}, EIGHT), UNDESCRIBED),
    "a bool": (file_of({"a": tensor(shape=(True,))}, EIGHT), UNDESCRIBED),
    "a type that is no string": (file_of({"a": tensor(dtype=["F32"])}, EIGHT), UNDESCRIBED),
    "another length": (
        file_of({"a": tensor(shape=(3,))}, EIGHT),
        f"{DAMAGED}the length of 'a' is not that of its shape{AGAIN}",
    ),
    "a claim too large": (
        file_of({"a": tensor(shape=(10**12,), offsets=(0, 4 * 10**12))}, EIGHT),
        f"x['a'] is truncated: its header promises 4,000,000,000,000 bytes for the shape "
        f"(1000000000000,) of float32, and 8 follow{AGAIN}",
    ),
    "beyond the end": (
        file_of({"a": tensor(offsets=(10**15, 10**15 + 8))}, EIGHT),
        f"x['a'] is truncated: its header promises 8 bytes for the shape (2,) of float32, "
        f"and 0 follow{AGAIN}",
    ),
    "a type of four bits": (
        file_of({"a": tensor("F4", (16,))}, EIGHT),
        "x['a'] is of the type 'F4', which cannot be read; convert it to F32",
    ),
    "complex": (
        file_of({"a": tensor("C64", (1,))}, EIGHT),
        "x['a'] is of the type 'C64', which cannot be read; convert it to F32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad(name, place):
    data, message = BAD[name]
    assert complaint(place(data)) == message


def test_no_such_key(place):
    said = complaint(place(tensors(a=np.ones(2), b=np.ones(2))), key="__metadata__")
    assert said == "x has no array '__metadata__'; it has 'a', 'b'"


@given(st.binary(max_size=30), st.integers(0, 200))
def test_any_damage_gives_numbers_or_one_line(noise, place):
    data = tensors(a=np.arange(6.0).reshape(2, 3))
    damaged = data[:place] + noise + data[place + len(noise) :]
    said = ""
    try:
        piped(damaged)
    except ReadError as error:
        said = str(error)
    assert said == "" or ("x" in said and said.isprintable() and len(said) < 400)
