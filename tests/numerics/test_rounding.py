"""The rounding test: what it settles is right, and what it cannot know it leaves in doubt."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS, nearest
from stablelse.numerics.rounding import Approximation, settle

NAMES = list(FORMATS)
FLOAT64 = FORMATS["float64"]


def settled(high, low, error, format_, exponent=0, lowest=0.0):
    words = (np.array([word]) for word in (high, low, lowest, error))
    with np.errstate(all="ignore"):
        value, settled, _ = settle(Approximation(*words, np.array([exponent])), format_)
    return value[0], bool(settled[0])


def same(a, b):
    return a == b or (np.isnan(a) and np.isnan(b))


@given(
    st.sampled_from(NAMES),
    st.floats(1e-3, 4),
    st.integers(-1100, 1100),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(2.0**-60, 2.0**-5),
    st.booleans(),
)
def test_what_is_settled_is_nearest_to_all_within_the_bound(
    name, high, exponent, part, part_of_part, relative, is_negative
):
    format_ = FORMATS[name]
    low = part * np.spacing(high) / 2
    lowest = part_of_part * np.spacing(low) / 2
    assume(high + low == high)
    assume(low + lowest == low)
    error = relative * np.spacing(high)
    sign = -1 if is_negative else 1
    value, is_settled = settled(
        sign * high, sign * low, error, format_, exponent, lowest=sign * lowest
    )
    middle = sign * (Fraction(high) + Fraction(low) + Fraction(lowest))

    def ends(bound):
        two = (middle - Fraction(bound), middle + Fraction(bound))
        return [nearest(end * Fraction(2) ** exponent, format_) for end in two]

    if is_settled:
        below, above = ends(error)
        assert same(value, below)
        assert same(value, above)
    else:  # no more careful than it must be: of a bound a little larger it is true
        below, above = ends(error * (1 + 2.0**-48))
        assert not same(below, above)


@pytest.mark.parametrize("low", [2.0**-60, -(2.0**-60)])
def test_a_midpoint_in_two_words_is_rounded_once(low):
    # Rounding to float32 on the way would put it on the middle of two bfloat16, then to even.
    value, is_settled = settled(1 + 2.0**-8, low, 2.0**-80, FORMATS["bfloat16"])
    assert is_settled
    assert value == (1 + 2.0**-7 if low > 0 else 1)


@pytest.mark.parametrize("lowest", [2.0**-500, -(2.0**-500)])
@pytest.mark.parametrize(("name", "half"), [("float64", 2.0**-53), ("longdouble", 2.0**-64)])
def test_the_third_word_breaks_ties(name, half, lowest):
    format_ = FORMATS[name]
    if format_.unit_roundoff != half:
        pytest.skip("longdouble has another significand here")
    assert not settled(1.0, half, 2.0**-520, format_)[1]
    value, is_settled = settled(1.0, half, 2.0**-520, format_, lowest=lowest)
    assert is_settled
    assert value == format_.dtype.type(1) + (2 * half if lowest > 0 else 0)


def test_an_exact_tie_is_rounded_to_even():
    for high, expected in ((1 + 2.0**-24, 1), (1 + 3 * 2.0**-24, 1 + 2.0**-22)):
        assert settled(high, 0.0, 0.0, FORMATS["float32"]) == (expected, True)


@pytest.mark.parametrize(
    ("high", "low", "error"),
    [
        (1 + 2.0**-24, 0.0, 2.0**-70),  # on the midpoint
        (1 + 2.0**-24, 2.0**-72, 2.0**-70),  # on either side of it
        (0.0, 0.0, 2.0**-140),  # zero, or a subnormal number
        (1.0, -(2.0**-26), 2.0**-26),  # below a power of two the numbers are closer
        (float("nan"), 0.0, 0.0),
        (float("inf"), 0.0, 0.0),
        (1.0, 0.0, float("inf")),
        (1.0, 0.0, float("nan")),
    ],
)
def test_in_doubt(high, low, error):
    assert not settled(high, low, error, FORMATS["float32"])[1]


@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_just_below_a_power_of_two_the_numbers_are_closer(scale):
    for low, expected in ((2.0**-54 + 2.0**-90, 1 - 2.0**-53), (2.0**-54 - 2.0**-90, 1.0)):
        found = settled(scale, -scale * low, 2.0**-95, FLOAT64)
        assert found == (scale * expected, True)
    assert not settled(scale, -scale * 2.0**-54, 2.0**-95, FLOAT64)[1]


def test_overflow_is_settled():
    largest = FORMATS["float16"].largest
    assert settled(65519.9, 0.0, 0.01, FORMATS["float16"]) == (largest, True)
    assert settled(65520.1, 0.0, 0.01, FORMATS["float16"]) == (np.inf, True)
    assert not settled(65520.0, 0.0, 0.01, FORMATS["float16"])[1]


def test_subnormal_numbers_are_rounded_once():
    # 1 + 2**-53 units of the smallest subnormal number: rounded to 53 bits first, it would be 1.
    smallest = 5e-324
    assert settled(1.5, 2.0**-54, 2.0**-80, FORMATS["float64"], -1074) == (2 * smallest, True)
    assert settled(2.5, -(2.0**-54), 2.0**-80, FORMATS["float64"], -1074) == (2 * smallest, True)
    assert not settled(2.5, 0.0, 2.0**-80, FORMATS["float64"], -1074)[1]


@pytest.mark.parametrize("name", NAMES)
def test_what_rounds_to_zero_has_no_sign(name):
    for high, exponent in ((-1.0, -30_000), (-0.0, 0), (-0.0, -(2**20))):
        value, is_settled = settled(high, 0.0, 2.0**-80 * abs(high), FORMATS[name], exponent)
        assert is_settled
        assert value == 0
        assert not np.signbit(value)
