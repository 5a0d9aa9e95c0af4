"""One literal at a time, as on a command line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, parse_numbers

SPELLINGS = {
    **{"1": 1, " -2.5": -2.5, "-inf": -np.inf, "1e5": 1e5, ".5": 0.5, "+3": 3, "nan": np.nan},
    **{"−5": -5, "−.5e−3": -0.5e-3, "∞": np.inf, "-∞": -np.inf, "−∞": -np.inf, "+∞": np.inf},
    **{"1.0D+02": 100, "-2.5d-3": -2.5e-3, "1d5": 1e5, "1D0": 1},
    **{"1.#INF": np.inf, "-1.#INF": -np.inf, "1.#INF00": np.inf, "+1.#inf": np.inf},
    **{"1.#IND": np.nan, "-1.#IND": np.nan, "-1.#IND00": np.nan, "1.#QNAN": np.nan},
    **{"Infinity": np.inf, "-INFINITY": -np.inf, "iNf": np.inf, "NaN": np.nan, "-nAN": np.nan},
    "\u00a05\u2009": 5,
}


@pytest.mark.parametrize("dtype", ["float64", "longdouble"])
def test_spellings(dtype):
    values = parse_numbers(list(SPELLINGS), dtype=dtype)
    assert values.dtype == dtype
    expected = [np.dtype(dtype).type(repr(value)) for value in SPELLINGS.values()]
    assert np.array_equal(values, expected, equal_nan=True)


def test_longdouble():
    values = parse_numbers(["0.1", "1e400"], dtype="longdouble")
    assert values.tolist() == [np.longdouble("0.1"), np.longdouble("1e400")]


@given(st.floats(width=64))
def test_round_trip(x):
    assert parse_numbers([repr(x)]).tobytes() == np.float64(repr(x)).tobytes()


NUMBERS = "give numbers such as 1000, -0.5, 1e-3 or -inf"
DIGITS = "write it with the digits 0 to 9"
THOUSANDS = "write it without thousands separators"
FORTRAN = "if it ends in an exponent, as Fortran writes it, put an e before that"
BAD = {
    **dict.fromkeys(["abc", "", "NA", "?", "--", "-1q2", "1e", "1.2.3", "1.#J", "#N/A"], NUMBERS),
    **dict.fromkeys(["nan(1)", "1d", "1d5e3", "1.0DD2", "2020-01-01", "=1+2", "½"], NUMBERS),
    **dict.fromkeys(["0x10", "-0XFF"], "write it in decimal"),
    **dict.fromkeys(["1_0", "1_000.5"], "write it without underscores"),
    **dict.fromkeys(["１", "٣.٥"], DIGITS),
    **dict.fromkeys(["–5", "—5", "‐5", "﹣5", "－5"], "write its minus sign as -"),
    **dict.fromkeys(["10%", "-0.5 %"], "write it without the percent sign"),
    **dict.fromkeys(["$5", "€ 5", "5€", "-$5", "US$ 5"], "write it without the currency sign"),
    **dict.fromkeys(["\u200b5", "5\ufeff", "\u00ad5"], "remove the invisible character"),
    **dict.fromkeys(["1,234,567", "1'000", "5\u00a0000", "5\u202f000.5"], THOUSANDS),
    **dict.fromkeys(["5.6-304", "-1.5+100"], FORTRAN),
    "1/3": "write the fraction as a decimal number",
    "5-": "write its minus sign in front",
    "(5)": "if the brackets are a minus sign, write it as -",
    "5#c": "if a comment begins there, put a blank before the #",
    "1,2": "put a blank between numbers, and a period before decimals",
    "a\nb": NUMBERS,
}
BAD = {token: f"{token!r} is not a number; {fix}" for token, fix in BAD.items()}
BAD |= {
    "9" * 10**5: "'999999999999'... has 100,000 characters; "
    "a number has at most 65,536; is a delimiter missing?",
    "1e400": "1e400 overflowed to inf while it was read, before any formula ran; "
    "write inf if you mean it, or use --dtype longdouble",
    "1D400": "1D400 overflowed to inf while it was read, before any formula ran; "
    "write inf if you mean it, or use --dtype longdouble",
}


@pytest.mark.parametrize("token", BAD)
def test_bad(token):
    with pytest.raises(ReadError) as error:
        parse_numbers(["1", token])
    assert str(error.value) == f"arguments, number 2: {BAD[token]}"


def test_a_file_is_no_number(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("1\n")
    with pytest.raises(ReadError, match=f"--file {file} reads the file"):
        parse_numbers([str(file)])
