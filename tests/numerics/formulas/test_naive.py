"""The naive formulas on arrays: the bits of the formulas that are shown step by step."""

import numpy as np
import pytest
from scipy import special

import stablelse
from stablelse import naive
from stablelse.numerics import formulas
from stablelse.numerics.formats import FORMATS, find_format, installed_formats
from stablelse.numerics.formulas import NAIVE
from stablelse.numerics.functions import Function

FUNCTIONS = {function.value: NAIVE[function] for function in Function}
SHAPES = [(1, 1), (1, 2), (7, 3), (300, 41), (2, 1000), (1, 5000)]


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_of_the_formula(function, name, monkeypatch):
    monkeypatch.setattr(formulas, "_BLOCK", 1024)
    format_ = find_format(name)
    rng = np.random.default_rng(8)
    for shape in SHAPES:
        x = rng.normal(size=shape) * rng.choice([1, 5, 1000], (shape[0], 1))
        value = getattr(naive, function)(x, axis=1, dtype=format_.dtype)
        right = FUNCTIONS[function].evaluate(x, format_).value
        assert value.dtype == format_.dtype
        assert np.array_equal(value, right.reshape(value.shape), equal_nan=True)


def test_it_breaks_where_the_formula_does():
    assert naive.logsumexp([1000.0, 1001.0]) == np.inf
    assert naive.logsumexp([-1000.0, -1001.0]) == -np.inf
    assert np.isnan(naive.softmax([1000.0, 1001.0])).all()
    assert naive.log_softmax([0.0, -1000.0]).tolist() == [0, -np.inf]
    assert naive.logsumexp(np.zeros(70_000, np.float16)) == np.inf


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), -1])
def test_any_axis_of_any_layout(axis):
    x = np.random.default_rng(2).normal(size=(4, 5, 6))
    for given in (x, np.asfortranarray(x), x[::-1, ::2], x.astype(">f8"), x.astype(np.float32)):
        lse = naive.logsumexp(given, axis, keepdims=True)
        right = stablelse.logsumexp(given.astype(float), axis, keepdims=True)
        assert np.all(abs(lse - right) <= 40 * np.spacing(np.abs(right).astype(lse.dtype)))
        assert naive.logsumexp(given, axis).shape == special.logsumexp(given, axis).shape
        p = naive.softmax(given, axis)
        assert p.shape == given.shape
        assert np.all(abs(p.sum(axis) - 1) < 40 * FORMATS[p.dtype.name].unit_roundoff)


def test_integers_and_errors():
    assert naive.logsumexp([1, 2]) == naive.logsumexp([1.0, 2.0])
    assert naive.logsumexp([]) == -np.inf
    with pytest.raises(ValueError, match="no elements"):
        naive.softmax([])
    with pytest.raises(TypeError, match="real numbers, not complex ones"):
        naive.logsumexp([1j])
    with pytest.raises(TypeError, match="expected numbers"):
        naive.softmax(["a"])
