"""The error-free transformations, in rational arithmetic."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics import doubleword

FINITE = st.floats(-1e150, 1e150, allow_subnormal=False).filter(lambda a: a == 0 or abs(a) > 1e-140)


@given(FINITE, FINITE)
def test_two_sum_is_exact(a, b):
    s, t = doubleword.two_sum(a, b)
    assert s == a + b
    assert Fraction(s) + Fraction(t) == Fraction(a) + Fraction(b)
    if abs(a) >= abs(b):
        assert doubleword.fast_two_sum(a, b) == (s, t)


@given(FINITE, FINITE)
def test_two_product_is_exact(a, b):
    p, t = doubleword.two_product(a, b)
    assert p == a * b
    assert Fraction(p) + Fraction(t) == Fraction(a) * Fraction(b)


@given(FINITE)
def test_split_halves(a):
    high, low = doubleword.split(a)
    assert high + low == a
    for half in (high, low):
        assert float(np.frexp(half)[0] * 2.0**26).is_integer()
