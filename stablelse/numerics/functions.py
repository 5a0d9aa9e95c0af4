"""What is computed of a vector: the functions by name, each correctly rounded."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Any

from stablelse.numerics.exact import evaluate
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.rows import apply


class Function(Enum):
    """What is computed of a vector x."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"


class LossFunction(Enum):
    """What is computed of a vector of logits and its label."""

    LOSS = "nll"
    GRADIENT = "nll_grad"

    @property
    def function(self) -> Function:
        """What a formula of it computes first: the loss is -log p, the gradient p - onehot."""
        return Function.LOG_SOFTMAX if self is LossFunction.LOSS else Function.SOFTMAX


def exact(function: Function, x: Array, format_: Format, empty: str = "nan") -> Array:
    """Compute a function of every row, correctly rounded.

    Parameters
    ----------
    function : Function
        What to compute.
    x : ndarray
        Shape (m, n), n >= 1, of the format.
    format_ : Format
        The format of x and of the result.
    empty : str
        What softmax and log_softmax are of nothing but -inf, as `stablelse.softmax` has it.

    Returns
    -------
    ndarray
        Shape (m, 1) for logsumexp, (m, n) for the others.
    """
    name = function.value
    options: dict[str, Any] = {"keepdims": True, "dtype": format_.dtype, "empty": empty}
    value: Array = apply(name, partial(evaluate, name), x, 1, **options).value
    return value
