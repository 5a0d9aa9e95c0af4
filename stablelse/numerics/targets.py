"""What a loss is to come close to: labels, or probabilities, as weights of the classes.

Whatever is asked for, the loss of a vector of logits x is sum_c t_c (-log softmax(x)_c), and its
gradient T softmax(x) - t, where T = sum_c t_c. For a label the t is 1 there and 0 elsewhere;
class weights, label smoothing and probabilities change t, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, format_of
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

#: How the losses of many vectors become one, as in PyTorch.
REDUCTIONS = ("none", "mean", "sum")


class LabelError(ValueError):
    """A label that is no class, or labels that do not fit the logits."""


class Targets(NamedTuple):
    """The targets of m vectors over n classes.

    Attributes
    ----------
    labels : ndarray of int or None
        Shape (m,), from 0; 0 where it is to be ignored. ``None`` where there are probabilities.
    probabilities : ndarray or None
        Shape (m, n).
    ignored : ndarray of bool
        Shape (m,).
    weight : ndarray or None
        Shape (n,): the weights of the classes.
    smoothing : float
        How much of each target is spread evenly over all classes.
    """

    labels: Array | None
    probabilities: Array | None
    ignored: Array
    weight: Array | None
    smoothing: float

    @property
    def is_plain(self) -> bool:
        """Whether every t is 1 at the label and 0 elsewhere."""
        return self.probabilities is None and self.weight is None and not self.smoothing

    def of(self, band: slice, mask: Array | None, n: int) -> Array:
        """Return the t of some of the vectors, shape (k, n); 0 for those that are ignored.

        Parameters
        ----------
        band : slice
            Which ones.
        mask : ndarray of bool or None
            Shape (k, n), False where there is no class; nothing is spread there.
        n : int
            The number of classes.
        """
        if self.labels is None:
            assert self.probabilities is not None, "targets are labels or probabilities"
            t = (1 - self.smoothing) * self.probabilities[band]
        else:
            labels = self.labels[band]
            t = np.zeros((len(labels), n))
            t[np.arange(len(labels)), labels] = 1 - self.smoothing
        if self.smoothing:
            classes = n if mask is None else np.count_nonzero(mask, axis=1, keepdims=True)
            spread = self.smoothing / np.maximum(classes, 1)
            t += spread if mask is None else spread * mask
        if self.weight is not None:
            t *= self.weight
        t[self.ignored[band]] = 0
        return t

    @property
    def denominator(self) -> float:
        """What a mean divides by: the weights of the labels, or how many vectors there are."""
        from math import fsum

        if self.labels is None or self.weight is None:
            return float(np.count_nonzero(~self.ignored))
        return fsum(self.weight[self.labels[~self.ignored]].tolist())


def targets_for(
    shape: tuple[int, ...],
    axis: int,
    labels: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    label_smoothing: float,
    ignore_index: int,
) -> Targets:
    """Return what logits of a shape are to come close to.

    Parameters
    ----------
    shape : tuple of int
        Of the logits.
    axis : int
        Along which the classes lie, not negative.
    labels, weight, label_smoothing, ignore_index
        As `stablelse.nll` has them.

    Raises
    ------
    TypeError
        If the labels are neither integers nor, in the shape of the logits, real numbers.
    LabelError
        If there is not one for each vector, or one of them is no class.
    ValueError
        If the weights or the smoothing cannot be.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing} is not between 0 and 1")
    n = shape[axis]
    weights = None if weight is None else real_numbers(weight).astype(np.float64)
    if weights is not None and weights.shape != (n,):
        raise ValueError(f"weight of shape {weights.shape}: {n} classes need shape ({n},)")
    given = real_numbers(labels)
    if given.shape == shape and (given.dtype.kind == "f" or format_of(given.dtype)):
        flat = np.moveaxis(given, axis, -1).reshape(-1, n).astype(np.float64)
        nothing = np.zeros(len(flat), bool)
        return Targets(None, flat, nothing, weights, label_smoothing)
    if given.shape == shape and given.dtype.kind in "biu":
        given = _of_one_hot(given, axis)
    flat = _indices(given, shape, axis)
    ignored = flat == ignore_index
    wrong = _first_misfit(flat, n, ignore_index)
    if wrong is not None:
        place = np.unravel_index(wrong, given.shape)
        where = f" at [{', '.join(map(str, map(int, place)))}]" if given.ndim else ""
        raise LabelError(f"label {flat[wrong]}{where} is no class: {classes_text(n)}")
    indices = np.where(ignored, 0, flat).astype(np.int64)
    return Targets(indices, None, ignored, weights, label_smoothing)


def _of_one_hot(labels: Array, axis: int) -> Array:
    """Return where the 1 of each vector is."""
    if not (((labels == 0) | (labels == 1)).all() and (labels.sum(axis=axis) == 1).all()):
        raise LabelError(
            "labels in the shape of the logits are one-hot, with a single 1 in each vector, or "
            "probabilities, which are floating-point numbers"
        )
    indices: Array = labels.argmax(axis=axis)
    return indices


def _indices(labels: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Return labels in a row, or raise where they are none."""
    of_labels = [shape[:other] + shape[other + 1 :] for other in range(len(shape))]
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(
            f"labels are class indices, integers from 0, not {labels.dtype} of shape {labels.shape}"
        )
    if labels.shape != of_labels[axis]:
        others = [other for other, fitting in enumerate(of_labels) if fitting == labels.shape]
        raise LabelError(
            f"labels of shape {labels.shape} do not fit: one for each vector of {shape[axis]} "
            f"logits is shape {of_labels[axis]}"
            + (f"; classes on axis {others[0]}? use axis={others[0]}" if others else "")
        )
    return labels.ravel()


def _first_misfit(labels: Array, n: int, ignore_index: int) -> int | None:
    """Return the place of the first label that is neither a class nor to be ignored, if any."""
    wrong = np.flatnonzero(((labels < 0) | (labels >= n)) & (labels != ignore_index))
    return int(wrong[0]) if wrong.size else None


def classes_text(n: int) -> str:
    """Return which labels there are."""
    return f"the labels of {n:,} classes are 0 to {n - 1}" if n > 1 else "the only label is 0"
