"""Elements of vectors that come in parts: as in memory, bit by bit, however many rungs it takes."""

import numpy as np
import pytest

from stablelse import RunningLogSumExp, exact
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.functions import Function
from stablelse.numerics.ladder import fixedpoint
from stablelse.numerics.streams.elements import Whole, elements
from stablelse.numerics.streams.running import LogSum

FUNCTIONS = [Function.SOFTMAX, Function.LOG_SOFTMAX]
RNG = np.random.default_rng(31)


def dominated(by):
    x = RNG.normal(size=400)
    x[17] += by
    return x


VECTORS = {
    "normal": RNG.normal(size=1000),
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


def streamed(function, x, format_, error=None):
    """Compute all elements in parts; the log-sum-exp is as uncertain as is asked for."""
    parts = parts_of(format_.round(x))
    state = RunningLogSumExp()
    for part in parts:
        state.update(part)
    high, low, bound = state.log_sum()
    log_sum = LogSum(high, low, bound if error is None else max(error, bound))
    whole = Whole(log_sum, float(max(part.max() for part in parts)), lambda: parts)
    found = [elements(function, part, whole, format_, exact=True) for part in parts]
    values, doubtful = zip(*found, strict=True)
    assert sum(doubtful) == 0
    return np.concatenate(values)


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
        values, doubtful = elements(function, x, whole, FORMATS["float64"], exact=True)
        assert doubtful == 0
        assert np.array_equal(values, getattr(exact, function.value)(x))


def test_what_cannot_be_read_again_is_told():
    x = VECTORS["normal"]
    high, low, _ = RunningLogSumExp().update(x).log_sum()
    whole = Whole(LogSum(high, low, 2.0**-56))
    for function in FUNCTIONS:
        _, doubtful = elements(function, x, whole, FORMATS["float64"], exact=True)
        assert 0 < doubtful < len(x)


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


@pytest.mark.parametrize("vector", VECTORS)
def test_the_librarys_log_softmax_is_as_good_next_to_zero(vector):
    x, parts = VECTORS[vector], parts_of(VECTORS[vector])
    state = RunningLogSumExp().update(x)
    whole = Whole(state.log_sum(), float(x.max()), lambda: parts)
    found, _ = elements(Function.LOG_SOFTMAX, x, whole, FORMATS["float64"], exact=False)
    right = exact.log_softmax(x)
    assert ulp_error(found, right, FORMATS["float64"]).max() <= 4
