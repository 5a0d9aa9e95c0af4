"""The reference: no misrounded result, and no error above its bound."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from families import FAMILIES, rng_of
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics import doubleword, reference
from stablelse.numerics.certificate import Rung
from stablelse.numerics.formats import FORMATS

FLOAT64, LONGDOUBLE = FORMATS["float64"], FORMATS["longdouble"]
pytest.importorskip("flint")
from balls import Vector, balls  # noqa: E402  only with flint
from flint import arb, ctx  # noqa: E402

ELEMENTWISE = (reference.softmax, reference.log_softmax)


# Error bounds.


def largest_ratio(rows, weights=None):
    """Return the largest ratio of an error to its bound, for log-sum-exp and quotients.

    Rows with a term below 2**-540 are left out, and those that two words cannot hold.
    """

    def ratio(words, exponent, true, error):
        scale = arb((1, int(exponent)))
        return float((abs(sum(map(arb, words)) - true / scale) / arb(error)).upper())

    ratios = []
    with np.errstate(all="ignore"):
        known = reference.sums(rows, weights)
        log_sums = reference.log_sum(known.x_max, known.x_max_low, known)
        quotients = reference.quotient(reference.as_wide(rows).T, known)
        far = np.where(np.isfinite(rows), rows - rows.max(axis=1, keepdims=True), 0).min(axis=1)
    for i in np.flatnonzero(known.is_held & (far > -370)).tolist():
        vector = Vector(rows[i], None if weights is None else weights[i])
        if not vector._x:
            continue
        with ctx.workprec(2500):
            true = vector.log_sum()
            *words, error, exponent = (np.broadcast_to(p, len(rows))[i].item() for p in log_sums)
            if true.is_finite() and 0 < error < np.inf:
                ratios.append(ratio(words, exponent, true, error))
            if weights is None:
                x = iter(balls(rows[i][np.isfinite(rows[i])]))
                for j in np.flatnonzero(np.isfinite(rows[i])).tolist():
                    high, low, _, error, exponent = (
                        np.broadcast_to(p, rows.T.shape)[j, i].item() for p in quotients
                    )
                    ratios.append(ratio((high, low), exponent, (next(x) - true).exp(), error))
    return max(ratios, default=0.0)


@pytest.mark.parametrize("name", ["float64", "longdouble"])
@pytest.mark.parametrize("family", FAMILIES)
def test_errors_are_within_their_bounds(family, name):
    format_ = FORMATS[name]
    if not FAMILIES[family].suits(format_):
        return
    stacks = FAMILIES[family].stacks(format_, 10, rng_of(28, family, name), 40, parts=4)
    ratio = max(largest_ratio(*stack) for stack in stacks)
    assert ratio <= 1


def worst(truth, words, bounds, relative=False):
    """Return the largest ratio of an error to its bound, for sums of words.

    `truth` returns the right value for a row's index, as a ball.
    """
    ratios = []
    columns = np.broadcast_arrays(*words, bounds)
    with ctx.workprec(400):
        for i, (*parts, bound) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            right = truth(i)
            unit = right if relative else arb(1)
            wrong = abs((sum(map(arb, parts)) - right) / unit)
            ratios.append(float((wrong / arb(bound)).upper()))
    return max(ratios)


def test_exponentials_are_within_their_bound():
    """Around every entry of the table, half-way between any two, and elsewhere."""
    rng, entries, widest = rng_of(29), doubleword.STEPS, doubleword.FARTHEST
    powers, step = int(widest / np.log(2)) - 1, np.log(2) / entries
    k = np.arange(entries) + entries * rng.integers(-powers, powers, entries)
    beside = np.concatenate([k * step, (k + 0.5) * step, np.arange(-600, 600) / 2 * step])
    beside += rng.integers(-3, 4, beside.size) * np.spacing(beside)
    tiny = rng.choice([-1.0, 1.0], 900) * 2.0 ** rng.uniform(-1074, -12, 900)
    anywhere = np.concatenate([rng.uniform(-widest, widest, 1800), -rng.exponential(10, 900)])
    ends = widest * np.array([1, -1, 1 - 2.0**-53, 2.0**-53 - 1, 0, *-rng.uniform(0.99, 1, 900)])
    x = np.concatenate([beside, tiny, anywhere, ends])
    part = np.where(rng.random(x.size) < 0.5, rng.uniform(-0.5, 0.5, x.size), rng.integers(3) - 1)
    low = np.clip(part, -0.5, 0.5) * np.spacing(abs(x))
    *words, exponent = doubleword.exp(x, low)

    def truth(i):
        return (arb(x[i].item()) + arb(low[i].item())).exp() / arb((1, int(exponent[i])))

    assert worst(truth, words, doubleword.EXP_ERROR, relative=True) <= 1


def test_the_constants_are_right_to_the_last_bit_they_hold():
    first, second, third = doubleword.powers()
    with mpmath.workprec(400):
        for j in range(2048):
            value = mpmath.fsum(map(float, (first[j], second[j], third[j])))
            assert abs(value - mpmath.mpf(2) ** (mpmath.mpf(j) / 2048)) <= 2.0**-160
        assert (abs(second) <= 2.0**-53).all()
        assert (abs(third) <= 2.0**-106).all()
        # The exact products need this: together with the bits of k, at most 53.
        for cuts, bits_of_k in ((doubleword._CUTS, 26), (doubleword._CUTS3, 19)):
            *exact, last = doubleword.steps_of(*cuts)
            assert abs(mpmath.fsum([*exact, last]) - mpmath.log(2) / 2048) <= abs(last) * 2.0**-53
            for cut, part in zip(cuts, exact, strict=True):
                assert float(part * 2.0**cut).is_integer()
                assert abs(part) * 2.0**cut * 2**bits_of_k <= 2.0**53


def test_exponentials_in_three_words_are_within_their_bound():
    rng, step = rng_of(37), np.log(2) / 2048
    k = rng.integers(-60 * 2048, 1, 8000)
    groups = [k * step, (k + 0.5) * step, -rng.uniform(0, 1, 4000), -rng.exponential(8, 4000)]
    x = np.concatenate([*groups, -(2.0 ** rng.uniform(-1074, 0, 2000)), [0.0, 2.0**-21, 1.0]])
    x = np.concatenate([x, rng.uniform(-1, 1, 500) * 2.0**-20])
    bounds = np.where(abs(x) < 2.0**-20, 2.0**-140, 2.0**-119.6)
    assert worst(lambda i: arb(x[i].item()).exp(), doubleword.exp3(x), bounds, relative=True) <= 1


@pytest.mark.parametrize("scale", [9e-7, 1e-8, 1e-12, 1e-17, 1e-25])
def test_log_sum_exp_next_to_zero_is_within_its_bound(scale):
    x = rng_of(38, str(scale)).normal(0, 5, (100, 30))
    x -= reference.logsumexp(x, FLOAT64)[0][:, np.newaxis]
    x += scale
    near, estimate = reference._near_zero(x, None)
    assert len(near) == len(x)
    total = reference.near_sums(x)
    *words, error, _ = reference.near_logarithm(total, doubleword.TRIPLE_ERROR, estimate)
    assert worst(lambda i: Vector(x[i]).log_sum(), words, error) <= 1


@pytest.mark.parametrize("wrong", [0, 2.0**-41, 2.0**-35])
@pytest.mark.parametrize("scale", [0.3, 1e-3, 1e-8, 1e-30, 1e-60])
def test_logarithms_are_within_their_bounds(scale, wrong, monkeypatch):
    """Whatever NumPy's own logarithm is: if it is too poor, there is no result."""
    rng, log1p = rng_of(30, str(scale)), np.log1p
    monkeypatch.setattr(np, "log1p", lambda v: log1p(v) * (1 + wrong))
    high = scale * rng.uniform(-1, 1, 3000)
    low = rng.uniform(-0.5, 0.5, 3000) * np.spacing(high)
    words = doubleword.log1p((high, low))
    bound = np.minimum(doubleword.LOG_ERROR, doubleword.LOG_RELATIVE_ERROR * abs(words[0]))
    if wrong > 2.0**-40:
        assert np.isnan(words[1]).all()
    else:
        pairs = list(zip(high.tolist(), low.tolist(), strict=True))
        assert worst(lambda i: sum(map(arb, pairs[i])).log1p(), words, bound) <= 1


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, 4097])
def test_sums_are_within_their_bound(n):
    rng = rng_of(32, str(n))
    high = rng.normal(size=(n, 4)) * 10.0 ** rng.uniform(-20, 20, (n, 4))
    low = rng.uniform(-2, 2, (n, 4)) * np.spacing(high)
    lowest = rng.uniform(-2, 2, (n, 4)) * np.spacing(low)
    for words, error in (((high, low), 2.0**-94), ((high, low, lowest), 2.0**-140)):

        def truth(j, words=words):
            return sum((arb(part) for word in words for part in word[:, j].tolist()), arb(0))

        assert worst(truth, doubleword.total(*words), error * abs(high).sum(axis=0)) <= 1


def test_a_poor_estimate_of_the_logarithm_is_not_believed(monkeypatch):
    """The reference does not trust NumPy's logarithm."""
    x = rng_of(31).normal(size=(50, 5))
    right = reference.logsumexp(x, FLOAT64)[0]
    log1p = np.log1p
    for relative in (1e-15, 1e-9):
        monkeypatch.setattr(np, "log1p", lambda v, r=relative: log1p(v) * (1 + r))
        value, _, certificate = reference.logsumexp(x, FLOAT64)
        assert np.array_equal(value, right)
        assert (Rung.DECIMAL in certificate.settled) == (relative > 1e-10)


# The error-free transformations, in rational arithmetic.

FINITE = st.floats(-1e150, 1e150, allow_subnormal=False).filter(lambda a: a == 0 or abs(a) > 1e-140)


@given(FINITE, FINITE)
def test_two_sums_and_products_are_exact(a, b):
    s, t = doubleword.two_sum(a, b)
    assert s == a + b
    assert Fraction(s) + Fraction(t) == Fraction(a) + Fraction(b)
    if abs(a) >= abs(b):
        assert doubleword.fast_two_sum(a, b) == (s, t)
    p, t = doubleword.two_product(a, b)
    assert p == a * b
    assert Fraction(p) + Fraction(t) == Fraction(a) * Fraction(b)
    high, low = doubleword.split(a)
    assert high + low == a
    for half in (high, low):
        assert float(np.frexp(half)[0] * 2.0**26).is_integer()


# Arguments.


@pytest.mark.parametrize("function", ELEMENTWISE)
@pytest.mark.parametrize("block", [7, reference.BLOCK])
def test_some_elements_are_what_they_are_among_all(function, block, monkeypatch):
    monkeypatch.setattr(reference, "BLOCK", block)
    x = 30 * rng_of(33).normal(size=(40, 6))
    x[3] = -np.inf
    x[5, 2], x[6, 1], x[7, :3] = np.nan, np.inf, -np.inf
    x[8] = [0, 36, 2.0**53, -1e308, -1e300, 3]
    all_of_them, _ = function(x, FLOAT64)
    for count in (0, 1, 25, 240):
        places = np.divmod(np.sort(rng_of(34).permutation(x.size)[:count]), 6)
        some, certificate = function(x, FLOAT64, places)
        assert np.array_equal(some, all_of_them[places], equal_nan=True)
        assert sum(certificate.settled.values()) == count


def test_mostly_takes_no_decimals():
    x = rng_of(35).normal(size=(50, 20))
    for format_ in (FLOAT64, LONGDOUBLE):
        for function in (reference.logsumexp, *ELEMENTWISE):
            certificate = function(x, format_)[-1]
            assert list(certificate.settled) == [Rung.DOUBLE_WORD]
            assert certificate.climbs == 0


def test_log_probabilities_take_no_decimals():
    x = rng_of(39).normal(0, 3, (500, 50))
    x = reference.log_softmax(x, FLOAT64)[0]
    settled = reference.logsumexp(x, FLOAT64)[-1].settled
    assert settled[Rung.TRIPLE_WORD] > 480
    assert settled.get(Rung.DECIMAL, 0) <= 2


@pytest.mark.parametrize("scale", [40, 200, 800])
def test_dominated_rows_take_no_decimals(scale):
    """Differences are ties, which only a vanishing term breaks; the rest keeps its digits."""
    rng = rng_of(36, str(scale))
    x = np.round(rng.normal(size=(500, 4)), 3)
    x[:, 0] += scale
    for function in (reference.logsumexp, *ELEMENTWISE):
        assert Rung.DECIMAL not in function(x, FLOAT64)[-1].settled


TIE = 2.0**24 + 1  # between two float32 numbers, of which 2**24 is even


def test_the_sign_of_what_cancels_beside_a_tie():
    """Terms far below cancel to less than their errors, and their sign breaks the tie."""
    rng = rng_of(40)
    signs = set()
    with mpmath.workprec(3000):
        for _ in range(30):
            x, b = [-2000.0], [1.0]
            for _ in range(3):
                x.append(float(x[-1] - rng.uniform(0.1, 3)))
                terms = [w * mpmath.exp(v) for v, w in zip(x, b, strict=False)]
                b.append(-float(mpmath.fsum(terms) / mpmath.exp(x[-1])))
            rest = mpmath.fsum(w * mpmath.exp(v) for v, w in zip(x, b, strict=True))
            expected = TIE + (1 if rest > 0 else -1)
            value, *_ = reference.logsumexp(
                np.array([[TIE, *x]]), FORMATS["float32"], np.array([[1.0, *b]])
            )
            assert value[0] == expected
            signs.add(expected)
    assert len(signs) == 2
