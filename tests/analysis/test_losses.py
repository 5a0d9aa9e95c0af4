"""Absorption and cancellation: told where they cost a digit, with the place, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse import logsumexp
from stablelse.analysis.compare import Problem, compare, compare_rows
from stablelse.analysis.results import DIGIT, LOSSES, FindingKind, Verdict
from stablelse.analysis.steps import steps
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import USUAL, Method, candidates, find_shift
from stablelse.numerics.functions import Function

K = FindingKind
LOGITS = Path(__file__).parents[2] / "examples" / "digits" / "logits.npy"


def losses(x, method="shifted", function="logsumexp", format_="float64", shift="max"):
    comparison = compare(x, function, methods=[method], shifts=[shift], formats=[format_])
    result = [r for r in comparison.results if r.method is Method(method)][-1]
    return [found for found in result.findings if found.kind in LOSSES]


@pytest.mark.parametrize("method", ["naive", "shifted"])
def test_an_absorption_that_is_the_whole_answer(method):
    (found,) = losses([0, -40], method)
    assert found.kind is K.ABSORPTION
    assert found.span == (1, 2)
    assert found.operands == (1, np.exp(-40.0))
    assert found.result == 1
    assert found.bits_lost == 53


def test_an_absorption_is_told_with_its_first_place_and_how_often():
    (found,) = losses([-50, -45, 0, -40, -60, -41, -70])
    # 1 + e^-40, then s[1..2] + 1, then s[1..4] + the other three
    assert (found.span, found.occurrences) == ((3, 4), 3)
    assert found.operands == (1, np.exp(-40.0))


@pytest.mark.parametrize(
    ("method", "x", "value"),
    [
        ("naive", [-0.775, -0.6175], 5.237847950087536e-6),
        ("shifted", [-0.775, -0.6175], 5.237847950087536e-6),
        ("shifted", [-2.2239197662218846, -0.2239197662218846, -2.2239197662218846], 2.0**-6),
    ],
)
def test_a_cancellation_is_told_with_its_bits(method, x, value):
    """The error of a sum next to 1, in units of u times the value."""
    (found,) = losses(x, method)
    assert (found.kind, found.symbol, found.span) == (K.CANCELLATION, "y", None)
    assert found.bits_lost == round(np.log2(1 / value), 1)


@pytest.mark.parametrize("method", ["naive", "shifted"])
def test_a_result_of_zero_has_lost_all_bits(method):
    (found,) = losses([-np.log(2)] * 2, method)
    assert (found.kind, found.result, found.bits_lost) == (K.CANCELLATION, 0, 53)


def test_the_sum_next_to_1_shows_its_rounding():
    (found,) = losses([0, -30])
    assert (found.kind, found.symbol) == (K.CANCELLATION, "l")
    (found,) = losses([10, 0], "naive", "log_softmax")
    assert (found.symbol, found.element, found.indices.tolist()) == ("g", 1, [0])


def test_a_shift_too_far_away_cancels():
    (found,) = losses([1, 2], shift="700")
    assert (found.kind, found.symbol, found.operands[0]) == (K.CANCELLATION, "y", 700)
    (found,) = losses([1000, 1001], "division-free", "softmax", shift="990")
    assert (found.kind, found.symbol, found.occurrences) == (K.CANCELLATION, "z", 2)


BENIGN = [
    ([1000, 1001, 1002], "float64"),
    ([1000, 1001, 960], "float64"),  # e^-41 is absorbed, and 1001.3 has no room for it
    ([5, -60], "float64"),
    ([0], "float64"),
    ([0, -np.inf], "float64"),
    ([0, -800], "float64"),  # e^-800 is 0 in the format, and so is the result
    ([-1e-20], "float64"),
    ([0, -17], "float16"),  # wrong by an ulp, the smallest number that there is
    ([0.0] * 5000, "bfloat16"),
    ([0.0] * 70_000, "float16"),  # it overflows; nothing else is to be said
    ([3.25, 3.25], "float16"),
    ([np.inf, 1], "float64"),
    ([np.nan, 1], "float64"),
]


@pytest.mark.parametrize(("x", "format_"), BENIGN)
@pytest.mark.parametrize("function", ["logsumexp", "softmax"])
def test_what_does_no_harm_is_not_told(x, format_, function):
    assert not losses(x, function=function, format_=format_)


def test_ordinary_logits_are_not_noisy():
    logits = np.load(LOGITS)
    for function in (Function.LOGSUMEXP, Function.SOFTMAX):
        tried = candidates(function, USUAL, [find_shift("max")])
        for name in ("float16", "float32", "float64"):
            rows = compare_rows(logits, Problem(function), tried, [FORMATS[name]])
            told = [f for row in rows for result in row.results for f in result.findings]
            assert bool(told) is (name == "float16")  # which overflows
            assert not [f for f in told if f.kind in LOSSES]


def test_the_exact_value_acquits():
    """Rounding errors that happened to be small are not told."""
    x = [-0.7, -0.605]
    assert not losses(x, "naive")
    (naive,) = compare(x, methods=["naive"]).results
    assert naive.verdict is Verdict.RIGHT
    assert naive.ulps < DIGIT


NEAR_ZERO = st.floats(-0.1, 0.1).flatmap(
    lambda y: st.lists(st.floats(-3, 3), min_size=2, max_size=5).map(
        lambda x: (np.array(x) - np.log(np.exp(x).sum()) + y).tolist()
    )
)


@given(
    x=NEAR_ZERO | st.lists(st.floats(-60, 0), min_size=1, max_size=5).map(lambda x: [0.0, *x]),
    function=st.sampled_from(["logsumexp", "log_softmax"]),
    method=st.sampled_from(["naive", "shifted"]),
)
def test_who_lost_two_digits_is_told_why(x, function, method):
    comparison = compare(x, function, methods=[method])
    result = comparison.results[0]
    if DIGIT**2 <= result.ulps < np.inf:
        assert result.verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
        assert [found for found in result.findings if not found.harmless]


@given(x=st.lists(st.floats(-60, 0), min_size=1, max_size=6).map(lambda x: [0.0, *x]))
def test_an_absorption_costs_what_it_says(x):
    """The result misses the terms that are lost wholly, less what other roundings make up for.

    Those are the other additions, by u s at most each; the terms but exp(0), by an ulp; and log.
    """
    comparison = compare(x, methods=["shifted"])
    (result,) = comparison.results
    truth = float(logsumexp(x))
    u, total = 2.0**-53, np.exp(truth)
    for found in result.findings:
        if found.kind is K.ABSORPTION:
            told = min(2.0 ** (found.bits_lost - 0.05), 2.0**52.9) * u * truth
            additions = len(x) - 1 - found.occurrences
            others = additions * u * total + 2 * u * (total - 1) + 2 * u * truth
            assert result.relative_error * truth > told - others


def test_steps_mark_the_sums_that_absorbed():
    (result,) = compare([-50, -45, 0, -40], methods=["naive"]).results
    marked = [(s.span, s.findings) for s in steps(result.evaluation, result.findings) if s.findings]
    assert marked == [((3, 4), (K.ABSORPTION,)), ((1, 4), (K.ABSORPTION,))]


def test_steps_mark_what_cancelled():
    for method, symbol in (("naive", "y"), ("shifted", "y")):
        (result,) = compare([-0.775, -0.6175], methods=[method]).results
        *_, last = steps(result.evaluation, result.findings)
        assert (last.symbol, last.findings) == (symbol, (K.CANCELLATION,))
