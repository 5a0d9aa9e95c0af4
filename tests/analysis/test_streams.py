"""A stream folded into one state: the same certified bits, and the place where it broke.

Its errors are those that mpmath finds, and never above the bound. The table of a vector too long
for memory is that of a vector in memory.
"""

import itertools
import pickle
from dataclasses import replace
from functools import cache

import mpmath
import numpy as np
import oracle
import pytest

import stablelse
from stablelse import RunningLogSumExp, RunningNaive, RunningShifted, StreamState
from stablelse.analysis import elements as elements_module
from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.elements import LongVector
from stablelse.analysis.results import LOSSES, Verdict
from stablelse.numerics.formats import FORMATS, find_format
from stablelse.numerics.formulas import USUAL, candidates, find_shift, pairwise_sum
from stablelse.numerics.functions import Function


def facts(stream):
    return [(r.method.value, str(r.value), r.verdict.value, r.findings) for r in stream.results]


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


def test_what_a_stream_cannot_do_is_refused():
    assert StreamState().update([1, 2], missing=[True, False]).count == 1
    for missing in ([True], [[True, False]], True):
        with pytest.raises(ValueError, match=r"missing has shape .*, but x \(2,\)"):
            StreamState().update([1, 2], missing=missing)
    for x in ([], [1, 2]):
        with pytest.raises(ValueError, match="a stream has no steps"):
            _ = StreamState().update(x).result().steps
    with pytest.raises(ValueError, match="too few digits for longdouble"):
        StreamState(["float64", "longdouble"])


#: A format, blocks, and of naive and shifted: the verdict, and where each kind of trouble was.
BROKEN = {
    "the sum overflows though no term does": ("float64", [np.full(70_000, 709.0)],
        ("overflow", [("s", "overflow", None)]), ("right", [])),
    "it does so when states are merged": ("float64", [np.full(1, 709.0), np.full(2, 709.0)],
        ("overflow", [("s", "overflow", None)]), ("right", [])),
    "a term overflows, and so does the sum": (
        "float64", [np.full(2, 709.0), [710.0], np.full(2, 709.0)],
        ("overflow", [("e", "overflow", 3)]), ("right", []),
    ),
    "the shifted sum overflows in a narrow format": ("float16", [np.zeros(70_000)],
        ("overflow", [("s", "overflow", None)]), ("overflow", [("s", "overflow", None)])),
    "a number does not fit the format": ("float16", [[1, 70_000.0, 5]],
        ("does_not_fit", [("x", "input_overflow", 2)]),
        ("does_not_fit", [("x", "input_overflow", 2), ("d", "invalid", 2)])),
    "every term underflows": ("float64", [[-1000.0, -1001.0]],
        ("underflow", [("y", "sum_underflow", None)]), ("right", [])),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_broke_and_where(case):
    format_, blocks, *expected = BROKEN[case]
    state = StreamState([format_])
    for block in blocks:
        state.merge(StreamState([format_]).update(block))
    *results, exact = state.result().results
    for result, (verdict, findings) in zip(results, expected, strict=True):
        told = [(f.symbol, f.kind.value, f.place and f.place.row) for f in result.findings]
        assert (result.verdict.value, told) == (verdict, findings)
        assert [f.element for f in result.findings] == [row for *_, row in findings]
    x = find_format(format_).round(np.concatenate(blocks))
    assert exact.value == stablelse.logsumexp(x)


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


@pytest.mark.parametrize(
    "others",
    [
        (RunningLogSumExp(), RunningNaive()),
        (RunningNaive(), RunningShifted()),
        (RunningNaive(), RunningNaive("float16")),
        (RunningLogSumExp(), RunningLogSumExp("float32")),
        (StreamState(["float64"]), StreamState(["float16"])),
        (StreamState(["float64"]), StreamState(["float64", "float16"])),
        (StreamState(), StreamState(plain=False)),
    ],
    ids=repr,
)
def test_sums_of_different_kinds_are_refused_and_stay_as_they_are(others):
    for state, other in itertools.permutations(each.update([1.0]) for each in others):
        with pytest.raises(ValueError, match=r"only .* can be merged"):
            state.merge(other)
        assert state.count == 1


RNG = np.random.default_rng(53)
NORMAL = RNG.normal(size=300)

VECTORS = {
    "normal": NORMAL,
    "rising, a new maximum in every part": np.linspace(-40, 40, 300),
    "falling": np.linspace(8, -80, 300),
    "beyond exp's range": RNG.uniform(-700, 700, 300),
    "far below": NORMAL - 700,
    "next to zero": stablelse.log_softmax(NORMAL),
    "one dominates": np.append(NORMAL, 60),
    "masked": np.where(NORMAL < 0, -np.inf, NORMAL),
    "all equal": np.full(300, 0.3),
    "one number": np.array([-3.7]),
    "terms that underflow": np.array([-744.5, -744.0, -743.9]),
    "zero": np.zeros(1),
    "nothing": np.full(3, -np.inf),
    "overflow": NORMAL + 710,
}
#: In float64, where digits underflow, or something was found.
UNBOUNDED = {
    ("terms that underflow", "naive"),
    ("nothing", "naive"),
    ("nothing", "shifted"),
    ("overflow", "naive"),
}
MEASURED = ["float64", "float32", "float16", "bfloat16", "float8_e5m2"]


@cache
def truth(name, dtype):
    return oracle.logsumexp(find_format(dtype).round(VECTORS[name]))[0]


def half_a_digit(error):
    """Return half a unit of the second digit, and the rounding error of the exact value."""
    return (0.05 * 10.0 ** np.floor(np.log10(error)) if error else 0) + 2.0**-63


def folded(x, dtype, parts, merged):
    states = [stablelse.StreamState([dtype]) for _ in range(2)]
    for index, part in enumerate(np.array_split(x, min(parts, len(x)))):
        states[merged and index % 2].update(part)
    return states[0].merge(states[1]).result()


@pytest.mark.parametrize(("parts", "merged"), [(1, False), (300, False), (300, True)])
@pytest.mark.parametrize("dtype", MEASURED)
@pytest.mark.parametrize("name", VECTORS)
def test_errors_are_measured_and_within_their_bounds(name, dtype, parts, merged):
    y, stream = truth(name, dtype), folded(VECTORS[name], dtype, parts, merged)
    *_, exact = stream.results
    assert stream.n == len(VECTORS[name])
    assert exact.value == oracle.rounded_to(y, find_format(dtype))
    assert exact.error_bound == 0.5 or (name, dtype) == ("next to zero", "float64")
    for result in stream.results:
        value = oracle.as_mpf(result.value)
        if mpmath.isfinite(y) and mpmath.isfinite(value) and y:
            error = float(abs((value - y) / y))
            if result.relative_error is None:  # the sum is not known well enough
                assert (name, dtype) == ("next to zero", "float64")
                assert float(abs(value - y)) < 1e-18
            else:
                assert abs(result.relative_error - error) <= half_a_digit(error)
            assert result.bound is None or error <= result.bound
        theorem = {"naive": "3.2", "shifted": "after 4.2"}.get(result.method.value)
        assert result.theorem == (None if result.bound is None else theorem)
        if dtype == "float64":
            is_bounded = theorem is not None and (name, result.method.value) not in UNBOUNDED
            assert (result.bound is not None) == is_bounded


def struck(n, **places):
    x = RNG.normal(size=n)
    for index, value in places.items():
        x[int(index[1:])] = value
    return x


LONG = {
    "one dominates": struck(300, _7=200.0),
    "digits are lost in the tree": np.array([0.0, *np.arange(299) * -0.3]),
    "normal": RNG.normal(size=300),
    "some exponentials overflow": struck(300, _250=710.0, _260=800.0),
    "the sum alone overflows": np.full(300, 709.0),
    "beyond what exp can take": 1000 + RNG.normal(size=300),
    "wide": RNG.uniform(-700, 700, 300),
    "all exponentials underflow": RNG.uniform(-1000, -800, 300),
    "beyond float16 and float32": struck(300, _7=1e39, _200=-7e4),
    "with -inf": struck(300, _0=-np.inf, _299=-np.inf),
    "with inf": struck(300, _150=np.inf),
    "with NaN": struck(300, _150=np.nan),
    "nothing but -inf": np.full(300, -np.inf),
}
SHIFTS = ["max", "min", "3", "1e5"]
LONG_FORMATS = ["float64", "float32", "float16", "bfloat16"]


def long_vector(x, function, formats, size=37):
    parts = [x[begin : begin + size] for begin in range(0, len(x), size)]
    state = StreamState([f.name for f in formats])
    for part in parts:
        state.update(part, "x.npy")
    shifts = [find_shift(name) for name in SHIFTS]
    return LongVector(function, candidates(function, USUAL, shifts), state, lambda: parts)


def in_memory(x, function, formats):
    tried = candidates(function, USUAL, [find_shift(name) for name in SHIFTS])
    (found,) = Compared(x[np.newaxis], Problem(function), tried, formats, errors=False)
    # of a long vector, nobody looks for the digits that its sums lost
    results = tuple(
        replace(result, findings=tuple(f for f in result.findings if f.kind not in LOSSES))
        for result in found.results
    )
    return replace(found, source="x.npy", results=results)


def told(finding):
    names = "symbol", "kind", "element", "occurrences", "harmless"
    return [getattr(finding, name) for name in names], repr(finding.threshold)


@pytest.mark.parametrize("vector", LONG)
@pytest.mark.parametrize("function", [Function.SOFTMAX, Function.LOG_SOFTMAX])
def test_a_vector_too_long_for_memory_is_told_of_as_one_in_memory(monkeypatch, vector, function):
    monkeypatch.setattr(elements_module, "PIECE", 16)
    formats = [FORMATS[name] for name in LONG_FORMATS]
    x = LONG[vector]
    parts, memory = long_vector(x, function, formats).result(), in_memory(x, function, formats)
    assert (parts.n, parts.source, parts.row, parts.column) == (300, "x.npy", None, None)
    places = np.array(parts.elements)
    assert {0, 1, 2, 3, 4, 5, 297, 298, 299} <= set(places.tolist())
    assert np.array_equal(parts.x, x[places], equal_nan=True)
    for found, right in zip(parts.results, memory.results, strict=True):
        names = "method", "format", "shift"
        assert [getattr(found, n) for n in names] == [getattr(right, n) for n in names]
        assert np.array_equal(found.a, right.a, equal_nan=True) if right.shift else found.a is None
        kept = right.findings
        assert list(map(told, found.findings)) == list(map(told, kept))
        assert found.verdict is right.verdict
        assert np.array_equal(found.value, right.value[places], equal_nan=True)
        assert (found.ulps, repr(found.total)) == (right.ulps, repr(right.total))
        for finding in found.findings:
            if finding.element is not None:
                assert finding.element - 1 in places
                indices = next(f.indices for f in kept if told(f) == told(finding))
                assert np.array_equal(places[finding.indices], np.intersect1d(indices, places))
