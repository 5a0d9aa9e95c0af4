"""The steps are the operations themselves: the last one is the value, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.analysis.compare import compare
from stablelse.analysis.results import FindingKind
from stablelse.analysis.steps import steps
from stablelse.numerics.formulas import Kind
from stablelse.numerics.functions import Function

FORMATS = [
    "float8_e4m3fn",
    "float8_e5m2",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "longdouble",
]
X = st.lists(
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
    # longdouble's storage has padding, whose bytes mean nothing
    if one.dtype == np.longdouble:
        return bool(one == other or (np.isnan(one) and np.isnan(other)))
    return one.tobytes() == other.tobytes()


@given(x=X, function=st.sampled_from(list(Function)), format_=st.sampled_from(FORMATS))
def test_last_steps_are_the_value(x, function, format_):
    comparison = compare(x, function.value, shifts=["max", "0"], formats=[format_])
    for result in comparison.results:
        if result.evaluation is None:
            continue
        walked = list(steps(result.evaluation, result.findings))
        value = np.atleast_1d(result.value)
        for step, entry in zip(walked[-len(value) :], value, strict=True):
            assert same_bits(step.value, entry)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_step_is_its_operation(format_):
    """Doing each step again, alone, gives its value."""
    comparison = compare([3.3, -1.7, 5.5, 2.2, 0.4], "log_softmax", formats=[format_])
    for result in comparison.results[:2]:
        for step in steps(result.evaluation):
            if step.kind in APPLY:
                operands = (np.asarray(operand)[np.newaxis] for operand in step.operands)
                with np.errstate(divide="ignore"):
                    again = APPLY[step.kind](*operands)
                assert same_bits(again[0], step.value), step


def test_the_sum_is_a_tree():
    (naive, *_) = compare([0, 0, 0, 0, 0]).results
    spans = [step.span for step in steps(naive.evaluation) if step.span]
    assert spans == [(1, 2), (3, 4), (1, 4), (1, 5)]


def test_one_number_has_a_sum_too():
    (naive, *_) = compare([2.0]).results
    kinds = [step.kind for step in steps(naive.evaluation)]
    assert kinds == [Kind.ROUND, Kind.EXP, Kind.SUM, Kind.LOG]


def test_findings_are_told_at_their_step():
    (naive, *_) = compare([1, 1000, 3]).results
    told = {(s.symbol, s.element): s.findings for s in steps(naive.evaluation, naive.findings)}
    assert told["e", 2] == (FindingKind.OVERFLOW,)
    assert all(not findings for place, findings in told.items() if place != ("e", 2))
