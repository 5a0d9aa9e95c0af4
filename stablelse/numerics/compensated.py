"""What the library returns as log-sum-exp: a plain sum, and one in two words where that loses.

With S = sum exp(x_i - a), for any a, lse(x) = a + log S. How a is chosen and S is computed in two
words says `stablelse.numerics.summation`. What is left to lose: a + log S may cancel. Where the
error bound says that this loses digits, S is computed anew in double-word arithmetic; and exactly,
where weights of both signs leave less of it than that has.

Results of formats narrower than float64 are correctly rounded: `stablelse.numerics.exact`.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import plain
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.summation import Sum, sum_exp

#: Of a sum that is at least this, 2**80 terms that count as 2**-937 are less than u.
SMALLEST_FOR_LOG = 2.0**-800

# A logsumexp of which one term makes up more than this is as close to the largest x as it can be.
_DOMINANT = 0.75

# The error of a float64 logsumexp, in units in its last place, that sends it up the ladder. The
# addition of the shift can make it half a unit more, which is what is promised. Closer to zero
# than this, it is the error that a value of this size may have.
_PROMISED = 4.0
_TOLERANCE = _PROMISED - 0.5
_NEAR_ZERO = 1e-10


class LogSum(NamedTuple):
    """The logarithms of sums of exponentials, with bounds of their errors.

    Attributes
    ----------
    value : ndarray
        log abs(sum b_i exp(x_i)), shape (m,), in the working format: float64 or longdouble.
    sign : ndarray
        Of the sums: 1, 0, -1 or NaN.
    error : ndarray
        A bound of the absolute error; 0 of what is infinite, NaN, or the logarithm of nothing.
    estimate : ndarray
        What is near the value, or with weights the largest x_i + log abs(b_i).
    """

    value: Array
    sign: Array
    error: Array
    estimate: Array


def logsumexp(rows: Array, format_: Format, weights: Array | None = None) -> tuple[Array, Array]:
    """Compute log abs(sum b_i exp(x_i)), and the sign of the sum, for every row.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m >= 1, n >= 1, real.
    format_ : Format
        The format of the values.
    weights : ndarray, optional
        The b_i, shape (m, n), real; all 1 if left out.

    Returns
    -------
    value : ndarray
        Shape (m,), in the format.
    sign : ndarray
        Shape (m,): 1, 0, -1 or NaN.
    """
    if weights is not None:
        return _carefully(rows, format_, weights)
    value, settled = _plainly(rows, format_)
    if settled.all():
        return value, np.broadcast_to(1.0, value.shape)
    some, sign = np.flatnonzero(~settled), np.ones(len(rows))
    value[some], sign[some] = _carefully(chosen(rows, some), format_, None)
    return value, sign


def _plainly(rows: Array, format_: Format) -> tuple[Array, Array]:
    """Return shift + log S of every row, S a plain sum, and whether that is accurate.

    With S wrong by k u, relatively, so is its logarithm, absolutely, and by one unit in its last
    place for itself. In [2**e, 2**(e+1)) a unit is 2**(e+1) u, so that the others of those that
    are promised suffice for k u if 2**e is large enough. Just above 2**e the exact value may be
    just below, where the units are half as large.

    Shifted is only what is larger than 600 in size, see `plain.sum_exp`. There a unit in the last
    place is 2**-43, and what the shift rounds away is nothing beside that: no more than u log n,
    for sum p_i (x_max - x_i) = H - log S, H the entropy of the softmax p, which log n bounds.
    """
    blocks = plain.blocks_for(rows.shape, format_)
    least = _least_settled(blocks, rows.shape[1])

    def of_band(x: Array) -> tuple[Array, Array]:
        shift, total, largest, _ = plain.sum_exp(blocks, x, SMALLEST_FOR_LOG, with_largest=True)
        value = shift + np.log(total)
        is_settled = (abs(value) >= least) & (largest <= _DOMINANT * total)
        return value.ravel(), is_settled.ravel()

    value, settled = zip(*blocks.over_bands(of_band, rows), strict=True)
    return np.concatenate(value), np.concatenate(settled)


def _least_settled(blocks: Blocks, n: int) -> float:
    large = plain.roundings(blocks, n) / (2 * (_PROMISED - 1))
    return 2.0 ** ceil(log2(large)) + 2.0**-32


def _carefully(rows: Array, format_: Format, weights: Array | None) -> tuple[Array, Array]:
    """Compute value and sign from sums in two words, and in higher precision if they cancel."""
    value, sign, error, _ = approximate(rows, format_, weights)
    if format_.name == "float64":  # there is no higher rung for longdouble
        climbing = np.flatnonzero((error > 0) & ~(error <= _TOLERANCE * np.spacing(abs(value))))
        if climbing.size:
            value[climbing], sign[climbing] = _climb(rows, weights, climbing)
    return value, sign


def approximate(rows: Array, format_: Format, weights: Array | None = None) -> LogSum:
    """Compute the logarithms of the sums, not yet rounded to the format; see `logsumexp`."""
    blocks = Blocks(rows.shape, format_, buffers=3)
    shifted = is_better_shifted(blocks)
    sums = [
        sum_exp(blocks, x if b is None else weighted(x, b), b, shifted=shifted)
        for x, b in blocks.bands(rows, weights)
    ]
    total = Sum.concatenated(sums, 1 - blocks.axis)
    if weights is not None:
        value, error = _log_of_sum(total)
    else:
        value, error = _log_of_rest(total, blocks.unit_roundoff, shifted=shifted)
    error = np.nan_to_num(error, nan=np.inf)  # of a sum that cancels wholly
    error = np.where((total.error > 0) & np.isfinite(total.error), error, 0).ravel()
    value, sign = value.ravel(), np.sign(total.value).ravel()
    infinite = np.isinf(total.x_max).ravel()
    if infinite.any():
        positive = total.x_max.ravel()[infinite] > 0
        sign[infinite] = (
            positive if weights is None else _sign_of(rows[infinite], weights[infinite])
        )
        value[infinite] = np.where(positive, abs(sign[infinite]) * np.inf, -np.inf)
    return LogSum(value, sign, error, value if weights is None else total.shift.ravel())


def _log_of_sum(total: Sum) -> tuple[Array, Array]:
    """Return shift + log abs(S), and a bound of its error but for that of the addition.

    NumPy's log and log1p are taken to be right to one unit in the last place.
    """
    log = total.log
    return total.shift + log, total.error / abs(total.value) + 1.5 * np.spacing(abs(log))


def _log_of_rest(total: Sum, unit_roundoff: float, *, shifted: bool) -> tuple[Array, Array]:
    """Return x_max + log1p(r), and a bound of its error but for that of the addition.

    The terms being wrong by eps, relatively, r is wrong by 3 eps at most: in S - E, in E, and the
    quotient; or by eps where all are shifted and E is 1. What adding up the lower parts loses is
    less than 32 u of them: pairwise, each of at most 2**15 takes part in 18 + log2(n / 128)
    additions. Where that is worse than `_log_of_sum`, it is replaced by it. It is not where one
    entry dominates: of a single entry, x_max is the result.
    """
    rest = total.rest
    log = np.log1p(rest)
    value = total.x_max + log
    bound = (1 if shifted else 3) * total.error / total.value * (rest / (1 + rest))
    bound += 32 * unit_roundoff * abs(total.lower / total.largest) + np.spacing(log)
    if shifted:
        return value, bound
    worse = ~(rest < 0.5)
    of_sum = _log_of_sum(total)
    return np.where(worse, of_sum[0], value), np.where(worse, of_sum[1], bound)


def is_better_shifted(blocks: Blocks) -> bool:
    """Whether to shift at any rate: of a few terms, it pays that the largest one is exactly 1."""
    return blocks.axis == 0 and blocks.is_exact


def weighted(x: Array, b: Array) -> Array:
    """Return x with -inf where there is no weight, and hence no term, whatever x is."""
    return np.where(b == 0, -np.inf, x)


def _sign_of(x: Array, b: Array) -> Array:
    """Return the sign of sums of which some terms are infinite, so that the others do not count."""
    infinite = weighted(x, b) + np.log(abs(b)) == np.inf
    sign: Array = np.sign(np.sum(np.where(infinite, np.sign(b) * np.inf, 0), axis=1))
    return sign


def _climb(rows: Array, weights: Array | None, climbing: Array) -> tuple[Array, Array]:
    """Compute value and sign of some of the rows correctly rounded."""
    from stablelse.numerics import reference  # on use: few ever need it

    rows, weights = chosen(rows, climbing), chosen(weights, climbing)
    value, sign, _ = reference.logsumexp(rows, FORMATS["float64"], weights)
    return value, sign


def chosen(stack: Array | None, rows: Array) -> Any:
    """Return some of the rows of a stack; without a copy, if it is all of them."""
    return stack if stack is None or len(rows) == len(stack) else stack[rows]
