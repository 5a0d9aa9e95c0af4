"""Double-word arithmetic: exponentials, sums and logarithms to about 89 bits; the rounding test.

A double-word is a number held as the unevaluated sum of two float64, high + low, where low is
small beside high; a triple-word has a third, and exponentials in three words have about 119 bits.
u = 2**-53 is the relative error of one rounding. We assume round-to-nearest and gradual underflow
(`check_arithmetic` checks them), but no fused multiply-add.

References
----------
Dekker 1971, A floating-point technique for extending the available precision,
doi 10.1007/BF01397083; Tang 1989, Table-driven implementation of the exponential function in IEEE
floating-point arithmetic, doi 10.1145/63522.214389; Ziv 1991, Fast evaluation of elementary
mathematical functions with correctly rounded last bit, doi 10.1145/114697.116813: if all numbers
within an error bound round to the same one, the approximation rounds as the exact value does.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from math import isqrt, ldexp
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import FORMATS, Array, Format, check_arithmetic, context

Pair = tuple[Array, Array]
Triple = tuple[Array, Array, Array]

#: The largest d that `exp` takes; for d below -FARTHEST it returns exp(-FARTHEST).
FARTHEST = 2.0**14

#: Bound of the relative error of `exp`.
EXP_ERROR = 2.0**-90

#: Bound of the error of a `total` of terms from `exp`, relative to the sum of their sizes.
SUM_ERROR = 2.0**-89.9

#: Bound of the relative error of `exp3`, and of a `total` of its results.
TRIPLE_ERROR = 2.0**-119.5

#: Bounds of the error of `log1p`: absolute, and relative to the result.
LOG_ERROR, LOG_RELATIVE_ERROR = 2.0**-89.5, 2.0**-76.5

#: Bound of the relative error of a product, a reciprocal, or a sum of double-words of one sign.
ARITHMETIC_ERROR = 2.0**-101

#: The table has 2**11 powers of two, computed in integers with 200 bits behind the point.
INDEX_BITS = 11
STEPS = 2**INDEX_BITS
_BITS = 200

#: 2**27 + 1 splits a float64 into two halves of at most 26 bits (Dekker 1971, section 5.7).
_SPLITTER = float(2**27 + 1)


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return s = fl(a + b) and the t with s + t = a + b exactly.

    Knuth's TwoSum (The Art of Computer Programming 2, section 4.2.2, theorem B).
    """
    s = a + b
    b_virtual = s - a
    a_virtual = s - b_virtual
    return s, (a - a_virtual) + (b - b_virtual)


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the same as `two_sum`, if abs(a) >= abs(b) or a = 0 (Dekker 1971, section 5.2)."""
    s = a + b
    return s, b - (s - a)


def split(a: Any) -> tuple[Any, Any]:
    """Return a float64 as the exact sum of two halves of at most 26 bits (Veltkamp's split).

    It needs abs(a) < 2**996; otherwise the product with the splitter overflows.
    """
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """Return p = fl(a b) and the t with p + t = a b exactly, in float64 (Dekker 1971)."""
    p = a * b
    a_high, a_low = split(a)
    b_high, b_low = split(b)
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


@cache
def powers() -> Triple:
    """Return 2**(j / 2**11) for every j in three words; computed once, in a few milliseconds."""
    root = 2 << _BITS
    for _ in range(INDEX_BITS):
        root = isqrt(root << _BITS)
    power, words = 1 << _BITS, []
    for _ in range(STEPS):  # the error of each is below 2**-188
        words.append(in_words(power))
        power = power * root >> _BITS
    first, second, third = map(np.array, zip(*words, strict=True))
    return first, second, third


def in_words(value: int) -> tuple[float, float, float]:
    """Return value / 2**200 in three words."""
    words = []
    for _ in range(3):
        words.append(value / (1 << _BITS))  # Python rounds a quotient of integers correctly
        value -= int(ldexp(words[-1], _BITS))
    first, second, third = words
    return first, second, third


@cache
def steps_of(*cuts: int) -> tuple[float, ...]:
    """Return ln 2 / 2**11 as a multiple of 2**-cut for each cut, and a rounded rest."""
    rest = Fraction(context(80).ln(Decimal(2))) / STEPS
    parts = []
    for cut in cuts:
        parts.append(Fraction(round(rest * 2**cut), 2**cut))
        rest -= parts[-1]
    return *map(float, parts), float(rest)


# ln 2 / 2**11 = L1 + L2 + L3; L1 has 27 bits, L2 at most 27, and L3 < 2**-67.
_CUTS = 38, 66


def multiple_of_ln2(q: Array) -> tuple[Array, Array, Array]:
    """Return q ln 2 in three words for integers abs(q) < 2**15: two exact, one within 2**-93."""
    first, second, third = steps_of(*_CUTS)
    k = STEPS * q
    return k * first, k * second, k * third


def exp(d: Array, d_low: Array) -> tuple[Array, Array, Array]:
    """Compute exp(d + d_low) as (high + low) 2**exponent, with a relative error of `EXP_ERROR`.

    d <= 2**14 and abs(d_low) <= ulp(d) / 2; high lies in [0.99, 2.01], abs(low) < 2**-51.
    With k the integer nearest to d / L, L = ln 2 / 2**11, and r = d + d_low - k L,

        exp(d + d_low) = 2**(k / 2**11) exp(r) = 2**e T (1 + E),   k = 2**11 e + j.

    E = exp(r) - 1 has an error below 2**-90.04 (`_reduced`, `_expm1`). T + T E is the sum of T,
    the product of the higher words with its error (both exact), and smaller products: six
    roundings of numbers below 2**-51.9, u each, so less than 2**-102.
    """
    is_far = ~(d >= -FARTHEST)
    if is_far.any():
        d, d_low = np.where(is_far, -FARTHEST, d), np.where(is_far, 0.0, d_low)
    k, *r = _reduced(d, d_low)
    return _scaled(k, *_expm1(*r))


def _scaled(k: Array, growth: Array, growth_low: Array) -> tuple[Array, Array, Array]:
    """Return 2**(k / 2**11) (1 + E), where E is the growth; see `exp`."""
    index = k.astype(np.int32)
    power, power_low = (word.take(index & (STEPS - 1)) for word in powers()[:2])
    product, error = two_product(power, growth)
    high, low = fast_two_sum(power, product)
    low += power_low + (error + (power * growth_low + power_low * growth))
    return high, low, index >> INDEX_BITS


def _reduced(d: Array, d_low: Array) -> tuple[Array, Array, Array]:
    """Return k and the double-word r = d + d_low - k L, abs(r) < 2**-12.52.

    abs(k) < 2**25.6, so k L1 and k L2 are exact. So is d - k L1: d is a multiple of 2**-65 or k
    is 0, the difference is below 2**-12 for abs(k) = 1, and below 2**-11 for a larger k, where
    d is a multiple of 2**-64. Roundings: e + d_low and its difference with k L3 (2**-93 each,
    since d_low is below 2**-40), k L3 (2**-95), and L3 itself (2**-95.4): in all 2**-91.6. If k
    is 0, nothing is rounded.
    """
    first, second, third = steps_of(*_CUTS)
    k = np.rint(d * (1 / (first + second)))
    r, error = two_sum(d - k * first, -k * second)
    return k, *two_sum(r, (error + d_low) - k * third)


def _expm1(r: Array, r_low: Array) -> Pair:
    """Return exp(r + r_low) - 1 for abs(r) < 2**-12.52.

    It is r + r**2 / 2 + c. The square is exact in two words; c, below 2**-40.1, is computed in
    float64. Its cubic part, r**3 / 6 and more, has five roundings (the square, the product, the
    coefficient, the sum in brackets, the last product), 2**-90.8; adding the rest makes another,
    2**-94; and the series omits r**7 / 5040 < 2**-99.9. The sum is below 2**-90.6, and below
    2**-77.8 relative to r.
    """
    upper, lower = split(r)
    square = r * r
    square_low = ((upper * upper - square) + 2 * upper * lower) + lower * lower  # exact
    half = 0.5 * square
    cubic = (r * square) * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720))))
    c = cubic + (r_low + (r_low * (r + half) + 0.5 * square_low))
    high, low = fast_two_sum(r, half)
    high, error = fast_two_sum(high, c)
    return high, low + error


def total(*words: Array) -> Any:
    """Add double-words, or triple-words, along the first axis.

    The first words are added in pairs, then the sums in pairs, and so on, without error: each
    addition passes its rounding error to the next word; only the last words lose anything. For
    double-words, a lower word is below (2 + t) u times the sum M of the sizes of the terms after t
    rounds, so its own two roundings per round lose in 60 rounds (2**60 terms) less than
    2 u**2 M sum (3 + t) < 2**-94 M.
    """
    while len(words[0]) > 1:
        pairs = len(words[0]) // 2
        rest = len(words[0]) - pairs
        sums, carried = [], None
        for word in words[:-1]:
            upper, error = two_sum(word[:pairs], word[rest:])
            if carried is not None:
                upper, more = two_sum(upper, carried)
                error += more
            sums.append(upper)
            carried = error
        sums.append(carried + (words[-1][:pairs] + words[-1][rest:]))
        words = tuple(
            np.concatenate([sum_, word[pairs:rest]]) for sum_, word in zip(sums, words, strict=True)
        )
    normal, low = [], words[0][0]
    for word in words[1:]:
        high, low = two_sum(low, word[0])
        normal.append(high)
    return *normal, low


def plus(a: Any, b: Any) -> Pair:
    """Add double-words, with an error of less than 2**-102 (abs(a) + abs(b)).

    With low words below 2**-51 of the high ones, rounding a[1] + b[1] loses 2**-104 of that, and
    adding the error, which is below 2**-53, another 1.25 * 2**-104.
    """
    high, error = two_sum(a[0], b[0])
    return two_sum(high, error + (a[1] + b[1]))


def product(a: Pair, b: Pair | tuple[float, float]) -> Pair:
    """Multiply double-words, with a relative error below 2**-101.

    With low words below 2**-51.4 of the high ones, the two products of both kinds are rounded by
    2**-104.4 each, their sum by 2**-103.4, the sum of all by 2**-103.1; 2**-102.8 is left out.
    """
    high, error = two_product(a[0], b[0])
    return high, error + (a[0] * b[1] + a[1] * b[0])


def reciprocal(a: Pair) -> Pair:
    """Return 1 / a of double-words, with a relative error below 2**-101: one Newton step.

    With a low word below 2**-51.4 of the high one, the square of the first error is 2**-102; the
    three operations with low words are rounded by 2**-104 each.
    """
    high = 1 / a[0]
    back, error = two_product(high, a[0])
    return high, high * (((1 - back) - error) - high * a[1])


def log1p(x: Pair) -> Pair:
    """Return log(1 + x) for double-words -0.3 <= x <= 0.42.

    Notes
    -----
    y = np.log1p(x) is an estimate, and we check how good it is: with z = (1 + x) exp(-y) - 1, the
    result is y + log1p(z) = y + z - z**2 / 2, with an error below abs(z)**3, or NaN if z is not
    small: it is rounded twice, by less than 2**-93 abs(y) each. z = x + E + x E with
    E = exp(-y) - 1. If k is 0 in the reduction of -y, E comes from `_expm1`, with a relative error
    of 2**-77.8; otherwise abs(y) >= L / 2 > 2**-12.54, and exp(-y) has a relative error of 2**-90,
    so that z has an error of 2**-90, since (1 + x) exp(-y) is close to 1: 2**-77.4 relative to y.
    The higher words of these sums cancel without error; the lower ones, below 8 u abs(y), lose
    2**-99 abs(y).
    """
    y = np.log1p(x[0])
    k, *r = _reduced(-y, np.zeros_like(y))
    growth, growth_low = _expm1(*r)
    high, low, exponent = _scaled(k, growth, growth_low)
    less, error = two_sum(np.ldexp(high, exponent), -1.0)
    growth = np.where(k == 0, growth, less)
    growth_low = np.where(k == 0, growth_low, error + np.ldexp(low, exponent))
    mixed, mixed_low = product(x, (growth, growth_low))
    first, first_low = two_sum(x[0], growth)
    z, z_low = two_sum(first, mixed)
    z += (z_low + first_low) + ((x[1] + growth_low) + mixed_low)
    z[~(abs(z) <= 2.0**-40 * abs(y))] = np.nan
    return fast_two_sum(y, z - 0.5 * z * z)


# `exp3` takes smaller x as this: that adds less than 2**-184 per term.
_LOWEST = -128.0

# ln 2 / 2**11 = L1 + L2 + L3 + L4; the first three have at most 34 bits, and k has 19.
_CUTS3 = 45, 79, 113

_SIXTH, _TWENTY_FOURTH = (in_words(int(Fraction(1, n) * 2**_BITS))[:2] for n in (6, 24))


def exp3(x: Array) -> Triple:
    """Compute exp(x) for x up to 1 in three words, with a relative error below 2**-119.6.

    x - k L1 - k L2 - k L3 - k L4 is rounded by only 2**-148. E = exp(r) - 1 in three words is

        r + r**2 / 2 + r**3 (1/6 + r/24 + r**2 (1/120 + r/720 + r**2/5040 + r**3/40320)),

    with square, cube and bracket in two words. The inner bracket adds less than 2**-31.9 to the
    outer one, with four roundings (the square, the coefficient, the sum, the product); three more
    add it to the lower words. That makes 2**-82.1 of the bracket and, with the cube, 2**-119.7.
    The series omits r**9 / 362880 < 2**-131; products of two words lose 2**-102 of 2**-25 at most,
    and sums of third words, below 2**-76, 2**-53 of that.
    """
    x = np.maximum(x, _LOWEST)
    first, second, third, fourth = steps_of(*_CUTS3)
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
    return _scaled3((growth, low, lowest), index & (STEPS - 1), index >> INDEX_BITS)


def _scaled3(growth: Triple, j: Array, exponent: Array) -> Triple:
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


# ---- Approximations and their rounding

# A lower bound of a distance after a few roundings up, as a factor.
_ROUNDED = 1 - 2.0**-50


class Approximation(NamedTuple):
    """Exact values within (high + low + lowest +- error) 2**exponent; all but that are float64.

    An error of 0 means that the exact value surely rounds like this one.
    """

    high: Array
    low: Array
    lowest: Array
    error: Array
    exponent: Any = 0  # integers, at most 2**20 in size

    def of(self, some: Array) -> Approximation:
        """Return the flagged ones."""
        return Approximation(*(np.broadcast_to(part, some.shape)[some] for part in self))

    def put(self, place: Any, others: Iterable[Any]) -> None:
        """Replace some by others, or by the five numbers of one."""
        for part, other in zip(self, others, strict=True):
            part[place] = other

    def but_for(self, some: Array, exact: Array | float) -> Approximation:
        """Return them with exact values for the flagged ones."""
        values = (exact, 0.0, 0.0, 0.0, 0)
        pairs = zip(values, self, strict=True)
        return Approximation(*(np.where(some, value, part) for value, part in pairs))


def settle(a: Approximation, format_: Format) -> tuple[Array, Array, Array]:
    """Round to a format of at most 64 bits: return values, which are proved, and errors in ulps.

    With 2**q the unit in the last place of the result (of subnormal numbers, if it is one), the
    value times 2**-q is rounded to an integer. Its distance from the nearest midpoint is computed
    exactly, except that large distances are rounded, and must exceed the error. Just below a power
    of two the units are half as large. Zero results are +0; NaN and infinity are not proved.
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
