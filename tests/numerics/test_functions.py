"""Functions by name: errors in ulps of the formats' own numbers, and conditioning."""

import mpmath
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.numerics.formats import FORMATS, installed_formats
from stablelse.numerics.functions import (
    Function,
    condition_number,
    correct_digits,
    relative_error,
    ulp_error,
)


@pytest.mark.parametrize("name", [f.name for f in installed_formats()])
def test_ulps(name):
    """A neighbour is one ulp away; below the normal range all ulps are equal."""
    format_ = FORMATS[name]
    exact = format_.round([1.0, 1.25, 0.01, 3.0, -2.5])
    above = np.nextafter(exact, format_.largest)
    assert ulp_error(above, exact, format_).tolist() == [1, 1, 1, 1, 1]
    assert ulp_error(exact, exact, format_).tolist() == [0] * 5
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


def test_relative_errors_are_normwise():
    inf, nan = np.inf, np.nan
    value = np.array([[1.5, 8.0], [2.0, -inf], [inf, 1.0], [nan, 1.0], [0.0, 0.0], [1e-9, 0.0]])
    right = np.array([[1.0, 8.0], [4.0, -inf], [1.0, 1.0], [nan, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert relative_error(value, right).tolist() == [1 / 16, 1 / 2, inf, 0, 0, inf]
    # visible below the format's own digits
    value, reference = np.array([[1.0]]), np.array([[np.longdouble(1) + np.longdouble(2) ** -60]])
    seen = 0 if FORMATS["longdouble"].significand_bits == 53 else 2.0**-60
    assert relative_error(value, reference).tolist() == [seen]


def test_digits_are_those_of_the_relative_error():
    errors = np.array([0, 1e-20, 1e-3, 0.5, 1, 7, np.inf])
    digits = correct_digits(errors, FORMATS["float32"])
    most = 24 * np.log10(2)
    assert np.abs(digits - [most, most, 3, np.log10(2), 0, 0, 0]).max() <= 4 * np.spacing(most)
    assert not np.signbit(digits).any()


#: The rows' sums of absolute derivatives, written out from the softmax p.
JACOBIANS = {
    Function.LOGSUMEXP: lambda p, i: sum(p),
    Function.SOFTMAX: lambda p, i: sum(
        abs(p[i] * (1 - p[i]) if i == j else p[i] * p[j]) for j in range(len(p))
    ),
    Function.LOG_SOFTMAX: lambda p, i: sum(abs((1 if i == j else 0) - p[j]) for j in range(len(p))),
}


@given(
    x=st.lists(st.floats(-30, 30).map(lambda x: round(x, 3)), min_size=2, max_size=6),
    function=st.sampled_from(list(Function)),
)
def test_condition_numbers_are_norms_of_derivatives(x, function):
    if not any(x):
        return
    with mpmath.workprec(200):
        p = oracle.softmax(x)
        y, _ = oracle.logsumexp(x)
        values = {
            Function.LOGSUMEXP: [y],
            Function.SOFTMAX: p,
            Function.LOG_SOFTMAX: oracle.log_softmax(x),
        }[function]
        norm = max(JACOBIANS[function](p, i) for i in range(len(p)))
        true = norm * mpmath.mpf(max(map(abs, x))) / max(abs(value) for value in values)
        rounded = np.array([[np.float64(float(value)) for value in values]])
        (number,) = condition_number(function, np.array([x]), rounded)
        # the value is rounded by half an ulp, and 1 - p magnifies that by 1 / (1 - p)
        spread = 1 / (1 - max(p)) if function is Function.SOFTMAX else 1
        assert abs(number - true) <= 4 * 2**-53 * spread * true


def test_what_has_no_condition_number():
    inf, nan = np.inf, np.nan
    x = np.array([[inf, 1], [nan, 1], [-inf, -inf], [0.0, -inf], [2.0, -inf], [-1.0, -1.0]])
    y = np.array([[inf], [nan], [-inf], [0.0], [2.0], [0.0]])
    numbers = condition_number(Function.LOGSUMEXP, x, y)
    assert np.isnan(numbers[:4]).all()
    assert numbers[4:].tolist() == [1, inf]
    softmax = condition_number(Function.SOFTMAX, x[4:5], np.array([[1.0, 0.0]]))
    assert softmax.tolist() == [0]
    # the paper's section 2: for n equal entries that of softmax is 2 (n - 1) / n times the entry
    equal = condition_number(Function.SOFTMAX, np.full((1, 4), 3.0), np.full((1, 4), 0.25))
    assert equal.tolist() == [4.5]


def test_an_error_beyond_float64_is_infinite():
    """Longdouble has such large numbers, and ulps of a result of 0 are so small."""
    format_ = FORMATS["longdouble"]
    exact = np.zeros(1, format_.dtype)
    value = np.full(1, np.finfo(format_.dtype).max)
    assert ulp_error(value, exact, format_) == [np.inf]
    assert relative_error(value, np.full(1, np.finfo(format_.dtype).tiny)) == [np.inf]
