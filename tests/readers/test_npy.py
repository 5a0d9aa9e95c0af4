"""NumPy's files: every real dtype, both orders, files and pipes, and nothing believed."""

import io
import subprocess
import sys

import numpy as np
import pytest
from files import piped
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, ReadOptions, arrays, file_source, open_blocks, read_source
from stablelse.readers.sources import Source

ml_dtypes = pytest.importorskip("ml_dtypes")

DTYPES = ["f2", "f4", "f8", np.longdouble, ">f2", ">f4", ">f8", "i1", "u8", ">i4", "?"]
SHAPES = [(), (1,), (50,), (7, 5), (1, 9), (9, 1)]


def saved(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def gathered(blocks):
    return np.concatenate([block.values for block in blocks])


@pytest.fixture(params=["file", "pipe"])
def read(request, tmp_path, monkeypatch):
    """Read bytes as a file of known size, or as a stream of unknown size."""

    monkeypatch.setattr(arrays, "BLOCK_BYTES", 64)
    monkeypatch.chdir(tmp_path)

    def read_bytes(data, options=ReadOptions()):  # noqa: B008  a tuple
        if request.param == "pipe":
            return list(read_source(file_source("x.npy", io.BytesIO(data)), options))
        (tmp_path / "x.npy").write_bytes(data)
        return list(open_blocks("x.npy", options))

    return read_bytes


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_good(dtype, shape, order, read):
    numbers = np.random.default_rng(3).integers(0, 2, shape)
    array = np.array(numbers, dtype=dtype, order=order)
    blocks = read(saved(array))
    width = shape[1] if len(shape) == 2 else 1
    values = gathered(blocks)
    assert np.array_equal(values, array.reshape(-1, width))
    is_floating = array.dtype.kind == "f"
    native = array.dtype.newbyteorder("=") if is_floating else np.dtype(np.float64)
    assert {block.values.dtype for block in blocks} == {native}
    lengths = [len(block.values) for block in blocks]
    assert [block.offset for block in blocks] == [sum(lengths[:i]) for i in range(len(lengths))]
    assert max(lengths) <= max(1, 64 // (width * array.dtype.itemsize))
    assert {(b.source, b.missing, b.columns) for b in blocks} == {("x.npy", None, None)}


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns(order, read):
    array = np.array(np.arange(60.0).reshape(20, 3), order=order)
    blocks = read(saved(array), ReadOptions(columns=("3", "1")))
    assert len(blocks) > 1
    assert np.array_equal(gathered(blocks), array[:, [2, 0]])


@given(st.data())
def test_any_axis_of_any_array(data):
    shape = data.draw(st.lists(st.sampled_from([1, 1, 2, 3, 7]), min_size=1, max_size=5))
    order = data.draw(st.sampled_from("CF"))
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    chosen = data.draw(st.sampled_from([(), ("1",)]))
    array = np.asarray(np.random.default_rng(1).normal(size=shape), order=order)
    size = data.draw(st.sampled_from([8, 64, 256, 1 << 20]))
    written = saved(array)
    is_file = data.draw(st.booleans())
    file = io.BytesIO(written)
    source = (
        Source("x.npy", file, len(written), origin=0) if is_file else file_source("x.npy", file)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "BLOCK_BYTES", size)
        blocks = list(read_source(source, ReadOptions(axis=axis, columns=chosen)))
    turned = np.moveaxis(array, -1 if axis is None else axis, -1)
    expected = array[:, np.newaxis] if array.ndim == 1 else turned.reshape(-1, turned.shape[-1])
    assert np.array_equal(gathered(blocks), expected[:, :1] if chosen else expected)
    offset = 0
    for block in blocks:
        assert block.offset == offset
        assert block.outer == (turned.shape[:-1] if array.ndim > 2 else ())
        offset += len(block.values)


@pytest.mark.parametrize(("order", "axis"), [("C", 0), ("C", 1), ("F", 2)])
def test_memory_does_not_grow_with_an_array_of_three_axes(order, axis, tmp_path, environment):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((24, 1 << 10, 1 << 8), order=order))
    code = (
        "import sys, resource\n"
        "from stablelse.readers import ReadOptions, open_blocks\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "blocks = open_blocks(sys.argv[1], ReadOptions(axis=int(sys.argv[2])))\n"
        "count = next(blocks).values.size\n"
        "before = peak()\n"
        "count += sum(b.values.size for b in blocks)\n"
        "print(count, peak() - before)"
    )
    command = [sys.executable, "-c", code, str(path), str(axis)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == 24 << 18
    assert grown * (1 if sys.platform == "darwin" else 1 << 10) < 24 << 20


@pytest.mark.parametrize(("axis", "last"), [(3, 2), (-4, 2)])
def test_no_such_axis(axis, last, read):
    with pytest.raises(ReadError) as error:
        read(saved(np.ones((2, 3, 4))), ReadOptions(axis=axis))
    assert str(error.value) == (
        f"x.npy has no axis {axis}: its shape is (2, 3, 4); choose from 0 to {last}"
    )


def test_what_concerns_text_alone_does_not_matter(read):
    options = ReadOptions(header=True, skip_na=True, delimiter=";", decimal=",")
    (block,) = read(saved(np.array([1, np.nan])), options)
    assert np.array_equal(block.values, [[1], [np.nan]], equal_nan=True)
    assert block.missing is None


def test_integers_become_what_text_would(read):
    (block,) = read(saved(np.array([2**63 - 1])), ReadOptions(dtype="longdouble"))
    assert block.values.dtype == np.longdouble
    assert int(block.values[0, 0]) == 2**63 - 1


def header(shape, descr="'<f8'", version=1, more="") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {more}}}".ljust(117)
    return raw_header(text + "\n", version)


def raw_header(text, version=1) -> bytes:
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode("latin-1")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions(version, read):
    data = header("(2,)", version=version) + np.arange(2.0).tobytes()
    assert gathered(read(data)).tolist() == [[0], [1]]


def test_a_header_that_python_2_wrote(read):
    data = header("(2L,)") + np.arange(2.0).tobytes()
    assert gathered(read(data)).tolist() == [[0], [1]]


AGAIN = "; copy or save it again"
DAMAGED = "x.npy is a damaged .npy file: "
NOT_NUMPY = f"{DAMAGED}its header is not one that NumPy writes{AGAIN}"
PROMISE = "x.npy is truncated: its header promises"
FLOAT32 = "raw bytes, as which numpy.save writes ml_dtypes' bfloat16 and float8"

BAD = {
    "truncated": (
        saved(np.arange(9.0))[:-1],
        f"{PROMISE} 72 bytes for the shape (9,) of float64, and 71 follow{AGAIN}",
    ),
    "truncated in Fortran order": (
        saved(np.asfortranarray(np.ones((3, 4))))[:-1],
        f"{PROMISE} 96 bytes for the shape (3, 4) of float64, and 95 follow{AGAIN}",
    ),
    "no data": (
        header("(10,)"),
        f"{PROMISE} 80 bytes for the shape (10,) of float64, and 0 follow{AGAIN}",
    ),
    "a claim too large": (
        header("(1000000000000,)"),
        f"{PROMISE} 8,000,000,000,000 bytes for the shape (1000000000000,) of float64, "
        f"and 0 follow{AGAIN}",
    ),
    "a wide claim": (
        header("(1, 1000000000000)") + bytes(8),
        f"{PROMISE} 8,000,000,000,000 bytes for the shape (1, 1000000000000) of float64, "
        f"and 8 follow{AGAIN}",
    ),
    "a claim beyond 64 bits": (
        header(f"({10**30},)"),
        f"{PROMISE} {8 * 10**30:,} bytes for the shape ({10**30},) of float64, and 0 follow{AGAIN}",
    ),
    "truncated header": (
        saved(np.arange(9.0))[:30],
        f"x.npy is truncated within its header{AGAIN}",
    ),
    "truncated magic": (b"\x93NUMPY", f"{DAMAGED}its version is not one that NumPy writes{AGAIN}"),
    "truncated length": (b"\x93NUMPY\x01\x00\x05", f"x.npy is truncated within its header{AGAIN}"),
    "another version": (
        b"\x93NUMPY\x09\x00" + bytes(100),
        f"{DAMAGED}its version is not one that NumPy writes{AGAIN}",
    ),
    "a header of gigabytes": (
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100),
        f"{DAMAGED}its header claims 4,294,967,295 bytes{AGAIN}",
    ),
    "nonsense": (raw_header("abc\n"), NOT_NUMPY),
    "open braces": (raw_header("{" * 500), NOT_NUMPY),
    "deep nesting": (raw_header("(" * 4900 + ")" * 4900), NOT_NUMPY),
    "code": (header("__import__('os').getpid()"), NOT_NUMPY),
    "no dtype": (header("(1,)", "'zz'"), NOT_NUMPY),
    "more keys": (header("(1,)", more="'x': 1"), NOT_NUMPY),
    "negative shape": (header("(-1,)"), f"{DAMAGED}its header claims the shape (-1,){AGAIN}"),
    "objects": (
        header("(1,)", "'|O'"),
        "x.npy holds Python objects, which could run any code (object), not real numbers; "
        "save x.astype(float)",
    ),
    "records": (
        saved(np.zeros(2, "f8,i4")),
        "x.npy holds records ([('f0', '<f8'), ('f1', '<i4')]), not real numbers; "
        "save one field, x['name']",
    ),
    "bfloat16": (
        saved(np.zeros(2, ml_dtypes.bfloat16)),
        f"x.npy holds {FLOAT32} (|V2), not real numbers; save x.astype(numpy.float32)",
    ),
    "float8": (
        saved(np.zeros(2, ml_dtypes.float8_e4m3fn)),
        f"x.npy holds {FLOAT32} (|V1), not real numbers; save x.astype(numpy.float32)",
    ),
    "complex": (
        saved(np.zeros(2, complex)),
        "x.npy holds complex numbers (complex128), not real numbers; save x.real, or abs(x)",
    ),
    "text": (
        saved(np.array(["a"])),
        "x.npy holds strings (<U1), not real numbers; save x.astype(float)",
    ),
    "dates": (
        saved(np.zeros(2, "M8[s]")),
        "x.npy holds dates (datetime64[s]), not real numbers; save them as numbers",
    ),
    "five axes, one of nothing": (
        saved(np.zeros((2, 3, 0, 4, 5))),
        "x.npy is empty: its array has the shape (2, 3, 0, 4, 5)",
    ),
    "three axes, truncated": (
        saved(np.zeros((2, 3, 4)))[:-1],
        "x.npy is truncated: its header promises 192 bytes for the shape (2, 3, 4) of float64, and "
        "191 follow; copy or save it again",
    ),
    "empty": (saved(np.zeros((0, 4))), "x.npy is empty: its array has the shape (0, 4)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name, read):
    data, message = BAD[name]
    with pytest.raises(ReadError) as error:
        read(data)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("3", "x.npy has no column '3'; it has 2 columns"),
        ("0", "x.npy has no column '0'; it has 2 columns"),
        (
            "a",
            "x.npy has no column 'a', because it has no header; give the column's number, from 1 "
            "to 2",
        ),
    ],
)
def test_no_such_column(column, message, read):
    with pytest.raises(ReadError) as error:
        read(saved(np.zeros((3, 2))), ReadOptions(columns=(column,)))
    assert str(error.value) == message


@given(st.binary(max_size=100), st.integers(0, 120))
def test_any_damage_gives_numbers_or_one_line(noise, place):
    data = saved(np.arange(6.0).reshape(2, 3))
    damaged = data[: 6 + place] + noise + data[6 + place + len(noise) :]
    said = ""
    try:
        piped(damaged, "x.npy")
    except ReadError as error:
        said = str(error)
    assert said == "" or (said.startswith("x.npy") and said.isprintable())


def test_a_truncated_file_gives_nothing(tmp_path):
    """Its size tells before anything is read."""
    path = tmp_path / "x.npy"
    path.write_bytes(saved(np.arange(1000.0))[:-1])
    with pytest.raises(ReadError, match="truncated"):
        next(open_blocks(str(path)))


def test_a_disk_too_full_for_a_pipe(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    data = saved(np.asfortranarray(np.ones((1 << 10, 1 << 10))))
    with pytest.raises(ReadError, match=r"cannot keep x\.npy in a temporary file: No space left"):
        piped(data, "x.npy")


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_does_not_grow_with_the_file(order, tmp_path, environment):
    """The largest resident size of a process that reads 96 MiB, pages of maps included."""
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3 << 18, 16), order=order))
    code = (
        "import sys, resource\n"
        "from stablelse.readers import open_blocks\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "blocks = open_blocks(sys.argv[1])\n"
        "next(blocks)\n"
        "before = peak()\n"
        "assert sum(b.values.sum() for b in blocks) > 0\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    kibibytes = 1 if sys.platform == "linux" else 1 << 10  # macOS counts in bytes
    assert int(done.stdout) < (32 << 10) * kibibytes
