"""Numbers of the formats as rational numbers, and the other way round."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import ldexp
from typing import Any

import numpy as np

from stablelse.numerics.formats import FORMATS, Format

_FLOAT64_BITS = FORMATS["float64"].significand_bits


def nearest(value: Fraction, format_: Format) -> Any:
    """Round to the format, to nearest with ties to even.

    Parameters
    ----------
    value : Fraction
        Any size.
    format_ : Format
        Any format.

    Returns
    -------
    scalar
        Of the format; what is too large is infinite, or NaN where there is no infinity.
    """
    if format_.name == "float64":
        try:
            # Python rounds to nearest; adding 0 takes the sign of a zero.
            return np.float64(value.numerator / value.denominator + 0.0)
        except OverflowError:
            return np.float64(np.inf if value > 0 else -np.inf)
    if not value:
        return format_.dtype.type(0)
    smallest, largest = _limits(format_)
    above, below = abs(value.numerator), value.denominator
    exponent = above.bit_length() - below.bit_length()
    if above << max(-exponent, 0) < below << max(exponent, 0):
        exponent -= 1
    # Now 2**exponent <= abs(value) < 2**(exponent + 1): the unit in the last place of the result is
    power = max(exponent - format_.significand_bits + 1, smallest)
    below <<= max(power, 0)
    multiple, rest = divmod(above << max(-power, 0), below)
    multiple += 2 * rest > below or (2 * rest == below and multiple % 2)
    signed = multiple if value > 0 else -multiple
    if power > 0 and multiple << power > largest:
        return format_.round(np.inf if value > 0 else -np.inf)[()]
    if format_.significand_bits > _FLOAT64_BITS:
        return np.ldexp(np.longdouble(signed), power)
    return format_.dtype.type(ldexp(signed, power))


@cache
def _limits(format_: Format) -> tuple[int, int]:
    """Return the exponent of the smallest number, and the largest, which is an integer."""
    return 1 - ratio(format_.smallest_subnormal)[1].bit_length(), ratio(format_.largest)[0]


def ratio(value: Any) -> tuple[int, int]:
    """Return a scalar of any format as a ratio of integers, exactly."""
    number = value if isinstance(value, np.longdouble) else float(value)
    numerator, denominator = number.as_integer_ratio()
    return int(numerator), int(denominator)
