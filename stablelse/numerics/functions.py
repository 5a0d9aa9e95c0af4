"""The functions of a vector by name: correctly rounded values, errors, and conditioning."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from stablelse.numerics.exact import evaluate
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.rows import apply


class Function(Enum):
    """The functions of a vector x, found by their own names and by those of their commands."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"

    @property
    def command(self) -> str:
        """The name of its command."""
        return "lse" if self is Function.LOGSUMEXP else self.value.replace("_", "-")

    @classmethod
    def _missing_(cls, value: object) -> Function:
        for function in cls:
            if function.command == value:
                return function
        choices = ", ".join(function.value for function in cls)
        raise ValueError(f"unknown function {value!r}: choose from {choices}")


class LossFunction(Enum):
    """The functions of a vector of logits and its label."""

    LOSS = "nll"
    GRADIENT = "nll_grad"

    @property
    def function(self) -> Function:
        """The function that it builds on: the loss is -log p, the gradient p - onehot."""
        return Function.LOG_SOFTMAX if self is LossFunction.LOSS else Function.SOFTMAX


def exact_values(
    function: Function, x: Array, format_: Format, empty: str = "nan", kept: Array | None = None
) -> Array:
    """Compute a function of rows, shape (m, n), correctly rounded; logsumexp has shape (m, 1).

    `kept`, shape (m, n), is False for masked elements, whose x is -inf.
    """
    name = function.value
    options: dict[str, Any] = {"keepdims": True, "dtype": format_.dtype, "empty": empty}
    value: Array = apply(name, partial(evaluate, name), x, 1, where=kept, **options).value
    return value


def exact_weighted(x: Array, weights: Array, format_: Format) -> tuple[Array, Array]:
    """Compute log |sum b e^x| of rows, correctly rounded, and the sums' signs, shape (m, 1)."""
    options: dict[str, Any] = {"keepdims": True, "signed": True, "dtype": format_.dtype}
    name = Function.LOGSUMEXP.value
    results = apply(name, partial(evaluate, name), x, 1, b=weights, **options)
    return results.value, results.sign


def ulp_error(value: Array, right: Array, format_: Format) -> Array:
    """Return the distance of results from the correctly rounded ones, in ulps of the latter.

    The ulp of a number in [2**e, 2**(e + 1)) is 2**(e - p + 1), and the smallest subnormal number
    below the normal range (Muller et al. 2018, Handbook of Floating-Point Arithmetic, 2.3.2).
    Both arrays have the same format and shape, and so has the result: see `_distance`.
    """
    # float64 is wide enough for all formats except longdouble, and several times as fast.
    is_wide = format_.significand_bits > FORMATS["float64"].significand_bits
    number: Any = np.longdouble if is_wide else np.float64
    with np.errstate(all="ignore"):
        wide, right = value.astype(number), right.astype(number)
        _, exponent = np.frexp(right)  # right = m 2**exponent, 1/2 <= m < 1
        ulp = np.ldexp(number(1), exponent - format_.significand_bits)
        smallest = number(format_.smallest_subnormal)
        ulp = np.where(right == 0, smallest, np.maximum(ulp, smallest))
        distance = _distance(wide / ulp, right / ulp)  # both quotients are exact
        return distance.astype(np.float64)


def relative_error(value: Array, reference: Array) -> Array:
    """Return the relative error of each row, normwise: max abs(error) / max abs(reference).

    Both have the shape (m, k), the reference a wider format. The norms are over finite entries.
    """
    with np.errstate(all="ignore"):
        wide, right = value.astype(np.longdouble), reference.astype(np.longdouble)
        distance = _distance(wide, right).max(axis=-1)
        error: Array = np.where(distance == 0, 0, distance / _norm(right))
        return error.astype(np.float64)


def _distance(value: Array, right: Array) -> Array:
    """Return abs(value - right): 0 if both are the same, even NaN; inf if only one is finite."""
    same = (value == right) | (np.isnan(value) & np.isnan(right))
    finite = np.isfinite(value) & np.isfinite(right)
    return np.where(same, 0, np.where(finite, abs(value - right), np.inf))


def correct_digits(relative: Array, format_: Format) -> Array:
    """Return how many significant decimal digits are right: -log10 of the relative error.

    That is between 0 and -log10(u), 15.95 in float64.
    """
    most = -np.log10(format_.unit_roundoff)
    with np.errstate(divide="ignore"):
        digits: Array = np.log10(relative)
    return -digits.clip(-most, 0) + 0.0  # no -0.0


def condition_number(
    function: Function, x: Array, value: Array, cancels: Array | None = None
) -> Array:
    """Return the largest relative change of the result per relative change of x.

    That is norm(J) norm(x) / norm(f(x)) in the infinity norm, where J holds the derivatives of
    the function f (Blanchard, Higham & Higham 2021, section 2). With p the softmax of x,

    - logsumexp has the gradient p, whose entries add up to 1 (their equation 2.2);
      with weights, abs(b_i) exp(x_i) over the absolute value of the sum, which add up to `cancels`;
    - softmax has dp_i/dx_j = p_i (1 - p_i) where i = j and -p_i p_j elsewhere: the absolute
      values of row i add up to 2 p_i (1 - p_i) (their equation 2.5);
    - log_softmax, which they leave out, has 1 - p_i and -p_j: 2 (1 - p_i).

    It is a property of the problem, which no formula changes: an ill-conditioned result is still a
    definite number for the given x, and can be computed to the last digit.

    x has the shape (m, n), its function `value` (m, 1) or (m, n). Entries of -inf do not count.
    The result is NaN where it is not defined: if x has NaN or +inf, or nothing finite, or if it
    would be 0/0.
    """
    with np.errstate(all="ignore"):
        wide, right = x.astype(np.longdouble), value.astype(np.longdouble)
        jacobian = _JACOBIAN_NORMS[function](np.where(np.isneginf(wide), np.nan, right))
        number = jacobian * (1.0 if cancels is None else cancels) * _norm(wide) / _norm(right)
        defined = np.isfinite(wide).any(axis=-1) & ~(np.isnan(wide) | (wide == np.inf)).any(axis=-1)
        kept: Array = np.where(defined, number, np.nan)
        return kept.astype(np.float64)


#: The infinity norm of the derivatives, from a row of results (NaN where x is -inf).
_JACOBIAN_NORMS: dict[Function, Callable[[Array], Array]] = {
    Function.LOGSUMEXP: lambda y: np.ones(len(y), np.longdouble),
    Function.SOFTMAX: lambda p: np.fmax.reduce(2 * p * (1 - p), axis=-1),
    # -expm1(g) = 1 - p, with all of its digits
    Function.LOG_SOFTMAX: lambda g: np.fmax.reduce(-2 * np.expm1(g), axis=-1),
}


def _norm(rows: Array) -> Array:
    """Return the largest absolute value of the finite entries of each row."""
    norm: Array = np.max(np.abs(rows), axis=-1, initial=0, where=np.isfinite(rows))
    return norm


def does_not_fit(x: Array, rounded: Array) -> Array:
    """Return which rows have a finite number that is not finite in the format, shape (m,)."""
    with np.errstate(all="ignore"):  # ml_dtypes even warns about NaN in isfinite
        if x.dtype == rounded.dtype:
            return np.zeros(len(rounded), bool)
        lost = np.isfinite(x) & ~np.isfinite(rounded)
        unfit: Array = np.logical_or.reduce(lost, axis=-1)
    return unfit
