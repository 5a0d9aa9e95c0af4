"""The quick phase for a short vector in Python's own floats, without NumPy's overhead.

The algorithm and its bounds are those of `stablelse.numerics.quick`, but that the sum of all
words is exact: `math.fsum`.
"""

from __future__ import annotations

import math
from functools import cache

from stablelse.numerics import quick
from stablelse.numerics.errorfree import two_product, two_sum
from stablelse.numerics.powers import INDEX_BITS, powers

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
    step, step_low, high, offset = _table()
    k = round(d / step)
    j = k & 2**INDEX_BITS - 1
    power = math.ldexp(high[j], k >> INDEX_BITS)
    y = d - k * step
    rest = offset[j] + k * step_low - d_low
    r = y - rest
    h = (r + quick.TO_38_BITS) - quick.TO_38_BITS
    g = r * r / 120 * ((r + 5) * (r * r + 20) - 40) + ((y - h) - rest)
    return power, power * h, power * g


@cache
def _table() -> tuple[float, float, list[float], list[float]]:
    constants = powers()
    return *constants.step_in_two, constants.high.tolist(), constants.offset.tolist()
