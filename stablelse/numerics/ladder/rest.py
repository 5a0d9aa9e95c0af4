"""What log-sum-exp exceeds its largest x by, where that is little: to as many digits as always.

With r the sum of exp(x_i - x_max) over all x but one that is the largest,

    lse(x) = x_max + log1p(r),   log1p(r) = r - q,   q = r**2 (1/2 - r (1/3 - r (1/4 - r / 5))).

An absolute error of lse(x) is many ulps of log1p(r), if that is small: of the log_softmax of the
largest x, and of lse(x) itself next to zero. But r is exp(shift - x_max) times a sum of the quick
phase (`stablelse.numerics.ladder.quick`), and has its relative error: 2**-80, and 2**-83.2 for
the factor; the product of double-words is wrong by 2**-103. For r < 2**-16 the series leaves out
r**6 / 6, which is 2**-82.5 of r. q, below 2**-17 of r, is computed in float64, from r rounded:
with eight roundings, of r twice, wrong by 2**-50, which is 2**-67 of r. Together less than
2**-66.9.
"""

from __future__ import annotations

import numpy as np

from stablelse.numerics.errorfree import fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import Array
from stablelse.numerics.ladder import exponential, quick

#: A bound of the relative error of log1p(r).
ERROR = 2.0**-66.9

# Below the first, the series is as short as that; above the second, no lower word underflows.
_LARGEST, _SMALLEST = 2.0**-16, 2.0**-900

# Elements that are copied together.
_TOGETHER = 2**22


def excess(rows: Array) -> tuple[Array, Array, Array]:
    """Compute log1p(r) of every row as a double-word.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real numbers or -inf, exact in float64, not all of them -inf.

    Returns
    -------
    x_max : ndarray
        Shape (m,), the largest x of each row, float64.
    high, low : ndarray
        Shape (m,), abs(low) <= ulp(high) / 2, with a relative error of `ERROR`; NaN where r is
        not small, or too small.
    """
    count = max(1, _TOGETHER // rows.shape[1])
    parts = [_excess(rows[start : start + count]) for start in range(0, len(rows), count)]
    x_max, high, low = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x_max, high, low


def _excess(rows: Array) -> tuple[Array, Array, Array]:
    others = rows.astype(np.float64)  # a copy
    largest = (np.arange(len(rows)), others.argmax(axis=1))
    x_max = others[largest]
    others[largest] = -np.inf
    shift, high, low = (part.ravel() for part in quick.sums(others))
    r, r_low = _scaled(high, low, *two_sum(shift, -x_max))
    r[~((r < _LARGEST) & (r > _SMALLEST))] = np.nan
    q = r * r * (1 / 2 - r * (1 / 3 - r * (1 / 4 - r / 5)))
    value, error = two_sum(r, -q)
    return x_max, *fast_two_sum(value, error + r_low)


def _scaled(high: Array, low: Array, d: Array, d_low: Array) -> tuple[Array, Array]:
    """Multiply double-words by exp(d + d_low); NaN where that is far."""
    is_far = ~(abs(d) <= -exponential.LOWEST)
    d[is_far], d_low[is_far] = 0, 0
    first, second, third = exponential.exp(d, d_low, list(np.empty((6, len(d)))))
    power, rest = fast_two_sum(first, second)
    power, rest = fast_two_sum(power, rest + third)
    product, error = two_product(high, power)
    product[is_far] = np.nan
    result: tuple[Array, Array] = fast_two_sum(product, error + (high * rest + low * power))
    return result
