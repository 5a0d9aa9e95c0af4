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


BAD = [
    *("abc", "", "NA", "?", "--", "-1q2", "1e", "1.2.3", "1.#J", "#N/A", "nan(1)", "1d", "1d5e3"),
    *("1.0DD2", "2020-01-01", "=1+2", "½", "0x10", "-0XFF", "1_0", "1_000.5", "１", "٣.٥", "–5"),
    *("—5", "‐5", "﹣5", "－5", "10%", "-0.5 %", "$5", "€ 5", "5€", "-$5", "US$ 5", "\u200b5"),
    *("5\ufeff", "\u00ad5", "1,234,567", "1'000", "5\u00a0000", "5\u202f000.5", "5.6-304"),
    *("-1.5+100", "1/3", "5-", "(5)", "5#c", "1,2", "a\nb", "9" * 10**5, "1e400", "1D400"),
]


def test_bad(golden):
    lines = []
    for token in BAD:
        with pytest.raises(ReadError) as error:
            parse_numbers(["1", token])
        lines.append(f"{error.value}\n")
    golden("bad-literals.txt", "".join(lines))


def test_a_file_is_no_number(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("1\n")
    with pytest.raises(ReadError, match=f"--file {file} reads the file"):
        parse_numbers([str(file)])
