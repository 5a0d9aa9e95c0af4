"""How wrong a method is on the numbers of a stream, and how wrong a textbook's can be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.errors import correct_digits, relative_error
from stablelse.numerics.formats import Format
from stablelse.numerics.formulas.bounds import BOUNDS, RUNNING, ElementaryErrors, Quantities
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function
from stablelse.numerics.streams.running import LogSum

# An error is told to two digits: it has to be so many times that of what it is measured by. That
# of a correctly rounded value is known if the log-sum-exp has ten bits more than float64.
_DISTINCT, _KNOWN = 2.0**7, 2.0**-63


class Accuracy(NamedTuple):
    """How wrong a result is; see `stablelse.analysis.stream.StreamResult`."""

    relative_error: float | None = None
    correct_digits: float | None = None
    bound: float | None = None
    theorem: str | None = None


class Range(NamedTuple):
    """What a bound is made of: how many numbers, and the smallest finite and the largest one."""

    n: int
    least: float
    largest: float


def measured(value: Any, right: Any, log_sum: LogSum, format_: Format) -> Accuracy:
    """Measure a value of the format by the log-sum-exp in two words.

    Where the right value is not finite in the format, it is what the other is measured by.
    """
    reference = np.longdouble(right)
    if np.isfinite(right):
        reference = np.longdouble(log_sum.high) + np.longdouble(log_sum.low)
        distance = abs(np.longdouble(value) - reference)
        known = log_sum.error <= _KNOWN * abs(reference)
        if not (known or distance >= _DISTINCT * log_sum.error):
            return Accuracy()
    errors = relative_error(np.array([[value]]), np.array([[reference]]))
    (digits,) = correct_digits(errors, format_).tolist()
    return Accuracy(float(f"{errors[0]:.2g}"), round(digits, 2))


def bounded(method: Method, format_: Format, x: Range, total: Any, y: float) -> Accuracy:
    """Bound the relative error of the naive or the shifted method, where nothing overflowed.

    No more than a rounding of the sum may be lost to terms that underflow, when they are computed
    or when the sum is scaled: of each, twice the smallest number of the format.
    """
    shift = x.largest if method is Method.SHIFTED else 0.0
    u = float(format_.unit_roundoff)
    lost = 2 * x.n * float(format_.smallest_subnormal)
    is_normal = x.least - shift >= format_.subnormal_threshold
    if not np.isfinite(y) or not (is_normal or lost <= u * float(total)):
        return Accuracy()
    exp, log = ElementaryErrors.of(format_)
    sizes = (abs(y), abs(x.largest - y), x.largest - x.least, abs(y - x.largest))
    y_size, x_y, x_a, y_a = np.array(sizes)[:, np.newaxis]
    quantities = Quantities(x.n, y_size, x_y, x_a, y_a, exp, log)
    is_naive = method is Method.NAIVE
    bound = BOUNDS[Function.LOGSUMEXP, Method.NAIVE, False] if is_naive else RUNNING
    with np.errstate(divide="ignore"):  # of an exact result that is zero, it is infinite
        (coefficient,) = bound.coefficient(quantities).tolist()
    return Accuracy(bound=coefficient * u, theorem=bound.theorem)
