"""The gallery: its exact values and this package are right, and the textbook formula is not."""

import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from cases import CASES as EDGE_CASES

from stablelse.analysis.demo import demo
from stablelse.analysis.gallery import CASES, Case, gallery
from stablelse.analysis.peers import Outcome, Task
from stablelse.numerics.formats import FORMATS, Format, find_format, nearest

LSE = {case.name: case.lse for case in EDGE_CASES}
LSE_TASKS = {Task.LOGSUMEXP, Task.WEIGHTED, Task.SIGNED}
#: The long case is shorter in the table of cases.
SAME = [case for case in CASES if case.name in LSE and case.copies <= 70_000]


@pytest.fixture(scope="module")
def shown():
    """The whole gallery, with the textbook formula and this package."""
    return gallery(["naive"])


def test_every_case_and_task_is_shown(shown):
    find_format("bfloat16")
    assert len({case.name for case in CASES}) == len(CASES)
    assert [(c.case, c.function) for c in shown.cases] == [
        (case.name, task) for case in CASES for task in case.tasks
    ]
    assert all(c.vectors == 1 for c in shown.cases)
    assert shown.left_out == ()
    assert demo("libraries").facts["cases"] == len(shown.cases)


def test_this_package_is_right_everywhere(shown):
    assert [c.case for c in shown.cases if c.results[-2].outcome is not Outcome.RIGHT] == []


def test_the_formula_is_broken_most_of_the_time(shown):
    outcomes = [c.results[0].outcome for c in shown.cases]
    assert outcomes.count(Outcome.BROKEN) >= 10
    assert outcomes.count(Outcome.NO_ANSWER) == 1  # a gradient


@pytest.mark.parametrize("case", SAME, ids=lambda case: case.name)
def test_exact_values_are_the_oracles(case, shown):
    """The 30 digits of the table of cases, rounded to the format."""
    for comparison in shown.cases:
        if comparison.case == case.name and comparison.function in LSE_TASKS:
            value = np.atleast_1d(comparison.results[-1].value)[0]
            digits = LSE[case.name]
            if digits == "-inf":
                assert value == -np.inf
            else:
                assert value == nearest(Fraction(digits), FORMATS[case.format])


def test_ten_million_zeros(shown):
    (result,) = [c.results[-1] for c in shown.cases if c.case.startswith("10,000,000")]
    with mpmath.workdps(30):
        assert result.value == np.float32(str(mpmath.log(10**7)))


def test_a_format_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setitem(FORMATS, "bfloat16", Format("bfloat16", extra="ml"))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    case = Case("zeros", (Task.SOFTMAX,), "", (0.0,), dtype="bfloat16")
    shown = gallery(["naive"], [case, CASES[3]])
    assert [c.case for c in shown.cases] == [CASES[3].name] * 2
    (reason,) = shown.left_out
    assert reason.startswith("zeros: bfloat16 needs ml_dtypes: pip install")
    assert "left out: zeros" in str(shown)


@pytest.mark.parametrize("name", ["scipy", "torch", "jax"])
def test_what_the_libraries_do_not_survive(name):
    """The shifted sum of 70,000 halves: the notes of the gallery are about real libraries."""
    pytest.importorskip(name)
    first = gallery([name], CASES[:1])
    assert [c.results[0].outcome for c in first.cases] == [Outcome.BROKEN] * 2
