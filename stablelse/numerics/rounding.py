"""The rounding test: whether all numbers within an error bound round to the same one.

This is the test of Ziv (1991, Fast evaluation of elementary mathematical functions with correctly
rounded last bit, doi 10.1145/114697.116813): where it passes, rounding the approximation is
rounding the exact value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.doubleword import two_sum
from stablelse.numerics.formats import FORMATS, Array, Format

# What is left of a distance that was rounded up a few times.
_ROUNDED = 1 - 2.0**-50


class Approximation(NamedTuple):
    """Exact values within (high + low + lowest +- error) 2**exponent; all float64 but that.

    An error of 0 means that nothing that the exact value can be rounds differently.
    """

    high: Array
    low: Array
    lowest: Array
    error: Array
    exponent: Any = 0  # integers, at most 2**20 in size

    def of(self, some: Array) -> Approximation:
        """Return those of them that are flagged."""
        return Approximation(*(np.broadcast_to(part, some.shape)[some] for part in self))

    def put(self, place: Any, others: Iterable[Any]) -> None:
        """Put others, or the five numbers of one, in their place."""
        for part, other in zip(self, others, strict=True):
            part[place] = other

    def but_for(self, some: Array, exact: Array | float) -> Approximation:
        """Return them with exact values for those that are flagged."""
        values = (exact, 0.0, 0.0, 0.0, 0)
        pairs = zip(values, self, strict=True)
        return Approximation(*(np.where(some, value, part) for value, part in pairs))


def check_arithmetic() -> None:
    """Raise an error unless this thread rounds to nearest, with subnormal numbers.

    Other libraries switch that: with fesetround, or because they are built with -ffast-math.
    """
    one, ulp, tiny = np.array([1.0, -1.0]), 2.0**-52, np.array([2.0**-1022, 2.0**-1074])
    rounds = ((one + one * (0.75 * ulp)) - one == one * ulp) & (one + one * (0.25 * ulp) == one)
    # Multiplied by 2**1000, for where subnormal numbers count as 0, they are equal to 0 as well.
    keeps = (tiny * [0.5, 1.0]) * 2.0**1000 == [2.0**-23, 2.0**-74]
    if not (rounds.all() and keeps.all()):
        raise FloatingPointError(
            "this thread does not round to nearest with subnormal numbers, so results could be "
            "wrong: another library has switched that (fesetround, or a build with -ffast-math); "
            "switch it back, or compute in a new process without that library"
        )


def settle(a: Approximation, format_: Format) -> tuple[Array, Array, Array]:
    """Round to a format of at most 64 bits: return values, which are proved, and errors in ulps.

    With 2**q the unit in the last place of the result, which is that of subnormal numbers if it
    is one, the value 2**-q is rounded to an integer. Its distance from the nearest midpoint is
    computed without loss, but for the rounding of what is not small, and must exceed the error.
    Just below a power of two the units are half as large. What rounds to zero is +0; NaN and
    infinity are not proved.
    """
    check_arithmetic()
    high, low, lowest, error, exponent = a
    if format_.significand_bits > FORMATS["float64"].significand_bits:
        high, low = high.astype(format_.dtype), low.astype(format_.dtype)
    low, lowest = two_sum(low, lowest)
    high, low = two_sum(high, low)
    fraction, binade = np.frexp(high)
    binade -= (abs(fraction) == 0.5) & (low * fraction < 0)
    smallest = np.frexp(format_.smallest_subnormal.astype(np.longdouble))[1] - 1
    binade[high == 0] = smallest
    unit = np.maximum(binade + exponent - format_.significand_bits, smallest)
    scale = exponent - unit
    scaled, low, lowest = (np.ldexp(word, scale) for word in (high, low, lowest))
    ulps = np.ldexp(error, scale)
    integer = np.rint(scaled)
    fraction = scaled - integer  # exact, and at most 1/2
    side = np.where(fraction + low < 0, -1.0, 1.0)
    gap = ((0.5 - side * fraction) - side * low) - side * lowest
    integer += np.where(gap < 0, side, 0.0)
    settled = (abs(gap) * _ROUNDED > ulps) | ((error == 0) & np.isfinite(high))
    return format_.round(np.ldexp(integer, unit) + 0.0), settled, ulps
