"""The rounding test: what it settles is right, and what it cannot know it leaves in doubt."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS
from stablelse.numerics.ladder.rounding import as_real, fits_float64, settle
from stablelse.numerics.rationals import nearest

NAMES = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"]


def settled(high, low, error, format_, exponent=0):
    with np.errstate(all="ignore"):
        value, doubtful, _ = settle(
            np.array([high]), np.array([low]), np.array([error]), format_, np.array([exponent])
        )
    return value[0], bool(doubtful[0])


def same(a, b):
    return a == b or (np.isnan(a) and np.isnan(b))


@given(
    st.sampled_from(NAMES),
    st.floats(1e-3, 4),
    st.integers(-1100, 1100),
    st.floats(-1, 1),
    st.floats(2.0**-50, 2.0**-5),
    st.booleans(),
)
def test_what_is_settled_is_nearest_to_all_within_the_bound(
    name, high, exponent, part, relative, is_negative
):
    format_ = FORMATS[name]
    low = part * np.spacing(high) / 2
    assume(high + low == high)
    error = relative * np.spacing(high)
    sign = -1 if is_negative else 1
    value, doubtful = settled(sign * high, sign * low, error, format_, exponent)
    middle = sign * (Fraction(high) + Fraction(low))

    def ends(bound):
        two = (middle - Fraction(bound), middle + Fraction(bound))
        return [nearest(end * Fraction(2) ** exponent, format_) for end in two]

    if doubtful:  # no more careful than it must be: of a bound a little larger it is true
        below, above = ends(error * (1 + 2.0**-50))
        assert not same(below, above)
    else:
        below, above = ends(error)
        assert same(value, below)
        assert same(value, above)


@pytest.mark.parametrize("low", [2.0**-60, -(2.0**-60)])
def test_a_midpoint_in_two_words_is_rounded_once(low):
    # Rounding to float32 on the way would put it on the middle of two bfloat16, then to even.
    value, doubtful = settled(1 + 2.0**-8, low, 2.0**-80, FORMATS["bfloat16"])
    assert not doubtful
    assert value == (1 + 2.0**-7 if low > 0 else 1)


@pytest.mark.parametrize(
    ("high", "low", "error"),
    [
        (1 + 2.0**-24, 0.0, 2.0**-70),  # on the midpoint
        (1 + 2.0**-24, 2.0**-72, 2.0**-70),  # on either side of it
        (0.0, 0.0, 2.0**-140),  # zero, or a subnormal number
        (1.0, -(2.0**-26), 2.0**-26),  # below a power of two the numbers are closer
        (float("nan"), 0.0, 0.0),
        (float("inf"), 0.0, 0.0),
    ],
)
def test_in_doubt(high, low, error):
    assert settled(high, low, error, FORMATS["float32"])[1]


def test_overflow_is_settled():
    largest = FORMATS["float16"].largest
    assert settled(65519.9, 0.0, 0.01, FORMATS["float16"]) == (largest, False)
    assert settled(65520.1, 0.0, 0.01, FORMATS["float16"]) == (np.inf, False)
    assert settled(65520.0, 0.0, 0.01, FORMATS["float16"])[1]


def test_subnormal_numbers_are_rounded_once():
    # 1 + 2**-53 units of the smallest subnormal number: rounded to 53 bits first, it would be 1.
    smallest = 5e-324
    assert settled(1.5, 2.0**-54, 2.0**-80, FORMATS["float64"], -1074) == (2 * smallest, False)
    assert settled(2.5, -(2.0**-54), 2.0**-80, FORMATS["float64"], -1074) == (2 * smallest, False)
    assert settled(2.5, 0.0, 2.0**-80, FORMATS["float64"], -1074)[1]


def test_integers_too_large_for_float64_are_kept():
    x = np.array([2**53 + 1, 2**62 + 1, 3])
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no format of this machine holds them")
    assert [int(v) for v in as_real(x)] == x.tolist()
    assert not fits_float64(as_real(x))
    assert as_real(x[2:]) is not None
    assert fits_float64(as_real(x[2:]))
    assert fits_float64(np.array([0.5, np.inf, np.nan], np.longdouble))
