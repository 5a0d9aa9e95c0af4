"""How wrong a result is, in units in the last place of the right one."""

from __future__ import annotations

import numpy as np

from stablelse.numerics.formats import Array, Format


def ulp_error(value: Array, exact: Array, format_: Format) -> Array:
    """Return the distance of results from the correctly rounded ones, in ulps of the latter.

    Parameters
    ----------
    value, exact : ndarray
        The same shape, of the format.
    format_ : Format
        Whose ulps are counted: 2**(e - p + 1) for a number in [2**e, 2**(e + 1)), and the
        smallest subnormal number for those below the normal range
        (Muller et al. 2018, Handbook of Floating-Point Arithmetic, section 2.3.2).

    Returns
    -------
    ndarray of float64
        0 where both are the same, NaN included; inf where only one of them is finite, or both
        are infinite or NaN in different ways.
    """
    with np.errstate(all="ignore"):
        wide, right = value.astype(np.longdouble), exact.astype(np.longdouble)
        _, exponent = np.frexp(right)  # right = m 2**exponent, 1/2 <= m < 1
        ulp = np.ldexp(np.longdouble(1), exponent - format_.significand_bits)
        smallest = np.longdouble(format_.smallest_subnormal)
        ulp = np.where(right == 0, smallest, np.maximum(ulp, smallest))
        distance = np.abs(wide - right) / ulp
        same = (wide == right) | (np.isnan(wide) & np.isnan(right))
        finite = np.isfinite(wide) & np.isfinite(right)
        error: Array = np.where(same, 0.0, np.where(finite, distance, np.inf))
    return error.astype(np.float64)
