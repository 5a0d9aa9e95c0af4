"""The identity for any a, as a textbook writes it; a = max by default.

In every formula each operation is rounded to the format, and sums are pairwise
(`stablelse.numerics.formulas.formula.pairwise_sum`). Nothing guards the infinities: where the shift
is infinite, x - a is inf - inf, and the formula gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array
from stablelse.numerics.formulas.formula import Formula, Kind, Method, Operation
from stablelse.numerics.functions import Function

_DIFFERENCES = (
    Operation("a", Kind.SHIFT, ("x",)),
    Operation("d", Kind.SUBTRACT, ("x", "a")),
    Operation("e", Kind.EXP, ("d",)),
    Operation("s", Kind.SUM, ("e",)),
)
_LOG = Operation("l", Kind.LOG, ("s",))

#: d_i = x_i - a, e_i = exp(d_i), s = sum e_i, then y = a + log s, or p_j = e_j / s,
#: or g_j = d_j - log s.
#: The first two are algorithms 4.1 and 4.2 of Blanchard, Higham & Higham 2021, any a for theirs.
SHIFTED: dict[Function, Formula] = {
    function: Formula(function, Method.SHIFTED, (*_DIFFERENCES, *operations))
    for function, operations in {
        Function.LOGSUMEXP: (_LOG, Operation("y", Kind.ADD, ("a", "l"))),
        Function.SOFTMAX: (Operation("p", Kind.DIVIDE, ("e", "s")),),
        Function.LOG_SOFTMAX: (_LOG, Operation("g", Kind.SUBTRACT, ("d", "l"))),
    }.items()
}


class UnknownShiftError(ValueError):
    """A shift that is neither a rule of the table nor a number."""


class Shift(NamedTuple):
    """A choice of the a in the identity.

    Attributes
    ----------
    name : str
        The rule's name, or the number as it was given.
    rule : callable
        Takes x of shape (..., n) in some format and gives a, shape (..., 1).
    """

    name: str
    rule: Callable[[Array], Array]


def _mean(x: Array) -> Array:
    # In double precision at least, so that a narrow format's sum cannot overflow on the way
    # to a mean that fits; the entries are halved because float64's own sum of two might.
    wide = x.astype(np.result_type(np.float64, x.dtype))
    mean: Array = 2 * np.mean(wide / 2, axis=-1, keepdims=True)
    return mean


#: The rules a shift can be named by; any number is a shift too.
SHIFTS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: np.max(x, axis=-1, keepdims=True),
    "min": lambda x: np.min(x, axis=-1, keepdims=True),
    "mean": _mean,
}


def find_shift(name: str) -> Shift:
    """Return the shift of that name: a rule of `SHIFTS`, or a number.

    Raises
    ------
    UnknownShiftError
        If it is neither.
    """
    if name in SHIFTS:
        return Shift(name, SHIFTS[name])
    try:
        float(name)  # reads what numbers are written as; longdouble reads hexadecimals too
        number = np.longdouble(name.replace("_", "?"))
    except ValueError:
        raise UnknownShiftError(
            f"unknown shift {name!r}: choose from {', '.join(SHIFTS)}, or give a number"
        ) from None
    return Shift(name, lambda x: np.full((*x.shape[:-1], 1), number))
