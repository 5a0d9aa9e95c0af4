"""The negative log-likelihood of a label and its gradient, correctly rounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from stablelse.numerics import decimals, exact, reference
from stablelse.numerics.certificate import Certificate
from stablelse.numerics.decimals import Ball
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.labelled import Problem
from stablelse.numerics.rationals import nearest
from stablelse.numerics.rounding import Approximation, settle

_WIDE = FORMATS["float64"]

# p - 1 = expm1(log p). log p is correctly rounded, to u; of a number that is not positive, expm1
# makes no more of a relative error, and adds 3 u: NumPy's tests hold it to 1 ulp of the correctly
# rounded result (``numpy/_core/tests/data/umath-validation-set-expm1.csv``). One u more is room for
# the products of these.
_EXPM1_ERROR = 5 * _WIDE.unit_roundoff


def losses(problem: Problem) -> tuple[Array, Certificate]:
    """Compute the losses of a problem posed, correctly rounded, and what proves them.

    Raises
    ------
    TypeError
        If it has probabilities for labels.
    """
    with np.errstate(all="ignore"):
        found, certificate = nll(problem.x, _indices(problem), problem.format)
    problem.settle_losses(found)
    return found.reshape(problem.shape), certificate


def gradient(problem: Problem) -> Array:
    """Compute the gradient of a problem posed, correctly rounded; see `losses`."""
    with np.errstate(all="ignore"):
        found = nll_grad(problem.x, _indices(problem), problem.format)
    problem.settle_gradient(found)
    return problem.restored(found)


def _indices(problem: Problem) -> Array:
    if problem.targets.labels is None:
        raise TypeError(
            "labels are class indices, integers from 0; probabilities are for stablelse.nll"
        )
    return problem.targets.labels


def nll(rows: Array, labels: Array, format_: Format) -> tuple[Array, Certificate]:
    """Compute -log softmax(x)_label of every row, correctly rounded.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    labels : ndarray of int
        Shape (m,), from 0.
    format_ : Format
        The format of the losses.

    Returns
    -------
    losses : ndarray
        Shape (m,). NaN of a row that has NaN or +inf, or nothing but -inf.
    certificate : Certificate
        How many each rung settled of the elements of log softmax.
    """
    if not len(rows):
        return np.empty(0, format_.dtype), Certificate({}, 0, 0.0)
    logarithms, certificate = reference.log_softmax(rows, format_)
    # 0 - g, for -g of a single class is -0
    losses = 0 - logarithms[np.arange(len(rows)), labels]
    return losses.astype(format_.dtype, copy=False), certificate


def nll_grad(rows: Array, labels: Array, format_: Format) -> Array:
    """Compute softmax(x) - onehot(label) of every row, correctly rounded; see `nll`."""
    if not len(rows):
        return np.empty(rows.shape, format_.dtype)
    gradient = exact.softmax(rows, format_)
    places = np.arange(len(rows)), labels
    doubtful = ~np.isnan(gradient[places])
    if format_.significand_bits < _WIDE.significand_bits:
        logarithms = exact.log_softmax(rows, _WIDE)[places]
        less = np.expm1(logarithms)  # p - 1; NaN where p is, and in doubt where that is NaN
        nothing = np.zeros_like(less)
        approximation = Approximation(less, nothing, nothing, _EXPM1_ERROR * abs(less))
        value, settled, _ = settle(approximation, format_)
        gradient[places] = value + format_.dtype.type(0)  # what underflows has no sign
        doubtful &= ~settled
    for i in np.flatnonzero(doubtful).tolist():
        gradient[i, labels[i]] = 0 - _complement(rows[i], int(labels[i]), format_)
    return gradient


def _complement(x: Array, label: int, format_: Format) -> Any:
    """Return 1 - softmax(x)_label, correctly rounded, of a row that has a softmax.

    By Lindemann and Weierstrass it is rational only where all finite x are the same, or the
    label's is -inf; then it is told in advance, and otherwise the climb ends.
    """
    finite = np.isfinite(x)
    if not finite[label]:
        return nearest(Fraction(1), format_)
    counts = Counter(decimals.as_decimal(entry) for entry in x[finite])
    if len(counts) == 1:
        (n,) = counts.values()
        return nearest(Fraction(n - 1, n), format_)
    chosen, largest = decimals.as_decimal(x[label]), max(counts)
    others = counts - Counter([chosen])

    def complement(_: Sequence[Decimal], __: None) -> list[Ball]:
        terms = {entry: decimals.exp_of_difference(entry, largest) for entry in counts}
        rest = decimals.total([terms[entry] for entry in others], others.values())
        whole = decimals.total(terms.values(), counts.values())
        return [decimals.divide(rest, whole)]

    states = ((context, None) for context in decimals.contexts())
    return decimals.climb([chosen], complement, states, format_)[chosen]
