"""The SciPy-compatible front: array_likes, axes, weights and dtypes; the sums are elsewhere.

The functions take what those of ``scipy.special`` (1.17) take and return what those return,
except where SciPy's answer is not the true one:

- the shifted sum of a narrow format does not overflow, and softmax of many equal entries sums
  to 1;
- log-sum-exp next to zero, the softmax of widely spread entries, and log_softmax of a
  dominating one keep their digits;
- weights enter the shift, so that terms of any size can be weighed against each other; where
  terms cancel, what is left of them is the result;
- a term of weight zero adds nothing whatever x is, and the sum of no terms has the sign 0;
- log_softmax is NaN throughout where an x is infinite and positive, as softmax is;
- integers and bools are computed in float64 and never wrap around; ml_dtypes' formats are
  returned in their own format;
- a masked array is a TypeError, for its mask would be ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics import compensated, complex_plane
from stablelse.numerics.formats import Array, Format, format_of

if TYPE_CHECKING:
    import numpy.typing as npt

Axis = int | tuple[int, ...] | None


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """Compute log(sum(b * exp(a))) without overflow, underflow or loss of digits.

    Parameters
    ----------
    a : array_like
        Real or complex numbers, any shape.
    axis : int or tuple of int, optional
        The axis or axes to sum over; all by default.
    b : array_like, optional
        Weights of the terms, of either sign; broadcast with `a`. Where b is 0 there is no
        term, whatever `a` is.
    keepdims : bool
        Keep the axes that were summed over, with length 1.
    return_sign : bool
        Return the sign of the sum too. Without it, the log of a negative sum is NaN.

    Returns
    -------
    result : scalar or ndarray
        The logarithm; of the absolute value, with `return_sign`. Of nothing it is -inf.
        The dtype is that of `a` and `b`; integers and bools give float64. The imaginary part
        of a complex logarithm lies in (-pi, pi].
    sign : scalar or ndarray
        With `return_sign` only: 1, 0, -1 or NaN, or the phase of a complex sum.

    Raises
    ------
    TypeError
        If an argument does not hold numbers, or is a masked array.
    ValueError
        If `a` and `b` cannot be broadcast, an axis is repeated, or (numpy's AxisError, an
        IndexError too) out of bounds.
    """
    x, weights, dtype = _promoted(a, b)
    stack = _Stack(x.shape or (1,), axis)
    rows = stack.rows(x)
    b_rows = None if weights is None else stack.rows(weights)
    with np.errstate(all="ignore"):
        if x.size == 0:
            value, sign = np.full(stack.m, -np.inf, dtype), np.zeros(stack.m)
        elif dtype.kind == "c":
            value, sign = complex_plane.logsumexp(rows, b_rows)
            value = value.astype(dtype)
        else:
            value, sign = compensated.logsumexp(rows, _format(dtype), b_rows)
    if return_sign:
        return stack.reduced(value.real, keepdims), stack.reduced(sign.astype(dtype), keepdims)
    if weights is not None and dtype.kind != "c":
        value[sign < 0] = np.nan
    return stack.reduced(value, keepdims)


def softmax(x: npt.ArrayLike, axis: Axis = None) -> Any:
    """Compute exp(x) / sum(exp(x)) without overflow, underflow or loss of digits.

    Parameters
    ----------
    x : array_like
        Numbers, any shape.
    axis : int or tuple of int, optional
        The axis or axes along which the result sums to 1; all by default.

    Returns
    -------
    scalar or ndarray
        The shape and dtype of `x`; integers and bools give float64.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`, and a ValueError for a softmax of no elements.
    """
    return _elementwise(compensated.softmax, complex_plane.softmax, x, axis)


def log_softmax(x: npt.ArrayLike, axis: Axis = None) -> Any:
    """Compute log(softmax(x)) without overflow, underflow or loss of digits.

    Parameters
    ----------
    x : array_like
        Numbers, any shape.
    axis : int or tuple of int, optional
        The axis or axes along which the exponentials of the result sum to 1; all by default.

    Returns
    -------
    scalar or ndarray
        The shape and dtype of `x`; integers and bools give float64.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`, and a ValueError for a log_softmax of no elements.
    """
    return _elementwise(compensated.log_softmax, complex_plane.log_softmax, x, axis)


def _elementwise(
    real: Callable[[Array, Format], Array],
    of_complex: Callable[[Array], Array],
    x: npt.ArrayLike,
    axis: Axis,
) -> Any:
    array, _, dtype = _promoted(x)
    stack = _Stack(array.shape or (1,), axis)
    if stack.n == 0:
        raise ValueError("softmax of no elements")
    with np.errstate(all="ignore"):
        if dtype.kind == "c":
            result = of_complex(stack.rows(array)).astype(dtype)
        else:
            result = real(stack.rows(array), _format(dtype))
        return stack.restored(result).reshape(array.shape)[()]


def _promoted(
    a: npt.ArrayLike, b: npt.ArrayLike | None = None
) -> tuple[Array, Array | None, np.dtype[Any]]:
    """Return both as arrays of one shape, and the dtype of the result by NumPy's promotion."""
    given = [a] if b is None else [a, b]
    arrays = [np.asarray(x) for x in given]
    for x, array in zip(given, arrays, strict=True):
        # numpy.ma is imported only on use: without it there are no masked arrays.
        if "numpy.ma" in sys.modules and isinstance(x, np.ma.MaskedArray):
            raise TypeError("masked arrays are not supported; mask by weights of zero instead")
        if array.dtype.kind not in "biufc" and format_of(array.dtype) is None:
            raise TypeError(f"expected numbers, not {array.dtype}")
    if b is None:
        return arrays[0], None, _floating(np.result_type(arrays[0].dtype))
    # A bare Python number does not widen a narrow format; NumPy knows it by its type.
    bare = (int, float, complex)
    operands = [x if type(x) in bare else y for x, y in zip(given, arrays, strict=True)]
    x, weights = np.broadcast_arrays(*arrays)
    return x, weights, _floating(np.result_type(*operands))


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype


@cache
def _format(dtype: np.dtype[Any]) -> Format:
    format_ = format_of(dtype)
    if format_ is None:
        raise TypeError(f"expected a floating-point format of the table, not {dtype}")
    return format_


class _Stack:
    """An array seen as a stack of vectors, shape (m, n), along one or several of its axes."""

    def __init__(self, shape: tuple[int, ...], axis: Axis) -> None:
        axes = tuple(range(len(shape)))
        along = axes if axis is None else normalize_axis_tuple(axis, len(shape))
        kept = () if axis is None else tuple(i for i in axes if i not in along)
        self._shape, self._order, self._in_order = shape, kept + along, kept + along == axes
        self._kept = tuple([shape[i] for i in kept])
        self._along = along
        self.m, self.n = prod(self._kept), prod([shape[i] for i in along])

    def rows(self, x: Array) -> Array:
        """Return the vectors as rows, without a copy where that can be."""
        x = x.reshape(self._shape)
        return (x if self._in_order else x.transpose(self._order)).reshape(self.m, self.n)

    def reduced(self, values: Array, keepdims: bool) -> Any:
        """Shape m values, one per vector, as NumPy's reductions shape theirs."""
        if keepdims:
            ones = [1 if i in self._along else n for i, n in enumerate(self._shape)]
            return values.reshape(ones)
        return values.reshape(self._kept)[()]

    def restored(self, rows: Array) -> Array:
        """Return rows of results to the places of the elements they belong to."""
        if self._in_order:
            return rows.reshape(self._shape)
        result = rows.reshape([self._shape[i] for i in self._order])
        return np.ascontiguousarray(result.transpose(np.argsort(self._order)))
