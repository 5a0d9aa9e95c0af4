"""How wrong a method is on the numbers of a stream, and how wrong a textbook's can be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.bounds import BOUNDS, RUNNING, ElementaryErrors, Quantities
from stablelse.numerics.errors import correct_digits, relative_error
from stablelse.numerics.formats import Format
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function
from stablelse.numerics.running import LogSum

# An error is told to two digits: it has to be so many times that of what it is measured by. That
# of a correctly rounded value is known if the log-sum-exp has ten bits more than float64.
_DISTINCT, _KNOWN = 2.0**7, 2.0**-63

_BOUNDS = {
    Method.NAIVE: BOUNDS[Function.LOGSUMEXP, Method.NAIVE, False],
    Method.SHIFTED: RUNNING,
}


class Range(NamedTuple):
    """What a bound is made of: how many numbers, and the smallest finite and the largest one."""

    n: int
    least: float
    largest: float


def measured(
    value: Any, right: Any, log_sum: LogSum, format_: Format
) -> tuple[float | None, float | None]:
    """Return the relative error of a value by the log-sum-exp in two words, and the correct digits.

    Where the right value is not finite in the format, it is what the other is measured by.
    """
    reference = np.longdouble(right)
    if np.isfinite(right):
        reference = np.longdouble(log_sum.high) + np.longdouble(log_sum.low)
        distance = abs(np.longdouble(value) - reference)
        known = log_sum.error <= _KNOWN * abs(reference)
        if not (known or distance >= _DISTINCT * log_sum.error):
            return None, None
    errors = relative_error(np.array([[value]]), np.array([[reference]]))
    (digits,) = correct_digits(errors, format_).tolist()
    return float(f"{errors[0]:.2g}"), round(digits, 2)


def bounded(
    method: Method, format_: Format, x: Range, total: Any, y: float
) -> tuple[float | None, str | None]:
    """Bound the relative error of a textbook's method where nothing overflowed; name the theorem.

    No more than a rounding of the sum may be lost to terms that underflow, when they are computed
    or when the sum is scaled: of each, twice the smallest number of the format.
    """
    shift = x.largest if method is Method.SHIFTED else 0.0
    u = float(format_.unit_roundoff)
    lost = 2 * x.n * float(format_.smallest_subnormal)
    is_normal = x.least - shift >= format_.subnormal_threshold
    if not np.isfinite(y) or not (is_normal or lost <= u * float(total)):
        return None, None
    exp, log = ElementaryErrors.of(format_)
    sizes = {
        "y": abs(y),
        "x_y": max(abs(x.least - y), abs(x.largest - y)),
        "x_a": x.largest - x.least,
        "y_a": abs(y - x.largest),
    }
    arrays = {name: np.array([size]) for name, size in sizes.items()}
    quantities = Quantities(n=x.n, exp=exp, log=log, **arrays)
    bound = _BOUNDS[method]
    with np.errstate(divide="ignore"):  # of an exact result that is zero, it is infinite
        (coefficient,) = bound.coefficient(quantities).tolist()
    return coefficient * u, bound.theorem
