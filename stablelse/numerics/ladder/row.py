"""The first rung for one float64 vector of some hundred or thousand numbers, without blocks.

It is what `stablelse.numerics.ladder.wide` does with rows, of numbers that exp can take as they
are; the logarithm of the sum is computed as for short vectors (`stablelse.numerics.ladder.short`),
whose bound holds, for it allows the sum an error of 2**-66.9 where this one has 2**-67.7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stablelse.numerics.errorfree import difference
from stablelse.numerics.formats import Array
from stablelse.numerics.ladder import exponential, quick, short, wide
from stablelse.numerics.row import is_within

#: For fewer numbers, Python's own floats are faster (measured).
LEAST = 80

# Of numbers within this, no word of a quotient underflows.
_FAR = 250.0


class _Terms(NamedTuple):
    """exp(x) in two words and their sum, all of shape (1, n) or (1, 1), and arrays to work in."""

    first: Array
    second: Array
    total: quick.Sum
    free: list[Array]


def logsumexp(x: Array) -> tuple[float, float] | None:
    """Compute the log-sum-exp of a vector, correctly rounded; see `short.logsumexp`."""
    terms = _terms(x)
    return None if terms is None else short.rounded(*_log(terms.total))


def softmax(x: Array) -> tuple[Array, float] | None:
    """Compute the softmax of a vector, correctly rounded; see `short.softmax`."""
    terms = _terms(x) if len(x) <= wide.BRIEF_TO else None
    if terms is None:
        return None
    values, flags = np.empty((1, len(x))), np.empty((1, len(x)), bool)
    reciprocal = wide.reciprocal_of(terms.total)
    wide.quotients(terms.first, terms.second, reciprocal, terms.free, values, flags)
    return None if flags.any() else (values[0], wide.QUOTIENT_ERROR * 2.0**53)


def log_softmax(x: Array) -> tuple[Array, float] | None:
    """Compute log_softmax of a vector, correctly rounded; see `short.log_softmax`."""
    terms = _terms(x) if len(x) <= wide.LOG_BRIEF_TO else None
    if terms is None:
        return None
    y, y_low = _log(terms.total)
    d, delta, lower, _ = (array[0] for array in terms.free)
    difference(x, np.array(y), d, delta, lower)
    np.subtract(delta, y_low + short.MARGIN, out=lower)
    delta -= y_low - short.MARGIN
    lower += d
    delta += d
    if np.not_equal(lower, delta).any():
        return None
    return lower, short.MARGIN / float(np.spacing(np.abs(lower).min()))


def _terms(x: Array) -> _Terms | None:
    if not is_within(x, _FAR):
        return None
    row, scratch = x[np.newaxis], list(np.empty((6, 1, len(x))))
    first, second = exponential.brief_exp(row, None, scratch)
    k, rest, _, _, upper, spare = scratch
    largest = np.exp(np.maximum.reduce(row, axis=1, keepdims=True))
    high, low = quick.add_up((first, second), (upper, rest), largest, 1)
    return _Terms(first, second, quick.Sum(np.zeros((1, 1)), high, low), [k, rest, upper, spare])


def _log(total: quick.Sum) -> tuple[float, float]:
    return short.log_of(0.0, total.high.item(), total.low.item())
