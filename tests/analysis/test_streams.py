"""A stream folded into one state: the same certified bits, and the place where it broke."""

import pickle

import numpy as np
import pytest

import stablelse
from stablelse import RunningNaive, RunningShifted, StreamState
from stablelse.analysis.results import Verdict
from stablelse.numerics.formulas import pairwise_sum

FAMILIES = {
    "ordinary": lambda rng, n: rng.standard_normal(n),
    "wide": lambda rng, n: rng.uniform(-700, 700, n),
    "beyond exp": lambda rng, n: 1e4 * rng.standard_normal(n),
    "masked": lambda rng, n: np.where(rng.random(n) < 0.3, -np.inf, rng.uniform(-3e3, 3e3, n)),
    "small": lambda rng, n: rng.uniform(-1e4, -800, n),
}


def facts(stream):
    return [(r.method.value, str(r.value), r.verdict.value, r.findings) for r in stream.results]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_same_certified_bits_in_any_order_split_and_merge(family, dtype):
    rng = np.random.default_rng(3)
    x = FAMILIES[family](rng, 50_000)
    from stablelse.numerics.formats import find_format

    rounded = find_format(dtype).round(x)
    truth = stablelse.logsumexp(rounded, dtype=dtype)
    for _ in range(3):
        cuts = np.sort(rng.integers(0, len(x) + 1, 9))
        parts = [StreamState([dtype]).update(part) for part in np.split(rng.permutation(x), cuts)]
        while len(parts) > 1:
            other = parts.pop(rng.integers(len(parts)))
            parts[rng.integers(len(parts))].merge(pickle.loads(pickle.dumps(other)))
        (state,) = parts
        assert state.count == len(x)
        assert state.value == truth
        assert type(state.value) is type(truth)
        assert state.result().results[-1].error_bound == 0.5


@pytest.mark.parametrize("cuts", [[], [1], [2, 3], [4], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("grouping", ["left", "right"])
def test_the_first_overflow_has_a_place_however_the_rows_are_cut(cuts, grouping):
    rows = np.array([[1, 2], [3, 4], [700, 5], [6, 720.0], [800, 900], [0, 1]])
    parts = [StreamState().update(part, "x.csv") for part in np.split(rows, cuts)]
    if grouping == "right":
        while len(parts) > 1:
            parts[-2:] = [parts[-2].merge(parts[-1])]
    state = parts[0]
    for part in parts[1:]:
        state.merge(part)
    naive = state.result().results[0]
    (found,) = naive.findings
    assert (found.kind.value, found.place) == ("overflow", ("x.csv", 4, "2"))
    assert (found.element, found.occurrences, found.operands) == (8, 3, (720.0,))
    assert naive.verdict is Verdict.OVERFLOW


@pytest.mark.parametrize("split", [1, 2, 3])
def test_rows_are_counted_within_each_source(split):
    blocks = [("a", [1, 2]), ("a", [3]), ("b", [4, 5]), ("b", [6, 999])]
    states = [StreamState(), StreamState()]
    for index, (source, x) in enumerate(blocks):
        states[index >= split].update(x, source)
    stream = states[0].merge(states[1]).result()
    (found,) = stream.results[0].findings
    assert (found.place, found.element) == (("b", 4, None), 7)
    assert (stream.source, stream.n) == ("a and 1 more", 7)
    assert (stream.minimum, stream.maximum) == (1, 999)


def test_missing_cells_are_left_out_and_their_rows_counted():
    x = np.array([[1, np.nan], [np.nan, 710.0], [2, 3]])
    stream = StreamState().update(x, "x", np.isnan(x)).result()
    (found,) = stream.results[0].findings
    assert stream.n == 4
    assert (found.place, found.element) == (("x", 2, "2"), 2)


def test_where_the_sum_overflows_though_no_term_does():
    x = np.full(70_000, 709.0)
    stream = StreamState().update(x).result()
    (found,) = stream.results[0].findings
    row = int(np.floor(np.finfo(np.float64).max / np.exp(709.0))) + 1
    assert (found.symbol, found.place.row, found.element) == ("s", row, row)
    half = StreamState().update(x[:1]).merge(StreamState().update(x[:2]))
    (found,) = half.result().results[0].findings
    assert (found.symbol, found.place.row, found.element) == ("s", 3, 3)


def test_the_shifted_sum_overflows_in_a_narrow_format():
    stream = StreamState(["float16", "float64"]).update(np.zeros(70_000)).result()
    narrow, wide = stream.results[:3], stream.results[3:]
    assert [r.verdict for r in narrow] == [Verdict.OVERFLOW, Verdict.OVERFLOW, Verdict.RIGHT]
    assert [f.symbol for f in narrow[1].findings] == ["s"]
    assert narrow[2].value == np.float16(np.log(70_000))
    assert [r.verdict for r in wide] == [Verdict.RIGHT] * 3


def test_what_is_too_large_for_the_format_before_any_formula():
    stream = StreamState(["float16"]).update([1, 70_000.0, 5]).result()
    for result in stream.results[:2]:
        assert result.findings[0].kind.value == "input_overflow"
        assert (result.findings[0].place.row, result.findings[0].operands) == (2, (70_000.0,))


def test_every_term_underflows():
    naive, shifted, _ = StreamState().update([-1000.0, -1001.0]).result().results
    assert (naive.value, naive.verdict) == (-np.inf, Verdict.UNDERFLOW)
    assert [found.kind.value for found in naive.findings] == ["sum_underflow"]
    assert (shifted.verdict, shifted.findings) == (Verdict.RIGHT, ())


@pytest.mark.parametrize(
    ("x", "naive", "shifted", "right"),
    [
        ([1.0, np.inf], np.inf, np.nan, np.inf),
        ([np.nan, 1.0], np.nan, np.nan, np.nan),
        ([-np.inf, -np.inf], -np.inf, np.nan, -np.inf),
        ([-np.inf, 2.0], 2.0, 2.0, 2.0),
        ([np.inf, np.nan], np.nan, np.nan, np.nan),
    ],
)
def test_conventions(x, naive, shifted, right):
    for parts in ([x], [[entry] for entry in x]):
        state = StreamState()
        for part in parts:
            state.merge(state.fresh().update(part))
        values = [result.value for result in state.result().results]
        np.testing.assert_equal(values, [naive, shifted, right])
        assert state.result().results[-1].error_bound == 0.5


def test_a_state_is_a_few_numbers():
    x = np.linspace(-900, 900, 200_000).reshape(-1, 4)
    state = StreamState(["float64", "float32"]).update(x, "x.csv")
    assert len(pickle.dumps(state)) < 5000
    copy = pickle.loads(pickle.dumps(state))
    assert facts(copy.result()) == facts(state.result())
    assert repr(copy) == "<StreamState of 200,000 numbers>"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_the_twins_are_the_formulas(dtype):
    x = np.random.default_rng(1).uniform(-9, 9, 30_000).astype(dtype)
    with np.errstate(over="ignore"):
        terms = np.exp(x)
        total = np.add.reduce(terms) if dtype != "float16" else pairwise_sum(terms)[0]
        naive = np.log(total)
    assert RunningNaive(dtype).update(x).result() == naive
    assert StreamState([dtype]).update(x).result().results[0].value == naive
    shifted = RunningShifted(dtype).update(x[:100]).update(x[100:])
    pickled = pickle.loads(pickle.dumps(shifted))
    assert pickled.result() == shifted.result()
    assert pickled.shift == x.max()
    assert abs(pickled.result() - stablelse.logsumexp(x)) <= 4 * np.spacing(pickled.result())


def test_the_twins_merge_and_tell_themselves():
    naive = RunningNaive().update([1000]).merge(RunningNaive().update([1]))
    assert (repr(naive), naive.count) == ("<RunningNaive of 2 numbers: inf>", 2)
    assert naive.update([5, np.inf]).result() == np.inf
    assert np.isnan(naive.update([np.nan]).result())
    shifted = RunningShifted().merge(RunningShifted().update([1000])).merge(RunningShifted())
    assert repr(shifted) == "<RunningShifted of 1 numbers: 1000.0>"
    with pytest.raises(TypeError, match="real numbers"):
        RunningNaive().update([1j])
