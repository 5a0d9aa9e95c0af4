"""The methods by name, softmax without a division, and what a derivation refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.analysis.prove import DERIVATIONS
from stablelse.numerics import derivation
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import (
    Candidate,
    ChoiceError,
    Method,
    candidates,
    find_method,
    find_shift,
    pairwise_sum,
)
from stablelse.numerics.functions import Function

FLOAT64, MAX = FORMATS["float64"], find_shift("max")
VECTORS = arrays(np.float64, st.integers(1, 20), elements=st.floats(-700, 700))


@given(x=VECTORS)
def test_division_free_is_the_textbook_line(x):
    unshifted, shifted = candidates(Function.SOFTMAX, [Method.DIVISION_FREE], [MAX])
    with np.errstate(all="ignore"):
        y = np.log(pairwise_sum(np.exp(x)))
        expected = np.exp(x - y)
    value = unshifted.values(Function.SOFTMAX, x[np.newaxis], FLOAT64)
    assert np.array_equal(value[0], expected, equal_nan=True)
    with np.errstate(all="ignore"):
        y = x.max() + np.log(pairwise_sum(np.exp(x - x.max())))
        expected = np.exp(x - y)
    value = shifted.values(Function.SOFTMAX, x[np.newaxis], FLOAT64)
    assert np.array_equal(value[0], expected)


def test_a_shifted_formula_is_tried_with_every_shift():
    shifts = [find_shift(name) for name in ("max", "0")]
    chosen = candidates(Function.SOFTMAX, [Method.EXACT, Method.SHIFTED, Method.NAIVE], shifts)
    assert [(c.method, c.shift and c.shift.name) for c in chosen] == [
        (Method.NAIVE, None),
        (Method.SHIFTED, "max"),
        (Method.SHIFTED, "0"),
        (Method.EXACT, None),
    ]
    for candidate in chosen:
        formula = candidate.formula
        assert (formula is not None and formula.is_shifted) is (candidate.shift is not None)


@pytest.mark.parametrize("function", [Function.LOGSUMEXP, Function.LOG_SOFTMAX])
def test_a_method_that_the_function_lacks(function):
    message = (
        f"{function.value} has no division-free method, only softmax has: "
        "choose from naive, shifted, exact"
    )
    with pytest.raises(ChoiceError, match=message):
        candidates(function, [Method.DIVISION_FREE], [MAX])


def test_methods_have_names():
    assert [find_method(method.value) for method in Method] == list(Method)
    with pytest.raises(ChoiceError, match="unknown method 'NAIVE': choose from naive, shifted"):
        find_method("NAIVE")
    with pytest.raises(ChoiceError, match=r"no compensated method: .* use --method exact"):
        find_method("compensated")


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize("empty", ["nan", "zero", "uniform"])
def test_the_exact_method_knows_the_policies(empty, function):
    x = np.array([[-np.inf] * 3, [1.0, 2.0, 3.0]])
    found = Candidate(Method.EXACT).values(function, x, FLOAT64, empty)
    public = getattr(stablelse, function.value)(x, 1, empty=empty)
    assert np.array_equal(found, public.reshape(2, -1), equal_nan=True)


def test_what_thousands_of_digits_do_not_tell_is_refused(monkeypatch):
    """y = 0 + e^-1000000, by way of a = -17.5: the digits cancel."""
    monkeypatch.setattr(derivation, "_MOST_DIGITS", 640)
    last = DERIVATIONS[Function.LOGSUMEXP][-1].right
    x = FLOAT64.round([0, -1_000_000])
    with pytest.raises(ChoiceError, match="640 digits"):
        derivation.evaluate([last], x, FLOAT64.round(-17.5)[()], FLOAT64)
    (told,) = derivation.evaluate([last], x, FLOAT64.round(0)[()], FLOAT64)
    assert str(told["y"][0].decimal).startswith("3.29683147808856E-434295")
