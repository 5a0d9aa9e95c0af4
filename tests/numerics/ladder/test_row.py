"""One vector of some hundred or thousand numbers, exactly: as by the ladder, or left to it."""

import numpy as np
import pytest

from stablelse import exact
from stablelse.numerics.ladder import doubleword, row, short

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]


def vectors(count, most):
    rng = np.random.default_rng(51)
    for i in range(count):
        n = round(np.exp(rng.uniform(np.log(row.LEAST), np.log(most))))
        x = rng.normal(size=n) * rng.choice([1e-3, 1, 5, 40]) + rng.choice([0, 100, -150])
        if i % 5 == 0:
            x[rng.integers(n)] += rng.choice([5, 20, 40])
        yield x


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_are_those_of_the_ladder(function):
    settled = 0
    for x in vectors(150, 5000):
        found = getattr(row, function)(x)
        right, _ = getattr(exact, function)(x, return_certificate=True)
        assert np.array_equal(getattr(exact, function)(x), right)
        if found is not None:
            value, ulps = found
            assert np.array_equal(value, right)
            assert 0 < ulps < 0.5
            settled += 1
    assert settled > 50


def test_the_logarithm_of_the_sum_is_within_its_bound():
    pytest.importorskip("flint")
    from balls import Vector
    from flint import arb, ctx

    for x in vectors(60, 3000):
        terms = row._terms(np.clip(x, -250, 250))
        high, low = row._log(terms.total)
        error = short.ERROR + doubleword.ADDITION_ERROR * abs(high)
        with ctx.workprec(200):
            assert abs(arb(high) + arb(low) - Vector(np.clip(x, -250, 250)).log_sum()) <= arb(error)


@pytest.mark.parametrize("x", [np.full(100, 251.0), np.full(100, np.nan), np.full(100, -np.inf)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_anything_else_is_left_to_others(function, x):
    assert getattr(row, function)(x) is None
    assert len(np.atleast_1d(getattr(exact, function)(x))) in (1, 100)


def test_a_view_of_every_other_number_is_as_good():
    x = np.random.default_rng(52).normal(size=400)
    for function in FUNCTIONS:
        call = getattr(exact, function)
        assert np.array_equal(call(x[::2]), call(x[::2].copy()))
        reverse = np.ravel(call(x[np.newaxis, ::-1], axis=1))
        assert np.array_equal(reverse, np.ravel(call(x[::-1].copy())))
