"""Turns array_likes, axes, masks and dtypes into rows, and results of rows into those of arrays.

A masked element counts as -inf: its exp is 0, and no finite number has that exp. So every result
is that of the vector without the element. A vector that is completely masked or holds only -inf
has the logarithm -inf. Its softmax is 0/0, which has no right value; the `POLICIES` are those that
users of other libraries know.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics.certificate import Certificate
from stablelse.numerics.formats import Array, format_of
from stablelse.numerics.inputs import as_array, promoted, refuse_masks

if TYPE_CHECKING:
    import numpy.typing as npt

Axis = int | tuple[int, ...] | None

#: The softmax of a vector that is completely masked or holds only -inf, by policy.
POLICIES = {
    "nan": "NaN, as 0/0 is and as SciPy has it",
    "zero": "0 throughout, as where nothing is attended to",
    "uniform": "the same for all that is not masked; for all, if everything is",
    "error": "an error that names the vector",
}

#: The result for elements with x = -inf, by function; logsumexp has no elements.
OF_NOTHING = {"softmax": 0.0, "log_softmax": -np.inf}


class EmptyVectorError(ValueError):
    """A vector is completely masked or holds only -inf, and the policy forbids that."""


class Rows(NamedTuple):
    """The rows to compute from, shape (m, n), m, n >= 1, and what belongs to them."""

    x: Array  # of any format
    dtype: np.dtype[Any]  # of the results
    mask: Array | None = None  # shape (m, n): False where an element counts as -inf
    weights: Array | None = None  # shape (m, n): of the terms of logsumexp; 0 where masked
    place: Array | None = None  # an array for the elements, shape (m, n), in C order

    def of(self, some: slice | Array) -> Rows:
        """Return some of the rows."""
        mask, weights = (part if part is None else part[some] for part in self[2:4])
        return Rows(self.x[some], self.dtype, mask, weights)

    def filled(self) -> Array:
        """Return x, with -inf in place of masked elements."""
        return self.x if self.mask is None else masked(self.x, self.mask)


class Results(NamedTuple):
    """The results for rows or arrays."""

    value: Any  # shape (m,); for softmax and log_softmax, (m, n)
    sign: Any = None  # shape (m,): signs of the sums, if there are weights
    certificate: Certificate | None = None  # what proves the values, on request


def apply(
    name: str,
    compute: Callable[[Rows], Results],
    x: npt.ArrayLike,
    axis: Axis,
    *,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    signed: bool = False,
    dtype: npt.DTypeLike | None = None,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    out: Array | None = None,
) -> Results:
    """Compute logsumexp, softmax or log_softmax along axes of an array with `compute`.

    `out` is checked first; if its memory layout fits and it does not overlap x, results are written
    there directly. Without its sign, the logarithm of a negative sum is NaN.
    """
    check_policy(empty)
    array, weights, target = promoted(x, b, dtype)
    reduces = name == "logsumexp"
    stack = Stack(array.shape or (1,), axis)
    shape = stack.reduced_shape(keepdims) if reduces else array.shape
    if out is not None:
        check_out(out, shape, np.empty(0, target).real.dtype if signed else target)
    if stack.m and not stack.n and not reduces:
        raise ValueError(f"{name} of no elements")
    mask = None if where is None else mask_for(array, where)
    if mask is not None and weights is not None:
        weights = np.where(mask, weights, weights.dtype.type(0))
    with np.errstate(all="ignore"):
        parts = [part if part is None else stack.rows(part) for part in (mask, weights)]
        place = None if reduces or out is None else stack.place(out, array, target)
        rows = Rows(stack.rows(array), target, parts[0], parts[1], place)
        has_policy = empty == "error" or not (reduces or empty == "nan")
        if has_policy:
            rows, nothing = by_policy(rows, empty, stack.reduced_shape(keepdims=True))
        if array.size:
            results = compute(rows)
            if has_policy and empty == "zero":
                results.value[nothing] = OF_NOTHING[name]
        else:
            shape_of_rows = stack.m if reduces else (stack.m, 0)
            results = Results(np.full(shape_of_rows, -np.inf, target), np.zeros(stack.m))
        value, sign, certificate = results
        if not reduces:
            value = stack.restored(value)
        elif signed:
            sign = np.where(np.isnan(value), np.nan, value > -np.inf) if sign is None else sign
            value, sign = value.real, sign.astype(target).reshape(shape)[()]
        elif b is not None and target.kind != "c":
            value[sign < 0] = np.nan
        return Results(_delivered(value.reshape(shape)[()], out), sign, certificate)


def by_policy(
    rows: Rows, empty: str, shape: tuple[int, ...], counts: Array | bool = True
) -> tuple[Rows, Array]:
    """Return rows, the empty ones made uniform if the policy says so, and which ones are empty.

    If empty rows are an error, it says where one is in an array of the given shape. A completely
    masked row becomes a uniform one without a mask.
    """
    nothing = without_terms(rows)
    refused = (nothing & counts).reshape(shape)
    if empty == "error" and refused.any():
        where = ", ".join(str(int(index)) for index in np.argwhere(refused)[0])
        count = int(np.count_nonzero(refused))
        more = f", and {count - 1:,} more vectors are" if count > 1 else ""
        raise EmptyVectorError(
            f"the vector at [{where}] is completely masked or holds only -inf{more}"
        )
    if empty == "uniform" and nothing.any():
        x, mask = np.where(nothing[:, np.newaxis], rows.x.dtype.type(0), rows.x), rows.mask
        if mask is not None:
            mask = mask | (nothing & ~mask.any(axis=1))[:, np.newaxis]
        rows = rows._replace(x=x, mask=mask)
    return rows, nothing


def check_policy(empty: str) -> None:
    """Raise an error if the policy for empty vectors is unknown."""
    if empty not in POLICIES:
        raise ValueError(f"unknown policy empty={empty!r}: choose from {', '.join(POLICIES)}")


def without_terms(rows: Rows) -> Array:
    """Return which rows are completely masked or hold only -inf, shape (m,)."""
    is_nothing = rows.x.real == -np.inf
    if rows.mask is not None:
        is_nothing |= ~rows.mask
    if rows.weights is not None:
        is_nothing |= rows.weights == 0
    nothing: Array = is_nothing.all(axis=1)
    return nothing


def masked(x: Array, mask: Array) -> Array:
    """Return a copy of x with -inf where the mask is False, in a dtype that has an infinity."""
    dtype, format_ = x.dtype, format_of(x.dtype)
    if dtype.kind in "iu" and dtype.itemsize == 8:  # 64 bits, more than float64 holds
        dtype = np.dtype(np.longdouble)
    elif dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    elif format_ is not None and not format_.has_infinity:
        dtype = np.dtype(np.float32)
    copy = x.astype(dtype)
    np.copyto(copy, dtype.type(-np.inf), where=~mask)
    return copy


def mask_for(x: Array, where: npt.ArrayLike) -> Array:
    """Return a mask in the shape of x, without a copy."""
    mask = as_array(where)
    if mask.dtype != np.bool_:  # additive masks of 0 and -inf mean the opposite
        raise TypeError(f"where takes booleans, not {mask.dtype}: say where=mask != 0, if 0 masks")
    try:
        return np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(
            f"where of shape {mask.shape} does not fit an array of shape {x.shape}"
        ) from None


def _delivered(result: Any, out: Array | None) -> Any:
    if out is None:
        return result
    if not np.may_share_memory(result, out):
        np.copyto(out, result, casting="same_kind")
    return out


def check_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that `out` can take results of a shape and dtype, before they are computed."""
    refuse_masks(out)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has the shape {out.shape}, the result {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"cannot put a result of {dtype} into an out of {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def bands(shape: tuple[int, ...], size: int) -> list[slice]:
    """Cut rows, shape (m, n), into one or more bands of about `size` elements."""
    m, n = shape
    step = max(1, size // max(n, 1))
    return [slice(i, min(i + step, m)) for i in range(0, max(m, 1), step)]


class Stack:
    """An array seen as a stack of vectors, shape (m, n), along one or more of its axes."""

    def __init__(self, shape: tuple[int, ...], axis: Axis) -> None:
        axes = tuple(range(len(shape)))
        along = axes if axis is None else normalize_axis_tuple(axis, len(shape))
        kept = () if axis is None else tuple(i for i in axes if i not in along)
        self.shape, self._order, self._in_order = shape, kept + along, kept + along == axes
        self._kept = tuple([shape[i] for i in kept])
        self._along = along
        self.m, self.n = prod(self._kept), prod([shape[i] for i in along])

    def rows(self, x: Array) -> Array:
        """Return the vectors as rows, without a copy where possible."""
        x = np.asarray(x).reshape(self.shape)  # `out` may be a subclass, such as a memmap
        return (x if self._in_order else x.transpose(self._order)).reshape(self.m, self.n)

    def place(self, out: Array, x: Array, dtype: np.dtype[Any]) -> Array | None:
        """Return `out` as rows, if results for x can be written there directly."""
        if out.dtype != dtype or np.may_share_memory(out, x):
            return None
        rows = self.rows(out)
        return rows if rows.flags.c_contiguous and np.may_share_memory(rows, out) else None

    def reduced_shape(self, keepdims: bool) -> tuple[int, ...]:
        """Return the shape of one number per vector, as NumPy's reductions have it."""
        if not keepdims:
            return self._kept
        return tuple(1 if i in self._along else n for i, n in enumerate(self.shape))

    def restored(self, rows: Array) -> Array:
        """Return rows of results in the layout of the array."""
        if self._in_order:
            return rows.reshape(self.shape)
        result = rows.reshape([self.shape[i] for i in self._order])
        return np.ascontiguousarray(result.transpose(np.argsort(self._order)))
