"""From array_likes, axes and dtypes to stacks of vectors, and back: what all functions share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.inputs import numbers, refuse_masks

if TYPE_CHECKING:
    import numpy.typing as npt

Axis = int | tuple[int, ...] | None


#: Elements of NumPy's own buffers, while the functions compute. An operand with one number per
#: vector is copied, as often as the vector is long, into such a buffer, unless that is shorter
#: than the vector; so this halves the time of an operation on rows of a thousand. The setting
#: ends with the `errstate` around it.
BUFFER = 1024


class LogSums(NamedTuple):
    """The logarithms of absolute sums, as an array or scalar, their signs, and what else there is.

    Attributes
    ----------
    value : scalar or ndarray
        Shaped as a reduction of the array.
    sign : scalar or ndarray or None
        The same, if it is asked for.
    more : object
        What a kernel gives beside the two.
    """

    value: Any
    sign: Any
    more: Any


#: Takes rows, a dtype and weights; gives values, signs, and anything else.
Reduction = Callable[[Array, "np.dtype[Any]", Array | None], tuple[Array, Array, Any]]

#: Takes rows, a dtype, and an array of the same shape and that dtype where the result may be put;
#: gives rows, and anything else.
Elementwise = Callable[[Array, "np.dtype[Any]", Array | None], tuple[Array, Any]]


def reduced(
    kernel: Reduction,
    a: npt.ArrayLike,
    axis: Axis,
    b: npt.ArrayLike | None,
    keepdims: bool,
    signed: bool,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
) -> LogSums:
    """Apply a kernel that makes one number of a vector along axes of an array.

    Where the value is asked for without the sign, the logarithm of a negative sum is NaN. Whether
    `out` can take the values is seen to before they are computed.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.logsumexp`.
    """
    x, weights, natural = promoted(a, b)
    target = result_dtype(natural, dtype)
    stack = _Stack(x.shape or (1,), axis)
    if out is not None:
        check_out_of_sums(out, x.shape, axis, keepdims, signed, target)
    b_rows = None if weights is None else stack.rows(weights)
    with np.errstate(all="ignore"):
        np.setbufsize(BUFFER)
        if x.size == 0:
            value, sign, more = np.full(stack.m, -np.inf, target), np.zeros(stack.m), None
        else:
            value, sign, more = kernel(stack.rows(x), target, b_rows)
        if b is not None and not signed and target.kind != "c":
            value[sign < 0] = np.nan
        signs = stack.reduced(sign.astype(target), keepdims) if signed else None
    return LogSums(stack.reduced(value, keepdims), signs, more)


def elementwise(
    kernel: Elementwise,
    x: npt.ArrayLike,
    axis: Axis,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
) -> tuple[Any, Any]:
    """Apply a kernel that makes a vector of a vector along axes of an array.

    Where `out` lies in memory as the vectors do, apart from x, the kernel computes in place.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.softmax`.
    """
    array, _, natural = promoted(x)
    target = result_dtype(natural, dtype)
    stack = _Stack(array.shape or (1,), axis)
    if not stack.m:
        nothing = np.empty(array.shape, target)
        return (nothing if out is None else delivered(nothing, out)), None
    if not stack.n:
        raise ValueError("softmax of no elements")
    with np.errstate(all="ignore"):
        np.setbufsize(BUFFER)
        if out is None:
            result, more = kernel(stack.rows(array), target, None)
            return stack.restored(result).reshape(array.shape)[()], more
        check_out(out, array.shape, target)
        in_place = out.dtype == target and not np.may_share_memory(out, array)
        place: Array | None = stack.rows(out) if in_place else None
        if place is not None and not np.may_share_memory(place, out):
            place = None  # a copy
        result, more = kernel(stack.rows(array), target, place)
        if result is not place:
            delivered(stack.restored(result).reshape(array.shape), out)
        return out, more


def delivered(result: Any, out: Array) -> Array:
    """Put a result into `out`, and return that.

    Raises
    ------
    TypeError, ValueError
        As `check_out`.
    """
    check_out(out, np.shape(result), result.dtype)
    np.copyto(out, result, casting="same_kind")
    return out


def check_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that results of a shape and dtype can be put into `out`, before they are computed.

    Raises
    ------
    TypeError
        If it is no array, or its dtype is of another kind.
    ValueError
        If it has another shape, or is read-only.
    """
    refuse_masks(out)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has the shape {out.shape}, the result {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"cannot put a result of {dtype} into an out of {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def check_out_of_sums(
    out: Array,
    shape: tuple[int, ...],
    axis: Axis,
    keepdims: bool,
    signed: bool,
    dtype: np.dtype[Any],
) -> None:
    """Check as `check_out` that `out` can take the sums along axes of an array of a shape.

    Raises
    ------
    TypeError, ValueError
        As `check_out`.
    """
    stack = _Stack(shape or (1,), axis)
    likewise = stack.reduced(np.broadcast_to(np.zeros((), dtype), stack.m), keepdims)
    check_out(out, np.shape(likewise), (likewise.real if signed else likewise).dtype)


def promoted(
    a: npt.ArrayLike, b: npt.ArrayLike | None = None
) -> tuple[Array, Array | None, np.dtype[Any]]:
    """Return both as arrays of one shape, and the dtype of the result by NumPy's promotion.

    Raises
    ------
    TypeError, ValueError
        As `inputs.numbers`.
    """
    x = numbers(a)
    if b is None:
        return x, None, _floating(np.result_type(x.dtype))
    weights = numbers(b)
    x, weights = np.broadcast_arrays(x, weights)
    return x, weights, _floating(_promoted(x.dtype, weights.dtype, a, b))


def _promoted(x: np.dtype[Any], weights: np.dtype[Any], a: Any, b: Any) -> np.dtype[Any]:
    """Return NumPy's promoted dtype; float64 where it has none, as of bfloat16 and integers."""
    # A bare Python number does not widen a narrow format; NumPy knows it by its type, but knows
    # no format of ml_dtypes.
    if type(b) in (int, float) and format_of(x) is not None:
        return x
    bare = (int, float, complex)
    try:
        return np.result_type(a if type(a) in bare else x, b if type(b) in bare else weights)
    except TypeError:
        return np.dtype(np.float64)


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype


def result_dtype(natural: np.dtype[Any], dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype that is asked for, be it by a format's name; the natural one by default."""
    if dtype is None:
        return natural
    if isinstance(dtype, str) and dtype in FORMATS:
        return FORMATS[dtype].dtype
    return np.dtype(dtype)


@cache
def known_format(dtype: np.dtype[Any]) -> Format:
    """Return the format whose numbers a dtype holds, which must be a real floating dtype."""
    if dtype.kind == "c":
        raise TypeError(f"expected real numbers, not complex ones ({dtype})")
    format_ = format_of(dtype)
    if format_ is None:
        raise TypeError(f"expected a floating-point format of the table, not {dtype}")
    return format_


def stacked(x: Array, axis: Axis) -> Array:
    """Return the vectors along axes of an array as rows, without a copy where that can be."""
    return _Stack(x.shape, axis).rows(x)


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
