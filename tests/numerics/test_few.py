"""A few numbers in Python's own floats: as accurate as promised, and left alone otherwise."""

import numpy as np
import pytest

import stablelse
from stablelse import exact
from stablelse.numerics import few
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS

PROMISED = {"logsumexp": 4.0, "softmax": 6.0, "log_softmax": 4.0}


def vectors(count=4000):
    rng = np.random.default_rng(11)
    for i in range(count):
        x = rng.normal(size=rng.integers(1, few.MOST + 1)) * rng.choice([1e-3, 1, 30, 110])
        if i % 3 == 0:
            x[rng.integers(len(x))] += rng.choice([5, 40, 200])
        yield np.clip(x, -350, 350)


@pytest.mark.parametrize("function", PROMISED)
def test_within_the_promised_ulps(function):
    worst, computed = 0.0, 0
    for x in vectors():
        value = getattr(few, function)(x)
        if value is not None:
            right = np.atleast_1d(getattr(exact, function)(x))
            worst = max(worst, ulp_error(np.atleast_1d(value), right, FORMATS["float64"]).max())
            computed += 1
    assert computed > 3000
    assert 0.5 <= worst <= PROMISED[function]


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
@pytest.mark.parametrize("function", PROMISED)
def test_anything_else_is_left_to_others(function, x):
    assert getattr(few, function)(np.asarray(x)) is None


def test_what_nearly_cancels_is_left_to_others():
    x = np.array([-0.775, -0.6175])
    assert few.logsumexp(x) is None
    assert stablelse.logsumexp(x) == exact.logsumexp(x)


@pytest.mark.parametrize("function", PROMISED)
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": -1}, {"axis": (0,)}], ids=str)
def test_an_axis_changes_nothing(function, options):
    call, x = getattr(stablelse, function), np.array([1.0, 2.0, 3.0])
    assert np.array_equal(call(x, **options), call(x))
    assert np.array_equal(call(x, **options), np.squeeze(call(x[np.newaxis], axis=1)))
    assert np.array_equal(call(x, **options), call(x.tolist(), **options))


def test_an_axis_that_is_none_is_an_error():
    with pytest.raises(np.exceptions.AxisError):
        stablelse.softmax(np.array([1.0, 2.0]), axis=1)
