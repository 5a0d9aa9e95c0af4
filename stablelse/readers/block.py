"""What readers take and give: options in, blocks of numbers out, and one kind of complaint."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: About how many bytes of a source are held at once.
BLOCK_BYTES = 1 << 20


class ReadError(ValueError):
    """Input that cannot be read; the message is one line that names the place and the mend."""


class ReadOptions(NamedTuple):
    """How text is read; of these, only ``columns`` matters to a binary file.

    Attributes
    ----------
    columns : tuple of str
        The columns to read, by name or by number from 1, in the order wanted; empty for all.
        A name in the header goes before a number.
    header : bool or None
        Whether the first line names the columns; ``None``: if one of its cells is no number.
    skip_na : bool
        Leave out blank and NA cells, which are an error otherwise.
    delimiter : str or None
        What stands between cells; ``None``: a tab, a semicolon, a comma or blanks, whichever
        of them is found first in the first line of numbers.
    decimal : str
        The decimal sign, ``"."`` or ``","``.
    dtype : str
        What text is parsed to: ``"float64"`` or ``"longdouble"``.
    """

    columns: tuple[str, ...] = ()
    header: bool | None = None
    skip_na: bool = False
    delimiter: str | None = None
    decimal: str = "."
    dtype: str = "float64"


class Block(NamedTuple):
    """Some rows of a source.

    Attributes
    ----------
    values : ndarray
        Shape (rows, columns), of a floating dtype.
    source : str
        The file's name, or ``standard input``.
    offset : int
        How many rows of the source came before.
    missing : ndarray of bool or None
        Of the same shape: where a cell was blank or NA, and is left out.
    columns : tuple of str or None
        The names of the columns, where there was a header.
    """

    values: Array
    source: str
    offset: int
    missing: Array | None = None
    columns: tuple[str, ...] | None = None


def shortened(cell: str) -> str:
    """Return a cell in quotes, as much of it as a line of complaint can hold."""
    return repr(cell) if len(cell) <= 40 else f"{cell[:20]!r}... ({len(cell):,} characters)"


def to_number(cell: str, dtype: str = "float64") -> Any:
    """Read one number: what `float` reads in ASCII, without underscores.

    Parameters
    ----------
    cell : str
        Blanks around the number are ignored.
    dtype : str
        ``"float64"`` or ``"longdouble"``.

    Returns
    -------
    scalar
        Of that dtype.

    Raises
    ------
    ReadError
        If it is no number, or a finite one that the dtype cannot hold. The message has no place.
    """
    try:
        if "_" in cell or not cell.isascii():
            raise ValueError
        value = np.float64(cell)  # longdouble reads hexadecimals too, which float64 refuses
    except ValueError:
        raise ReadError(f"{shortened(cell.strip())} is not a number") from None
    if dtype != "float64":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of an overflow, which is told below
            value = np.dtype(dtype).type(cell.strip())
    if np.isinf(value) and "inf" not in cell.lower():
        wider = ", or use --dtype longdouble" if dtype == "float64" else ""
        raise ReadError(
            f"{shortened(cell.strip())} overflowed to inf while it was read, before any formula "
            f"ran: write inf if you mean it{wider}"
        )
    return value
