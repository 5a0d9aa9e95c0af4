"""The double-word kernel and the error-free transformations under it, against mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import KERNELS, arguments, errors
from mpmath import mpf

from stablelse.numerics import errorfree
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.ladder import doubleword
from stablelse.numerics.ladder.powers import fine_powers, powers

FLOAT64 = FORMATS["float64"]


@pytest.fixture(autouse=True)
def _ignore_exceptions():
    """Infinities and NaN are nothing to be warned of; the callers see to that."""
    with np.errstate(all="ignore"):
        yield


#: What the module derives for one exponential.
BOUND = doubleword.EXP_ERROR

LN2 = float(np.log(2))
RNG = np.random.default_rng(11)

#: Where a table-driven exp can go wrong: k = 0, next to the table's entries, half way between two
#: of them, where exp underflows, and where it is clipped.
_K = RNG.integers(-2_000_000, 100_000, 300)
ARGUMENTS = {
    "zero": np.array([0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-17, 2.0**-60, -(2.0**-40)]),
    "tiny": -(10.0 ** RNG.uniform(-25, -3, 300)),
    "entries": _K * (LN2 / 2048),
    "next to entries": np.nextafter(_K * (LN2 / 2048), -np.inf),
    "half way": (_K + 0.5) * (LN2 / 2048),
    "first steps": np.arange(-64, 65) * (LN2 / 4096),
    "ordinary": -RNG.uniform(0, 40, 600),
    "far": -RNG.uniform(40, 745, 300),
    "positive": RNG.uniform(0, 700, 300),
    "border": np.array([-745.1332191019411, -745.13321910194122, -708.4, -1074 * LN2]),
    "clip": np.array([-1500.0, -np.nextafter(1500, 0), 1499.999, 1500.0]),
}


def exp(kernel, d, d_low):
    words, exponent = kernel.exp(d, d_low)
    with mpmath.workprec(300):
        sums = [mpmath.fsum(mpf(float(word)) for word in row) for row in zip(*words, strict=True)]
        values = [mpmath.ldexp(v, int(e)) for v, e in zip(sums, exponent, strict=True)]
    return words, values


@pytest.mark.parametrize("low", [0.0, 0.5, -0.5, 0.3])
@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.parametrize("name", KERNELS)
def test_exp_keeps_its_bound(name, kind, low):
    kernel = KERNELS[name]
    d = np.clip(ARGUMENTS[kind], -kernel.widest, kernel.widest)
    d_low = low * np.spacing(abs(d))
    words, values = exp(kernel, d, d_low)
    if name == "double-word":
        assert (abs(words[1]) <= 2.0**-36.9 * words[0]).all()
        assert ((words[0] > 0.9) & (words[0] < 2.1)).all()
    with mpmath.workprec(300):
        for value, d_i, low_i in zip(values, d, d_low, strict=True):
            truth = mpmath.exp(mpf(d_i) + mpf(low_i))
            assert abs(value - truth) <= kernel.bound * truth


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_exp_keeps_its_bound_in_ball_arithmetic(kernel):
    """Around every entry of the table, half way between any two, and wherever else."""
    pytest.importorskip("flint")
    for d, d_low in arguments(kernel, 20_000, np.random.default_rng(3)).values():
        assert errors(kernel, d, d_low).max() <= kernel.bound


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_exp_of_zero_is_one(kernel):
    _, values = exp(kernel, np.array([0.0, -0.0]), np.array([0.0, -0.0]))
    assert values == [1, 1]


def test_the_table_is_right_to_the_last_bit_it_holds():
    (ln2_1, ln2_2, ln2_3), *table = powers()
    with mpmath.workprec(300):
        step = mpmath.log(2) / 2048
        assert abs(mpf(ln2_1) + mpf(ln2_2) + mpf(ln2_3) - step) <= 2.0**-127
        for j in range(2048):
            value = sum(mpf(float(part[j])) for part in table)
            assert abs(value - mpf(2) ** (mpf(j) / 2048)) <= 2.0**-106
    # The bits that the exact products of the kernel rely on.
    assert float(ln2_1 * 2.0**42).is_integer()
    assert float(ln2_2 * 2.0**73).is_integer()
    assert (table[0] * 2.0**26 % 1 == 0).all()
    assert (table[1] * 2.0**53 % 1 == 0).all()


def test_the_finer_table_is_right():
    (ln2_1, ln2_2, ln2_3), high, encoded, offset = fine_powers()
    with mpmath.workprec(300):
        step = mpmath.log(2) / 2**15
        assert abs(mpf(ln2_1) + mpf(ln2_2) + mpf(ln2_3) - step) <= 2.0**-126
        for j in range(0, 2**15, 7):
            error = mpmath.log(mpf(float(high[j]))) - j * step - mpf(float(offset[j]))
            assert abs(error) <= 2.0**-85.5
    # The bits that the exact products of the kernel rely on, and the sizes.
    assert float(ln2_1 * 2.0**43).is_integer()
    assert float(ln2_2 * 2.0**72).is_integer()
    assert (high * 2.0**33 % 1 == 0).all()
    assert abs(offset).max() <= 2.0**-34
    j = np.arange(2**15)
    for power in (-800, 0, 800):
        bits = encoded + ((power * 2**15 + j) << 37)
        assert np.array_equal(bits.view(np.float64), np.ldexp(high, power))


def sum_exp(x, shift, b=None):
    x = np.atleast_2d(x)
    blocks = Blocks(x.shape, FLOAT64, buffers=10)
    ((band, weights),) = blocks.bands(x, None if b is None else np.atleast_2d(b))
    high, low, _ = doubleword.sum_exp(blocks, band, weights, np.full((1, 1), shift))
    return high.item(), low.item()


@pytest.mark.parametrize("n", [1, 2, 7, 100, 3000])
@pytest.mark.parametrize("weighted", [False, True])
def test_sum_exp_keeps_its_bound(n, weighted):
    rng = np.random.default_rng(n)
    x = rng.normal(size=n) * rng.choice([1, 30], n)
    b = rng.normal(size=n) * 10.0 ** rng.integers(-20, 20, n) if weighted else None
    shift = float((x if b is None else x + np.log(abs(b))).max())
    high, low = sum_exp(x, shift, b)
    with mpmath.workprec(300):
        terms = [
            mpf(b_i) * mpmath.exp(mpf(x_i) - mpf(shift))
            for x_i, b_i in zip(x, np.ones(n) if b is None else b, strict=True)
        ]
        error = abs(mpf(high) + mpf(low) - mpmath.fsum(terms))
        assert error <= (BOUND + n * 2.0**-90) * mpmath.fsum(terms, absolute=True)
    assert abs(low) <= np.spacing(abs(high)) / 2


def test_sum_exp_in_pieces():
    # Longer than a block: the same sum as its parts have.
    x = np.tile(np.array([-1.0, -2.5, -3.25, -30.0]), 10_000)
    high, low = sum_exp(x, 0.0)
    with mpmath.workprec(300):
        truth = 10_000 * mpmath.fsum(map(mpmath.exp, (-1, -2.5, -3.25, -30)))
        assert abs(mpf(high) + mpf(low) - truth) <= 2.0**-76 * truth


def test_terms_far_below_count_as_nothing():
    assert sum_exp(np.array([0.0, -np.inf, -1e300, -2000.0]), 0.0) == (1.0, 0.0)


@pytest.mark.parametrize("x", [(-0.775, -0.6175), (-LN2, -LN2), (0.0, -300.0), (5.0, 4.0, -9.0)])
@pytest.mark.parametrize("shift", ["largest", "close", "poor"])
def test_logsumexp_from_any_shift(x, shift):
    y, _ = oracle.logsumexp(x)
    start = {"largest": max(x), "close": float(y), "poor": max(x) + 3.5}[shift]
    high, low, sign, _ = doubleword.logsumexp(np.array([x]), None, np.array([start]))
    assert sign == 1
    with mpmath.workprec(200):
        error = abs(mpf(high.item()) + mpf(low.item()) - y)
    assert error <= (2.0**-84 if shift == "close" else max(2.0**-84, 2 * oracle.ulp(y, FLOAT64)))


@pytest.mark.parametrize(
    ("x", "b"),
    [
        ((3.0, 2.0, 3.0, 1e-3), (1.0, 2.0, -1.0, 1e-3)),
        ((0.0, -1e-17), (1.0, -1.0)),
        ((1.0, 0.0), (-1.0, 1e-320)),
        ((5.0, 5.0, -2.0), (100.0, -100.0, -3.0)),
    ],
)
def test_logsumexp_of_terms_that_cancel(x, b):
    rows, weights = np.array([x]), np.array([b])
    y, true_sign = oracle.logsumexp(x, b)
    largest = (rows + np.log(abs(weights))).max(axis=1)
    high, _, sign, _ = doubleword.logsumexp(rows, weights, largest)
    assert sign == true_sign
    assert oracle.ulp_error(high.item(), y, FLOAT64) <= 2


def test_logsumexp_of_nothing_left():
    high, low, sign, _ = doubleword.logsumexp(
        np.array([[1.5, 1.5]]), np.array([[2.0, -2.0]]), np.array([2.2])
    )
    assert (high.item(), low.item(), sign.item()) == (-np.inf, 0.0, 0.0)


FINITE = st.floats(-1e150, 1e150, allow_subnormal=False).filter(lambda a: a == 0 or abs(a) > 1e-140)


@given(FINITE, FINITE)
def test_two_sum_is_exact(a, b):
    s, t = errorfree.two_sum(a, b)
    assert s == a + b
    assert Fraction(s) + Fraction(t) == Fraction(a) + Fraction(b)
    if abs(a) >= abs(b):
        assert errorfree.fast_two_sum(a, b) == (s, t)


@given(FINITE, FINITE)
def test_two_product_is_exact(a, b):
    p, t = errorfree.two_product(a, b)
    assert p == a * b
    assert Fraction(p) + Fraction(t) == Fraction(a) * Fraction(b)


@given(FINITE)
def test_split_halves(a):
    high, low = errorfree.split(a)
    assert high + low == a
    for half in (high, low):
        assert float(np.frexp(half)[0] * 2.0**26).is_integer()


@given(st.lists(FINITE, min_size=1, max_size=20), FINITE)
def test_difference_is_exact(x, shift):
    x = np.array(x)
    d, delta, spare = np.empty((3, x.size))
    errorfree.difference(x, np.array([shift]), d, delta, spare)
    for x_i, d_i, delta_i in zip(x, d, delta, strict=True):
        assert d_i == x_i - shift
        assert Fraction(d_i) + Fraction(delta_i) == Fraction(x_i) - Fraction(shift)
