"""Tests of the ball arithmetic oracle: its roundings, its ends, and against decimals."""

from fractions import Fraction

import numpy as np
import pytest
from families import FAMILIES, rng_of

from stablelse.numerics import decimals
from stablelse.numerics.formats import FORMATS, installed_formats

flint = pytest.importorskip("flint")
balls = pytest.importorskip("balls")

NAMES = [f.name for f in installed_formats()]
NARROW = [name for name in NAMES if FORMATS[name].significand_bits < 53]
FLOAT64 = FORMATS["float64"]


def same(found, expected) -> bool:
    found, expected = (np.asarray(v).astype(np.longdouble) for v in (found, expected))
    return np.array_equal(found, expected, equal_nan=True)


def hard_numbers(format_, rng):
    """Numbers of the format, the middles between them, and their neighbours, as float64."""
    bits = 8 * format_.dtype.itemsize
    patterns = rng.integers(0, 2**bits, 3000, dtype=np.uint64).astype(f"u{bits // 8}")
    ends = [format_.largest, format_.smallest_normal, format_.smallest_subnormal]
    numbers = np.concatenate([np.array([*ends, 0], format_.dtype), patterns.view(format_.dtype)])
    with np.errstate(all="ignore"):
        numbers = abs(numbers[np.isfinite(numbers.astype(float))])
        low, high = numbers.astype(float), np.nextafter(numbers, format_.largest).astype(float)
    # Half a unit above the largest number, everything overflows.
    high[0] = 2 * low[0] - float(np.nextafter(format_.largest, format_.dtype.type(0)))
    middles = (low + high) / 2
    x = np.concatenate([low, middles, np.nextafter(middles, np.inf), np.nextafter(middles, 0)])
    return np.concatenate([x, -x])


@pytest.mark.parametrize("name", NARROW)
def test_narrow_roundings_are_numpys(name):
    """ml_dtypes casts through float32, so only float32 numbers can be compared."""
    format_ = FORMATS[name]
    x = hard_numbers(format_, np.random.default_rng(1))
    with np.errstate(all="ignore"):
        if format_.extra is not None:
            x = x[x == x.astype(np.float32)]
        found = np.array([balls.nearest(v, format_) for v in balls.balls(x)])
        assert same(found.astype(format_.dtype), x.astype(format_.dtype))


@pytest.mark.parametrize("name", ["float64", "longdouble"])
def test_wide_roundings(name):
    """Ties, their neighbours, and others, from underflow to overflow."""
    format_, rng = FORMATS[name], np.random.default_rng(3)
    for _ in range(3000):
        bits = int(rng.integers(1, 12))
        size = int(rng.integers(1, 2**53)) * 2 ** int(rng.integers(0, 11)) + int(rng.integers(2))
        significand = (size << bits) + int(rng.choice([0, 1, 2 ** (bits - 1), 2**bits - 1]))
        exponent = int(rng.integers(-1160, 970))
        ball = flint.arb((significand, exponent))
        ratio = Fraction(significand) * Fraction(2) ** exponent
        expected = decimals.nearest(ratio, format_)
        assert balls.nearest(ball, format_) == expected
        assert balls.nearest(flint.arb((-significand, exponent)), format_) == -expected
        if name == "float64":  # as the ends of balls are rounded
            assert float(ball) == expected
            if np.isfinite(expected):
                assert expected == ratio.numerator / ratio.denominator


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_agrees_with_decimal_arithmetic(family, name):
    """Two oracles that have nothing in common, on vectors of every family."""
    format_ = FORMATS[name]
    if not FAMILIES[family].suits(format_):
        return
    rng = rng_of(2, family, name)
    for n in (2, 3, 6):
        x, b = (
            None if part is None else part[0] for part in FAMILIES[family].make(rng, 1, n, format_)
        )
        if abs(x[np.isfinite(x)].astype(np.longdouble)).max() > 1e4:
            continue
        vector = balls.Vector(x, b)
        assert same(vector.logsumexp(format_), decimals.logsumexp(x, format_, b))
        if b is None:
            assert same(vector.softmax(format_), decimals.softmax(x, format_))
            assert same(vector.log_softmax(format_), decimals.log_softmax(x, format_))


def test_what_lies_on_numbers_and_between_them():
    e4m3fn, float16 = FORMATS["float8_e4m3fn"], FORMATS["float16"]
    for n, expected in ((512, 2.0**-9), (1024, 0.0), (682, 2.0**-9), (683, 2.0**-9)):
        # 1/1024 is half of the smallest number, a tie that goes to even; 1/683 is more than that.
        assert (balls.Vector(np.full(n, -7.25)).softmax(e4m3fn) == expected).all()
    assert (balls.Vector(np.full(3, 7.25)).softmax(FLOAT64) == 1 / 3).all()
    assert balls.Vector(np.array([2049.0])).logsumexp(float16) == (2048, 1)
    assert balls.Vector(np.array([2051.0])).logsumexp(float16) == (2052, 1)
    assert balls.Vector(np.array([2049.0] * 3), np.array([0.5, 0.5, -2])).logsumexp(float16) == (
        2048,
        -1,
    )
    assert balls.Vector(np.array([3.0, 3.0]), np.array([1, -1])).logsumexp(FLOAT64) == (-np.inf, 0)
    assert balls.Vector(np.array([-np.inf, 5.0])).log_softmax(FLOAT64).tolist() == [-np.inf, 0]


@pytest.mark.parametrize("far", [-750.0, -1e5, -1e9, -1e300])
def test_terms_far_below_decide_ties(far):
    """No precision can tell exp(-1e300) from 0, but its sign is known."""
    float16 = FORMATS["float16"]
    x = np.array([2049.0, far, 2 * far])
    for b, expected in (
        ([1, 1, 1], (2050, 1)),
        ([1, -1, 9], (2048, 1)),
        ([1, 0, -1], (2048, 1)),
        ([-1, -1, 9], (2050, -1)),
        ([-1, 1, -1], (2048, -1)),
    ):
        assert balls.Vector(x, np.array(b)).logsumexp(float16) == expected


@pytest.mark.parametrize("exponent", [10, 53, 200, 1000])
def test_terms_far_below_decide_ties_of_log_softmax(exponent):
    """a - x is half-way between a and the next number, and a would be even."""
    a = 2.0**exponent
    found = balls.Vector(np.array([a, -a * 2.0**-53])).log_softmax(FLOAT64)
    assert found.tolist() == [0, -np.nextafter(a, np.inf)]
