"""Logits and what they are to come close to, as rows: what losses and gradients begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from stablelse.numerics import masks
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.front import known_format, promoted, result_dtype
from stablelse.numerics.targets import Targets, targets_for

if TYPE_CHECKING:
    import numpy.typing as npt

# So many logits are worked on at once, which bounds the memory that is taken beside the result.
_BAND = 1 << 17


class Problem(NamedTuple):
    """Logits as rows, and all that belongs to them.

    Attributes
    ----------
    x : ndarray
        Shape (m, n), masked.
    mask : ndarray of bool or None
        The same shape.
    nothing : ndarray of bool
        Shape (m,): which rows are masked throughout or hold -inf alone.
    empty : str
        What becomes of those.
    targets : Targets
        Of the rows.
    format : Format
        Of the results.
    axis : int
        Where the classes were.
    moved : tuple of int
        The shape of the logits with the classes last.
    """

    x: Array
    mask: Array | None
    nothing: Array
    empty: str
    targets: Targets
    format: Format
    axis: int
    moved: tuple[int, ...]

    @property
    def n(self) -> int:
        """The number of classes."""
        return self.moved[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the losses."""
        return self.moved[:-1]

    def bands(self) -> Iterator[tuple[slice, Array, Array | None]]:
        """Yield some rows at a time: which they are, their logits and their mask."""
        step = max(1, _BAND // self.n)
        for begin in range(0, len(self.x), step):
            band = slice(begin, begin + step)
            yield band, self.x[band], None if self.mask is None else self.mask[band]

    def settle_losses(self, losses: Array) -> None:
        """Put in the losses that are none: of what is ignored, and of what is empty."""
        if self.empty == "zero":
            losses[self.nothing] = 0
        losses[self.targets.ignored] = 0

    def settle_gradient(self, gradient: Array) -> None:
        """Put in the elements that depend on no logit."""
        if self.mask is not None:
            np.copyto(gradient, gradient.dtype.type(0), where=~self.mask)
        gradient[self.nothing] = np.nan if self.empty == "nan" else 0
        gradient[self.targets.ignored] = 0

    def restored(self, rows: Array) -> Array:
        """Return rows in the shape of the logits."""
        return np.moveaxis(rows.reshape(self.moved), -1, self.axis)


def pose(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    axis: int,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    *,
    dtype: npt.DTypeLike | None = None,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Problem:
    """Check the arguments of `stablelse.nll`, and see to masks and empty vectors.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.nll`.
    """
    array, _, natural = promoted(logits)
    format_ = known_format(result_dtype(natural, dtype))
    if not array.ndim:
        raise ValueError("logits are vectors, with one number for each class, not a number")
    axis = normalize_axis_index(axis, array.ndim)
    n = array.shape[axis]
    if n == 0:
        raise ValueError("softmax of no elements")
    targets = targets_for(array.shape, axis, labels, weight, label_smoothing, ignore_index)
    last = np.moveaxis(array, axis, -1)
    mask: Any = None
    if where is not None:
        mask = np.moveaxis(masks.mask_for(array, where), axis, -1).reshape(-1, n)
    ready = masks.prepared(last.reshape(-1, n), mask, -1, "nan" if empty == "error" else empty)
    nothing = ready.nothing[:, 0]
    refused = (nothing & ~targets.ignored).reshape(last.shape[:-1])
    if empty == "error" and refused.any():
        raise masks.EmptyVectorError(masks.complaint(refused))
    return Problem(ready.x, mask, nothing, empty, targets, format_, axis, last.shape)
