"""Facts about rows: their extremes, and how many elements are beyond bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.results import FindingKind
from stablelse.numerics import exact, reference
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import Method, candidates
from stablelse.numerics.functions import Function

FORMATS = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


def same(found, expected):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", FORMATS)
def test_kernel_and_reference_tell_the_same(name):
    format_, random = find_format(name), np.random.default_rng(3)
    for n in (1, 2, 7, 8, 9, 31, 100, 2047, 2049, 5000):
        x = random.normal(0, 4, (11, n))
        x[1, 0] = x[2, -1] = np.nan
        x[3, n // 2] = np.inf
        x[4, 0] = x[5, -1] = -np.inf
        x[6] = -np.inf
        x = format_.round(x)
        for rows in (x, x[:, ::-1], np.asfortranarray(x), x[::2], x[:, ::3], x[:0]):
            for low, high in ((-2.0, 3.0), (-np.inf, np.inf), (float(x[7, 0]), float(x[7, 0]))):
                found = exact.extent(rows, low, high)
                assert same(found, reference.extent(rows, low, high))
    assert np.isnan(exact.extent(x, 0, 0).largest[1])


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "longdouble"])
def test_other_dtypes(dtype):
    x = np.array([[0, 1, 1], [1, 0, 0]], dtype)
    assert same(exact.extent(x, 1, 0), ([1, 1], [0, 0], [1, 2], [2, 1]))
    big = np.array([[2**62, 2**62 + 1]])
    assert exact.extent(big, 0, 2**62).above[0] == 1


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(FORMATS),
    row=st.lists(
        st.one_of(
            st.floats(-800, 800),
            st.floats(-20, 12),
            st.floats(allow_nan=True, allow_infinity=True),
            st.sampled_from([11.0859375, 88.5, -17.33, -103.97208, -745.1332191019411, -7.0]),
        ),
        min_size=1,
        max_size=9,
    ),
)
def test_what_the_naive_formula_meets_is_what_compare_says(name, row):
    format_ = find_format(name)
    edges = [format_.overflow_threshold, format_.underflow_threshold]
    near = [np.nextafter(edge, format_.dtype.type(s)) for edge in edges for s in (-100, 100)]
    for x in (row, [*row, *edges], [*row, *near], near[:1]):
        rows = format_.round(np.array([x], float))
        found = exact.extent(
            rows, float(format_.underflow_threshold), float(format_.overflow_threshold)
        )
        naive = candidates(Function.LOGSUMEXP, [Method.NAIVE], [])
        (comparison,) = Compared(rows, Problem(Function.LOGSUMEXP), naive, [format_], errors=False)
        told = {(f.kind, f.symbol): f.occurrences for f in comparison.results[0].findings}
        assert found.above[0] == told.get((FindingKind.OVERFLOW, "e"), 0)
        assert found.below[0] == told.get((FindingKind.TERM_UNDERFLOW, "e"), 0)
