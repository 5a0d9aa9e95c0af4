"""Masks, and vectors of which nothing is left: what `where` and `empty` mean to all functions.

A masked element counts as -inf: exp of it is 0, and that of nothing else is. So no number stands
in for minus infinity, however large; what is masked is -inf before any kernel sees it, and every
result, the certified one too, is that of the vector without the element.

A vector that holds -inf alone has the logarithm -inf. Its softmax is 0/0, of which there is no
right value; the `POLICIES` are those that users of other libraries know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.numerics import front
from stablelse.numerics.formats import Array, format_of
from stablelse.numerics.front import Axis, Elementwise, LogSums, Reduction
from stablelse.numerics.inputs import as_array

if TYPE_CHECKING:
    import numpy.typing as npt

#: What softmax is of a vector that is masked throughout, or holds -inf alone.
POLICIES = {
    "nan": "NaN, as 0/0 is and as SciPy has it",
    "zero": "0 throughout, as where nothing is attended to",
    "uniform": "the same for all that is not masked; for all, if everything is",
    "error": "an error that names the vector",
}


class EmptyVectorError(ValueError):
    """A vector that is masked throughout, or holds -inf alone, where that is ruled out."""


class Prepared(NamedTuple):
    """An array made ready for the kernels.

    Attributes
    ----------
    x : ndarray
        -inf where it is masked; under the policy "uniform", 0 where an empty vector is not.
    dtype : dtype
        Of the results, by NumPy's promotion.
    nothing : ndarray of bool
        Which vectors are empty, the axes along which they lie kept with length 1.
    """

    x: Array
    dtype: np.dtype[Any]
    nothing: Array


def reduced(
    kernel: Reduction,
    a: npt.ArrayLike,
    axis: Axis,
    b: npt.ArrayLike | None,
    keepdims: bool,
    signed: bool,
    dtype: npt.DTypeLike | None,
    where: npt.ArrayLike | None,
    empty: str,
    out: Array | None = None,
) -> LogSums:
    """Apply a kernel as `front.reduced` does, to what is not masked.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.logsumexp`.
    """
    if where is None and empty == "nan":
        return front.reduced(kernel, a, axis, b, keepdims, signed, dtype, out)
    x, weights, promoted = front.promoted(a, b)
    target = front.result_dtype(promoted, dtype)
    if out is not None:  # before anything is masked, which takes a copy
        front.check_out_of_sums(out, x.shape, axis, keepdims, signed, target)
    if weights is not None:  # no term is no term, be it for its weight or for its mask
        kept = True if where is None else mask_for(x, where)
        weights = np.where(kept, weights, weights.dtype.type(0))
        x, where = masked(x, weights != 0), None
    # whatever softmax is of an empty vector, the logarithm of no terms is -inf
    policy = "nan" if empty in ("zero", "uniform") else empty
    ready = prepared(x, where, axis, policy)
    return front.reduced(kernel, ready.x, axis, weights, keepdims, signed, target, out)


def elementwise(
    kernel: Elementwise,
    x: npt.ArrayLike,
    axis: Axis,
    dtype: npt.DTypeLike | None,
    where: npt.ArrayLike | None,
    empty: str,
    of_nothing: float,
    out: Array | None = None,
) -> tuple[Any, Any]:
    """Apply a kernel as `front.elementwise` does, to what is not masked.

    `of_nothing` is the result for an element of which the softmax is 0.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.softmax`.
    """
    if where is None and empty == "nan":
        return front.elementwise(kernel, x, axis, dtype, out)
    if out is not None:  # before anything is masked, which takes a copy
        array, _, promoted = front.promoted(x)
        front.check_out(out, array.shape, front.result_dtype(promoted, dtype))
    ready = prepared(x, where, axis, empty)
    target = front.result_dtype(ready.dtype, dtype)
    result, more = front.elementwise(kernel, ready.x, axis, target)
    if empty == "zero":
        result = np.where(ready.nothing, result.dtype.type(of_nothing), result)[()]
    return result if out is None else front.delivered(result, out), more


def prepared(x: npt.ArrayLike, where: npt.ArrayLike | None, axis: Axis, empty: str) -> Prepared:
    """Mask an array, and see to the vectors of which nothing is left.

    Parameters
    ----------
    x : array_like
        Numbers, any shape.
    where : array_like of bool or None
        False where an element is masked; broadcast to the shape of `x`.
    axis : int, tuple of int or None
        Along which the vectors lie.
    empty : str
        One of `POLICIES`.

    Raises
    ------
    TypeError
        If `x` does not hold numbers, or `where` no booleans.
    ValueError
        If `where` does not fit, or there is no such policy.
    EmptyVectorError
        If the policy is "error" and a vector is empty.
    """
    if empty not in POLICIES:
        raise ValueError(f"unknown policy empty={empty!r}: choose from {', '.join(POLICIES)}")
    array, _, dtype = front.promoted(x)
    if where is not None:
        array = masked(array, where)
    flat = np.atleast_1d(array)  # as the front sees a number: a vector of one
    nothing = np.all(flat.real == -np.inf, axis=axis, keepdims=True)
    if empty == "error" and nothing.any():
        raise EmptyVectorError(complaint(nothing))
    if empty == "uniform" and nothing.any():
        kept = np.ones(flat.shape, bool) if where is None else mask_for(flat, where)
        kept = kept | ~np.any(kept, axis=axis, keepdims=True)
        flat = np.where(nothing & kept, flat.dtype.type(0), flat)
    shape = nothing.shape if array.ndim else ()
    return Prepared(flat.reshape(array.shape), dtype, nothing.reshape(shape))


def check_policy(empty: str) -> None:
    """Raise an error if there is no such policy for empty vectors."""
    if empty not in POLICIES:
        raise ValueError(f"unknown policy empty={empty!r}: choose from {', '.join(POLICIES)}")


def without_terms(x: Array, mask: Array | None) -> Array:
    """Return which rows are masked throughout or hold -inf alone, shape (m,)."""
    is_nothing = x == -np.inf
    if mask is not None:
        is_nothing |= ~mask
    nothing: Array = is_nothing.all(axis=1)
    return nothing


def made_uniform(x: Array, mask: Array | None, nothing: Array) -> tuple[Array, Array | None]:
    """Return rows and their mask with equal numbers where rows are empty.

    In a row that is masked throughout, nothing is masked any more.
    """
    x = np.where(nothing[:, np.newaxis], x.dtype.type(0), x)
    if mask is not None:
        mask = mask | (nothing & ~mask.any(axis=1))[:, np.newaxis]
    return x, mask


def masked(x: Array, where: npt.ArrayLike) -> Array:
    """Return a copy of x with -inf where the mask is False, in a dtype that has an infinity.

    Raises
    ------
    TypeError, ValueError
        As `mask_for`.
    """
    mask = mask_for(x, where)
    copy = x.astype(_with_infinity(x.dtype))
    np.copyto(copy, copy.dtype.type(-np.inf), where=~mask)
    return copy


def mask_for(x: Array, where: npt.ArrayLike) -> Array:
    """Return a mask in the shape of x, without a copy.

    Raises
    ------
    TypeError
        If it does not hold booleans: 0 and -inf, which are added elsewhere, mean the contrary.
    ValueError
        If it cannot be broadcast to that shape.
    """
    mask = as_array(where)
    if mask.dtype != np.bool_:
        raise TypeError(f"where takes booleans, not {mask.dtype}: say where=mask != 0, if 0 masks")
    try:
        return np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(
            f"where of shape {mask.shape} does not fit an array of shape {x.shape}"
        ) from None


def _with_infinity(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype that has all numbers of another one, and an infinity."""
    if dtype.kind in "iu" and dtype.itemsize == 8:  # of 64 bits, more than float64 has
        return np.dtype(np.longdouble)
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    format_ = format_of(dtype)
    return dtype if format_ is None or format_.has_infinity else np.dtype(np.float32)


def complaint(nothing: Array) -> str:
    """Return which vectors are empty: the place of the first, and how many there are more."""
    where = ", ".join(str(int(index)) for index in np.argwhere(nothing)[0])
    count = int(np.count_nonzero(nothing))
    more = f", and {count - 1:,} more vectors are" if count > 1 else ""
    return f"the vector at [{where}] is masked throughout or holds -inf alone{more}"
