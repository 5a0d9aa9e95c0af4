"""What is surely right to so many ulps by plain arithmetic is so by the exact results."""

import numpy as np
import pytest

from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas.nearness import Nearness
from stablelse.numerics.functions import Function, exact

NAMES = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32"]


def rows(format_, n):
    """Return rows at which ulps change: results near powers of two, near zero, and the largest."""
    random = np.random.default_rng(n)
    largest = float(format_.largest)
    parts = [random.normal(offset, scale, (60, n)) for offset, scale in [(0, 1), (-2, 6), (8, 0.1)]]
    parts.append(-np.log(n) + random.normal(0, 0.02, (60, n)))  # log-sum-exp next to 0
    parts.append(np.where(np.arange(n) == 0, 0, random.uniform(-20, -3, (60, n))))
    parts.append(largest * (1 - random.uniform(0, 0.1, (20, n))))
    return format_.round(np.clip(np.concatenate(parts), -largest, largest))


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_held_is_farther_than_allowed(name, function):
    """Results moved away by whole numbers, up to the limit and beyond it."""
    format_ = find_format(name)
    random = np.random.default_rng(5)
    held = 0
    for n in (1, 2, 9, 300):
        x = rows(format_, n)
        right = exact(function, x, format_)
        smallest = float(format_.smallest_subnormal)
        wide = right.astype(np.float64)
        _, exponent = np.frexp(np.where(np.isfinite(wide), wide, 1))
        ulp = np.maximum(np.ldexp(1.0, exponent - format_.significand_bits), smallest)
        for ulps in (0.5, 1, 1.5, 2.5, 4, 10):
            nearness = Nearness.of(function, x, format_, ulps)
            for _ in range(6):
                moved = format_.round(wide + random.integers(-12, 13, (len(x), 1)) * ulp)
                error = ulp_error(moved, right, format_).max(axis=1)
                holds = nearness.holds(moved)
                assert not np.any(holds & (error > ulps))
                held += int(holds.sum())
                # quotients that round to these are held only where these may be
                part = np.float32(moved.astype(np.float64) + random.uniform(-0.49, 0.49) * ulp)
                one = np.ones((len(x), 1), np.float32)
                rounded = ulp_error(format_.round(part), right, format_).max(axis=1)
                assert not np.any(nearness.holds_quotient(part, one, format_) & (rounded > ulps))
    assert held > 500


def test_what_is_right_is_held():
    """Plain arithmetic in float32 settles nearly all rows at ten ulps."""
    format_ = find_format("float16")
    x = format_.round(np.random.default_rng(1).normal(2, 3, (2000, 10)))
    for function in (Function.SOFTMAX, Function.LOGSUMEXP):
        nearness = Nearness.of(function, x, format_, 10)
        assert nearness.holds(exact(function, x, format_)).mean() > 0.99


def test_nothing_is_told_of_wider_formats_nor_of_what_is_not_finite():
    for name in ("float64", "longdouble"):
        assert Nearness.of(Function.SOFTMAX, np.ones((2, 2)), find_format(name), 10) is None
    format_ = find_format("float16")
    inf, nan = np.inf, np.nan
    x = np.array([[nan, 1], [inf, 1], [-inf, -inf], [inf, -inf]], np.float16)
    for function in Function:
        nearness = Nearness.of(function, x, format_, 1000)
        for value in (nan, inf, -inf, 0, 1):
            value = np.full(nearness.near.shape, value, np.float16)
            assert not nearness.holds(value).any()
            assert not nearness.holds_quotient(value, np.float16([[1]]), format_).any()
