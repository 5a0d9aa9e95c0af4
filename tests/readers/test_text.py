"""Text and arguments: what is read, which errors refuse the rest, that blocks are bounded."""

import io
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import text
from stablelse.readers.blocks import ReadError
from stablelse.readers.blocks import ReadOptions as Options
from stablelse.readers.literals import is_missing, parse_numbers
from stablelse.readers.sources import file_source

INF, NAN = np.inf, np.nan


def read(data: bytes, options=Options(), piece_bytes=1 << 20):  # noqa: B008  a tuple
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE_BYTES", piece_bytes)
        return list(text.text(file_source("x.csv", io.BytesIO(data)), options))


def gathered(blocks):
    return np.concatenate([block.values for block in blocks])


def case(data, rows, names=None, **options):
    return data.encode(), rows, names, Options(**options)


GOOD = {
    "one a line": case("1\n2\n3\n", [[1], [2], [3]]),
    "no last line end": case("1\n2", [[1], [2]]),
    "one number": case("7", [[7]]),
    "one row": case("1 2 3\n", [[1, 2, 3]]),
    "commas": case("1,2\n3,4\n", [[1, 2], [3, 4]]),
    "tabs": case("1\t2\n3\t4\n", [[1, 2], [3, 4]]),
    "semicolons": case("1;2\n3;4\n", [[1, 2], [3, 4]]),
    "blanks": case("  1   2 \n3 4\n", [[1, 2], [3, 4]]),
    "blanks asked": case("1 \t2\n3 4\n", [[1, 2], [3, 4]], delimiter=" "),
    "commas and blanks": case("1, 2\n 3 ,4\n", [[1, 2], [3, 4]]),
    "another delimiter": case("1:2\n3:4\n", [[1, 2], [3, 4]], delimiter=":"),
    "bars": case("a | b\n1 | 2\n3|4\n", [[1, 2], [3, 4]], names=("a", "b")),
    "bars in a header": case("P(a|b)\n1\n2\n", [[1], [2]], names=("P(a|b)",)),
    "a delimiter at the end": case("1,2,\n3,4, \n", [[1, 2], [3, 4]]),
    "a delimiter at the end of all": case("a;b;\n1;2;\n", [[1, 2]], names=("a", "b")),
    "a delimiter at the end of rows": case("a;b\n1;2;\n", [[1, 2]], names=("a", "b")),
    "a delimiter at the end of the header": case("a\tb\t\n1\t2\n", [[1, 2]], names=("a", "b")),
    "a delimiter at the end of a line": case("1,2,\n", [[1, 2]]),
    "a delimiter at the end, a column": case("1,2,\n3,4,\n", [[2], [4]], columns=("2",)),
    "tab in letters": case("1\t2\n", [[1, 2]], delimiter="\\t"),
    "CR LF": case("1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
    "CR": case("1,2\r3,4\r", [[1, 2], [3, 4]]),
    "all line ends": case("1\n2\r\n3\r\r4", [[1], [2], [3], [4]]),
    "byte order mark": case("\ufeff1\n2\n", [[1], [2]]),
    "byte order mark, header": case("\ufeffa,b\n1,2\n", [[1, 2]], names=("a", "b")),
    "quotes": case('"1","2.5"\n3,"-4e1"\n', [[1, 2.5], [3, -40]]),
    "quotes and blanks": case(' "1" , "2"\n"3" ," 4 "\n', [[1, 2], [3, 4]]),
    "quotes between blanks": case('"1" "2"\n3   "4" # "\n', [[1, 2], [3, 4]]),
    "quotes beside the column": case(
        'n,x\n"A, ""B""",1\n"# C",2 # no\n', [[1], [2]], names=("x",), columns=("x",)
    ),
    "delimiters in quotes behind a blank": case(
        '1, "a,5,b",2\n', [[2]], columns=("3",), header=False
    ),
    "comments": case("# a, b\n1,2 # two\n\n  # so\n3,4\n", [[1, 2], [3, 4]]),
    "blank lines": case("\n1,2\n\n   \n3,4\n\n", [[1, 2], [3, 4]]),
    "header": case("a,b\n1,2\n", [[1, 2]], names=("a", "b")),
    "header with a number": case("a,2\n1,2\n", [[1, 2]], names=("a", "2"), header=True),
    "header in quotes": case('"a, or ""b""",c\n1,2\n', [[1, 2]], names=('a, or "b"', "c")),
    "header with a blank": case("a,,c\n1,2,3\n", [[1, 2, 3]], names=("a", "", "c")),
    "header of words in quotes": case('"% so","(n)"\n1,2\n', [[1, 2]], names=("% so", "(n)")),
    "header of letters": case("µ,_x,é\n1,2,3\n", [[1, 2, 3]], names=("µ", "_x", "é")),
    "header over one column": case("log odds\n1\n2\n", [[1], [2]], names=("log odds",)),
    "header with a comma": case("x, in nats\n1\n2\n", [[1], [2]], names=("x, in nats",)),
    "no header asked": case("1,2\n3,4\n", [[1, 2], [3, 4]], header=False),
    "numbers as header": case("1,2\n3,4\n", [[3, 4]], names=("1", "2"), header=True),
    "non-finite": case("inf,-inf\nnan,Infinity\n", [[INF, -INF], [NAN, INF]]),
    "infinite and finite": case("1,inf\n\n#\n-inf,2\n", [[1, INF], [-INF, 2]]),
    "spellings": case("+3,.5\n5.,1E5\n", [[3, 0.5], [5, 1e5]]),
    "signs of Unicode": case("−800\n−1e−3\n∞\n", [[-800], [-1e-3], [INF]]),
    "Fortran": case("1.0D+02 -2d-3\n3D0 4\n", [[100, -2e-3], [3, 4]]),
    "a number sign in a name": case("a#b,c\n1,2 #3\n", [[1, 2]], names=("a#b", "c")),
    "no-break spaces": case("\u00a01,2\u00a0\n3,4\n", [[1, 2], [3, 4]]),
    "decimal comma": case("1,5;2\n-3,25;4\n", [[1.5, 2], [-3.25, 4]], decimal=","),
    "decimal comma, blanks": case("1,5 2,5\n", [[1.5, 2.5]], decimal=","),
    "decimal commas in quotes": case(
        'a,b\n"1,5","-2,5"\n3,"4,5"\n', [[1.5, -2.5], [3, 4.5]], names=("a", "b"), decimal=","
    ),
    "decimal commas in quotes, asked": case(
        '"1,5","2,5"\n', [[1.5, 2.5]], decimal=",", delimiter=","
    ),
    "decimal commas in quotes, semicolons": case('"1,5";"2,5"\n', [[1.5, 2.5]], decimal=","),
    "one decimal comma in quotes a line": case('"1,5"\n"2,5"\n', [[1.5], [2.5]], decimal=","),
    "decimal comma, a point beside": case(
        "a;b\n1,5;v.1\n", [[1.5]], names=("a",), decimal=",", columns=("a",)
    ),
    "column by name": case("a,b\n1,2\n3,4\n", [[2], [4]], names=("b",), columns=("b",)),
    "columns by number": case("1,2,3\n4,5,6\n", [[3, 1], [6, 4]], columns=("3", "1")),
    "a name before a number": case("2,x\n5,6\n", [[5]], names=("2",), columns=("2",), header=True),
    "one column twice": case("1 2\n3 4\n", [[2, 2], [4, 4]], columns=("2", "2")),
    "text beside the column": case("id,v\na,1\nb,2\n", [[1], [2]], names=("v",), columns=("v",)),
    "underflow": case("1e-400\n1\n", [[0], [1]]),
    "text that begins like Parquet": case("PAR1,PAR2\n1,2\n", [[1, 2]], names=("PAR1", "PAR2")),
}


#: A text with an index, the names of the other columns, and the positions of its index.
INDEXED = {
    "pandas": (",a,b\n0,1,2\n1,3,4\n", ("a", "b"), "column 1 is"),
    "pandas, other delimiters": ("\ta\tb\nx\t1\t2\ny\t3\t4\n", ("a", "b"), "column 1 is"),
    "pandas, no names": (",0,1\n0,1,2\n1,3,4\n", ("0", "1"), "column 1 is"),
    "pandas, two levels": (",,a,b\n0,x,1,2\n0,y,3,4\n", ("a", "b"), "columns 1, 2 are"),
    "pandas, read back": (
        ",Unnamed: 0,a,b\n0,0,1,2\n1,1,3,4\n",
        ("a", "b"),
        "columns 1, 2 ('Unnamed: 0') are",
    ),
    "pandas, printed": ("   a  b\n0  1  2\n1  3  4\n", ("a", "b"), "column 1 is"),
    "R, write.csv": ('"","V1","V2"\n"1",1,2\n"2",3,4\n', ("V1", "V2"), "column 1 is"),
    "R, write.table": ('"V1" "V2"\n"1" 1 2\n"2" 3 4\n', ("V1", "V2"), "column 1 is"),
    "R, write.table, names": ('"a" "b"\n"A B" 1 2\n"C" 3 4\n', ("a", "b"), "column 1 is"),
}


@pytest.mark.parametrize("name", INDEXED)
def test_an_index_is_left_out(name):
    text, names, which = INDEXED[name]
    data = text.encode()
    for skip_na, piece_bytes in product([False, True], [7, 1 << 20]):
        notes = []
        blocks = read(data, Options(skip_na=skip_na, note=notes.append), piece_bytes)
        assert gathered(blocks).tolist() == [[1, 2], [3, 4]]
        assert {block.columns for block in blocks} == {names}
        header, index = notes
        assert (header.header, header.text) == (names, f"line 1 is a header: {', '.join(names)}")
        assert (index.header, index.source) == (None, "x.csv")
        assert index.text.startswith(f"{which} an index and left out")
    notes.clear()
    last = gathered(read(data, Options(columns=(names[1],), note=notes.append)))
    assert (last.tolist(), len(notes)) == ([[2], [4]], 1)
    number = str(names.index(names[1]) + 2 + ("2" in which))
    assert gathered(read(data, Options(columns=(number,)))).tolist() == [[2], [4]]


@pytest.mark.parametrize("header", [None, False])
@pytest.mark.parametrize(
    ("data", "last"),
    [("0,1\n0.5,1.5\n", 1), ("0 1 2\n1 2 -3\n", 2)]
    + [
        (data, None)
        for data in ("0,1\n2,3\n", "1,2\n0.5,1.5\n", "0\n0.5\n", "0,1\n", "0,1.0\n.5,1\n")
    ],
)
def test_a_line_that_counts_columns_is_a_row_with_a_note(data, last, header):
    notes = []
    rows = gathered(read(data.encode(), Options(header=header, note=notes.append)))
    assert len(rows) == data.count("\n")
    said = f"line 1 is 0 to {last}; if these are column names, use --header"
    assert [note.text for note in notes] == ([said] if last and header is None else [])


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    data, expected, names, options = GOOD[name]
    for piece_bytes in (1, 5, 1 << 20):
        blocks = read(data, options, piece_bytes)
        values = gathered(blocks)
        assert np.array_equal(values, np.array(expected, float), equal_nan=True)
        assert values.dtype == np.float64
        assert {(block.columns, block.source) for block in blocks} == {(names, "x.csv")}
        assert all(block.missing is None for block in blocks)


HEADER = "use --header if these are column names"


@pytest.mark.parametrize("cell", ["", "NA", "na", "N/A", "NULL", "None", "<NA>", '"NA"', '""'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_skip_na(cell, delimiter):
    rows = [["a", "b"], ["1", cell], [cell, "4"], ["5", "nan"]]
    data = "\n".join(map(delimiter.join, rows)).encode()
    (block, last) = read(data, Options(skip_na=True))
    assert block.missing.tolist() == [[False, True], [True, False]]
    assert np.array_equal(block.values, [[1, NAN], [NAN, 4]], equal_nan=True)
    assert last.missing is None
    assert np.array_equal(last.values, [[5, NAN]], equal_nan=True)


def test_a_missing_cell_does_not_hide_a_bad_one():
    with pytest.raises(ReadError, match="line 2, column 2: 'x' is not a number"):
        read(b"1,NA\nNA,x\n", Options(skip_na=True))


@pytest.mark.parametrize("first", ["1", '"1"', "NA"])
@pytest.mark.parametrize(
    "literal", ["0.1", "1e400", "1e-4940", "-inf", "3.141592653589793238462643"]
)
def test_longdouble_keeps_its_digits(first, literal):
    options = Options(dtype="longdouble", skip_na=True, header=False)
    blocks = read(f"{first}\n{literal}\n".encode(), options)
    value = gathered(blocks)[1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns about a subnormal number
        expected = np.longdouble(literal)
    assert value.dtype == np.longdouble
    assert value == expected


#: First lines that must not be dropped: a typo in a number, or no number.
TYPOS = [
    "5.6-304", "10%", "?", ".", "1.2.3", "1/3", "5-", "1_000", "1e", "70000x", "$5", "€5", "£5",
    "(5)", "[5", "{-5", "0x10", "\u200b5", "\u00ad5", "5\u200b", "–5", "—5", "‐5", "－5", "±5", "+",
    "--", "---", "-", "\\N", "NA", "N/A", "<NA>", "null", "None", "nan(1)", "1.#J", "１", "٣", "½",
    "²", "Ⅷ", "1,5", "'5'", "=1+2", "<5", "~5", "≈5", "2020-01-01", "12:30", "1h", "%5", "@1",
    "#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "Err:502", "-x", ".x", "*",
]  # fmt: skip


FIRST_LINES = ["{}\n-801\n", "{};1\n1;2\n", "1;{}\n1;2\n", "# so\n\n{};;\n1;2;3\n"]


@pytest.mark.parametrize("cell", TYPOS)
def test_a_typo_in_the_first_line_is_no_header(cell):
    for rows, quote in product(FIRST_LINES, ["", '"']):
        if cell == "1,5" and not quote:
            rows = rows.replace(";;", ";4").replace("{}\n-801", "{};1\n1;2")
        said = complaint(lambda text: read(text.encode()), rows.format(quote + cell + quote))
        line, column = (3 if rows[0] == "#" else 1), (2 if rows[0] == "1" else 1)
        assert said.startswith(f"x.csv, line {line}, column {column}")
        assert said.endswith(f", or {HEADER}")
    said = complaint(lambda text: read(text.encode()), f"a;{cell}\n1;2\n")
    beside_a_name = "x.csv, line 1 mixes names and numbers, such as 'a' and "
    assert said.startswith(beside_a_name) or (not said and (is_missing(cell) or cell[0] in "%@'"))


def complaint(action, *args):
    try:
        action(*args)
    except ReadError as error:
        return str(error)
    return ""


def test_blocks_are_bounded():
    data = b"".join(b"%d\n" % x for x in range(20_000))
    blocks = read(data, piece_bytes=4096)
    assert max(len(block.values) for block in blocks) <= 4096 / 2
    assert np.array_equal(gathered(blocks).ravel(), np.arange(20_000.0))
    # also if every piece ends in a carriage return
    assert len(read(b"1\r" * 100, piece_bytes=2)) > 50


def test_the_line_of_an_error_far_down():
    data = b"a\r\n" + b"1\r\n\r\n# no\r\n" * 5000 + b"x\r\n"
    with pytest.raises(ReadError, match="line 15002, column 1"):
        read(data, piece_bytes=4096)


def test_a_long_comment_is_no_long_number():
    data = b"1,2\n# " + b"x" * 2**17 + b"\n3,4\n"
    assert gathered(read(data)).tolist() == [[1, 2], [3, 4]]


SPELLINGS = {
    **{"1": 1, " -2.5": -2.5, "-inf": -np.inf, "1e5": 1e5, ".5": 0.5, "+3": 3, "nan": np.nan},
    **{"−5": -5, "−.5e−3": -0.5e-3, "∞": np.inf, "-∞": -np.inf, "−∞": -np.inf, "+∞": np.inf},
    **{"1.0D+02": 100, "-2.5d-3": -2.5e-3, "1d5": 1e5, "1D0": 1},
    **{"Infinity": np.inf, "-INFINITY": -np.inf, "iNf": np.inf, "NaN": np.nan, "-nAN": np.nan},
    "\u00a05\u2009": 5,
}


@pytest.mark.parametrize("dtype", ["float64", "longdouble"])
def test_spellings(dtype):
    values = parse_numbers(list(SPELLINGS), dtype=dtype)
    assert values.dtype == dtype
    expected = [np.dtype(dtype).type(repr(value)) for value in SPELLINGS.values()]
    assert np.array_equal(values, expected, equal_nan=True)


@given(st.floats(width=64))
def test_round_trip(x):
    assert parse_numbers([repr(x)]).tobytes() == np.float64(repr(x)).tobytes()


BAD_ARGUMENTS = [
    *("abc", "", "NA", "?", "--", "-1q2", "1e", "1.2.3", "1.#J", "#N/A", "nan(1)", "1d", "1d5e3"),
    *("1.0DD2", "2020-01-01", "=1+2", "½", "0x10", "-0XFF", "1_0", "1_000.5", "１", "٣.٥", "–5"),
    *("—5", "‐5", "﹣5", "－5", "10%", "-0.5 %", "$5", "€ 5", "5€", "-$5", "US$ 5", "\u200b5"),
    *("5\ufeff", "\u00ad5", "1,234,567", "1'000", "5\u00a0000", "5\u202f000.5", "5.6-304"),
    *("-1.5+100", "1/3", "5-", "(5)", "5#c", "1,2", "a\nb", "9" * 10**5, "1e400", "1D400"),
    "np.float64(1.5)",
]


def test_bad_arguments(golden):
    lines = []
    for token in BAD_ARGUMENTS:
        with pytest.raises(ReadError) as error:
            parse_numbers(["1", token])
        lines.append(f"{error.value}\n")
    golden("bad-literals.txt", "".join(lines), has_results=False)


def test_a_file_is_no_number(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("1\n")
    with pytest.raises(ReadError, match=f"--file {file} reads the file"):
        parse_numbers([str(file)])
