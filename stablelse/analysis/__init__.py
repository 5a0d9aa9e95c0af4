"""Numbers into facts: what each method computed, what broke, and where; no wording, no colour."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a vector or a number came from.

    Attributes
    ----------
    source : str or None
        The file.
    row : int, tuple of int or None
        A row counted from 1, or (i, j) in an array of three axes.
    column : str or None
        A column's name, or its number from 1.
    """

    source: str | None = None
    row: int | tuple[int, ...] | None = None
    column: str | None = None
