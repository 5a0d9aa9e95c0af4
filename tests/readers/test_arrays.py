"""Stored arrays: every real dtype, every axis, files and pipes, .npy, .npz and .safetensors."""

import gzip
import io
from functools import partial

import numpy as np
import pytest
from files import (
    TENSOR_DTYPES,
    archive,
    complaint,
    gathered,
    npy_header,
    npz,
    piped,
    saved,
    tensors,
)
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import open_blocks, open_files, read_source
from stablelse.readers.blocks import Gauge, ReadError, ReadOptions
from stablelse.readers.sources import Source, file_source

ml_dtypes = pytest.importorskip("ml_dtypes")

#: How to write an array as "x", together with others if the format allows several.
WRITERS = {
    ".npy": saved,
    ".npz": lambda x: npz(labels=np.arange(3), x=x),
    ".npz, deflated": lambda x: npz(np.savez_compressed, labels=np.arange(3), x=x),
    ".safetensors": lambda x: tensors(before=np.ones(3), x=np.ascontiguousarray(x), behind=x[:1]),
}
DTYPES = ["f2", "f4", "f8", np.longdouble, ">f2", ">f4", ">f8", "i1", "u8", ">i4", "?"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (50,), (7, 5), (1, 9), (9, 1)])
def test_npy(dtype, shape, order, place, monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 64)
    array = np.array(np.random.default_rng(3).integers(0, 2, shape), dtype=dtype, order=order)
    blocks = list(open_blocks(str(place(saved(array)))))
    width = shape[1] if len(shape) == 2 else 1
    assert np.array_equal(np.concatenate([b.values for b in blocks]), array.reshape(-1, width))
    native = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.float64)
    assert {block.values.dtype for block in blocks} == {native}
    lengths = [len(block.values) for block in blocks]
    assert [block.offset for block in blocks] == [sum(lengths[:i]) for i in range(len(lengths))]
    assert max(lengths) <= max(1, 128 // (width * array.dtype.itemsize))
    assert {(b.missing, b.columns) for b in blocks} == {(None, None)}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("block_bytes", [64, 1 << 22])
def test_every_format(kind, order, block_bytes, place, monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", block_bytes)
    array = np.random.default_rng(2).normal(size=(500, 7)).astype(np.float16, order=order)
    path = place(WRITERS[kind](array))
    key = None if kind == ".npy" else "x"
    values = gathered(path, key=key)
    assert values.dtype == np.float16
    assert np.array_equal(values, array)
    path = place(WRITERS[kind](array))
    assert np.array_equal(gathered(path, key=key, columns=("3", "1")), array[:, [2, 0]])


@given(st.data())
def test_any_axis_of_any_array(data):
    shape = data.draw(st.lists(st.sampled_from([1, 1, 2, 3, 7]), min_size=1, max_size=5))
    order = data.draw(st.sampled_from("CF"))
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    chosen = data.draw(st.sampled_from([(), ("1",)]))
    array = np.asarray(np.random.default_rng(1).normal(size=shape), order=order)
    size = data.draw(st.sampled_from([8, 64, 256, 1 << 20]))
    written = saved(array)
    file = io.BytesIO(written)
    source = file_source("x.npy", file)
    if data.draw(st.booleans()):
        source = Source("x.npy", file, len(written), origin=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stablelse.readers.blocks.BLOCK_BYTES", size)
        options = ReadOptions(axis=axis, columns=chosen)
        blocks = list(read_source(source, options))
        pieces = list(piped(written, **options._replace(in_pieces=True)._asdict()))
    turned = np.moveaxis(array, -1 if axis is None else axis, -1)
    expected = array[:, np.newaxis] if array.ndim == 1 else turned.reshape(-1, turned.shape[-1])
    values = np.concatenate([block.values for block in blocks])
    assert np.array_equal(values, expected[:, :1] if chosen else expected)
    offset = 0
    for block in blocks:
        assert block.offset == offset
        assert block.outer == (turned.shape[:-1] if array.ndim > 2 else ())
        assert block.length is None
        offset += len(block.values)
    assert np.array_equal(
        np.concatenate([p.values.reshape(-1) for p in pieces]), values.reshape(-1)
    )
    place = 0, 0
    # In Fortran order, rows over several axes are stored in another order.
    is_held = order == "F" and sum(length > 1 for length in turned.shape[:-1]) > 1
    for piece in pieces:
        height, width = piece.values.shape
        assert (piece.offset, piece.begin) == place
        assert is_held or piece.values.nbytes <= max(16, 2 * size)
        ends = piece.length is None or piece.begin + width == piece.length
        place = (piece.offset + height, 0) if ends else (piece.offset, piece.begin + width)


@pytest.mark.parametrize("name", TENSOR_DTYPES)
def test_tensors(name, place):
    """All numbers of 8-bit and 16-bit formats, and some of the others."""
    dtype = np.dtype(TENSOR_DTYPES[name])
    if dtype.itemsize < 4 and dtype != np.bool_:
        codes = np.arange(256**dtype.itemsize, dtype=f"u{dtype.itemsize}")
        array = codes.view(dtype).reshape(-1, 4)
    else:
        array = np.random.default_rng(5).integers(0, 2, (64, 4)).astype(dtype)
    values = gathered(place(WRITERS[".safetensors"](array)), key="x")
    assert values.dtype.kind == "f"
    with np.errstate(invalid="ignore"):  # some NaN are signalling
        expected = array.astype(np.float64)
    assert np.array_equal(values, expected, equal_nan=True)
    assert np.array_equal(np.signbit(values[values == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 6), (6, 1), (2, 3, 4)])
def test_shapes_of_tensors(shape, place):
    array = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    width = shape[-1] if len(shape) >= 2 else 1
    assert np.array_equal(gathered(place(tensors(x=array))), array.reshape(-1, width))


def test_the_format_is_what_its_package_writes(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    array = np.random.default_rng(6).normal(size=(100, 9)).astype(ml_dtypes.bfloat16)
    library.save_file({"a": np.ones(3), "x": array}, tmp_path / "x", {"note": "any"})
    assert np.array_equal(gathered(tmp_path / "x", key="x"), array.astype(np.float32))


@pytest.mark.parametrize("write", [partial(npz, np.savez), tensors])
def test_one_array_needs_no_key_and_blocks_name_it(write):
    (block,) = piped(write(a=np.arange(2.0)))
    assert (block.source, block.values.tolist()) == ("x['a']", [[0], [1]])


@pytest.mark.parametrize("write", [saved, lambda x: tensors(x=x)])
def test_integers_become_what_text_would(write):
    (block,) = piped(write(np.array([2**64 - 1], np.uint64)), dtype="longdouble")
    assert block.values.dtype == np.longdouble
    assert int(block.values[0, 0]) == 2**64 - 1


def test_nan_is_a_number_where_missing_cells_are_left_out():
    (block,) = piped(saved(np.array([1, np.nan])), skip_na=True)
    assert np.array_equal(block.values, [[1], [np.nan]], equal_nan=True)
    assert block.missing is None


def test_what_is_no_array_does_not_count():
    (block,) = piped(archive([("notes.txt", b"1"), ("x.npy", saved(np.arange(3.0)))]))
    assert block.values.tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("shape", ["(2,)", "(2L,)"], ids=["now", "Python 2"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions(version, shape):
    (block,) = piped(npy_header(shape, version=version) + np.arange(2.0).tobytes())
    assert block.values.tolist() == [[0], [1]]


def test_a_truncated_file_gives_nothing(written):
    """Its size shows that before anything is read."""
    with pytest.raises(ReadError, match="truncated"):
        next(open_blocks(str(written(saved(np.arange(1000.0))[:-1]))))


def test_a_file_that_is_cut_while_it_is_read(written, monkeypatch):
    """Its rows lie across the file: if it were mapped, the missing part would kill the process."""
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 1 << 16)
    path = written(saved(np.ones((1 << 10, 1 << 6), order="F")))
    blocks = open_blocks(str(path))
    next(blocks)
    path.write_bytes(b"")
    with pytest.raises(ReadError, match="x is truncated: its header promises"):
        list(blocks)


def test_rows_in_another_order_are_held(written, monkeypatch):
    """If they are packed, their size is bounded."""
    monkeypatch.setattr("stablelse.readers.arrays.HELD_BYTES", 1 << 10)
    x = np.asfortranarray(np.arange(600.0).reshape(5, 6, 20))
    assert np.array_equal(gathered(written(saved(x))), x.reshape(30, 20))
    for data in (gzip.compress(saved(x)), npz(x=x)):
        said = complaint(written(data))
        assert "has an array in Fortran order of 0 MiB, which must be held in memory" in said
        assert said.endswith("; save numpy.ascontiguousarray(x)")


def test_a_disk_too_full_for_a_pipe(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("stablelse.readers.sources.TemporaryFile", Full)
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 8)
    with pytest.raises(ReadError, match=r"cannot keep x in a temporary file: No space left"):
        piped(saved(np.asfortranarray(np.ones((2, 2)))))


def test_a_real_file_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.ones(3)}, tmp_path / "x.pt")
    assert complaint(tmp_path / "x.pt").startswith("x is a PyTorch file (.pt), a pickle, ")


@pytest.mark.parametrize("axis", [0, 1])
def test_the_gauge_counts_every_byte_once(tmp_path, axis):
    """Numbers far apart are read more than once, but the progress must not exceed the file."""
    np.save(tmp_path / "x.npy", np.zeros((20_000, 100)))
    gauge = Gauge()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 1 << 18)
        for _ in open_files([str(tmp_path / "x.npy")], ReadOptions(axis=axis, gauge=gauge)):
            pass
    assert 16_000_000 <= gauge.count <= 16_000_128
