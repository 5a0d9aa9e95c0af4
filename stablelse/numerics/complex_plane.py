"""The functions of complex arguments: shifted by the largest real part.

The sum of exp(x_i - a), a real, is where the imaginary parts do their work; the logarithm of
the sum brings its imaginary part into (-pi, pi] by itself.
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics.formats import Array


def logsumexp(rows: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Compute log(sum b_i exp(x_i)) and the phase of the sum for every row.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), n >= 1, complex or real.
    weights : ndarray, optional
        The b_i, shape (m, n), complex or real; all 1 if left out.

    Returns
    -------
    value, phase : ndarray
        Shape (m,), complex128 or wider. The phase is the sum divided by its absolute value, 0 if that is 0.
    """
    shift, terms = _terms(rows, weights)
    total = terms.sum(axis=1) + 0.0  # makes -0.0, whose argument is -pi, a 0.0
    size = abs(total)
    phase = np.where(size == 0, 0, total / size)
    return shift[:, 0] + np.log(total), phase


def softmax(rows: Array) -> Array:
    """Compute exp(x_j) / sum exp(x_i) of every row: shape (m, n), complex128 or wider."""
    _, terms = _terms(rows)
    result: Array = terms / terms.sum(axis=1, keepdims=True)
    return result


def log_softmax(rows: Array) -> Array:
    """Compute x_j - log(sum exp(x_i)) of every row: shape (m, n), complex128 or wider."""
    shift, terms = _terms(rows)
    result: Array = (rows - shift) - np.log(terms.sum(axis=1, keepdims=True))
    return result


def _terms(x: Array, b: Array | None = None) -> tuple[Array, Array]:
    """Return a finite shift for every row, shape (m, 1), and the terms b_i exp(x_i - shift)."""
    x = x.astype(np.result_type(x.dtype, np.complex128))
    exponents = x.real
    if b is not None:
        x = np.where(b == 0, -np.inf, x)  # a term without weight is none, whatever x is
        exponents = x.real + np.log(abs(b))
    x_max = exponents.max(axis=1, keepdims=True)
    shift = np.where(np.isfinite(x_max), x_max, 0)
    if b is None:
        return shift, np.exp(x - shift)
    root = np.exp((x - shift) / 2)  # exp itself overflows where b is subnormal
    return shift, b * root * root
