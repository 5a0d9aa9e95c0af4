"""Exponentials in integers, of 150 bits behind the point.

A number is held in limbs of 30 bits, v_0 + v_1 2**-30 + ... + v_5 2**-150, all of which but v_0
are from 0 to 2**30 - 1. What is below its last place, the unit of 2**-150, is cut off.

    exp(d) = 2**-s T U exp(r),   d = (-2**22 s + 2**11 i + j) ln 2 / 2**22 + r

with T = 2**(i / 2**11), U = 2**(j / 2**22), and abs(r) < 2**-23.5. Errors, in units:

- d is cut off by 2 (it comes in two words); ln 2 / 2**22 is known to 2**-210, so that its product
  with a multiple of at most 2**30 is wrong by nothing to speak of, but cut off by 1. r: 3.
- A product leaves out the limbs i and j for i + j >= 7: 4 with 7, each below 1, and those after
  them; then it is cut off, by 1. A product of numbers up to 1: 5.1, beside the errors of both.
- exp(r) = 1 + r (1 + r / 2 (...)), up to r**5: all but the last product are followed by another
  one with r. So it is wrong by 3 for r, 5.1 for the product and 0.8 for r**6 / 720: 9.
- T and U are cut off by 1 each. 2**-s T: 6.1. Times U: 13.3. Times exp(r): 36.5.

Together less than 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array
from stablelse.numerics.ladder import powers

_LIMB_BITS = 30
_LIMBS = 6

#: The unit in which everything is counted is 2**-BITS.
BITS = _LIMB_BITS * (_LIMBS - 1)

#: A bound of the error of `exp`, in units.
EXP_ERROR = 40

# 2**11 entries in either table.
_INDEX_BITS = 11

#: Below this, a term is less than 3 units, and counts as 0.
LOWEST = -103.0

#: The limbs of some numbers, int64.
Limbs = list[Array]


def exp(d: Array, d_low: Array) -> Limbs:
    """Return the limbs of exp(d + d_low), for d <= 0, abs(d_low) <= ulp(d) / 2."""
    constants = _constants()
    vanishes = ~(d >= LOWEST)
    d = np.where(vanishes, 0, d)
    k = np.rint(d * constants.inverse_step).astype(np.int64)
    r = [-k * limb for limb in constants.step]
    for part in (d, d_low):
        for limb in r[:_LIMBS]:
            part, whole = np.modf(part)
            limb += whole.astype(np.int64)
            part *= 2.0**_LIMB_BITS
    r = _carried(r)[:_LIMBS]
    polynomial = [np.full_like(k, limb) for limb in constants.series[0]]
    for coefficient in constants.series[1:]:
        polynomial = _product(polynomial, r)
        polynomial = [limb + one for limb, one in zip(polynomial, coefficient, strict=True)]
    mask = 2**_INDEX_BITS - 1
    s = np.where(vanishes, len(constants.halves[0]) - 1, -(k >> 2 * _INDEX_BITS))
    factors = (
        (constants.halves, s),
        (constants.coarse, k >> _INDEX_BITS & mask),
        (constants.fine, k & mask),
    )
    power, *others = ([part[index] for part in table] for table, index in factors)
    for other in (*others, polynomial):
        power = _product(power, other)
    return power


def _product(a: Limbs, b: Limbs) -> Limbs:
    """Multiply numbers of small v_0; the products of limbs are below 2**60, their sums 2**63."""
    sums = []
    for place in range(_LIMBS + 1):
        first = max(0, place - _LIMBS + 1)
        total = a[first] * b[place - first]
        for i in range(first + 1, min(place, _LIMBS - 1) + 1):
            total += a[i] * b[place - i]
        sums.append(total)
    return _carried(sums)[:_LIMBS]


def _carried(limbs: Limbs) -> Limbs:
    """Carry what exceeds 30 bits, from the last limb to the first."""
    for i in reversed(range(1, len(limbs))):
        limbs[i - 1] += limbs[i] >> _LIMB_BITS
        limbs[i] &= 2**_LIMB_BITS - 1
    return limbs


class _Constants(NamedTuple):
    """ln 2 / 2**22, the coefficients from 1/5! to 1, and the tables 2**-s, T and U, in limbs."""

    inverse_step: float
    step: list[int]
    series: list[list[int]]
    halves: Limbs
    coarse: Limbs
    fine: Limbs


@cache
def _constants() -> _Constants:
    count, bits = 2**_INDEX_BITS, 2 * _INDEX_BITS
    factorials = (120, 24, 6, 2, 1, 1)
    long = _LIMBS + 2
    step = powers.ln2(powers.BITS) >> powers.BITS + bits - _LIMB_BITS * (long - 1)
    tables = (
        [2**BITS >> s for s in range(BITS)] + [0],
        [power >> powers.BITS - BITS for power in powers.powers_of_two(_INDEX_BITS, count)],
        [power >> powers.BITS - BITS for power in powers.powers_of_two(bits, count)],
    )
    return _Constants(
        2.0**bits / np.log(2),
        _limbs(step, long),
        [_limbs(2**BITS // factorial, _LIMBS) for factorial in factorials],
        *(list(np.array([_limbs(v, _LIMBS) for v in table]).T.copy()) for table in tables),
    )


def _limbs(value: int, count: int) -> list[int]:
    """Return value / 2**(30 (count - 1)) in limbs."""
    mask = 2**_LIMB_BITS - 1
    places = range(_LIMB_BITS * (count - 1), -1, -_LIMB_BITS)
    first, *rest = [value >> place for place in places]
    return [first, *(v & mask for v in rest)]


def integer(limbs: Sequence[int]) -> int:
    """Return a number in units, of limbs that need not be carried."""
    total = 0
    for limb in limbs:
        total = (total << _LIMB_BITS) + limb
    return total
