"""Numbers as text: the shortest that reads back, in every format."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS
from stablelse.render.numbers import bound_text, json_number, number_text

SMALL = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"]


@pytest.mark.parametrize("name", SMALL)
def test_reads_back_exhaustively(name):
    format_ = FORMATS[name]
    bits = np.arange(2 ** (8 * format_.dtype.itemsize), dtype=f"u{format_.dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = bits.view(format_.dtype)
        values = values[~np.isnan(values)]
    back = format_.round([float(number_text(value)) for value in values])
    assert back.tobytes() == values.tobytes()


@given(st.floats(allow_nan=False))
def test_float64_reads_back(value):
    assert float(number_text(value)).hex() == value.hex()
    assert float(number_text(np.float64(value))).hex() == value.hex()


@given(st.floats(allow_nan=False, width=32))
def test_float32_reads_back(value):
    assert np.float32(number_text(np.float32(value))) == np.float32(value)


@given(st.floats(allow_nan=False), st.floats(-1e-16, 1e-16))
def test_longdouble_reads_back(high, low):
    value = np.longdouble(high) * (1 + np.longdouble(low))
    assert np.longdouble(number_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1002.0, "1002"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e16, "1e16"),
        (1e-7, "1e-7"),
        (123456789012345.0, "123456789012345"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (np.nan, "nan"),
        (np.float16(65504), "65504"),
        (np.float16(1 / 3), "0.3333"),
        (np.float32(0.1), "0.1"),
        (np.longdouble("0.1"), "0.1"),
        (7, "7"),
    ],
)
def test_text(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1002.0, 1002),
        (0.5, 0.5),
        (np.float16(1 / 3), 0.3333),
        (-np.inf, "-inf"),
        (np.nan, "nan"),
        (np.longdouble("0.1"), "0.1"),
        (np.longdouble(0.5), 0.5),
    ],
)
def test_json(value, expected):
    number = json_number(value)
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_what_is_within_the_text_of_a_limit_is_within_the_limit(format_):
    for limit in (format_.largest, format_.overflow_threshold, format_.underflow_threshold):
        digits = bound_text(limit).lstrip("-").partition("e")[0].replace(".", "")
        assert len(digits) <= 5
        assert abs(np.longdouble(bound_text(limit))) <= abs(np.longdouble(limit))
    assert bound_text(np.float16(11.0859375)) == "11.085"
    assert bound_text(-708.396) == "-708.39"
