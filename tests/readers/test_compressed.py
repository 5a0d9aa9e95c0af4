"""Compressed input: every kind, any content, bounded memory, and each kind of damage."""

import bz2
import gzip
import lzma
import sys
import zlib

import numpy as np
import pytest
from files import complaint, gathered, saved

from stablelse.readers import ReadError, open_blocks


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
LINES = b"".join(b"%d\n" % number for number in range(1000))


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
