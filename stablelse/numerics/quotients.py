"""What the library returns as softmax and log_softmax: quotients of exponentials and their sum.

With S = sum exp(x_i - a), E = max exp(x_i - a) and r = (S - E) / E, for any a,

    softmax(x)_j = exp(x_j - a) / S,   log_softmax(x)_j = (x_j - max x) - log1p(r).

S is a plain sum (`stablelse.numerics.plain`) where that loses nothing to speak of, and one in two
words (`stablelse.numerics.summation`) in the other rows. log1p(r) is as small as r where one entry
dominates; so r is taken from both words of S.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stablelse.numerics import plain
from stablelse.numerics.blocks import Blocks, by_vector
from stablelse.numerics.compensated import SMALLEST_FOR_LOG, is_better_shifted
from stablelse.numerics.errorfree import two_sum
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.summation import sum_exp

# r = (upper - largest) + lower is wrong by about 2**-88 of the largest term: one that is smaller
# than this needs a largest term that has no lower part, exp(0) = 1.
_SMALL_REST = 2.0**-32

#: Of a sum that is at least this, a term that underflowed is a quotient that does, and loses no
#: more than a unit in its last place.
SMALLEST = 0.5

#: A row with an element larger than this is added up almost exactly.
STEEP = 0.25

#: Of fewer numbers, one is nearly always a larger part of the sum.
LEAST = 6

#: The log_softmax of a smaller part of the sum is below -1.
CLOSE = 0.367


def softmax(rows: Array, format_: Format, place: Array | None = None) -> Array:
    """Compute the softmax of every row: (m, n), m, n >= 1, real, to (m, n) in the format.

    With a place, an array of that shape and format apart from the rows, the result is put there.
    """
    return _elementwise(rows, format_, place, _quotients, _quotients_of_cut)


def log_softmax(rows: Array, format_: Format, place: Array | None = None) -> Array:
    """Compute log softmax of every row; see `softmax`."""
    return _elementwise(rows, format_, place, _log_quotients, _log_quotients_of_rest)


def _elementwise(
    rows: Array,
    format_: Format,
    place: Array | None,
    quickly: Callable[[Blocks, Array, Array], Array],
    carefully: Callable[[Blocks, Array, Array], None],
) -> Array:
    """Compute all rows quickly, and those carefully of which that tells that it will not do."""
    blocks = plain.blocks_for(rows.shape, format_)
    result = np.empty(rows.shape, format_.dtype) if place is None else place
    across = 1 - blocks.axis

    def of_band(x: Array, target: Array) -> None:
        if x.size <= blocks.length:
            x = blocks.load(x)  # once for all that follows
        again = np.flatnonzero(quickly(blocks, x, target))
        if again.size == x.shape[across]:
            carefully(blocks, x, target)
        elif again.size:
            some = np.take(x, again, axis=across)
            part = np.empty(some.shape, target.dtype)
            carefully(blocks, some, part)
            target[(slice(None), again) if across else again] = part

    blocks.over_bands(of_band, rows, result)
    return result


def _quotients(blocks: Blocks, x: Array, p: Array) -> Array:
    """Compute exp(x_j) / S of a band, S a plain sum; tell where that is not accurate.

    Of a sum along a row that NumPy adds up, a large term makes each of up to 16 additions round.
    """
    terms = p if blocks.is_workable(p) else None
    is_row = blocks.axis == 1
    shift, total, largest, in_buffer = plain.sum_exp(
        blocks, x, SMALLEST, terms, with_largest=is_row, in_full=True, closely=True
    )
    # To divide takes three times as long as to multiply; but it makes of a single entry 1.
    operation, factor = (np.multiply, 1 / total) if is_row else (np.divide, total)

    def of_piece(piece: Array, target: Array) -> None:
        term = target
        if terms is None:
            term, *scratch = blocks.buffers(piece.shape)
            if not in_buffer:  # a long vector whose place is not in a row: computed again
                plain.put_terms(blocks, piece, shift, term, scratch)
        blocks.store(operation, term, factor, target)

    blocks.over_pieces(of_piece, x, p)
    steep = ~(largest <= STEEP * total) if is_row else np.zeros(total.shape, bool)
    return steep.ravel()


def _quotients_of_cut(blocks: Blocks, x: Array, p: Array) -> None:
    """Compute exp(x_j - a) / S of a band, S added up almost exactly."""
    total = sum_exp(blocks, x)

    def of_piece(piece: Array, target: Array) -> None:
        term, *scratch = blocks.buffers(piece.shape)
        plain.put_terms(blocks, piece, total.shift, term, scratch)
        blocks.store(np.divide, term, total.value, target)

    blocks.over_pieces(of_piece, x, p)


def _log_quotients(blocks: Blocks, x: Array, g: Array) -> Array:
    """Compute x_j - log S of a band, log S in two words; tell where that is not accurate.

    S is right to a few u, and so is its logarithm, absolutely: that is no more than a few units
    in the last place of results that are at least 1 in size.
    """
    if x.shape[blocks.axis] < LEAST:
        return np.ones(x.shape[1 - blocks.axis], bool)
    shift, total, largest, _ = plain.sum_exp(
        blocks, x, SMALLEST_FOR_LOG, with_largest=True, closely=True
    )
    log = np.log(total)
    y, rest = two_sum(shift, log)
    rest += (total - np.exp(log)) / total

    def of_piece(piece: Array, target: Array) -> None:
        difference, *_ = blocks.buffers(piece.shape)
        by_vector(np.subtract, blocks.load(piece), y, difference)
        blocks.store(np.subtract, difference, rest, target)

    blocks.over_pieces(of_piece, x, g)
    close: Array = ~(largest <= CLOSE * total)
    return close.ravel()


def _log_quotients_of_rest(blocks: Blocks, x: Array, g: Array) -> None:
    """Compute (x_j - max x) - log1p(r) of a band, whatever the size of the results."""
    total = sum_exp(blocks, x, shifted=is_better_shifted(blocks))
    rest = total.rest
    small = (rest < _SMALL_REST) & (total.shift != total.x_max)
    if small.any():
        rest = np.where(small, sum_exp(blocks, x, shifted=True).rest, rest)
    log = np.log1p(rest)

    def of_piece(piece: Array, target: Array) -> None:
        difference, *_ = blocks.buffers(piece.shape)
        by_vector(np.subtract, blocks.load(piece), total.x_max, difference)
        blocks.store(np.subtract, difference, log, target)

    blocks.over_pieces(of_piece, x, g)
