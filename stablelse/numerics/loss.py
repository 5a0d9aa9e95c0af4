"""The negative log-likelihood of a softmax output, -x_label + lse(x), and its gradient.

Arguments mean what they mean in ``torch.nn.functional.cross_entropy`` (2.x), but for `where` and
`empty`, which PyTorch does not know, and `axis`: PyTorch has the classes on axis 1 of logits with
more than one axis, and here they are on the last unless `axis` says otherwise. Of two axes that is
the same. Results differ where PyTorch's are not right:

- every result is correctly rounded, sums and means of many losses and their gradients included;
- a class of weight 0 adds nothing, whatever its logit is; PyTorch makes 0 * inf = NaN of it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics import labelled
from stablelse.numerics.formats import Array, Format, nearest
from stablelse.numerics.targets import REDUCTIONS, LossInputs, loss_inputs

if TYPE_CHECKING:
    import numpy.typing as npt


def nll(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute the negative log-likelihood of labels: -x_label + lse(x), a cross-entropy.

    Parameters
    ----------
    logits : array_like
        Real numbers, any shape; a vector along `axis`, with one logit for each of n classes.
    labels : array_like
        Integers, the shape of `logits` without `axis`: the index of the class, from 0. Or, in
        the shape of `logits`, finite floating-point numbers: the probability of each class.
    axis : int
        The axis of the classes: by default the last; 1 is PyTorch's.
    weight : array_like, optional
        Shape (n,), finite: what a loss of each class counts; 1 if left out.
    label_smoothing : float
        How much of each target is spread evenly over all classes that are not masked.
    ignore_index : int
        A label that tells to leave the vector out: its loss is 0, and a mean does not count it.
    reduction : {"none", "mean", "sum"}
        The losses one by one, their sum, or that divided by the sum of the labels' weights (by
        the number of vectors, without weights or with probabilities); NaN if that is 0.
    dtype, return_certificate
        As of `stablelse.logsumexp`; a certificate counts losses, or the one sum of them.
    where : array_like of bool, optional
        False for classes that are left out: their logits count as -inf. Broadcast to the shape of
        `logits`. The loss of a label that is masked is infinite.
    empty : {"nan", "zero", "uniform", "error"}
        What becomes of a vector that is completely masked or holds only -inf: the loss is NaN,
        0, that of equal logits (log n), or a ValueError.

    Returns
    -------
    scalar or ndarray
        In the format of `logits` (float64 for integers and bools): a scalar, or in the shape of
        `labels` without a reduction; and with `return_certificate` a `Certificate`.

    Raises
    ------
    TypeError
        If the logits are not real numbers, or labels neither integers nor probabilities.
    ValueError
        If shapes do not fit, a label is not a class, or an option has no such value.

    Notes
    -----
    Results are correctly rounded: `stablelse.numerics.labelled` says how. Only with negative
    weights, where losses cancel to within 10**-2500 of a tie, does the tie decide.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll([[40.0, 0.0], [1.0, 2.0]], [0, 1], reduction="none")
    array([4.24835426e-18, 3.13261688e-01])
    """
    _check_reduction(reduction)
    inputs = loss_inputs(
        logits, labels, axis, weight, label_smoothing, ignore_index, dtype, where, empty
    )
    if reduction == "none":
        losses, certificate = labelled.losses(inputs)
        result = inputs.finish_losses(losses)[()]
    else:
        result, certificate = labelled.reduced_loss(inputs, _divisor(inputs, reduction))
    return (result, certificate) if return_certificate else result


def nll_grad(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute the gradient of `nll` with respect to the logits.

    Of the loss of a single vector it is softmax(x) - onehot(label). With the reductions "none"
    and "sum" every vector has that of its own loss; "mean" divides it as it divides the losses.

    Parameters
    ----------
    logits, labels, axis, weight, label_smoothing, ignore_index, reduction, dtype, where, empty
        As of `nll`.
    return_certificate : bool
        Return a `Certificate` too, which counts elements.

    Returns
    -------
    ndarray
        The shape of `logits`, and their format; float64 for integers and bools. What is masked
        or ignored has the gradient 0, and so have vectors with nothing left, unless
        the policy is "nan".

    Raises
    ------
    TypeError, ValueError
        As `nll`.

    Notes
    -----
    Every element is correctly rounded, that of the label, -(1 - p), and those that a target
    cancels included.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll_grad([40.0, 0.0], 0)
    array([-4.24835426e-18,  4.24835426e-18])
    """
    _check_reduction(reduction)
    inputs = loss_inputs(
        logits, labels, axis, weight, label_smoothing, ignore_index, dtype, where, empty
    )
    gradient, certificate = labelled.gradient(inputs, _divisor(inputs, reduction))
    result = inputs.finish_gradient(gradient)
    return (result, certificate) if return_certificate else result


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"unknown reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")


def _divisor(inputs: LossInputs, reduction: str) -> Fraction:
    return inputs.targets.denominator if reduction == "mean" else Fraction(1)


class RunningLoss:
    """The sum or the mean of losses that come in stacks, rounded once to a format.

    A single stack is reduced as `nll` reduces it. The sums of several are added exactly, and so are
    the bounds of their errors. If the bound leaves the rounding in doubt, the sum itself decides:
    then alone the result is not proved.
    """

    def __init__(self, format_: Format) -> None:
        self._format = format_
        self._first: LossInputs | None = None
        self._total = self._error = self._divisor = Fraction(0)
        self._special = 0.0

    def add(self, logits: Array, labels: Array, where: Array | None, empty: str) -> None:
        """Take a stack, shape (m, n), with labels, shape (m,); -1 leaves a row out."""
        inputs = loss_inputs(
            logits, labels, ignore_index=-1, dtype=self._format.dtype, where=where, empty=empty
        )
        if not self._divisor:
            self._first = inputs
        else:
            if self._first is not None:
                self._take(self._first)
                self._first = None
            self._take(inputs)
        self._divisor += inputs.targets.denominator

    def _take(self, inputs: LossInputs) -> None:
        total, error, special = labelled.summed(inputs)
        self._total += total
        self._error += error
        self._special += special

    def reduced(self, reduction: str) -> Any:
        """Return the mean or the sum of all losses so far."""
        divisor = self._divisor if reduction == "mean" else Fraction(1)
        if self._first is not None:
            return labelled.reduced_loss(self._first, divisor)[0]
        if self._special or not divisor:
            return self._format.round(np.float64(self._special if divisor else np.nan))[()]
        ends = (self._total - self._error, self._total + self._error)
        low, high = (nearest(end / divisor, self._format) for end in ends)
        return low if low == high else nearest(self._total / divisor, self._format)
