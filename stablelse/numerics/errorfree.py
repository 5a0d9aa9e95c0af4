"""Error-free transformations: what a sum or a product rounds away, as a number of its own.

Every identity here is exact in binary floating-point arithmetic with rounding to nearest, as
long as nothing overflows (and, for products, nothing underflows). No fused multiply-add is
assumed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stablelse.numerics.formats import Array

#: 2**27 + 1 splits a float64 into two halves of at most 26 bits (Dekker 1971, section 5.7).
_SPLITTER = float(2**27 + 1)


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return s = fl(a + b) and the t for which s + t = a + b exactly.

    Knuth's TwoSum (The Art of Computer Programming 2, section 4.2.2, theorem B).
    """
    s = a + b
    b_virtual = s - a
    a_virtual = s - b_virtual
    return s, (a - a_virtual) + (b - b_virtual)


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return what `two_sum` does, for abs(a) >= abs(b) or a = 0 (Dekker 1971, section 5.2)."""
    s = a + b
    return s, b - (s - a)


def split(a: Any) -> tuple[Any, Any]:
    """Return a float64 as the exact sum of two halves of at most 26 bits (Veltkamp's split).

    Needs abs(a) < 2**996, or the product with the splitter overflows.
    """
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """Return p = fl(a b) and the t for which p + t = a b exactly, float64 (Dekker 1971)."""
    p = a * b
    a_high, a_low = split(a)
    b_high, b_low = split(b)
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


def difference(x: Array, shift: Array, d: Array, delta: Array, spare: Array) -> None:
    """Put fl(x - shift) into `d`, and what that rounded away into `delta`.

    This is TwoSum without allocation. Where d is infinite, delta is NaN.
    """
    np.subtract(x, shift, out=d)
    np.add(d, shift, out=spare)
    np.subtract(spare, d, out=delta)
    delta -= shift
    np.subtract(x, spare, out=spare)
    delta += spare
