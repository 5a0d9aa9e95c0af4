"""The exponential of complex numbers in integers, and the constants that reduce its argument.

All numbers are multiples of a unit, 2**-bits. Every bound is derived where the function is.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import Any, NamedTuple


class Sum(NamedTuple):
    """exp(shift) (x + i y) 2**(power - bits); x and y are wrong by less than `error`."""

    x: int
    y: int
    error: int
    power: int
    shift: Any = 0


def exp(r: int, q: int, bits: int) -> tuple[int, int]:
    """Return the parts of exp(r + i q), abs(r) < 1 and abs(q) < 4; wrong by less than a unit.

    The series is that of the argument divided by 2**h, with more bits. Its n terms, less than
    `bits`, lose three finer units each, and squaring h times doubles that: together less than
    2**(h + 1) (3 n + 6).
    """
    halvings = isqrt(bits)
    fine = bits + halvings + bits.bit_length() + 4
    a, b = r << fine - bits >> halvings, q << fine - bits >> halvings
    real, imag = 1 << fine, 0
    term_real, term_imag = real, imag
    n = 1
    while term_real not in (0, -1) or term_imag not in (0, -1):
        term_real, term_imag = (
            (term_real * a - term_imag * b >> fine) // n,
            (term_real * b + term_imag * a >> fine) // n,
        )
        real, imag = real + term_real, imag + term_imag
        n += 1
    for _ in range(halvings):
        real, imag = (real - imag) * (real + imag) >> fine, 2 * real * imag >> fine
    return real >> fine - bits, imag >> fine - bits


@lru_cache(maxsize=8)
def constants(bits: int) -> tuple[int, int]:
    """Return ln 2 and pi, wrong by less than a unit."""
    more = bits.bit_length() + 8
    ln2 = 2 * _inverse(3, 1, bits + more)
    pi = 16 * _inverse(5, -1, bits + more) - 4 * _inverse(239, -1, bits + more)  # Machin
    return ln2 >> more, pi >> more


def _inverse(x: int, sign: int, bits: int) -> int:
    """Return artanh (sign 1) or arctan (sign -1) of 1 / x; its terms lose up to two units each."""
    power = total = (1 << bits) // x
    n = 1
    while power not in (0, -1):
        power = sign * power // (x * x)
        n += 2
        total += power // n
    return total


def fixed(value: Any, bits: int) -> int:
    """Return a number of any format in units, rounded down."""
    numerator, denominator = value.as_integer_ratio()
    return int(numerator) << bits >> int(denominator).bit_length() - 1
