"""The library's sums held against the exact answers, in units in the last place."""

import mpmath
import numpy as np
import oracle
import pytest
from cases import CASES

import stablelse
from stablelse.numerics.formats import FORMATS, installed_formats

FUNCTIONS = {
    "logsumexp": stablelse.logsumexp,
    "softmax": stablelse.softmax,
    "log_softmax": stablelse.log_softmax,
}

#: Half a unit in the last place, and the little that the oracle is wrong by.
ROUNDED_ONCE = 0.5 + 2.0**-9


def rounded(case):
    """Return the x and the b of a case in its format."""
    format_ = FORMATS[case.dtype]
    x = format_.round(np.array(case.x, float))
    return x, None if case.b is None else format_.round(np.array(case.b))


def true_logsumexp(case, x, b):
    if case.lse is not None:
        with mpmath.workprec(200):
            return mpmath.mpf(case.lse)
    return oracle.logsumexp(x, b)[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_logsumexp_of_every_case(case):
    format_ = FORMATS[case.dtype]
    x, b = rounded(case)
    value, sign = stablelse.logsumexp(x, b=b, return_sign=True)
    assert type(value) is type(sign) is format_.dtype.type
    truth = true_logsumexp(case, x, b)
    assert oracle.ulp_error(value, truth, format_) <= ROUNDED_ONCE


@pytest.mark.parametrize("case", [c for c in CASES if c.lse], ids=lambda case: case.name)
def test_the_table_agrees_with_the_oracle(case):
    x, b = rounded(case)
    if b is not None:
        x = np.where(b == 0, -np.inf, x)
    if np.isnan(x).any() or (x == np.inf).any():
        pytest.skip("the oracle knows finite numbers")
    value, _ = oracle.logsumexp(x, b)
    assert mpmath.nstr(value, 25) == mpmath.nstr(true_logsumexp(case, x, b), 25)


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.b is None and 0 < len(c.x) <= 10], ids=lambda case: case.name
)
def test_softmax_of_every_case(case, function):
    format_ = FORMATS[case.dtype]
    x, _ = rounded(case)
    result = FUNCTIONS[function](x)
    assert result.dtype == format_.dtype
    if np.isnan(x).any() or (x == np.inf).any() or (x == -np.inf).all():
        assert np.isnan(result).all()
        return
    truth = getattr(oracle, function)(x)
    errors = [oracle.ulp_error(y, t, format_) for y, t in zip(result, truth, strict=True)]
    assert max(errors) <= ROUNDED_ONCE


@pytest.mark.parametrize("case", [c for c in CASES if len(c.x) > 10], ids=lambda case: case.name)
def test_many_equal_entries(case):
    format_ = FORMATS[case.dtype]
    x, _ = rounded(case)
    n = len(x)
    assert (stablelse.softmax(x) == format_.round(1 / n)).all()
    expected = oracle.rounded_to(-mpmath.log(n), format_)
    assert (stablelse.log_softmax(x) == expected).all()


def _near_zero(rng, n, size):
    x = rng.normal(size=n)
    return x - np.log(np.sum(np.exp(x))) + size * rng.uniform(-1, 1)


def _dominated(rng, n):
    x = rng.normal(size=n)
    x[rng.integers(n)] += rng.choice([10, 20, 40, 80])
    return x


def _beside_zero(rng, n, low, high):
    return np.append(rng.uniform(low, high, n - 1), 0.0)


FAMILIES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "sd 100": lambda rng, n: 100 * rng.normal(size=n),
    "uniform to 700": lambda rng, n: rng.uniform(-700, 700, n),
    "uniform to 1400": lambda rng, n: rng.uniform(-1400, 1400, n),
    "below zero": lambda rng, n: rng.uniform(-300, -100, n),
    "one dominates": _dominated,
    "one dominates at zero": lambda rng, n: (x := _dominated(rng, n)) - x.max(),
    "subnormal results": lambda rng, n: _beside_zero(rng, n, -745, -700),
    "masked": lambda rng, n: np.append(np.where(rng.random(n - 1) < 0.3, -np.inf, 1.5), -0.25),
    "near zero, 1e-1": lambda rng, n: _near_zero(rng, n, 1e-1),
    "near zero, 1e-5": lambda rng, n: _near_zero(rng, n, 1e-5),
    "near zero, 1e-9": lambda rng, n: _near_zero(rng, n, 1e-9),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_slice_of_every_family(family, dtype):
    format_ = FORMATS[dtype]
    rng = np.random.default_rng(list(f"{family} {dtype}".encode()))
    for n in (2, 2, 3, 5, 10, 41):
        x = format_.round(FAMILIES[family](rng, n))
        y, _ = oracle.logsumexp(x)
        # Where the result nearly cancels, longdouble has no higher rung to climb to.
        if not (family.startswith("near zero") and dtype == "longdouble"):
            error = oracle.ulp_error(stablelse.logsumexp(x), y, format_)
            assert error <= ROUNDED_ONCE
        for function in ("softmax", "log_softmax"):
            if n <= 10 or function == "softmax":
                truth = getattr(oracle, function)(x)
                result = FUNCTIONS[function](x)
                errors = [
                    oracle.ulp_error(p, t, format_) for p, t in zip(result, truth, strict=True)
                ]
                assert max(errors) <= ROUNDED_ONCE


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_signed_weights(dtype):
    format_ = FORMATS[dtype]
    rng = np.random.default_rng(5)
    for n in (2, 3, 5, 10, 40):
        for scale in (1, 100):
            x = format_.round(scale * rng.normal(size=n))
            b = format_.round(rng.normal(size=n) * np.exp(scale * rng.normal(size=n) / 10))
            y, sign = oracle.logsumexp(x, b)
            value, value_sign = stablelse.logsumexp(x, b=b, return_sign=True)
            assert value_sign == sign
            assert oracle.ulp_error(value, y, format_) <= ROUNDED_ONCE


@pytest.mark.parametrize("n", [2, 39, 40, 129, 1000, 40_000, 100_001])
@pytest.mark.parametrize("kind", ["normal", "one dominates", "below zero"])
def test_long_vectors_against_a_wider_format(n, kind):
    # x87's longdouble has 11 bits more than float64: exact enough to count a tenth of an ulp.
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("longdouble is no wider than float64")
    rng = np.random.default_rng(n)
    rows = np.stack([FAMILIES[kind](rng, n) for _ in range(max(2, 2000 // n))])
    wide = rows.astype(np.longdouble)
    x_max = wide.max(axis=1, keepdims=True)
    terms = np.exp(wide - x_max)
    largest = terms.argmax(axis=1)[:, np.newaxis]
    rest = np.where(np.arange(n) == largest, 0, terms).sum(axis=1, keepdims=True)
    truth = {
        "logsumexp": x_max + np.log1p(rest),
        "softmax": terms / (1 + rest),
        "log_softmax": (wide - x_max) - np.log1p(rest),
    }
    for name, function in FUNCTIONS.items():
        result = function(rows, axis=1)
        expected = truth[name].reshape(result.shape)
        errors = abs(result - expected) / np.spacing(abs(expected).astype(float))
        if name == "logsumexp":  # next to zero the wider format is not wide enough
            errors = errors[abs(expected) > 0.1]
        assert errors.size == 0 or errors.max() <= 0.55  # the wider sums are wrong too


@pytest.mark.parametrize("format_", installed_formats(), ids=lambda f: f.name)
def test_a_single_entry_is_its_own_logsumexp(format_):
    numbers = {format_.largest, format_.smallest_subnormal, format_.dtype.type(0)}
    rng = np.random.default_rng(1)
    numbers |= set(format_.round(rng.normal(size=100) * 10.0 ** rng.integers(-2, 3, 100)))
    for number in numbers:
        for x in (number, -number):
            if np.isfinite(x):
                assert stablelse.logsumexp([x, -np.inf] if format_.has_infinity else [x]) == x
                assert stablelse.softmax(x) == 1
                assert stablelse.log_softmax(x) == 0


def test_every_finite_float16_is_its_own_logsumexp():
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)]
    assert (stablelse.logsumexp(x[:, np.newaxis], axis=1) == x).all()


def test_all_pairs_of_float8():
    format_ = FORMATS["float8_e4m3fn"]
    numbers = np.arange(2**8, dtype=np.uint8).view(format_.dtype)
    numbers = numbers[np.isfinite(numbers.astype(float))]
    pairs = np.stack(np.meshgrid(numbers, numbers), axis=-1).reshape(-1, 2)
    # float64 is far from any tie of a format of 4 bits, but for exact ones.
    wide = pairs.astype(np.longdouble)
    expected = np.logaddexp(wide[:, 0], wide[:, 1])
    assert (stablelse.logsumexp(pairs, axis=1) == format_.round(expected)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 3, 17, 39, 40, 200])
def test_a_vector_has_the_same_bits_in_any_company(n, dtype):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(200, n)) * rng.choice([1, 30, 500], (200, 1))
    rows[::7] += 800
    rows[3::50] -= stablelse.logsumexp(rows[3::50], axis=1, keepdims=True)
    rows[5::50, 0] = -np.inf
    rows[6::50, 0] = 700
    rows[9] = np.inf
    rows = rows.astype(dtype)
    for function in FUNCTIONS.values():
        alone = np.array([function(row[np.newaxis], axis=1)[0] for row in rows])
        for together in (
            function(rows, axis=1),
            function(rows.T, axis=0).T,
            function(rows[::-1], axis=1)[::-1],
            np.concatenate([function(rows[:20], axis=1), function(rows[20:], axis=1)]),
        ):
            assert np.array_equal(together, alone, equal_nan=True)
