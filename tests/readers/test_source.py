"""Files, standard input, compressed data: recognized by their content, errors in one line."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from files import complaint, gathered, saved

from stablelse.readers import open_blocks
from stablelse.readers.blocks import ReadError, ReadOptions
from stablelse.readers.sources import file_source


@pytest.mark.parametrize("data", [b"1\n2\n3\n", saved(np.array([1.0, 2, 3]))], ids=["text", "npy"])
@pytest.mark.parametrize("name", ["x.csv", "x.npy", "x"])
def test_content_says_what_it_is(data, name, tmp_path, piped_in):
    path = tmp_path / name
    path.write_bytes(data)
    for given, source in ((str(path), str(path)), (piped_in(data), "standard input")):
        (block,) = open_blocks(given)
        assert (block.values.tolist(), block.source) == ([[1], [2], [3]], source)


def test_a_slow_pipe():
    """The format is detected once enough bytes have come."""
    begin, end = os.pipe()
    data = saved(np.arange(3.0))
    with os.fdopen(begin, "rb") as pipe, os.fdopen(end, "wb", buffering=0) as writer:
        for byte in data:
            writer.write(bytes([byte]))
        writer.close()
        source = file_source("a pipe", pipe)
        assert source.head == data
        assert source.size is None
        assert source.read(6) + source.read(10**6) == data
        assert source.read(1) == b""


@pytest.mark.skipif(not hasattr(os, "set_blocking"), reason="pipes always wait")
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_wait(buffering):
    """The opener may make it non-blocking for all readers: nothing is lost if it is slow."""
    begin, end = os.pipe()
    os.set_blocking(begin, False)
    data = b"".join(b"%d\n" % number for number in range(20_000))

    def write():
        with os.fdopen(end, "wb", buffering=0) as writer:
            for place in range(0, len(data), 10_000):
                time.sleep(0.005)
                writer.write(data[place : place + 10_000])

    with os.fdopen(begin, "rb", buffering=buffering) as pipe:
        writer = threading.Thread(target=write)
        writer.start()
        source = file_source("a pipe", pipe)
        assert source.read(7) + source.read(10**6) == data
        writer.join()


def test_a_file_behind_standard_input(tmp_path, monkeypatch):
    """It may be partly read already; that part does not count."""
    path = tmp_path / "x.npy"
    data = saved(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    path.write_bytes(b"1\n" + data)
    with open(path, "rb") as file:
        file.seek(2)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        (block,) = open_blocks("-")
    assert block.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    with open(path, "rb") as file:
        file.seek(2)
        assert file_source("x", file).size == len(data)


def test_no_file(tmp_path):
    cases = {
        tmp_path / "no" / "such.csv": "x: No such file or directory; check the path",
        tmp_path: "x: Is a directory; name a file in it",
        "": "'': No such file or directory; check the path",
        "a\0": "x: no file can have this name",  # the command escapes it: test_hostile.py
        "a\nb": "x: No such file or directory; check the path",
    }
    for path, said in cases.items():
        with pytest.raises(ReadError) as error:
            list(open_blocks(str(path)))
        assert str(error.value).replace(str(path) or "\0", "x") == f"cannot read {said}"


def test_empty(written, piped_in):
    assert complaint(written(b"")) == "x is empty: give it rows of numbers"
    said = "x is empty: give numbers or a file, or pipe some in"
    assert complaint(piped_in(b"")) == said


@pytest.mark.parametrize("closed", [None, io.StringIO()], ids=["none", "closed"])
def test_closed_standard_input(closed, monkeypatch):
    if closed is not None:
        closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    assert complaint("-") == "x is closed: give numbers or a file"


def test_the_file_is_closed_by_whoever_stops_early(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"1\n" * 2_000_000)
    blocks = open_blocks(str(path), ReadOptions())
    assert next(blocks).offset == 0
    blocks.close()  # an unclosed file would be a warning, which is an error here


def zstandard(data):
    return pytest.importorskip("pyarrow").compress(data, codec="zstd", asbytes=True)


KINDS = {
    "gzip data": gzip.compress,
    "bzip2 data": bz2.compress,
    "xz data": lzma.compress,
    "Zstandard data": zstandard,
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def packed(kind):
    """Return a function that compresses bytes."""
    return KINDS[kind]


NUMBERS = np.random.default_rng(4).normal(size=(3_000, 3))
TEXT = "".join(",".join(map(repr, row)) + "\n" for row in NUMBERS.tolist()).encode()


@pytest.mark.parametrize(
    "data", [TEXT, saved(NUMBERS), saved(np.asfortranarray(NUMBERS))], ids=["text", "C", "F"]
)
def test_good(packed, data, place):
    assert np.array_equal(gathered(place(packed(data))), NUMBERS)


@pytest.mark.parametrize("zeros", [4, 1 << 17])
def test_padding_between_streams(zeros, written):
    first, second = lzma.compress(b"1\n"), lzma.compress(b"2\n")
    path = written(first + bytes(zeros) + second + bytes(zeros))
    assert gathered(path).tolist() == [[1], [2]]


def test_corrupt(kind, packed, written):
    data = packed(np.random.default_rng(1).bytes(5000).hex().encode())
    half = len(data) // 2
    data = data[:half] + bytes(255 - byte for byte in data[half : half + 8]) + data[half:]
    message = complaint(written(data))
    assert message.startswith(f"x is {kind} that cannot be unpacked (")
    assert message.endswith("); copy or save it again")


def test_complaints_of_what_is_inside(kind, packed, written):
    """Formats that are read from the end must be unpacked whole: a few bytes may fill the disk."""
    pytest.importorskip("pyarrow")
    whole = f"x is {kind} of a file that must be read from its end; unpack it first"
    cases = {
        packed(b""): "x is empty: give it rows of numbers",
        packed(b"a\n" + b"1\n" * 10_000 + b"y\n"): "x, line 10002, column 1 ('a'): 'y' is not a ",
        packed(b"1\n") + b"garbage": f"x is {kind} that cannot be unpacked (",
        packed(gzip.compress(b"1\n")): f"x is gzip data within {kind}; unpack it first",
        packed(b"PAR1" + bytes(100)): whole,
        packed(b"PK\x03\x04" + bytes(100)): whole,
    }
    for data, message in cases.items():
        assert complaint(written(data)).startswith(message)


def test_more_memory_than_is_granted(written):
    """The stream claims that unpacking it takes a gigabyte."""
    packed = lzma.compress(b"1\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}])
    # The size of the dictionary is one byte of the block's header, 36 for 2**30, and the header
    # ends with its own checksum (the .xz file format, sections 3.1 and 5.3.1).
    header = bytearray(packed[12:24])
    assert header[4] == 0
    header[4] = 36
    header[8:] = zlib.crc32(header[:8]).to_bytes(4, "little")
    assert complaint(written(packed[:12] + header + packed[24:])) == (
        "x is xz data that cannot be unpacked (Memory usage limit exceeded); copy or save it again"
    )


def test_zstandard_without_pyarrow(written, monkeypatch):
    if sys.version_info >= (3, 14):
        pytest.skip("it is in the standard library")
    path = written(zstandard(b"1\n"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReadError, match="Zstandard data is read by pyarrow, which is not install"):
        list(open_blocks(str(path)))
