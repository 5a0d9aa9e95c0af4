"""The functions of a vector by name, each correctly rounded."""

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
    """Compute a function of rows, shape (m, n): correctly rounded, (m, 1) for logsumexp."""
    name = function.value
    options: dict[str, Any] = {"keepdims": True, "dtype": format_.dtype, "empty": empty}
    value: Array = apply(name, partial(evaluate, name), x, 1, **options).value
    return value
