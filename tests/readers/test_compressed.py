"""Compressed input: every kind, whatever is in it, bounded memory, and each kind of damage."""

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
def written(kind, tmp_path):
    """Compress data into a file whose name says nothing, and return its path."""

    def write(data, damage=lambda packed: packed):
        path = tmp_path / "x"
        path.write_bytes(damage(KINDS[kind](data)))
        return path

    return write


NUMBERS = np.random.default_rng(4).normal(size=(9_000, 3))


def test_text(written):
    text = "".join(",".join(map(repr, row)) + "\n" for row in NUMBERS.tolist())
    assert np.array_equal(gathered(written(text.encode())), NUMBERS)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(written, order):
    assert np.array_equal(gathered(written(saved(np.array(NUMBERS, order=order)))), NUMBERS)


def test_a_pipe(kind, piped_in):
    assert gathered(piped_in(KINDS[kind](b"1 2\n3 4\n"))).tolist() == [[1, 2], [3, 4]]


def test_lines_are_counted_in_what_was_compressed(written):
    path = written(b"a\n" + b"1\n" * 10_000 + b"y\n")
    assert complaint(path).startswith("x, line 10002, column 1 ('a'): 'y' is not a number; ")


def test_streams_one_behind_the_other(kind, written):
    more = KINDS[kind](b"2\n")
    path = written(b"1\n", lambda packed: packed + more + more)
    assert gathered(path).tolist() == [[1], [2], [2]]


@pytest.mark.parametrize("zeros", [4, 1 << 17])
def test_padding_between_streams(zeros, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(lzma.compress(b"1\n") + bytes(zeros) + lzma.compress(b"2\n") + bytes(zeros))
    assert gathered(path).tolist() == [[1], [2]]


def test_nothing(written):
    assert complaint(written(b"")) == "x is empty: give it rows of numbers"


@pytest.mark.parametrize("left", [-1, -9, 20])
def test_truncated(kind, left, written):
    text = b"".join(b"%d\n" % number for number in range(1000))
    message = complaint(written(text, lambda packed: packed[:left]))
    # pyarrow has no end-of-file error, its own word says as much.
    assert message in (
        f"x is truncated: its {kind} ends before its end mark; copy or save it again",
        f"x is {kind} that cannot be unpacked (Truncated compressed stream); copy or save it again",
    )


def test_corrupt(kind, written):
    def damage(packed):
        half = len(packed) // 2
        return packed[:half] + bytes(255 - byte for byte in packed[half : half + 8]) + packed[half:]

    data = np.random.default_rng(1).bytes(5000).hex().encode()
    message = complaint(written(data, damage))
    assert message.startswith(f"x is {kind} that cannot be unpacked (")
    assert message.endswith("); copy or save it again")


def test_garbage_behind(kind, written):
    message = complaint(written(b"1\n", lambda packed: packed + b"garbage"))
    assert message.startswith(f"x is {kind} that cannot be unpacked (")


def test_twice(kind, written):
    message = complaint(written(gzip.compress(b"1\n")))
    assert message == f"x is gzip data within {kind}; unpack it first"


@pytest.mark.parametrize("magic", [b"PAR1", b"PK\x03\x04"])
def test_what_is_read_from_its_end(kind, magic, written):
    """It would have to be unpacked whole, and a few bytes may unpack to any number of them."""
    pytest.importorskip("pyarrow")
    message = complaint(written(magic + bytes(100)))
    assert message == f"x is {kind} of a file that must be read from its end; unpack it first"


def test_more_memory_than_is_granted(tmp_path):
    """The stream says that it takes a gigabyte to unpack it."""
    path = tmp_path / "x"
    packed = lzma.compress(b"1\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}])
    # The size of the dictionary is one byte of the block's header, 36 for 2**30, and the header
    # ends with its own sum (the .xz file format, sections 3.1 and 5.3.1).
    header = bytearray(packed[12:24])
    assert header[4] == 0
    header[4] = 36
    header[8:] = zlib.crc32(header[:8]).to_bytes(4, "little")
    path.write_bytes(packed[:12] + header + packed[24:])
    assert complaint(path) == (
        "x is xz data that cannot be unpacked (Memory usage limit exceeded); copy or save it again"
    )


def test_zstandard_without_pyarrow(tmp_path, monkeypatch):
    if sys.version_info >= (3, 14):
        pytest.skip("it is in the standard library")
    path = tmp_path / "x"
    path.write_bytes(zstandard(b"1\n"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReadError) as error:
        list(open_blocks(str(path)))
    assert str(error.value) == (
        "Zstandard data is read by pyarrow, which is not installed: pip install pyarrow"
    )
