"""The rounding test: settled results are right, and unknown ones stay in doubt."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stablelse.numerics.doubleword import Approximation, settle
from stablelse.numerics.formats import FORMATS, nearest

NAMES = list(FORMATS)


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
    else:  # rightly so: with a slightly larger bound the ends differ
        below, above = ends(error * (1 + 2.0**-48))
        assert not same(below, above)


_U, _V = 2.0**-24, 2.0**-53
LARGEST = float(FORMATS["float16"].largest)


@pytest.mark.parametrize(
    ("name", "words", "error", "exponent", "expected"),
    [
        # a number near a midpoint, in two words, is rounded once: through float32 it would be a tie
        ("bfloat16", (1 + 2.0**-8, 2.0**-60), 2.0**-80, 0, 1 + 2.0**-7),
        ("bfloat16", (1 + 2.0**-8, -(2.0**-60)), 2.0**-80, 0, 1),
        # the third word breaks ties
        ("float64", (1.0, _V), 2.0**-520, 0, None),
        ("float64", (1.0, _V, 2.0**-500), 2.0**-520, 0, 1 + 2 * _V),
        ("float64", (1.0, _V, -(2.0**-500)), 2.0**-520, 0, 1),
        # an exact tie goes to the even number
        ("float32", (1 + _U,), 0.0, 0, 1),
        ("float32", (1 + 3 * _U,), 0.0, 0, 1 + 2.0**-22),
        # on a midpoint, and on either side of it
        ("float32", (1 + _U,), 2.0**-70, 0, None),
        ("float32", (1 + _U, 2.0**-72), 2.0**-70, 0, None),
        ("float32", (0.0,), 2.0**-140, 0, None),  # zero, or a subnormal number
        # just below a power of two the numbers are closer
        ("float32", (1.0, -(2.0**-26)), 2.0**-26, 0, None),
        ("float64", (1.0, -(2.0**-54) - 2.0**-90), 2.0**-95, 0, 1 - _V),
        ("float64", (1.0, -(2.0**-54) + 2.0**-90), 2.0**-95, 0, 1),
        ("float64", (1.0, -(2.0**-54)), 2.0**-95, 0, None),
        ("float64", (-1.0, 2.0**-54 + 2.0**-90), 2.0**-95, 0, _V - 1),
        # overflow
        ("float16", (65519.9,), 0.01, 0, LARGEST),
        ("float16", (65520.1,), 0.01, 0, np.inf),
        ("float16", (65520.0,), 0.01, 0, None),
        # subnormal numbers are rounded once: to 53 bits first, 1 + 2**-53 units would be 1
        ("float64", (1.5, 2.0**-54), 2.0**-80, -1074, 2 * 5e-324),
        ("float64", (2.5, -(2.0**-54)), 2.0**-80, -1074, 2 * 5e-324),
        ("float64", (2.5,), 2.0**-80, -1074, None),
        # what is not known
        ("float32", (np.nan,), 0.0, 0, None),
        ("float32", (np.inf,), 0.0, 0, None),
        ("float32", (1.0,), np.inf, 0, None),
        ("float32", (1.0,), np.nan, 0, None),
    ],
)
def test_told_cases(name, words, error, exponent, expected):
    high, low, lowest = (*words, 0.0, 0.0)[:3]
    value, is_settled = settled(high, low, error, FORMATS[name], exponent, lowest)
    assert is_settled is (expected is not None)
    assert expected is None or value == expected


@pytest.mark.parametrize("lowest", [2.0**-500, -(2.0**-500)])
def test_the_third_word_breaks_ties_of_x87(lowest):
    format_, half = FORMATS["longdouble"], 2.0**-64
    if format_.unit_roundoff != half:
        pytest.skip("longdouble has another significand here")
    found = settled(1.0, half, 2.0**-520, format_, lowest=lowest)
    assert found == (1 + np.longdouble(2 * half if lowest > 0 else 0), True)


@pytest.mark.parametrize("name", NAMES)
def test_what_rounds_to_zero_has_no_sign(name):
    for high, exponent in ((-1.0, -30_000), (-0.0, 0), (-0.0, -(2**20))):
        value, is_settled = settled(high, 0.0, 2.0**-80 * abs(high), FORMATS[name], exponent)
        assert is_settled
        assert value == 0
        assert not np.signbit(value)
