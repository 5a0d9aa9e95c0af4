"""One float64 vector of some hundred or thousand numbers, without blocks and buffers.

What is done is what `stablelse.numerics.compensated` and `stablelse.numerics.quotients` do with
rows, operation by operation, so that the results have the same bits; but the vector is seen to be
of ordinary size, so that nothing has to be shifted, and nothing is copied or cut. What takes
another way there is left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stablelse.numerics import quotients
from stablelse.numerics.compensated import is_settled, least_settled
from stablelse.numerics.formats import Array
from stablelse.numerics.pairwise import sum_of_row

#: Vectors of at least so many numbers are rows there, and of more the overhead is no matter.
LEAST, MOST = 40, 2**14

# Of numbers within these, no term underflows, nor a quotient, and no sum overflows.
_FAR = 300.0


def logsumexp(x: Array) -> Any:
    """Return the log-sum-exp of a vector, or ``None`` if it is not for this module to compute."""
    terms = _terms(x)
    if terms is None:
        return None
    total = sum_of_row(terms)
    value = np.log(total)
    largest = np.maximum.reduce(terms)
    return value if is_settled(value, largest, total, least_settled(x.size)) else None


def softmax(x: Array) -> Array | None:
    """Return the softmax of a vector, or ``None``; see `logsumexp`."""
    terms = _terms(x)
    if terms is None:
        return None
    total = sum_of_row(terms, closely=True)
    if not (total >= quotients.SMALLEST and np.maximum.reduce(terms) <= quotients.STEEP * total):
        return None
    terms *= 1 / total
    return terms


def log_softmax(x: Array) -> Array | None:
    """Return the log_softmax of a vector, or ``None``; see `logsumexp`."""
    terms = _terms(x)
    if terms is None:
        return None
    total = sum_of_row(terms, closely=True)
    if not np.maximum.reduce(terms) <= quotients.CLOSE * total:
        return None
    log = np.log(total)
    difference: Array = np.subtract(x, log, terms)
    difference -= (total - np.exp(log)) / total
    return difference


def _terms(x: Array) -> Array | None:
    return np.exp(x) if is_within(x, _FAR) else None


def is_within(x: Array, far: float) -> bool:
    """Whether no number is larger in size (by more than a thousandth); infinite or NaN, it is.

    The norm takes less time than the least and the largest number do, and mostly is enough.
    """
    norm = np.vdot(x, x)
    return bool(norm <= far * far or (np.maximum.reduce(x) <= far and np.minimum.reduce(x) >= -far))
