"""The negative log-likelihood of labels and its gradient, exactly and as textbooks have them."""

from __future__ import annotations

from enum import Enum

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.loss import nll, nll_grad

#: No label is ignored here: rows with such labels were left out before.
_NONE = -1


class LossFunction(Enum):
    """What is computed of a vector of logits and its label."""

    LOSS = "nll"
    GRADIENT = "nll_grad"

    @property
    def function(self) -> Function:
        """What a formula of it computes first: the loss is -log p, the gradient p - onehot."""
        return Function.LOG_SOFTMAX if self is LossFunction.LOSS else Function.SOFTMAX


def exact_loss(
    function: LossFunction,
    x: Array,
    labels: Array,
    kept: Array | None,
    format_: Format,
    empty: str = "nan",
) -> Array:
    """Compute a loss or a gradient of every row, correctly rounded.

    Parameters
    ----------
    function : LossFunction
        What to compute.
    x : ndarray
        Shape (m, n), of the format or a narrower one.
    labels : ndarray of int
        Shape (m,), from 0; none is ignored.
    kept : ndarray of bool or None
        Shape (m, n), False where a class is masked.
    format_ : Format
        The format of the result.
    empty : str
        What becomes of vectors of which nothing is left, as `stablelse.nll` has it.

    Returns
    -------
    ndarray
        Shape (m, 1) for a loss, (m, n) for a gradient.
    """
    compute = nll if function is LossFunction.LOSS else nll_grad
    result: Array = compute(
        x.astype(format_.dtype, copy=False),
        labels,
        ignore_index=_NONE,
        reduction="none",
        where=kept,
        empty=empty,
    )
    return result.reshape(len(x), -1)


def textbook_loss(function: LossFunction, value: Array, labels: Array, kept: Array | None) -> Array:
    """Make a loss, shape (m, 1), of log_softmax, or a gradient, shape (m, n), of softmax."""
    rows, number = np.arange(len(value)), value.dtype.type
    with np.errstate(all="ignore"):
        if function is LossFunction.LOSS:
            loss: Array = number(0) - value[rows, labels][:, np.newaxis]
            return loss
        gradient: Array = value.copy()
        gradient[rows, labels] -= number(1)
    if kept is not None:
        gradient[~kept] = number(0)
    return gradient
