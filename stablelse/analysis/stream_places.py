"""Where something happened in a stream, and what."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.results import FindingKind
from stablelse.analysis.stream import StreamFinding
from stablelse.numerics.formats import Array, Format


class Where(NamedTuple):
    """Where a block of rows lies in a stream.

    Attributes
    ----------
    source : str
        What it is of.
    rows : int
        How many rows of that source lie before it, in this state.
    width : int
        The numbers in a row.
    before : int
        How many numbers of the stream lie before it.
    kept : ndarray of int or None
        The flat positions of its numbers, where some are missing.
    """

    source: str
    rows: int
    width: int
    before: int
    kept: Array | None

    def place(self, index: int) -> dict[str, Any]:
        """Return the place of a number, by its position among those of the block, from 0."""
        flat = index if self.kept is None else int(self.kept[index])
        row, column = divmod(flat, self.width)
        return {
            "source": self.source or None,
            "row": self.rows + row + 1,
            "column": column + 1 if self.width > 1 else None,
            "element": self.before + index + 1,
        }

    def at_end(self, rows: int, count: int) -> dict[str, Any]:
        """Return the place of the last number, where these many rows and numbers follow."""
        end = {"row": self.rows + rows, "element": self.before + count, "column": None}
        return {"source": self.source or None, **end}


class Fact(NamedTuple):
    """What a finding says, but for the place."""

    kind: FindingKind
    operands: tuple[Any, ...]
    result: Any
    threshold: Any
    occurrences: int = 1


def sum_overflow(format_: Format) -> Fact:
    """Return the fact that a sum of finite terms passed the largest number."""
    return Fact(FindingKind.OVERFLOW, (), format_.round(np.inf)[()], format_.largest)


def moved(found: StreamFinding, rows: int, count: int) -> StreamFinding:
    """Return a finding that lies so many rows and numbers further on."""
    assert found.row is not None
    assert found.element is not None
    return found._replace(row=found.row + rows, element=found.element + count)


def sum_underflow(total: Any, value: Any) -> StreamFinding:
    """Return that every term has vanished, and what the logarithm makes of that."""
    return StreamFinding(
        kind=FindingKind.SUM_UNDERFLOW,
        symbol="y",
        source=None,
        row=None,
        column=None,
        element=None,
        occurrences=1,
        operands=(total,),
        result=value,
        threshold=None,
    )
