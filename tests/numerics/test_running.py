"""One pass: identical results in any order, split and merged, if the result is certified."""

import pickle

import numpy as np
import pytest

from stablelse import Rung, RunningLogSumExp, logsumexp
from stablelse.numerics import kernel

FAMILIES = {
    "ordinary": lambda rng, n: rng.standard_normal(n),
    "spread": lambda rng, n: 100 * rng.standard_normal(n),
    "wide": lambda rng, n: rng.uniform(-700, 700, n),
    "beyond exp": lambda rng, n: 1e4 * rng.standard_normal(n),
    "masked": lambda rng, n: np.where(rng.random(n) < 0.3, -np.inf, rng.uniform(-3e3, 3e3, n)),
    "rising": lambda rng, n: np.linspace(-5000, 5000, n),
    "next to zero": lambda rng, n: (x := rng.standard_normal(n)) - np.log(np.exp(x).sum()),
}


def shuffled(x, rng):
    """Return the state of x, taken in any order, in blocks of any size, merged in any tree."""
    cuts = np.sort(rng.integers(0, len(x) + 1, rng.integers(1, 12)))
    parts = [RunningLogSumExp().update(part) for part in np.split(rng.permutation(x), cuts)]
    while len(parts) > 1:
        other = parts.pop(rng.integers(len(parts)))
        parts[rng.integers(len(parts))].merge(pickle.loads(pickle.dumps(other)))
    return parts[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [1, 2, 40, 3000, 70_000])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_same_bits_in_any_order_split_and_merge(family, n, dtype):
    rng = np.random.default_rng(n)
    x = FAMILIES[family](rng, n)
    if not np.isfinite(x).any():
        x[0] = 1.0
    truth = logsumexp(x, dtype=dtype)
    for _ in range(4):
        running = shuffled(x, rng)
        value, certificate = running.result(dtype, return_certificate=True)
        assert running.count == n
        assert sum(certificate.settled.values()) == 1
        assert type(value) is np.dtype(dtype).type
        assert value == truth


@pytest.mark.skipif(kernel.load() is None, reason="the reference has digits to spare")
def test_what_is_not_certified_says_so():
    """A sum for the digits of float32 does not have enough for float64."""
    x = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    running = RunningLogSumExp("float32").update(x)
    assert running.result() == logsumexp(x)
    value, certificate = running.result("float64", return_certificate=True)
    assert (certificate.settled, certificate.kernel) == ({}, kernel.name())
    *_, certificate = running.result(return_certificate=True)
    assert certificate.settled == {Rung.KERNEL: 1}
    truth = logsumexp(x, dtype="float64")
    assert abs(value - truth) <= (certificate.bound + 0.5) * np.spacing(truth)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([], -np.inf),
        ([-np.inf, -np.inf], -np.inf),
        ([np.inf, 1.0], np.inf),
        ([np.inf, np.nan], np.nan),
        ([np.nan], np.nan),
        ([-np.inf, 3.25], 3.25),
        ([1e308], 1e308),
        ([-1e308, -np.inf], -1e308),
    ],
)
def test_conventions(x, expected):
    for parts in ([x], [x, []], [[entry] for entry in x], [[], x[::-1]]):
        running = RunningLogSumExp()
        for part in parts:
            running.merge(RunningLogSumExp().update(part))
        np.testing.assert_equal(running.result(), expected)
        assert running.count == len(x)


def test_integers_and_any_shape():
    running = RunningLogSumExp().update(np.array([[1000, 1001], [1002, 0]], np.int16))
    assert running.count == 4
    assert running.result() == logsumexp([1000, 1001, 1002, 0])
    assert repr(running) == "<RunningLogSumExp of 4 numbers: 1002.4076059644444>"


@pytest.mark.parametrize(
    ("format_", "words"),
    [("float17", "unknown format"), ("longdouble", "too few digits for longdouble")],
)
def test_formats_that_cannot_be(format_, words):
    with pytest.raises(ValueError, match=words):
        RunningLogSumExp().update([1.0]).result(format_)


def test_numbers_that_rise_slowly():
    """Each is smaller than the sum of those before it, but the shift must still follow."""
    x = np.arange(6_000) / 7
    for order in (x, x[::-1]):
        total = RunningLogSumExp()
        for number in order:
            total.merge(RunningLogSumExp().update([number]))
        value, certificate = total.result(return_certificate=True)
        assert value == logsumexp(x)
        assert sum(certificate.settled.values()) == 1


@pytest.mark.parametrize("top", [0.0, 1e-310, 2.0**-45])
def test_one_number_at_any_distance_below_another(top):
    for x in np.linspace(-2100, -600, 601):
        value, certificate = (
            RunningLogSumExp().update([top]).update([x]).result(return_certificate=True)
        )
        assert value == logsumexp([top, x])
        assert sum(certificate.settled.values()) == 1
        assert certificate.bound < 0.5
