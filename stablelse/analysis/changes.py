"""Where a state changes, to the last representable number: bisection among ordinals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array

#: Into how many parts a bracket is split at a time, where there is room: evaluating many points
#: at once costs little more than evaluating one.
_PARTS = 64


class Change(NamedTuple):
    """A bracket of ordinals between which the label of a track changes.

    Attributes
    ----------
    track : int
        Which track.
    low, high : int
        Ordinals of numbers of the format, the first below the second.
    """

    track: int
    low: int
    high: int


#: Labels of all r tracks at m ordinals: shape (r, m), larger labels are worse.
LabelsAt = Callable[[Array], Array]


def find_changes(
    ordinals: Array, labels: Array, labels_at: LabelsAt, room: int
) -> Sequence[Change]:
    """Find neighbouring numbers between which the labels change.

    Parameters
    ----------
    ordinals : ndarray
        Shape (m,), increasing; see `stablelse.numerics.ordinals`. No two of another sign without
        0 between them, so that no difference overflows.
    labels : ndarray
        Shape (r, m), what each of r tracks is labelled at them; larger is worse.
    labels_at : callable
        Gives the labels at other ordinals.
    room : int
        How many of them it takes at once without taking longer.

    Returns
    -------
    sequence of Change
        With ``high`` the ordinal after ``low``, and their labels different. Between two
        neighbours of `ordinals`, of one track, the label at the end of each is that at the
        beginning of the next.

    Notes
    -----
    Where a label comes and goes, as digits are lost by chance, the change is sought at the edge
    of the trouble: what is bad is taken to reach as far as it was seen to.
    """
    found: list[Change] = []
    work = [
        Change(track, ordinals[at], ordinals[at + 1])
        for track, row in enumerate(labels)
        for at in np.flatnonzero(row[1:] != row[:-1]).tolist()
    ]
    # Invariant: along a track, every change of label among the points that were kept lies in
    # a bracket of `work`, or in one of `found`, which are as narrow as can be.
    while work:
        found += [change for change in work if change.high - change.low == 1]
        work = [change for change in work if change.high - change.low > 1]
        if work:
            parts = min(max(2, room // len(work)), _PARTS)
            points = [_split(change.low, change.high, parts) for change in work]
            every = labels_at(np.concatenate(points))
            begins = np.cumsum([0, *map(len, points)])[:-1].tolist()
            work = [
                narrower
                for change, inside, begin in zip(work, points, begins, strict=True)
                for narrower in _narrowed(change, inside, every[change.track, begin:])
            ]
    return found


def _split(low: int, high: int, parts: int) -> Array:
    """Return ordinals from one to the other, as even as can be, both included."""
    step = -(-(high - low) // parts)
    return np.array([*range(low, high, step), high], dtype=np.asarray(low).dtype)


def _narrowed(change: Change, inside: Array, labels: Array) -> Sequence[Change]:
    """Return the part of a bracket where the label changes, and the rest if it changes there."""
    labels = labels[: len(inside)]
    first, last = labels[0], labels[-1]
    if first < last:  # where it ceases to be as good as at the beginning
        at = int(np.argmax(labels != first)) - 1
    else:  # where it comes to be as good as at the end
        at = len(labels) - 1 - int(np.argmax(labels[::-1] != last))
    pairs = ((0, at), (at, at + 1), (at + 1, len(labels) - 1))
    return [
        Change(change.track, inside[low], inside[high])
        for low, high in pairs
        if labels[low] != labels[high]
    ]
