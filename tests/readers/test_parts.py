"""Several files, directories and patterns: one stack of rows, counted within each file."""

import io
import sys

import numpy as np
import pytest

from stablelse.readers import open_files
from stablelse.readers.blocks import ReadError, ReadOptions
from stablelse.readers.sources import find_files

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def written(tmp_path):
    def write(**texts):
        (tmp_path / "parts").mkdir(exist_ok=True)
        for name, text in texts.items():
            (tmp_path / "parts" / name.replace("__", ".")).write_text(text)

    return write


def read(*paths, **options):
    blocks = open_files(paths, ReadOptions(**options))
    return [(block.source, block.offset, block.values.tolist()) for block in blocks]


def complaint(*paths, **options):
    with pytest.raises(ReadError) as error:
        read(*paths, **options)
    assert str(error.value).isprintable()
    return str(error.value)


def test_natural_order(written):
    names = ["a__csv", "part10__csv", "part2__csv", "part01__csv", "part1b3__csv", "part1b20__csv"]
    written(**dict.fromkeys(names, "1\n"))
    expected = [
        f"parts/{name}.csv" for name in ("a", "part01", "part1b3", "part1b20", "part2", "part10")
    ]
    assert find_files("parts") == expected
    assert find_files("parts/") == expected
    assert find_files("parts/*.csv") == expected
    assert find_files("parts/part?.csv") == ["parts/part2.csv"]
    assert find_files("parts/part[0-9]*b*.csv") == expected[2:4]


@pytest.mark.parametrize("path", ["parts", "parts/*"])
def test_notes_of_programs_are_no_parts(path, written):
    written(_SUCCESS="", _metadata="x", __hidden="x", x1__csv="1,2\n", _x2__csv="3,4\n")
    assert read(path) == [("parts/_x2.csv", 0, [[3, 4]]), ("parts/x1.csv", 0, [[1, 2]])]


def test_each_path_in_its_turn(written, monkeypatch):
    written(b__csv="1\n2\n", a__csv="3\n")
    np.save("x.npy", np.array([4, 5], np.float32))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"6\n")))
    assert read("parts/b.csv", "-", "x.npy", "parts/*") == [
        ("parts/b.csv", 0, [[1], [2]]),
        ("standard input", 0, [[6]]),
        ("x.npy", 0, [[4], [5]]),
        ("parts/a.csv", 0, [[3]]),
        ("parts/b.csv (2)", 0, [[1], [2]]),
    ]


def test_rows_are_counted_within_each_file(written):
    written(a__csv="1\n2\n", b__csv="3\n4,\n")
    assert complaint("parts").startswith("parts/b.csv, line 2 has 2 cells")


def test_a_name_that_looks_like_a_pattern(tmp_path):
    (tmp_path / "x[1].csv").write_text("1\n")
    (tmp_path / "x1.csv").write_text("2\n")
    assert read("x[1].csv") == [("x[1].csv", 0, [[1]])]


def test_directories_at_any_depth(tmp_path):
    for year in ("2020", "2019"):
        (tmp_path / "parts" / f"year={year}").mkdir(parents=True)
        (tmp_path / "parts" / f"year={year}" / "x.csv").write_text(f"{year}\n")
    assert read("parts/**/*.csv") == [
        ("parts/year=2019/x.csv", 0, [[2019]]),
        ("parts/year=2020/x.csv", 0, [[2020]]),
    ]
    assert complaint("parts").startswith("the directory parts contains another one, year=20")
    assert complaint("parts").endswith(
        "; say which files are wanted, for example --file 'parts/**/*.csv'"
    )


def test_nothing(written):
    assert complaint("no/*.csv") == "no file matches no/*.csv; check the path"
    written()
    assert complaint("parts") == "the directory parts has no files in it; check the path"
    assert complaint("no") == "cannot read no: No such file or directory; check the path"
    written(a__csv="1\n", b__csv="")
    assert complaint("parts") == "parts/b.csv is empty: give it rows of numbers"


def test_a_directory_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "parts").mkdir()
    monkeypatch.setattr("os.scandir", refuse)
    assert complaint("parts") == (
        "cannot read parts: Permission denied; ask its owner for the right to read it"
    )


def test_other_columns(written):
    written(a__csv="a,b\n1,2\n", b__csv="1\n2\n")
    assert complaint("parts") == (
        "parts/b.csv has 1 column, but parts/a.csv has 2; "
        "choose as many of each with --column, or use --by rows if each row is a vector"
    )
    blocks = list(open_files(["parts"], alike=False))
    assert [block.values.shape for block in blocks] == [(1, 2), (2, 1)]
    written(b__csv="b,a\n3,4\n")
    assert complaint("parts") == (
        "parts/b.csv has the columns 'b', 'a', but parts/a.csv has 'a', 'b'; "
        "choose them by name with --column"
    )
    chosen = [("parts/a.csv", 0, [[1, 2]]), ("parts/b.csv", 0, [[4, 3]])]
    assert read("parts", columns=("a", "b")) == chosen


def test_a_header_in_the_first_part_alone(written):
    """As after `split`."""
    written(xaa="a,b\n1,2\n", xab="3,4\n")
    assert read("parts") == [("parts/xaa", 0, [[1, 2]]), ("parts/xab", 0, [[3, 4]])]
