"""NumPy's parser, let in where it reads what `careful` would read, cell for cell.

``numpy.loadtxt`` takes the same spellings of a float64 as Python's ``float``, but for underscores
and digits beyond ASCII, which it refuses. Beyond that it differs, and what differs is kept
from it: with ``usecols`` it does not see that a row has cells too few or too many; a quote that
opens behind a blank is none to it, a quoted cell may run over a line's end or have text behind
its closing quote; the length of a cell is not bounded.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from stablelse.readers.block import Array
from stablelse.readers.dialect import Layout
from stablelse.readers.literals import MAX_LITERAL


def parse(lines: Sequence[str], layout: Layout) -> Array | None:
    """Read the wanted columns of whole lines.

    Parameters
    ----------
    lines : sequence of str
        At least one of them neither blank nor a comment.
    layout : Layout
        How to read it.

    Returns
    -------
    ndarray, shape (lines, columns), or None
        ``None`` where NumPy's parser fails, or might not agree. A literal that overflows is
        inf here.
    """
    text = "\n".join(lines)
    if layout.decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
        lines = text.split("\n")
    if (
        _may_be_too_long(text, layout.delimiter)
        or not _is_well_quoted(text, layout.delimiter)
        or not _has_even_rows(lines, text, layout)
    ):
        return None
    # Whatever the type, float64's spelling is what counts: NumPy's longdouble also takes 0x10,
    # nan(1) and, as zero, a blank.
    values = _load(lines, text, layout, np.dtype(np.float64))
    if values is not None and layout.dtype != np.float64:
        values = _load(lines, text, layout, layout.dtype)
    return values


def _load(lines: Sequence[str], text: str, layout: Layout, dtype: np.dtype[Any]) -> Array | None:
    try:
        with warnings.catch_warnings():
            # NumPy warns of a longdouble that leaves the normal range.
            warnings.simplefilter("ignore", RuntimeWarning)
            values = np.loadtxt(
                lines,
                dtype=dtype,
                comments="#" if "#" in text else None,
                delimiter=layout.delimiter,
                usecols=layout.chosen,
                ndmin=2,
                quotechar='"' if '"' in text else None,
            )
    except ValueError:
        return None
    return values if values.shape[1] == len(layout.positions) else None


def _has_even_rows(lines: Sequence[str], text: str, layout: Layout) -> bool:
    """Whether all lines have as many cells as they should; NumPy looks if it reads them all."""
    if layout.chosen is None:
        return True
    return "#" not in text and {_width(line, layout.delimiter) for line in lines if line} == {
        layout.width
    }


def _width(line: str, delimiter: str | None) -> int:
    if '"' in line:
        line = '""'.join(line.split('"')[::2])  # a delimiter inside quotes is none
    return len(line.split(delimiter))


def _is_well_quoted(text: str, delimiter: str | None) -> bool:
    """Whether quotes open where a cell begins, and close where it ends, on the same line."""
    if '"' not in text:
        return True
    pieces = text.split('"')  # by turns outside and inside quotes
    if len(pieces) % 2 == 0 or "\n" in "".join(pieces[1::2]):
        return False
    # Nothing between two quotes is a quote that is written twice, inside others.
    before = {piece[-1:] for piece in set(pieces[:-1:2])}
    behind = {piece.lstrip(" \t" if delimiter else "")[:1] for piece in set(pieces[2::2])}
    bounds = {"", "\n", *(delimiter or " \t")}
    return before <= bounds and behind <= bounds | {"#"}


def _may_be_too_long(text: str, delimiter: str | None) -> bool:
    """Whether somewhere no cell ends for longer than a number can be."""
    ends = ("\n", delimiter or " ")
    begin = 0
    while len(text) - begin > MAX_LITERAL:
        stop = begin + MAX_LITERAL + 1
        cut = max(text.rfind(end, begin, stop) for end in ends)
        if cut < 0:
            return True
        begin = cut + 1
    return False
