"""Log-sum-exp next to zero, in three words: its absolute error is below 2**-119.

Where log-probabilities add up to about 1, the logarithm y of the sum is next to zero, and mostly of
the size of the rounding errors of the x: two words leave too few digits of it. But then there is
nothing to shift, and with Z = sum exp(x_i) - 1

    y = log1p(Z) = Z - Z**2 / 2 + Z**3 / 3 - Z**4 / 4 + ...

so that all it takes are exponentials in three words. They are computed as those in two words are
(`stablelse.numerics.doubleword`), whose notation is used here.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from stablelse.numerics.doubleword import (
    INDEX_BITS,
    STEPS,
    fast_two_sum,
    in_words,
    powers,
    product,
    steps_of,
    two_product,
    two_sum,
)
from stablelse.numerics.formats import Array
from stablelse.numerics.rounding import Approximation
from stablelse.numerics.rowsums import pieces

#: How large y may be.
FARTHEST = 2.0**-20

#: A number held as the unevaluated sum of three float64.
Triple = tuple[Array, Array, Array]

# What is below counts as that: it adds less than 2**-184 a term.
_LOWEST = -128.0

# ln 2 / 2**11 = L1 + L2 + L3 + L4; the first three have at most 34 bits, and k has 19.
_CUTS = 45, 79, 113

#: A bound of the error of a sum of terms that is next to 1: of the terms, and of adding them.
ERROR = 2.0**-119.5

_SIXTH, _TWENTY_FOURTH = (in_words(int(Fraction(1, n) * 2**200))[:2] for n in (6, 24))


def logsumexp(x: Array) -> Approximation:
    """Compute the log-sum-exp of rows, shape (m, n), where it is at most `FARTHEST` in size.

    Z is at most 2**-19.9 in size. Its square is computed in two words, the next two terms of the
    series in float64, with a relative error of 2**-92; what is left out is less than 2**-81.
    """
    parts = [total(*exp(x[:, columns].T)) for columns in pieces(x.shape[1])]
    first, second, third = total(*map(np.array, zip(*parts, strict=True)))
    z, z_low = two_sum(first - 1, second)  # the difference is exact
    z_low, z_lowest = two_sum(z_low, third)
    z, z_low = two_sum(z, z_low)
    square, square_low = product((z, z_low), (z, z_low))
    low, lowest = two_sum(z_low, -0.5 * square)
    lowest += (z_lowest - 0.5 * square_low) + z * square * (1 / 3 - z * (1 / 4))
    return Approximation(z, low, lowest, ERROR + 2.0**-80 * abs(z))


def logarithm(first: Array, second: Array, third: Array, error: Array, y: Array) -> Approximation:
    """Compute the logarithm of sums S next to 1, from their words, and estimates of it.

    log S = y + log(1 + z), z = S exp(-y) - 1. With E = exp(-y) in three words, S0 E0 - 1, S0 E1
    and S1 E0 are exact in two words each; other products are below 2**-92, rounded by 2**-53 of it.
    z is below 2**-40, or the error is infinite, so z**3 / 3 < 2**-121 of 1 + z is left out.
    """
    e, e_low, e_lowest = exp(-y)
    main, main_low = two_product(first, e)
    cross, cross_low = two_product(first, e_low)
    other, other_low = two_product(second, e)
    z, low = two_sum(main - 1, main_low)
    z, cross_error = two_sum(z, cross)
    z, other_error = two_sum(z, other)
    low += cross_error + other_error + cross_low + other_low
    low += second * e_low + (first * e_lowest + third * e)
    z += low
    known = ERROR + 1.01 * error + 2.0**-52 * abs(z)
    known = np.where(abs(z) < 2.0**-40, known, np.inf)
    return Approximation(y, z - 0.5 * z * z, np.zeros_like(z), known)


def exp(x: Array) -> Triple:
    """Compute exp(x) for x up to 1 in three words, with a relative error below 2**-119.6.

    x - k L1 - k L2 - k L3 - k L4 is rounded by 2**-148 only. E = exp(r) - 1 in three words is

        r + r**2 / 2 + r**3 (1/6 + r/24 + r**2 (1/120 + r/720 + r**2/5040 + r**3/40320)),

    whose square, cube and bracket are in two words. What the inner bracket adds to the outer one
    is below 2**-31.9 and has four roundings (the square, the coefficient, the sum, the product);
    three more add it to what is lower. They amount to 2**-82.1 of the bracket and, with the cube,
    to 2**-119.7. The series leaves out r**9 / 362880 < 2**-131; products of two words lose 2**-102
    of 2**-25 at most, and sums of third words, below 2**-76, 2**-53 of that.
    """
    x = np.maximum(x, _LOWEST)
    first, second, third, fourth = steps_of(*_CUTS)
    k = np.rint(x * (1 / (first + second)))
    r, r_low = two_sum(x - k * first, -k * second)
    r_low, r_lowest = two_sum(r_low, -k * third)
    r, r_low = two_sum(r, r_low)
    r_low, r_lowest = two_sum(r_low, r_lowest - k * fourth)

    square, square_low = product((r, r_low), (r, r_low))
    quartic, quartic_low = product((r, r_low), _TWENTY_FOURTH)
    outer, outer_low = two_sum(_SIXTH[0], quartic)
    inner = square * (1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (1 / 40320))))
    bracket = fast_two_sum(outer, quartic_low + (outer_low + (_SIXTH[1] + inner)))
    cubic, cubic_low = product(product((square, square_low), (r, r_low)), bracket)

    growth, first_low = fast_two_sum(r, 0.5 * square)
    growth, second_low = two_sum(growth, cubic)
    low, first_lowest = two_sum(first_low, second_low)
    low, second_lowest = two_sum(low, r_low)
    lowest = (first_lowest + second_lowest) + (0.5 * square_low + (cubic_low + r_lowest))
    index = k.astype(np.int32)
    return _scaled((growth, low, lowest), index & (STEPS - 1), index >> INDEX_BITS)


def _scaled(growth: Triple, j: Array, exponent: Array) -> Triple:
    """Return 2**exponent T (1 + growth), T = 2**(j / 2**11)."""
    first, second, third = (word.take(j) for word in powers())
    main, main_low = two_product(first, growth[0])
    cross, cross_low = two_product(first, growth[1])
    other, other_low = two_product(second, growth[0])
    high, high_low = fast_two_sum(first, main)
    low, low_1 = two_sum(high_low, second)
    rest, low_2 = two_sum(main_low, cross)
    rest, low_3 = two_sum(rest, other)
    low, low_4 = two_sum(low, rest)
    lowest = first * growth[2] + second * growth[1] + third * growth[0] + third
    lowest += (cross_low + other_low) + ((low_1 + low_2) + (low_3 + low_4))
    high, low, lowest = (np.ldexp(word, exponent) for word in (high, low, lowest))
    return high, low, lowest


def total(high: Array, low: Array, lowest: Array) -> Triple:
    """Add triple-words along the first axis, in pairs: only the third words lose anything."""
    while len(high) > 1:
        pairs = len(high) // 2
        rest = len(high) - pairs
        sums, errors = two_sum(high[:pairs], high[rest:])
        lows, low_errors = two_sum(low[:pairs], low[rest:])
        lows, more_errors = two_sum(lows, errors)
        low_errors += more_errors + (lowest[:pairs] + lowest[rest:])
        high = np.concatenate([sums, high[pairs:rest]])
        low = np.concatenate([lows, low[pairs:rest]])
        lowest = np.concatenate([low_errors, lowest[pairs:rest]])
    high, low = two_sum(high[0], low[0])
    low, rest = two_sum(low, lowest[0])
    return high, low, rest
