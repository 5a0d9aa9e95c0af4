"""pyarrow's parser is let in only where it reads what `careful` reads, bit for bit."""

import io
import struct
import sys
from decimal import Decimal

import numpy as np
import pytest
from files import complaint, gathered
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, ReadOptions, ahead, arrow, open_blocks, text
from stablelse.readers.dialect import Line, detect_layout
from stablelse.readers.rows import read_cells
from stablelse.readers.source import Source

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def _from_the_first_row(monkeypatch):
    monkeypatch.setattr(arrow, "_FEWEST_ROWS", 0)


def layout_of(lines, **options):
    return detect_layout([Line(1, line) for line in lines[:2]], "x", ReadOptions(**options))


def same_bits(first, second):
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def hard_numbers():
    """Yield literals of random bits, of half-way cases, and of the ends of the range."""
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


def test_hard_numbers():
    """Every one is rounded correctly: Python's float is, and is the definition."""
    cells = list(hard_numbers())
    values = arrow.parse_text(bytearray("\n".join(cells).encode()), layout_of(["1", "2"]))
    expected = np.array([float(cell) for cell in cells])
    assert len(cells) > 20_000
    assert np.array_equal(np.isnan(values[:, 0]), np.isnan(expected))
    finite = ~np.isnan(expected)
    assert same_bits(values[finite, 0], expected[finite])


#: Cells that look like numbers to some parser or other.
ODD = [
    *("nan(1)", "1e", "0x10", "1_0", "1d5", "true", "", " ", "NA", "null", "None", "--1", "1,5"),
    *("1f", "1 2", "infi", "i", "١", "1\x0b", "\x0c2", "1\xa0", '"1"', '"1', "1#2", "#", "1\x00"),
    *("\ufeff1", "1e5.0", "1.2.3", "+-1", "e5", ".", "-", "1e+", "nan()", "9" * 70_000),
    *("−1", "∞", "1D2", "1d-2", "1.#INF", "-1.#IND", "#N/A", "1 #", "?", "--", "\\N", "Err:502"),
]


@pytest.mark.parametrize("options", [{}, {"decimal": ","}, {"skip_na": True}, {"columns": ("1",)}])
@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t", " ", None])
@pytest.mark.parametrize("cell", ODD, ids=lambda cell: ascii(cell[:9]))
def test_odd_cells(cell, delimiter, options):
    """Either it is left to the others, or it is what they say that it is."""
    if delimiter == options.get("decimal"):
        return
    row = ["1", "2"] if delimiter else ["1"]
    lines = [(delimiter or "").join(row)] * 3
    lines.insert(2, (delimiter or "").join([cell, *row[1:]]))
    layout = layout_of(lines, delimiter=delimiter, **options)
    values = arrow.parse_text(bytearray("\n".join(lines).encode()), layout)
    if values is None or np.isinf(values).any():
        return
    content = [Line(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    careful, missing = read_cells(content, layout)
    assert missing is None
    assert same_bits(values, careful)


@given(
    st.lists(
        st.lists(st.text("0123456789.eE+-naif \t,;dD#−∞", max_size=6), min_size=2, max_size=3),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([{}, {"columns": ("2",)}, {"decimal": ","}]),
)
def test_any_cells(rows, options):
    lines = ["1;2", "3;4", *(";".join(row) for row in rows)]
    layout = layout_of(lines, delimiter=";", header=False, **options)
    values = arrow.parse_text(bytearray("\n".join(lines).encode()), layout)
    if values is None or np.isinf(values).any():
        return
    content = [Line(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    careful, missing = read_cells(content, layout)
    assert missing is None
    assert np.array_equal(values, careful, equal_nan=True)


READ = st.sampled_from(["1", "-2.5", "3e5", "inf", "nan", "−1", "∞", "1D2", '"3"', "1.#INF", "0"])
ODD_ONES = st.sampled_from(
    ["a", '"c"', "", "NA", "#N/A", "# so", "4 # so", "1e400", '"1,5"', "\u00a06", "10%"]
)
CELLS = st.one_of(*[READ] * 12, ODD_ONES)


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "|", "\t", " "]),
    end=st.sampled_from(["\n", "\r\n", "{}\n"]),
    header=st.booleans(),
    options=st.sampled_from([{}, {"skip_na": True}, {"columns": ("2",)}, {"decimal": ","}]),
)
def test_the_same_is_read_by_whatever_reads_it(rows, delimiter, end, header, options):
    """A file is read cell by cell, by NumPy, by pyarrow, in chunks of any size: it is the same."""
    width = len(rows[0])
    rows = [["a", "b", "c"], *rows] if header else rows
    lines = [delimiter.join((row * 3)[:width]) + end.format(delimiter) for row in rows]
    data = "".join(lines).encode()

    def found(chunk_bytes, pyarrow_from, careful=False):
        notes = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text, "_CHUNKS_OF_NUMPY", pyarrow_from)
            if careful:
                patch.setattr(text, "read_text", lambda *_: None)
            source = Source("x", io.BytesIO(data))
            try:
                blocks = list(
                    text.blocks(source, ReadOptions(note=notes.append, **options), chunk_bytes)
                )
            except ReadError as error:
                return str(error), notes
        values = [block.values for block in blocks]
        missing = [
            np.zeros(block.values.shape, bool) if block.missing is None else block.missing
            for block in blocks
        ]
        return np.concatenate(values).tolist(), np.concatenate(missing).tolist(), notes

    expected = repr(found(1 << 20, 9, careful=True))
    assert repr(found(1 << 20, 9)) == expected
    assert repr(found(1 << 20, 0)) == expected
    assert repr(found(5, 9)) == expected
    assert repr(found(5, 0)) == expected


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("1 2", {}),  # blanks between cells, any number of them
        ("1", {"dtype": "longdouble"}),
    ],
)
def test_what_it_is_never_asked(line, options):
    layout = layout_of([line, line], **options)
    assert arrow.reads_text(layout) == (layout.dtype == np.float64 and layout.width == 1)


def test_few_rows_are_not_worth_it(monkeypatch):
    monkeypatch.undo()
    assert arrow.parse_text(bytearray(b"1,2\n3,4\n"), layout_of(["1,2", "3,4"])) is None


@pytest.fixture
def begun_at_once(monkeypatch):
    """Let pyarrow read from the first chunk on, and say which chunks it read."""
    monkeypatch.setattr(text, "_CHUNKS_OF_NUMPY", 0)
    read = []

    def parse(data, layout, real=arrow.parse_text):
        values = real(data, layout)
        read.append(values is not None)
        return values

    monkeypatch.setattr(arrow, "parse_text", parse)
    return read


NUMBERS = np.random.default_rng(11).normal(size=(120_000, 2))
TEXT = "a,b\n" + "".join(f"{x!r},{y!r}\n" for x, y in NUMBERS.tolist())


def test_whole_files(tmp_path, begun_at_once):
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    assert same_bits(gathered(path), NUMBERS)
    assert same_bits(gathered(path, columns=("b",)), NUMBERS[:, 1:])
    assert begun_at_once == [True] * 10
    (block, *_) = open_blocks(str(path))
    assert block.columns == ("a", "b")


def test_after_some_chunks_of_a_pipe(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_CHUNKS_OF_NUMPY", 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert same_bits(gathered("-"), NUMBERS)


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,x\n", "line {}, column 2 ('b'): 'x' is not a number; "),
        ("1,\n", "line {}, column 2 ('b') is blank; "),
        ("1\n", "line {} has 1 cell, where line 1 has 2; "),
        ("1,1e400\n", "line {}, column 2 ('b'): 1e400 overflowed to inf while it was read"),
        ("1,\x00\n", "line {} has a NUL byte"),
    ],
)
def test_a_bad_line_is_named_as_ever(line, said, place, tmp_path, begun_at_once):
    lines = TEXT.splitlines(keepends=True)
    at = 2 + int(place * (len(lines) - 2))
    lines.insert(at, line)
    path = tmp_path / "x.csv"
    path.write_text("".join(lines))
    assert complaint(path).startswith(f"x, {said.format(at + 1)}")


def test_the_first_of_two_bad_lines_is_named(tmp_path, begun_at_once):
    """The second is seen first, when the input is read ahead."""
    half = len(TEXT) // 2
    path = tmp_path / "x.csv"
    path.write_text(TEXT[: TEXT.index("\n", half) + 1] + "1,x\n" + TEXT[4:] + "\x00")
    assert "'x' is not a number" in complaint(path)


def test_a_chunk_it_cannot_read_is_read_by_the_others(tmp_path, begun_at_once):
    path = tmp_path / "x.csv"
    path.write_text(TEXT + "# a comment\n1,2\n" + TEXT[4:])
    values = gathered(path)
    assert same_bits(values, np.concatenate([NUMBERS, [[1, 2]], NUMBERS]))
    assert not all(begun_at_once)
    assert any(begun_at_once)


def test_infinity_that_was_written_so(tmp_path, begun_at_once):
    path = tmp_path / "x.csv"
    path.write_text("1,2\n-inf,3\n\n" * 1000)
    assert same_bits(gathered(path), np.array([[1, 2], [-np.inf, 3]] * 1000))
    assert begun_at_once == [True]


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_CHUNKS_OF_NUMPY", 0)
    monkeypatch.setattr(arrow, "is_installed", lambda: False)
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    assert same_bits(gathered(path), NUMBERS)


def test_results_come_in_order():
    from time import sleep

    def slowly(number):
        sleep(0.02 / number)
        return number * 10

    assert list(ahead.in_order(slowly, iter(range(1, 9)))) == [(n, n * 10) for n in range(1, 9)]


def test_an_error_comes_after_what_lies_before_it():
    def items():
        yield from (1, 2, 3)
        raise ReadError("no more")

    pairs = ahead.in_order(lambda number: number, items())
    assert [next(pairs), next(pairs), next(pairs)] == [(1, 1), (2, 2), (3, 3)]
    with pytest.raises(ReadError, match="no more"):
        next(pairs)


def test_whoever_stops_early_leaves_no_thread():
    from threading import active_count

    before = active_count()
    pairs = ahead.in_order(lambda number: number, iter(range(1000)))
    next(pairs)
    pairs.close()
    assert active_count() == before
