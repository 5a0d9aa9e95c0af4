"""Exponentials in words, from the finer table of powers of two: three words.

exp(d) = 2**e A exp(r), with k, j and e as in `stablelse.numerics.ladder.powers`, A the entry of the
finer table that has 34 bits, and r = d - k ln 2 / 2**15 - log(A / T), abs(r) < 2**-16.5. The
rounding error of the table is thus a part of r, where it costs one subtraction.
ln 2 / 2**15 = M1 + M2 + M3; k has 25 bits, for abs(d) <= 600, so that k M1 and k M2 are exact;
and so is d - k M1: below 2**-16.3, it is a multiple of 2**-69 (or d itself, if k = 0).

r = h + t, h being r rounded to a multiple of 2**-35 (19 bits):

    2**e A,   2**e A h,   2**e A g,   g = t + r**2 / 2 + r**3 / 6 + r**4 / 24

of which the first two are exact. Errors, relative to 2**e A, in units of 2**-88:

- d - k M1 - h is exact, and so is that less k M2, a multiple of 2**-72 below 2**-33.
- log(A / T) is wrong by 6; k M3 and the lower word of d, below 2**-43.9, are added to it: 2 for
  each of the two sums. Less these, t is below 2**-35.9, and its own rounding of no account.
- r is only needed for its powers; its two roundings, of 2**-70 each, cost 6 there.
- The series as r**2 (1/2 + r (1/6 + r / 24)), below 2**-34: 6 for the outer three roundings, 0.1
  for the others, and 0.4 for what it leaves out.
- g, below 2**-33.7, rounds by 2, and its product with A by 2.5.

Together 27: less than 2**-83.2.
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics.formats import Array
from stablelse.numerics.ladder.powers import FINE_INDEX_BITS, SIGNIFICAND_BITS, fine_powers

#: A bound of the relative error of `exp`.
EXP_ERROR = 2.0**-83.2

#: Arguments lie between these.
LOWEST, HIGHEST = -600.0, 600.0

#: Adding and subtracting 1.5 * 2**(52 - q) rounds to a multiple of 2**-q.
TO_INTEGER = 1.5 * 2.0**52
TO_35_BITS = 1.5 * 2.0**17


def exp(d: Array, d_low: Array | None, scratch: list[Array]) -> tuple[Array, Array, Array]:
    """Compute exp(d + d_low) as the sum of three words.

    Parameters
    ----------
    d, d_low : ndarray
        float64, -600 <= d <= 600 and abs(d_low) <= ulp(d) / 2.
    scratch : list of ndarray
        Six float64 arrays of the same shape, contiguous.

    Returns
    -------
    high, middle, low : ndarray
        The arrays 3, 2 and 0 of those given: 2**e A, 2**e A h and 2**e A g, see the module's text.
    """
    k, y, h, high, rest, r = scratch
    _, step_2, step_3 = fine_powers().step
    _look_up(d, scratch)

    # r = y - k - rest = h + t; y becomes t.
    np.multiply(k, step_3, out=h)
    rest += h
    if d_low is not None:
        rest -= d_low
    k *= step_2
    np.subtract(y, k, out=r)
    r -= rest
    np.add(r, TO_35_BITS, out=h)
    h -= TO_35_BITS
    y -= h
    y -= k
    y -= rest

    # k becomes g.
    np.multiply(r, 1 / 24, out=k)
    for coefficient in (1 / 6, 1 / 2):
        k += coefficient
        k *= r
    k *= r
    k += y
    h *= high
    k *= high
    return high, h, k


def _look_up(d: Array, scratch: list[Array]) -> None:
    """Put k, d - k M1, 2**e A and log(A / T) into the arrays 0, 1, 3 and 4."""
    k, y, h, high, rest, _ = scratch
    constants = fine_powers()
    step_1, step_2, _ = constants.step
    np.multiply(d, 1 / (step_1 + step_2), out=k)
    k += TO_INTEGER
    bits = k.view(np.int64)  # its lowest bits are those of k
    index, exponent = y.view(np.int64), h.view(np.int64)
    np.bitwise_and(bits, 2**FINE_INDEX_BITS - 1, out=index)
    np.left_shift(bits, SIGNIFICAND_BITS - FINE_INDEX_BITS, out=exponent)
    k -= TO_INTEGER
    # The indices never need clipping, but to be told so saves a copy.
    np.take(constants.encoded, index, out=high.view(np.int64), mode="clip")
    np.take(constants.offset, index, out=rest, mode="clip")
    encoded = high.view(np.int64)
    encoded += exponent
    np.multiply(k, step_1, out=y)
    np.subtract(d, y, out=y)
