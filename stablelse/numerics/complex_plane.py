"""The functions of complex arguments: shifted by an entry whose real part is the largest.

For the imaginary part of the logarithm that shift is taken back: then it is the argument of
the sum itself, and lies in (-pi, pi] without any reduction.
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics.formats import Array


def logsumexp(rows: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Compute log(sum b_i exp(x_i)), and the phase of the sum, for every row.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), n >= 1, complex or real.
    weights : ndarray, optional
        The b_i, shape (m, n), complex or real; all 1 if left out.

    Returns
    -------
    value, phase : ndarray
        Shape (m,), complex128 or wider. The phase is the sum divided by its absolute value; it
        is 0 where that is 0.
    """
    shift, terms = _terms(rows, weights)
    total = terms.sum(axis=1, keepdims=True)
    turned = np.where(np.isfinite(total), total * np.exp(1j * shift.imag), total)
    turned += 0.0  # which makes -0.0, whose argument may be -pi, a 0.0
    value = np.log(total)
    value.real += shift.real
    value.imag = np.angle(turned)
    phase = np.where(total == 0, 0, turned / abs(turned))
    return value[:, 0], phase[:, 0]


def softmax(rows: Array) -> Array:
    """Compute exp(x_j) / sum exp(x_i) of every row: (m, n) to (m, n), complex128 or wider."""
    _, terms = _terms(rows)
    result: Array = terms / terms.sum(axis=1, keepdims=True)
    return result


def log_softmax(rows: Array) -> Array:
    """Compute x_j - log(sum exp(x_i)) of every row: (m, n) to (m, n), complex128 or wider."""
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
    index = np.argmax(exponents, axis=1)[:, np.newaxis]
    shift = np.take_along_axis(x, index, axis=1)
    # The size of the weight belongs to the shift, or the terms may all underflow.
    shift.real = np.take_along_axis(exponents, index, axis=1)
    shift = np.where(np.isfinite(shift), shift, 0)
    if b is None:
        return shift, np.exp(x - shift)
    root = np.exp((x - shift) / 2)  # exp itself overflows where b is subnormal
    return shift, b * root * root
