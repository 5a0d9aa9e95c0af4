"""A scan counts what evaluating every vector would count, in any blocks and order of merging."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import stablelse
from stablelse.analysis.scans import ConditionError, failures, parse_conditions
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas.naive import NAIVE
from stablelse.numerics.formulas.shifted import SHIFTED, SHIFTS
from stablelse.numerics.functions import Function, exact

FORMATS = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"]
FUNCTIONS = [function.value for function in Function]


@cache
def evaluated(number, function, name, method):
    """Return the kind of every row of a stack, or how many ulps it lost, without any bound."""
    x, format_, function = STACKS[number], find_format(name), Function(function)
    rounded = format_.round(x)
    if method == "naive":
        evaluation = NAIVE[function].evaluate(rounded, format_)
    else:
        inner = find_format("float32") if method == "shifted-float32" else format_
        wide = rounded.astype(inner.dtype)
        evaluation = SHIFTED[function].evaluate(wide, inner, SHIFTS["max"])
    values, sums = format_.round(evaluation.value), evaluation.results["s"]
    found = []
    for row, value, total, truth in zip(
        x, values, sums, right(number, function, name), strict=True
    ):
        with np.errstate(all="ignore"):
            infinite = np.isposinf(value).any() or np.isposinf(total).any()
            lost = ulp_error(value, truth, format_).max()
            if np.isnan(value).any():
                found.append("nan")
            elif infinite and not np.isposinf(row).any():
                found.append("overflow")
            elif (np.isneginf(value) & ~np.isneginf(truth)).any():
                found.append("underflow")
            else:
                found.append(lost)
    return found


@cache
def right(number, function, name):
    """Return the exact values of a stack."""
    return exact(function, find_format(name).round(STACKS[number]), find_format(name))


def brute_force(number, function, name, method, max_ulp):
    """Return the kind of every row of a stack."""
    found = evaluated(number, function, name, method)
    return [x if isinstance(x, str) else "ulp" if x > max_ulp else "ok" for x in found]


def stacks():
    """Yield rows of every size that matters to a format, and those at the edges."""
    random = np.random.default_rng(7)
    for n in (1, 2, 10, 70):
        for scale, offset in [(1, 0), (3, 6), (10, -9), (1, 10), (30, 60), (1, 88), (4e4, 0)]:
            x = random.normal(offset, scale, (7, n))
            x[:3, 0] = -np.inf
            yield x
    inf, nan = np.inf, np.nan
    yield np.array([[nan, 1], [inf, 1], [inf, inf], [-inf, -inf], [-inf, 0], [inf, -inf]])
    yield np.array([[70000, 1], [-70000, -70000.0], [-70000, 0], [65504, 65504], [500, 1]])
    yield np.array([[0, -0.6931], [-0.775, -0.6175], [11.09, -60], [11.1, 11.1], [10.4, 10.4]])
    thresholds = [float(find_format(f).overflow_threshold) for f in ("float16", "float32")]
    near = [np.nextafter(np.float32(t), np.float32(s)) for t in thresholds for s in (0, 1e9)]
    yield np.array([[t, -20] for t in (*thresholds, *near)])
    yield np.array([[-17.3, -17.4], [-17.33, -17.33], [-18, -18.5], [-88, -104], [-746, -745.1]])


STACKS = list(stacks())


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_counts_are_those_of_evaluating_every_row(name, function):
    for number, x in enumerate(STACKS):
        for max_ulp in (1, 10):
            found = stablelse.scan(x, function, formats=[name], max_ulp=max_ulp)
            for result in found.results:
                kinds = brute_force(number, function, name, result.method, max_ulp)
                counted = [result.ok, result.overflow, result.underflow, result.nan, result.ulp]
                order = ["ok", "overflow", "underflow", "nan", "ulp"]
                assert counted == [kinds.count(kind) for kind in order], (result.method, max_ulp)
                for first in result.first:
                    assert first.row == kinds.index(first.kind) + 1


def test_longdouble_is_evaluated():
    x = np.array([[1, 2], [11400, 0], [-0.775, -0.6175]])
    naive, shifted = stablelse.scan(x, formats=["longdouble"]).results
    assert naive.overflow == 1
    assert shifted.overflow == shifted.nan == 0


def test_float32_is_no_way_of_its_own_in_float32():
    methods = [(r.format, r.method) for r in stablelse.scan([1], formats=["float32"]).results]
    assert methods == [("float32", "naive"), ("float32", "shifted")]


def test_pieces_and_merging_change_nothing():
    x = np.random.default_rng(3).normal(8, 4, (3000, 10))
    whole = stablelse.scan(x, formats=["float16", "float32"], max_ulp=2)
    state = stablelse.ScanState(formats=["float16", "float32"], max_ulp=2)
    for begin in range(0, 3000, 7):
        state.update(x[begin : begin + 7])
    assert repr(tuple(state.result())) == repr(tuple(whole))
    from stablelse.analysis.compare import Place

    def part(begin, end):
        other = stablelse.ScanState(formats=["float16", "float32"], max_ulp=2)
        return other.update(x[begin:end], lambda index: Place(row=begin + index + 1))

    merged = part(0, 1000).merge(part(1000, 1001).merge(part(1001, 3000)))
    assert repr(tuple(merged.result())) == repr(tuple(whole))
    with pytest.raises(ValueError, match="only scans for the same"):
        merged.merge(stablelse.ScanState(max_ulp=3))


def test_first_and_worst():
    found = stablelse.scan([[1, 2], [12, 1], [30, 2], [20, 1]])
    naive = found.results[0]
    assert [(w.kind, w.row, float(w.value)) for w in naive.first] == [("overflow", 2, np.inf)]
    assert [(w.row, w.maximum) for w in naive.worst] == [(3, 30)]
    (worst,) = stablelse.scan([[-0.775, -0.6175]], formats=["float64"]).results[0].worst
    assert worst.kind == "ulp"
    assert worst.ulps == stablelse.compare([-0.775, -0.6175], exact=True).results[0].ulps


def test_histograms_count_every_vector_at_the_thresholds():
    threshold = float(find_format("float16").overflow_threshold)
    x = np.array([[threshold, 0], [np.nextafter(threshold, 20), 0], [3, -np.inf], [np.nan, 1]])
    maxima, minima, spreads = stablelse.scan(x).histograms
    at = maxima.edges.index(threshold)
    assert maxima.counts[at - 1 : at + 1] == (1, 1)
    assert (maxima.nan, minima.nan, sum(maxima.counts)) == (1, 1, 3)
    assert (minima.counts[0], minima.minimum, spreads.maximum) == (1, -np.inf, np.inf)
    lowest = float(find_format("float16").underflow_threshold)
    below = stablelse.scan([[lowest], [np.nextafter(lowest, -20)]]).histograms.maxima
    at = next(i for i, edge in enumerate(below.edges) if lowest - 1e-9 < edge < lowest)
    assert below.counts[at - 1 : at + 1] == (1, 1)
    empty = stablelse.ScanState().result()
    assert (empty.rows, empty.histograms.maxima.maximum) == (0, None)


def test_survivors():
    found = stablelse.scan([[12, 3], [70, 3]], formats=["float64", "float16", "float32"])
    assert found.survivors == {
        "naive": "float32",
        "shifted": "float16",
        "shifted-float32": "float16",
    }
    assert stablelse.scan([[1e5, 0]]).survivors["shifted"] is None


def test_types_of_input():
    for dtype in ("int8", "int64", "uint16", "float16", "float32", "longdouble", "bool"):
        assert stablelse.scan(np.ones((3, 4), dtype)).results[0].ok == 3
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert stablelse.scan(np.ones((3, 4), ml_dtypes.bfloat16)).results[0].ok == 3


@pytest.mark.parametrize("x", [np.ones((2, 2, 0)), np.ones((3, 0)), []])
def test_other_shapes_are_refused(x):
    with pytest.raises(ValueError, match="rows of at least one number"):
        stablelse.scan(x)


def test_conditions():
    found = stablelse.scan([[12, 3], [1, 2], [70000, 1]])
    told = {
        "": [],
        "none": [],
        "overflow": [("naive", "overflow", 2)],
        "naive:overflow, shifted:nan": [("naive", "overflow", 2), ("shifted", "nan", 1)],
        "shifted:overflow": [],
        "shifted:broken": [("shifted", "nan", 1)],
        "ulp>4": [],
    }
    for text, expected in told.items():
        failed = list(failures(found, parse_conditions(text)))
        assert [(f.result.method, f.kind, f.vectors) for f in failed] == expected, text


@pytest.mark.parametrize("text", ["bad", "nan>3", "ulp>", "ulp>-1", "best:nan", "naive", ":nan"])
def test_bad_conditions(text):
    with pytest.raises(ConditionError, match=r"unknown (condition|method)"):
        parse_conditions(text)


def shared_data() -> Path:
    """Return the folder of data that are not the project's."""
    told = os.environ.get("STABLELSE_SHARED_DATA")
    return Path(told) if told else Path(__file__).parents[3] / "shared" / "data"


def test_vectors_of_blanchard_higham_and_higham():
    """Section 5 of their paper: in half precision the naive formula overflows on 475 of 2,500."""
    path = shared_data() / "presoftmax_mnist.npy"
    if not path.exists():
        pytest.skip("needs their vectors: STABLELSE_SHARED_DATA names the folder")
    x = np.load(path)
    assert x.shape == (2500, 10)
    found = stablelse.scan(x, formats=["float16", "bfloat16"])
    counts = {(r.format, r.method): (r.ok, r.overflow) for r in found.results}
    assert counts.pop(("float16", "naive")) == (2025, 475)
    assert set(counts.values()) == {(2500, 0)}
    assert found.survivors["naive"] == "bfloat16"
