"""A few numbers without blocks: the same bits, or left alone."""

import numpy as np
import pytest

import stablelse
from stablelse import exact
from stablelse.numerics import few

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]


def vectors(count=3000):
    rng = np.random.default_rng(11)
    for i in range(count):
        x = rng.normal(size=rng.integers(1, few.MOST + 1)) * rng.choice([1e-3, 1, 30, 110])
        if i % 3 == 0:
            x[rng.integers(len(x))] += rng.choice([5, 40, 200])
        if i % 50 == 0:
            x[rng.integers(len(x))] = rng.choice([np.nan, np.inf, -np.inf, -800])
        yield x


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_are_those_of_a_row(function):
    computed = 0
    for x in vectors():
        value = getattr(few, function)(x)
        if value is not None:
            row = getattr(stablelse, function)(x[np.newaxis], axis=1)[0]
            assert np.array_equal(value, row), x.tolist()
            assert type(value) is type(row)
            computed += 1
    assert computed > 750


@pytest.mark.parametrize(
    "x",
    [
        [1.0, np.nan],
        [np.nan, 1.0],
        [np.inf, 1.0],
        [-np.inf, 1.0],
        [1000.0, 1001.0],
        [-1000.0, 0.0],
        [],
        [[1.0, 2.0]],
        np.zeros(few.MOST + 1),
        np.zeros(3, np.float32),
        np.zeros(3, ">f8"),
    ],
    ids=str,
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_anything_else_is_left_to_others(function, x):
    assert getattr(few, function)(np.asarray(x)) is None


def test_what_nearly_cancels_is_left_to_others():
    x = np.array([-0.775, -0.6175])
    assert few.logsumexp(x) is None
    assert stablelse.logsumexp(x) == exact.logsumexp(x)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": -1}, {"axis": (0,)}], ids=str)
def test_an_axis_changes_nothing(function, options):
    call, x = getattr(stablelse, function), np.array([1.0, 2.0, 3.0])
    assert np.array_equal(call(x, **options), call(x))
    assert np.array_equal(call(x, **options), call(x.tolist(), **options))
    assert np.array_equal(call(x, **options), call(x, out=np.zeros_like(call(x)), **options))


def test_an_axis_that_is_none_is_an_error():
    with pytest.raises(np.exceptions.AxisError):
        stablelse.softmax(np.array([1.0, 2.0]), axis=1)
