"""The numbers of a format counted in order: neighbours are neighbours, whatever their size."""

from __future__ import annotations

import numpy as np

from stablelse.numerics.formats import Array, Format


def ordinals(x: Array, format_: Format) -> Array:
    """Return which number of the format each is, counted from zero and upward.

    Parameters
    ----------
    x : ndarray
        Finite numbers of the format, any shape.
    format_ : Format
        Their format.

    Returns
    -------
    ndarray
        The same shape: of int64 where every ordinal fits, of Python's integers (dtype object)
        otherwise. 0 and -0 are both the zeroth, the smallest subnormal number is the first.

    Notes
    -----
    With p bits there are 2**(p - 1) subnormal numbers below the smallest normal one, zero
    counted, and as many numbers between a power of two and the next. So the ordinal of
    x = s 2**(e - p), where e is that of the smallest normal number or larger and s is an
    integer, is s and 2**(p - 1) more for every step of e.
    """
    wide = np.abs(x.astype(np.longdouble))
    _, exponent = np.frexp(wide)
    steps = np.maximum(exponent.astype(np.int64) - _least_exponent(format_), 0)
    steps[wide == 0] = 0  # of which frexp makes 0 times 2**0
    scale = format_.significand_bits - steps - _least_exponent(format_)
    significand = _integers(np.ldexp(wide, scale), format_)
    count = significand + steps.astype(significand.dtype) * _per_binade(format_)
    signed: Array = np.where(x.astype(np.longdouble) < 0, -count, count)
    return signed


def numbers(ordinal: Array, format_: Format) -> Array:
    """Return the numbers of the format that have these ordinals: the inverse of `ordinals`."""
    count = np.abs(ordinal)
    per_binade = _per_binade(format_)
    steps = np.maximum(count // per_binade - 1, 0)
    significand = _wide(count - steps * per_binade)
    exponent = steps.astype(np.int64) + _least_exponent(format_) - format_.significand_bits
    magnitude = np.ldexp(significand, exponent)
    signed: Array = format_.round(np.where(ordinal < 0, -magnitude, magnitude))
    return signed


def _per_binade(format_: Format) -> int:
    return 1 << (format_.significand_bits - 1)


def _least_exponent(format_: Format) -> int:
    """Return the e of the smallest normal number, 2**(e - 1)."""
    return int(np.frexp(np.longdouble(format_.smallest_normal))[1])


def _integers(x: Array, format_: Format) -> Array:
    """Return whole numbers as integers: as Python's where the format has more than 64 bits."""
    if format_.dtype.itemsize <= np.dtype(np.int64).itemsize:
        return x.astype(np.int64)
    exact = [int(value) for value in x.ravel()]
    return np.array(exact, dtype=object).reshape(x.shape)


def _wide(integers: Array) -> Array:
    if integers.dtype != object:
        return integers.astype(np.longdouble)
    exact = [np.longdouble(value) for value in integers.ravel()]
    return np.array(exact, dtype=np.longdouble).reshape(integers.shape)
