"""NumPy's and pyarrow's parsers give the same results as reading cell by cell, bit for bit."""

import struct
from decimal import Decimal
from itertools import product
from threading import active_count

import numpy as np
import pytest
from files import complaint, gathered
from fuzz.properties import read_text, text_readers_agree

from stablelse.readers import open_blocks, tables, text

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def _from_the_first_row(monkeypatch):
    monkeypatch.setattr(tables, "_FEWEST_ROWS", 0)


@pytest.fixture
def parsed(monkeypatch):
    """Let pyarrow read from the first piece on, and list the pieces that it read."""
    monkeypatch.setattr(text, "_PIECES_OF_NUMPY", 0)
    pieces = []

    def parse(*args, real=tables.parse_text):
        values = real(*args)
        pieces.append(values is not None)
        return values

    monkeypatch.setattr(tables, "parse_text", parse)
    return pieces


def same_bits(first, second):
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def hard_numbers():
    """Yield literals of random bits, half-way cases, and the ends of the range."""
    rng = np.random.default_rng(10)
    for bits in rng.bytes(8 * 4000), bytes(8 * 2):
        for (x,) in struct.iter_unpack("d", bits):
            if not np.isfinite(x) or abs(x) > 1e308:
                continue
            yield from (repr(x), f"{x:.17e}", f"{x:+.25g}", f" {x:.3f}")
            half = (Decimal(x) + Decimal(float(np.nextafter(x, np.inf)))) / 2
            yield from (str(half), str(half).replace("E", "1E") if "E" in str(half) else f"{half}1")
    yield from ("5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400")
    yield from ("2.2250738585072011e-308", "2.2250738585072014e-308", "1.7976931348623157e308")
    yield from ("9007199254740993", f"9007199254740993.{'0' * 700}1", f"0.{'0' * 320}1e320")
    yield from ("nan", "-NaN", "inf", "-Infinity", "+INF", "1.", ".5", "-0", "007", "1E+2", "\t3 ")


def test_hard_numbers(tmp_path, parsed):
    """Each is correctly rounded, as by Python's float, which is the definition."""
    cells = list(hard_numbers())
    path = tmp_path / "x"
    path.write_text("\n".join(cells))
    values = gathered(path)[:, 0]
    expected = np.array([float(cell) for cell in cells])
    assert len(cells) > 20_000
    assert all(parsed)
    assert np.array_equal(np.isnan(values), np.isnan(expected))
    finite = ~np.isnan(expected)
    assert same_bits(values[finite], expected[finite])


#: Cells that look like numbers to some parser.
ODD = [
    *("nan(1)", "1e", "0x10", "1_0", "1d5", "true", "", " ", "NA", "null", "None", "--1", "1,5"),
    *("1f", "1 2", "infi", "i", "١", "1\x0b", "\x0c2", "1\xa0", '"1"', '"1', "1#2", "#", "1\x00"),
    *("\ufeff1", "1e5.0", "1.2.3", "+-1", "e5", ".", "-", "1e+", "nan()", "9" * 70_000),
    *("−1", "∞", "1D2", "1d-2", "1.#INF", "-1.#IND", "#N/A", "1 #", "?", "--", "\\N", "Err:502"),
]
OPTIONS = [{}, {"decimal": ","}, {"skip_na": True}, {"columns": ("1",)}, {"dtype": "longdouble"}]


@pytest.mark.parametrize("cell", ODD, ids=lambda cell: ascii(cell[:9]))
def test_odd_cells(cell):
    for delimiter, options in product([",", ";", "|", "\t", " ", None], OPTIONS):
        row = ["1", "2"] if delimiter else ["1"]
        lines = [(delimiter or "").join(row)] * 3
        lines.insert(2, (delimiter or "").join([cell, *row[1:]]))
        text_readers_agree(("\n".join(lines).encode(), options))


@pytest.mark.parametrize(
    "data",
    [
        "−1,3\n1D2,2\n",
        '"1","2"\n 3 , "4"\n',
        "1,2 # so\n# no\n3,4\n",
        "1,2,\n3,4,\n",
        "1 2 # so\n\t3  4\n",
        '"1" 2\n3 "4"\n',
        "é,1\nü,2\n",
    ],
)
def test_what_is_common_is_read_fast(data, monkeypatch):
    monkeypatch.setattr(text, "_read_cells", None)
    columns = ("2",) if "é" in data else ()
    assert read_text(data.encode(), {"columns": columns, "header": False})


def test_few_rows_are_not_worth_it(monkeypatch, parsed, tmp_path):
    monkeypatch.setattr(tables, "_FEWEST_ROWS", 100)
    (tmp_path / "x").write_text("1,2\n3,4\n")
    assert gathered(tmp_path / "x").tolist() == [[1, 2], [3, 4]]
    assert parsed == [False]


NUMBERS = np.random.default_rng(11).normal(size=(60_000, 2))
TEXT = "a,b\n" + "".join(f"{x!r},{y!r}\n" for x, y in NUMBERS.tolist())


def test_whole_files(tmp_path, parsed):
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    assert same_bits(gathered(path), NUMBERS)
    assert same_bits(gathered(path, columns=("b",)), NUMBERS[:, 1:])
    assert len(parsed) > 5
    assert all(parsed)
    (block, *_) = open_blocks(str(path))
    assert block.columns == ("a", "b")


def test_after_some_pieces_of_a_pipe(monkeypatch, piped_in):
    monkeypatch.setattr(text, "_PIECES_OF_NUMPY", 2)
    assert same_bits(gathered(piped_in(TEXT)), NUMBERS)


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,x\n", "line {}, column 2 ('b'): 'x' is not a number; "),
        ("1,\n", "line {}, column 2 ('b') is blank; "),
        ("1\n", "line {} has 1 cell, but line 1 has 2; "),
        ("1,1e400\n", "line {}, column 2 ('b'): 1e400 overflowed to inf while it was read"),
        ("1,\x00\n", "line {} has a NUL byte"),
    ],
)
def test_a_bad_line_is_named_as_ever(line, said, place, tmp_path, parsed):
    lines = TEXT.splitlines(keepends=True)
    at = 2 + int(place * (len(lines) - 2))
    lines.insert(at, line)
    path = tmp_path / "x.csv"
    path.write_text("".join(lines))
    assert complaint(path).startswith(f"x, {said.format(at + 1)}")


def test_the_first_of_two_bad_lines_is_named(tmp_path, parsed):
    """The second is found first when the input is read ahead."""
    half = len(TEXT) // 2
    path = tmp_path / "x.csv"
    path.write_text(TEXT[: TEXT.index("\n", half) + 1] + "1,x\n" + TEXT[4:] + "\x00")
    assert "'x' is not a number" in complaint(path)


def test_a_piece_it_cannot_read_is_read_by_the_others(tmp_path, parsed):
    path = tmp_path / "x.csv"
    path.write_text(TEXT + '# a "comment"\n1,2\n' + TEXT[4:])
    values = gathered(path)
    assert same_bits(values, np.concatenate([NUMBERS, [[1, 2]], NUMBERS]))


def test_infinity_that_was_written_so(tmp_path, parsed):
    path = tmp_path / "x.csv"
    path.write_text("1,2\n-inf,3\n\n" * 1000)
    assert same_bits(gathered(path), np.array([[1, 2], [-np.inf, 3]] * 1000))
    assert parsed == [True]


def test_without_pyarrow(tmp_path, monkeypatch, parsed):
    monkeypatch.setattr(tables, "is_installed", lambda: False)
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    assert same_bits(gathered(path), NUMBERS)
    assert not parsed


def test_whoever_stops_early_leaves_no_thread(tmp_path, parsed):
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    before = active_count()
    blocks = open_blocks(str(path))
    next(blocks)
    blocks.close()
    assert active_count() == before
