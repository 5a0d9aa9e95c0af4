"""Losses and their gradients, correctly rounded; the other functions are those of `stablelse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stablelse.numerics import exact_loss
from stablelse.numerics.arrays import log_softmax, logsumexp, softmax
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.labelled import pose

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
