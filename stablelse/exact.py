"""Losses and their gradients, correctly rounded; the other functions are those of `stablelse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stablelse.numerics import loss
from stablelse.numerics.arrays import log_softmax, logsumexp, softmax
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Certificate", "Rung", "log_softmax", "logsumexp", "nll", "nll_grad", "softmax"]


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
        Return a `Certificate` too, which counts losses.

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
    return loss.nll(
        logits,
        _indices(labels),
        axis=axis,
        ignore_index=ignore_index,
        reduction="none",
        dtype=dtype,
        return_certificate=return_certificate,
        where=where,
        empty=empty,
    )


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
    return loss.nll_grad(
        logits,
        _indices(labels),
        axis=axis,
        ignore_index=ignore_index,
        reduction="none",
        dtype=dtype,
        where=where,
        empty=empty,
    )


def _indices(labels: npt.ArrayLike) -> npt.ArrayLike:
    numbers = real_numbers(labels)
    if numbers.size and numbers.dtype.kind == "f":
        raise TypeError(
            "labels are class indices, integers from 0; probabilities are for stablelse.nll"
        )
    return labels
