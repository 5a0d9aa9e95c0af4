"""Turns a literal into a number, or into an error that says what is wrong with it.

This defines what a number is. The parsers of NumPy and pyarrow, which read whole chunks of text,
are used only where they agree with it.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.readers.blocks import Array, Note, ReadError, quoted

if TYPE_CHECKING:
    import numpy.typing as npt

#: Every number of x87's extended format can be written exactly in 16,447 characters (2**-16445).
MAX_LITERAL = 1 << 16

#: The minus sign U+2212, the infinity sign U+221E, and the D of Fortran's exponents.
SPELLINGS = str.maketrans({"\u2212": "-", "\u221e": "inf", "d": "e", "D": "e"})

#: The beginning of a literal that is not zero, but may be read as zero.
NOT_ZERO = re.compile(r"[-+]?[0.]*[1-9]")

#: Words for 1 and 0 in a mask, in any case.
_WORDS = dict.fromkeys(("true", "t", "yes", "y", "on"), 1.0)
_WORDS |= dict.fromkeys(("false", "f", "no", "n", "off"), 0.0)

#: What spreadsheets write for a missing number or an error.
SPREADSHEET_ERROR = r"(?i:#N/A N/A|#N/A|#NA|#N/D|#NV|#GETTING_DATA|#[^\W\d_][\w/]*[!?])"

#: Words for a missing number, in any case. "nan" is a number.
_MISSING = {
    *("", "na", "n/a", "n.a.", "<na>", "null", "none", "nil", "nat", "missing", "undefined"),
    *("na_real_", "na_integer_", "\\n", "?", "*"),
    *(".", "..", "-", "--", "---", "\u2013", "\u2014", "\u2212"),
    *(f"err:{code}" for code in range(501, 541)),  # LibreOffice's
}

#: Patterns of literals that are almost numbers, and how to write them.
_FIXES = (
    (r"[^_]*\d_\d.*", "write it without underscores"),
    (r".*[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\u00ad].*",
     "remove the invisible character"),
    (r"\s*[\u2010-\u2015\ufe58\ufe63\uff0d].*", "write its minus sign as -"),
    (r"[^,]*,\d{3}(,\d{3})+.*|\d+(['\u2019\u00a0\u2009\u202f ]\d{3})+.*",
     "write it without thousands separators"),
    (r".*%", "write it without the percent sign"),
    (r"[-+]?[^\W\d]{0,3}\s*[$\u00a2-\u00a5\u20a0-\u20c0].*|.*[$\u00a2-\u00a5\u20a0-\u20c0]",
     "write it without the currency sign"),
    (r"[-+]?0[xX].*", "write it in decimal"),
    (r"np\.\w+\(.*\)", "write the number alone, as print does"),
    (r"[-+]?\d+/\d+", "write the fraction as a decimal number"),
    (r"[-+]?\d*\.\d*[-+]\d+",
     "if it ends in an exponent, as Fortran writes it, put an e before that"),
    (r"[\d.]+[-\u2212]", "write its minus sign in front"),
    (r"[-+.\deE]*\d#.*|#[-+.\d].*", "if a comment begins there, put a blank before the #"),
    (r"\([\d.]+\)", "if the brackets are a minus sign, write it as -"),
)  # fmt: skip


class BadLiteralError(ValueError):
    """What is wrong with a literal, and how to fix it if the literal alone shows it."""

    def __init__(self, literal: str, what: str, fix: str = "", is_overflow: bool = False) -> None:
        super().__init__(what)
        self._literal = literal
        self._fix = fix
        self.is_overflow = is_overflow

    @property
    def fix(self) -> str:
        """How to fix it; empty if that depends on where it is."""
        fixes = (fix for pattern, fix in _FIXES if re.fullmatch(pattern, self._literal))
        return self._fix or next(fixes, "")


def is_missing(literal: str) -> bool:
    """Whether a cell is blank or one of the usual signs and words for a missing value."""
    cell = literal.strip()
    return cell.casefold() in _MISSING or re.fullmatch(SPREADSHEET_ERROR, cell) is not None


def word_value(literal: str) -> float | None:
    """Return the value of a cell that says true or false, otherwise None."""
    return _WORDS.get(literal.strip().casefold())


def looks_numeric(literal: str) -> bool:
    """Whether a cell is a number, perhaps in another spelling: 2,5 or 1_000."""
    if len(literal) > MAX_LITERAL:
        return True
    try:
        float(literal.translate(SPELLINGS).replace(",", "."))
    except ValueError:
        return False
    return True


def number_reader(
    dtype: npt.DTypeLike,
    decimal: str = ".",
    words: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Callable[[str], Any]:
    """Return the function that reads one literal, or raises a BadLiteralError.

    It accepts what ``float`` accepts, in ASCII without underscores, and `SPELLINGS` and `words`.
    It notes each literal that is so small that it becomes 0.
    """
    scalar_type: Callable[[str], Any] = np.dtype(dtype).type
    is_float64 = np.dtype(dtype) == np.float64

    def read_number(literal: str) -> Any:
        if words and (value := word_value(literal)) is not None:
            return value
        if len(literal) > MAX_LITERAL:
            what = f"{quoted(literal[:12])}... has {len(literal):,} characters"
            fix = f"a number has at most {MAX_LITERAL:,}; is a delimiter missing?"
            raise BadLiteralError("", what, fix)
        number = literal.strip().translate(SPELLINGS)
        if decimal == "," and "." in number:
            raise _not_a_number(literal, "with --decimal , a period is not a decimal sign")
        number = number.replace(decimal, ".")
        try:
            value = float(number)
        except ValueError:
            raise _not_a_number(literal) from None
        if "_" in number or not number.isascii():
            raise _not_a_number(literal, "" if "_" in number else "write it with the digits 0 to 9")
        if not is_float64:
            with warnings.catch_warnings():  # NumPy warns outside the normal range
                warnings.simplefilter("ignore", RuntimeWarning)
                value = scalar_type(number)
        if abs(value) == math.inf and any(map(str.isdigit, number)):
            raise _overflow(literal, value, dtype)
        if value == 0 and NOT_ZERO.match(number):
            what = "underflowed to 0 while it was read, before any formula ran"
            note(f"{quoted(literal.strip())} {what}")
        return value

    return read_number


def parse_numbers(
    tokens: Sequence[str],
    dtype: npt.DTypeLike = "float64",
    note: Callable[[Note], None] = lambda note: None,
) -> Array:
    """Read numbers given one by one, as on a command line; errors say which."""
    read_number = number_reader(
        dtype, note=lambda text: note(Note(text, f"arguments, number {index + 1}"))
    )
    values = np.empty(len(tokens), dtype)
    for index, token in enumerate(tokens):
        try:
            values[index] = read_number(token)
        except BadLiteralError as bad:
            fix = bad.fix or _fix_argument(token)
            raise ReadError(f"arguments, number {index + 1}: {bad}; {fix}") from None
    return values


def _fix_argument(token: str) -> str:
    if os.path.exists(token):
        return f"--file {token} reads the file"
    if "," in token:
        return "put a blank between numbers, and a period before decimals"
    return "give numbers such as 1000, -0.5, 1e-3 or -inf"


def _not_a_number(literal: str, fix: str = "") -> BadLiteralError:
    literal = literal.strip()
    return BadLiteralError(literal, f"{quoted(literal)} is not a number", fix)


def _overflow(literal: str, value: Any, dtype: npt.DTypeLike) -> BadLiteralError:
    wider = np.finfo(np.longdouble).maxexp > np.finfo(np.dtype(dtype)).maxexp
    literal = literal.strip()
    shown = literal if len(literal) <= 24 else literal[:24] + "..."
    infinity = "inf" if value > 0 else "-inf"
    return BadLiteralError(
        literal,
        f"{shown} overflowed to {infinity} while it was read, before any formula ran",
        f"write {infinity} if you mean it" + (", or use --dtype longdouble" if wider else ""),
        is_overflow=True,
    )
