"""The naive formulas on arrays, in blocks that stay in the cache: what they give, and no steps.

The bits are those of `stablelse.numerics.formulas.naive`, every operation rounded to the format and
every sum pairwise: blocks are as long as a power of two, so that they end where branches of the
tree do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.formula import pairwise_sum

# Elements of a block: with the first level of the tree, 768 KiB of float64 stay in the cache.
_BLOCK = 2**16


def logsumexp(rows: Array, format_: Format) -> Array:
    """Compute log(sum(exp(x))) of every row, shape (m, n), m, n >= 1, to shape (m,)."""
    terms = np.empty(min(rows.size, _BLOCK), format_.dtype)
    total = np.concatenate([_sum(x, format_, terms) for x in _bands(rows)])
    value: Array = np.log(total)[:, 0]
    return value


def softmax(rows: Array, format_: Format) -> Array:
    """Compute exp(x) / sum(exp(x)) of every row, shape (m, n), m, n >= 1."""
    result = np.empty(rows.shape, format_.dtype)
    for x, p in zip(_bands(rows), _bands(result), strict=True):
        np.divide(p, _sum(x, format_, p), out=p)
    return result


def log_softmax(rows: Array, format_: Format) -> Array:
    """Compute log(exp(x) / sum(exp(x))) of every row, shape (m, n), m, n >= 1."""
    result = softmax(rows, format_)
    return np.log(result, out=result)


def _sum(x: Array, format_: Format, terms: Array) -> Array:
    """Sum the exponentials of a band, shape (k, 1), and leave them in `terms`.

    That is a band of the same shape, or a buffer of a block's length, where they are overwritten.
    """
    sums, is_buffer = [], terms.ndim == 1
    for begin in range(0, x.shape[1], _BLOCK):
        part = slice(None), slice(begin, begin + _BLOCK)
        piece = x[part]
        place = terms[: piece.size].reshape(piece.shape) if is_buffer else terms[part]
        np.exp(format_.round(piece), out=place)
        sums.append(pairwise_sum(place))
    return pairwise_sum(np.concatenate(sums, axis=1))


def _bands(rows: Array) -> Iterator[Array]:
    """Cut a stack into bands of whole vectors, about a block each."""
    m, n = rows.shape
    width = max(1, _BLOCK // n)
    return (rows[begin : begin + width] for begin in range(0, m, width))
