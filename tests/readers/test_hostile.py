"""Files that claim far more than they hold: one short line, exit code 2, and bounded memory."""

import gzip
import io
import json
import re
import zipfile

import numpy as np
import pytest
from files import complaint, ipc_file, npy_header, npz, parquet_file, piped, saved

from stablelse.readers.blocks import ReadError

#: Most memory of the command for any of these files, with the interpreter and pyarrow.
MOST = 300 << 20

ZEROS = bytes(1 << 20)


def packed(codec, header, size):
    """Return a header and zeros, compressed."""
    pa = pytest.importorskip("pyarrow")
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, codec) as stream:
        stream.write(header)
        for _ in range(size >> 20):
            stream.write(ZEROS)
    return target.getvalue().to_pybytes()


def zipped(header, size):
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as files,
        files.open("x.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(header)
        for _ in range(size >> 20):
            entry.write(ZEROS)
    return target.getvalue()


def table(**columns):
    return pytest.importorskip("pyarrow").table(columns)


def lying_page(field, value, **options):
    """Return a Parquet file whose first page claims another size."""
    data = parquet_file(table(a=np.arange(1000.0) % 7), compression="zstd", **options)
    at, header = 4, b""
    for number in (1, 2, 3):  # each field: its type, and an integer of 7 bits per byte
        end = at + 1
        while data[end] & 128:
            end += 1
        header += data[at : at + 1] + (
            varint(2 * value) if number == field else data[at + 1 : end + 1]
        )
        at = end + 1
    return data[:4] + header + data[at:]


def varint(value):
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def footer(claim):
    """Return a Parquet file whose only row group claims this many columns."""
    data = b"\x15\x02\x19\x0c\x16\x00\x19\x1c\x19\xfc" + varint(claim)
    return b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1"


def lying_buffer():
    """Return an Arrow stream with a compressed buffer that claims two gigabytes."""
    data = ipc_file(table(a=np.zeros(100_000)), "new_stream", compression="zstd")
    return data.replace(
        (800_000).to_bytes(8, "little") + b"\x28", (1 << 31).to_bytes(8, "little") + b"\x28"
    )


def lists(**options):
    """Return one list of twenty million zeros."""
    pa = pytest.importorskip("pyarrow")
    count = 20_000_000
    return table(a=pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), np.zeros(count)))


def fixed_nulls():
    pa = pytest.importorskip("pyarrow")
    return ipc_file(table(a=pa.FixedSizeListArray.from_arrays(pa.nulls(1 << 28), 1 << 28)))


def row(cell, size=30 << 20):
    return cell * (size // len(cell)) + b"1\n"


#: A line may have this many cells.
MOST_CELLS = (1 << 20) - 1

#: How to make a file, and how the error about it begins; None if its numbers are read.
HOSTILE = {
    "a row of zeros in .npy.zst": (lambda: packed("zstd", npy_header("(1, 268435456)"), 1 << 31),
        None),
    "a row of zeros in .npz": (lambda: zipped(npy_header("(1, 33554432)"), 1 << 28), None),
    "scattered zeros in .npy.zst": (lambda: packed("zstd",
        npy_header("(4096, 4096)", is_fortran=True), 1 << 27), None),
    "a page that claims to unpack": (lambda: lying_page(2, 2**31 - 65), "x has pages of 2,047 MiB"),
    "a page that claims to be packed": (lambda: lying_page(3, 2**31 - 65, use_dictionary=False),
        "x has pages of 2,047 MiB"),
    "a footer that claims columns": (lambda: footer(999_999), "x is damaged ("),
    "a list of zeros in Parquet": (lambda: parquet_file(lists()), "x has long lists of "),
    "a list of zeros in Arrow": (lambda: ipc_file(lists(), compression="zstd"),
        "x has a compressed batch of 152 MiB, which must be held in memory at once; "),
    "a buffer that claims to unpack": (lying_buffer, "x has a compressed batch of 2,048 MiB"),
    "lists of nulls": (fixed_nulls, "x has a list of 2,048 MiB, which must be held in memory at "),
    "a line of cells": (lambda: b"10," * MOST_CELLS + b"1", None),
    "two lines of cells": (lambda: (b"10," * MOST_CELLS + b"1\n") * 2, None),
    "a line of minus signs": (lambda: "−1.000,".encode() * 900_000 + b"1", None),
    "a line of blanks": (lambda: row(b" ", 7 << 20),
        "x, line 1 has more than 1,048,576 delimiters; "),
    "a line of names": (lambda: b"ab," * MOST_CELLS + b"c", "x has a header ("),
    "a line of delimiters": (lambda: row(b",", 7 << 20),
        "x, line 1 has more than 1,048,576 delimiters; "),
    "a line of quoted cells": (lambda: row(b'"0",', 7 << 20),
        "x, line 1 has more than 1,048,576 delimiters; "),
    "a line of megabytes": (lambda: row(b"1.0,"), "x, line 1 is longer than 8 MiB; "),
    "an array of infinities in JSON": (lambda: b"[" + b"1e999," * 1_999_999 + b"1]",
        "x, line 1, row 1, number 1: 1e999 overflowed to inf while it was read"),
    "an array in JSON": (lambda: b"[" + row(b"0,")[:-1] + b"]", "x, line 1: the value that begins"),
    "arrays in JSON": (lambda: b'{"a": [' + row(b"[],")[:-2] + b"[]]}",
        "x, line 1: the value that"),
    "a string in JSON": (lambda: b'["' + row(b"1")[:-1] + b'"]',
        "x, line 1, row 1, number 1: '111"),
    "nesting in JSON": (lambda: b"[" * 10**7, "x, line 1 is nested too deeply"),
    "keys in JSON": (lambda: json.dumps(dict.fromkeys(map(str, range(1_100_000)), 0)).encode(),
        "x, line 1: the value that begins here has more than 2,000,000 items, or "),
    "the magic of bzip2": (lambda: b"XXXX1AY&SY" + bytes(5000), "x is bzip2 data that cannot be"),
    "empty lists": (lambda: parquet_file(table(a=[np.zeros(0)] * 2)),
        "x, row 1, column 1 ('a') is empty; "),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_is_bounded(name, written, measured):
    make, expected = HOSTILE[name]
    path = written(make())
    code, out, err, peak = measured("lse", "--quiet", "--file", path)
    assert peak < MOST
    if expected is None:
        assert (code, err) == (0, "")
        return
    assert (code, out) == (2, "")
    line = err.replace(str(path), "x").removesuffix("\n")
    assert line.startswith(f"stablelse: error: {expected}")
    assert line.isprintable()
    assert len(err) <= 500


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.startswith("a row of zeros")])
def test_a_row_is_not_held_if_the_file_is_far_too_small(name, written):
    """What reads long rows in pieces does so; all else would hold them."""
    data = HOSTILE[name][0]()
    message = complaint(written(data))
    assert re.match(r"x(\['x'\])? has a row of [\d,]+ MiB, which must be held in memory", message)
    assert message.endswith("; unpack it first")


def test_a_long_row_is_held_if_the_file_is_as_long(monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.HELD_BYTES", 1 << 10)
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 1 << 10)
    row = np.random.default_rng(5).normal(size=(1, 1000))
    for data in (saved(row), gzip.compress(saved(row)), npz(np.savez_compressed, x=row)):
        (block,) = piped(data)
        assert np.array_equal(block.values, row)


def test_temporary_files_are_bounded(written, piped_in, monkeypatch):
    monkeypatch.setattr("stablelse.readers.sources._SPOOLED_BYTES", 1 << 20)
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 1 << 10)
    rows = np.asfortranarray(np.ones((1000, 200)))
    for path in (written(gzip.compress(saved(rows))), piped_in(npz(x=rows))):
        assert complaint(path) == (
            "x would take more than 1 MiB in a temporary file; save it unpacked, and name the file "
            "with --file"
        )


NUMBERS = ", ".join(map(str, range(50_000)))


@pytest.mark.parametrize("text", ["[%s]", '{"a": [%s]}', '{"b": [[%s]], "c": "d"}'])
def test_many_items_in_json(text, monkeypatch):
    data = (text % NUMBERS).encode()
    (block,) = piped(data)
    assert block.values.tolist() == [list(range(50_000))]
    monkeypatch.setattr("stablelse.readers.text.PIECE_BYTES", 1 << 12)
    monkeypatch.setattr("stablelse.readers.json._MOST_ITEMS", 10_000)
    with pytest.raises(
        ReadError, match="more than 10,000 items, or 64 MiB; write each vector as an array on"
    ):
        piped(data)


@pytest.mark.parametrize("most", [10_000, 1 << 20])
def test_many_values_in_json(most, monkeypatch):
    """Their number is not bounded, and one may be far longer than the one before."""
    monkeypatch.setattr("stablelse.readers.json._MOST_ITEMS", most)
    monkeypatch.setattr("stablelse.readers.text.PIECE_BYTES", 1 << 12)
    rows = [[n] * (n % 2000 + 1) for n in range(1, 20_000, 401)] * 5
    blocks = piped(json.dumps(rows).encode())
    assert [row for block in blocks for row in block.values.tolist()] == rows
