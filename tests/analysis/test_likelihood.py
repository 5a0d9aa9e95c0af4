"""The methods on labelled vectors: their sums, verdicts and places, part by part."""

from fractions import Fraction
from math import fsum, inf, nan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import stablelse
from stablelse.analysis.likelihood import ExactSum, LabelledTally
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import FORMATS, find_format
from stablelse.numerics.formulas import Method, candidates, find_shift
from stablelse.numerics.functions import Function, LossFunction

ALL = (Method.NAIVE, Method.SHIFTED, Method.EXACT)
RNG = np.random.default_rng(9)


def found(x, labels, function=LossFunction.LOSS, methods=ALL, formats=("float64",), **options):
    """Tally vectors all at once."""
    tried = candidates(function.function, methods, [find_shift("max")])
    tally = LabelledTally(function, tried, [find_format(f) for f in formats], **options)
    tally.compare(np.asarray(x, float), np.asarray(labels))
    return tally.summary()


def reduced(parts, reduction="sum", name="float64"):
    """Return the sum of losses in parts."""
    format_ = FORMATS[name]
    losses = ExactSum(format_)
    for part in parts:
        losses.add(np.array(part, format_.dtype), Fraction(len(part)))
    return losses.reduced(reduction)


NUMBERS = st.floats(0, 1e300) | st.floats(0, 1e-300) | st.floats(0, 10)


@given(parts=st.lists(st.lists(NUMBERS, min_size=1, max_size=9), max_size=9))
@example(parts=[[1.0, 1.1065436200094284e299, 2.2419207774476573e299], [0.0]])  # next to a tie
def test_sums_are_correctly_rounded_however_they_come(parts):
    assert reduced(parts) == fsum(x for part in parts for x in part)


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ([[1.0, inf], [2.0]], inf),
        ([[1.0], [nan], [2.0, inf]], nan),
        ([[inf], [-inf]], nan),
        ([[1e308, 1e308], [1.0]], inf),
        ([[1e308], [1e308], [1e308]], inf),
        ([], 0),
    ],
)
def test_what_is_not_finite_stays(parts, total):
    assert np.array_equal(reduced(parts), total, equal_nan=True)


def test_longdoubles_are_added_as_such():
    tiny = np.longdouble(2) ** -60
    assert reduced([[1], [tiny]], name="longdouble") == 1 + tiny
    assert np.isnan(reduced([[inf], [-inf]], name="longdouble"))


def test_errors_and_verdicts_of_totals():
    x, labels = [[40, 0], [1000, 0], [1, 2]], [0, 0, 1]
    naive, shifted, right = found(x, labels).totals
    assert np.isnan(naive.value)
    assert (naive.ulps, naive.verdict) == (inf, Verdict.OVERFLOW)
    assert (naive.right, naive.digits_lost, naive.broken) == (1, 0, 2)
    assert (shifted.right, shifted.digits_lost, shifted.broken) == (2, 0, 1)
    assert (shifted.ulps, shifted.verdict) == (1, Verdict.RIGHT)
    assert (right.ulps, right.worst) == (0, 0)
    (alone,) = found(x, labels, methods=[Method.NAIVE]).totals
    assert (alone.ulps, alone.verdict, alone.broken) == (None, None, 2)
    _, held = found(x, labels, methods=[Method.NAIVE, Method.EXACT]).totals
    assert (held.ulps, held.verdict) == (0, Verdict.RIGHT)


@pytest.mark.parametrize("name", FORMATS)
def test_gradients_of_formulas(name):
    format_ = find_format(name)
    x, labels = format_.round(RNG.normal(size=(20, 5))), RNG.integers(0, 5, 20)
    result = found(x, labels, LossFunction.GRADIENT, formats=[name])
    assert {entry.value for entry in result.totals} == {None}
    tried = candidates(Function.SOFTMAX, ALL[:2], [find_shift("max")])
    for place, candidate in enumerate(tried):
        onehot = format_.round(np.arange(5) == labels[:, np.newaxis])
        gradient = candidate.values(Function.SOFTMAX, x, format_) - onehot
        told = [loss.results[place].value for loss in result.comparisons]
        assert np.array_equal(told, gradient, equal_nan=True)
    right = stablelse.nll_grad(x, labels, reduction="none")
    for loss, gradient in zip(result.comparisons, right, strict=True):
        assert np.array_equal(loss.results[-1].value, gradient)
        assert loss.results[-1].ulps == 0


@pytest.mark.parametrize(("empty", "loss"), [("nan", nan), ("zero", 0), ("uniform", np.log(2))])
def test_policies(empty, loss):
    result = found([[-inf, -inf], [1, 2]], [0, 1], empty=empty)
    values = [float(r.value) for r in result.comparisons[0].results]
    assert np.array_equal(values, [nan, nan, loss], equal_nan=True)


@pytest.mark.parametrize(
    ("x", "label", "kinds"),
    [
        ([1000.0, 0.0], 0, {"overflow", "invalid"}),
        ([0.0, -800.0], 0, set()),  # log 0 of the other class does not show
        ([0.0, -800.0], 1, {"term_underflow", "log_of_zero"}),
        ([40.0, 0.0], 0, {"absorption"}),
    ],
)
def test_findings_are_those_that_the_loss_of_the_label_shows(x, label, kinds):
    (comparison,) = found([x], [label]).comparisons
    naive = comparison.results[0]
    told = {f.kind.value for f in naive.findings if not f.harmless}
    assert told == kinds
    assert (naive.verdict is Verdict.RIGHT) == (not kinds)
    assert comparison.label == label
    assert next(comparison.records())["function"] == "nll"


def test_records_of_a_vector_a_stream_and_a_loss_have_the_same_fields():
    def fields(record):
        """Return the keys of a record and of everything in it, except in findings."""
        first, *_ = record["results"]
        found, *_ = first["findings"]
        return list(record), list(first), list(found)

    x = [1000.0, 1.0]
    vector = stablelse.compare(x)
    stream = stablelse.StreamState().update(x).result()
    (loss,) = found([x], [0]).comparisons
    (of_vector,), (of_stream,), (of_loss,) = (list(c.records()) for c in (vector, stream, loss))
    assert fields(of_vector) == fields(of_stream) == fields(of_loss)
    rows = [next(comparison.flat_records()) for comparison in (vector, stream, loss)]
    assert list(rows[0]) == list(rows[1]) == list(rows[2])
