"""A scan agrees with `compare` on every vector, in any blocks and order of merging."""

import warnings
from collections import Counter

import numpy as np
import pytest
from fuzz.properties import assert_agree
from fuzz.strategies import FORMATS, FUNCTIONS

import stablelse
from stablelse.analysis import Place
from stablelse.analysis.findings import surely_right
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import find_format, numbers_at, ordinals
from stablelse.numerics.formulas import SHIFTED, SHIFTS
from stablelse.numerics.functions import Function, exact_values, ulp_error


def stacks():
    """Yield rows of every size that matters to a format, and some at the edges."""
    random = np.random.default_rng(7)
    for n in (1, 2, 70):
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


def at_the_edges(name):
    """Yield long rows, and rows next to a threshold of a format."""
    format_ = find_format(name)
    random = np.random.default_rng(11)
    few = np.zeros(70_000)
    few[17] = 1e-3
    if name in ("float16", "bfloat16", "float8_e4m3fn"):  # their sums overflow, or stop growing
        yield np.array([few, np.full(70_000, 0.75), np.full(70_000, -9.5)])
        yield np.zeros((1, 128_256))
    edges = [format_.overflow_threshold, format_.underflow_threshold, format_.largest, 1]
    for edge in (float(e) for e in edges):
        for n in (1, 2, 7, 500):
            if n == 500 and name not in ("float16", "float8_e4m3fn"):
                continue
            # near the edge, minus the logarithm of the number of terms, in steps of the format
            near = edge - np.log(n) * random.integers(0, 2, (8, 1))
            with np.errstate(over="ignore"):
                yield near * (1 + format_.unit_roundoff * random.integers(-3, 4, (8, n)))
    lse = random.normal(0, 1, (8, 5))
    yield lse - np.log(np.exp(lse).sum(axis=1, keepdims=True))  # near zero


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_scan_and_compare_agree(name, function):
    for x in STACKS:
        assert_agree(x, function, name)
    for x in at_the_edges(name):
        assert_agree(x, function, name, (10,))


def own_reading(x, value, right, format_, max_ulp):
    """Return the outcome of a row, from its numbers alone; not how it is broken."""
    with np.errstate(all="ignore"):
        wide, best = value.astype(float), right.astype(float)
        if (np.isfinite(x) & ~np.isfinite(format_.round(x))).any():
            return "does_not_fit"
        finite = np.isfinite(wide)
        if np.isnan(wide).any() or (finite != np.isfinite(best)).any():
            return "broken"
        if not np.array_equal(wide[~finite], best[~finite]):
            return "broken"
        wide, best = wide[finite], best[finite]
        lost = ulp_error(value, right, format_).max()
        size = np.abs(best).max(initial=0)
        is_normal = size >= float(format_.smallest_normal)
        if (is_normal or lost > 10) and np.abs(wide - best).max(initial=0) >= size > 0:
            return "broken"
    return "digits_lost" if lost > max_ulp else "right"


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float16", "bfloat16"])
def test_shifted_in_float32(name):
    """It is not in `compare`: only the formula and the exact values judge it here."""
    format_, wide = find_format(name), find_format("float32")
    for function in (Function.LOGSUMEXP, Function.LOG_SOFTMAX):
        for x in STACKS:
            rounded = format_.round(x)
            inner = SHIFTED[function].evaluate(rounded.astype(np.float32), wide, SHIFTS["max"])
            values, right = format_.round(inner.value), exact_values(function, rounded, format_)
            told = zip(x, values, right, strict=True)
            expected = Counter(own_reading(*row, format_, 4) for row in told)
            found = stablelse.scan(x, function.value, formats=[name], max_ulp=4).results[2]
            assert found.method == "shifted-float32"
            assert found.right == expected["right"]
            assert found.digits_lost == expected["digits_lost"]
            assert found.does_not_fit == expected["does_not_fit"]


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_surely_right_is_right(name):
    """Next to a power of two, where the ulp doubles, too."""
    format_ = find_format(name)
    steps = np.arange(-30, 31)
    for right in (1.0, -1.0, np.nextafter(format_.dtype.type(1), format_.dtype.type(0))):
        right = np.full((len(steps), 1), right, format_.dtype)
        value = numbers_at(ordinals(right, format_) + steps[:, None], format_)
        for max_ulp in (0.5, 1, 4, 10):
            sure = surely_right(value, right, format_, max_ulp)
            assert sure[steps == 0].all()
            assert (ulp_error(value, right, format_)[sure] <= max_ulp).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_does_not_fit_is_so_by_every_method(function):
    found = stablelse.scan([[70_000, 1], [1, 2], [-1e9, 0]], function, formats=["float16"])
    for result in found.results:
        assert (result.right, result.does_not_fit) == (1, 2)
        assert not result.survives
        assert [(w.row, w.unfit) for w in (*result.first, *result.worst)] == [
            (1, 70_000),
            (3, -1e9),
        ]
    for result in stablelse.compare([70_000, 1], function, formats=["float16"]).results:
        assert result.verdict is Verdict.DOES_NOT_FIT


def test_longdouble_is_evaluated():
    x = np.array([[1, 2], [11400, 0], [-0.775, -0.6175]])
    naive, shifted = stablelse.scan(x, formats=["longdouble"]).results
    assert (naive.overflow, shifted.overflow, shifted.nan) == (1, 0, 0)


def test_pieces_and_merging_change_nothing():
    x = np.random.default_rng(3).normal(8, 4, (3000, 10))
    whole = stablelse.scan(x, formats=["float16", "float32"], max_ulp=2)
    state = stablelse.ScanState(formats=["float16", "float32"], max_ulp=2)
    for begin in range(0, 3000, 7):
        state.update(x[begin : begin + 7])
    assert repr(state.result()) == repr(whole)

    def part(begin, end):
        other = stablelse.ScanState(formats=["float16", "float32"], max_ulp=2)
        return other.update(x[begin:end], lambda index: Place(row=begin + index + 1))

    merged = part(0, 1000).merge(part(1000, 1001).merge(part(1001, 3000)))
    assert repr(merged.result()) == repr(whole)
    with pytest.raises(ValueError, match="only scans with the same"):
        merged.merge(stablelse.ScanState(max_ulp=3))


def test_first_and_worst():
    found = stablelse.scan([[1, 2], [12, 1], [30, 2], [20, 1]])
    naive = found.results[0]
    assert [(w.verdict.value, w.row, float(w.value)) for w in naive.first] == [
        ("overflow", 2, np.inf)
    ]
    assert [(w.row, w.maximum) for w in naive.worst] == [(3, 30)]
    assert (naive.first[0].element, stablelse.scan([[12]]).results[0].first[0].element) == (None, 1)
    (worst,) = stablelse.scan([[-0.775, -0.6175]], formats=["float64"]).results[0].worst
    assert worst.verdict is Verdict.DIGITS_LOST
    assert worst.ulps == stablelse.compare([-0.775, -0.6175]).results[0].ulps


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
    survivors = {"naive": "float32", "shifted": "float16", "shifted-float32": "float16"}
    assert found.survivors == survivors
    assert stablelse.scan([[1e5, 0]], formats=["float16"]).survivors["shifted"] is None
    assert set(stablelse.scan([1], formats=["float32"]).survivors) == {"naive", "shifted"}


def test_types_of_input():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    names = ("int8", "int64", "uint16", "float16", "float32", "longdouble", "bool")
    for dtype in (*names, ml_dtypes.bfloat16):
        assert stablelse.scan(np.ones((3, 4), dtype)).results[0].right == 3


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float8_e4m3fn"])
def test_no_setting_of_numpy_gets_in_the_way(dtype):
    edges = [[np.nan, 1], [np.inf, 2], [-np.inf, -np.inf], [1e300, 1], [-1e308, 1e308], [1, 2]]
    x = find_format(dtype).round(np.array(edges))
    plain = [str(stablelse.scan(x, function, formats=FORMATS)) for function in FUNCTIONS]
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert plain == [str(stablelse.scan(x, f, formats=FORMATS)) for f in FUNCTIONS]
