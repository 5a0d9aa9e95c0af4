"""The table of powers of two, and ln 2, that the double-word exponentials are made from.

With k the integer nearest to d 2**11 / ln 2, and r = d - k ln 2 / 2**11, abs(r) < 2**-12.5,

    exp(d) = 2**(k / 2**11) exp(r) = 2**e T exp(r),   k = 2**11 e + j,   T = 2**(j / 2**11)

(Tang 1989, doi 10.1145/63522.214389). Everything is computed here, in integers of 200 bits.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array

#: The table has 2**11 entries.
INDEX_BITS = 11

#: Of a float64, stored.
SIGNIFICAND_BITS = 52

_BITS = 200


class Powers(NamedTuple):
    """Constants for exp(d) = 2**e T exp(r).

    Attributes
    ----------
    step : tuple of float
        ln 2 / 2**11 = L1 + L2 + L3, L1 a multiple of 2**-42 (31 bits), L2 one of 2**-73
        (30 bits).
    step_in_two : tuple of float
        ln 2 / 2**11 = M1 + M2, M1 a multiple of 2**-43 (32 bits).
    high, middle, low : ndarray
        T = A + B + C for every j, A of 27 bits, a multiple of 2**-26, B of 27, a multiple of
        2**-53.
    encoded : ndarray of int64
        The bits of A, less j 2**41. Adding k 2**41 gives those of 2**e A, as long as that is
        a normal number, for k 2**41 = e 2**52 + j 2**41.
    offset : ndarray
        log(A / T), at most 2**-27, with an error below 2**-79.
    """

    step: tuple[float, ...]
    step_in_two: tuple[float, ...]
    high: Array
    middle: Array
    low: Array
    encoded: Array
    offset: Array


@cache
def powers() -> Powers:
    """Return the table; it is made on first use."""
    step = _ln2(_BITS) >> INDEX_BITS
    root = 2 << _BITS
    for _ in range(INDEX_BITS):
        root = isqrt(root << _BITS)
    entries = [1 << _BITS]
    for _ in range(2**INDEX_BITS - 1):
        entries.append(entries[-1] * root >> _BITS)
    parts = (_parts(entry, 26, 53) for entry in entries)
    high, middle, low = (np.array(column) for column in zip(*parts, strict=True))
    encoded = high.view(np.int64) - (np.arange(len(high)) << SIGNIFICAND_BITS - INDEX_BITS)
    offset = -np.log1p((middle + low) / high)
    return Powers(_parts(step, 42, 73), _parts(step, 43), high, middle, low, encoded, offset)


def _parts(value: int, *cuts: int) -> tuple[float, ...]:
    """Return value / 2**200 as multiples of 2**-cut, for each of the cuts, and a remainder."""
    parts = []
    for cut in cuts:
        unit = _BITS - cut
        multiple = (value + (1 << unit - 1)) >> unit
        parts.append(multiple / 2**cut)
        value -= multiple << unit
    return (*parts, value / 2**_BITS)


def _ln2(bits: int) -> int:
    """Return ln 2 * 2**bits: the series of artanh(1/3) = ln(2) / 2."""
    term = total = (2 << bits) // 3
    n = 1
    while term:
        term //= 9
        n += 2
        total += term // n
    return total
