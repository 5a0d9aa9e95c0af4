"""Correctly rounded log-sum-exp and softmax: the numbers nearest to the exact values, proved.

Every result is computed with a bound of its error, and accepted only if all numbers within the
bound round to the same one; otherwise it is computed in higher precision, in the end in decimal
arithmetic with as many digits as it takes. The `Certificate` tells which precision settled how
many results. Only the conventions for infinities and NaN are no roundings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics import exact, exact_loss, masks, reference
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.formats import Array
from stablelse.numerics.front import Axis, known_format
from stablelse.numerics.labelled import pose
from stablelse.numerics.threads import limited

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Certificate", "Rung", "log_softmax", "logsumexp", "nll", "nll_grad", "softmax"]


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    threads: int | None = None,
) -> Any:
    """Compute log(sum(b * exp(a))), correctly rounded.

    Parameters
    ----------
    a : array_like
        Real numbers, any shape, any format of the table.
    axis : int or tuple of int, optional
        The axis or axes to sum over; all by default.
    b : array_like, optional
        Weights of the terms, of either sign; broadcast with `a`. Where b is 0 there is no
        term, whatever `a` is.
    keepdims : bool
        Keep the axes that were summed over, with length 1.
    return_sign : bool
        Return the sign of the sum too. Without it, the log of a negative sum is NaN.
    dtype : dtype_like, optional
        The format of the results: a floating-point dtype, by default that of `a` and `b`;
        integers and bools give float64.
    return_certificate : bool
        Return a `Certificate` too.
    where : array_like of bool, optional
        False where there is no term; broadcast to the shape of `a`.
    empty : {"nan", "zero", "uniform", "error"}
        As `stablelse.logsumexp` has it.
    threads : int, optional
        As `stablelse.logsumexp` has it.

    Returns
    -------
    result : scalar or ndarray
        The logarithm, rounded to nearest; of the absolute value, with `return_sign`.
    sign : scalar or ndarray
        With `return_sign` only: 1, 0, -1 or NaN.
    certificate : Certificate
        With `return_certificate` only: what proves the results.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers, or `dtype` is no format of the table.
    ValueError
        As `stablelse.logsumexp`.

    Examples
    --------
    >>> from stablelse import exact
    >>> value, certificate = exact.logsumexp([-0.775, -0.6174903], return_certificate=True)
    >>> value, certificate.rung
    (np.float64(-6.686344263307613e-09), <Rung.DOUBLE_WORD: 'double-word'>)
    """
    bare = b is None and where is None and empty == "nan" and dtype is None and threads is None
    if bare and not (keepdims or return_sign or return_certificate):
        value = exact.directly["logsumexp"](a, axis)
        if value is not None:
            return value
    of_rows = _certified_logsumexp if return_certificate else _logsumexp
    with limited(threads):
        sums = masks.reduced(of_rows, a, axis, b, keepdims, return_sign, dtype, where, empty)
    results = [sums.value]
    results += [sums.sign] if return_sign else []
    results += [sums.more or _OF_NOTHING] if return_certificate else []
    return results[0] if len(results) == 1 else tuple(results)


def softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    threads: int | None = None,
) -> Any:
    """Compute exp(x) / sum(exp(x)), every element correctly rounded.

    Parameters
    ----------
    x : array_like
        Real numbers, any shape, any format of the table.
    axis : int or tuple of int, optional
        The axis or axes along which the exact elements sum to 1; all by default.
    dtype : dtype_like, optional
        The format of the results, as `logsumexp` has it.
    return_certificate : bool
        Return a `Certificate` too, which counts elements.
    where : array_like of bool, optional
        False where an element is masked; broadcast to the shape of `x`.
    empty : {"nan", "zero", "uniform", "error"}
        What becomes of a vector of which nothing is left; as `stablelse.softmax` has it.
    threads : int, optional
        As `stablelse.logsumexp` has it.

    Returns
    -------
    result : scalar or ndarray
        The shape of `x`.
    certificate : Certificate
        With `return_certificate` only.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`, and a ValueError for a softmax of no elements.
    """
    bare = where is None and empty == "nan" and dtype is None and threads is None
    if bare and not return_certificate:
        elements = exact.directly["softmax"](x, axis)
        if elements is not None:
            return elements
    of_rows = _certified_softmax if return_certificate else _softmax
    with limited(threads):
        result, certificate = masks.elementwise(of_rows, x, axis, dtype, where, empty, 0.0)
    return (result, certificate or _OF_NOTHING) if return_certificate else result


def log_softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    threads: int | None = None,
) -> Any:
    """Compute log(softmax(x)), every element correctly rounded; see `softmax`.

    Parameters
    ----------
    x, axis, dtype, return_certificate, where, empty, threads
        As of `softmax`.

    Returns
    -------
    result : scalar or ndarray
        The shape of `x`.
    certificate : Certificate
        With `return_certificate` only.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.
    """
    bare = where is None and empty == "nan" and dtype is None and threads is None
    if bare and not return_certificate:
        elements = exact.directly["log_softmax"](x, axis)
        if elements is not None:
            return elements
    of_rows = _certified_log_softmax if return_certificate else _log_softmax
    with limited(threads):
        result, certificate = masks.elementwise(of_rows, x, axis, dtype, where, empty, -np.inf)
    return (result, certificate or _OF_NOTHING) if return_certificate else result


def nll(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    ignore_index: int = -100,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute -log(softmax(logits))[label] of every vector, correctly rounded.

    Parameters
    ----------
    logits, labels, axis, ignore_index, where, empty
        As of `stablelse.nll`; the labels are integers.
    dtype : dtype_like, optional
        The format of the results, as `logsumexp` has it.
    return_certificate : bool
        Return a `Certificate` too, which counts all elements of the log_softmax.

    Returns
    -------
    losses : scalar or ndarray
        The shape of `labels`: one for each vector, not reduced.
    certificate : Certificate
        With `return_certificate` only.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.nll`.

    Examples
    --------
    >>> from stablelse import exact
    >>> exact.nll([40.0, 0.0], 0)
    np.float64(4.248354255291589e-18)
    """
    problem = pose(
        logits, labels, axis, ignore_index=ignore_index, dtype=dtype, where=where, empty=empty
    )
    losses, certificate = exact_loss.losses(problem)
    return (losses[()], certificate) if return_certificate else losses[()]


def nll_grad(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    ignore_index: int = -100,
    dtype: npt.DTypeLike | None = None,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute softmax(logits) - onehot(label) of every vector, every element correctly rounded.

    Parameters
    ----------
    logits, labels, axis, ignore_index, where, empty
        As of `stablelse.nll_grad`; the labels are integers.
    dtype : dtype_like, optional
        The format of the results, as `logsumexp` has it.

    Returns
    -------
    ndarray
        The shape of `logits`.

    Raises
    ------
    TypeError, ValueError
        As `stablelse.nll`.
    """
    problem = pose(
        logits, labels, axis, ignore_index=ignore_index, dtype=dtype, where=where, empty=empty
    )
    return exact_loss.gradient(problem)


#: What there is to prove of an empty batch.
_OF_NOTHING = Certificate({}, 0, 0.0)


def _logsumexp(
    rows: Array, dtype: np.dtype[Any], weights: Array | None
) -> tuple[Array, Array, None]:
    return *exact.logsumexp(rows, known_format(dtype), weights), None


def _softmax(rows: Array, dtype: np.dtype[Any], place: Array | None) -> tuple[Array, None]:
    return exact.softmax(rows, known_format(dtype), place), None


def _log_softmax(rows: Array, dtype: np.dtype[Any], place: Array | None) -> tuple[Array, None]:
    return exact.log_softmax(rows, known_format(dtype), place), None


# The kernel gives no certificate. The reference returns the same results with one.


def _certified_logsumexp(
    rows: Array, dtype: np.dtype[Any], weights: Array | None
) -> tuple[Array, Array, Certificate]:
    return reference.logsumexp(rows, known_format(dtype), weights)


def _certified_softmax(
    rows: Array, dtype: np.dtype[Any], place: object
) -> tuple[Array, Certificate]:
    return reference.softmax(rows, known_format(dtype))


def _certified_log_softmax(
    rows: Array, dtype: np.dtype[Any], place: object
) -> tuple[Array, Certificate]:
    return reference.log_softmax(rows, known_format(dtype))
