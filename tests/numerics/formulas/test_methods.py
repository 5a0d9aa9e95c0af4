"""The methods by name, and softmax without a division."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import (
    USUAL,
    Candidate,
    ChoiceError,
    Method,
    candidates,
    find_method,
    find_shift,
    pairwise_sum,
)
from stablelse.numerics.functions import Function, exact

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


@given(x=VECTORS, function=st.sampled_from(list(Function)))
def test_what_a_candidate_computes(x, function):
    x = x[np.newaxis]
    for candidate in candidates(function, USUAL, [MAX]):
        value = candidate.values(function, x, FLOAT64)
        expected = {
            Method.EXACT: lambda: exact(function, x, FLOAT64),
        }.get(
            candidate.method,
            lambda c=candidate: c.formula.evaluate(x, FLOAT64, MAX.rule).value,
        )()
        assert np.array_equal(value, expected, equal_nan=True)


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
@pytest.mark.parametrize("rows", [2, 200])  # in decimal arithmetic, and up the ladder
def test_the_exact_method_knows_the_policies(rows, empty, function):
    x = np.resize([[-np.inf] * 3, [1.0, 2.0, 3.0]], (rows, 3))
    found = Candidate(Method.EXACT).values(function, x, FLOAT64, empty)
    public = getattr(stablelse, function.value)(x, 1, empty=empty)
    assert np.array_equal(found, public.reshape(rows, -1), equal_nan=True)


def test_of_nothing_made_uniform_the_exact_method_rounds_correctly():
    for n in range(2, 60):
        nothing = np.full((1, n), -np.inf)
        found = Candidate(Method.EXACT).values(Function.LOG_SOFTMAX, nothing, FLOAT64, "uniform")
        assert set(found.ravel().tolist()) == {float(-Decimal(n).ln())}
