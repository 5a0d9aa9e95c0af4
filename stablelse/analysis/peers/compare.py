"""The installed libraries on the user's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stablelse.analysis.peers import Task
from stablelse.analysis.peers.comparison import PeerComparison
from stablelse.analysis.peers.measure import Question, ask, ask_whom
from stablelse.analysis.results import Place
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.inputs import real_numbers

if TYPE_CHECKING:
    import numpy.typing as npt


def compare_peers(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    formats: Sequence[str] = ("float64",),
    peers: Sequence[str] = (),
    time: bool = True,
) -> PeerComparison:
    """Compute log-sum-exp or softmax by every installed library, held against the exact value.

    Parameters
    ----------
    x : array_like
        Shape (n,) or (m, n), n >= 1, real numbers: one vector, or one a row.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.
    peers : sequence of str
        Ask only these of ``"numpy"`` (the textbook's formula), ``"logaddexp"`` (NumPy's
        reduction), ``"scipy"``, ``"torch"`` and ``"jax"``; by default all that are installed.
        This package is always among them.
    time : bool
        Whether to measure how long each takes.

    Returns
    -------
    PeerComparison
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x has another shape, or a name is unknown or not installed.

    Examples
    --------
    >>> import stablelse
    >>> comparison = stablelse.compare_peers([0, -40], peers=["numpy"], time=False)
    >>> for result in comparison.results:
    ...     print(result.peer, result.value, result.outcome.value)
    numpy 0.0 broken
    stablelse 4.248354255291589e-18 right
    exact 4.248354255291589e-18 right
    """
    rows = real_numbers(x)
    if rows.ndim not in (1, 2) or rows.size == 0:
        raise ValueError(f"compare_peers takes a vector or rows of numbers, not shape {rows.shape}")
    place = (lambda row: Place(row=row + 1)) if rows.ndim == 2 else (lambda row: Place())
    chosen = [find_format(name) for name in formats]
    stack = Stack(np.atleast_2d(rows), place)
    return compare_stacks([stack], Function(function), chosen, peers, time=time)


class Stack(NamedTuple):
    """Vectors of one length.

    Attributes
    ----------
    x : ndarray
        Shape (m, n), n >= 1: a vector a row.
    place : callable
        Takes the index of a row to where the vector came from.
    """

    x: Array
    place: Callable[[int], Place]


def compare_stacks(
    stacks: Iterable[Stack],
    function: Function,
    formats: Sequence[Format],
    peers: Sequence[str] = (),
    *,
    time: bool,
) -> PeerComparison:
    """Compare the libraries on vectors that come stack by stack; see `compare_peers`."""
    asked, missing = ask_whom(peers)
    task = Task(function.value)
    answers = ask(_questions(stacks, function, formats), asked, time=time)
    return PeerComparison(task, None, None, *answers, missing)


def _questions(
    stacks: Iterable[Stack], function: Function, formats: Sequence[Format]
) -> Iterator[Question]:
    for stack in stacks:
        for format_ in formats:
            x = format_.round(stack.x)
            truth = exact(function, x, format_)
            yield Question(Task(function.value), x, None, format_, truth, stack.place)
