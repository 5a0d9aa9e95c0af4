"""Blocks of rows into stacks of vectors: what one vector is."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import NamedTuple

import numpy as np

from stablelse.readers.block import Array, Block, ReadError


class By(Enum):
    """What of a file makes one vector."""

    ROWS = "rows"
    COLUMNS = "columns"
    ALL = "all"


class Vectors(NamedTuple):
    """A stack of vectors of the same length.

    Attributes
    ----------
    values : ndarray
        Shape (m, n): m vectors of n numbers.
    source : str
        Where they came from.
    first : int
        The number of the first of them there, from 1.
    axis : By
        What of the source a vector is.
    vertical : bool
        Whether the numbers came one a line.
    names : tuple of str or None
        The vectors' names, where they are columns that have names.
    """

    values: Array
    source: str
    first: int
    axis: By
    vertical: bool = False
    names: tuple[str, ...] | None = None

    def one(self, index: int) -> Vectors:
        """Return the stack of one vector alone."""
        names = None if self.names is None else self.names[index : index + 1]
        values = self.values[index : index + 1]
        return self._replace(values=values, first=self.first + index, names=names)


def vectors(blocks: Iterator[Block], by: By | None = None) -> Iterator[Vectors]:
    """Divide a source into vectors.

    Parameters
    ----------
    blocks : iterator of Block
        At least one.
    by : By, optional
        By default everything is one vector if there is but one row or one column, and every
        row is a vector otherwise.

    Yields
    ------
    Vectors
        Rows come in stacks as they are read; what needs all rows is gathered in memory.

    Raises
    ------
    ReadError
        If cells were left out and nothing of a vector is left.
    """
    first = next(blocks)
    second = next(blocks, None)
    blocks = chain((first,) if second is None else (first, second), blocks)
    rows, width = first.values.shape
    alone = width == 1 or (rows == 1 and second is None)
    by = by or (By.ALL if alone else By.ROWS)
    if by is By.COLUMNS and width == 1:
        by = By.ALL
    return _DIVISIONS[by](blocks)


def _by_rows(blocks: Iterator[Block]) -> Iterator[Vectors]:
    for block in blocks:
        number = block.offset + 1
        if block.missing is None:
            yield Vectors(block.values, block.source, number, By.ROWS)
            continue
        for index, (row, gaps) in enumerate(zip(block.values, block.missing, strict=True)):
            values = _present(row, gaps, f"{block.source}, row {number + index}")
            yield Vectors(values, block.source, number + index, By.ROWS)


def _by_columns(blocks: Iterator[Block]) -> Iterator[Vectors]:
    values, gaps, first = _gathered(blocks)
    if gaps is None:
        yield Vectors(values.T, first.source, 1, By.COLUMNS, names=first.columns)
        return
    for index in range(values.shape[1]):
        name = first.columns[index : index + 1] if first.columns else None
        place = f"{first.source}, column {name[0] if name else index + 1}"
        column = _present(values[:, index], gaps[:, index], place)
        yield Vectors(column, first.source, index + 1, By.COLUMNS, names=name)


def _as_one(blocks: Iterator[Block]) -> Iterator[Vectors]:
    values, gaps, first = _gathered(blocks)
    flat = values.reshape(1, -1)
    if gaps is not None:
        flat = _present(values.ravel(), gaps.ravel(), first.source)
    yield Vectors(flat, first.source, 1, By.ALL, vertical=values.shape[1] == 1)


_DIVISIONS = {By.ROWS: _by_rows, By.COLUMNS: _by_columns, By.ALL: _as_one}


def _gathered(blocks: Iterator[Block]) -> tuple[Array, Array | None, Block]:
    """Return all rows, which of their cells are missing if any is, and the first block."""
    held = list(blocks)
    values = np.concatenate([block.values for block in held])
    if all(block.missing is None for block in held):
        return values, None, held[0]
    gaps = [np.zeros(b.values.shape, bool) if b.missing is None else b.missing for b in held]
    return values, np.concatenate(gaps), held[0]


def _present(values: Array, gaps: Array, place: str) -> Array:
    """Return the numbers that are not missing, as a stack of one vector."""
    present = values[~gaps]
    if not len(present):
        raise ReadError(f"{place} has no numbers but only blank or NA cells")
    return present[np.newaxis]
