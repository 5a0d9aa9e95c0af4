"""How wrong methods are on streams: as mpmath finds it, and never more than the bound says."""

from functools import cache

import mpmath
import numpy as np
import oracle
import pytest

import stablelse
from stablelse.numerics.formats import find_format

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
}
FORMATS = ["float64", "float32", "float16", "bfloat16", "float8_e5m2"]


@cache
def truth(name, dtype):
    return oracle.logsumexp(find_format(dtype).round(VECTORS[name]))[0]


def half_a_digit(error):
    """Return half a unit of the second digit, and what the exact value is rounded by."""
    return (0.05 * 10.0 ** np.floor(np.log10(error)) if error else 0) + 2.0**-63


def folded(x, dtype, parts, merged):
    states = [stablelse.StreamState([dtype]) for _ in range(2)]
    for index, part in enumerate(np.array_split(x, min(parts, len(x)))):
        states[merged and index % 2].update(part)
    return states[0].merge(states[1]).result()


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("parts", [1, 300])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", VECTORS)
def test_errors_are_measured_and_within_their_bounds(name, dtype, parts, merged):
    y = truth(name, dtype)
    for result in folded(VECTORS[name], dtype, parts, merged).results:
        value = oracle.as_mpf(result.value)
        if mpmath.isfinite(y) and mpmath.isfinite(value) and y:
            error = float(abs((value - y) / y))
            if result.relative_error is None:  # the sum is not known well enough to tell
                assert (name, dtype) == ("next to zero", "float64")
                assert float(abs(value - y)) < 1e-18
            else:
                assert abs(result.relative_error - error) <= half_a_digit(error)
            assert result.bound is None or error <= result.bound
        if result.bound is None:
            assert result.theorem is None
        else:
            assert result.theorem == {"naive": "3.2", "shifted": "after 4.2"}[result.method.value]


@pytest.mark.parametrize("name", ["normal", "next to zero", "one dominates", "masked"])
def test_there_are_bounds_where_nothing_overflows_or_underflows(name):
    naive, shifted, exact = folded(VECTORS[name], "float64", 7, True).results
    assert 0 < naive.bound < 1e-11 or name == "next to zero"
    assert 0 < shifted.bound < 1e-11 or name == "next to zero"
    assert naive.bound > naive.relative_error
    assert exact.bound is None


def test_there_is_none_where_digits_underflow():
    naive, shifted, _ = folded(VECTORS["terms that underflow"], "float64", 1, False).results
    assert naive.findings == ()
    assert naive.bound is None
    assert naive.relative_error > shifted.bound


def test_there_is_none_where_something_is_found():
    naive, shifted, _ = folded(VECTORS["beyond exp's range"] + 30, "float64", 1, False).results
    assert (naive.relative_error, naive.correct_digits, naive.bound) == (np.inf, 0, None)
    assert shifted.bound > shifted.relative_error
