"""Numbers of the formats as rational numbers, and the other way round."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from stablelse.numerics.formats import Format


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
    size = abs(value)
    if not size:
        return format_.dtype.type(0)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    # Now 2**exponent <= size < 2**(exponent + 1): the unit in the last place of the result is
    power = max(
        exponent - format_.significand_bits + 1,
        1 - Fraction(*ratio(format_.smallest_subnormal)).denominator.bit_length(),
    )
    multiple = round(size / Fraction(2) ** power)
    if multiple * Fraction(2) ** power > Fraction(*ratio(format_.largest)):
        return format_.round(np.inf if value > 0 else -np.inf)[()]
    signed = multiple if value > 0 else -multiple
    return format_.round(np.ldexp(np.longdouble(signed), power))[()]


def ratio(value: Any) -> tuple[int, int]:
    """Return a scalar of any format as a ratio of integers, exactly."""
    number = value if isinstance(value, np.longdouble) else float(value)
    numerator, denominator = number.as_integer_ratio()
    return int(numerator), int(denominator)
