"""The table of formats against the published figures, and against the formats' own numbers."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stablelse
from stablelse.numerics.formats import (
    FORMATS,
    UnknownFormatError,
    find_format,
    format_of,
    installed_formats,
    numbers_at,
    ordinals,
)

# name: (p, largest, largest x with exp finite, smallest x with exp > 0, subnormal below)
FIGURES = {
    "float8_e4m3fn": (4, 448, 6.0, -6.5, -4.159),
    "float8_e5m2": (3, 57344, 10, -10, -9.704),
    "float16": (11, 65504, 11.0859375, -17.328125, -9.704),
    "bfloat16": (8, 3.3895e38, 88.5, -92.5, -87.337),
    "float32": (24, 3.4028e38, 88.72283, -103.97208, -87.337),
    "float64": (53, 1.7977e308, 709.782712893384, -745.1332191019411, -708.396),
}
#: Formats with few enough numbers to try them all.
SMALL = ("float8_e4m3fn", "float8_e5m2", "float16", "bfloat16")


def all_values(name: str) -> np.ndarray:
    dtype = FORMATS[name].dtype
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):  # signalling NaNs signal
        values = bits.view(dtype)
        return values[~np.isnan(values)]


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name):
    p, largest, overflow, underflow, subnormal = FIGURES[name]
    format_ = FORMATS[name]
    dtype = format_.dtype.type
    assert format_.significand_bits == p
    assert format_.unit_roundoff == 2.0**-p
    assert float(f"{float(format_.largest):.5g}") == largest
    assert format_.overflow_threshold == dtype(overflow)
    assert format_.underflow_threshold == dtype(underflow)
    assert round(format_.subnormal_threshold, 3) == subnormal


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="longdouble is not x87's here")
def test_figures_of_x87():
    format_ = FORMATS["longdouble"]
    assert format_.significand_bits == 64
    assert str(format_.overflow_threshold) == "11356.523406294143949"
    assert format_.underflow_threshold == np.longdouble("-11399.498531488860558")
    assert round(format_.subnormal_threshold, 3) == -11355.137


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
def test_thresholds_are_where_exp_leaves_the_format(name):
    """Both sides of each threshold, checked with correctly rounded decimal arithmetic."""
    format_ = FORMATS[name]
    above = np.nextafter(format_.overflow_threshold, format_.largest)
    below = np.nextafter(format_.underflow_threshold, -format_.largest)
    with localcontext() as context:
        context.prec = 50
        overflows = exact(format_.largest) + exact(half_ulp_of_largest(format_))
        assert exact(format_.overflow_threshold).exp() < overflows < exact(above).exp()
        vanishes = exact(format_.smallest_subnormal) / 2
        assert exact(format_.underflow_threshold).exp() > vanishes > exact(below).exp()


def exact(value) -> Decimal:
    numerator, denominator = np.longdouble(value).as_integer_ratio()
    return Decimal(numerator) / Decimal(denominator)


@pytest.mark.parametrize("name", SMALL)
def test_exp_overflows_and_underflows_exactly_there(name):
    """For every number of the format, exp computed in it agrees with the thresholds."""
    format_ = FORMATS[name]
    x = all_values(name)
    x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        exp = np.exp(x)
    assert np.array_equal(np.isfinite(exp), x <= format_.overflow_threshold)
    assert np.array_equal(exp != 0, x >= format_.underflow_threshold)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@given(x=st.floats(allow_nan=False, width=64))
def test_rounds_once(name, x):
    """Rounding gives the nearest number, and the even one for ties: no other is nearer."""
    format_ = FORMATS[name]
    rounded = format_.round(x)[()]
    if not np.isfinite(rounded):
        boundary = exact(format_.largest) + exact(half_ulp_of_largest(format_))
        assert np.isinf(x) or abs(Decimal(x)) >= boundary
        return
    error = abs(exact(rounded) - Decimal(x))
    for end in (format_.largest, -format_.largest):
        neighbour = np.nextafter(rounded, end)
        other = abs(exact(neighbour) - Decimal(x))
        assert error < other or (error == other and is_even(rounded)) or neighbour == rounded


def half_ulp_of_largest(format_) -> np.longdouble:
    below = np.nextafter(format_.largest, format_.smallest_normal)
    return (np.longdouble(format_.largest) - np.longdouble(below)) / 2


def is_even(value) -> bool:
    return int(np.asarray(value).view(f"u{value.dtype.itemsize}")) % 2 == 0


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("bfloat16", 1 + 2**-8 + 2**-40, 1 + 2**-7),  # through float32: 1
        ("float8_e4m3fn", 1 + 2**-4 + 2**-40, 1.125),
        ("float8_e5m2", -(1 + 2**-3 + 2**-40), -1.25),
        ("bfloat16", -0.0, -0.0),
        ("bfloat16", 1e39, np.inf),
        ("float8_e5m2", 61440.0, np.inf),
        ("float8_e5m2", 61439.0, 57344),
        ("bfloat16", 2**25 + 2**17 + 1, 2**25 + 2**18),  # an integer, through float32: 2**25
        ("bfloat16", np.uint64(2**50 + 2**42 + 1), 2**50 + 2**43),
        pytest.param(
            *("float16", 1 + 2.0**-11 + np.longdouble(2) ** -60, 1 + 2**-10),
            marks=pytest.mark.skipif(
                FORMATS["longdouble"].significand_bits < 61, reason="a double"
            ),
        ),
    ],
)
def test_double_rounding_is_avoided(name, x, expected):
    rounded = float(FORMATS[name].round(x))
    assert rounded == expected
    assert np.signbit(rounded) == np.signbit(expected)


def test_float8_e4m3fn_has_no_infinity():
    assert not FORMATS["float8_e4m3fn"].has_infinity
    assert np.isnan(FORMATS["float8_e4m3fn"].round(500.0))
    assert all(f.has_infinity for name, f in FORMATS.items() if name != "float8_e4m3fn")


def test_find_format():
    assert find_format("float16") is find_format("half") is FORMATS["float16"]
    with pytest.raises(UnknownFormatError, match="unknown format 'haf': choose from float8_e4m3"):
        find_format("haf")


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    format_ = type(FORMATS["bfloat16"])("bfloat16", extra="ml")
    with pytest.raises(UnknownFormatError, match=r"pip install ml_dtypes"):
        _ = format_.dtype


def test_format_of_a_dtype():
    assert all(format_of(format_.dtype) is format_ for format_ in installed_formats())
    assert format_of(np.int32) is None


# Ordinals of every format's numbers.


def landmarks(format_):
    """Numbers at which something changes, and some ordinary ones."""
    one = format_.dtype.type(1)
    found = [format_.smallest_subnormal, format_.smallest_normal, one, format_.largest]
    rough = format_.round(np.array([0.3, 2.7, 1e-3, 17.0]))
    positive = np.concatenate([np.array(found, dtype=format_.dtype), rough])
    return np.concatenate([-positive, format_.round(np.zeros(1)), positive])


@pytest.mark.parametrize("name", FORMATS)
def test_neighbours_are_one_apart(name):
    format_ = find_format(name)
    x = landmarks(format_)
    assert (numbers_at(ordinals(x, format_), format_) == x).all()
    x = x[np.abs(x) < format_.largest]
    for step, end in ((-1, -format_.largest), (1, format_.largest)):
        beside = numbers_at(ordinals(x, format_) + step, format_)
        assert (beside == np.nextafter(x, end)).all()
    smallest = float(format_.smallest_subnormal)
    around = np.array([0.0, -0.0, smallest, -smallest])
    if name == "longdouble":
        around = np.array([0, -0.0, format_.smallest_subnormal, -format_.smallest_subnormal])
    assert ordinals(format_.round(around), format_).tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize("name", SMALL)
def test_every_number_of_a_short_format_has_its_own(name):
    every = all_values(name)
    every = every[np.isfinite(every) & ~np.signbit(every)]
    assert (ordinals(every, FORMATS[name]) == np.arange(len(every))).all()
    assert every[-1] == FORMATS[name].largest


def test_the_library_takes_the_names_that_the_command_takes():
    assert stablelse.logsumexp([1, 2], dtype="fp32").dtype == np.float32
    with pytest.raises(TypeError, match=r"not int64: choose from float8_e4m3fn, .*float16, "):
        stablelse.logsumexp([1, 2], dtype=np.int64)
