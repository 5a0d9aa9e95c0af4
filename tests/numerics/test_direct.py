"""The kernel called directly, with an array as it is: the same results as by every other way."""

import numpy as np
import pytest

import stablelse

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]


def vectors(count):
    rng = np.random.default_rng(11)
    for i in range(count):
        n = round(np.exp(rng.uniform(0, np.log(300))))
        x = rng.normal(size=n) * rng.choice([1e-3, 1, 30, 110])
        if i % 3 == 0:
            x[rng.integers(len(x))] += rng.choice([5, 40, 200])
        if i % 50 == 0:
            x[rng.integers(len(x))] = rng.choice([np.nan, np.inf, -np.inf, -800])
        yield x


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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_shapes_and_types_are_those_of_more_numbers(dtype, function):
    call = getattr(stablelse, function)
    for shape, axis in (((1, 3), 1), ((1, 3), -1), ((1, 3), None), ((3, 1), None), ((3,), (0,))):
        x = np.array([0.5, -1, 2], dtype).reshape(shape)
        found, more = call(x, axis), call(x, axis, threads=1, where=np.ones(shape, bool))
        assert type(found) is type(more)
        assert (found.shape, found.dtype) == (more.shape, more.dtype)
        assert np.array_equal(found, more)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_exactly_as_by_the_ladder(function):
    for x in vectors(500):
        certified, _ = getattr(stablelse, function)(x, return_certificate=True)
        assert np.array_equal(getattr(stablelse, function)(x), certified, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_dtype_may_be_another_object(function, dtype):
    x = np.array([0.5, -1, 2], dtype)
    told = x.astype(np.dtype(dtype, metadata={"unit": "nat"}))
    assert told.dtype is not x.dtype
    found = getattr(stablelse, function)(told)
    assert found.dtype == x.dtype
    assert np.array_equal(found, getattr(stablelse, function)(x))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_list_is_as_an_array(function):
    call = getattr(stablelse, function)
    for x in ([0.5, -1.0, 2.0], [0.5, 1, True], [1, 0.5], [[0.5, -1.0]], [1000.0, 1001.0]):
        for axis in (None, -1):
            found, right = call(x, axis), call(np.array(x, float), axis)
            assert type(found) is type(right)
            assert np.array_equal(found, right)


@pytest.mark.parametrize("x", [[0.5, [1.0]], [0.5, None], [0.5, "1"]], ids=str)
def test_a_list_of_other_things_is_an_error_as_ever(x):
    with pytest.raises((TypeError, ValueError)) as few_numbers:
        stablelse.softmax(x)
    with pytest.raises(few_numbers.type) as more:
        stablelse.softmax(x, threads=1)
    assert str(few_numbers.value) == str(more.value)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "x",
    [
        [1e200, 1.0],
        [1e308, 1e308],
        [-1e308, 0.0],
        [-800.0, 0.0],
        [5e-324, 0.0],
        [399.0, -20.0],
        [-399.0],
        [np.nan, 0.0],
        [np.inf, 0.0],
        [-np.inf, 0.0],
    ],
    ids=str,
)
def test_no_numbers_make_noise(function, x):
    for numbers in (np.array(x), np.resize(x, 50)):
        with np.errstate(all="raise"):
            found = getattr(stablelse, function)(numbers)
        everywhere = np.ones(numbers.shape, bool)
        right = getattr(stablelse, function)(numbers, threads=1, where=everywhere)
        assert np.array_equal(found, right, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_views_have_the_bits_of_copies(dtype, function):
    call, x = (
        getattr(stablelse, function),
        np.random.default_rng(13).normal(size=2000).astype(dtype),
    )
    for n in (3, 10, 39, 40, 300, 1000):
        for view in (x[:n][::-1], x[: 2 * n : 2], x[: 2 * n].reshape(n, 2)[:, 1]):
            found, right = call(view), call(view.copy())
            assert np.array_equal(found, right)
            assert np.array_equal(found, call(view, threads=1))
            assert np.array_equal(call(view[np.newaxis], axis=1)[0], right)
