"""Correctly rounded results: against mpmath, at the exact ends of formats, and in known cases."""

import itertools
from decimal import Decimal, localcontext
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics import decimals
from stablelse.numerics.decimals import Ball
from stablelse.numerics.formats import FORMATS, context


def test_ties_go_to_even():
    half = FORMATS["float16"]
    assert decimals.nearest(Fraction(2049), half) == 2048
    assert decimals.nearest(Fraction(2051), half) == 2052
    assert decimals.nearest(Fraction(65520), half) == np.inf
    assert decimals.nearest(Fraction(65519), half) == 65504
    assert decimals.nearest(Fraction(-1, 2**25), half) == 0
    assert decimals.nearest(Fraction(3, 2**25), half) == 2**-23
    assert decimals.nearest(Fraction(1, 3), half) == np.float16(1 / 3)


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
    """For balls with the exact value off the centre, exact balls, and a head with a tail."""
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
    """log(1 + e^-1000000) to 20 digits, 434,295 places after the point."""
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
HALF = np.longdouble(TIE) + 1  # a tie of float64, in a wider format


@pytest.mark.skipif(HALF == TIE, reason="longdouble is float64")
@pytest.mark.parametrize("far", [-10.0, -1e4, -1e9, -1e17, -1e300])
@pytest.mark.parametrize("weights", [[1, 1], [1, -1], [-1, -1], [-1, 1]])
def test_a_vanishing_term_decides_a_tie(far, weights):
    """log(exp(2**53 + 1) + exp(far)) to float64: its sign decides, not a million digits."""
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
    """1024 equal numbers and another one: just below half the smallest number of e4m3."""
    format_ = FORMATS["float8_e4m3fn"]
    pytest.importorskip("ml_dtypes")
    x = np.append(np.zeros(1024), far)
    assert set(decimals.softmax(x, format_)[:-1].tolist()) == {0}
    assert set(decimals.softmax(x[1:], format_)[:-1].tolist()) == {2.0**-9}  # 1 / 1023
    assert float(decimals.softmax(x[:512], format_)[0]) == 2.0**-9
