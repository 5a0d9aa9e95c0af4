"""The correctly rounded functions: every case of the table, and the meaning of arguments."""

from pathlib import Path

import mpmath
import numpy as np
import oracle
import pytest
from cases import CASES
from families import FAMILIES, rng_of

import stablelse
from stablelse import Rung
from stablelse.numerics import decimals, kernel, reference
from stablelse.numerics.formats import FORMATS, find_format, installed_formats

FLOAT64 = FORMATS["float64"]
NAMES = ("logsumexp", "softmax", "log_softmax")
INSTALLED = [f.name for f in installed_formats()]

ROWS = 3 * rng_of(17).normal(size=(4, 5))


def rounded(case):
    """Return the x and the b of a case in its format."""
    format_ = find_format(case.dtype)
    x = format_.round(np.array(case.x, float))
    return x, None if case.b is None else format_.round(np.array(case.b))


def same(found, expected) -> bool:
    wide = [np.asarray(part).astype(np.longdouble) for part in (found, expected)]
    return np.array_equal(*wide, equal_nan=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_logsumexp_of_every_case(case):
    format_ = find_format(case.dtype)
    x, b = rounded(case)
    value, sign, certificate = stablelse.logsumexp(
        x, b=b, return_sign=True, return_certificate=True
    )
    assert type(value) is type(sign) is format_.dtype.type
    counts = np.ones(len(x)) if b is None else b
    if (x[counts != 0] < np.inf).all():
        truth, expected_sign = oracle.logsumexp(x, b)
        with mpmath.workprec(200):
            told = truth if case.lse is None else mpmath.mpf(case.lse)
            assert truth == told or mpmath.almosteq(truth, told, 1e-24)
        assert same(value, oracle.rounded_to(truth, format_))
        assert sign == expected_sign
    else:
        assert same(value, float(case.lse))
        assert certificate.rung is Rung.CONVENTION
    assert sum(certificate.settled.values()) == (1 if len(x) else 0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("case", [c for c in CASES if c.b is None], ids=lambda case: case.name)
def test_elementwise_functions_of_every_case(case, name):
    format_ = find_format(case.dtype)
    x, _ = rounded(case)
    if not len(x):
        with pytest.raises(ValueError, match="of no elements"):
            getattr(stablelse, name)(x)
        return
    result, certificate = getattr(stablelse, name)(x, return_certificate=True)
    assert result.dtype == format_.dtype
    assert result.shape == x.shape
    assert sum(certificate.settled.values()) == x.size
    if not (x < np.inf).all() or not np.isfinite(x).any():
        assert np.isnan(result).all()
        assert certificate.settled == {Rung.CONVENTION: x.size}
    elif x.size <= 10:
        truth = getattr(oracle, name)(x)
        assert same(result, [oracle.rounded_to(value, format_) for value in truth])
    else:  # the long ones are all equal
        truth = 1 / mpmath.mpf(x.size) if name == "softmax" else -mpmath.log(x.size)
        assert same(np.unique(result), [oracle.rounded_to(truth, format_)])


@pytest.mark.parametrize("source", INSTALLED)
@pytest.mark.parametrize("target", INSTALLED)
def test_from_every_format_to_every_other(source, target):
    """A result is rounded once, from the exact value for the given numbers."""
    x = FORMATS[source].round(ROWS / 2)
    format_ = FORMATS[target]
    for given in (format_.dtype, format_.dtype.type):
        for name in NAMES:
            result = getattr(stablelse, name)(x, axis=1, dtype=given)
            assert result.dtype == format_.dtype
            rows = [getattr(decimals, name)(row, format_) for row in x]
            expected = [row[0] for row in rows] if name == "logsumexp" else rows
            assert same(result, expected)


@pytest.mark.parametrize(
    ("x", "b", "expected"),
    [
        # above a midpoint of float16, by less than 2**-1000, then below
        ([1 + 2.0**-11, -800], 1, 1 + 2.0**-10),
        ([1 + 3 * 2.0**-11, -800], [1, -1], 1 + 2.0**-10),
        ([65520.0, -800], [1, -1], 65504),
    ],
)
def test_next_to_a_midpoint_of_a_narrow_format(x, b, expected):
    assert stablelse.logsumexp(x, b=b, dtype="float16") == expected


def hard_rows():
    """Rows of which the first rung settles all but one, and the last has nothing to round."""
    x = rng_of(2).normal(size=(100, 5)) + 3
    x[7] = [-np.log(2), -np.log(2), -np.inf, -np.inf, -np.inf]
    x[50] = [-0.775, -0.6174903, -np.inf, -np.inf, -800]
    x[99, 3] = np.nan
    return x


def test_the_references_certificate_counts_every_result_once():
    x = hard_rows()
    *_, certificate = reference.logsumexp(x, FLOAT64)
    settled = certificate.settled
    assert settled[Rung.CONVENTION] == 1
    assert settled[Rung.DOUBLE_WORD] == 97
    assert sum(settled.values()) == 100
    assert certificate.climbs == settled.get(Rung.DECIMAL, 0)
    assert certificate.rung is max(settled, key=list(Rung).index)
    assert settled[Rung.TRIPLE_WORD] >= 1
    for name in ("softmax", "log_softmax"):
        result, certificate = getattr(reference, name)(x, FLOAT64)
        assert sum(certificate.settled.values()) == x.size == result.size
        assert certificate.settled[Rung.CONVENTION] >= np.isnan(result).sum() == 5
        first = certificate.settled[Rung.DOUBLE_WORD]
        assert certificate.climbs >= x.size - first - certificate.settled[Rung.CONVENTION]


@pytest.mark.parametrize("n", [100, 70_000, 150_000])
@pytest.mark.parametrize("largest", [-27.0, 0.0, 300.0])
def test_far_below_a_small_sum_nothing_is_taken_for_granted(n, largest):
    """Elements far below the rest, of vectors in one piece and in several."""
    x = rng_of(22).uniform(-660, -590, n)
    x[n // 2] = largest
    some = np.array([0, 1, 2, 3, n // 2, n - 2, n - 1])  # the others are negligible
    assert np.array_equal(stablelse.softmax(x)[some], decimals.softmax(x[some], FLOAT64))


@pytest.mark.skipif(kernel.load() is None, reason="the reference is selected")
def test_a_certificate_names_the_kernel_and_counts_what_the_reference_settles():
    x = np.array([[1000.0, 1000, -np.inf], [1, 2, 3], [np.inf, 0, 0], [-np.inf] * 3])
    b = np.array([[1.0, -1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]])
    for dtype in ("float64", "float32"):  # in the first row all terms cancel
        *_, certificate = stablelse.logsumexp(
            x.astype(dtype), 1, b.astype(dtype), return_certificate=True
        )
        expected = {Rung.CONVENTION: 2, Rung.KERNEL: 1, Rung.DECIMAL: 1}
        assert certificate.settled == expected
        assert (certificate.climbs, certificate.reference) == (1, 1)
        assert certificate.kernel == kernel.available()[0]
    _, certificate = stablelse.softmax(x, 1, where=x < 1000, return_certificate=True)
    assert certificate.settled == {Rung.CONVENTION: 7, Rung.KERNEL: 5}
    assert (certificate.climbs, certificate.reference) == (0, 0)
    _, certificate = stablelse.softmax(x.astype(np.longdouble), 1, return_certificate=True)
    assert (certificate.kernel, certificate.reference) == ("reference", 5)


@pytest.mark.skipif(kernel.load() is None, reason="the reference is selected")
@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_counts_the_elements_in_doubt(name):
    pytest.importorskip("flint")
    x, _ = FAMILIES[f"next to a tie of {name}"].make(rng_of(8), 60, 130, FLOAT64)
    value, certificate = getattr(stablelse, name)(x, 1, return_certificate=True)
    assert certificate.reference > 0
    assert certificate.settled.get(Rung.KERNEL, 0) == value.size - certificate.reference


# Certificates.

X = np.random.default_rng(11).normal(0, 30, (5, 40))
LABELS = np.arange(5)


OPTIONS = [{}, {"where": X > 0}, {"empty": "zero"}]
CALLS = [
    *((name, (X, 1), options) for name in NAMES for options in OPTIONS),
    *(
        (name, (X, LABELS), {"reduction": reduction, "label_smoothing": smoothing})
        for name in ("nll", "nll_grad")
        for reduction in ("none", "mean", "sum")
        for smoothing in (0.0, 0.1)
    ),
]


@pytest.mark.parametrize("dtype", [None, "float64", "float32", "float16"])
@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_a_certificate_is_of_the_same_bits(name, args, options, dtype):
    function = getattr(stablelse, name)
    alone = function(*args, dtype=dtype, **options)
    value, certificate = function(*args, dtype=dtype, return_certificate=True, **options)
    assert alone.dtype == value.dtype == np.dtype(dtype or "float64")
    assert np.array_equal(alone, value)
    assert sum(certificate.settled.values()) == np.size(value)
    assert 0 <= certificate.reference <= np.size(value)


def test_what_has_no_certificate_says_so():
    with pytest.raises(TypeError, match="leave out return_certificate"):
        stablelse.logsumexp([1j], return_certificate=True)
    with pytest.raises(TypeError, match="complex"):
        stablelse.softmax([1.0], dtype=complex)
    array = pytest.importorskip("dask.array").zeros(3)
    for more in ({"dtype": "float32"}, {"return_certificate": True}):
        with pytest.raises(TypeError, match=r"Dask array takes no dtype, return_certificate"):
            stablelse.softmax(array, **more)


@pytest.mark.skipif(kernel.load() is None, reason="the reference is selected")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("source", [None, "float64"])
@pytest.mark.parametrize("shape", [(2000, 50), (1, 100_000)], ids=str)
def test_the_kernel_settles_all_but_one_result_in_ten_thousand(shape, source, dtype, monkeypatch):
    """On typical data, which the benchmarks also use; from float64 too."""
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from speed import families

    for name, x in families(*shape).items():
        given = x.astype(source or dtype)
        calls = {f: [given, 1] for f in ("logsumexp", "softmax", "log_softmax")}
        weights = np.where(np.arange(given.size) % 3, 1, -0.5).reshape(shape).astype(given.dtype)
        for function, arguments in [*calls.items(), ("logsumexp", [given, 1, weights])]:
            value, *_, certificate = getattr(stablelse, function)(
                *arguments, dtype=dtype, return_certificate=True
            )
            assert certificate.kernel == kernel.name()
            assert certificate.reference <= np.size(value) / 10_000, (name, function)
