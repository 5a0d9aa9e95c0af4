"""The compensated log-sum-exp in one pass: right to a few ulps, for one exponential a number.

The sum of a piece is NumPy's, pairwise; the sums of pieces add up without loss, as those of
`stablelse.numerics.streams.running` do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stablelse.numerics.certificate import Certificate
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.streams.one_pass import PIECE
from stablelse.numerics.streams.running import RunningLogSumExp, Sum, merged
from stablelse.numerics.summation import exponentials

#: Between these, exp takes x as it is: see `stablelse.numerics.summation`.
LOWEST, HIGHEST = -700.0, 600.0

# Of a sum of PIECE terms, relative to it and in units of u: 3 for exp, within one unit in the
# last place, and for the rounding of x - a; of a term's way through NumPy's pairwise sum 16
# additions in one of eight accumulators, 3 of those, and 10 levels of halves from 128 to 2**17
# (Higham 2002, section 4.2). That is 32.
_PIECE_ERROR = 32 * 2.0**-53

#: In float64, the library promises its log-sum-exp to within so many ulps.
PROMISED_ULPS = 4.0


class LeanLogSumExp(RunningLogSumExp):
    """A running log-sum-exp that is right to within a bound, and seldom certified."""

    __slots__ = ()

    def add(self, total: float, count: int) -> None:
        """Take in `count` numbers by the sum of their exponentials, finite and positive."""
        self.count += count
        self._sum = merged(self._sum, Sum(0.0, total, 0.0, _PIECE_ERROR))

    def _take(self, x: Array) -> None:
        for begin in range(0, x.shape[1], PIECE):
            piece = np.asarray(x[:, begin : begin + PIECE], np.float64)
            x_max = float(np.maximum.reduce(piece, axis=None))
            self._has_nan |= math.isnan(x_max)
            self._has_infinity |= x_max == math.inf
            if math.isfinite(x_max):
                shift = 0.0 if is_tame(float(piece.min()), x_max) else x_max
                terms, *scratch = np.empty((3, *piece.shape))
                exponentials(piece, None, np.array([[shift]]), terms, *scratch)
                total = float(np.add.reduce(terms, axis=None))
                self._sum = merged(self._sum, Sum(shift, total, 0.0, _PIECE_ERROR))


def is_tame(x_min: float, x_max: float) -> bool:
    """Whether the exponentials of numbers between these sum up without a shift."""
    return x_max <= HIGHEST and (x_max >= 0 or x_min >= LOWEST)


def is_kept(value: Any, certificate: Certificate, format_: Format) -> bool:
    """Whether a result is as good as the library's own: narrower formats are always certified."""
    if certificate.settled or np.isnan(value):
        return True
    return format_.name == "float64" and certificate.bound <= PROMISED_ULPS
