"""The tables of powers of two, and ln 2, that the exponentials are made from.

With k the integer nearest to d N / ln 2, and r = d - k ln 2 / N, abs(r) < 0.35 / N,

    exp(d) = 2**(k / N) exp(r) = 2**e T exp(r),   k = N e + j,   T = 2**(j / N)

(Tang 1989, doi 10.1145/63522.214389). There is a table with N = 2**11 in three words, and a
finer one of N = 2**15. The first is computed here in integers of 200 bits.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import NamedTuple

import numpy as np

from stablelse.numerics.errorfree import fast_two_sum, two_product
from stablelse.numerics.formats import Array

#: The table has 2**11 entries.
INDEX_BITS = 11

#: The finer table has 2**15.
FINE_INDEX_BITS = 15

#: Of a float64, stored.
SIGNIFICAND_BITS = 52

#: Of the integers in which everything is computed.
BITS = 200

# Adding and subtracting it rounds to a multiple of 2**-33.
_TO_33_BITS = 1.5 * 2.0**19


class Powers(NamedTuple):
    """Constants for exp(d) = 2**e T exp(r).

    Attributes
    ----------
    step : tuple of float
        ln 2 / 2**11 = L1 + L2 + L3, L1 a multiple of 2**-42 (31 bits), L2 one of 2**-73
        (30 bits).
    high, middle, low : ndarray
        T = A + B + C for every j, A of 27 bits, a multiple of 2**-26, B of 27, a multiple of
        2**-53.
    """

    step: tuple[float, ...]
    high: Array
    middle: Array
    low: Array


class FinePowers(NamedTuple):
    """Constants for exp(d) = 2**e A exp(r - log(A / T)), A being near to T.

    Attributes
    ----------
    step : tuple of float
        ln 2 / 2**15 = M1 + M2 + M3, M1 a multiple of 2**-43 (28 bits), M2 one of 2**-72.
    high : ndarray
        A for every j, 34 bits, a multiple of 2**-33.
    encoded : ndarray of int64
        The bits of A, less j 2**37. Adding k 2**37 gives those of 2**e A, as long as that is
        a normal number, for k 2**37 = e 2**52 + j 2**37.
    offset : ndarray
        log(A / T), at most 2**-34, with an error below 2**-85.5.
    """

    step: tuple[float, ...]
    high: Array
    encoded: Array
    offset: Array


@cache
def powers() -> Powers:
    """Return the table; it is made on first use."""
    parts = (_parts(entry, 26, 53) for entry in powers_of_two(INDEX_BITS, 2**INDEX_BITS))
    columns = [np.array(column) for column in zip(*parts, strict=True)]
    return Powers(_parts(ln2(BITS) >> INDEX_BITS, 42, 73), *columns)


@cache
def fine_powers() -> FinePowers:
    """Return the finer table; it is made on first use.

    Its T are products of those of the table and of 16 others, in double-words with a relative
    error below 2**-102. z = A / T - 1, at most 2**-34, is wrong by 2**-88 three times: for the
    difference, the quotient, and the series of the logarithm; and by 2**-87, for T is rounded
    to divide by it.
    """
    count = 2 ** (FINE_INDEX_BITS - INDEX_BITS)
    table = powers()
    a, a_low = fast_two_sum(table.high[:, np.newaxis], table.middle[:, np.newaxis])
    a_low = a_low + table.low[:, np.newaxis]
    parts = (_parts(entry, SIGNIFICAND_BITS) for entry in powers_of_two(FINE_INDEX_BITS, count))
    b, b_low = (np.array(column) for column in zip(*parts, strict=True))
    product, error = two_product(a, b)
    error += a * b_low + a_low * b
    power, error = (part.ravel() for part in fast_two_sum(product, error))
    high = (power + _TO_33_BITS) - _TO_33_BITS
    z = ((high - power) - error) / power
    encoded = high.view(np.int64) - (np.arange(len(high)) << SIGNIFICAND_BITS - FINE_INDEX_BITS)
    step = _parts(ln2(BITS) >> FINE_INDEX_BITS, 43, 72)
    return FinePowers(step, high, encoded, z - z * z / 2)


def powers_of_two(index_bits: int, count: int) -> list[int]:
    """Return the first powers of 2**(1 / 2**index_bits) times 2**200, but for `count` units."""
    root = 2 << BITS
    for _ in range(index_bits):
        root = isqrt(root << BITS)
    entries = [1 << BITS]
    for _ in range(count - 1):
        entries.append(entries[-1] * root >> BITS)
    return entries


def _parts(value: int, *cuts: int) -> tuple[float, ...]:
    """Return value / 2**200 as multiples of 2**-cut, for each of the cuts, and a remainder."""
    parts = []
    for cut in cuts:
        unit = BITS - cut
        multiple = (value + (1 << unit - 1)) >> unit
        parts.append(multiple / 2**cut)
        value -= multiple << unit
    return (*parts, value / 2**BITS)


def ln2(bits: int) -> int:
    """Return ln 2 * 2**bits, but for some units: the series of artanh(1/3) = ln(2) / 2."""
    term = total = (2 << bits) // 3
    n = 1
    while term:
        term //= 9
        n += 2
        total += term // n
    return total
