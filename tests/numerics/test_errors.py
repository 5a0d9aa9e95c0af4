"""Errors in ulps: counted on the formats' own numbers."""

import numpy as np
import pytest

from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS, installed_formats


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
def test_a_neighbour_is_one_ulp_away(name):
    format_ = FORMATS[name]
    exact = format_.round([1.0, 1.25, 0.01, 3.0, -2.5])
    above = np.nextafter(exact, format_.largest)
    assert ulp_error(above, exact, format_).tolist() == [1, 1, 1, 1, 1]
    assert ulp_error(exact, exact, format_).tolist() == [0] * 5


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
def test_below_the_normal_range_ulps_are_all_alike(name):
    format_ = FORMATS[name]
    zero, smallest = format_.dtype.type(0), format_.smallest_subnormal
    exact = np.array([zero, smallest, zero])
    value = np.array([smallest, zero, format_.smallest_normal])
    expected = [1, 1, 2 ** (format_.significand_bits - 1)]
    assert ulp_error(value, exact, format_).tolist() == expected


def test_what_is_not_finite():
    inf, nan = np.inf, np.nan
    value = np.array([inf, -inf, nan, inf, inf, 1.0, nan])
    exact = np.array([inf, -inf, nan, -inf, 1.0, inf, 1.0])
    errors = ulp_error(value, exact, FORMATS["float64"])
    assert errors.tolist() == [0, 0, 0, inf, inf, inf, inf]


def test_known_losses():
    """The figures of section "what libraries do wrong", counted again."""
    from stablelse.analysis.compare import compare

    _, shifted, _, exact = compare([-0.775, -0.6175]).results
    assert shifted.ulps == 62271
    assert exact.ulps == 0
    assert compare([0, -40]).results[1].ulps > 1e15
