"""A few numbers without blocks and buffers, whose overhead would take most of the time.

In float64, what is done is what `stablelse.numerics.compensated` and `stablelse.numerics.quotients`
do with vectors in columns, operation by operation, so that the results have the same bits:
exponentials and logarithms are NumPy's, and additions, in Python's own floats, are in the same
order. float32 results are correctly rounded, as in `stablelse.numerics.ladder.narrow`: computed in
float64, with the rounding test. What takes another way there is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import hypot
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import row
from stablelse.numerics.compensated import is_settled, least_settled
from stablelse.numerics.formats import Array
from stablelse.numerics.inputs import as_array
from stablelse.numerics.pairwise import additions, sum_of_row
from stablelse.numerics.quotients import CLOSE, LEAST

#: Up to so many numbers: they stand in columns there. More are a `stablelse.numerics.row`.
MOST = row.LEAST - 1

_FLOAT64, _FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
_DTYPES = {_FLOAT64, _FLOAT32}

# Of vectors whose Euclidean norm is within these, no term underflows, nor a quotient by the sum of
# MOST (two numbers are at most 400 sqrt(2) apart), and no sum overflows. The norm takes less time
# than the least and the largest number do; NaN and infinity do not hide from it. Of many numbers,
# each is within the last: a quotient is at least exp(-70) / row.MOST.
_FAR, _NARROW_FAR, _NARROW_ROW_FAR = 400.0, 40.0, 35.0

# Of a sum that is less, the terms are shifted.
_SMALLEST = 0.5

# In units of u = 2**-53: NumPy's exp and log are right to one unit in the last place, 2; MOST terms
# go through 6 additions. A quotient is wrong by as much as the sum is, by its own exponential, by
# the reciprocal and its margin, and by the product: 2 + 2 + 1 more.
_UNIT = 2.0**-53
_EXP_ROUNDINGS, _ADDITIONS, _QUOTIENT_ROUNDINGS = 2, 6, 5

#: The axes of a vector, and of the one row of a stack.
_OF_VECTOR, _OF_ROW = (None, 0, -1, (0,), (-1,)), (1, -1, (1,), (-1,))


def logsumexp(x: object, axis: object = None) -> Any:
    """Return the log-sum-exp of an array, or ``None`` if it is not for this module to compute."""
    array = as_one(x, axis, row.MOST)
    if array is None:
        return None
    if array.dtype == _FLOAT32:
        value = _narrow_logsumexp(array.reshape(-1))
    elif array.size > MOST:
        value = row.logsumexp(array.reshape(-1))
    else:
        value = _wide_logsumexp(array)
    return value if value is None or axis is None or array.ndim == 1 else np.array([value])


def softmax(x: object, axis: object = None) -> Array | None:
    """Return the softmax of an array, or ``None``; see `logsumexp`."""
    array = as_one(x, axis, row.MOST)
    if array is not None and array.size <= MOST and array.dtype == _FLOAT64:
        return _wide_softmax(array)
    return _as_vector(array, row.softmax, _narrow_softmax)


def log_softmax(x: object, axis: object = None) -> Array | None:
    """Return the log_softmax of an array, or ``None``; see `logsumexp`."""
    array = as_one(x, axis, row.MOST)
    if array is not None and array.size <= MOST and array.dtype == _FLOAT64:
        return _wide_log_softmax(array)
    return _as_vector(array, row.log_softmax, _narrow_log_softmax)


def _as_vector(
    x: Array | None,
    wide: Callable[[Array], Array | None],
    narrow: Callable[[Array], Array | None],
) -> Array | None:
    if x is None:
        return None
    values = (narrow if x.dtype == _FLOAT32 else wide)(x.reshape(-1))
    return None if values is None else values.reshape(x.shape)


# These three take an array of any shape: to make a vector of it, and the reverse of the result,
# would be a fifth of their time.


def _wide_logsumexp(x: Array) -> Any:
    if not hypot(*x.ravel().tolist()) <= _FAR:
        return None
    terms: list[float] = np.exp(x).ravel().tolist()
    total = _adder(len(terms))(*terms)
    value = np.log(total)
    return value if is_settled(value, max(terms), total, least_settled(len(terms))) else None


def _wide_softmax(x: Array) -> Array | None:
    if not hypot(*x.ravel().tolist()) <= _FAR:
        return None
    values: Array = np.exp(x)
    total = _adder(x.size)(*values.ravel().tolist())
    if not total >= _SMALLEST:
        return None
    np.divide(values, total, values)
    return values


def _wide_log_softmax(x: Array) -> Array | None:
    numbers: list[float] = x.ravel().tolist()
    if not hypot(*numbers) <= _FAR:
        return None
    if len(numbers) < LEAST:
        return _log_softmax_of_rest(x, numbers)
    values: Array = np.exp(x)
    terms: list[float] = values.ravel().tolist()
    total = _adder(len(terms))(*terms)
    if not max(terms) <= CLOSE * total:
        return _log_softmax_of_rest(x, numbers)
    log = np.log(total)
    np.subtract(x, log, values)
    np.subtract(values, (total - np.exp(log)) / total, values)
    return values


def _log_softmax_of_rest(x: Array, numbers: list[float]) -> Array | None:
    x_max, c = max(numbers), 4.0 * len(numbers)
    difference = x - x_max
    upper, lower = -1.0, []  # the largest term is left out
    for number, term in zip(numbers, np.exp(difference).ravel().tolist(), strict=True):
        d = number - x_max
        # FastTwoSum's rounding error, the larger one in size first: no number exceeds x_max.
        term += ((number - d) - x_max if number <= -x_max else number - (d + x_max)) * term
        high = (term + c) - c
        upper += high
        lower.append(term - high)
    rest = upper + _adder(len(lower))(*lower)
    return np.subtract(difference, np.log1p(rest), difference) if rest >= 0 else None


class _NarrowSum(NamedTuple):
    """exp(x) in float64, its sum, and how many u that is wrong by."""

    terms: Array
    value: Any
    roundings: int


def _narrow_sum(x: Array) -> _NarrowSum | None:
    if x.size > MOST:
        if not row.is_within(x, _NARROW_ROW_FAR):
            return None
        terms = np.exp(x, dtype=_FLOAT64)
        roundings = _EXP_ROUNDINGS + additions(x.size, 1)
        return _NarrowSum(terms, sum_of_row(terms), roundings)
    if not hypot(*x.tolist()) <= _NARROW_FAR:
        return None
    terms = np.exp(x, dtype=_FLOAT64)
    return _NarrowSum(terms, _adder(x.size)(*terms.tolist()), _EXP_ROUNDINGS + _ADDITIONS)


def _narrow_logsumexp(x: Array) -> Any:
    total = _narrow_sum(x)
    if total is None:
        return None
    log = np.log(total.value)
    error = _UNIT * (total.roundings + 3 * abs(log))
    value = np.float32(log + error)
    return value if value == np.float32(log - error) else None


def _narrow_softmax(x: Array) -> Array | None:
    total = _narrow_sum(x)
    if total is None:
        return None
    terms, roundings = total.terms, total.roundings + _QUOTIENT_ROUNDINGS
    terms *= (1 + roundings * _UNIT) / total.value
    return _rounded(terms, terms * (1 - 2 * (roundings + 1) * _UNIT))


def _narrow_log_softmax(x: Array) -> Array | None:
    """Subtract the logarithm of the sum: it, and the difference, round by u times their sizes."""
    total = _narrow_sum(x)
    if total is None:
        return None
    y = np.log(total.value)
    error = _UNIT * (total.roundings + 4 * abs(y) + 2 * _NARROW_FAR)
    return _rounded(x - (y - error), x - (y + error))


def as_one(x: object, axis: object, most: int) -> Array | None:
    """Return an array, or a list as one, if all of it is one vector along the axis, and not long.

    Its numbers lie side by side: where they do not, NumPy's exponentials may have other digits.
    """
    if type(x) is not np.ndarray:
        if type(x) is not list or not 0 < len(x) <= most or type(x[0]) is not float:
            return None
        x = as_array(x)
    if x.dtype not in _DTYPES or not 0 < x.size <= most:
        return None
    if x.ndim == 1:
        is_one = axis in _OF_VECTOR
    else:
        is_one = x.ndim > 0 and (axis is None or (x.ndim == 2 and len(x) == 1 and axis in _OF_ROW))
    if not is_one:
        return None
    return x if x.flags.c_contiguous else x.copy()


def _rounded(one: Array, other: Array) -> Array | None:
    """Return float64s in float32, if both ends of the intervals round to the same numbers."""
    found, same = one.astype(_FLOAT32), other.astype(_FLOAT32)
    if found.size > MOST:
        return found if np.logical_and.reduce(found == same) else None
    return found if found.tolist() == same.tolist() else None


@cache
def _adder(n: int) -> Callable[..., float]:
    """Return a function that adds up n terms by halves, as `pairwise.pairwise` does columns.

    Written out, the sum takes a tenth of the time that folding lists does.
    """
    terms = names = [f"x{i}" for i in range(n)]
    while len(terms) > 1:
        half = len(terms) // 2
        ends = zip(terms[:half], terms[len(terms) - half :], strict=True)
        terms = [f"({a} + {b})" for a, b in ends] + terms[half : len(terms) - half]
    adder: Callable[..., float] = eval(f"lambda {', '.join(names)}: {terms[0]}")
    return adder
