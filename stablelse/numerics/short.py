"""The quick phase for a short vector in Python's own floats, without NumPy's overhead.

The algorithm and its bounds are those of `stablelse.numerics.quick`, but that the sum of all
words is exact: `math.fsum`.
"""

from __future__ import annotations

import math
from functools import cache

from stablelse.numerics import quick
from stablelse.numerics.errorfree import two_product, two_sum
from stablelse.numerics.powers import FINE_INDEX_BITS, fine_powers

#: Up to here it is faster than `quick`.
LONGEST = 40


def logsumexp(x: list[float]) -> tuple[float, float] | None:
    """Compute the log-sum-exp of finite numbers or -inf as a double-word.

    Parameters
    ----------
    x : list of float
        At least one.

    Returns
    -------
    high, low : float
        As `stablelse.numerics.quick.log` has them; or ``None`` if the sum is no finite number.
    """
    x_max = max(x)
    if math.isnan(sum(x)) or math.isinf(x_max):
        return None
    shift = 0.0 if abs(x_max) <= quick.TAME else x_max
    words = [word for entry in x for word in _exp(*two_sum(entry, -shift))]
    total = math.fsum(words)
    y = math.log(total)
    # log(S) = y + log(S exp(-y)), the second of which is small.
    inverse = _exp(-y, 0.0)
    products = (two_product(total, word) for word in inverse)
    z = math.fsum([-1.0, *(part for product in products for part in product)])
    z += math.fsum([*words, -total]) / total
    value, error = two_sum(shift, y)
    high, low = two_sum(value, error + (z - z * z / 2))
    return high, low


def _exp(d: float, d_low: float) -> tuple[float, float, float]:
    """Return exp(d + d_low) in three words, see `stablelse.numerics.quick.exp`."""
    if d < quick.LOWEST:
        d, d_low = quick.LOWEST, 0.0
    (step_1, step_2, step_3), high, offset = _table()
    k = round(d / step_1)
    j = k & 2**FINE_INDEX_BITS - 1
    power = math.ldexp(high[j], k >> FINE_INDEX_BITS)
    y, z = d - k * step_1, k * step_2
    rest = offset[j] + k * step_3 - d_low
    r = y - z - rest
    h = (r + quick.TO_35_BITS) - quick.TO_35_BITS
    g = r * (r * (0.5 + r * (1 / 6 + r / 24))) + (y - h - z - rest)
    return power, power * h, power * g


@cache
def _table() -> tuple[tuple[float, ...], list[float], list[float]]:
    constants = fine_powers()
    return constants.step, constants.high.tolist(), constants.offset.tolist()
