"""The peak memory of a reading process, including pages of maps, is bounded for any input."""

import bz2
import gzip
import io
import json
import lzma
import re
import sys
import zipfile
from functools import partial

import numpy as np
import pytest
from files import npy_header, saved

#: Bytes to read, and how much memory that may take beyond that after one block.
LARGE = 96 << 20
BOUND = 32 << 20

CODE = """
import itertools, json, os, resource, sys
from stablelse.readers import open_blocks
from stablelse.readers.blocks import ReadError, ReadOptions
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
blocks = open_blocks(sys.argv[1], ReadOptions(**json.loads(sys.argv[2])))
before = peak()
try:
    total = sum(b.values.sum() for b in itertools.islice(blocks, int(sys.argv[3])))
    before = peak()
    if spare := int(sys.argv[4]):
        pages = int(open("/proc/self/statm").read().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + spare
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    total += sum(b.values.sum() for b in blocks)
except ReadError as error:
    total = error
print(total, peak() - before, sep="|")
"""


def npy(path, shape, order="C"):
    path.write_bytes(saved(np.ones(shape, order=order)))
    return LARGE // 8


def lines(path):
    """Write JSON lines of a thousand numbers each."""
    with open(path, "w") as file:
        for _ in range(2000):
            file.write(f'{{"id": 1, "x": [{"1.0000000000000000, " * 999} 1]}}\n')
    return 2_000_000


def npz(path, compression):
    array = io.BytesIO()
    np.save(array, np.ones(LARGE // 8))
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        archive.writestr("x.npy", array.getbuffer())
    return LARGE // 8


def safetensors(path):
    array = np.ones(LARGE // 4, np.float32)
    header = b'{"x":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (LARGE // 4, LARGE)
    path.write_bytes(len(header).to_bytes(8, "little") + header + array.tobytes())
    return LARGE // 4


def table():
    return pytest.importorskip("pyarrow").table({"x": np.ones(LARGE // 8)})


def parquet(path):
    """Write one group of rows, so that only pages bound the memory."""
    written = table()
    from pyarrow import parquet as format

    options = {"row_group_size": LARGE, "use_dictionary": False, "compression": "none"}
    format.write_table(written, path, **options)
    return LARGE // 8


def arrow(path):
    """Write two batches: one is held at a time."""
    written = table()
    from pyarrow import ipc

    with ipc.new_file(path, written.schema) as writer:
        writer.write_table(written, max_chunksize=LARGE // 16)
    return LARGE // 8


def bomb(compress, path):
    """Write text a hundred times as long as the file, one stream after another."""
    lines = (b"1." + b"0" * 60_000 + b"\n") * 200
    path.write_bytes(compress(lines) * (LARGE // len(lines)))
    return LARGE // len(lines) * 200


TALL, DEEP = (LARGE >> 7, 16), (48, 1 << 10, 1 << 8)

#: How to write a file, and how to read it.
FORMATS = {
    "npy": (partial(npy, shape=TALL), {}),
    "npy, Fortran": (partial(npy, shape=TALL, order="F"), {}),
    "npy, first axis": (partial(npy, shape=DEEP), {"axis": 0}),
    "npy, middle axis": (partial(npy, shape=DEEP), {"axis": 1}),
    "npy, last axis, Fortran": (partial(npy, shape=DEEP, order="F"), {"axis": 2}),
    "npz": (partial(npz, compression=zipfile.ZIP_STORED), {}),
    "npz, deflated": (partial(npz, compression=zipfile.ZIP_DEFLATED), {}),
    "safetensors": (safetensors, {}),
    "Parquet": (parquet, {}),
    "Arrow": (arrow, {}),
    "JSON": (lines, {"key": "x"}),
    "gzip": (partial(bomb, gzip.compress), {}),
    "bzip2": (partial(bomb, bz2.compress), {}),
    "xz": (partial(bomb, lzma.compress), {}),
}


@pytest.fixture
def read(tmp_path, python):
    """Return what is read of x, or the error, and how much the memory grows after first blocks."""

    def run(options=None, first=3, spare=0):
        arguments = tmp_path / "x", json.dumps(options or {}), first, spare
        total, grown = python("-c", CODE, *arguments, check=True).stdout.split("|")
        return total, int(grown) * (1 if sys.platform == "darwin" else 1 << 10)  # bytes on macOS

    return run


@pytest.mark.parametrize("name", FORMATS)
def test_it_does_not_grow_with_the_input(name, tmp_path, read):
    write, options = FORMATS[name]
    numbers = write(tmp_path / "x")
    total, grown = read(options)
    assert float(total) == numbers
    assert grown < BOUND


def test_a_line_without_end(tmp_path, read):
    """A line may have 8 MiB, and is held twice when its buffer grows."""
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b"1") + gzip.compress(b" " * (1 << 22)) * (LARGE >> 22))
    total, grown = read()
    assert total.startswith(f"{path}, line 1 is longer than 8 MiB; put fewer numbers on a line")
    assert grown < 3 * BOUND


#: Headers of half a gigabyte of numbers.
HUGE = {
    "a row": npy_header(f"(1, {1 << 26})"),
    "a row of pairs": npy_header(f"(1, {1 << 25}, 2)"),
    "a column": npy_header(f"({1 << 26},)"),
    "Fortran": npy_header(f"({1 << 22}, 16)", is_fortran=True),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_small_file_takes_at_most_300_mib(name, tmp_path, read):
    """Whatever it unpacks to: this is what .github/SECURITY.md promises."""
    (tmp_path / "x").write_bytes(lzma.compress(HUGE[name]) + lzma.compress(bytes(1 << 24)) * 32)
    said, grown = read({"in_pieces": True}, first=0)
    assert said == "0.0" or str(tmp_path / "x") in said
    assert grown < 300 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory is reserved")
@pytest.mark.parametrize(
    ("write", "first", "expected"),
    [
        (partial(npy, shape=DEEP, order="F"), 0, r"x has an array in Fortran order of 96 MiB, .*"),
        (arrow, 1, r"out of memory while reading x; write it with smaller batches .*"),
    ],
)
def test_too_little_memory_is_not_taken_for_damage(write, first, expected, tmp_path, read):
    write(tmp_path / "x")
    said, _ = read(first=first, spare=16 << 20)
    assert re.fullmatch(expected, said.replace(str(tmp_path / "x"), "x"))
