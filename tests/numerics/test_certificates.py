"""The functions give their certificates and results of other formats, always correctly rounded."""

import numpy as np
import pytest

import stablelse

X = np.random.default_rng(11).normal(0, 30, (5, 40))
LABELS = np.arange(5)
WEIGHTED = {"b": np.where(np.arange(40) % 3, 1.0, -0.5), "return_sign": True}


@pytest.mark.parametrize("dtype", [None, "float64", "float32", "float16"])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("more", [{}, {"where": X > 0}, {"empty": "zero"}])
def test_a_certificate_is_of_the_same_bits(name, dtype, more):
    function = getattr(stablelse, name)
    alone = function(X, axis=1, dtype=dtype, **more)
    value, certificate = function(X, axis=1, dtype=dtype, return_certificate=True, **more)
    assert alone.dtype == value.dtype == np.dtype(dtype or "float64")
    assert np.array_equal(alone, value)
    assert sum(certificate.settled.values()) == value.size
    assert certificate.bound < 0.5


def test_a_certificate_comes_last():
    value, sign = stablelse.logsumexp(X, 1, **WEIGHTED)
    certified = stablelse.logsumexp(X, 1, return_certificate=True, **WEIGHTED)
    assert np.array_equal(certified[0], value, equal_nan=True)
    assert np.array_equal(certified[1], sign)
    assert len(certified) == 3


@pytest.mark.parametrize("dtype", [None, "float32", "float16"])
def test_losses(dtype):
    given = {"reduction": "none", "dtype": dtype}
    losses, certificate = stablelse.nll(X, LABELS, return_certificate=True, **given)
    assert np.array_equal(losses, stablelse.nll(X, LABELS, **given))
    right = -stablelse.log_softmax(X, 1, dtype=dtype)[LABELS, LABELS]
    assert np.array_equal(losses, right)
    assert sum(certificate.settled.values()) == len(X)
    assert stablelse.nll_grad(X, LABELS, dtype=dtype).dtype == np.dtype(dtype or "float64")
    assert stablelse.nll(X, LABELS, dtype=dtype).dtype == np.dtype(dtype or "float64")


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_every_loss_and_gradient_has_a_certificate(reduction, smoothing):
    given = {"reduction": reduction, "label_smoothing": smoothing}
    loss, certificate = stablelse.nll(X, LABELS, return_certificate=True, **given)
    assert sum(certificate.settled.values()) == np.size(loss)
    gradient, certificate = stablelse.nll_grad(X, LABELS, return_certificate=True, **given)
    assert sum(certificate.settled.values()) == gradient.size
    assert 0 <= certificate.reference <= gradient.size


def test_what_has_no_certificate_says_so():
    with pytest.raises(TypeError, match="leave out return_certificate"):
        stablelse.logsumexp([1j], return_certificate=True)
    array = pytest.importorskip("dask.array").zeros(3)
    for more in ({"dtype": "float32"}, {"return_certificate": True}):
        with pytest.raises(TypeError, match=r"Dask array takes no dtype, return_certificate"):
            stablelse.softmax(array, **more)
