"""What is computed of a vector: the functions by name, each with the library's own way."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from stablelse.numerics import arrays
from stablelse.numerics.formats import Array


class Function(Enum):
    """What is computed of a vector x."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"


#: The library's own functions, along the last axis: (..., n) to (..., 1) for logsumexp,
#: to (..., n) for the others.
LIBRARY: dict[Function, Callable[[Array], Any]] = {
    Function.LOGSUMEXP: lambda x: arrays.logsumexp(x, axis=-1, keepdims=True),
    Function.SOFTMAX: lambda x: arrays.softmax(x, axis=-1),
    Function.LOG_SOFTMAX: lambda x: arrays.log_softmax(x, axis=-1),
}
