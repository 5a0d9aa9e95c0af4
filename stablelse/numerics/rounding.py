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

_FLOAT64 = FORMATS["float64"]


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


def settle(
    approximation: Approximation, format_: Format, ignored: Array | bool = False
) -> tuple[Array, Array, Array]:
    """Round to a format of at most 64 bits: return values, which are proved, and errors in ulps.

    Ignored results take no time and may be anything; what rounds to zero is +0; NaN is not proved.
    """
    check_arithmetic()
    value, settled, ulps = _settle_quickly(approximation, format_)
    rest = ~(settled | ignored)
    if rest.any():
        found = _settle_carefully(approximation.of(rest), format_)
        value[rest], settled[rest], ulps[rest] = found
    return value, settled, ulps


def _settle_quickly(a: Approximation, format_: Format) -> tuple[Array, Array, Array]:
    """Settle what is normal in the widest format at hand, and not next to a midpoint.

    Both ends of the interval must round to the same number. `reach` covers the roundings on the
    way, but for the last one, which is that to the format if this is the widest one; if not, it
    covers that too, so that the ends enclose the interval when they are rounded to the format.
    """
    high, low, lowest, error, exponent = a
    low = low + lowest
    reach = 1.001 * error + 2.0**-51 * abs(low)
    wide = np.dtype(np.float64)
    if format_.significand_bits > _FLOAT64.significand_bits:
        wide = format_.dtype
        high, low = high.astype(wide), low.astype(wide)
    elif format_.significand_bits < _FLOAT64.significand_bits:
        reach += 2.0**-52 * abs(high)
    first = np.ldexp(high + (low - reach), exponent)
    last = np.ldexp(high + (low + reach), exponent)
    value = format_.round(first)
    value[value == 0] = 0  # without a sign
    normal = (abs(first) >= np.finfo(wide).smallest_normal) & (abs(first) <= np.finfo(wide).max)
    ulps = reach * (2.0**format_.significand_bits / abs(a.high))
    return value, normal & (value == format_.round(last)), ulps


def _settle_carefully(a: Approximation, format_: Format) -> tuple[Array, Array, Array]:
    """Settle subnormal numbers too, and as close to a midpoint as the error allows.

    With 2**q the unit in the last place of the result, which is that of subnormal numbers if it
    is one, the value 2**-q is rounded to an integer. Its distance from the nearest midpoint is
    computed without loss, but for the rounding of what is not small, and must exceed the error.
    Just below a power of two the units are half as large.
    """
    high, low, lowest, error, exponent = a
    if format_.significand_bits > _FLOAT64.significand_bits:
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
