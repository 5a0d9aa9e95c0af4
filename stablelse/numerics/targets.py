"""The arguments of `nll` and `nll_grad`: logits as rows, and targets as weights of the classes.

With any options, the loss of a vector of logits x is sum_c t_c (-log softmax(x)_c), and its
gradient T softmax(x) - t, where T = sum_c t_c. For a label, t is 1 there and 0 elsewhere; class
weights, label smoothing and probabilities only change t:

    t_c = weight_c ((1 - smoothing) q_c + smoothing / classes)

where q is the probabilities, or 1 at the label and 0 elsewhere.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from stablelse.numerics import doubleword, exact
from stablelse.numerics.certificate import Rung
from stablelse.numerics.doubleword import Pair, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.inputs import check_finite, known_format, promoted, real_numbers
from stablelse.numerics.rows import Rows, Stack, by_policy, check_policy, mask_for

if TYPE_CHECKING:
    import numpy.typing as npt


#: How to combine the losses of many vectors, as in PyTorch.
REDUCTIONS = ("none", "mean", "sum")


class LabelError(ValueError):
    """A label is not a class, or labels do not fit the logits."""


class Targets(NamedTuple):
    """The targets of m vectors over n classes: labels or probabilities."""

    labels: Array | None  # shape (m,), integers from 0; 0 where ignored
    probabilities: Array | None  # shape (m, n), float64
    ignored: Array  # shape (m,), bool: True for vectors whose t are all 0
    weight: Array | None  # shape (n,), float64: of the classes
    smoothing: float  # the share of each target that is spread evenly over all classes

    @property
    def is_sparse(self) -> bool:
        """Whether every t is 0 except at the label."""
        return self.probabilities is None and not self.smoothing

    @property
    def denominator(self) -> Fraction:
        """The divisor of a mean: the sum of the labels' weights, or the number of vectors."""
        if self.labels is None or self.weight is None:
            return Fraction(int(np.count_nonzero(~self.ignored)))
        counts = np.bincount(self.labels[~self.ignored])
        (used,) = np.nonzero(counts)
        pairs = zip(counts[used].tolist(), self.weight[used].tolist(), strict=True)
        return sum((count * Fraction(weight) for count, weight in pairs), Fraction(0))

    def of_labels(self, rows: Any) -> tuple[Array, Array]:
        """Return labels of some vectors, and their t, shape (k,); 0 where they are ignored."""
        assert self.labels is not None, "these targets are probabilities"
        labels = self.labels[rows]
        t = np.ones(len(labels)) if self.weight is None else self.weight[labels]
        return labels, np.where(self.ignored[rows], 0.0, t)

    def words(self, rows: Any, n: int, mask: Array | None) -> Pair:
        """Return the t of some vectors in two words, shape (k, n); relative error 2**-99.

        mask, shape (k, n), is False for classes to leave out; they get no share.
        """
        some = np.arange(len(self.ignored))[rows]
        own: Any = ... if self.labels is None else (np.arange(len(some)), self.labels[some])
        q = np.ones(len(some)) if self.probabilities is None else self.probabilities[some]
        t, t_low = np.zeros((2, len(some), n))
        if self.smoothing:
            kept = np.ones((1, n)) if mask is None else mask.astype(np.float64)
            classes = np.maximum(kept.sum(axis=1, keepdims=True), 1.0)
            inverse = doubleword.reciprocal((classes, np.zeros(1)))
            share, share_low = doubleword.product(inverse, (self.smoothing, 0.0))
            # a target that underflows is not 0: the loss of its class may be infinite
            t[...], t_low[...] = np.maximum(share, 5e-324) * kept, share_low * kept
            rest, rest_low = two_sum(1.0, -self.smoothing)
            part, part_low = two_product(q, rest)
            more = part, part_low + q * rest_low
            t[own], t_low[own] = doubleword.plus((t[own], t_low[own]), more)
        else:
            t[own] = q
        if self.weight is not None:
            least = np.where((t > 0) & (self.weight > 0), 5e-324, 0.0)
            t, t_low = doubleword.product((t, t_low), (self.weight, np.zeros(n)))
            t = np.maximum(t, least)
        t[self.ignored[some]] = t_low[self.ignored[some]] = 0
        return t, t_low

    def fractions(self, row: int, n: int, mask: Array | None) -> list[Fraction]:
        """Return the t of a vector exactly; its mask has the shape (n,)."""
        if self.ignored[row]:
            return [Fraction(0)] * n
        q, spread = [0.0] * n, Fraction(self.smoothing)
        if self.probabilities is not None:
            q = self.probabilities[row].tolist()
        elif self.labels is not None:
            q[self.labels[row]] = 1.0
        kept = [True] * n if mask is None else mask.tolist()
        share = spread / max(sum(kept), 1)
        weight = [1.0] * n if self.weight is None else self.weight.tolist()
        parts = zip(weight, map(Fraction, q), kept, strict=True)
        return [Fraction(w) * ((1 - spread) * part + share * keep) for w, part, keep in parts]


class LossInputs(NamedTuple):
    """Logits as rows, and everything that belongs to them."""

    rows: Rows
    nothing: Array  # shape (m,): which rows are completely masked or hold only -inf
    empty: str  # the policy for those
    targets: Targets
    divisor: Fraction  # of the losses and gradients
    format: Format  # of the results
    rung: Rung  # the first that computes
    stack: Stack  # where the rows come from

    def finish_gradient(self, gradient: Array) -> Array:
        """Fill in the elements that do not depend on logits; return all in the logits' shape."""
        if self.rows.mask is not None:
            np.copyto(gradient, gradient.dtype.type(0), where=~self.rows.mask)
        gradient[self.nothing] = np.nan if self.empty == "nan" else 0
        gradient[self.targets.ignored] = 0
        return self.stack.restored(gradient)


def loss_inputs(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    axis: int = -1,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: npt.DTypeLike | None = None,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> LossInputs:
    """Check the arguments of `stablelse.nll`, and turn them into rows."""
    check_policy(empty)
    if reduction not in REDUCTIONS:
        raise ValueError(f"unknown reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
    array, _, target = promoted(logits, dtype=dtype)
    format_ = known_format(target)
    if not array.ndim:
        raise ValueError("logits are vectors with one number for each class, not a single number")
    axis = normalize_axis_index(axis, array.ndim)
    stack = Stack(array.shape, axis)
    if stack.n == 0:
        raise ValueError(f"logits of shape {array.shape} have no classes")
    targets = _targets(stack, axis, labels, weight, label_smoothing, ignore_index)
    mask = None if where is None else stack.rows(mask_for(array, where))
    rows, nothing = Rows(stack.rows(array), format_.dtype, mask), np.zeros(stack.m, bool)
    if mask is not None or empty != "nan":
        shape = stack.reduced_shape(keepdims=False)
        rows, nothing = by_policy(rows, empty, shape, ~targets.ignored)
    divisor = targets.denominator if reduction == "mean" else Fraction(1)
    if empty == "zero":
        targets = targets._replace(ignored=targets.ignored | nothing)
    x = exact.for_kernel(rows.x, format_of(array.dtype) or FORMATS["float64"])
    rung = Rung.DOUBLE_WORD if x is None else Rung.KERNEL
    rows = rows if x is None else rows._replace(x=x)
    return LossInputs(rows, nothing, empty, targets, divisor, format_, rung, stack)


def _targets(
    stack: Stack,
    axis: int,
    labels: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    label_smoothing: Any,
    ignore_index: Any,
) -> Targets:
    """Return the targets of a stack of vectors, with the classes along an axis."""
    if not (hasattr(label_smoothing, "__float__") and 0 <= label_smoothing <= 1):
        raise ValueError(f"label_smoothing={label_smoothing!r} is not a number between 0 and 1")
    if not hasattr(ignore_index, "__index__"):
        raise TypeError(f"ignore_index must be an integer, not {ignore_index!r}")
    shape, n, smoothing = stack.shape, stack.n, float(label_smoothing)
    weights = None if weight is None else real_numbers(weight, "weight").astype(np.float64)
    if weights is not None and weights.shape != (n,):
        raise ValueError(f"weight of shape {weights.shape}: {n} classes need shape ({n},)")
    check_finite(weights, "weight", "weights are finite and not negative", 0)
    given = real_numbers(labels, "labels")
    if given.shape == shape and (given.dtype.kind == "f" or format_of(given.dtype)):
        given = given.astype(np.float64)
        check_finite(given, "labels", "probabilities are finite and not negative", 0)
        return Targets(None, stack.rows(given), np.zeros(stack.m, bool), weights, smoothing)
    if given.shape == shape and given.dtype.kind in "biu":
        given = _of_one_hot(given, axis)
    flat = _indices(given, shape, axis)
    ignored = flat == ignore_index
    wrong = np.flatnonzero(((flat < 0) | (flat >= n)) & ~ignored)
    if wrong.size:
        place = np.unravel_index(wrong[0], given.shape)
        where = f" at [{', '.join(map(str, map(int, place)))}]" if given.ndim else ""
        raise LabelError(f"label {flat[wrong[0]]}{where} is not a class: {classes_text(n)}")
    indices = np.where(ignored, 0, flat).astype(np.int64)
    return Targets(indices, None, ignored, weights, smoothing)


def _of_one_hot(labels: Array, axis: int) -> Array:
    """Return the position of the 1 in each vector."""
    if not (((labels == 0) | (labels == 1)).all() and (labels.sum(axis=axis) == 1).all()):
        raise LabelError(
            "labels in the shape of the logits are one-hot, with a single 1 in each vector, or "
            "probabilities, which are floating-point numbers"
        )
    indices: Array = labels.argmax(axis=axis)
    return indices


def _indices(labels: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Return labels as a flat array, or raise an error if they do not fit."""
    of_labels = [shape[:other] + shape[other + 1 :] for other in range(len(shape))]
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(
            f"labels are class indices, integers from 0, not {labels.dtype} of shape {labels.shape}"
        )
    if labels.shape != of_labels[axis]:
        others = [other for other, fitting in enumerate(of_labels) if fitting == labels.shape]
        raise LabelError(
            f"labels of shape {labels.shape} do not fit logits of shape {shape}: one label for "
            f"each vector of {shape[axis]} needs shape {of_labels[axis]}"
            + (f", or say axis={others[0]} if that axis has the classes" if others else "")
        )
    return labels.ravel()


def classes_text(n: int) -> str:
    """Describe the possible labels in words."""
    return f"the labels of {n:,} classes are 0 to {n - 1}" if n > 1 else "the only label is 0"
