"""Elements of vectors that come in parts: the same as in memory, on every rung."""

import mpmath
import numpy as np
import pytest
from families import FAMILIES, rng_of

from stablelse import RunningLogSumExp, log_softmax, logsumexp, softmax
from stablelse.numerics import decimals, states
from stablelse.numerics.certificate import Rung
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.functions import Function
from stablelse.numerics.states import Whole

LIBRARY = {Function.SOFTMAX: softmax, Function.LOG_SOFTMAX: log_softmax}
FUNCTIONS = list(LIBRARY)
RNG = np.random.default_rng(31)


def dominated(by):
    x = RNG.normal(size=400)
    x[17] += by
    return x


def halves(d, n=64):
    """Return n entries, 0 or d in halves: softmax of d is (1 + d / 2 - d**3 / 24 + ...) / n."""
    return RNG.permuted(np.repeat([0.0, d], n // 2))


LARGEST = np.finfo(np.float64).max

#: Within 2**-154 of a tie, with d / 2 an odd multiple of 2**-53: a sum of 130 bits cannot tell
#: the side.
TIES = {f"next to a tie, {k} of 2**-52": halves(k * 2.0**-52) for k in (1, 3, -1, -5)}

VECTORS = TIES | {
    "next to a tie of float32": halves(2.0**-23),
    "normal": RNG.normal(size=1000),
    "huge": np.repeat([3e38, 1e38, -3e38], [9, 100, 60]),
    "the largest, and much less": np.array(
        [LARGEST, -LARGEST / 2, LARGEST / 2.5, LARGEST / 3, -1e300]
    ),
    "the lowest, and more": np.array([-LARGEST, -LARGEST / 3, -LARGEST / 2.5]),
    "where an ulp is 2": 2.0**53 + 2.0 * np.arange(-30, 20).repeat(3),
    "one dominates where an ulp is 8": 2.0**55 + np.repeat([-32.0, -16, 8], [40, 60, 1]),
    "wide, beyond what exp can take": RNG.uniform(-700, 700, 500),
    "shifted": 3000 + 5 * RNG.normal(size=500),
    "one dominates": dominated(30),
    "one dominates by far": dominated(200),
    "ties of x - x_max": np.concatenate([[64.0], np.arange(1, 60) * 2.0**-53 + 1, [-np.inf]]),
    "all equal": np.full(48, 0.3),
    "all equal, a power of two of them": np.full(64, -7.5),
    "one number": np.concatenate([[12.5], np.full(9, -np.inf)]),
    "subnormal": np.concatenate([[0.0], -np.linspace(700, 746, 300)]),
}


def parts_of(x, size=37):
    return [x[begin : begin + size] for begin in range(0, len(x), size)]


def whole_of(parts, error=0.0):
    """Return the vector of these parts, with this error of the sum."""
    running = RunningLogSumExp()
    for part in parts:
        running.update(part)
    if running.state["error"] > 0:
        running.state["error"] += error * running.state["high"]
    return Whole(running.state, lambda: parts)


def streamed(function, x, format_, error=0.0, size=37):
    """Compute all elements in parts."""
    parts = parts_of(format_.round(x), size)
    whole = whole_of(parts, error)
    return np.concatenate([whole.elements(function, part, format_) for part in parts])


@pytest.fixture
def no_second_look(monkeypatch):
    """Make the reference's state so uncertain that it settles almost nothing."""
    add = states.add_closely

    def uncertain(found, rows):
        add(found, rows)
        found["error"] += 2.0**-20 * found["high"]
        found["near_error"] = np.inf

    monkeypatch.setattr(states, "add_closely", uncertain)


@pytest.mark.parametrize("error", [0, 2.0**-56])
@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_are_those_in_memory(function, vector, name, error):
    format_ = FORMATS[name]
    x = format_.round(VECTORS[vector])
    found = streamed(function, x, format_, error)
    right = LIBRARY[function](x)
    assert found.dtype == right.dtype
    assert np.array_equal(found, right, equal_nan=True)


def test_where_the_sum_is_known_well_enough_nothing_is_read_again():
    x = VECTORS["normal"]
    state = RunningLogSumExp().update(x)
    whole = Whole(state.state, parts=lambda: pytest.fail("read again"))
    for function in FUNCTIONS:
        values = whole.elements(function, x, FORMATS["float64"])
        assert np.array_equal(values, LIBRARY[function](x))


@pytest.mark.parametrize("name", ["float64", "float32"])
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("no_second_look")
def test_decimals_have_the_same_bits(function, vector, name):
    format_ = FORMATS[name]
    x = format_.round(VECTORS[vector])[:150]
    found = streamed(function, x, format_, 2.0**-20)
    assert np.array_equal(found, LIBRARY[function](x), equal_nan=True)


@pytest.mark.usefixtures("no_second_look")
@pytest.mark.parametrize("vector", VECTORS)
def test_a_log_sum_in_decimals_has_the_same_bits(vector):
    x = VECTORS[vector][:150]
    value, rung = whole_of(parts_of(x)).rounded(FORMATS["float64"])
    assert value == logsumexp(x)
    assert rung is Rung.DECIMAL or vector not in ("normal", *TIES)


@pytest.mark.parametrize("vector", TIES)
@pytest.mark.parametrize("size", [1, 5, 64])
def test_next_to_a_tie_every_precision_takes_one_pass(vector, size):
    """Not one for every block with such elements."""
    x, passes = VECTORS[vector], []
    parts = parts_of(x, size)
    state = RunningLogSumExp().update(x).state
    whole = Whole(state, lambda: passes.append(1) or parts)
    found = [whole.elements(Function.SOFTMAX, part, FORMATS["float64"]) for part in parts]
    assert np.array_equal(np.concatenate(found), softmax(x))
    assert len(passes) <= 5


@pytest.mark.parametrize("name", ["float64", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, name):
    format_ = FORMATS[name]
    if not FAMILIES[family].suits(format_):
        pytest.skip("not in this format")
    for stack in FAMILIES[family].stacks(format_, 8, rng_of(7, family, name), 120, parts=4):
        for function in FUNCTIONS:
            right = getattr(decimals, function.value)
            for x in format_.round(stack.x[:4]):
                if stack.b is None and np.isfinite(x.max()):
                    found = streamed(function, x, format_, size=5)
                    assert np.array_equal(found, right(x, format_), equal_nan=True)


def test_the_sum_of_many_parts_has_a_small_error():
    """Else some elements of long vectors would need decimal arithmetic for all terms: hours."""
    parts = list(RNG.normal(size=(600, 2)))
    close = whole_of(parts)._close_state[0]
    assert 0 < close["error"] <= 2.0**-86 * (1 + close["high"])
    with mpmath.workdps(60):
        top, high, low, error = (
            mpmath.mpf(float(close[n])) for n in ("top", "high", "low", "error")
        )
        terms = [mpmath.exp(mpmath.mpf(x) - top) for part in parts for x in part.tolist()]
        assert abs(mpmath.fsum(terms) - 1 - high - low) <= error
