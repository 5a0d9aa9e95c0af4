"""NumPy's files: every real dtype, both orders, files and pipes, and nothing believed."""

import io

import numpy as np
import pytest

from stablelse.readers import ReadError, ReadOptions, npy, open_blocks
from stablelse.readers.npy import read_npy

DTYPES = ["f2", "f4", "f8", np.longdouble, ">f4", ">f8", "i1", "u8", "i4", "?"]


def saved(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def gathered(blocks):
    return np.concatenate([block.values for block in blocks])


@pytest.fixture(params=["file", "pipe"])
def read(request, tmp_path):
    """Read bytes as a file that can be mapped, or as a stream that cannot."""

    def from_file(data, options=None):
        path = tmp_path / "x.npy"
        path.write_bytes(data)
        return list(open_blocks(str(path), options))

    def from_pipe(data, options=None):
        return list(read_npy(io.BytesIO(data), "x.npy", options or ReadOptions()))

    return from_file if request.param == "file" else from_pipe


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (50,), (7, 5), (1, 9), (9, 1)])
def test_reads(dtype, shape, read, monkeypatch):
    monkeypatch.setattr(npy, "BLOCK_BYTES", 64)
    array = np.random.default_rng(3).integers(0, 2, shape).astype(dtype)
    blocks = read(saved(array))
    values = gathered(blocks)
    width = shape[1] if len(shape) == 2 else 1
    assert np.array_equal(values, array.reshape(-1, width))
    floating = array.dtype.kind == "f"
    assert values.dtype == (array.dtype.newbyteorder("=") if floating else np.float64)
    assert values.dtype.isnative
    assert [b.offset for b in blocks] == np.cumsum(
        [0, *(len(b.values) for b in blocks[:-1])]
    ).tolist()
    assert max(b.values.nbytes for b in blocks) <= max(64, width * 16) * 8


def test_fortran_order_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "BLOCK_BYTES", 64)
    array = np.asfortranarray(np.arange(35.0).reshape(7, 5))
    np.save(tmp_path / "x.npy", array)
    blocks = list(open_blocks(str(tmp_path / "x.npy")))
    assert len(blocks) > 1
    assert np.array_equal(gathered(blocks), array)


def test_columns(read):
    blocks = read(saved(np.arange(6.0).reshape(3, 2)), ReadOptions(columns=("2",)))
    assert gathered(blocks).tolist() == [[1], [3], [5]]


def header(shape, descr="'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BAD = {
    "truncated": (
        saved(np.arange(9.0))[:-1],
        "truncated: its header claims 9 numbers, 72 bytes, and 71",
    ),
    "no data": (header("(10,)"), "truncated: its header claims 10 numbers, 80 bytes, and 0"),
    "a claim too large": (
        header("(1000000000000,)"),
        "truncated: its header claims 1,000,000,000,000",
    ),
    "a wide claim": (
        header("(1, 1000000000000)"),
        "truncated: its header claims 1,000,000,000,000",
    ),
    "truncated header": (saved(np.arange(9.0))[:30], "no .npy file that can be read"),
    "header of nonsense": (b"\x93NUMPY\x01\x00\x04\x00abc\n", "no .npy file that can be read"),
    "another version": (b"\x93NUMPY\x09\x00" + bytes(100), "no .npy file that can be read"),
    "code in the header": (header("__import__('os').getpid()"), "no .npy file that can be read"),
    "negative shape": (header("(-1,)"), "no .npy file that can be read: its shape is"),
    "objects": (header("(1,)", "'|O'"), "Python objects, which are never unpickled"),
    "structured": (saved(np.zeros(2, "f8,i4")), "not real numbers: save the fields as columns"),
    "ml_dtypes": (header("(1,)", "'|V2'") + b"ab", "not real numbers"),
    "complex": (saved(np.zeros(2, complex)), "complex128, not real numbers: save the real parts"),
    "text": (saved(np.array(["a"])), "not real numbers"),
    "dates": (saved(np.zeros(2, "M8[s]")), "not real numbers"),
    "three axes": (saved(np.zeros((2, 3, 4))), r"3 axes, shape \(2, 3, 4\): reshape it to two"),
    "empty": (saved(np.zeros((0, 4))), r"is empty: its shape is \(0, 4\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name, read):
    data, message = BAD[name]
    with pytest.raises(ReadError, match=message) as error:
        read(data)
    assert "\n" not in str(error.value)
    assert "x.npy" in str(error.value)


def test_fortran_order_from_a_pipe():
    data = saved(np.asfortranarray(np.ones((3, 4))))
    with pytest.raises(ReadError, match="stored column by column: give it as a file"):
        list(read_npy(io.BytesIO(data), "x.npy", ReadOptions()))


@pytest.mark.parametrize("column", ["3", "0", "a"])
def test_no_such_column(column, read):
    with pytest.raises(ReadError, match=f"no column '{column}': it has 2 columns and no header"):
        read(saved(np.zeros((3, 2))), ReadOptions(columns=(column,)))
