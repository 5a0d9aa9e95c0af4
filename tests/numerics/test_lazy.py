"""Dask arrays: lazy, with the same results for any chunks."""

import pickle

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

from stablelse import log_softmax, logsumexp, softmax  # noqa: E402
from stablelse.numerics import states  # noqa: E402
from stablelse.numerics.formats import FORMATS  # noqa: E402

RNG = np.random.default_rng(3)
X = RNG.normal(0, 100, (4, 20, 5))
CHUNKS = [(4, 20, 5), (1, 7, 5), (2, 3, 1), ((1, 3), (20,), (2, 2, 1))]
AXES = [None, 0, (0, 1), -1, (2, 0), ()]


def kept(x, axis):
    return logsumexp(x, axis, keepdims=True)


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("function", [logsumexp, kept, softmax, log_softmax])
def test_results_have_the_bits_of_those_of_arrays(chunks, axis, function):
    x = X / 30 if "softmax" in function.__name__ else X
    expected = function(x, axis)
    lazy = function(da.from_array(x, chunks), axis)
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.dtype) == (np.shape(expected), np.float64)
    found = lazy.compute(scheduler="synchronous")
    assert found.shape == np.shape(expected)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "longdouble"])
@pytest.mark.parametrize(("chunk", "scale"), [(60, 5), (7, 0.1), (7, 60), (3, 5)])
def test_every_format_has_the_bits_of_arrays(name, chunk, scale):
    x = FORMATS[name].round(RNG.normal(0, scale, (3, 60)))
    cut = da.from_array(x, (2, chunk))
    for function in (logsumexp, softmax, log_softmax):
        found, expected = function(cut, 1).compute(), function(x, 1)
        assert found.dtype == x.dtype
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
def test_a_chunk_may_turn_out_to_be_empty(function):
    x = np.array([1.0, 2, 3, -1, -2, -3, 4])
    cut = da.from_array(x, 3)
    assert np.array_equal(function(cut[cut > 0]).compute(), function(x[x > 0]))


def test_integers():
    """They give float64, or an error if float64 cannot hold them."""
    x = np.arange(10)
    for chunk in (10, 3):
        cut = da.from_array(x, chunk)
        for function in (logsumexp, softmax, log_softmax):
            assert function(cut).dtype == np.float64
            assert function(cut).compute().tobytes() == function(x).tobytes()
    x = da.from_array(np.array([2**53 + 1, 0, 7]), 1)
    with pytest.raises(ValueError, match=r"integers above 2\*\*53 .* compute it first"):
        logsumexp(x).compute()


def test_ties_and_next_to_zero():
    """x - max is a tie of float16, and the other term breaks it."""
    x = np.array([17.25, -518], np.float16)
    assert log_softmax(da.from_array(x, 1)).compute().tolist() == [0, -535.5]
    x = RNG.normal(size=500)
    x -= np.log(np.exp(x).sum())
    for chunk in (1, 33, 250):
        assert logsumexp(da.from_array(x, chunk)).compute() == logsumexp(x)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_what_is_in_doubt_is_computed_once_more(monkeypatch, scheduler):
    """With states whose error leaves everything in doubt, also if tasks are pickled."""
    x = RNG.normal(size=(2, 40))
    cut = da.from_array(x, (1, 7))
    lazy = logsumexp(cut, 1), softmax(cut, 1), log_softmax(cut, 1)
    if scheduler != "processes":
        merge = states.merge

        def doubtful(s, t):
            merge(s, t)
            s["error"] += 2.0**-40
            s["near_error"] = np.inf

        monkeypatch.setattr(states, "merge", doubtful)
    else:
        lazy = pickle.loads(pickle.dumps(lazy))
    for found, function in zip(lazy, (logsumexp, softmax, log_softmax), strict=True):
        result = found.compute(scheduler="threads" if scheduler == "processes" else scheduler)
        assert result.tobytes() == function(x, 1).tobytes()


@pytest.mark.parametrize("chunk", [4, 1])
@pytest.mark.parametrize("top", [np.inf, -np.inf, np.nan])
def test_conventions(chunk, top):
    x = np.array([-np.inf, top, -np.inf, -np.inf])
    cut = da.from_array(x, chunk)
    assert np.array_equal(logsumexp(cut).compute(), logsumexp(x), equal_nan=True)
    for function in (softmax, log_softmax):
        assert np.array_equal(function(cut).compute(), function(x), equal_nan=True)


def test_no_numbers_and_one():
    x = da.concatenate([da.from_array(np.empty(0)), da.from_array(X[0, 0], 2)])
    assert logsumexp(x).compute() == logsumexp(X[0, 0])
    assert softmax(x).compute().tobytes() == softmax(X[0, 0]).tobytes()
    assert logsumexp(da.from_array(np.empty(0), 1)).compute() == -np.inf
    one = da.from_array(np.array(3.5))
    assert logsumexp(one).compute() == 3.5
    assert softmax(one).compute() == 1.0
    empty = logsumexp(da.from_array(np.empty((3, 0)), (2, 1)), 1).compute()
    assert np.array_equal(empty, [-np.inf] * 3)


def test_nothing_is_computed_until_it_is_asked_for():
    def never(block):
        raise AssertionError("computed")

    x = da.from_array(X, (3, 10, 5)).map_blocks(never, dtype=float, meta=np.empty((0, 0, 0)))
    for lazy in (logsumexp(x), logsumexp(x, 2), softmax(x, 1), log_softmax(x, 2)):
        with pytest.raises(AssertionError, match="computed"):
            lazy.compute(scheduler="synchronous")


def test_what_is_not_for_dask_arrays():
    x = da.from_array(X, (3, 10, 5))
    for function in (logsumexp, softmax, log_softmax):
        for options in ({"where": X > 0}, {"empty": "zero"}):
            with pytest.raises(TypeError, match=r"dask\.array\.where\(mask, x, -numpy\.inf\)"):
                function(x, 1, **options)
    for options in ({"b": X}, {"return_sign": True}):
        with pytest.raises(TypeError, match="a Dask array takes no b and has no sign here"):
            logsumexp(x, **options)
    for dtype in (complex, np.longdouble):
        with pytest.raises(TypeError, match="is not computed lazily; compute it first"):
            softmax(x.astype(dtype), 1)
    with pytest.raises(np.exceptions.AxisError):
        logsumexp(x, 3)
