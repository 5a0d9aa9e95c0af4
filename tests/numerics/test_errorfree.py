"""The error-free transformations, in rational arithmetic."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics import errorfree

FINITE = st.floats(-1e150, 1e150, allow_subnormal=False).filter(lambda a: a == 0 or abs(a) > 1e-140)


@given(FINITE, FINITE)
def test_two_sum_is_exact(a, b):
    s, t = errorfree.two_sum(a, b)
    assert s == a + b
    assert Fraction(s) + Fraction(t) == Fraction(a) + Fraction(b)
    if abs(a) >= abs(b):
        assert errorfree.fast_two_sum(a, b) == (s, t)


@given(FINITE, FINITE)
def test_two_product_is_exact(a, b):
    p, t = errorfree.two_product(a, b)
    assert p == a * b
    assert Fraction(p) + Fraction(t) == Fraction(a) * Fraction(b)


@given(FINITE)
def test_split_halves(a):
    high, low = errorfree.split(a)
    assert high + low == a
    for half in (high, low):
        assert float(np.frexp(half)[0] * 2.0**26).is_integer()


@given(st.lists(FINITE, min_size=1, max_size=20), FINITE)
def test_difference_is_exact(x, shift):
    x = np.array(x)
    d, delta, spare = np.empty((3, x.size))
    errorfree.difference(x, np.array([shift]), d, delta, spare)
    for x_i, d_i, delta_i in zip(x, d, delta, strict=True):
        assert d_i == x_i - shift
        assert Fraction(d_i) + Fraction(delta_i) == Fraction(x_i) - Fraction(shift)
