"""A few numbers in Python's own floats, where NumPy's overhead would take most of the time.

So the last bits of a short vector by itself may differ from those it has among others.

The functions of C's library, which Python calls, are taken to be right to one unit in the last
place, 2 u relatively, as NumPy's are. To first order, in units of u:

- a term exp(x) is wrong by 2, the sum S of all (`math.fsum`) by 2 for them and 1 for itself;
- softmax: a quotient of the two by 2 + 3 + 1 = 6, which is at most 6 ulp;
- logsumexp: log S by 3, absolutely, and one ulp. In [1/2, 1) an ulp is u: 4 ulp; beyond 1, less;
- log_softmax: the terms exp(d + e) with d + e = x_j - max x, without loss, so that the sum r of
  all but the first largest is wrong by 3, and l = log1p(r) by 3 and 2 for itself: that is 5 u, and
  4 ulp as measured, for C's functions are better than that. d - (l - e) rounds once.
"""

from __future__ import annotations

from math import exp, fsum, log, log1p
from typing import Any

import numpy as np

from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array

#: Up to so many numbers.
MOST = 24

# Within these, no term and no quotient underflows, not even of MOST numbers, and no sum overflows.
_LOWEST, _HIGHEST = -350.0, 350.0

# Closer to zero, a logarithm shows the rounding of the sum.
_CANCELS = 0.5

_FLOAT64 = np.dtype(np.float64)


def logsumexp(x: object) -> Any:
    """Return the log-sum-exp of an array, or ``None`` if it is not for this module to compute."""
    numbers = _numbers(x)
    if numbers is None:
        return None
    y = log(fsum(map(exp, numbers)))
    return np.float64(y) if abs(y) >= _CANCELS else None


def softmax(x: object) -> Array | None:
    """Return the softmax of an array, or ``None``; see `logsumexp`."""
    numbers = _numbers(x)
    if numbers is None:
        return None
    terms = list(map(exp, numbers))
    total = fsum(terms)
    return np.array([term / total for term in terms]) if total > 0 else None


def log_softmax(x: object) -> Array | None:
    """Return the log_softmax of an array, or ``None``; see `logsumexp`."""
    numbers = _numbers(x)
    if numbers is None:
        return None
    x_max = max(numbers)
    differences = [two_sum(number, -x_max) for number in numbers]
    terms = [exp(d) for d, _ in differences]
    terms[numbers.index(x_max)] = 0.0
    lower = (term * e for term, (_, e) in zip(terms, differences, strict=True))
    y = log1p(fsum([*terms, *lower]))
    return np.array([d - (y - e) for d, e in differences]) if y >= 0 else None


def _numbers(x: object) -> list[float] | None:
    if type(x) is not np.ndarray or x.dtype is not _FLOAT64 or x.ndim != 1:
        return None
    if not 0 < x.size <= MOST:
        return None
    numbers: list[float] = x.tolist()
    # A NaN can hide from min and max, but not from a sum; what computes one looks at it.
    return numbers if min(numbers) >= _LOWEST and max(numbers) <= _HIGHEST else None
