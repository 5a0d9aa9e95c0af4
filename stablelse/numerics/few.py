"""A few numbers without blocks and buffers, whose overhead would take most of the time.

What is done is what `stablelse.numerics.compensated` and `stablelse.numerics.quotients` do with
vectors in columns, operation by operation, so that the results have the same bits: exponentials
and logarithms are NumPy's, and additions, in Python's own floats, are in the same order. What
takes another way there is left alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from stablelse.numerics.compensated import is_settled, least_settled
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array

#: Up to so many numbers: they stand in columns there.
MOST = 24

# Within these, no term underflows, nor a quotient by the sum of MOST, and no sum overflows.
_LOWEST, _HIGHEST = -350.0, 350.0

# Of a sum that is less, the terms are shifted.
_SMALLEST = 0.5

_FLOAT64 = np.dtype(np.float64)


def logsumexp(x: object) -> Any:
    """Return the log-sum-exp of an array, or ``None`` if it is not for this module to compute."""
    numbers = _numbers(x)
    if numbers is None:
        return None
    terms: list[float] = np.exp(x).tolist()  # type: ignore[call-overload]  # it is an array
    total = _sum(terms)
    value = np.log(total)
    return value if is_settled(value, max(terms), total, _least(len(terms))) else None


def softmax(x: object) -> Array | None:
    """Return the softmax of an array, or ``None``; see `logsumexp`."""
    if _numbers(x) is None:
        return None
    terms: Array = np.exp(x)  # type: ignore[call-overload]  # it is an array
    total = _sum(terms.tolist())
    if not total >= _SMALLEST:
        return None
    terms /= total
    return terms


def log_softmax(x: object) -> Array | None:
    """Return the log_softmax of an array, or ``None``; see `logsumexp`."""
    numbers = _numbers(x)
    if numbers is None:
        return None
    x_max, c = max(numbers), 4.0 * len(numbers)
    difference: Array = np.subtract(x, x_max)  # type: ignore[call-overload]  # it is an array
    upper, lower = 0.0, []
    for number, term in zip(numbers, np.exp(difference).tolist(), strict=True):
        _, delta = two_sum(number, -x_max)
        term += delta * term
        high = (term + c) - c
        upper += high
        lower.append(term - high)
    rest = (upper - 1) + _sum(lower)
    if not rest >= 0:
        return None
    difference -= np.log1p(rest)
    return difference


def _numbers(x: object) -> list[float] | None:
    if type(x) is not np.ndarray or x.dtype is not _FLOAT64 or x.ndim != 1:
        return None
    if not 0 < x.size <= MOST:
        return None
    numbers: list[float] = x.tolist()
    # A NaN can hide from min and max, but not from a sum; what computes one looks at it.
    return numbers if min(numbers) >= _LOWEST and max(numbers) <= _HIGHEST else None


def _sum(terms: list[float]) -> float:
    """Add up by halves, as `stablelse.numerics.summation.pairwise` does down columns."""
    while len(terms) > 1:
        half = len(terms) // 2
        folded = [a + b for a, b in zip(terms[:half], terms[len(terms) - half :], strict=True)]
        terms = folded + terms[half : len(terms) - half]
    return terms[0]


@cache
def _least(n: int) -> float:
    return least_settled(n)
