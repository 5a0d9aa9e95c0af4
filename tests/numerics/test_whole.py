"""Elements of vectors that come in parts: as in memory, bit by bit, however many rungs it takes."""

import numpy as np
import pytest
from families import FAMILIES, rng_of
from stablelse.numerics.ladder import fixedpoint
from stablelse.numerics.streams.elements import Whole, elements
from stablelse.numerics.streams.running import LogSum

from stablelse import RunningLogSumExp, exact
from stablelse.numerics import decimals
from stablelse.numerics.certificate import Rung
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.functions import Function

FUNCTIONS = [Function.SOFTMAX, Function.LOG_SOFTMAX]
RNG = np.random.default_rng(31)


def dominated(by):
    x = RNG.normal(size=400)
    x[17] += by
    return x


def halves(d, n=64):
    """Return as many 0 as d: the softmax of d is (1 + d / 2 - d**3 / 24 + ...) / n."""
    return RNG.permuted(np.repeat([0.0, d], n // 2))


LARGEST = np.finfo(np.float64).max

#: Next to a tie, with d / 2 an odd multiple of 2**-53: by less than 2**-154, which no sum of 130
#: bits can tell.
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


def whole_of(parts, error=None):
    """Return the vector of these parts; the log-sum-exp is as uncertain as is asked for."""
    state = RunningLogSumExp()
    for part in parts:
        state.update(part)
    high, low, bound = state.log_sum()
    log_sum = LogSum(high, low, bound if error is None else max(error, bound))
    return Whole(log_sum, float(max(part.max() for part in parts)), lambda: parts)


def streamed(function, x, format_, error=None, size=37):
    """Compute all elements in parts."""
    parts = parts_of(format_.round(x), size)
    whole = whole_of(parts, error)
    return np.concatenate([elements(function, part, whole, format_) for part in parts])


@pytest.fixture
def no_fixed_point(monkeypatch):
    """Let sums of 130 bits be so uncertain that they settle next to nothing."""
    rest_of = fixedpoint.rest_of

    def uncertain(parts):
        rest = rest_of(parts)
        return rest and rest._replace(error=rest.total // 2)

    monkeypatch.setattr(fixedpoint, "rest_of", uncertain)


@pytest.mark.parametrize("error", [None, 2.0**-56])
@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_are_those_in_memory(function, vector, name, error):
    format_ = FORMATS[name]
    x = format_.round(VECTORS[vector])
    found = streamed(function, x, format_, error)
    right = getattr(exact, function.value)(x)
    assert found.dtype == right.dtype
    assert np.array_equal(found, right, equal_nan=True)


def test_where_the_sum_is_known_well_enough_nothing_is_read_again():
    x = VECTORS["normal"]
    state = RunningLogSumExp().update(x)
    whole = Whole(state.log_sum(), float(x.max()), parts=lambda: pytest.fail("read again"))
    for function in FUNCTIONS:
        values = elements(function, x, whole, FORMATS["float64"])
        assert np.array_equal(values, getattr(exact, function.value)(x))


@pytest.mark.parametrize("name", ["float64", "float32"])
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("no_fixed_point")
def test_decimals_have_the_same_bits(function, vector, name):
    format_ = FORMATS[name]
    x = format_.round(VECTORS[vector])[:150]
    found = streamed(function, x, format_, 2.0**-20)
    assert np.array_equal(found, getattr(exact, function.value)(x), equal_nan=True)


@pytest.mark.usefixtures("no_fixed_point")
@pytest.mark.parametrize("vector", VECTORS)
def test_a_log_sum_in_decimals_has_the_same_bits(vector):
    x = VECTORS[vector][:150]
    value, rung = whole_of(parts_of(x)).rounded(FORMATS["float64"])
    assert value == exact.logsumexp(x)
    assert rung is Rung.DECIMAL or vector not in ("normal", *TIES)


@pytest.mark.parametrize("vector", TIES)
@pytest.mark.parametrize("size", [1, 5, 64])
def test_next_to_a_tie_every_precision_takes_one_pass(vector, size):
    """Not one for every block that has such elements: two sum up 130 bits, then 40, 80 digits."""
    x, passes = VECTORS[vector], []
    parts = parts_of(x, size)
    known = whole_of(parts)
    whole = Whole(known.log_sum, known.x_max, lambda: passes.append(1) or parts)
    found = [elements(Function.SOFTMAX, part, whole, FORMATS["float64"]) for part in parts]
    right, certificate = exact.softmax(x, return_certificate=True)
    assert np.array_equal(np.concatenate(found), right)
    assert certificate.rung is Rung.DECIMAL
    assert len(passes) == 4


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, name):
    format_ = FORMATS[name]
    if not FAMILIES[family].suits(format_):
        pytest.skip("not in this format")
    for stack in FAMILIES[family].stacks(format_, 12, rng_of(7, family, name), 120, parts=6):
        for function in FUNCTIONS:
            right = getattr(decimals, function.value)
            for x in format_.round(stack.x[:4]):
                if stack.b is None and np.isfinite(x.max()):
                    found = streamed(function, x, format_, size=5)
                    assert np.array_equal(found, right(x, format_), equal_nan=True)


def test_what_cannot_be_read_again_is_rounded_as_it_is_known():
    x = VECTORS["normal"]
    high, low, _ = RunningLogSumExp().update(x).log_sum()
    whole = Whole(LogSum(high, low, 2.0**-56))
    assert not whole.is_readable
    for function in FUNCTIONS:
        values = elements(function, x, whole, FORMATS["float64"])
        assert np.array_equal(values, getattr(exact, function.value)(x))


def test_the_error_of_a_log_sum_holds_that_of_scaling():
    """Sums with different shifts are known to 2**-73 only."""
    one, other = RunningLogSumExp().update([3000.0, 2999.5]), RunningLogSumExp().update([3001.0])
    assert RunningLogSumExp().update([3000.0, 3001]).log_sum().error < 2.0**-78
    assert one.merge(other).log_sum().error > 2.0**-74


@pytest.mark.parametrize("vector", VECTORS)
def test_the_rest_of_a_vector_does_not_hang_on_its_parts(vector):
    x = VECTORS[vector]
    rests = [fixedpoint.rest_of(lambda size=size: parts_of(x, size)) for size in (1, 7, len(x))]
    assert rests[0] == rests[1] == rests[2]
    assert (rests[0] is None) == (len(set(x[np.isfinite(x)])) == 1)
