"""A few numbers without blocks and buffers, whose overhead would take most of the time.

In float64, what is done is what `stablelse.numerics.compensated` and `stablelse.numerics.quotients`
do with vectors in columns, operation by operation, so that the results have the same bits:
exponentials and logarithms are NumPy's, and additions, in Python's own floats, are in the same
order. float32 results are correctly rounded, as in `stablelse.numerics.ladder.narrow`: computed in
float64, with the rounding test. What takes another way there is left alone.
"""

from __future__ import annotations

from functools import cache
from operator import add
from typing import Any

import numpy as np

from stablelse.numerics.compensated import is_settled, least_settled
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array

#: Up to so many numbers: they stand in columns there.
MOST = 24

_FLOAT64, _FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)

# Within these, no term underflows, nor a quotient by the sum of MOST, and no sum overflows.
_FAR = {_FLOAT64: 350.0, _FLOAT32: 40.0}

# Of a sum that is less, the terms are shifted.
_SMALLEST = 0.5

# In units of u = 2**-53: NumPy's exp and log are right to one unit in the last place, 2; MOST terms
# go through 5 additions, and so does a sum of exponentials: 2 + 5. A quotient is wrong by that, by
# its own exponential, by the reciprocal and its margin, and by the product: 7 + 2 + 2 + 1.
_UNIT = 2.0**-53
_SUM_ROUNDINGS, _QUOTIENT_ROUNDINGS = 7, 12

#: The axes of a vector, and of the one row of a stack.
_OF_VECTOR, _OF_ROW = (None, 0, -1, (0,), (-1,)), (1, -1, (1,), (-1,))


def logsumexp(x: object, axis: object = None) -> Any:
    """Return the log-sum-exp of an array, or ``None`` if it is not for this module to compute."""
    vector = as_vector(x, axis)
    if vector is None or not _is_near(vector):
        return None
    terms: list[float] = np.exp(vector, dtype=_FLOAT64).tolist()
    total = _sum(terms)
    value = np.log(total)
    if vector.dtype == _FLOAT64:
        if not is_settled(value, max(terms), total, _least(len(terms))):
            return None
    else:
        error = _UNIT * (_SUM_ROUNDINGS + 3 * abs(value))
        value = np.float32(value + error)
        if value != np.float32(np.log(total) - error):
            return None
    return value if axis is None or vector is x else np.array([value])


def softmax(x: object, axis: object = None) -> Array | None:
    """Return the softmax of an array, or ``None``; see `logsumexp`."""
    vector = as_vector(x, axis)
    if vector is None or not _is_near(vector):
        return None
    terms: Array = np.exp(vector, dtype=_FLOAT64)
    total = _sum(terms.tolist())
    if vector.dtype == _FLOAT32:
        terms *= (1 + _QUOTIENT_ROUNDINGS * _UNIT) / total
        found = _rounded(terms, terms * (1 - 2 * (_QUOTIENT_ROUNDINGS + 1) * _UNIT))
        return None if found is None else shaped(found, x)
    if not total >= _SMALLEST:
        return None
    terms /= total
    return shaped(terms, x)


def log_softmax(x: object, axis: object = None) -> Array | None:
    """Return the log_softmax of an array, or ``None``; see `logsumexp`."""
    vector = as_vector(x, axis)
    if vector is None or not _is_near(vector):
        return None
    is_narrow = vector.dtype == _FLOAT32
    result = _narrow_log_softmax(vector) if is_narrow else _wide_log_softmax(vector)
    return None if result is None else shaped(result, x)


def _narrow_log_softmax(x: Array) -> Array | None:
    """Subtract the logarithm of the sum: it, and the difference, round by u times their sizes."""
    y = np.log(_sum(np.exp(x, dtype=_FLOAT64).tolist()))
    error = _UNIT * (_SUM_ROUNDINGS + 4 * abs(y) + 2 * _FAR[_FLOAT32])
    return _rounded(x - (y - error), x - (y + error))


def _wide_log_softmax(x: Array) -> Array | None:
    numbers: list[float] = x.tolist()
    x_max, c = max(numbers), 4.0 * len(numbers)
    difference: Array = np.subtract(x, x_max)
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


def as_vector(x: object, axis: object) -> Array | None:
    """Return an array of a few numbers as a vector, if all of it is one along the axis."""
    if type(x) is not np.ndarray or x.dtype not in _FAR or not 0 < x.size <= MOST:
        return None
    if x.ndim == 1:
        return x if axis in _OF_VECTOR else None
    is_one = x.ndim and (axis is None or (x.ndim == 2 and len(x) == 1 and axis in _OF_ROW))
    return x.reshape(-1) if is_one else None


def shaped(values: Array, x: Any) -> Array:
    """Return as many numbers as x has in its shape."""
    return values if values.shape == x.shape else values.reshape(x.shape)


def _is_near(x: Array) -> bool:
    """Whether the numbers are of ordinary size; a NaN may hide, but not from a sum."""
    numbers: list[float] = x.tolist()
    far = _FAR[x.dtype]
    return min(numbers) >= -far and max(numbers) <= far


def _rounded(one: Array, other: Array) -> Array | None:
    """Return float64s in float32, if both ends of the intervals round to the same numbers."""
    found = one.astype(_FLOAT32)
    return found if found.tolist() == other.astype(_FLOAT32).tolist() else None


def _sum(terms: list[float]) -> float:
    """Add up by halves, as `stablelse.numerics.summation.pairwise` does down columns."""
    n = len(terms)
    while n > 1:
        half = n // 2
        folded = list(map(add, terms[:half], terms[n - half :]))
        terms = folded + terms[half : n - half]
        n -= half
    return terms[0]


@cache
def _least(n: int) -> float:
    return least_settled(n)
