"""The formulas as data: what they compute, and that it is rounded as it says."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import NAIVE, SHIFTED, ChoiceError, find_shift, pairwise_sum
from stablelse.numerics.functions import Function, exact

MAX = find_shift("max").rule
FINITE = st.floats(-700, 700)
VECTORS = arrays(np.float64, st.integers(1, 40), elements=FINITE)


def evaluate(formula, x, format_="float64", shift="max"):
    stack = np.atleast_2d(np.asarray(x))
    return formula.evaluate(stack, FORMATS[format_], find_shift(shift).rule)


def all_float16():
    bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return bits[np.isfinite(bits)]


def test_one_number_float16_exhaustively():
    """Of one number x the shifted log-sum-exp and the exact one are x itself."""
    x = all_float16()[:, np.newaxis]
    shifted = SHIFTED[Function.LOGSUMEXP].evaluate(x, FORMATS["float16"], MAX).value
    assert np.array_equal(shifted, x)
    assert np.array_equal(exact(Function.LOGSUMEXP, x, FORMATS["float16"]), x)


def test_naive_overflows_float16_exactly_where_the_limits_say():
    x = all_float16()[:, np.newaxis]
    format_ = FORMATS["float16"]
    value = NAIVE[Function.LOGSUMEXP].evaluate(x, format_, MAX).value
    assert np.array_equal(np.isposinf(value), x > format_.overflow_threshold)
    assert np.array_equal(np.isneginf(value), x < format_.underflow_threshold)


@given(x=VECTORS)
def test_naive_is_the_textbook_line(x):
    """For up to eight numbers NumPy adds in order: two by two, here and there the same."""
    pair = x[:2]
    terms = np.exp(pair)
    value = evaluate(NAIVE[Function.LOGSUMEXP], pair).value[0, 0]
    assert value == np.log(terms.sum())
    assert np.array_equal(evaluate(NAIVE[Function.SOFTMAX], pair).value[0], terms / terms.sum())


@given(x=VECTORS, shift=st.sampled_from(["max", "min", "mean", "0", "12.5"]))
def test_shifted_is_the_identity(x, shift):
    evaluation = evaluate(SHIFTED[Function.LOGSUMEXP], x, shift=shift)
    a = {"max": x.max(), "min": x.min()}.get(shift, evaluation.results["a"][0, 0])
    assert evaluation.results["a"][0, 0] == a
    with np.errstate(over="ignore"):
        terms = np.exp(x - a)
        value = a + np.log(pairwise_sum(terms)[0])
    assert evaluation.value[0, 0] == value


@pytest.mark.parametrize("name", [n for n in FORMATS if n != "longdouble"])
@pytest.mark.parametrize("function", Function)
def test_every_result_is_of_the_format(name, function):
    for formula in (NAIVE[function], SHIFTED[function]):
        evaluation = evaluate(formula, [1.3, -2.7, 5.0, 0.1], name)
        results = {s: r for s, r in evaluation.results.items() if s != "input"}
        assert {r.dtype for r in results.values()} == {FORMATS[name].dtype}
        assert evaluation.partial_sums[0] is evaluation.results["e"]
        assert evaluation.partial_sums[-1] is evaluation.results["s"]


def test_a_row_of_a_stack_is_the_evaluation_of_the_row():
    x = np.random.default_rng(1).normal(0, 300, (7, 13))
    for formula in (*NAIVE.values(), *SHIFTED.values()):
        stack = evaluate(formula, x)
        for index, row in enumerate(x):
            alone = evaluate(formula, row).row(0)
            of_stack = stack.row(index)
            assert alone.value.tobytes() == of_stack.value.tobytes()
            assert len(alone.partial_sums) == len(of_stack.partial_sums)


@given(terms=arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 1e300)))
def test_pairwise_sum_keeps_its_bound(terms):
    """Higham 2002, equation (4.6): depth * u / (1 - depth * u) times the sum."""
    levels = []
    total = pairwise_sum(terms, levels)
    depth = math.ceil(math.log2(len(terms))) if len(terms) > 1 else 0
    assert len(levels) == depth + 1
    exact = sum(map(Fraction, terms.tolist()))
    u = Fraction(1, 2**53)
    assert abs(Fraction(total[0]) - exact) <= depth * u / (1 - depth * u) * exact


def test_pairwise_sum_of_halves_overflows_in_the_format():
    """70,000 ones do not fit into float16, however they are added."""
    ones = np.ones(70_000, np.float16)
    with np.errstate(over="ignore"):
        assert np.isinf(pairwise_sum(ones)[0])
    assert pairwise_sum(ones[:65_504])[0] == 65_504


@pytest.mark.parametrize("name", ["average", "", "1e", "0x10"])
def test_unknown_shift(name):
    with pytest.raises(ChoiceError, match="choose from max, min, mean, or give a number"):
        find_shift(name)


def test_mean_shift_does_not_overflow_on_its_way():
    x = np.array([[1.7e308, 1.7e308]])
    assert find_shift("mean").rule(x)[0, 0] == 1.7e308
