"""The formulas as data, the methods by name, and `stablelse.naive`, as in a textbook."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

import stablelse
from stablelse import naive
from stablelse.analysis.prove import DERIVATIONS
from stablelse.numerics import derivation
from stablelse.numerics.formats import FORMATS, find_format, installed_formats
from stablelse.numerics.formulas import (
    NAIVE,
    SHIFTED,
    Candidate,
    ChoiceError,
    Method,
    candidates,
    find_method,
    find_shift,
    pairwise_sum,
)
from stablelse.numerics.functions import Function, exact_values

FLOAT64, MAX = FORMATS["float64"], find_shift("max")
VECTORS = arrays(np.float64, st.integers(1, 40), elements=st.floats(-700, 700))


def evaluate(formula, x, format_="float64", shift="max"):
    stack = np.atleast_2d(np.asarray(x))
    return formula.evaluate(stack, FORMATS[format_], find_shift(shift).rule)


# Formulas.


def test_one_number_float16_exhaustively():
    """The shifted lse of x is exactly x; the naive one is finite within the limits."""
    bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
    x, format_ = bits[np.isfinite(bits)][:, np.newaxis], FORMATS["float16"]
    assert np.array_equal(evaluate(SHIFTED[Function.LOGSUMEXP], x, "float16").value, x)
    assert np.array_equal(exact_values(Function.LOGSUMEXP, x, format_), x)
    value = evaluate(NAIVE[Function.LOGSUMEXP], x, "float16").value
    assert np.array_equal(np.isposinf(value), x > format_.overflow_threshold)
    assert np.array_equal(np.isneginf(value), x < format_.underflow_threshold)


def division_free(e, s, x, a):
    return np.exp(x - (a + np.log(s)))


#: The textbook's formulas, from the terms, their sum, x, and a.
LINES = {
    ("logsumexp", Method.NAIVE): lambda e, s, x, a: np.log(s),
    ("softmax", Method.NAIVE): lambda e, s, x, a: e / s,
    ("log_softmax", Method.NAIVE): lambda e, s, x, a: np.log(e / s),
    ("logsumexp", Method.SHIFTED): lambda e, s, x, a: a + np.log(s),
    ("softmax", Method.SHIFTED): lambda e, s, x, a: e / s,
    ("log_softmax", Method.SHIFTED): lambda e, s, x, a: (x - a) - np.log(s),
    ("softmax", Method.DIVISION_FREE): division_free,
}


@given(x=VECTORS, shift=st.sampled_from(["max", "min", "mean", "0", "12.5"]))
def test_the_formulas_are_the_textbooks_lines(x, shift):
    for (name, method), line in LINES.items():
        for _, formula, rule in candidates(Function(name), [method], [find_shift(shift)]):
            evaluation = evaluate(formula, x, shift=shift)
            a = evaluation.results["a"][0, 0] if rule else 0.0
            assert a == {"max": x.max(), "min": x.min()}.get(shift, a) or not rule
            with np.errstate(all="ignore"):
                e = np.exp(x - a)
                expected = line(e, pairwise_sum(e)[0], x, a)
            assert np.array_equal(evaluation.value[0], np.atleast_1d(expected), equal_nan=True)


@pytest.mark.parametrize("name", [n for n in FORMATS if n != "longdouble"])
@pytest.mark.parametrize("function", Function)
def test_every_result_is_of_the_format(name, function):
    for formula in (NAIVE[function], SHIFTED[function]):
        evaluation = evaluate(formula, [1.3, -2.7, 5.0, 0.1], name)
        results = {s: r for s, r in evaluation.results.items() if s != "input"}
        assert {r.dtype for r in results.values()} == {FORMATS[name].dtype}
        assert evaluation.partial_sums[0] is evaluation.results["e"]
        assert evaluation.partial_sums[-1] is evaluation.results["s"]


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


def test_mean_shift_does_not_overflow_on_its_way():
    x = np.array([[1.7e308, 1.7e308]])
    assert find_shift("mean").rule(x)[0, 0] == 1.7e308


# Choices.


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


LACKS = "only softmax has a division-free method: choose from naive, shifted, exact"
NO_SHIFT = "choose from max, min, mean, or give a number"


@pytest.mark.parametrize(
    ("choose", "choice", "message"),
    [
        (find_shift, "average", NO_SHIFT),
        (find_shift, "", NO_SHIFT),
        (find_shift, "1e", NO_SHIFT),
        (find_shift, "0x10", NO_SHIFT),
        (find_method, "NAIVE", "unknown method 'NAIVE': choose from naive, shifted"),
        (lambda f: candidates(f, [Method.DIVISION_FREE], [MAX]), Function.LOG_SOFTMAX, LACKS),
    ],
)
def test_choices_that_cannot_be(choose, choice, message):
    with pytest.raises(ChoiceError, match=message.format(getattr(choice, "value", choice))):
        choose(choice)


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize("empty", ["nan", "zero", "uniform"])
def test_the_exact_method_knows_the_policies(empty, function):
    x = np.array([[-np.inf] * 3, [1.0, 2.0, 3.0]])
    found = Candidate(find_method("exact")).values(function, x, FLOAT64, empty)
    public = getattr(stablelse, function.value)(x, 1, empty=empty)
    assert np.array_equal(found, public.reshape(2, -1), equal_nan=True)


def test_what_thousands_of_digits_do_not_tell_is_refused(monkeypatch):
    """y = 0 + e^-1000000, with a = -17.5: the digits cancel."""
    monkeypatch.setattr(derivation, "_MOST_DIGITS", 640)
    last = DERIVATIONS[Function.LOGSUMEXP][-1].right
    x = FLOAT64.round([0, -1_000_000])
    with pytest.raises(ChoiceError, match="640 digits"):
        derivation.evaluate_exactly([last], x, FLOAT64.round(-17.5)[()], FLOAT64)
    (told,) = derivation.evaluate_exactly([last], x, FLOAT64.round(0)[()], FLOAT64)
    assert str(told[0].decimal).startswith("3.29683147808856E-434295")


# The naive functions.

SHAPES = [(1, 1), (1, 2), (7, 3), (300, 41), (2, 1000), (1, 5000)]


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
@pytest.mark.parametrize("function", Function)
def test_the_bits_of_the_formula(function, name, monkeypatch):
    monkeypatch.setattr(naive, "_BLOCK", 1024)
    format_ = find_format(name)
    rng = np.random.default_rng(8)
    for shape in SHAPES:
        x = rng.normal(size=shape) * rng.choice([1, 5, 1000], (shape[0], 1))
        value = getattr(naive, function.value)(x, axis=1, dtype=format_.dtype)
        right = NAIVE[function].evaluate(x, format_).value
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
    for given_ in (x, np.asfortranarray(x), x[::-1, ::2], x.astype(">f8"), x.astype(np.float32)):
        lse = naive.logsumexp(given_, axis, keepdims=True)
        right = stablelse.logsumexp(given_.astype(float), axis, keepdims=True)
        assert np.all(abs(lse - right) <= 40 * np.spacing(np.abs(right).astype(lse.dtype)))
        assert naive.logsumexp(given_, axis).shape == special.logsumexp(given_, axis).shape
        p = naive.softmax(given_, axis)
        assert p.shape == given_.shape
        assert np.all(abs(p.sum(axis) - 1) < 40 * FORMATS[p.dtype.name].unit_roundoff)


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_strides_do_not_matter(name):
    x = np.random.default_rng(2).normal(size=(3000, 2))
    for strided in (x[:, 0], x[::-3, 1], x[::-1]):
        for axis in ((), 0, -1):
            right = getattr(naive, name)(strided.copy(), axis)
            assert np.array_equal(getattr(naive, name)(strided, axis), right)


def test_integers():
    assert naive.logsumexp([1, 2]) == naive.logsumexp([1.0, 2.0])
