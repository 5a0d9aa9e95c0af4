"""What is computed of a vector: the functions by name, each correctly rounded."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from stablelse.numerics import exact as rounded
from stablelse.numerics import masks
from stablelse.numerics.formats import Array, Format


class Function(Enum):
    """What is computed of a vector x."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"


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
    if function is Function.LOGSUMEXP:
        return rounded.logsumexp(x, format_)[0][:, np.newaxis]
    compute, of_nothing = _ELEMENTWISE[function]

    def of_rows(rows: Array, dtype: object, place: object) -> tuple[Array, None]:
        return compute(rows, format_), None

    result: Array = masks.elementwise(of_rows, x, -1, None, None, empty, of_nothing)[0]
    return result


#: What computes the elements of rows, and what becomes of x = -inf.
_ELEMENTWISE: dict[Function, tuple[Callable[[Array, Format], Array], float]] = {
    Function.SOFTMAX: (rounded.softmax, 0.0),
    Function.LOG_SOFTMAX: (rounded.log_softmax, -np.inf),
}
