"""A batch without vectors has an empty result, and zero has no sign, in every format."""

import numpy as np
import pytest

import stablelse
from stablelse import naive
from stablelse.numerics.formats import FORMATS

SHAPES = [(0, 3), (2, 0, 3)]
ELEMENTWISE = [getattr(m, name) for m in (stablelse, naive) for name in ("softmax", "log_softmax")]
SUMS = [module.logsumexp for module in (stablelse, naive)]
OPTIONS = [
    {},
    {"where": [True, False, True]},
    {"empty": "zero"},
    {"empty": "error"},
    {"where": [False] * 3, "empty": "uniform"},
]


def options_of(function):
    return OPTIONS[:1] if function.__module__ == "stablelse.naive" else OPTIONS


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_batch(name, shape):
    x = np.zeros(shape, FORMATS[name].dtype)
    for function in ELEMENTWISE:
        for options in options_of(function):
            found = function(x, axis=-1, **options)
            assert (found.shape, found.dtype) == (shape, x.dtype)
    for function in SUMS:
        for options in options_of(function):
            found = function(x, axis=-1, **options)
            assert (found.shape, found.dtype) == (shape[:-1], x.dtype)
    value, sign = stablelse.logsumexp(x, axis=-1, b=[1.0, -1, 1], return_sign=True)
    assert value.shape == sign.shape == shape[:-1]
    for function in (stablelse.softmax, stablelse.log_softmax):
        out = np.empty_like(x)
        assert function(x, axis=-1, out=out) is out

    labels = np.zeros(shape[:-1], int)
    for options in OPTIONS:
        for weight in (None, [1, 2, 3]):
            found = stablelse.nll(x, labels, weight=weight, reduction="none", **options)
            assert (found.shape, found.dtype) == (shape[:-1], x.dtype)
        gradient = stablelse.nll_grad(x, labels, **options)
        assert (gradient.shape, gradient.dtype) == (shape, x.dtype)
    assert stablelse.nll(x, labels, reduction="sum") == 0
    assert np.isnan(stablelse.nll(x, labels))  # like NumPy's and PyTorch's mean of nothing
    assert stablelse.nll(x, np.zeros(shape), reduction="none").shape == shape[:-1]


def test_nothing():
    for function in (stablelse.logsumexp, stablelse.softmax, stablelse.log_softmax):
        _, certificate = function(np.zeros((0, 3)), axis=1, return_certificate=True)
        assert (certificate.settled, certificate.rung) == ({}, None)
    assert stablelse.nll(np.zeros((0, 3)), [], reduction="none").shape == (0,)
    for function in ELEMENTWISE:
        for x in ([], np.zeros((2, 0)), np.zeros((0, 3))):
            with pytest.raises(ValueError, match="softmax of no elements"):
                function(x, axis=None)
    for function in SUMS:
        assert function([]) == -np.inf
        assert (function(np.zeros((2, 0)), axis=1) == -np.inf).all()
    with pytest.raises(ValueError, match=r"vector at \[0, 0\] .*, and 1 more"):
        stablelse.logsumexp(np.zeros((2, 0)), axis=1, empty="error")


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"longdouble"}))
def test_dask_arrays_without_vectors(name):
    dask_array = pytest.importorskip("dask.array")
    for shape, chunks in zip(SHAPES, (2, 5), strict=True):
        x = dask_array.zeros(shape, chunks=chunks, dtype=FORMATS[name].dtype)
        assert stablelse.logsumexp(x, axis=-1).compute().shape == shape[:-1]
        for function in (stablelse.softmax, stablelse.log_softmax):
            assert function(x, axis=-1).compute().shape == shape


def assert_is_plain_zero(value):
    assert (np.asarray(value) == 0).all()
    assert not np.signbit(value).any()


@pytest.mark.parametrize("rows", [1, 200])
@pytest.mark.parametrize("name", FORMATS)
def test_zero_has_no_sign(name, rows):
    for zero in (0.0, -0.0):
        x = np.full((rows, 1), zero, FORMATS[name].dtype)
        labels = np.zeros(rows, int)
        assert_is_plain_zero(stablelse.logsumexp(x, axis=1))
        for b in (np.ones_like(x), -np.ones_like(x)):
            value, sign = stablelse.logsumexp(x, axis=1, b=b, return_sign=True)
            assert_is_plain_zero(value)
            assert np.array_equal(sign, b[:, 0])
        assert_is_plain_zero(stablelse.logsumexp(x, axis=1, where=x == 0))
        assert_is_plain_zero(stablelse.log_softmax(x, axis=1))
        assert_is_plain_zero(stablelse.nll(x, labels))
        assert_is_plain_zero(stablelse.nll_grad(x, labels))
        for result in stablelse.compare(x[0], formats=[name]).results:
            assert_is_plain_zero(result.value)
        for running in (stablelse.RunningNaive(name), stablelse.RunningShifted(name)):
            assert_is_plain_zero(running.update(x[0]).result())
        if name != "longdouble":  # it has no running sum
            assert_is_plain_zero(stablelse.RunningLogSumExp().update(x[0]).result(name))
            for result in stablelse.StreamState([name]).update(x[0]).result().results:
                assert_is_plain_zero(result.value)

    # nor has a result that rounds to zero
    format_ = FORMATS[name]
    far = max(float(format_.underflow_threshold) - 30, -float(format_.largest))
    x = np.repeat(format_.round([[0.0, far]]), rows, axis=0)
    assert_is_plain_zero(stablelse.logsumexp(x, axis=1))
    assert_is_plain_zero(stablelse.log_softmax(x, axis=1)[:, 0])
    assert_is_plain_zero(stablelse.nll(x, np.zeros(rows, int)))


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"longdouble"}))
def test_zero_has_no_sign_in_dask_arrays(name):
    dask_array = pytest.importorskip("dask.array")
    format_ = FORMATS[name]
    for vector in ([0.0], [-0.0], [0.0, -float(format_.largest)]):
        for chunks in (1, -1):
            x = dask_array.from_array(format_.round(vector), chunks=chunks)
            assert_is_plain_zero(stablelse.logsumexp(x).compute())
            assert_is_plain_zero(stablelse.log_softmax(x).compute()[0])
