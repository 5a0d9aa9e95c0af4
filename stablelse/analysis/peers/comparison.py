"""What the libraries gave, held against the exact result: facts, one result per library."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.peers import Task


class Outcome(Enum):
    """What became of a library's results."""

    RIGHT = "right"
    """Every one is the number of the format nearest to the exact value."""
    MISROUNDED = "misrounded"
    """At least one is another number."""
    BROKEN = "broken"
    """At least one is infinite or NaN where the exact value is not, or has not one bit right."""
    NO_ANSWER = "no answer"
    """The library has no such function or format, or raised an exception."""


class Worst(NamedTuple):
    """The result with the largest error, the first of several; all ``None`` if there is none.

    Attributes
    ----------
    source : str or None
        The file the vector came from.
    row, column : int, str or None
        Its place there.
    element : int or None
        Which element of the vector's result, from 1; ``None`` if the result is one number.
    value, exact : scalar or None
        What the library gave, and what is right, both in the format.
    """

    source: str | None = None
    row: int | tuple[int, ...] | None = None
    column: str | None = None
    element: int | None = None
    value: Any = None
    exact: Any = None


class PeerResult(NamedTuple):
    """What one library gave in one format.

    Attributes
    ----------
    peer : str
        The library's name in the table of peers; ``"exact"`` for the exact result.
    title : str
        What people call it.
    version : str or None
        The library's version.
    call : str or None
        What was called.
    format : str
        The format of x.
    returned : str or None
        The format (or dtype) that came back, rounded to the former before it is judged.
    outcome : Outcome
        What became of all of it together.
    judged : int
        How many numbers came back: one a vector, or one an element.
    misrounded : int
        How many of them are not the number nearest to the exact value.
    share : float or None
        ``misrounded / judged``.
    broken : int
        How many of them are broken, see `Outcome`.
    ulps : float or None
        The largest error, in units in the last place of the exact value.
    worst : Worst
        Where that is.
    nanoseconds : float or None
        Per element of x: of several calls with all the vectors there were at once, the
        fastest. ``None`` if that was not asked for.
    reason : str or None
        Why there is no answer.
    value : scalar, ndarray or None
        What it gave for the only vector there is, if that is not too long to be told.
    """

    peer: str
    title: str
    version: str | None
    call: str | None
    format: str
    returned: str | None
    outcome: Outcome
    judged: int
    misrounded: int
    share: float | None
    broken: int
    ulps: float | None
    worst: Worst
    nanoseconds: float | None
    reason: str | None
    value: Any


class _PeerComparison(NamedTuple):
    function: Task
    case: str | None
    note: str | None
    source: str | None
    vectors: int
    n: int | None
    results: tuple[PeerResult, ...]
    missing: tuple[str, ...]


class PeerComparison(Displayed, _PeerComparison):
    """The installed libraries on the same vectors.

    Attributes
    ----------
    function : Task
        What was computed.
    case, note : str or None
        The name of a case of the gallery, and why it is there.
    source : str or None
        The file they came from, if it was one.
    vectors : int
        How many there were.
    n : int or None
        The number of elements of each; ``None`` if they differ.
    results : tuple of PeerResult
        For each format a result per library, this package's last; where there is only one
        vector, the exact result after that.
    missing : tuple of str
        The packages that are not installed.
    """

    __slots__ = ()
