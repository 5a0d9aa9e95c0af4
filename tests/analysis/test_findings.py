"""What is found where, its cost, and its step: an example of every kind of trouble."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse import logsumexp
from stablelse.analysis.compare import Compared, Problem, compare
from stablelse.analysis.results import DIGIT, LOSSES, FindingKind, Verdict
from stablelse.analysis.steps import steps
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import USUAL, Kind, Method, candidates, find_shift
from stablelse.numerics.functions import Function

K = FindingKind
LOGITS = Path(__file__).parents[2] / "examples" / "digits" / "logits.npy"
INF, NAN, LOG_2 = np.inf, np.nan, float(np.log(2))

# x, function, format, method, then for each finding: kind, symbol, first element, count, harmless
EXAMPLES = [
    ([1000, 1], "logsumexp", "float64", "naive", [(K.OVERFLOW, "e", 1, 1, False)]),
    ([-1000, -1001, -1], "logsumexp", "float64", "naive", [(K.TERM_UNDERFLOW, "e", 1, 2, True)]),
    ([-1000, -1001], "logsumexp", "float64", "naive",
     [(K.TERM_UNDERFLOW, "e", 1, 2, False), (K.SUM_UNDERFLOW, "y", None, 1, False)]),
    ([-740, -741], "logsumexp", "float64", "naive", [(K.SUBNORMAL, "e", 1, 2, False)]),
    ([-740, 1], "logsumexp", "float64", "naive", [(K.SUBNORMAL, "e", 1, 1, True)]),
    ([709.5, 709.5], "logsumexp", "float64", "naive", [(K.OVERFLOW, "s", None, 1, False)]),
    ([1, 2], "logsumexp", "float64", "naive", []),
    ([1000, 1, 1], "logsumexp", "float64", "shifted", [(K.TERM_UNDERFLOW, "e", 2, 2, True)]),
    ([INF, 1], "logsumexp", "float64", "naive", []),
    ([INF, 1], "logsumexp", "float64", "shifted", [(K.INVALID, "d", 1, 1, False)]),
    ([-INF, -INF], "logsumexp", "float64", "naive", []),
    ([-INF, -INF], "logsumexp", "float64", "shifted", [(K.INVALID, "d", 1, 2, False)]),
    ([NAN, 1], "logsumexp", "float64", "shifted", []),
    ([70_000, 1], "logsumexp", "float16", "shifted",
     [(K.INPUT_OVERFLOW, "x", 1, 1, False), (K.INVALID, "d", 1, 1, False)]),
    ([7, 1], "logsumexp", "float8_e4m3fn", "naive", [(K.OVERFLOW, "e", 1, 1, False)]),
    ([500, 1], "logsumexp", "float8_e4m3fn", "naive", [(K.INPUT_OVERFLOW, "x", 1, 1, False)]),
    ([1000, 1], "softmax", "float64", "naive",
     [(K.OVERFLOW, "e", 1, 1, False), (K.INVALID, "p", 1, 1, False)]),
    ([-1000, -1000], "softmax", "float64", "naive",
     [(K.TERM_UNDERFLOW, "e", 1, 2, False), (K.INVALID, "p", 1, 2, False)]),
    ([-1000, 1], "softmax", "float64", "naive", [(K.TERM_UNDERFLOW, "e", 1, 1, True)]),
    ([-750, -740], "softmax", "float64", "naive",
     [(K.TERM_UNDERFLOW, "e", 1, 1, False), (K.SUBNORMAL, "e", 2, 1, False)]),
    ([-745, 10], "softmax", "float64", "shifted", [(K.TERM_UNDERFLOW, "e", 1, 1, True)]),
    # the sum is 0.9999948; of a sum of 1e-304, the quotient is still 0
    ([-0.775, -0.6175, -800], "softmax", "float64", "naive", [(K.TERM_UNDERFLOW, "e", 3, 1, True)]),
    ([-0.775, -0.6175, -740], "softmax", "float64", "naive", [(K.SUBNORMAL, "e", 3, 1, True)]),
    ([-700, -1600], "softmax", "float64", "naive", [(K.TERM_UNDERFLOW, "e", 2, 1, True)]),
    ([-700, -750], "softmax", "float64", "naive", [(K.TERM_UNDERFLOW, "e", 2, 1, False)]),
    ([-40, 700], "softmax", "float64", "naive", []),
    ([-40, 700], "log_softmax", "float64", "naive",
     [(K.ABSORPTION, "s", None, 1, False), (K.SUBNORMAL, "p", 1, 1, False)]),
    ([-60, 700], "softmax", "float64", "naive", [(K.QUOTIENT_UNDERFLOW, "p", 1, 1, True)]),
    ([-1000, 1], "log_softmax", "float64", "naive",
     [(K.TERM_UNDERFLOW, "e", 1, 1, False), (K.LOG_OF_ZERO, "g", 1, 1, False)]),
    ([-60, 700], "log_softmax", "float64", "naive",
     [(K.QUOTIENT_UNDERFLOW, "p", 1, 1, False), (K.LOG_OF_ZERO, "g", 1, 1, False)]),
    ([-1000, 1], "log_softmax", "float64", "shifted", [(K.TERM_UNDERFLOW, "e", 1, 1, True)]),
    ([-INF, 1], "log_softmax", "float64", "naive", []),
    ([-INF, -1000], "logsumexp", "float64", "naive",
     [(K.TERM_UNDERFLOW, "e", 2, 1, False), (K.SUM_UNDERFLOW, "y", None, 1, False)]),
    ([0.0] * 70_000, "logsumexp", "float16", "shifted", [(K.OVERFLOW, "s", None, 1, False)]),
    ([60_000.0, 0], "logsumexp", "float16", "shifted", [(K.TERM_UNDERFLOW, "e", 2, 1, True)]),
    ([60_000.0, -60_000.0], "logsumexp", "float16", "shifted", [(K.OVERFLOW, "d", 2, 1, True)]),
    ([0, -40], "log_softmax", "float64", "shifted", [(K.ABSORPTION, "s", None, 1, False)]),
    ([0, -40], "softmax", "float64", "shifted", []),
    ([0, -30], "logsumexp", "float64", "shifted", [(K.CANCELLATION, "l", None, 1, False)]),
    ([10, 0], "log_softmax", "float64", "naive", [(K.CANCELLATION, "g", 1, 1, False)]),
    ([1000, 1001, 1002], "softmax", "float64", "division-free",
     [(K.CANCELLATION, "z", 1, 3, False)]),
    ([0, -800], "softmax", "float64", "division-free",
     [(K.TERM_UNDERFLOW, "e", 2, 1, True), (K.TERM_UNDERFLOW, "p", 2, 1, True)]),
    ([0, 0, 0], "softmax", "float64", "division-free", []),
]  # fmt: skip


@pytest.mark.parametrize(("x", "function", "format_", "method", "expected"), EXAMPLES)
def test_findings(x, function, format_, method, expected):
    comparison = compare(x, function, formats=[format_], methods=[method])
    result = comparison.results[-1]  # for division-free, the shifted one
    found = [(f.kind, f.symbol, f.element, f.occurrences, f.harmless) for f in result.findings]
    assert found == expected


#: The same with weights, and the verdict.
WEIGHTED = [
    ([500, 501], [1e200, 1], "float64", "naive", "overflow", [(K.OVERFLOW, "t", 1, 1, False)]),
    ([500, 501], [1e200, 1], "float64", "shifted", "right", []),
    ([-500, -501], [1e-200, 1e-250], "float64", "naive", "underflow",
     [(K.TERM_UNDERFLOW, "t", 1, 2, False), (K.SUM_UNDERFLOW, "y", None, 1, False)]),
    ([0, 1000], [1, 0], "float64", "naive", "overflow",
     [(K.OVERFLOW, "e", 2, 1, False), (K.INVALID, "t", 2, 1, False)]),
    ([1000, 1001], [1, -1], "float64", "naive", "overflow",
     [(K.OVERFLOW, "e", 1, 2, False), (K.INVALID, "s", None, 1, False)]),
    ([1, 2], [1e10, 1], "float16", "naive", "does_not_fit", [(K.INPUT_OVERFLOW, "b", 1, 1, False)]),
    ([1, 2], [1e-10, 1e-9], "float16", "shifted", "underflow",
     [(K.INPUT_UNDERFLOW, "b", 1, 2, False), (K.SUM_UNDERFLOW, "l", None, 1, False)]),
    ([1, 2], [1e-10, 1], "float16", "shifted", "right", [(K.INPUT_UNDERFLOW, "b", 1, 1, True)]),
    ([0, -22], [0, 1e-9], "float16", "shifted", "underflow", [(K.INPUT_UNDERFLOW, "b", 2, 1, False),
     (K.TERM_UNDERFLOW, "e", 2, 1, False), (K.SUM_UNDERFLOW, "l", None, 1, False)]),
    ([0, 0, 1e-15], [1, 1, -2], "float64", "naive", "digits_lost",
     [(K.CANCELLATION, "s", None, 1, False)]),
    ([0, 0, 1e-17], [1, 1, -2], "float64", "shifted", "underflow",
     [(K.SUM_UNDERFLOW, "l", None, 1, False)]),
    ([0.9, 0.3, -0.1, 0], [-0.3, 1.1, -2.3, 1.334162306496188], "float64", "naive",
     "no_digits", [(K.CANCELLATION, "s", None, 1, False)]),  # the wrong sign
    ([0, 0], [1, -1], "float64", "naive", "right", [(K.SUM_UNDERFLOW, "y", None, 1, True)]),
    ([5, 7], [0, 0], "float64", "shifted", "right", []),
    ([-1000, 0], [1e9, 1], "float64", "naive", "right", [(K.TERM_UNDERFLOW, "e", 1, 1, True)]),
    ([NAN, 1000], [1, 0], "float64", "naive", "nan",
     [(K.OVERFLOW, "e", 2, 1, False), (K.INVALID, "t", 2, 1, False)]),
]  # fmt: skip


@pytest.mark.parametrize(("x", "b", "format_", "method", "verdict", "expected"), WEIGHTED)
def test_findings_in_weighted_terms(x, b, format_, method, verdict, expected):
    (result,) = compare(x, weights=b, formats=[format_], methods=[method]).results
    found = [(f.kind, f.symbol, f.element, f.occurrences, f.harmless) for f in result.findings]
    assert (result.verdict.value, found) == (verdict, expected)


def test_every_kind_has_an_example():
    examples = (*EXAMPLES, *WEIGHTED)
    assert {kind for *_, found in examples for kind, *_ in found} == set(FindingKind)


def test_a_finding_tells_operand_result_and_threshold():
    (finding,) = compare([5, 1000, 1001]).results[0].findings
    assert (finding.element, finding.occurrences) == (2, 2)
    assert finding.operands == (1000.0,)
    assert finding.result == np.inf
    assert finding.threshold == 709.782712893384
    assert finding.indices.tolist() == [1, 2]


VERDICTS = [
    ([1000, 1], "logsumexp", "float64", "overflow", "right"),
    ([1000, 1], "softmax", "float64", "overflow", "right"),
    ([-1000, -1001], "logsumexp", "float64", "underflow", "right"),
    ([-1000, -1001], "softmax", "float64", "underflow", "right"),
    ([-1000, -1], "logsumexp", "float64", "right", "right"),
    ([-740, -741], "logsumexp", "float64", "digits_lost", "right"),
    ([0, -40], "logsumexp", "float64", "no_digits", "no_digits"),
    ([0, -40], "log_softmax", "float64", "digits_lost", "digits_lost"),
    ([INF, 1], "logsumexp", "float64", "right", "nan"),
    ([-INF, -INF], "logsumexp", "float64", "right", "nan"),
    ([NAN, 1], "softmax", "float64", "nan", "nan"),
    ([NAN, 1000], "logsumexp", "float64", "nan", "nan"),
    ([-750, -740], "softmax", "float64", "underflow", "right"),
    ([-1000, 1], "log_softmax", "float64", "underflow", "right"),
    ([0.0] * 70_000, "logsumexp", "float16", "overflow", "overflow"),
    ([0.0] * 70_000, "softmax", "float16", "overflow", "overflow"),
    ([0.0] * 5_000, "softmax", "bfloat16", "right", "right"),
    ([7, 1], "logsumexp", "float8_e4m3fn", "overflow", "right"),
    ([12, 3], "softmax", "float16", "overflow", "right"),
    ([12, 3], "softmax", "bfloat16", "right", "right"),
    ([70_000, 1], "logsumexp", "float16", "does_not_fit", "does_not_fit"),
    ([70_000, 1], "softmax", "float16", "does_not_fit", "does_not_fit"),
    ([-70_000, 1], "log_softmax", "float16", "does_not_fit", "does_not_fit"),
    ([500, NAN], "log_softmax", "float8_e4m3fn", "does_not_fit", "does_not_fit"),
    # 0 instead of 2^-14, the smallest normal number, is only 4 ulp off
    ([0, -10, -12, -12, -12], "logsumexp", "float8_e5m2", "no_digits", "no_digits"),
]


@pytest.mark.parametrize(("x", "function", "format_", "naive", "shifted"), VERDICTS)
def test_verdicts(x, function, format_, naive, shifted):
    comparison = compare(x, function, formats=[format_])
    verdicts = {r.method: r.verdict for r in comparison.results}
    assert verdicts[Method.NAIVE] is Verdict(naive)
    assert verdicts[Method.SHIFTED] is Verdict(shifted)
    of_input = {Verdict.NAN, Verdict.DOES_NOT_FIT}
    if verdicts[Method.NAIVE] in of_input:
        assert set(verdicts.values()) == {verdicts[Method.NAIVE]}
    else:
        assert verdicts[Method.EXACT] is Verdict.RIGHT


@given(
    st.lists(st.floats(-800, 800), min_size=1, max_size=30),
    st.sampled_from(["float16", "float32", "float64"]),
)
def test_harmless_means_harmless(x, format_):
    """If every finding is harmless, the naive result is within its own rounding errors."""
    naive, _, exact = compare(x, formats=[format_]).results
    if naive.verdict is not Verdict.RIGHT or not np.isfinite(exact.value):
        return
    u = float(np.finfo(format_).eps) / 2
    y, n = abs(float(exact.value)), len(x)
    # Blanchard, Higham & Higham 2021, theorem 3.2, with half an ulp more for the reference and
    # the terms' exp assumed right to 4 ulp; underflow may add one rounding of the sum.
    bound = u * (2 * y + 4 * (n + 1) + 2)
    assert abs(float(naive.value) - float(exact.value)) <= bound


#: x, function, methods, shift, then facts of the only finding.
LOSSES_TOLD = [
    ([0, -40], "logsumexp", ["naive", "shifted"], "max",
     {"kind": K.ABSORPTION, "span": (1, 2), "operands": (1, np.exp(-40.0)), "bits_lost": 53}),
    # 1 + e^-40, then s[1..2] + 1, then s[1..4] + the other three
    ([-50, -45, 0, -40, -60, -41, -70], "logsumexp", ["shifted"], "max",
     {"span": (3, 4), "occurrences": 3, "operands": (1, np.exp(-40.0)), "result": 1}),
    # the error of a sum near 1, in units of u times the value
    ([-0.775, -0.6175], "logsumexp", ["naive", "shifted"], "max",
     {"kind": K.CANCELLATION, "symbol": "y", "span": None, "bits_lost": 17.5}),
    ([-2.2239197662218846, -0.2239197662218846, -2.2239197662218846], "logsumexp", ["shifted"],
     "max", {"symbol": "y", "bits_lost": 6.0}),
    ([-LOG_2, -LOG_2], "logsumexp", ["naive", "shifted"], "max",
     {"symbol": "y", "result": 0, "bits_lost": 53}),
    ([1, 2], "logsumexp", ["shifted"], "700", {"kind": K.CANCELLATION, "symbol": "y"}),
    ([1000, 1001], "softmax", ["division-free"], "990",
     {"kind": K.CANCELLATION, "symbol": "z", "occurrences": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("x", "function", "methods", "shift", "facts"), LOSSES_TOLD)
def test_a_loss_has_its_first_place_and_its_bits(x, function, methods, shift, facts):
    for method in methods:
        result = compare(x, function, methods=[method], shifts=[shift]).results[-1]
        (found,) = result.findings
        assert not found.harmless
        assert {name: getattr(found, name) for name in facts} == facts


def losses(x, method="shifted", function="logsumexp", format_="float64"):
    result = compare(x, function, methods=[method], formats=[format_]).results[-1]
    return [found for found in result.findings if found.kind in LOSSES]


BENIGN = [
    ([1000, 1001, 1002], "float64"),
    ([1000, 1001, 960], "float64"),  # e^-41 is absorbed; 1001.3 could not show it
    ([5, -60], "float64"),
    ([0], "float64"),
    ([0, -np.inf], "float64"),
    ([0, -800], "float64"),  # e^-800 is 0 in the format, and so is the result
    ([-1e-20], "float64"),
    ([0, -17], "float16"),  # wrong by an ulp, the smallest number
    ([0.0] * 5000, "bfloat16"),
    ([0.0] * 70_000, "float16"),  # it overflows; nothing else is reported
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
            rows = Compared(logits, Problem(function), tried, [FORMATS[name]])
            told = [f for row in rows for result in row.results for f in result.findings]
            assert bool(told) is (name == "float16")  # which overflows
            assert not [f for f in told if f.kind in LOSSES]


def test_the_exact_value_acquits():
    """Rounding errors that happen to be small are not reported."""
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
    """The result misses the terms that are lost completely, apart from other roundings.

    Those are the other additions, by at most u s each; the terms except exp(0), by an ulp; and log.
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


NAMES = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64", "longdouble"]
ANY = st.lists(
    st.floats(-2000, 2000) | st.sampled_from([np.inf, -np.inf, np.nan]), min_size=1, max_size=20
)
APPLY = {
    Kind.SUBTRACT: np.subtract,
    Kind.EXP: np.exp,
    Kind.DIVIDE: np.divide,
    Kind.LOG: np.log,
    Kind.ADD: np.add,
}


def same_bits(one, other) -> bool:
    # longdouble has padding bytes, which mean nothing
    if one.dtype == np.longdouble:
        return bool(one == other or (np.isnan(one) and np.isnan(other)))
    return one.tobytes() == other.tobytes()


@given(x=ANY, function=st.sampled_from(list(Function)), format_=st.sampled_from(NAMES))
def test_last_steps_are_the_value(x, function, format_):
    comparison = compare(x, function.value, shifts=["max", "0"], formats=[format_])
    for result in comparison.results:
        if result.evaluation is None:
            continue
        walked = [step for _, step in steps(result.evaluation, result.findings)]
        value = np.atleast_1d(result.value)
        for step, entry in zip(walked[-len(value) :], value, strict=True):
            assert same_bits(step.value, entry)


@pytest.mark.parametrize("format_", NAMES)
def test_every_step_is_its_operation(format_):
    """Each step, done again alone, gives its value."""
    comparison = compare([3.3, -1.7, 5.5, 2.2, 0.4], "log_softmax", formats=[format_])
    for result in comparison.results[:2]:
        for _, step in steps(result.evaluation):
            if step.kind in APPLY:
                operands = (np.asarray(operand)[np.newaxis] for operand in step.operands)
                with np.errstate(divide="ignore"):
                    again = APPLY[step.kind](*operands)
                assert same_bits(again[0], step.value), step


def test_the_sum_is_a_tree_and_one_number_has_one_too():
    five, one = (compare(x).results[0].evaluation for x in ([0] * 5, [2.0]))
    assert [step.span for _, step in steps(five) if step.span] == [(1, 2), (3, 4), (1, 4), (1, 5)]
    assert [step.kind for _, step in steps(one)] == [Kind.ROUND, Kind.EXP, Kind.SUM, Kind.LOG]


@pytest.mark.parametrize(
    ("x", "method", "marked"),
    [
        ([1, 1000, 3], "naive", [("e", 2, None, (K.OVERFLOW,))]),
        ([-50, -45, 0, -40], "naive",
         [("s", None, (3, 4), (K.ABSORPTION,)), ("s", None, (1, 4), (K.ABSORPTION,))]),
        ([-0.775, -0.6175], "naive", [("y", None, None, (K.CANCELLATION,))]),
        ([-0.775, -0.6175], "shifted", [("y", None, None, (K.CANCELLATION,))]),
    ],
)  # fmt: skip
def test_findings_are_told_at_their_step(x, method, marked):
    (result,) = compare(x, methods=[method]).results
    walked = steps(result.evaluation, result.findings)
    told = [(s.symbol, s.element, s.span, s.findings) for _, s in walked if s.findings]
    assert told == marked


def test_the_first_sum_that_absorbed_is_among_any_steps():
    (result,) = compare([-50, -45, 0, -40, -60, -41, -70], methods=["shifted"]).results
    chosen = steps(result.evaluation, result.findings, [1])
    assert [step.span for _, step in chosen if step.span] == [(3, 4), (1, 7)]
