"""The numbers of every format, counted."""

import numpy as np
import pytest

from stablelse.numerics.formats import FORMATS, find_format, numbers, ordinals


def landmarks(format_):
    """Numbers at which something changes, and some that are like any other."""
    one = format_.dtype.type(1)
    found = [format_.smallest_subnormal, format_.smallest_normal, one, format_.largest]
    rough = format_.round(np.array([0.3, 2.7, 1e-3, 17.0]))
    positive = np.concatenate([np.array(found, dtype=format_.dtype), rough])
    return np.concatenate([-positive, format_.round(np.zeros(1)), positive])


@pytest.mark.parametrize("name", FORMATS)
def test_neighbours_are_one_apart(name):
    format_ = find_format(name)
    x = landmarks(format_)
    assert (numbers(ordinals(x, format_), format_) == x).all()
    x = x[np.abs(x) < format_.largest]
    for step, end in ((-1, -format_.largest), (1, format_.largest)):
        beside = numbers(ordinals(x, format_) + step, format_)
        assert (beside == np.nextafter(x, end)).all()
    smallest = float(format_.smallest_subnormal)
    around = np.array([0.0, -0.0, smallest, -smallest])
    if name == "longdouble":
        around = np.array([0, -0.0, format_.smallest_subnormal, -format_.smallest_subnormal])
    assert ordinals(format_.round(around), format_).tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"])
def test_every_number_of_a_short_format_has_its_own(name):
    format_ = find_format(name)
    bits = np.arange(1 << (8 * format_.dtype.itemsize - 1))
    every = bits.astype(f"u{format_.dtype.itemsize}").view(format_.dtype)
    with np.errstate(invalid="ignore"):  # ml_dtypes warns of a NaN in isfinite
        every = every[np.isfinite(every)]
    assert (ordinals(every, format_) == np.arange(len(every))).all()
    assert every[-1] == format_.largest
