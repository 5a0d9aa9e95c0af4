"""Sums of exponentials in integers: to 130 bits, where a double-word is not enough.

A term is wrong by less than 40 units of 2**-150 (`stablelse.numerics.ladder.limbs`), and a sum of
terms has no errors of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals
from stablelse.numerics.blocks import Blocks
from stablelse.numerics.decimals import Ball, Term, as_decimal
from stablelse.numerics.errorfree import difference
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import limbs

# Elements at a time: all limbs of all factors stay in the cache.
_LENGTH = 2**12


class Rest(NamedTuple):
    """The sum of all terms of a vector but the largest.

    Attributes
    ----------
    x_max, x_next : float
        The largest x, and the largest of those that are less.
    multiplicity : int
        How many x are the largest.
    total, error : int
        The sum of exp(x_i - x_next) over all that are less, and a bound of its error, in units.
    """

    x_max: float
    x_next: float
    multiplicity: int
    total: int
    error: int

    @property
    def first(self) -> Term:
        """The largest term, as often as it is there."""
        return Term(as_decimal(self.x_max), Decimal(self.multiplicity))

    @property
    def second(self) -> Decimal:
        """The x of the terms that come next."""
        return as_decimal(self.x_next)


def elements_of(rest: Rest, x: Array, format_: Format, evaluate: decimals.Elements) -> list[Any]:
    """Compute elements of a vector from the sum of all of it.

    Parameters
    ----------
    rest : Rest
        Of the vector.
    x : ndarray
        Shape (k,), finite.
    format_ : Format
        The format of the results.
    evaluate : callable
        `decimals.quotients` for softmax, `decimals.log_quotients` for log_softmax.

    Returns
    -------
    list of scalar
        Correctly rounded, or ``None``.
    """
    with localcontext(next(decimals.contexts())):
        balls = evaluate([as_decimal(entry) for entry in x], (rest.first, _in_decimal(rest)))
        return [decimals.nearest_to(ball, format_) for ball in balls]


def log_sum_of(rest: Rest, format_: Format) -> Any:
    """Round the log-sum-exp of a vector from the sum of all of it, or return ``None``."""
    with localcontext(next(decimals.contexts())):
        return decimals.nearest_to(decimals.log_sum((rest.first, _in_decimal(rest))), format_)


def _in_decimal(rest: Rest) -> Ball:
    """Return the sum of all terms in units of the largest."""
    units = Ball(Decimal(0), Decimal(rest.total), Decimal(rest.error))
    others = decimals.divide(units, Ball(Decimal(2**limbs.BITS)))
    return decimals.joined(rest.first, rest.second, others)


def rest_of(parts: Callable[[], Iterable[Array]]) -> Rest | None:
    """Sum the exponentials of a vector that comes in parts, but for its largest; in two passes.

    Parameters
    ----------
    parts : callable
        Returns the parts, shape (n,), of numbers that float64 holds, finite or -inf; each time
        the same.

    Returns
    -------
    Rest or None
        Nothing, if all finite numbers are equal.
    """
    x_max = x_next = -np.inf
    multiplicity = count = 0
    for x in parts():
        count += x.size
        most = x.max(initial=-np.inf)
        if most > x_max:
            x_max, x_next, multiplicity = float(most), x_max, 0
        multiplicity += int(np.count_nonzero(x == x_max))
        x_next = max(x_next, float(x.max(initial=-np.inf, where=x < x_max)))
    if x_next == -np.inf:
        return None
    total = 0
    for x in parts():
        others = x[(x < x_max) & (x > -np.inf)].astype(np.float64)[np.newaxis]
        total += sum(_sums(others, np.array([[x_next]]))) if others.size else 0
    return Rest(x_max, x_next, multiplicity, total, limbs.EXP_ERROR * count)


def _sums(rows: Array, shift: Array) -> list[int]:
    """Return the sums of exp(x - shift) of all rows, in units."""
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=3, length=_LENGTH)
    sums = []
    for x, a in blocks.bands(rows, shift):
        pieces = [_sum_piece(blocks, piece, a) for (piece,) in blocks.pieces(x)]
        sums += [limbs.integer(sums_of) for sums_of in np.sum(pieces, axis=0).T.tolist()]
    return sums


def _sum_piece(blocks: Blocks, x: Array, shift: Array) -> Array:
    """Return the limbs of the sums of a piece, not carried, shape (6, vectors)."""
    d, d_low, spare = blocks.buffers(x.shape)
    difference(blocks.load(x), shift, d, d_low, spare)
    d_low[~(d >= limbs.LOWEST)] = 0
    return np.stack([limb.sum(axis=blocks.axis) for limb in limbs.exp(d, d_low)])
