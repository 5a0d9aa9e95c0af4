"""The table of a vector too long for memory: what it says is what one in memory would say."""

import numpy as np
import pytest

from stablelse.analysis import stream
from stablelse.analysis.compare import Problem, compare_rows
from stablelse.analysis.results import LOSSES
from stablelse.analysis.stream import LongVector, StreamState
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import USUAL, candidates, find_shift
from stablelse.numerics.functions import Function, ulp_error

RNG = np.random.default_rng(41)
SHIFTS = [find_shift("max")]


def struck(n, **places):
    x = RNG.normal(size=n)
    for index, value in places.items():
        x[int(index[1:])] = value
    return x


VECTORS = {
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
NAMES = ["float64", "float32", "float16", "bfloat16"]


def in_parts(x, function, formats, size=37):
    parts = [x[begin : begin + size] for begin in range(0, len(x), size)]
    state = StreamState([f.name for f in formats])
    for part in parts:
        state.update(part, "x.npy")
    computed = candidates(function, USUAL, SHIFTS)
    whole = LongVector(function, computed, state, lambda: parts)
    with np.errstate(all="ignore"):
        for part in parts:
            whole.update(part)
        return whole.result()


def in_memory(x, function, formats):
    tried = candidates(function, USUAL, SHIFTS)
    (found,) = compare_rows(x[np.newaxis], Problem(function), tried, formats, errors=False)
    return found


def told(finding):
    return (
        finding.symbol,
        finding.kind,
        finding.element,
        finding.occurrences,
        finding.harmless,
        repr(finding.threshold),
    )


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(stream, "PIECE", 16)


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("function", [Function.SOFTMAX, Function.LOG_SOFTMAX])
def test_it_says_what_one_in_memory_says(vector, function):
    formats = [FORMATS[name] for name in NAMES]
    x = VECTORS[vector]
    parts, memory = in_parts(x, function, formats), in_memory(x, function, formats)
    assert (parts.n, parts.source, parts.row, parts.column) == (300, "x.npy", None, None)
    places = np.array(parts.elements)
    assert {0, 1, 2, 3, 4, 5, 297, 298, 299} <= set(places.tolist())
    assert np.array_equal(parts.x, x[places], equal_nan=True)
    for found, right in zip(parts.results, memory.results, strict=True):
        assert (found.method, found.format, found.shift) == (
            right.method,
            right.format,
            right.shift,
        )
        assert np.array_equal(found.a, right.a, equal_nan=True) if right.shift else found.a is None
        kept = [finding for finding in right.findings if finding.kind not in LOSSES]
        assert list(map(told, found.findings)) == list(map(told, kept))
        if len(kept) == len(right.findings):
            assert found.verdict is right.verdict
        assert (found.ulps is None) == (right.ulps is None)
        format_ = FORMATS[found.format]
        value, same = found.value.astype(np.longdouble), right.value[places]
        with np.errstate(invalid="ignore"):  # the sums are added up in another order
            near = abs(value - same.astype(np.longdouble)) <= 300 * format_.unit_roundoff
        assert (near | (ulp_error(found.value, same, format_) <= 300)).all()
        for finding in found.findings:
            if finding.element is not None:
                assert finding.element - 1 in places
                indices = next(f.indices for f in kept if told(f) == told(finding))
                assert np.array_equal(places[finding.indices], np.intersect1d(indices, places))


@pytest.mark.parametrize("function", [Function.SOFTMAX, Function.LOG_SOFTMAX])
def test_exact_elements_and_errors_are_those_in_memory(function):
    formats = [FORMATS[name] for name in NAMES]
    x = VECTORS["wide"]
    parts, memory = in_parts(x, function, formats), in_memory(x, function, formats)
    for found, right in zip(parts.results, memory.results, strict=True):
        if right.evaluation is None:
            assert found.ulps <= 4
        if right.method.value == "exact":
            assert np.array_equal(found.value, right.value[np.array(parts.elements)])
            assert found.ulps == 0
