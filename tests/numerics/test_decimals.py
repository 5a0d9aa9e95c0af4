"""Correctly rounded results: against mpmath, against the exact ends of formats, and told cases."""

import itertools
from decimal import Decimal, localcontext
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics import decimals
from stablelse.numerics.contexts import context
from stablelse.numerics.decimals import Ball
from stablelse.numerics.formats import FORMATS, installed_formats
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


CONTEXT = context(20)
NUMBERS = st.floats(-700, 700, allow_subnormal=False).filter(lambda x: abs(x) > 1e-30)


def assert_holds(ball, value):
    centre = mpmath.mpf(str(ball.head)) + mpmath.mpf(str(ball.tail))
    assert abs(centre - value) <= mpmath.mpf(str(ball.error)) * (1 + mpmath.mpf(10) ** -60)


OPERATIONS = [
    (decimals.add, lambda u, v: u + v),
    (decimals.subtract, lambda u, v: u - v),
    (decimals.multiply, lambda u, v: u * v),
    (decimals.divide, lambda u, v: u / v),
]


@given(NUMBERS, NUMBERS, NUMBERS)
def test_every_operation_holds_the_exact_value(x, y, z):
    """Of balls whose exact value is off the centre, of exact ones, and of a head with a tail."""
    with mpmath.workdps(1500), localcontext(CONTEXT):
        mx, my, mz = mpmath.mpf(x), mpmath.mpf(y), mpmath.mpf(z)
        u = decimals.divide(Ball(Decimal(x)), Ball(Decimal(z)))
        v = decimals.exp(Ball(Decimal(y)))
        w = decimals.add(Ball(Decimal(x)), decimals.divide(v, Ball(Decimal(10) ** 250)))
        assert w.head == Decimal(x)
        pairs = [
            (u, mx / mz),
            (v, mpmath.exp(my)),
            (w, mx + mpmath.exp(my) / mpmath.mpf(10) ** 250),
            (Ball(Decimal(z)), mz),
        ]
        for ball, value in pairs:
            assert_holds(ball, value)
        for (left, ml), (right, mr) in itertools.product(pairs, repeat=2):
            for operation, function in OPERATIONS:
                assert_holds(operation(left, right), function(ml, mr))
        if abs(x / z) < 1000:
            assert_holds(decimals.exp(u), mpmath.exp(mx / mz))
            assert_holds(decimals.log(decimals.exp(u)), mx / mz)
            terms = [decimals.exp(u), Ball(Decimal(1)), decimals.exp(u)]
            total = decimals.total(terms, [3, 1, 2])
            assert_holds(total, 5 * mpmath.exp(mx / mz) + 1)
            if x / z < 300:
                assert_holds(decimals.log(total), mpmath.log1p(5 * mpmath.exp(mx / mz)))


def test_what_is_known_exactly_stays_so():
    with localcontext(CONTEXT):
        zero = decimals.add(Ball(Decimal("0.1")), Ball(Decimal("-0.1")))
        assert zero.is_exact
        assert decimals.exp(zero) == Ball(Decimal(1))
        assert decimals.log(decimals.exp(zero)).is_exact
        assert decimals.divide(Ball(Decimal(3)), Ball(Decimal(1024))).head == Decimal(3) / 1024
        assert decimals.multiply(Ball(Decimal(3)), Ball(Decimal(1024))).is_exact


def test_a_tiny_rest_beside_one_keeps_its_digits():
    """log(1 + e^-1000000) at 20 digits, 434,295 places behind the point."""
    with localcontext(CONTEXT):
        tiny = decimals.exp(Ball(Decimal(-1_000_000)))
        log = decimals.log(decimals.total([Ball(Decimal(1)), tiny], [1, 1]))
    assert abs(log.tail - tiny.tail) <= log.error
    assert log.error < log.tail.scaleb(-10)


def test_a_ball_of_several_signs_decides_nothing():
    with localcontext(CONTEXT):
        wide = Ball(Decimal(0), Decimal(1), Decimal(2))
        divided = decimals.divide(wide, wide)
        assert divided.error == Decimal("Infinity")
        assert decimals.log(wide).error == Decimal("Infinity")
        assert decimals.exp(wide._replace(error=Decimal(3))).error == Decimal("Infinity")
        for ball in (divided, decimals.multiply(divided, divided), decimals.add(wide, divided)):
            assert ball.sign == 0
            assert decimals.nearest_to(ball, FORMATS["float64"]) is None


def test_what_meets_and_what_does_not():
    with localcontext(CONTEXT):
        third = decimals.divide(Ball(Decimal(1)), Ball(Decimal(3)))
        other = decimals.divide(Ball(Decimal(2)), Ball(Decimal(6)))
        moved = decimals.add(other, Ball(Decimal("1e-15")))
    assert decimals.overlap(third, other)
    assert not decimals.overlap(third, moved)


TIE = 2.0**53
HALF = np.longdouble(TIE) + 1  # a tie of float64, in a format that holds it


@pytest.mark.skipif(HALF == TIE, reason="longdouble is float64")
@pytest.mark.parametrize("far", [-10.0, -1e4, -1e9, -1e17, -1e300])
@pytest.mark.parametrize("weights", [[1, 1], [1, -1], [-1, -1], [-1, 1]])
def test_a_vanishing_term_decides_a_tie(far, weights):
    """log(exp(2**53 + 1) + exp(far)) to float64: by its sign, not by a million digits."""
    x, b = np.array([HALF, far], np.longdouble), np.array(weights, float)
    value, sign = decimals.logsumexp(x, FORMATS["float64"], b)
    assert sign == weights[0]
    assert value == (TIE + 2 if weights[0] == weights[1] else TIE)


@pytest.mark.skipif(HALF == TIE, reason="longdouble is float64")
@pytest.mark.parametrize("second", [-1e5, -1e300])
def test_of_vanishing_terms_the_largest_decides(second):
    x = np.array([HALF, second, 2 * second, second / 2], np.longdouble)
    for b, expected in (([1, 1, -1, 0], TIE + 2), ([1, -1, 1, 0], TIE), ([1, 1, 1, -1], TIE)):
        assert decimals.logsumexp(x, FORMATS["float64"], np.array(b, float))[0] == expected


@pytest.mark.parametrize("far", [-20.0, -1e6, -1e300])
def test_a_vanishing_term_decides_a_tie_of_a_softmax(far):
    """1024 equal numbers and another one: just below half of the smallest number of e4m3."""
    format_ = FORMATS["float8_e4m3fn"]
    pytest.importorskip("ml_dtypes")
    x = np.append(np.zeros(1024), far)
    assert set(decimals.softmax(x, format_)[:-1].tolist()) == {0}
    assert set(decimals.softmax(x[1:], format_)[:-1].tolist()) == {2.0**-9}  # 1 / 1023
    assert float(decimals.softmax(x[:512], format_)[0]) == 2.0**-9
