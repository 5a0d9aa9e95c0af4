"""Files in parts, each read on its own: together they give the whole file."""

import gzip
import pickle

import numpy as np
import pytest
from files import complaint, gathered, npz, parquet_file, saved

from stablelse.readers import open_blocks, read_part, split_file, text
from stablelse.readers.blocks import ReadError, ReadOptions
from stablelse.readers.sources import Source


def in_parts(path, part_bytes, **options):
    """Return all numbers of a file, read part by part, and the number of parts."""
    parts = split_file(str(path), ReadOptions(**options), part_bytes)
    blocks = [block for part in parts for block in read_part(pickle.loads(pickle.dumps(part)))]
    whole = open_blocks(str(path), ReadOptions(**options))
    assert {block.source for block in blocks} == {next(whole).source}
    whole.close()
    return np.concatenate([block.values for block in blocks]), len(parts)


def assert_same(path, part_bytes, **options):
    values, count = in_parts(path, part_bytes, **options)
    whole = gathered(path, **options)
    assert values.dtype == whole.dtype
    assert values.tobytes() == whole.tobytes()
    return count


@pytest.mark.parametrize("part_bytes", [1, 5, 16, 1000])
def test_an_index_and_a_delimiter_at_the_end_in_every_part(tmp_path, part_bytes):
    """The first lines decide for every part; only the first part notes it."""
    path = tmp_path / "x.csv"
    path.write_text("# so\n,a,b,\n" + "".join(f"r{x},{x},−{x},\n" for x in range(20)))
    noted = []
    parts = split_file(str(path), ReadOptions(note=noted.append), part_bytes)
    assert noted == []
    blocks = [block for part in parts for block in read_part(part, noted.append)]
    values = np.concatenate([block.values for block in blocks])
    assert values.tolist() == [[x, -x] for x in range(20)]
    header, index = noted
    assert (header.header, header.text) == (("a", "b"), "line 2 is a header: a, b")
    assert index.text.startswith("column 1 is an index and left out")


def test_lines_longer_than_what_is_sought_at_once(written):
    line = " ".join(map("{:.18e}".format, range(1000))) + "\n"
    assert assert_same(written(line * 3), 10_000) == 8


@pytest.mark.parametrize("line", [1, 2, 40, 77, 100])
@pytest.mark.parametrize(
    "wrong",
    ["x", "", "1;2", "1e999", '"1', "\udcff", "\0"],
    ids=["x", "NA", "2", "big", "q", "u", "0"],
)
def test_a_complaint_names_the_line_of_the_file(tmp_path, line, wrong):
    rows = [f"{row};{row}\r\n" for row in range(1, 101)]
    rows[line - 1] = f"0;{wrong}\r\n"
    path = tmp_path / "x.csv"
    path.write_bytes("".join(rows).encode(errors="surrogateescape"))
    said = complaint(path, header=False)
    assert f"line {line}" in said
    parts = split_file(str(path), ReadOptions(header=False), 100) if line > 20 else []
    complaints = []
    for part in parts:
        try:
            list(read_part(part))
        except ReadError as error:
            complaints.append(str(error).replace(str(path), "x"))
    assert complaints in ([], [said])
    assert bool(complaints) == (line > 20)


def test_a_complaint_far_down_says_from_where_it_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_MOST_RECOUNTED", 100)
    path = tmp_path / "x.txt"
    path.write_text("1.5\n" * 99 + "oops\n")
    *_, last = split_file(str(path), ReadOptions(), 150)
    with pytest.raises(ReadError) as error:
        list(read_part(last))
    assert str(error.value).startswith(f"{path} (lines counted from byte 269), line 33, column 1: ")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1000,), (250, 4), (1, 1000), (10, 4, 25)])
@pytest.mark.parametrize("dtype", ["f8", ">f4", "?"])
def test_arrays(written, shape, dtype, order):
    path = written(saved(np.arange(1000).reshape(shape).astype(dtype, order=order)))
    assert assert_same(path, 500) == -(-path.stat().st_size // 500)
    assert_same(path, 500, axis=0, columns=("1",))


def test_blocks_of_an_array_have_their_rows(written):
    path = written(saved(np.arange(1000.0)))
    parts = split_file(str(path), ReadOptions(), 813)
    offsets = [(block.offset, len(block.values)) for part in parts for block in read_part(part)]
    assert offsets == [(100 * index, 100) for index in range(10)]


@pytest.mark.parametrize(
    "data", [npz(x=np.arange(1000.0)), gzip.compress(b"1\n2\n" * 1000, mtime=0)], ids=["npz", "gz"]
)
def test_what_cannot_be_read_from_the_middle_is_one_part(written, data):
    assert assert_same(written(data), 500) == 1


def test_row_groups(written):
    pa = pytest.importorskip("pyarrow")
    rng = np.random.default_rng(1)
    table = pa.table({"a": rng.normal(size=1000), "b": rng.normal(size=1000)})
    options = {"compression": "none", "use_dictionary": False}
    path = written(parquet_file(table, row_group_size=64, **options))
    for part_bytes in (300, 2500, 100_000):
        assert_same(path, part_bytes)
        assert_same(path, part_bytes, columns=("b",))
    parts = split_file(str(path), ReadOptions(columns=("a",)), 300)
    offsets = [block.offset for part in parts for block in read_part(part)]
    assert offsets == list(range(0, 1000, 64))


def test_rows_of_lists_in_row_groups(written):
    pa = pytest.importorskip("pyarrow")
    rows = [[float(row), -1.0] for row in range(100)]
    rows[77].append(1.0)
    path = written(parquet_file(pa.table({"a": pa.array(rows)}), row_group_size=10))
    parts = split_file(str(path), ReadOptions(), 100)
    assert len(parts) > 1
    found = [row for part in parts for block in read_part(part) for row in block.values.tolist()]
    assert found == rows


def test_what_is_behind_a_url():
    fsspec = pytest.importorskip("fsspec")
    data = "".join(f"{number / 7!r}\n" for number in range(500)).encode()
    with fsspec.open("memory://ranges/x.txt", "wb") as file:
        file.write(data)
    assert assert_same("memory://ranges/x.txt", 1000) == -(-len(data) // 1000)


@pytest.mark.parametrize("is_text", [True, False])
def test_a_file_that_is_not_what_it_was_when_it_was_split(written, is_text):
    def data(n):
        if is_text:
            return "".join(f"{number / 7!r}\n" for number in range(n))
        return saved(np.arange(float(n)))

    parts = split_file(str(written(data(1000))), ReadOptions(), 1000)
    assert sum(part.size for part in parts) == len(data(1000))
    assert max(len(pickle.dumps(part)) for part in parts) < 1000
    for n in (999, 2000):
        written(data(n))
        for part in parts:
            with pytest.raises(ReadError, match="x changed while it was being read: run"):
                list(read_part(part))


def test_only_what_is_needed_is_read(written, monkeypatch):
    path = written(saved(np.arange(float(1 << 20))))
    seen = []

    def read(source, count, real=Source.read):
        data = real(source, count)
        seen.append(len(data))
        return data

    monkeypatch.setattr(Source, "read", read)
    parts = split_file(str(path), ReadOptions(), 1 << 20)
    assert sum(seen) == 0
    assert sum(len(block.values) for block in read_part(parts[3])) == (1 << 20) // len(parts)
    assert sum(seen) < (1 << 20) + (1 << 13)
