"""Complex log-sum-exp: its derived bound against ball arithmetic, and its exact promises."""

import warnings

import numpy as np
import pytest

import stablelse
from stablelse.numerics import complex_plane

flint = pytest.importorskip("flint")

RNG = np.random.default_rng(29)
UNITS = {np.complex64: 2.0**-24, np.complex128: 2.0**-53}
SMALLEST = {np.complex64: 2.0**-149, np.complex128: 2.0**-1074}


def normal(n, real=1.0, imag=1.0):
    return RNG.normal(0, real, n) + 1j * RNG.normal(0, imag, n)


def normalized(n):
    x = normal(n)
    return x - np.log(np.exp(x).sum())


def families(n):
    """Yield names, vectors of about n numbers, and weights."""
    yield "normal", normal(n), None
    yield "wide", normal(n, 300, 100), None
    angles = 10.0 ** RNG.uniform(-300, 300, n) * RNG.choice([-1, 1], n)
    yield "angles up to 1e300", RNG.normal(0, 1, n) + 1j * angles, None
    yield "large angles", normal(n, 1, 10.0 ** RNG.integers(3, 8)), None
    yield "huge", RNG.choice([1e308, -1e308], n) + 1j * RNG.normal(0, 1, n), None
    yield "roots of one", 2j * np.pi * np.arange(n) / n + RNG.normal(), None
    x = normalized(n)
    yield "next to zero", x, None
    yield "next to nothing", np.append(x, np.log(-np.exp(x).sum())), None
    yield "conjugates", np.concatenate([x, x.conj()]), None
    yield "on the branch cut", np.concatenate([x, x.conj(), [5 + 1j * np.pi]]), None
    yield "real, next to zero", x.real - np.log(np.exp(x.real).sum()) + 0j, None
    yield "weights", normal(n), normal(n)
    yield "weights of all sizes", normal(n, 50, 10), normal(n) * 10.0 ** RNG.uniform(-300, 300, n)
    yield "signed weights", normal(n), RNG.normal(0, 1, n)
    tiny = -RNG.uniform(30, 800) + 1j * RNG.normal(0, 3)
    yield "one and a tiny one", np.array([0, tiny]), None
    yield "minus one and a tiny one", np.array([0, tiny]), np.array([-1.0, 1])
    h = 10.0 ** RNG.uniform(-60, -1) * np.exp(1j * RNG.normal())
    yield "a second difference", np.array([h, 0, -h]), np.array([1.0, -2, 1])


FAMILIES = [name for name, *_ in families(2)]


def ball(z):
    return flint.acb(flint.arb(float(z.real)), flint.arb(float(z.imag)))


def truth(x, b):
    """Return the sum, and its logarithm to 100 bits; a sum real to 2**13 bits counts as real."""
    weights = np.ones(len(x)) if b is None else b
    for bits in (2**k for k in range(9, 16)):
        flint.ctx.prec = bits
        total = sum((ball(w) * ball(z).exp() for z, w in zip(x, weights, strict=True)), ball(0j))
        if total.imag.contains(0) and bits >= 2**13:
            total = flint.acb(total.real)
        if total.contains(0) or (total.imag.contains(0) and total.imag != 0):
            continue
        is_negative = total.imag == 0 and total.real < 0
        w = flint.acb(abs(total).log(), flint.arb.pi()) if is_negative else total.log()
        if w.rel_accuracy_bits() > 100:
            return total, w
    raise AssertionError("no bits tell")


@pytest.mark.parametrize("many", [1, 10**9], ids=["words", "decimals"])
@pytest.mark.parametrize("dtype", UNITS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_error_is_within_the_bound(family, dtype, many, monkeypatch):
    """Each family by both ways of summing. The largest error seen is 0.97 units."""
    monkeypatch.setattr(complex_plane, "_MANY", many)
    for n in (2, 3, 45):
        x, b = next(case[1:] for case in families(n) if case[0] == family)
        _, w = truth(x, b)
        (found,), (phase,) = complex_plane.logsumexp(
            x[np.newaxis], np.dtype(dtype), None if b is None else b[np.newaxis]
        )
        size = float(abs(w).upper())
        if size > float(np.finfo(dtype).max):
            assert not np.isfinite(found)
            continue
        # An absolute value below the smallest number is 0, to Python.
        allowed = abs(w) * UNITS[dtype] * 1.04 + flint.arb(2) ** -1074
        allowed += flint.arb(SMALLEST[dtype])
        assert abs(ball(found) - w) <= allowed
        assert abs(abs(phase) - 1) <= 2 * UNITS[dtype]
        assert -np.pi <= found.imag <= np.pi


def test_the_error_of_words_is_within_its_bound():
    """For sums in two words, if these hold all numbers."""
    for n in (1, 7, 90):
        for _, x, b in families(n):
            weights = np.ones(len(x)) if b is None else b
            with np.errstate(all="ignore"):
                found = complex_plane.sums_in_words(x[np.newaxis], weights[np.newaxis])
            if not found.is_held:
                continue
            flint.ctx.prec = 8000
            terms = (ball(w) * ball(z).exp() for z, w in zip(x, weights, strict=True))
            total = sum(terms, ball(0j)) / flint.arb(found.shift[0]).exp()
            rest = total.real - flint.arb(found.head[0]), total.imag
            for i, part in enumerate(rest):
                words = flint.arb(found.rest[0][i][0]) + flint.arb(found.rest[1][i][0])
                assert abs(part - words) <= found.error[i][0] + flint.arb(2) ** -2000


TOLD = [
    ([0, -40 + 1j], None, 2.295395600278769e-18 + 3.574866839013031e-18j),
    ([-0.775 + 0j, -0.6175 + 0j], None, -5.2378479500875366e-06 + 0j),
    ([0j], None, 0j),
    ([1j], None, 1j),
    ([0j, 0j], [0.25, 0.75], 0j),
    ([0j] * 64, [1 / 64] * 64, 0j),
    ([3 - 2j], None, 3 - 2j),
    ([1e308 + 1j, 1e308 - 1j], None, 1e308 + 0j),
    ([0, -1e6 + 1j], None, 0j),
    ([0, -1e6 + 1j], [-1, 1], np.pi * 1j),
    ([0, -1e6 - 1j], [-1, 1], -np.pi * 1j),
    ([2 + 0j, complex(2, -0.0)], [-1, -1], 2.6931471805599454 + np.pi * 1j),
    ([1 + 2j, 1 + 2j], [1j, -1j], -np.inf + 0j),
    ([5 + 2j, 1j, 5 + 2j], [1, 1, -1], 1j),
    ([-np.inf + 1j, 2j], None, 2j),
    ([complex(-np.inf, np.nan), 2j], None, 2j),
    ([complex(np.nan, 1), 2j], [0, 1], 2j),
    ([5e-324j, 0], [1, -1], np.log(5e-324) + np.pi / 2 * 1j),
]


@pytest.mark.parametrize(("x", "b", "expected"), TOLD, ids=str)
def test_told(x, b, expected):
    found = stablelse.logsumexp(np.array(x, complex), b=b)
    assert found == expected
    assert not np.signbit(found.imag) or expected.imag < 0


def test_the_phase():
    value, phase = stablelse.logsumexp([1j, 2j], return_sign=True)
    # exp(1.5 i) 2 cos(1/2): its logarithm, and its phase
    assert abs(value - np.log(2 * np.cos(0.5))) <= np.spacing(value)
    assert max(abs(phase.real - np.cos(1.5)), abs(phase.imag - np.sin(1.5))) <= 2**-53
    assert stablelse.logsumexp([1j, 1j], b=[1, -1], return_sign=True) == (-np.inf, 0)
    assert stablelse.logsumexp([2 + 0j], b=[-3], return_sign=True)[1] == -1
    # the phase of the sum is known even if the logarithm is large
    phase = stablelse.logsumexp([1e300 + 1j], return_sign=True)[1]
    assert max(abs(phase.real - np.cos(1)), abs(phase.imag - np.sin(1))) <= 2**-53


def test_rows_are_those_of_each_alone():
    """Among many, in any order, in parts: those left open are summed in decimals."""
    rows = np.stack([normal(50) for _ in range(40)])
    rows[3, 7] = complex(np.inf, 0)
    rows[4, 7] = complex(np.nan, 0)
    rows[5] = -np.inf
    rows[6, 3:9] = -np.inf
    rows[7, :25] = rows[7, 25:] + 1j * np.pi
    together = stablelse.logsumexp(rows, axis=1)
    alone = [stablelse.logsumexp(row) for row in rows]
    assert np.array_equal(together, alone, equal_nan=True)
    assert together[3].real == np.inf
    assert np.isnan(together[4].real)
    assert together[5] == -np.inf
    assert together[6] == stablelse.logsumexp(np.delete(rows[6], np.s_[3:9]))
    assert together[7].real < -30
    long = normal(20_000)
    assert stablelse.logsumexp(long) == stablelse.logsumexp(long[::-1])


def test_many_short_rows_are_settled_in_words(monkeypatch):
    rows = normal((500, 3), 3, 3)
    rows[::7] = rows[::7].real
    rows[::11, 1] += 1j * np.pi
    alone = [stablelse.logsumexp(row) for row in rows]
    monkeypatch.setattr(complex_plane, "_rounded", None)
    value, phase = stablelse.logsumexp(rows, axis=1, return_sign=True)
    assert np.array_equal(stablelse.logsumexp(rows, axis=1), alone)
    assert np.array_equal(value, np.real(alone))
    assert np.all(abs(phase - np.exp(1j * np.imag(alone))) < 1e-15)


def test_real_numbers_are_summed_as_real_ones_are():
    for n in (2, 10, 100):
        x = RNG.normal(0, 10, n)
        assert stablelse.logsumexp(x + 0j) == stablelse.logsumexp(x)
        b = RNG.normal(0, 1, n)
        value, sign = stablelse.logsumexp(x, b=b, return_sign=True)
        assert stablelse.logsumexp(x + 0j, b=b) == complex(value, np.pi if sign < 0 else 0)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble])
def test_dtypes(dtype):
    x = normal(5).astype(dtype)
    found = stablelse.logsumexp(x)
    assert found.dtype == dtype
    wide = stablelse.logsumexp(x.astype(complex))
    unit = max(np.finfo(dtype).eps, np.finfo(complex).eps)
    assert abs(found - wide) <= 1.04 * unit * abs(wide)
    assert stablelse.logsumexp(x.reshape(1, 5), axis=1, keepdims=True).dtype == dtype


def test_longdouble_is_rounded_to_its_own_bits():
    x = np.array([0.1 + 0.2j, 1 - 1j], np.clongdouble) / 3
    with_words = complex_plane.logsumexp(np.tile(x, (1, 40)), x.dtype)[0][0]
    alone = stablelse.logsumexp(x)
    unit = np.finfo(np.longdouble).eps
    assert abs(with_words - alone - np.log(np.longdouble(40))) <= 2 * unit * abs(with_words)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_complex_numbers_is_scipys(name):
    for options in ({}, {"axis": 0}, {"where": [True, False]}, {"empty": "zero"}):
        with pytest.raises(TypeError, match=rf"not complex128, .* scipy\.special\.{name}"):
            getattr(stablelse, name)([1 + 1j, 2], **options)


@pytest.mark.parametrize("dtype", ["float16", np.float64, "bfloat16"])
def test_no_imaginary_part_is_dropped_for_a_real_dtype(dtype):
    functions = (stablelse.logsumexp, stablelse.softmax, stablelse.log_softmax)
    for function in (*functions, lambda x, dtype: stablelse.nll(x, 0, dtype=dtype)):
        with pytest.raises(TypeError, match=r"real numbers for .*float\d+, not complex ones"):
            function([1 + 2j, 3], dtype=dtype)


def test_nothing_warns():
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for x in ([1e308 + 1e300j] * 40, [-1e308 + 0j, 1e308] * 20, [complex(np.inf, 1), 0]):
            stablelse.logsumexp(x, b=[1e308, 1e-308j] * (len(x) // 2))
