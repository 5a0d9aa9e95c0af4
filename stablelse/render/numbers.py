"""Numbers as text: the shortest that reads back to the same value of the format."""

from __future__ import annotations

from math import copysign, isfinite
from typing import Any

import numpy as np

from stablelse.numerics.formats import FORMATS, Array
from stablelse.printable import printable, shortened


def number_text(value: Any) -> str:
    """Return the shortest text that reads back to the same number; integers up to 1e16 in full."""
    if isinstance(value, float):  # float64 too, a subclass
        return _tidy(repr(float(value)))
    if hasattr(value, "adjusted"):  # a Decimal, not loaded for others: an exact value
        shown = f"{value:{'f' if -5 <= value.adjusted() < 16 else 'e'}}"
        mantissa, mark, exponent = shown.partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return _tidy(mantissa + mark + exponent)
    near = float(value)
    if near == value and near.is_integer() and abs(near) < 1e16:
        return _tidy(repr(near))  # 65504, where float16's shortest would be 6.55e4
    # NumPy does this for its own floats (Dragon4); ml_dtypes prints at most six digits.
    is_shortest = isinstance(value, (int, np.floating, np.integer))
    return _tidy(str(value) if is_shortest else _shortest(value))


def json_number(value: Any) -> float | int | str:
    """Return the number for JSON, which has no infinity and no NaN.

    A number of a format wider than float64 becomes text too, so that no digit is cut.
    """
    if isinstance(value, float) and isfinite(value):  # the usual case; float64, too
        is_short = value.is_integer() and abs(value) < 1e16 and (value or copysign(1, value) > 0)
        return int(value) if is_short else float(value)
    text = number_text(value)
    if hasattr(value, "adjusted"):
        return text
    wide = isinstance(value, np.longdouble) and float(value) != value
    if not np.isfinite(value) or wide:
        return text
    return float(text) if not text.lstrip("-").isdigit() or text == "-0" else int(text)


def number_texts(numbers: Array) -> list[str]:
    """Return `number_text` of each number; float64 in bulk."""
    if numbers.dtype != np.float64:
        return list(map(number_text, numbers))
    texts, size = list(map(repr, numbers.tolist())), np.abs(numbers)
    with np.errstate(invalid="ignore"):  # Python writes 2.0, 1e-05 and 1e+16
        is_usual = ((size > 1e-4) | (size < 1e-9)) & (size < 1e16) & (numbers != np.trunc(numbers))
    for index in np.flatnonzero(~is_usual).tolist():
        texts[index] = _tidy(texts[index])
    return texts


def json_numbers(numbers: Array) -> list[float | int | str]:
    """Return `json_number` of each number; float64 in bulk."""
    if numbers.dtype != np.float64:
        return list(map(json_number, numbers))
    items: list[Any] = numbers.tolist()
    with np.errstate(invalid="ignore"):
        is_usual = np.isfinite(numbers) & (numbers != np.trunc(numbers))
    for index in np.flatnonzero(~is_usual).tolist():
        items[index] = json_number(items[index])
    return items


def rough_text(value: float, digits: int = 3) -> str:
    """Return a number to a few digits, for people only."""
    return _tidy(f"{value:.{digits}g}")


def bound_text(value: Any, digits: int = 5) -> str:
    """Return a limit cut to a few digits: numbers within the text are within the limit."""
    is_wide = float(value) != value  # for longdouble the shortest text is close enough
    text = np.format_float_scientific(value) if is_wide else f"{float(value):.24e}"
    mantissa, _, exponent = text.partition("e")
    cut = mantissa[: mantissa.index(".") + digits]
    if abs(int(exponent)) < 300:
        return number_text(float(f"{cut}e{exponent}"))
    return f"{cut.rstrip('0').removesuffix('.')}e{int(exponent)}"


def _tidy(text: str) -> str:
    """Remove what is not needed to read the number back: 1002.0, 1e+16."""
    mantissa, mark, exponent = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def _shortest(value: Any) -> str:
    format_ = FORMATS[value.dtype.name]
    # ceil(1 + p log10 2) digits distinguish all numbers of p bits (Matula 1968).
    most_digits = 2 + format_.significand_bits * 302 // 1000
    texts = [format(float(value), f".{digits}g") for digits in range(1, most_digits + 1)]
    return next((text for text in texts if format_.round(float(text)) == value), texts[-1])


def place_text(placed: Any) -> str:
    """Return where a vector came from: file, row or column."""
    return ", ".join(filter(None, (printable(placed.source or ""), vector_text(placed))))


def vector_text(placed: Any) -> str:
    """Return the row and column in a file that something has, or nothing for a whole file."""
    row = "" if placed.row is None else f"row {placed.row}"
    column = placed.column and f"column {shortened(printable(placed.column), 40)}"
    return ", ".join(filter(None, (row, column)))
