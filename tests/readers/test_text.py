"""Text: what is read, what is refused and with which words, and that blocks are bounded."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, open_blocks, text
from stablelse.readers import ReadOptions as Options
from stablelse.readers.dialect import cells
from stablelse.readers.slow import parse_lines
from stablelse.readers.text import read_text

INF, NAN = np.inf, np.nan


def read(data: bytes, options=None):
    blocks = list(read_text(io.BytesIO(data), "x.csv", options or Options()))
    values = np.concatenate([block.values for block in blocks])
    return values, blocks[0].columns


GOOD = {
    "one a line": (b"1\n2\n3\n", Options(), [[1], [2], [3]], None),
    "no last line end": (b"1\n2", Options(), [[1], [2]], None),
    "one number": (b"7", Options(), [[7]], None),
    "commas": (b"1,2\n3,4\n", Options(), [[1, 2], [3, 4]], None),
    "tabs": (b"1\t2\n3\t4\n", Options(), [[1, 2], [3, 4]], None),
    "semicolons": (b"1;2\n3;4\n", Options(), [[1, 2], [3, 4]], None),
    "blanks": (b"  1   2 \n3 4\n", Options(), [[1, 2], [3, 4]], None),
    "blanks and tabs given as blanks": (
        b"1 \t2\n3 4\n",
        Options(delimiter=" "),
        [[1, 2], [3, 4]],
        None,
    ),
    "commas and blanks": (b"1, 2\n 3 ,4\n", Options(), [[1, 2], [3, 4]], None),
    "another delimiter": (b"1|2\n3|4\n", Options(delimiter="|"), [[1, 2], [3, 4]], None),
    "CR LF": (b"1,2\r\n3,4\r\n", Options(), [[1, 2], [3, 4]], None),
    "CR": (b"1,2\r3,4\r", Options(), [[1, 2], [3, 4]], None),
    "byte order mark": (b"\xef\xbb\xbf1\n2\n", Options(), [[1], [2]], None),
    "byte order mark and header": (b"\xef\xbb\xbfa,b\n1,2\n", Options(), [[1, 2]], ("a", "b")),
    "quotes": (b'"1","2.5"\n3,"-4e1"\n', Options(), [[1, 2.5], [3, -40]], None),
    "comments": (b"# a, b\n1,2 # two\n\n  # so\n3,4\n", Options(), [[1, 2], [3, 4]], None),
    "blank lines": (b"\n1,2\n\n   \n3,4\n\n", Options(), [[1, 2], [3, 4]], None),
    "header": (b"a,b\n1,2\n", Options(), [[1, 2]], ("a", "b")),
    "header with a number": (b"a,2\n1,2\n", Options(), [[1, 2]], ("a", "2")),
    "header in quotes": (b'"a, or b",c\n1,2\n', Options(), [[1, 2]], ("a, or b", "c")),
    "header with blank cell": (b",b\n1,2\n", Options(), [[1, 2]], ("", "b")),
    "header of words over one column": (b"log odds\n1\n2\n", Options(), [[1], [2]], ("log odds",)),
    "header with other delimiter": (b"x, in nats\n1\n2\n", Options(), [[1], [2]], ("x, in nats",)),
    "no header asked": (b"1,2\n3,4\n", Options(header=False), [[1, 2], [3, 4]], None),
    "numbers as header": (b"1,2\n3,4\n", Options(header=True), [[3, 4]], ("1", "2")),
    "non-finite": (b"inf,-inf\nnan,Infinity\n", Options(), [[INF, -INF], [NAN, INF]], None),
    "spellings": (b"+3,.5\n5.,1E5\n", Options(), [[3, 0.5], [5, 1e5]], None),
    "decimal comma": (b"1,5;2\n-3,25;4\n", Options(decimal=","), [[1.5, 2], [-3.25, 4]], None),
    "decimal comma and blanks": (b"1,5 2,5\n", Options(decimal=","), [[1.5, 2.5]], None),
    "column by name": (b"a,b\n1,2\n3,4\n", Options(columns=("b",)), [[2], [4]], ("b",)),
    "columns by number": (b"1,2,3\n4,5,6\n", Options(columns=("3", "1")), [[3, 1], [6, 4]], None),
    "a name before a number": (b"2,x\n5,6\n", Options(columns=("2",), header=True), [[5]], ("2",)),
    "text beside the column": (b"id,v\na,1\nb,2\n", Options(columns=("v",)), [[1], [2]], ("v",)),
    "underflow": (b"1e-400\n1\n", Options(), [[0], [1]], None),
    "infinities among numbers": (b"1,inf\n-inf,2\n", Options(), [[1, INF], [-INF, 2]], None),
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    data, options, expected, columns = GOOD[name]
    values, names = read(data, options)
    assert np.array_equal(values, np.array(expected, float), equal_nan=True)
    assert values.dtype == np.float64
    assert names == columns


BAD = {
    "empty": (b"", Options(), "x.csv is empty: there are no numbers in it"),
    "blank": (b"\n \n# nothing\n", Options(), "x.csv is empty: there are no numbers in it"),
    "header only": (b"a,b\n", Options(), "x.csv has a header and no numbers below it"),
    "text": (
        b"a,b\n1,2\n3,x\n",
        Options(),
        "x.csv, line 3, column 2 (b): 'x' is not a number: "
        "correct it, or choose other columns with --column",
    ),
    "text after comments": (
        b"# one\n\n1\n# two\nx\n",
        Options(),
        "x.csv, line 5, column 1: 'x' is not a number: "
        "correct it, or choose other columns with --column",
    ),
    "underscore": (
        b"1\n1_000\n",
        Options(),
        "x.csv, line 2, column 1: '1_000' is not a number: "
        "correct it, or choose other columns with --column",
    ),
    "hexadecimal": (
        b"1\n0x10\n",
        Options(dtype="longdouble"),
        "x.csv, line 2, column 1: '0x10' is not a "
        "number: correct it, or choose other columns with --column",
    ),
    "blank cell": (
        b"1,2\n3,\n",
        Options(),
        "x.csv, line 2, column 2: the cell is blank: fill it in, "
        "or leave such cells out with --skip-na",
    ),
    "NA": (
        b"a\n1\nNA\n",
        Options(),
        "x.csv, line 3, column 1 (a): the cell is 'NA': fill it in, "
        "or leave such cells out with --skip-na",
    ),
    "NA in the first line": (
        b"1,NA\n2,3\n",
        Options(),
        "x.csv, line 1, column 2: the cell is 'NA': fill it in, "
        "or leave such cells out with --skip-na",
    ),
    "ragged": (
        b"1,2\n3,4,5\n",
        Options(),
        "x.csv, line 2: 3 cells, where line 1 has 2: "
        "make the lines as long as one another, or give --delimiter",
    ),
    "header too short": (
        b"a,b\n1,2,3\n",
        Options(),
        "x.csv, line 1: 2 cells in the header, where line 2 has 3: "
        "make them as many, or give --delimiter",
    ),
    "decimal comma": (
        b"1;2,5\n3;4\n",
        Options(),
        "x.csv, line 1, column 2: '2,5' is not a number: "
        "if the comma is its decimal sign, give --decimal ,",
    ),
    "too large": (
        b"1\n-1e400\n",
        Options(),
        "x.csv, line 2, column 1: '-1e400' overflowed to inf while it was read, before any formula "
        "ran: write inf if you mean it, or use --dtype longdouble",
    ),
    "too large beside an infinity": (
        b"inf,1\n2,1e400\n",
        Options(),
        "x.csv, line 2, column 2: '1e400' overflowed to inf while it was read, before any formula "
        "ran: write inf if you mean it, or use --dtype longdouble",
    ),
    "too large for longdouble": (
        b"1\n1e5000\n",
        Options(dtype="longdouble"),
        "x.csv, line 2, column 1: '1e5000' overflowed to inf while it was read, before any formula "
        "ran: write inf if you mean it",
    ),
    "long number": (
        b"1\n" + b"9" * 2**20 + b"\n",
        Options(),
        "x.csv, line 2, column 1: '99999999999999999999'... (1,048,576 characters) overflowed to "
        "inf while it was read, before any formula ran: write inf if you mean it, "
        "or use --dtype longdouble",
    ),
    "NUL": (b"1\n2\x00\n", Options(), "x.csv, line 2 has a NUL byte: it is not text"),
    "Latin-1": (
        "1\n2\nµ\n".encode("latin-1"),
        Options(),
        "x.csv, line 3: byte 0xb5 is not UTF-8: "
        "convert it, for instance with iconv -f LATIN1 -t UTF-8",
    ),
    "UTF-16": (
        "1\n".encode("utf-16"),
        Options(),
        "x.csv is UTF-16: convert it with iconv -f UTF-16 -t UTF-8",
    ),
    "no such column": (
        b"a,b\n1,2\n",
        Options(columns=("c",)),
        "x.csv has no column 'c': it has 'a', 'b'",
    ),
    "no such number": (
        b"1,2\n3,4\n",
        Options(columns=("3",)),
        "x.csv has no column '3': it has 2 columns and no header",
    ),
    "columns of one name": (
        b"a,a\n1,2\n",
        Options(columns=("a",)),
        "x.csv: columns 1 and 2 are both named 'a': give a number",
    ),
    "long delimiter": (
        b"1\n",
        Options(delimiter="::"),
        "the delimiter must be one character, not '::'",
    ),
    "comma twice": (
        b"1\n",
        Options(delimiter=",", decimal=","),
        "a comma cannot be both --delimiter and --decimal",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    data, options, message = BAD[name]
    with pytest.raises(ReadError) as error:
        read(data, options)
    assert str(error.value) == message


@pytest.mark.parametrize("cell", ["", "NA", "na", "N/A", "NULL", "None", "-", "<NA>", '"NA"'])
def test_skip_na(cell):
    data = f"a,b\n1,{cell}\n{cell},4\n".encode()
    (block,) = read_text(io.BytesIO(data), "x.csv", Options(skip_na=True))
    assert block.missing.tolist() == [[False, True], [True, False]]
    assert block.values[0, 0] == 1
    assert block.values[1, 1] == 4


def test_nan_is_a_number():
    (block,) = read_text(io.BytesIO(b"nan\n1\n"), "x.csv", Options(skip_na=True))
    assert block.missing is None
    assert np.isnan(block.values[0, 0])


def test_longdouble_keeps_its_digits():
    values, _ = read(b"0.1\n1e400\n", Options(dtype="longdouble"))
    assert values[0, 0] == np.longdouble("0.1")
    assert values[1, 0] == np.longdouble("1e400")


NUMBERS = st.lists(st.lists(st.floats(width=64), min_size=3, max_size=3), min_size=1, max_size=50)


@given(
    rows=NUMBERS,
    delimiter=st.sampled_from([",", "\t", ";", " "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
    block_bytes=st.integers(16, 400),
)
def test_round_trip_across_blocks(rows, delimiter, end, quoted, block_bytes):
    """Whatever the blocks, every number comes back bit for bit, in order."""
    mark = '"' if quoted else ""
    data = "".join(delimiter.join(f"{mark}{x!r}{mark}" for x in row) + end for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", block_bytes)
        blocks = list(read_text(io.BytesIO(data.encode()), "x.csv", Options()))
    values = np.concatenate([block.values for block in blocks])
    expected = np.array(rows)
    same = (values == expected) | (np.isnan(values) & np.isnan(expected))
    assert same.all()
    assert np.array_equal(np.signbit(values[values == 0]), np.signbit(expected[expected == 0]))
    offsets = [block.offset for block in blocks]
    assert offsets[0] == 0
    assert all(
        b - a == len(block.values) for (a, b), block in zip(pairwise(offsets), blocks, strict=False)
    )


@given(rows=NUMBERS, delimiter=st.sampled_from([",", " "]))
def test_slow_and_fast_agree(rows, delimiter):
    lines = [delimiter.join(map(repr, row)) for row in rows]
    data = "\n".join(lines).encode()
    (block,) = read_text(io.BytesIO(data), "x.csv", Options())
    dialect = text.read_dialect(list(enumerate(lines[:2], 1)), "x.csv", Options())
    values, missing = parse_lines(enumerate(lines, 1), dialect, "x.csv", Options())
    assert values.tobytes() == block.values.tobytes() or np.isnan(values).any()
    assert np.array_equal(values, block.values, equal_nan=True)
    assert not missing.any()


def test_blocks_are_bounded(monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 4096)
    data = b"".join(b"%d\n" % x for x in range(20_000))
    blocks = list(read_text(io.BytesIO(data), "x.csv", Options()))
    assert max(len(block.values) for block in blocks) <= 2 * 4096
    assert np.array_equal(np.concatenate([b.values for b in blocks]).ravel(), np.arange(20_000))


def test_the_line_of_an_error_far_down(monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 4096)
    data = b"a\r\n" + b"1\r\n\r\n# no\r\n" * 5000 + b"x\r\n"
    with pytest.raises(ReadError, match="line 15002, column 1"):
        read(data)


def test_a_line_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr(text, "MOST_LINE_BYTES", 3 << 20)
    with pytest.raises(ReadError, match="line 1 is longer than 3,145,728 bytes"):
        read(b"1 " * (4 << 20))


def test_a_row_of_a_million_numbers():
    values, _ = read(b",".join(b"%d" % x for x in range(10**6)))
    assert np.array_equal(values, np.arange(10.0**6)[np.newaxis])


@pytest.mark.parametrize(
    ("line", "delimiter", "expected"),
    [
        ("1, 2 ,3", ",", ["1", "2", "3"]),
        ('"a,b", "c"', ",", ["a,b", "c"]),
        ('"a#b",c # d', ",", ["a#b", "c"]),
        ("1  2\t3", None, ["1", "2", "3"]),
        ('"a b"  c', None, ["a b", "c"]),
        ("1,,2,", ",", ["1", "", "2", ""]),
    ],
)
def test_cells(line, delimiter, expected):
    assert cells(line, delimiter) == expected


def test_standard_input_has_words_of_its_own(monkeypatch):
    stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"")))
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(ReadError, match="standard input is empty: give numbers as arguments"):
        list(open_blocks("-"))
