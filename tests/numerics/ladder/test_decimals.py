"""Correctly rounded results: against mpmath, against the exact ends of formats, and told cases."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS, installed_formats
from stablelse.numerics.ladder import decimals
from stablelse.render.numbers import number_text

NAMES = [f.name for f in installed_formats()]
SMALL = [name for name in NAMES if FORMATS[name].dtype.itemsize == 1]


def fraction(value: mpmath.mpf) -> Fraction:
    return Fraction(*mpmath.libmp.to_rational(value._mpf_))


def oracle(x, format_, weights=None):
    """Return the three results, each rounded from an mpmath value that is right to 700 digits."""
    with mpmath.workdps(700):
        numbers = [mpmath.mpf(float(v)) for v in x]
        ones = [1] * len(x) if weights is None else [mpmath.mpf(float(b)) for b in weights]
        total = mpmath.fsum(b * mpmath.exp(v) for b, v in zip(ones, numbers, strict=True))
        y = mpmath.log(abs(total))
        return (
            decimals.nearest(fraction(y), format_),
            [decimals.nearest(fraction(mpmath.exp(v) / total), format_) for v in numbers],
            [decimals.nearest(fraction(v - y), format_) for v in numbers],
        )


def same(found, expected) -> bool:
    """Whether all are equal; where a format has no infinity, overflow is NaN in both."""
    wide = [np.asarray(values).astype(np.float64) for values in (found, expected)]
    return np.array_equal(*wide, equal_nan=True)


TOLD = [
    # x, weights, lse, sign
    ([1000, 1001, 1002], None, "1002.4076059644444", 1),
    ([0, -40], None, "4.248354255291589e-18", 1),
    ([0, -33], None, "4.658886145103387e-15", 1),
    ([0, -1e9], None, "0", 1),
    ([-0.775, -0.6175], None, "-5.237847950087536e-6", 1),
    ([-np.log(2), -np.log(2)], None, "2.3190468138462996e-17", 1),
    ([0, -745.5], None, "0", 1),
    ([0, -745], None, "5e-324", 1),
    ([5], None, "5", 1),
    ([5, -np.inf], None, "5", 1),
    ([5, -1e300], None, "5", 1),
    ([-1e300, -1e300], None, "-1e300", 1),
    ([1.7976931348623157e308] * 3, None, "1.7976931348623157e308", 1),
    ([], None, "-inf", 0),
    ([-np.inf], None, "-inf", 0),
    ([0, -800], [1e-300, 1e308], "-90.80379135783393", 1),
    ([1000, 1000, 999], [1, -1, 1], "999", 1),
    ([0, -1e-17], [1, -1], "-39.14394658089878", 1),
    ([0, -1e-17], [-1, 1], "-39.14394658089878", -1),
    ([1000, 1000], [1, -1], "-inf", 0),
    ([0, 0], [1e308, 1e308], "709.889355822726", 1),
    ([3, 9], [1, 0], "3", 1),
    ([3], [-1], "3", -1),
    ([5e-324, 0], [1, -1], "-744.4400719213812", 1),
]


@pytest.mark.parametrize(("x", "weights", "expected", "sign"), TOLD)
def test_told(x, weights, expected, sign):
    b = None if weights is None else np.array(weights, float)
    value, found_sign = decimals.logsumexp(np.array(x, float), FORMATS["float64"], b)
    assert number_text(value) == expected
    assert found_sign == sign


@pytest.mark.parametrize("name", NAMES)
def test_against_mpmath(name):
    format_ = FORMATS[name]
    rng = np.random.default_rng(11)
    for scale in (1e-3, 1.0, 30.0, 300.0):
        for n in (2, 3, 7):
            x = format_.round(np.clip(rng.normal(0, scale, n), -400, 300))
            if not np.isfinite(x.astype(float)).all():
                continue
            lse, softmax, log_softmax = oracle(x, format_)
            assert decimals.logsumexp(x, format_)[0] == lse
            assert same(decimals.softmax(x, format_), softmax)
            assert same(decimals.log_softmax(x, format_), log_softmax)


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=6),
    st.lists(st.floats(-10, 10).filter(lambda b: abs(b) > 1e-3), min_size=6, max_size=6),
)
def test_signed_weights(x, weights):
    b = np.array(weights[: len(x)])
    with mpmath.workdps(700):
        total = mpmath.fsum(
            mpmath.mpf(w) * mpmath.exp(v) for v, w in zip(x, b.tolist(), strict=True)
        )
    value, sign = decimals.logsumexp(np.array(x), FORMATS["float64"], b)
    assert sign == (total > 0) - (total < 0)
    if total:
        assert value == oracle(x, FORMATS["float64"], b)[0]


@pytest.mark.parametrize("name", SMALL)
def test_all_pairs_of_float8(name):
    """Every pair: as near as mpmath at 30 digits says, for the results lie far from any tie."""
    format_ = FORMATS[name]
    values = np.arange(256, dtype=np.uint8).view(format_.dtype)
    values = values[np.isfinite(values.astype(np.float32))][::3]
    exact = values.astype(np.float64)
    expected = format_.round(np.logaddexp.outer(exact, exact))
    for row, x in zip(expected, values, strict=True):
        for y, other in zip(row, values, strict=True):
            assert decimals.logsumexp(np.array([x, other]), format_)[0] == y or np.isnan(y)


@pytest.mark.parametrize("name", NAMES)
def test_nearest_is_the_rounding_of_the_format(name):
    """At every number, half-way above it, and beside that; subnormals and the largest included."""
    format_ = FORMATS[name]
    rng = np.random.default_rng(5)
    samples = [format_.largest, format_.smallest_normal, format_.smallest_subnormal]
    samples += list(format_.round(rng.normal(0, 1, 20) * 10.0 ** rng.uniform(-3, 2, 20)))
    for value in (sample for sample in samples if sample):
        below = np.nextafter(value, format_.dtype.type(0))
        low, high = (
            Fraction(*map(int, np.longdouble(v).as_integer_ratio())) for v in (below, value)
        )
        middle, bit = (low + high) / 2, (high - low) / 2**70
        assert decimals.nearest(high, format_) == value
        assert decimals.nearest(middle + bit, format_) == value
        assert decimals.nearest(middle - bit, format_) == below


def test_ties_go_to_even():
    half = FORMATS["float16"]
    assert decimals.nearest(Fraction(2049), half) == 2048
    assert decimals.nearest(Fraction(2051), half) == 2052
    assert decimals.nearest(Fraction(65520), half) == np.inf
    assert decimals.nearest(Fraction(65519), half) == 65504
    assert decimals.nearest(Fraction(-1, 2**25), half) == 0
    assert decimals.nearest(Fraction(3, 2**25), half) == 2**-23


def test_equal_elements():
    x = np.full(3, -1e5)
    assert decimals.softmax(x, FORMATS["float64"]).tolist() == [1 / 3] * 3
    assert decimals.log_softmax(x[:1], FORMATS["float64"]).tolist() == [0]
    assert decimals.softmax(np.array([1.0, -np.inf]), FORMATS["float64"]).tolist() == [1, 0]
    logs = decimals.log_softmax(np.array([1.0, -np.inf]), FORMATS["float64"])
    assert logs.tolist() == [0, -np.inf]
