"""The quick phase for short vectors in Python's own floats, without NumPy's overhead.

As in `stablelse.numerics.ladder.exponential`, exp(d) = 2**e A exp(r), but in two words, 2**e A and
2**e A z with z = exp(r) - 1: so few results need no more. Errors, in units of 2**-70:

- r, below 2**-16.5, is rounded by 1, what is subtracted for it (below 2**-19) by 0.5, and the
  lower part of ln 2 / 2**15 by 0.3. z = r (1 + r (1/2 + r / 6)) leaves out 0.7 and rounds twice
  by 1.4, and again when multiplied by A. Of a term: 6.8.
- Where d has a lower word, at most 2**-44, the term is multiplied by 1 plus that: this leaves
  out 2**-89, and rounds the second word by 1.4. Of a term, then: 8.2.
- A sum of words is exact (`math.fsum`); so S has the relative error of the terms.
- log(S) = y + log(S exp(-y)), the second of which is small; exp(-y) is wrong by 6.8, its
  product with S by 0.3 for the parts of the first word (34 bits times 19 is exact), 1.4 for the
  second word, and 2.8 for two sums. With the error of S: 19.5.
- S's reciprocal, 19 bits and a rest below 2**-18.9, is wrong by 1.5; with the margin, the rest
  rounds by 0.3. A quotient is made of the first word times these 19 bits, which is exact; the
  first word times the rest, 0.5; the second word times the rounded reciprocal, 2.8; and their
  sum, 1.7. With the errors of the term and of S: 23.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.ladder import quick
from stablelse.numerics.ladder.doubleword import ADDITION_ERROR
from stablelse.numerics.ladder.exponential import LOWEST, TO_INTEGER
from stablelse.numerics.ladder.powers import FINE_INDEX_BITS, fine_powers

#: A bound of the relative error of a term.
EXP_ERROR = 2.0**-66.9

#: A bound of the error of a log-sum-exp, beside 2**-102 of its absolute value.
ERROR = 2.0**-65.7

#: A bound of the relative error of an element of softmax.
QUOTIENT_ERROR = 2.0**-65.4

# A log-sum-exp that is closer to zero is not settled here.
_SMALL = 2.0**-16

# Of vectors whose Euclidean norm is within this, two numbers are at most 566 apart: nothing has
# to be shifted, and all words of softmax are normal numbers.
_NEAR = 400.0

# Splits a float64 so that the upper part has 19 bits.
_SPLITTER = 2.0**34 + 1

# Up to this size, the rounding of a difference in two words is below 2**-85.
_LARGE = 2.0**20

#: The first and the second words of some numbers.
Words = tuple[list[float], list[float]]


def logsumexp(x: list[float]) -> tuple[float, float] | None:
    """Compute the log-sum-exp of finite numbers or -inf, correctly rounded.

    Parameters
    ----------
    x : list of float
        At least one.

    Returns
    -------
    value : float
        The logarithm.
    ulps : float
        A bound of its error before it was rounded, in units in the last place; or ``None`` for
        both if it is in doubt, or no finite number.
    """
    found = log_sum(x)
    if found is None:
        return None
    return rounded(*found)


def rounded(high: float, low: float) -> tuple[float, float] | None:
    """Round a log-sum-exp that is wrong by `ERROR` at most, as `logsumexp` does."""
    error = ERROR + ADDITION_ERROR * abs(high)
    if abs(high) < _SMALL or high + (low - error) != high or high + (low + error) != high:
        return None
    return high, error / math.ulp(high)


def log_sum(x: list[float]) -> tuple[float, float] | None:
    """Compute the log-sum-exp as a double-word.

    Returns
    -------
    high, low : float
        As `stablelse.numerics.ladder.quick.log` has them, but with an error of `ERROR`; or
        ``None`` if the sum is no finite number.
    """
    found = _terms(x)
    return None if found is None else _log(*found[:2])


def softmax(x: list[float]) -> tuple[list[float], float] | None:
    """Compute the softmax, correctly rounded.

    Returns
    -------
    values : list of float
        All elements.
    ulps : float
        A bound of their errors before they were rounded, in units in the last place; or
        ``None`` for both if an element is in doubt.
    """
    found = _terms(x)
    if found is None or not found[2]:
        return None
    first, second = found[1]
    total, total_low = _fsum(first + second)
    high, low = _split(total)
    inverse, _ = _split(1 / total)
    rest = (1 - inverse * high - inverse * low - inverse * total_low) / total
    whole, margin = inverse + rest, QUOTIENT_ERROR * inverse
    most, least = rest + margin, rest - margin
    values = []
    for a, b in zip(first, second, strict=True):
        product, lower = a * inverse, b * whole
        value = product + (lower + a * most)
        if product + (lower + a * least) != value:
            return None
        values.append(value)
    return values, QUOTIENT_ERROR * 2.0**53


def log_softmax(x: list[float]) -> tuple[list[float], float] | None:
    """Compute log_softmax, correctly rounded; see `softmax`."""
    found = _terms(x)
    if found is None or min(x) < -_LARGE or abs(found[0]) > _LARGE:
        return None
    y, y_low = _log(*found[:2])
    values = []
    for entry in x:
        d, delta = two_sum(entry, -y)
        delta -= y_low
        value = d + (delta + MARGIN)
        if d + (delta - MARGIN) != value:
            return None
        values.append(value)
    return values, MARGIN / math.ulp(max(values))


#: That of the logarithm, 2**-102 of it, and the rounding of the difference.
MARGIN = ERROR + 2.0**-81


def _terms(x: list[float]) -> tuple[float, Words, bool] | None:
    """Return the exponentials of x less a shift, or ``None`` if x has inf or NaN.

    Returns
    -------
    shift : float
        As `quick` has it.
    words : Words
        exp(x - shift), but for what vanishes in their sum.
    is_normal : bool
        Whether all words of softmax are normal numbers.
    """
    if math.hypot(*x) <= _NEAR:  # the usual case, and the least of work
        return 0.0, _exp(x), True
    x_max = max(x)
    if math.isnan(sum(x)) or math.isinf(x_max):
        return None
    shift = 0.0 if abs(x_max) <= quick.TAME else x_max
    pairs = [two_sum(entry, -shift) for entry in x]
    pairs = [pair if pair[0] >= LOWEST else (LOWEST, 0.0) for pair in pairs]
    d, d_low = zip(*pairs, strict=True)
    return shift, _scaled(_exp(d), d_low), min(x) >= max(shift, x_max + 20) + LOWEST


def _exp(d: Sequence[float]) -> Words:
    """Return exp(d) of some numbers in two words; see the module's text."""
    inverse_step, step, step_low, high, offset, two = _table()
    first, second = [], []
    for entry in d:
        k = (entry * inverse_step + TO_INTEGER) - TO_INTEGER
        index = int(k)
        j = index & _INDICES
        power = high[j] * two[index >> FINE_INDEX_BITS]
        r = (entry - k * step) - (k * step_low + offset[j])
        first.append(power)
        second.append(power * (r * (1 + r * (0.5 + r * _SIXTH))))
    return first, second


def _scaled(words: Words, d_low: Sequence[float]) -> Words:
    """Return exp(d + d_low) from exp(d)."""
    first, second = words
    return first, [b + (a + b) * low for a, b, low in zip(first, second, d_low, strict=True)]


def _log(shift: float, terms: Words) -> tuple[float, float]:
    return log_of(shift, *_fsum(terms[0] + terms[1]))


def log_of(shift: float, total: float, total_low: float) -> tuple[float, float]:
    """Return shift + log(S) as a double-word, S being one; see `log_sum`."""
    y = math.log(total)
    (a,), (b,) = _exp([-y])
    high, low = _split(total)
    z = (high * a - 1) + (low * a + (total * b + total_low * a))
    value, error = two_sum(shift, y)
    return two_sum(value, error + (z - z * z / 2))


def _fsum(words: list[float]) -> tuple[float, float]:
    """Return a sum as a double-word."""
    total = math.fsum(words)
    words.append(-total)
    return total, math.fsum(words)


def _split(a: float) -> tuple[float, float]:
    """Return a float64 as the exact sum of 19 and 34 bits (Veltkamp's split)."""
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


_INDICES = 2**FINE_INDEX_BITS - 1
_SIXTH = 1 / 6

# The exponents of the terms are below this in size: 600 / ln 2 = 866.
_EXPONENTS = 900


@cache
def _table() -> tuple[float, float, float, list[float], list[float], list[float]]:
    """Return the fine powers, and powers of two, of which the negative ones count from the end."""
    constants = fine_powers()
    step, middle, low = constants.step
    tables = constants.high.tolist(), constants.offset.tolist()
    two = [2.0**e for e in (*range(_EXPONENTS), *range(-_EXPONENTS, 0))]
    return 1 / (step + middle), step, middle + low, *tables, two
