"""One literal into one number, or into a complaint that says what is wrong with it.

This is the definition of what a number is. NumPy's parser, which reads whole chunks of text,
agrees with it wherever `text` lets it run.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.readers.block import Array, ReadError, quoted

if TYPE_CHECKING:
    import numpy.typing as npt

#: Longer than the longest number worth writing: every number of x87's extended format can be
#: written out exactly in 16,447 characters (its smallest is 2**-16445, with 16,445 decimals).
MAX_LITERAL = 1 << 16

#: What a mask may say for 1 and 0, whatever the case of its letters.
_WORDS = {"true": 1.0, "false": 0.0}

#: What says that a number is missing, whatever the case of its letters. "nan" is a number.
MISSING = frozenset({"", "na", "n/a", "<na>", "null", "none"})


class BadLiteralError(ValueError):
    """What is wrong with a literal, and the mend if the literal alone shows it."""

    def __init__(self, what: str, mend: str | None = None) -> None:
        super().__init__(what)
        self.mend = mend


def is_missing(literal: str) -> bool:
    """Whether a cell is blank or one of the usual words for no value."""
    return literal.strip().casefold() in MISSING


def word_value(literal: str) -> float | None:
    """Return what true or false stands for, if that is what a cell says."""
    return _WORDS.get(literal.strip().casefold())


def looks_numeric(literal: str) -> bool:
    """Whether something is a number, or is one but for its spelling: 2,5 or 1_000.

    A first line of such cells is no header, lest its numbers be dropped without a word.
    """
    if len(literal) > MAX_LITERAL:
        return True
    try:
        float(literal.replace(",", "."))
    except ValueError:
        return False
    return True


def number_reader(
    dtype: npt.DTypeLike, decimal: str = ".", words: bool = False
) -> Callable[[str], Any]:
    """Return the function that reads one literal.

    Parameters
    ----------
    dtype : dtype
        float64 or longdouble.
    decimal : str
        The decimal sign.
    words : bool
        Whether true and false are numbers.

    Returns
    -------
    callable
        Takes what Python's ``float`` takes, but for underscores and digits beyond ASCII;
        raises BadLiteralError. A longdouble beyond its normal range makes NumPy warn.
    """
    scalar_type: Callable[[str], Any] = np.dtype(dtype).type
    is_float64 = np.dtype(dtype) == np.float64

    def read_number(literal: str) -> Any:
        if words and (value := word_value(literal)) is not None:
            return value
        if len(literal) > MAX_LITERAL or "_" in literal or not literal.isascii():
            raise _misspelled(literal)
        if decimal == ",":
            if "." in literal:
                raise _no_number(literal, "with --decimal , a period is no decimal sign")
            literal = literal.replace(",", ".")
        try:
            value = float(literal)
        except ValueError:
            raise _no_number(literal) from None
        if not is_float64:
            value = scalar_type(literal.strip())
        if abs(value) == math.inf and any(map(str.isdigit, literal)):
            raise _overflow(literal, value, dtype)
        return value

    return read_number


def parse_numbers(
    tokens: Sequence[str], source: str = "arguments", dtype: npt.DTypeLike = "float64"
) -> Array:
    """Read numbers that were given one by one, as on a command line.

    Parameters
    ----------
    tokens : sequence of str
        The literals.
    source : str
        What complaints call them.
    dtype : dtype
        float64 or longdouble.

    Returns
    -------
    ndarray, shape (len(tokens),)
        The numbers.

    Raises
    ------
    ReadError
        If one of them is no number, or overflows while it is read.
    """
    read_number = number_reader(dtype)
    values = np.empty(len(tokens), dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for index, token in enumerate(tokens):
            try:
                values[index] = read_number(token)
            except BadLiteralError as bad:
                mend = bad.mend or _mend_argument(token)
                raise ReadError(f"{source}, number {index + 1}: {bad}; {mend}") from None
    return values


def _mend_argument(token: str) -> str:
    if os.path.exists(token):
        return f"--file {token} reads the file"
    if "," in token:
        return "put a blank between numbers, and a period before decimals"
    return "give numbers such as 1000, -0.5, 1e-3 or -inf"


def _no_number(literal: str, mend: str | None = None) -> BadLiteralError:
    return BadLiteralError(f"{quoted(literal)} is no number", mend)


def _misspelled(literal: str) -> BadLiteralError:
    if len(literal) > MAX_LITERAL:
        return BadLiteralError(
            f"{quoted(literal[:12])}... has {len(literal):,} characters",
            f"a number has at most {MAX_LITERAL:,}; is a delimiter missing?",
        )
    if "_" in literal and looks_numeric(literal):
        return _no_number(literal, "write it without underscores")
    if not literal.isascii() and any(map(str.isdigit, literal)):
        return _no_number(literal, "write it with the digits and signs of ASCII")
    return _no_number(literal)


def _overflow(literal: str, value: Any, dtype: npt.DTypeLike) -> BadLiteralError:
    wider = np.finfo(np.longdouble).maxexp > np.finfo(np.dtype(dtype)).maxexp
    literal = literal.strip()
    shown = literal if len(literal) <= 24 else literal[:24] + "..."
    infinity = "inf" if value > 0 else "-inf"
    return BadLiteralError(
        f"{shown} overflowed to {infinity} while it was read, before any formula ran",
        f"write {infinity} if you mean it" + (", or use --dtype longdouble" if wider else ""),
    )
