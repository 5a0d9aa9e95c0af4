"""Numbers as text: the shortest that reads back, in every format."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS
from stablelse.render.numbers import bound_text, json_number, number_text

SMALL = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"]


@pytest.mark.parametrize("name", SMALL)
def test_reads_back_exhaustively(name):
    """All that are not negative, and -0."""
    format_ = FORMATS[name]
    bits = np.arange(2 ** (8 * format_.dtype.itemsize - 1) + 1, dtype=f"u{format_.dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = bits.view(format_.dtype)
        values = values[~np.isnan(values)]
    back = format_.round([float(number_text(value)) for value in values])
    assert back.tobytes() == values.tobytes()
    assert name != "float8_e4m3fn" or number_text(format_.round(0.40625)[()]) == "0.4"


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.longdouble])
@given(st.floats(allow_nan=False), st.floats(-1e-16, 1e-16))
def test_reads_back(kind, high, low):
    with np.errstate(over="ignore"):
        value = kind(high)
    value = value * (1 + kind(low)) if kind is np.longdouble else value
    assert repr(kind(number_text(value))) == repr(value)


@pytest.mark.parametrize(
    ("value", "text", "in_json"),
    [
        (1002.0, "1002", 1002),
        (-0.0, "-0", -0.0),
        (0.1, "0.1", 0.1),
        (1e16, "1e16", 1e16),
        (1e-7, "1e-7", 1e-7),
        (123456789012345.0, "123456789012345", 123456789012345),
        (np.inf, "inf", "inf"),
        (-np.inf, "-inf", "-inf"),
        (np.nan, "nan", "nan"),
        (np.float16(65504), "65504", 65504),
        (np.float16(1 / 3), "0.3333", 0.3333),
        (np.float32(0.1), "0.1", 0.1),
        (np.longdouble("0.1"), "0.1", "0.1"),
        (np.longdouble(0.5), "0.5", 0.5),
        (7, "7", 7),
        (10**16, "10000000000000000", 10**16),
        (Decimal("1200.50"), "1200.5", "1200.5"),
        (Decimal(100), "100", "100"),
        (Decimal("0.00001"), "0.00001", "0.00001"),
        (Decimal("0.000001"), "1e-6", "1e-6"),
        (Decimal("1.0e16"), "1e16", "1e16"),
    ],
)
def test_text(value, text, in_json):
    assert number_text(value) == text
    assert repr(json_number(value)) == repr(in_json)


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_what_is_within_the_text_of_a_limit_is_within_the_limit(format_):
    for limit in (format_.largest, format_.overflow_threshold, format_.underflow_threshold):
        digits = bound_text(limit).lstrip("-").partition("e")[0].replace(".", "")
        assert len(digits) <= 5
        assert abs(np.longdouble(bound_text(limit))) <= abs(np.longdouble(limit))
    assert bound_text(np.float16(11.0859375)) == "11.085"
    assert bound_text(-708.396) == "-708.39"
