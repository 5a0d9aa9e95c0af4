"""Results go where the caller wants them."""

import tracemalloc

import numpy as np
import pytest

import stablelse
from stablelse.numerics import kernel

ELEMENTWISE = ["softmax", "log_softmax"]


def numbers(shape=(6, 50)):
    return np.random.default_rng(4).normal(0, 3, shape)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("function", ELEMENTWISE)
def test_elements_are_put_into_out(function, axis, dtype):
    x = numbers().astype(dtype)
    right = getattr(stablelse, function)(x, axis)
    for out in (
        np.full(x.shape, 7, dtype),
        np.full(x.shape, 7, np.float64),
        np.full(x.shape[::-1], 7, dtype).T,
        np.full((6, 100), 7, dtype)[:, ::2],
        np.full(x.shape, 7, dtype).view(type("Subclass", (np.ndarray,), {})),  # as a memmap is
    ):
        assert getattr(stablelse, function)(x, axis, out=out) is out
        assert np.array_equal(out.astype(dtype), right)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("scale", [1, 400])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", ELEMENTWISE)
def test_long_vectors_are_put_into_any_layout(function, dtype, scale, count):
    # Longer than a piece: no buffer holds all terms until their sum is known.
    x = (numbers((2, 300_000)) * scale).astype(dtype)
    right = getattr(stablelse, function)(x, 1, threads=1)
    for out in (
        np.full(x.shape, 7, dtype, order="F"),
        np.full((2, 600_000), 7, dtype)[:, ::2],
        np.full(x.shape, 7, dtype)[:, ::-1],
    ):
        getattr(stablelse, function)(x, 1, out=out, threads=count)
        assert np.array_equal(out, right)


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_x_may_be_overwritten(function):
    x = numbers()
    right = getattr(stablelse, function)(x, 1)
    whole = np.concatenate([x, x])
    getattr(stablelse, function)(whole[:6], 1, out=whole[3:9])
    assert np.array_equal(whole[3:9], right)
    assert getattr(stablelse, function)(x, 1, out=x) is x
    assert np.array_equal(x, right)


@pytest.mark.skipif(kernel.load() is None, reason="the reference has memory of its own")
def test_a_result_in_place_takes_no_memory_of_its_own():
    x, out = numbers((4, 300_000)), np.zeros((4, 300_000))
    stablelse.softmax(x, 1, out=out)
    tracemalloc.start()
    stablelse.softmax(x, 1, out=out)
    in_place = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    stablelse.softmax(x, 1)
    anew = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert in_place < x.nbytes <= anew


@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_are_put_into_out(keepdims):
    x = numbers()
    right = stablelse.logsumexp(x, 1, keepdims=keepdims)
    out = np.zeros(right.shape)
    assert stablelse.logsumexp(x, 1, keepdims=keepdims, out=out) is out
    assert np.array_equal(out, right)
    whole = np.zeros(())
    assert stablelse.logsumexp(x, out=whole) is whole
    assert whole == stablelse.logsumexp(x)
    signed = {"axis": 1, "b": -1, "return_sign": True}
    value, sign = stablelse.logsumexp(x, **signed, out=out.reshape(6))
    assert np.array_equal(value, stablelse.logsumexp(x, **signed)[0])
    assert np.array_equal(value, out.reshape(6))
    assert (sign == -1).all()


@pytest.mark.parametrize("empty", ["nan", "zero"])
def test_out_of_masked_elements(empty):
    x, mask = numbers(), numbers() > 0
    mask[2] = False
    right = stablelse.softmax(x, 1, where=mask, empty=empty)
    out = np.zeros_like(x)
    assert stablelse.softmax(x, 1, where=mask, empty=empty, out=out) is out
    assert np.array_equal(out, right, equal_nan=True)


@pytest.mark.parametrize("function", [*ELEMENTWISE, "logsumexp"])
@pytest.mark.parametrize(
    "options", [{}, {"where": True}, {"empty": "zero"}, {"b": 1.0, "where": True}]
)
@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.zeros(3), ValueError, r"out has the shape \(3,\), the result \(1048576,"),
        ([0.0], TypeError, "out must be an array, not list"),
        (0, TypeError, "cannot put a result of float64 into an out of int64"),
        (0.0, ValueError, "out is read-only"),
    ],
)
def test_what_does_not_fit_is_seen_before_anything_is_computed(
    function, options, out, error, message
):
    """A virtual array of 8 TB: computing it would take all memory, or an hour."""
    x = np.broadcast_to(0.0, (2**20, 2**20))
    if "b" in options and function != "logsumexp":
        return
    if not isinstance(out, np.ndarray | list):
        out = np.broadcast_to(out, x.shape[:1] if function == "logsumexp" else x.shape)
    with pytest.raises(error, match=message):
        getattr(stablelse, function)(x, 1, out=out, **options)
