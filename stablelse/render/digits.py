"""Digits: how many of a number are shown, and which of them are wrong."""

from __future__ import annotations

from math import isfinite, log10
from typing import Any

import numpy as np

from stablelse.analysis.results import Comparison, MethodResult
from stablelse.numerics.formats import FORMATS, Array, Format, context
from stablelse.numerics.formulas import Method
from stablelse.render.numbers import number_text


def short_text(value: Any, digits: int) -> str:
    """Return a number rounded to some digits, or in full if that is as short."""
    full = number_text(value)
    if not isfinite(number := context(digits).create_decimal(full)):
        return full
    short = min(f"{number:g}", f"{number:e}", key=len).replace("e+", "e")
    return full if len(full) <= len(short) else short


def all_digits(format_: Format) -> int:
    """Return how many decimal digits a format has: 16 for float64."""
    return max(1, round(format_.significand_bits * log10(2)))


def right_digits(value: Array, exact: Array, format_: Format) -> Array:
    """Return how many leading digits are right: the error is at most half a unit of the last."""
    most = all_digits(format_)
    with np.errstate(all="ignore"):
        wide, right = value.astype(np.longdouble), exact.astype(np.longdouble)
        error = np.abs(wide - right)
        size = np.floor(np.log10(np.abs(right)))
        digits = np.nan_to_num(size + 1 - np.ceil(np.log10(2 * error)), nan=0, neginf=0)
        same = (wide == right) | (np.isnan(wide) & np.isnan(right))
        same |= error <= float(format_.smallest_subnormal)
        found: Array = np.where(same, most, digits.clip(0, most)).astype(int)
    return found


def least_right(ulps: float | None, format_: Format) -> int:
    """Return how many digits an error in ulps leaves right at least."""
    with np.errstate(divide="ignore"):
        lost = np.ceil(np.log10(2 * np.float64(ulps or 0)))
    return int(max(0, all_digits(format_) - max(lost, 0)))


def exact_entries(comparison: Comparison, format_: Format) -> Array | None:
    """Return the exact value in a format, as an array; none if it was not computed."""
    results = [r for r in comparison.results if r.format == format_.name]
    exact = next((r.value for r in results if r.method is Method.EXACT), None)
    if exact is None and results[0] is comparison.results[0]:
        exact = comparison.value
    return None if exact is None else np.atleast_1d(exact)


def entries_right(result: MethodResult, exact: Array | None) -> Array:
    """Return how many digits of each entry are right, or at least of all of them."""
    value, format_ = np.atleast_1d(result.value), FORMATS[result.format]
    if exact is not None and exact.shape == value.shape:
        return right_digits(value, exact, format_)
    return np.full(value.shape, least_right(result.ulps, format_))


def split_digits(text: str, right: int) -> tuple[str, str, str]:
    """Split a number into its right digits, its wrong digits and its exponent."""
    mantissa, mark, exponent = text.partition("e")
    missing = right + 1 - len(mantissa.replace(".", "").lstrip("-0"))
    if missing > 0 and right:  # digits that are not written are 0
        mantissa += ("" if "." in mantissa else ".") + "0" * missing
    ends = [i + 1 for i, sign in enumerate(mantissa) if sign.isdigit()]
    leading = next((k for k, i in enumerate(ends) if mantissa[i - 1] != "0"), 0)
    cut = ends[leading + right - 1] if right else 0
    return mantissa[:cut], mantissa[cut:], mark + exponent
