"""One literal at a time, as on a command line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import ReadError, parse_numbers


def test_numbers():
    values = parse_numbers(["1", " -2.5", "-inf", "Infinity", "1e5", ".5", "+3"])
    assert values.tolist() == [1, -2.5, -np.inf, np.inf, 1e5, 0.5, 3]
    assert values.dtype == np.float64
    assert np.isnan(parse_numbers(["nan"])).all()


def test_longdouble():
    values = parse_numbers(["0.1", "1e400"], dtype="longdouble")
    assert values.tolist() == [np.longdouble("0.1"), np.longdouble("1e400")]


@given(st.floats(width=64))
def test_round_trip(x):
    assert parse_numbers([repr(x)]).tobytes() == np.float64(repr(x)).tobytes()


NUMBERS = "give numbers such as 1000, -0.5, 1e-3 or -inf"
BAD = {
    "abc": f"'abc' is not a number; {NUMBERS}",
    "": f"'' is not a number; {NUMBERS}",
    "NA": f"'NA' is not a number; {NUMBERS}",
    "0x10": f"'0x10' is not a number; {NUMBERS}",
    "1d5": f"'1d5' is not a number; {NUMBERS}",
    "1,2": "'1,2' is not a number; put a blank between numbers, and a period before decimals",
    "1_0": "'1_0' is not a number; write it without underscores",
    "−5": f"'−5' is not a number; {'write it with the digits and signs of ASCII'}",
    "a\nb": f"'a\\nb' is not a number; {NUMBERS}",
    "9" * 10**5: "'999999999999'... has 100,000 characters; "
    "a number has at most 65,536; is a delimiter missing?",
    "1e400": "1e400 overflowed to inf while it was read, before any formula ran; "
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
