"""Log-sum-exp and softmax as textbooks write them: for comparison, not for use.

Nothing prevents overflow and underflow, and nothing warns of them. Every operation is rounded to
the format, and sums are pairwise. So the results are those of the naive method of
`stablelse.compare`, on arrays of any size and along any axis.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics.formulas import pairwise_sum
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rows import Axis, Results, Rows, apply, bands

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["log_softmax", "logsumexp", "softmax"]

# Elements to add up at a time: they stay in the cache. A power of two, so that a block is a whole
# branch of the tree of sums.
_BLOCK = 2**16


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    """Compute log(sum(exp(a))) as written.

    Parameters
    ----------
    a : array_like
        Real numbers, any shape, in any format.
    axis : int or tuple of int, optional
        The axis or axes to sum over; all by default.
    keepdims : bool
        Keep the axes that were summed over, with length 1.
    dtype : dtype_like, optional
        The format of `a` and of every operation, by default that of `a`; integers
        and bools give float64.

    Returns
    -------
    scalar or ndarray
        The logarithm: inf if an exponential or the sum overflows, -inf if all terms underflow.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.logsumexp`, and a TypeError for complex numbers.

    Examples
    --------
    >>> from stablelse import naive
    >>> naive.logsumexp([1000.0, 1001.0])
    np.float64(inf)
    """
    compute = partial(_naive, Function.LOGSUMEXP)
    return apply("logsumexp", compute, a, axis, keepdims=keepdims, dtype=dtype).value


def softmax(x: npt.ArrayLike, axis: Axis = None, *, dtype: npt.DTypeLike | None = None) -> Any:
    """Compute exp(x) / sum(exp(x)) as written.

    Parameters
    ----------
    x, axis, dtype
        As `a`, `axis` and `dtype` in `logsumexp`.

    Returns
    -------
    scalar or ndarray
        The shape of `x`: NaN where infinity is divided by infinity, or 0 by 0.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`, and a ValueError for a softmax of no elements.
    """
    return apply("softmax", partial(_naive, Function.SOFTMAX), x, axis, dtype=dtype).value


def log_softmax(x: npt.ArrayLike, axis: Axis = None, *, dtype: npt.DTypeLike | None = None) -> Any:
    """Compute log(exp(x) / sum(exp(x))) as written.

    Parameters
    ----------
    x, axis, dtype
        As in `softmax`.

    Returns
    -------
    scalar or ndarray
        The shape of `x`: -inf where the softmax underflows, NaN where it is NaN.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.
    """
    compute = partial(_naive, Function.LOG_SOFTMAX)
    return apply("log_softmax", compute, x, axis, dtype=dtype).value


def _naive(function: Function, rows: Rows) -> Results:
    """Evaluate the same operations as `numerics.formulas.NAIVE`, without keeping the steps."""
    format_, is_sum = known_format(rows.dtype), function is Function.LOGSUMEXP
    values = np.empty(rows.x.shape[:1] if is_sum else rows.x.shape, rows.dtype)
    for band in bands(rows.x.shape, _BLOCK):
        x = np.ascontiguousarray(rows.of(band).x)  # NumPy's exp of strided numbers has other bits
        x = x if x.dtype == format_.dtype else format_.round(x)
        e = np.exp(x, out=None if is_sum else values[band])
        pieces = range(0, e.shape[1], _BLOCK)
        s = pairwise_sum(np.hstack([pairwise_sum(e[:, i : i + _BLOCK]) for i in pieces]))
        if is_sum:
            values[band] = np.log(s[:, 0])
            continue
        np.divide(e, s, out=e)
        if function is Function.LOG_SOFTMAX:
            np.log(e, out=e)
    return Results(values)
