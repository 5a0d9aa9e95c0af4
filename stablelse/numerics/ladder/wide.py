"""The first rung for softmax and log_softmax in float64: double-words, and their error added.

The upper end of the interval in which the exact value lies is the result, if the lower end
rounds to the same number.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from stablelse.numerics.blocks import Blocks, by_vector
from stablelse.numerics.errorfree import difference, two_product
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import quick
from stablelse.numerics.ladder.certificate import Rung
from stablelse.numerics.ladder.exponential import LOWEST
from stablelse.numerics.ladder.rounding import Elements, flat_indices

#: The relative error of a quotient in two words, in units of 2**-70. A term in two words is wrong
#: by at most 4.6 (`exponential.BRIEF_EXP_ERROR`; of three words, the last two are put together, and
#: round by 1.4), and the sum of such terms by 5. The product of the second word with the (rounded)
#: reciprocal rounds by 2.8. The first word is multiplied by the rest of the reciprocal, below
#: 2**-19, which is wrong by 1, and rounds by 0.5; the sum of the two by 1.7, and again where the
#: error is subtracted. Together 17.3, less than 2**-65.8.
QUOTIENT_ERROR = 2.0**-65.8

#: Of rows that are not longer, few have elements that are in doubt with two words a term, and
#: are summed up once more, to 80 bits. Of softmax one element in 5,000 is in doubt: to either side
#: of a midpoint, 2**-12.8 to 2**-13.8 ulps; of log_softmax, one in 2**16 where it is 4 to 8.
BRIEF_TO, LOG_BRIEF_TO = 2**10, 2**13

# Splits a float64 so that the upper part has 19 bits.
_SPLITTER = 2.0**34 + 1

# Up to this, what an element less the logarithm is rounded by is below 2**-33; the rounding of
# that, below 2**-86, is in the error of all.
_LARGE = 2.0**20

# More than exp(LOWEST).
_SMALL = 2.0**-860

# Below this, a softmax is zero in float64: half the smallest number is exp(-745.13).
_VANISHING = -746.0


def softmax(rows: Array, format_: Format) -> Elements:
    """Compute the softmax of every row, shape (m, n), m, n >= 1, real; in float64."""
    blocks = quick.blocks_for(rows.shape)
    is_brief = rows.shape[1] <= BRIEF_TO
    precision = quick.BRIEF if is_brief else quick.FULL
    result, doubt = np.empty(rows.shape), np.zeros(rows.shape, bool)
    sums = np.empty((3, len(rows), 1))
    of_band = partial(_softmax_band, blocks, precision)
    blocks.over_bands(of_band, rows, result, doubt, *sums)
    ulps, total = QUOTIENT_ERROR * 2.0**53, quick.Sum(*sums[..., 0])
    rung = Rung.BRIEF if is_brief else Rung.QUICK
    return Elements(rung, result, flat_indices(doubt), ulps, total, precision.error)


def _softmax_band(
    blocks: Blocks, precision: quick.Precision, x: Array, p: Array, flags: Array, *sums: Array
) -> None:
    """Compute a band, p, flag what is in doubt, and store the sums."""
    if x.size <= blocks.length:
        x = blocks.load(x)
        kept = quick.words(blocks.buffers(x.shape))
    else:
        kept = p, np.empty(x.shape)
    total = quick.sum_exp(blocks, x, kept, precision)
    for stored, found in zip(sums, total, strict=True):
        stored[...] = found
    reciprocal = reciprocal_of(total)

    def of_piece(piece: Array, first: Array, second: Array, target: Array, flag: Array) -> None:
        are_large = _are_large(first, reciprocal)  # the target may be where the first words are
        quotients(first, second, reciprocal, blocks.buffers(piece.shape), target, flag)
        if not are_large:
            _mark_small(piece, total, target, flag)

    blocks.over_pieces(of_piece, x, *kept, p, flags)


def reciprocal_of(total: quick.Sum) -> tuple[Array, Array, Array]:
    """Return 1 / S: its first 19 bits; the rest of it, and the error; all of it, rounded."""
    inverse = 1 / total.high
    high = inverse * _SPLITTER
    high -= high - inverse
    product, error = two_product(high, total.high)
    low = (((1 - product) - error) - high * total.low) / total.high
    return high, low + QUOTIENT_ERROR * high, high + low


def quotients(
    first: Array,
    second: Array,
    reciprocal: tuple[Array, Array, Array],
    scratch: list[Array],
    target: Array,
    flag: Array,
) -> None:
    """Multiply terms in two words by the reciprocal; the second words are overwritten.

    The first words have 34 bits, so that their product with 19 bits is exact.
    """
    high, low_and_error, both = reciprocal
    product, rest, lower = scratch[0], scratch[1], scratch[3]
    by_vector(np.multiply, second, both, second)
    by_vector(np.multiply, first, low_and_error, rest)
    rest += second
    by_vector(np.multiply, first, high, product)
    np.multiply(product, -2 * QUOTIENT_ERROR, out=lower)
    lower += rest
    lower += product
    np.add(rest, product, out=target)
    np.not_equal(lower, target, out=flag)


def _are_large(first: Array, reciprocal: tuple[Array, Array, Array]) -> bool:
    """Whether neither terms nor quotients come near to exp of `exponential.LOWEST`."""
    smallest = np.minimum.reduce(first, axis=None)
    return bool(smallest * np.minimum(np.min(reciprocal[2]), 1) > _SMALL)


def _mark_small(x: Array, total: quick.Sum, target: Array, flag: Array) -> None:
    """See to the elements that `exponential.exp` does not reach, or whose words would underflow."""
    log_sum = total.shift + np.log(total.high)
    reference = np.maximum(log_sum, total.shift)
    flag |= x - reference < LOWEST
    zero = x - log_sum < _VANISHING
    target[zero], flag[zero] = 0, False


def log_softmax(rows: Array, format_: Format) -> Elements:
    """Compute log_softmax of every row; see `softmax`."""
    is_brief = rows.shape[1] <= LOG_BRIEF_TO
    precision = quick.BRIEF if is_brief else quick.FULL
    y_high, y_low = (part[:, np.newaxis] for part in quick.logsumexp(rows, precision))
    error = precision.error + 2.0**-102 * abs(y_high) + 2.0**-85
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=3)
    result, doubt = np.empty(rows.shape), np.zeros(rows.shape, bool)

    def of_band(x: Array, g: Array, flags: Array, y: Array, *lower_words: Array) -> None:
        def of_piece(piece: Array, target: Array, flag: Array) -> None:
            d, delta, spare = blocks.buffers(piece.shape)
            difference(blocks.load(piece), y, d, delta, spare)
            if not np.minimum.reduce(delta, axis=None) < np.inf:
                delta[np.isnan(delta)] = 0  # of an infinite difference
            np.subtract(delta, lower_words[0], out=spare)
            if np.minimum.reduce(d, axis=None) >= -_LARGE:
                delta -= lower_words[1]
            else:
                _subtract_far(delta, lower_words[1], spare)
            spare += d
            delta += d
            np.not_equal(spare, delta, out=flag)
            np.copyto(target, spare)

        blocks.over_pieces(of_piece, x, g, flags)

    blocks.over_bands(of_band, rows, result, doubt, y_high, y_low + error, y_low - error)
    rung = Rung.BRIEF if is_brief else Rung.QUICK
    return Elements(rung, result, flat_indices(doubt), float(error.max() / np.spacing(1.0)))


def _subtract_far(delta: Array, y: Array, lower: Array) -> None:
    """Subtract y from `delta`, and make up for the rounding of it and of `lower`."""
    margin = 2.0**-51 * abs(delta)
    lower -= margin
    delta -= y
    delta += margin
