"""Text: what is read, with which words the rest is refused, and that blocks are bounded."""

import io
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, lines, text
from stablelse.readers import ReadOptions as Options
from stablelse.readers.dialect import Line, detect_layout, split
from stablelse.readers.rows import read_cells, read_text
from stablelse.readers.source import Source

INF, NAN = np.inf, np.nan


def read(data: bytes, options=Options(), chunk_bytes=text.CHUNK_BYTES):  # noqa: B008  a tuple
    return list(text.blocks(Source("x.csv", io.BytesIO(data)), options, chunk_bytes))


def gathered(blocks):
    return np.concatenate([block.values for block in blocks])


GOOD = {
    "one a line": (b"1\n2\n3\n", Options(), [[1], [2], [3]], None),
    "no last line end": (b"1\n2", Options(), [[1], [2]], None),
    "one number": (b"7", Options(), [[7]], None),
    "one row": (b"1 2 3\n", Options(), [[1, 2, 3]], None),
    "commas": (b"1,2\n3,4\n", Options(), [[1, 2], [3, 4]], None),
    "tabs": (b"1\t2\n3\t4\n", Options(), [[1, 2], [3, 4]], None),
    "semicolons": (b"1;2\n3;4\n", Options(), [[1, 2], [3, 4]], None),
    "blanks": (b"  1   2 \n3 4\n", Options(), [[1, 2], [3, 4]], None),
    "blanks asked": (b"1 \t2\n3 4\n", Options(delimiter=" "), [[1, 2], [3, 4]], None),
    "commas and blanks": (b"1, 2\n 3 ,4\n", Options(), [[1, 2], [3, 4]], None),
    "another delimiter": (b"1|2\n3|4\n", Options(delimiter="|"), [[1, 2], [3, 4]], None),
    "tab in letters": (b"1\t2\n", Options(delimiter="\\t"), [[1, 2]], None),
    "CR LF": (b"1,2\r\n3,4\r\n", Options(), [[1, 2], [3, 4]], None),
    "CR": (b"1,2\r3,4\r", Options(), [[1, 2], [3, 4]], None),
    "all line ends": (b"1\n2\r\n3\r\r4", Options(), [[1], [2], [3], [4]], None),
    "byte order mark": (b"\xef\xbb\xbf1\n2\n", Options(), [[1], [2]], None),
    "byte order mark, header": (b"\xef\xbb\xbfa,b\n1,2\n", Options(), [[1, 2]], ("a", "b")),
    "quotes": (b'"1","2.5"\n3,"-4e1"\n', Options(), [[1, 2.5], [3, -40]], None),
    "quotes and blanks": (b' "1" , "2"\n"3" ," 4 "\n', Options(), [[1, 2], [3, 4]], None),
    "quotes between blanks": (b'"1" "2"\n3   "4" # "\n', Options(), [[1, 2], [3, 4]], None),
    "quotes beside the column": (
        b'n,x\n"A, ""B""",1\n"# C",2 # no\n',
        Options(columns=("x",)),
        [[1], [2]],
        ("x",),
    ),
    "delimiters in quotes behind a blank": (
        b'1, "a,5,b",2\n',
        Options(columns=("3",), header=False),
        [[2]],
        None,
    ),
    "comments": (b"# a, b\n1,2 # two\n\n  # so\n3,4\n", Options(), [[1, 2], [3, 4]], None),
    "blank lines": (b"\n1,2\n\n   \n3,4\n\n", Options(), [[1, 2], [3, 4]], None),
    "header": (b"a,b\n1,2\n", Options(), [[1, 2]], ("a", "b")),
    "header with a number": (b"a,2\n1,2\n", Options(), [[1, 2]], ("a", "2")),
    "header in quotes": (b'"a, or ""b""",c\n1,2\n', Options(), [[1, 2]], ('a, or "b"', "c")),
    "header with a blank": (b",b\n1,2\n", Options(), [[1, 2]], ("", "b")),
    "header over one column": (b"log odds\n1\n2\n", Options(), [[1], [2]], ("log odds",)),
    "header with a comma": (b"x, in nats\n1\n2\n", Options(), [[1], [2]], ("x, in nats",)),
    "no header asked": (b"1,2\n3,4\n", Options(header=False), [[1, 2], [3, 4]], None),
    "numbers as header": (b"1,2\n3,4\n", Options(header=True), [[3, 4]], ("1", "2")),
    "non-finite": (b"inf,-inf\nnan,Infinity\n", Options(), [[INF, -INF], [NAN, INF]], None),
    "infinite and finite": (b"1,inf\n\n#\n-inf,2\n", Options(), [[1, INF], [-INF, 2]], None),
    "spellings": (b"+3,.5\n5.,1E5\n", Options(), [[3, 0.5], [5, 1e5]], None),
    "decimal comma": (b"1,5;2\n-3,25;4\n", Options(decimal=","), [[1.5, 2], [-3.25, 4]], None),
    "decimal comma, blanks": (b"1,5 2,5\n", Options(decimal=","), [[1.5, 2.5]], None),
    "decimal comma, a point beside": (
        b"a;b\n1,5;v.1\n",
        Options(decimal=",", columns=("a",)),
        [[1.5]],
        ("a",),
    ),
    "column by name": (b"a,b\n1,2\n3,4\n", Options(columns=("b",)), [[2], [4]], ("b",)),
    "columns by number": (b"1,2,3\n4,5,6\n", Options(columns=("3", "1")), [[3, 1], [6, 4]], None),
    "a name before a number": (b"2,x\n5,6\n", Options(columns=("2",), header=True), [[5]], ("2",)),
    "one column twice": (b"1 2\n3 4\n", Options(columns=("2", "2")), [[2, 2], [4, 4]], None),
    "text beside the column": (b"id,v\na,1\nb,2\n", Options(columns=("v",)), [[1], [2]], ("v",)),
    "underflow": (b"1e-400\n1\n", Options(), [[0], [1]], None),
    "text that begins like Parquet": (b"PAR1,PAR2\n1,2\n", Options(), [[1, 2]], ("PAR1", "PAR2")),
}


@pytest.mark.parametrize("chunk_bytes", [1, 5, text.CHUNK_BYTES])
@pytest.mark.parametrize("name", GOOD)
def test_good(name, chunk_bytes):
    data, options, expected, columns = GOOD[name]
    blocks = read(data, options, chunk_bytes)
    values = gathered(blocks)
    assert np.array_equal(values, np.array(expected, float), equal_nan=True)
    assert values.dtype == np.float64
    assert {block.columns for block in blocks} == {columns}
    assert {block.source for block in blocks} == {"x.csv"}
    assert all(block.missing is None for block in blocks)


CORRECT = "correct it, or write NA for it and use --skip-na"
CHOOSE = "correct it, or choose the columns of numbers with --column"
SKIP = "fill it in, or leave out such cells with --skip-na"
RAGGED = "give all rows as many cells, or say what is between them with --delimiter"
CLOSE = "a quote is opened and not closed; close it on the same line"
DELIMITER = "cannot be a delimiter; give one character such as , ; | or a blank, or \\t for a tab"
OVERFLOWED = "overflowed to {0} while it was read, before any formula ran; write {0} if you mean it"
LONGER = ", or use --dtype longdouble"

BAD = {
    "blank lines": (
        b"\n \n# nothing\n",
        Options(),
        "x.csv is empty but for blank lines and comments; give it rows of numbers",
    ),
    "header only": (
        b"a,b\n",
        Options(),
        "x.csv has a header ('a', 'b') and no numbers below it; add rows of numbers",
    ),
    "header only, asked": (
        b"1\n",
        Options(header=True),
        "x.csv has a header ('1') and no numbers below it; leave out --header",
    ),
    "text": (
        b"a,b\n1,2\n3,x\n",
        Options(),
        f"x.csv, line 3, column 2 ('b'): 'x' is not a number; {CHOOSE}",
    ),
    "text after comments": (
        b"# one\n\n1\n# two\nx\n",
        Options(),
        f"x.csv, line 5, column 1: 'x' is not a number; {CORRECT}",
    ),
    "names as numbers": (
        b"a,b\n1,2\n",
        Options(header=False),
        "x.csv, line 1, column 1: 'a' is not a number; leave out --no-header if the line holds names",
    ),
    "a chosen column of text": (
        b"a,b\n1,2\nx,4\n",
        Options(columns=("b", "a")),
        f"x.csv, line 3, column 1 ('a'): 'x' is not a number; {CHOOSE}",
    ),
    "underscore": (
        b"1_000\n1\n",
        Options(),
        "x.csv, line 1, column 1: '1_000' is not a number; write it without underscores",
    ),
    "other digits": (
        "1\n１\n".encode(),
        Options(),
        "x.csv, line 2, column 1: '１' is not a number; write it with the digits and signs of ASCII",
    ),
    "hexadecimal": (
        b"1\n0x10\n",
        Options(dtype="longdouble"),
        f"x.csv, line 2, column 1: '0x10' is not a number; {CORRECT}",
    ),
    "blank cell of longdouble": (
        b"1, \n",
        Options(dtype="longdouble"),
        f"x.csv, line 1, column 2 is blank; {SKIP}",
    ),
    "a NaN with a payload": (
        b"1\nnan(1)\n",
        Options(dtype="longdouble"),
        f"x.csv, line 2, column 1: 'nan(1)' is not a number; {CORRECT}",
    ),
    "another delimiter": (
        b"1|2\n3|4\n",
        Options(header=False),
        "x.csv, line 1, column 1: '1|2' is not a number; if it is 2 numbers, use --delimiter '|'",
    ),
    "a tab": (
        b"1\t2\n3\t4\n",
        Options(delimiter=",", header=False),
        "x.csv, line 1, column 1: '1\\t2' is not a number; if it is 2 numbers, use --delimiter '\\t'",
    ),
    "decimal comma": (
        b"1;2,5\n3;4\n",
        Options(),
        "x.csv, line 1, column 2: '2,5' is not a number; "
        "if its comma is a decimal comma, use --decimal ,",
    ),
    "decimal point": (
        b"1,5;2\n1.500;4\n",
        Options(decimal=","),
        "x.csv, line 2, column 1: '1.500' is not a number; "
        "with --decimal , a period is no decimal sign",
    ),
    "blank cell": (b"1,2\n3,\n", Options(), f"x.csv, line 2, column 2 is blank; {SKIP}"),
    "NA": (b"a\n1\nNA\n", Options(), f"x.csv, line 3, column 1 ('a') is 'NA', no number; {SKIP}"),
    "NA first": (b"1,NA\n2,3\n", Options(), f"x.csv, line 1, column 2 is 'NA', no number; {SKIP}"),
    "too long a row": (
        b"1,2\n3,4,5\n",
        Options(),
        f"x.csv, line 2 has 3 cells, where line 1 has 2; {RAGGED}",
    ),
    "too short a row": (
        b"1,2\n3\n",
        Options(),
        f"x.csv, line 2 has 1 cell, where line 1 has 2; {RAGGED}",
    ),
    "too short a header": (
        b"a,b\n1,2,3\n",
        Options(),
        f"x.csv, line 2 has 3 cells, where line 1 has 2; {RAGGED}",
    ),
    "uneven beside the column": (
        b"1,2,3\n4,5,6,7\n",
        Options(columns=("1",)),
        f"x.csv, line 2 has 4 cells, where line 1 has 3; {RAGGED}",
    ),
    "uneven beside the column, quotes": (
        b'"a, b",1\n"c",1,2\n',
        Options(columns=("2",), header=False),
        f"x.csv, line 2 has 3 cells, where line 1 has 2; {RAGGED}",
    ),
    "uneven beside the column, comments": (
        b"1,2,3\n4 # ,5,6\n",
        Options(columns=("1",)),
        f"x.csv, line 2 has 1 cell, where line 1 has 3; {RAGGED}",
    ),
    "a number over two lines": (b'"1\n5"\n6\n', Options(), f"x.csv, line 1: {CLOSE}"),
    "an open quote at the end": (b'1\n"2\n', Options(), f"x.csv, line 2: {CLOSE}"),
    "an open quote in the header": (b'"a\n1\n', Options(), f"x.csv, line 1: {CLOSE}"),
    "text behind a quote": (
        b'1\n"1"5\n',
        Options(),
        f"x.csv, line 2, column 1: '\"1\"5' is not a number; {CORRECT}",
    ),
    "a number behind blanks in quotes": (
        b'1,2\n"" 5,3\n',
        Options(),
        f"x.csv, line 2, column 1: '\"\" 5' is not a number; {CHOOSE}",
    ),
    "overflow": (
        b"1\n-1e400\n",
        Options(),
        f"x.csv, line 2, column 1: -1e400 {OVERFLOWED.format('-inf')}{LONGER}",
    ),
    "overflow in the first line": (
        b"1e400\n",
        Options(),
        f"x.csv, line 1, column 1: 1e400 {OVERFLOWED.format('inf')}{LONGER}",
    ),
    "overflow beside an infinity": (
        b"inf,1\n2,1e400\n",
        Options(),
        f"x.csv, line 2, column 2: 1e400 {OVERFLOWED.format('inf')}{LONGER}",
    ),
    "overflow of longdouble": (
        b"1\n1e5000\n",
        Options(dtype="longdouble"),
        f"x.csv, line 2, column 1: 1e5000 {OVERFLOWED.format('inf')}",
    ),
    "overflow by many digits": (
        b"1\n" + b"9" * 400 + b"\n",
        Options(),
        f"x.csv, line 2, column 1: {'9' * 24}... {OVERFLOWED.format('inf')}{LONGER}",
    ),
    "a megabyte of a number": (
        b"1\n1." + b"0" * 2**20 + b"\n",
        Options(),
        "x.csv, line 2, column 1: '1.0000000000'... has 1,048,578 characters; "
        "a number has at most 65,536; is a delimiter missing?",
    ),
    "NUL": (
        b"1\r2\x00\r",
        Options(),
        "x.csv, line 2 has a NUL byte, as no text has; give text (CSV), or an array in a .npy file",
    ),
    "Latin-1": (
        "1\r2\r3 µ\r".encode("latin-1"),
        Options(),
        "x.csv, line 3, byte 3: 0xb5 is not UTF-8; "
        "convert the file, for example: iconv -f LATIN1 -t UTF-8",
    ),
    "UTF-16": (
        "1\n".encode("utf-16"),
        Options(),
        "cannot read x.csv: it is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8",
    ),
    "pickle": (
        b"\x80\x04\x95\x00",
        Options(),
        "cannot read x.csv: it is a pickle (.pkl, .joblib, old .pt), which could run any code; "
        "where it is trusted, load it in Python, and save the array with numpy.save",
    ),
    "no such name": (
        b"a,b\n1,2\n",
        Options(columns=("c",)),
        "x.csv has no column 'c'; it has 2 columns: 'a', 'b'",
    ),
    "no such name of many": (
        b",".join(b"c%d" % x for x in range(20)) + b"\n" + b",".join([b"1"] * 20),
        Options(columns=("c",)),
        "x.csv has no column 'c'; it has 20 columns: "
        "'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7' and 12 more",
    ),
    "no such number": (
        b"1,2\n",
        Options(columns=("3",)),
        "x.csv has no column '3'; it has 2 columns",
    ),
    "columns count from 1": (
        b"1\n",
        Options(columns=("0",)),
        "x.csv has no column '0'; it has 1 column",
    ),
    "a number of many digits": (
        b"1\n",
        Options(columns=("9" * 5000,)),
        f"x.csv has no column '{'9' * 40}'...; it has 1 column",
    ),
    "a name without a header": (
        b"1,2\n",
        Options(columns=("²",)),
        "x.csv has no column '²', for it has no header; give the column's number, from 1 to 2",
    ),
    "columns of one name": (
        b"a,b,a\n1,2,3\n",
        Options(columns=("a",)),
        "x.csv has 2 columns named 'a'; choose one by its number: 1 or 3",
    ),
    "comma twice": (
        b"1\n",
        Options(delimiter=",", decimal=","),
        "the comma cannot be both delimiter and decimal sign; choose one of them",
    ),
} | {
    f"delimiter {sign!r}": (b"1\n", Options(delimiter=sign), f"{sign!r} {DELIMITER}")
    for sign in ("::", "", "#", '"', "\n", "\r", "\0", "1", "e", "-", ".")
}


@pytest.mark.parametrize("chunk_bytes", [64, text.CHUNK_BYTES])
@pytest.mark.parametrize("name", BAD)
def test_bad(name, chunk_bytes):
    data, options, message = BAD[name]
    with pytest.raises(ReadError) as error:
        read(data, options, chunk_bytes)
    assert str(error.value) == message
    assert "\n" not in message


@pytest.mark.parametrize("cell", ["", "NA", "na", "N/A", "NULL", "None", "<NA>", '"NA"', '""'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_skip_na(cell, delimiter):
    rows = [["a", "b"], ["1", cell], [cell, "4"], ["5", "6"]]
    data = "\n".join(map(delimiter.join, rows)).encode()
    (block, last) = read(data, Options(skip_na=True))
    assert block.missing.tolist() == [[False, True], [True, False]]
    assert np.array_equal(block.values, [[1, NAN], [NAN, 4]], equal_nan=True)
    assert (last.missing, last.values.tolist()) == (None, [[5, 6]])


def test_a_missing_cell_does_not_hide_a_bad_one():
    with pytest.raises(ReadError, match="line 2, column 2: 'x' is not a number"):
        read(b"1,NA\nNA,x\n", Options(skip_na=True))


def test_nan_is_a_number():
    (block,) = read(b"nan\n1\n", Options(skip_na=True))
    assert block.missing is None
    assert np.isnan(block.values[0, 0])


@pytest.mark.parametrize("first", ["1", '"1"', "NA"])
@pytest.mark.parametrize(
    "literal", ["0.1", "1e400", "1e-4940", "-inf", "3.141592653589793238462643"]
)
def test_longdouble_keeps_its_digits(first, literal):
    blocks = read(f"{first}\n{literal}\n".encode(), Options(dtype="longdouble", skip_na=True))
    value = gathered(blocks)[1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of a subnormal number
        expected = np.longdouble(literal)
    assert value.dtype == np.longdouble
    assert value == expected


ROWS = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.floats(width=64), min_size=n, max_size=n), min_size=1)
)


@given(
    rows=ROWS,
    delimiter=st.sampled_from([",", "\t", ";", " ", " , ", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", " # so\n"]),
    quote=st.sampled_from(["", '"']),
    header=st.booleans(),
    decimal=st.sampled_from([".", ","]),
    chunk_bytes=st.integers(1, 400),
)
def test_round_trip(rows, delimiter, end, quote, header, decimal, chunk_bytes):
    """Whatever the chunks, every number comes back bit for bit, and blocks follow each other."""
    if "," in delimiter:
        decimal = "."
    lines = [[quote + repr(x).replace(".", decimal) + quote for x in row] for row in rows]
    if header:
        lines.insert(0, [f"c{x}" for x in range(len(rows[0]))])
    data = "".join(delimiter.join(line) + end for line in lines).encode()
    options = Options(decimal=decimal, delimiter="|" if delimiter == "|" else None)
    blocks = read(data, options, chunk_bytes)
    values = gathered(blocks)
    assert values.tobytes() == np.array([[float(repr(x)) for x in row] for row in rows]).tobytes()
    offsets = [block.offset for block in blocks]
    assert offsets[0] == 0
    assert all(
        after - before == len(block.values)
        for (before, after), block in zip(pairwise(offsets), blocks, strict=False)
    )


CELLS = st.one_of(
    st.floats(width=64).map(repr),
    st.sampled_from(["1", " 2", "1_0", "0x1", "inf", "-Infinity", "NA", "", '"3"', '" 4"', '"5']),
    st.text('1.e+-#" \u00a0xX(,;\t', max_size=4),
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=6),
    delimiter=st.sampled_from([",", ";", None]),
    columns=st.sampled_from([(), ("1",), ("2", "1")]),
    dtype=st.sampled_from(["float64", "longdouble"]),
    decimal=st.sampled_from([".", ","]),
)
def test_fast_reads_what_careful_reads(rows, delimiter, columns, dtype, decimal):
    """NumPy's parser may refuse what the definition takes, but never take or read it otherwise."""
    if delimiter == decimal:
        decimal = "."
    lines = [
        Line(number, text)
        for number, text in enumerate(((delimiter or " ").join(row) for row in rows), 1)
        if text.strip() and not text.lstrip().startswith("#")
    ]
    options = Options(columns, False, False, delimiter or " ", decimal, dtype)
    try:
        layout = detect_layout(lines[:2], "x", options)
    except (ReadError, IndexError):
        return
    found = read_text("\n".join(line.text for line in lines), layout)
    if found is None:
        return
    if np.isinf(found).any() and "overflowed" in complaint(lambda: read_cells(lines, layout)):
        return
    expected, missing = read_cells(lines, layout)
    assert missing is None
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(expected))


def complaint(action):
    try:
        action()
    except ReadError as error:
        return str(error)
    return ""


@given(data=st.binary(max_size=200), options=st.sampled_from([Options(), Options(skip_na=True)]))
def test_any_bytes_give_numbers_or_one_line(data, options):
    said = complaint(lambda: read(data, options))
    assert said == "" or ("x.csv" in said and said.isprintable() and len(said) < 400)


def test_blocks_are_bounded():
    data = b"".join(b"%d\n" % x for x in range(20_000))
    blocks = read(data, chunk_bytes=4096)
    assert max(len(block.values) for block in blocks) <= 4096 / 2
    assert np.array_equal(gathered(blocks).ravel(), np.arange(20_000.0))


def test_blocks_are_bounded_where_every_chunk_ends_in_a_carriage_return():
    assert len(read(b"1\r" * 100, chunk_bytes=2)) > 50


def test_the_line_of_an_error_far_down():
    data = b"a\r\n" + b"1\r\n\r\n# no\r\n" * 5000 + b"x\r\n"
    with pytest.raises(ReadError, match="line 15002, column 1"):
        read(data, chunk_bytes=4096)


def test_a_line_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2 << 20)
    with pytest.raises(ReadError, match="line 1 is longer than 2 MiB; put fewer numbers on a line"):
        read(b"1 " * (4 << 20))


def test_a_row_of_a_million_numbers():
    values = gathered(read(b",".join(b"%d" % x for x in range(10**6))))
    assert np.array_equal(values, np.arange(10.0**6)[np.newaxis])


def test_a_long_comment_is_no_long_number():
    data = b"1,2\n# " + b"x" * 2**17 + b"\n3,4\n"
    assert gathered(read(data)).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("line", "delimiter", "expected"),
    [
        ("1, 2 ,3", ",", ["1", "2", "3"]),
        ('"a,b", "c"', ",", ["a,b", "c"]),
        ('"a#b",c # d, "', ",", ["a#b", "c"]),
        ('"say ""a, b""",c', ",", ['say "a, b"', "c"]),
        ("1  2\t3", None, ["1", "2", "3"]),
        ('"a b"  c', None, ["a b", "c"]),
        ("1,,2,", ",", ["1", "", "2", ""]),
    ],
)
def test_split(line, delimiter, expected):
    assert split(Line(1, line), delimiter, "x.csv") == expected
