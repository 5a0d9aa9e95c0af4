"""What is found where: every kind of trouble by an example, and its harm by its effect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.analysis.compare import compare
from stablelse.analysis.results import FindingKind, Verdict
from stablelse.numerics.formulas import Method

K = FindingKind
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
    ([0, -40], "logsumexp", "float64", "naive", [(K.ABSORPTION, "s", None, 1, False)]),
    ([0, -40], "logsumexp", "float64", "shifted", [(K.ABSORPTION, "s", None, 1, False)]),
    ([0, -40], "log_softmax", "float64", "shifted", [(K.ABSORPTION, "s", None, 1, False)]),
    ([0, -40], "softmax", "float64", "shifted", []),
    ([-0.775, -0.6175], "logsumexp", "float64", "naive", [(K.CANCELLATION, "y", None, 1, False)]),
    ([-0.775, -0.6175], "logsumexp", "float64", "shifted", [(K.CANCELLATION, "y", None, 1, False)]),
    ([-LOG_2, -LOG_2], "logsumexp", "float64", "naive", [(K.CANCELLATION, "y", None, 1, False)]),
    ([-LOG_2, -LOG_2], "logsumexp", "float64", "shifted", [(K.CANCELLATION, "y", None, 1, False)]),
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
    result = comparison.results[-1]  # of the division-free ones the shifted
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
    ([0, 0, 1e-15], [1, 1, -2], "float64", "naive", "digits_lost",
     [(K.CANCELLATION, "s", None, 1, False)]),
    ([0, 0, 1e-17], [1, 1, -2], "float64", "shifted", "underflow",
     [(K.SUM_UNDERFLOW, "l", None, 1, False)]),
    ([0.9, 0.3, -0.1, 0], [-0.3, 1.1, -2.3, 1.334162306496188], "float64", "naive",
     "no_digits", [(K.CANCELLATION, "s", None, 1, False)]),  # the wrong sign
    ([0.9, 0.3, -0.1, 0], [-0.3, 1.1, -2.3, 1.334162306496188], "float64", "naive",
     "no_digits", [(K.CANCELLATION, "s", None, 1, False)]),  # the wrong sign
    ([0, 0], [1, -1], "float64", "naive", "right", [(K.SUM_UNDERFLOW, "y", None, 1, True)]),
    ([5, 7], [0, 0], "float64", "shifted", "right", []),
    ([-1000, 0], [1e9, 1], "float64", "naive", "right", [(K.TERM_UNDERFLOW, "e", 1, 1, True)]),
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
    """Where every finding is harmless the naive result is within its own rounding errors."""
    naive, _, exact = compare(x, formats=[format_]).results
    if naive.verdict is not Verdict.RIGHT or not np.isfinite(exact.value):
        return
    u = float(np.finfo(format_).eps) / 2
    y, n = abs(float(exact.value)), len(x)
    # Blanchard, Higham & Higham 2021, theorem 3.2, with half an ulp more for the reference and
    # the terms' exp taken as right to 4 ulp; what underflowed may add one rounding of the sum.
    bound = u * (2 * y + 4 * (n + 1) + 2)
    assert abs(float(naive.value) - float(exact.value)) <= bound
