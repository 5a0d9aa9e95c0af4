"""Archives of arrays: stored and deflated, files and pipes, and nothing of theirs believed."""

import io
import sys
import zipfile

import numpy as np
import pytest
from files import complaint, gathered, piped
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, open_blocks

LOGITS = np.random.default_rng(2).normal(size=(5_000, 7)).astype(np.float16)


def archive(entries, compression=zipfile.ZIP_STORED):
    """Return a zip archive of names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, data in entries.items():
            target.writestr(name, data)
    return buffer.getvalue()


def npz(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.fixture
def written(tmp_path):
    def write(data):
        path = tmp_path / "x"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_good(save, order, is_pipe, written, monkeypatch):
    data = npz(save, labels=np.arange(3), logits=np.array(LOGITS, order=order))
    path = written(data)
    if is_pipe:
        path = "-"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    values = gathered(path, key="logits")
    assert values.dtype == np.float16
    assert np.array_equal(values, LOGITS)


def test_blocks_name_the_array(written):
    path = written(npz(logits=LOGITS))
    assert {block.source for block in open_blocks(str(path))} == {f"{path}['logits']"}


def test_one_array_needs_no_key(written):
    assert np.array_equal(gathered(written(npz(x=LOGITS))), LOGITS)


def test_columns(written):
    path = written(npz(x=LOGITS, y=LOGITS))
    assert np.array_equal(gathered(path, key="x", columns=("3", "1")), LOGITS[:, [2, 0]])


def test_what_is_no_array_does_not_count(written):
    path = written(archive({"notes.txt": b"1", "x.npy": npy(np.arange(3.0))}))
    assert gathered(path).tolist() == [[0], [1], [2]]


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def with_entry(data, offset, value):
    """Change two bytes of the first entry in the table of contents (APPNOTE.TXT, 4.3.12)."""
    place = data.index(b"PK\x01\x02") + offset
    return data[:place] + value.to_bytes(2, "little") + data[place + 2 :]


def huge(shape):
    text = f"{{'descr': '<f8', 'fortran_order': True, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


ONE = npz(x=np.arange(1000.0))
DAMAGED = "x is damaged ("
AGAIN = "); copy or save it again"
BAD = {
    "several": (npz(a=LOGITS, b=LOGITS), "x has 2 arrays: 'a', 'b'; choose one with --key"),
    "many": (
        npz(**{f"layer{i}": LOGITS[:1] for i in range(20)}),
        "x has 20 arrays: 'layer0', 'layer1', 'layer2', 'layer3', 'layer4', 'layer5', 'layer6', "
        "'layer7' and 12 more; choose one with --key",
    ),
    "none": (npz(), "x is empty: it holds no array"),
    "an empty array": (npz(x=np.zeros(0)), "x['x'] is empty: its array has the shape (0,)"),
    "truncated": (ONE[:-9], f"{DAMAGED}File is not a zip file{AGAIN}"),
    "a flipped bit": (
        flipped(ONE, 1000),
        "x['x'] is damaged (Bad CRC-32 for file 'x.npy'); copy or save it again",
    ),
    "another method": (
        archive({"x.npy": npy(np.arange(3.0))}, zipfile.ZIP_BZIP2),
        "x['x'] is compressed or encrypted as NumPy never does; save it again",
    ),
    "encrypted": (
        with_entry(ONE, 8, 1),
        "x['x'] is compressed or encrypted as NumPy never does; save it again",
    ),
    "no .npy in it": (
        archive({"x.npy": b"1,2\n"}),
        "x['x'] is not a .npy file, though its name says so; save it again",
    ),
    "objects": (
        archive({"x.npy": npy(np.array([1, "a"], object), allow_pickle=True)}),
        "x['x'] holds Python objects, which could run any code (object), not real numbers; "
        "save x.astype(float)",
    ),
    "a claim too large": (
        archive({"x.npy": huge((10**6, 10**6))}, zipfile.ZIP_DEFLATED),
        "x['x'] is truncated: its header promises 8,000,000,000,000 bytes for the shape "
        "(1000000, 1000000) of float64, and 0 follow; copy or save it again",
    ),
    "PyTorch": (
        archive({"model/data.pkl": b"\x80\x02.", "model/data/0": bytes(8)}),
        "x is a PyTorch file (.pt), a pickle, which could run any code; if you trust it, load "
        "it in Python, and save it with safetensors.torch.save_file",
    ),
    "Excel": (
        archive({"xl/workbook.xml": b"<workbook/>"}),
        "x is an Excel file; save the sheet as CSV",
    ),
    "any archive": (
        archive({"x.csv": b"1\n"}),
        "x is a zip archive without arrays; unpack it, or save a .npz",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name, written):
    data, message = BAD[name]
    assert complaint(written(data)) == message


def test_no_such_key(written):
    assert complaint(written(npz(a=LOGITS, b=LOGITS)), key="c") == (
        "x has no array 'c'; it has 'a', 'b'"
    )


def test_a_table_of_contents_too_long(written):
    """Sixty bytes an entry in the file become a thousand in memory."""
    names = archive({f"{i:0200}": b"" for i in range(20_000)})
    assert complaint(written(names)) == (
        "x has a part of more than 4 MiB, which must be read at once; if it is not damaged, "
        "save it in smaller parts"
    )


def test_a_real_file_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.ones(3)}, tmp_path / "x.pt")
    assert complaint(tmp_path / "x.pt").startswith("x is a PyTorch file (.pt), a pickle, ")


@given(st.binary(min_size=1, max_size=30), st.integers(0, len(ONE)))
def test_any_damage_gives_numbers_or_one_line(noise, place):
    data = ONE[: 4 + place] + noise + ONE[4 + place + len(noise) :]
    said = ""
    try:
        piped(data)
    except ReadError as error:
        said = str(error)
    assert said == "" or (said.startswith("x") and said.isprintable() and len(said) < 400)
