"""A tally of many rows at once is the tally of each row's comparison."""

import numpy as np
import pytest

from stablelse.analysis import Place
from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.likelihood import Labelled
from stablelse.analysis.tally import Tally
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import Method, candidates, find_shift
from stablelse.numerics.functions import Function, LossFunction
from stablelse.numerics.targets import Targets

RNG = np.random.default_rng(11)
FORMATS_TRIED = [["float64"], ["float32", "float16"], ["bfloat16"]]


def rows(count, n):
    """Rows with every kind of trouble: large, small, close to cancelling, and not finite."""
    x = RNG.normal(size=(count, n)) * 10.0 ** RNG.uniform(-2, 4, (count, 1))
    x[::7] += RNG.uniform(-800, 800, (len(x[::7]), 1))
    x[::31, 0], x[5::37, -1], x[9::41] = np.inf, np.nan, -np.inf
    return x


def problem_of(function, x):
    if isinstance(function, Function):
        return Problem(function), function
    labels = RNG.integers(0, x.shape[1], len(x))
    targets = Targets(labels, None, np.zeros(len(x), bool), None, 0.0)
    return Labelled(function, targets, None, "nan"), function.function


#: Few rows of every function and format; more than are kept; rows of one number.
STACKS = [
    *((f, formats, 60, 5) for f in (*Function, *LossFunction) for formats in FORMATS_TRIED),
    (Function.SOFTMAX, ["float32"], 1100, 4),
    (LossFunction.LOSS, ["float64"], 45, 1),
]


@pytest.mark.parametrize(("function", "formats", "count", "n"), STACKS)
def test_many_rows_at_once_are_counted_as_one_by_one(function, formats, count, n):
    if "bfloat16" in formats:
        pytest.importorskip("ml_dtypes")
    x = rows(count, n)
    problem, of = problem_of(function, x)
    tried = candidates(of, [m for m in Method if m is not Method.DIVISION_FREE], [find_shift("0")])
    tried += candidates(of, [Method.SHIFTED], [find_shift("max")])
    found = Compared(
        x,
        problem,
        tried,
        [find_format(name) for name in formats],
        lambda row: Place("f", row + 1),
        errors=False,
    )
    at_once, one_by_one = Tally(), Tally()
    at_once.add(found)
    for comparison in found:
        one_by_one.add([comparison])
    at_once, one_by_one = at_once.summary(), one_by_one.summary()
    assert [t.verdicts for t in at_once.totals] == [t.verdicts for t in one_by_one.totals]
    assert at_once.badness == one_by_one.badness
    for fact in ("vectors", "totals", "comparisons"):
        assert repr(getattr(at_once, fact)) == repr(getattr(one_by_one, fact)), fact
    assert (len(at_once.comparisons) == at_once.vectors) == (count <= 1000)


def test_the_worst_of_many_is_kept():
    x = np.zeros((1200, 2))
    x[100:150, 0], x[1100, 0] = 1000, 2000
    naive = candidates(Function.LOGSUMEXP, [Method.NAIVE], [])
    tally = Tally()
    tally.add(
        Compared(
            x, Problem(Function.LOGSUMEXP), naive, [find_format("float64")], lambda i: Place(row=i)
        )
    )
    kept = [comparison.row for comparison in tally.summary().comparisons]
    assert kept == [*range(20), *range(100, 120), 1100]
