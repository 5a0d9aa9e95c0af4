"""The negative log-likelihood of a softmax output, -x_label + lse(x), and its gradient.

Arguments mean what they mean in ``torch.nn.functional.cross_entropy`` (2.x), but for `where` and
`empty`, which PyTorch does not know, and `axis`: PyTorch has the classes on axis 1 of logits with
more than one axis, and here they are on the last unless `axis` says otherwise. Of two axes that is
the same. Results differ where PyTorch's are not right:

- where the label dominates, the loss is log1p of what is left, not the difference of two numbers
  that are almost equal;
- the gradient there is -(1 - p) = expm1(log p), with all of its digits;
- a class of weight 0 adds nothing, whatever its logit is; PyTorch makes 0 * inf = NaN of it;
- losses are added up in double precision at least, and rounded to the format once.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics import exact, exact_loss
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.labelled import pose
from stablelse.numerics.targets import REDUCTIONS, Targets

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
    """Compute the negative log-likelihood of labels under the softmax of logits.

    That is -x_label + lse(x) for a vector x of logits: a cross-entropy.

    Parameters
    ----------
    logits : array_like
        Real numbers, any shape; a vector along `axis`, with one logit for each of n classes.
    labels : array_like
        Integers, the shape of `logits` without `axis`: the index of the class, from 0. Or, in
        the shape of `logits`, floating-point numbers: the probability of each class.
    axis : int
        The axis of the classes: the last one, if not given. PyTorch's logits of shape
        (N, C, d1, d2) have them on axis 1.
    weight : array_like, optional
        Shape (n,): what a loss of each class counts; 1 if left out.
    label_smoothing : float
        How much of each target is spread evenly over all classes that are not masked.
    ignore_index : int
        A label that tells to leave the vector out: its loss is 0, and a mean does not count it.
    reduction : {"none", "mean", "sum"}
        The losses one by one, their sum, or that divided by the sum of the labels' weights (by
        the number of vectors, without weights or with probabilities); NaN if that is 0.
    dtype : dtype_like, optional
        The format of the results, as of `stablelse.logsumexp`.
    return_certificate : bool
        Return a `Certificate` too, which counts all elements of the log_softmax; of single losses
        alone, with the reduction "none".
    where : array_like of bool, optional
        False where there is no such class: its logit counts as -inf. Broadcast to the shape of
        `logits`. The loss of a label that is masked is infinite.
    empty : {"nan", "zero", "uniform", "error"}
        What becomes of a vector that is masked throughout or holds -inf alone: the loss is NaN,
        0, that of equal logits (log n), or a ValueError.

    Returns
    -------
    scalar or ndarray
        In the format of `logits`, float64 for integers and bools: of the shape of `labels`
        without a reduction, otherwise a scalar.

    Raises
    ------
    TypeError
        If the logits are no real numbers, or labels neither integers nor probabilities.
    ValueError
        If shapes do not fit, a label is no class, or an option has no such value.

    Notes
    -----
    Without weights and smoothing, the single losses are correctly rounded, however small.
    Means and sums, and with weights or smoothing all losses, have no proved bound: in the tests
    they are within 12 ulp in float64, as long as no weight is negative. Narrower formats are
    computed in float64 and rounded once.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll([[40.0, 0.0], [1.0, 2.0]], [0, 1], reduction="none")
    array([4.24835426e-18, 3.13261688e-01])
    >>> import numpy as np
    >>> stablelse.nll(np.zeros((2, 3, 4)), np.zeros((2, 4), int), axis=1)  # 3 classes
    np.float64(1.0986122886681098)
    """
    _check_reduction(reduction)
    problem = pose(
        logits,
        labels,
        axis,
        weight,
        label_smoothing,
        ignore_index,
        dtype=dtype,
        where=where,
        empty=empty,
    )
    targets, work = problem.targets, problem.format
    if return_certificate:
        if reduction != "none" or not targets.is_plain:
            raise ValueError(
                "only single losses of labels are certified: with return_certificate, say "
                'reduction="none", and leave out weight and label_smoothing'
            )
        single, certificate = exact_loss.losses(problem)
        return single[()], certificate
    if reduction != "none" or not targets.is_plain:
        work = _at_least_float64(work)
    losses = np.zeros(len(problem.x), work.dtype)
    with np.errstate(all="ignore"):
        for band, x, mask in problem.bands():
            t = targets.of(band, mask, problem.n)
            logarithms = exact.log_softmax(x, work)
            terms = np.multiply(t, -logarithms, where=t != 0, out=np.zeros(t.shape, work.dtype))
            losses[band] = terms.sum(axis=1, dtype=work.dtype)
        problem.settle_losses(losses)
        if reduction == "none":
            return problem.format.round(losses).reshape(problem.shape)[()]
        total = _total(losses)
        return problem.format.round(total / _divisor(targets, reduction))[()]


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

    Returns
    -------
    ndarray
        The shape of `logits`, and their format; float64 for integers and bools. What is masked
        or ignored has the gradient 0; and so have the vectors of which nothing is left, unless
        the policy is "nan".

    Raises
    ------
    TypeError, ValueError
        As `nll`.

    Notes
    -----
    The element of the label is -(1 - p), computed without the difference. For labels without
    smoothing elements are within 12 ulp of the exact values in the tests of float64, which is
    not proved; narrower formats are computed in float64 and rounded once. With smoothing, or
    probabilities, p and the target may cancel; then that is 12 ulp of the larger of the two.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll_grad([40.0, 0.0], 0)
    array([-4.24835426e-18,  4.24835426e-18])
    """
    _check_reduction(reduction)
    problem = pose(
        logits,
        labels,
        axis,
        weight,
        label_smoothing,
        ignore_index,
        dtype=dtype,
        where=where,
        empty=empty,
    )
    targets, work = problem.targets, _at_least_float64(problem.format)
    gradient = np.zeros(problem.x.shape, problem.format.dtype)
    with np.errstate(all="ignore"):
        divisor = _divisor(targets, reduction)
        for band, x, mask in problem.bands():
            d = _difference(x, targets.of(band, mask, problem.n), work)
            gradient[band] = problem.format.round(d / divisor)
    gradient += gradient.dtype.type(0)  # what underflows has no sign
    problem.settle_gradient(gradient)
    return problem.restored(gradient)


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"unknown reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")


def _difference(x: Array, t: Array, work: Format) -> Array:
    """Return T softmax(x) - t, T the sum of t, of rows.

    Where t is largest, T p - t = T (p - 1) + (T - t): the first is T expm1(log p), and the
    second the sum of all other t, 0 for a label.
    """
    total = t.sum(axis=1, dtype=work.dtype, keepdims=True)
    d: Array = exact.softmax(x, work) * total - t
    rows, label = np.arange(len(t)), t.argmax(axis=1)
    logarithms = exact.log_softmax(x, work)[rows, label]
    t[rows, label] = 0
    others = t.sum(axis=1, dtype=work.dtype)
    d[rows, label] = total[:, 0] * np.expm1(logarithms) + others
    return d


def _at_least_float64(format_: Format) -> Format:
    wide = FORMATS["float64"]
    return wide if format_.significand_bits < wide.significand_bits else format_


def _total(losses: Array) -> Any:
    """Return the sum of the losses, rounded once in float64."""
    if losses.dtype == np.float64 and np.isfinite(losses).all():
        try:
            return np.float64(fsum(losses.tolist()))
        except OverflowError:
            return np.float64(np.inf)
    return losses.sum()


def _divisor(targets: Targets, reduction: str) -> float:
    return targets.denominator if reduction == "mean" else 1.0
