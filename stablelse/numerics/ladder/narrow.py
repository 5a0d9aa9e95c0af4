"""The first rung for formats narrower than float64: in float64, with digits to spare.

Of softmax and log_softmax the elements are computed a little too large by design, so that the
exact value is below the computed one, but not far. Of a float64, the bits below the last place
of the narrow format then tell how far above the nearest midpoint it is: shifted to the top, a
midpoint is the smallest of all integers, and one minimum over a block tells whether any element
is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from stablelse.numerics import summation
from stablelse.numerics.blocks import Blocks, by_vector
from stablelse.numerics.compensated import chosen
from stablelse.numerics.errorfree import fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import exponential, quick
from stablelse.numerics.ladder.certificate import Rung
from stablelse.numerics.ladder.rounding import Elements, flat_indices, settle
from stablelse.numerics.plain import blocks_for, put_terms, sum_exp
from stablelse.numerics.plain import roundings as roundings_of_sum

# In a sum that is at least this, a term that counts as 2**-937 is 2**-237 of it at most, and zero
# in any narrow format.
_SMALLEST = 2.0**-700

# Of u = 2**-53: a term is wrong by 3, which is one more than `stablelse.numerics.plain.roundings`
# counts, the reciprocal and the product by one each; and one for all that is of second order.
_OTHERS = 1 + 3 + 1 + 1 + 1

# Of numbers that are no less, no exponential underflows.
_TAME = -600.0

# Of so many terms, to add all of them up again on the ladder takes many times as long as to cut
# them and add them up almost exactly, which leaves few elements in doubt.
_LONG = 2**15

# Of so many, a softmax in float32 will have elements in doubt: so they are cut at once, which takes
# half as long again (measured). Then the sum is wrong by 3 as its terms are, and by one for its
# own rounding.
_VERY_LONG = 2**20
_ROUNDINGS_OF_CUT = 3 + 1 + _OTHERS

# Of terms that are not shifted, each wrong by 2 u, added up in two words. Pieces of n <= 2**18
# leave lower parts that amount to less than 4 n**2 u < 2**-15 of their sum, and take part in less
# than 2**6 additions, if there are no more than 2**40 terms: 2**-9 u. The rest is for quotients
# and logarithms in two words.
_ERROR_OF_CUT = (2 + 2.0**-8) * 2.0**-53


def logsumexp(rows: Array, format_: Format) -> tuple[Array, Array, Array]:
    """Compute the log-sum-exp of every row, shape (m, n), m, n >= 1, real.

    Returns
    -------
    value : ndarray
        Shape (m,), of the format.
    doubtful : ndarray of bool
        Where it may not be the correctly rounded value; where that is a convention, too.
    ulps : ndarray
        Bounds of the errors before the rounding, in units in the last place.
    """
    blocks = blocks_for(rows.shape, format_)
    roundings = _roundings(blocks, rows.shape[1])

    def of_band(x: Array) -> tuple[Array, Array, Array]:
        shift, total, *_ = sum_exp(blocks, x, _SMALLEST)
        value, error = (y.ravel() for y in _log(blocks, shift, total, roundings))
        rounded = format_.round(value - error)
        rounded[rounded == 0] = 0  # without a sign
        doubtful = ~np.isfinite(value) | (rounded != format_.round(value + error))
        return rounded, doubtful, error / abs(value) / format_.unit_roundoff

    parts = zip(*blocks.over_bands(of_band, rows), strict=True)
    rounded, doubtful, ulps = (np.concatenate(part) for part in parts)
    return rounded, doubtful, ulps


def _roundings(blocks: Blocks, n: int) -> int:
    """Return how many units roundoff a quotient by a sum of n terms is wrong by."""
    return roundings_of_sum(blocks, n) + _OTHERS


def _log(blocks: Blocks, shift: Array, total: Array, roundings: int) -> tuple[Array, Array]:
    """Return y = shift + log(S), and a bound of its error, and of adding that to y.

    Of u: the sum as above; NumPy's logarithm is right to one unit in the last place, two u; the
    addition and the next one round y.
    """
    log = np.log(total)
    y = shift + log
    return y, blocks.unit_roundoff * (roundings + 2 * abs(log) + 3 * abs(y))


def softmax(rows: Array, format_: Format) -> Elements:
    """Compute the softmax of every row."""
    blocks = blocks_for(rows.shape, format_)
    result = np.empty(rows.shape, format_.dtype)
    doubt = np.zeros(rows.shape, bool)
    is_cut = rows.shape[1] >= _VERY_LONG
    roundings = _ROUNDINGS_OF_CUT if is_cut else _roundings(blocks, rows.shape[1])
    margin = 2 * roundings  # units in the last place; the quotients are made larger by half of it

    def of_band(x: Array, *outputs: Array) -> summation.Sum | None:
        if is_cut:
            cut = summation.sum_exp(blocks, x)
            shift, total, in_buffer = cut.shift, cut.value, False
        else:
            is_large = x.size <= blocks.length and _are_at_least(_TAME, x)
            shift, total, _, in_buffer = sum_exp(blocks, x, _SMALLEST, in_full=is_large)
        factor = (1 + roundings * blocks.unit_roundoff) / total
        least = _least_normal(shift, factor, format_)

        def of_piece(piece: Array, target: Array, flag: Array) -> None:
            term, *scratch = blocks.buffers(piece.shape)
            are_normal = _are_at_least(least, piece)
            if not in_buffer:
                put_terms(blocks, piece, shift, term, scratch, in_full=are_normal)
            by_vector(np.multiply, term, factor, term)
            _flag_midpoints(term, margin, format_, scratch[0], flag)
            if not are_normal and not term.min() >= format_.smallest_normal:
                _round_subnormals(term, 1 - 2.0**-52 * roundings, format_, scratch, flag)
            _store(term, format_, target)

        blocks.over_pieces(of_piece, x, *outputs)
        return cut if is_cut else None

    cuts = [cut for cut in blocks.over_bands(of_band, rows, result, doubt) if cut]
    ulps = margin * blocks.unit_roundoff / format_.unit_roundoff
    elements = Elements(Rung.FLOAT64, result, flat_indices(doubt), ulps)
    return _settled(_quotient, blocks, rows, elements, format_, cuts)


def _least_normal(shift: Array, factor: Array, format_: Format) -> float:
    """Return an x that has no quotient below the normal range in any row."""
    least = np.log(format_.smallest_normal / np.minimum.reduce(factor, axis=None))
    return float(least + np.maximum.reduce(shift, axis=None) + 1)


def _are_at_least(least: float, x: Array) -> bool:
    """Whether all x are, if that is soon told: of the formats that NumPy is fast with."""
    return x.dtype.char in "fd" and bool(np.minimum.reduce(x, axis=None) >= least)


def log_softmax(rows: Array, format_: Format) -> Elements:
    """Compute log_softmax of every row."""
    blocks = blocks_for(rows.shape, format_)
    result = np.empty(rows.shape, format_.dtype)
    doubt = np.zeros(rows.shape, bool)
    roundings = _roundings(blocks, rows.shape[1])

    def of_band(x: Array, *outputs: Array) -> float:
        shift, total, *_ = sum_exp(blocks, x, _SMALLEST)
        y, error = _log(blocks, shift, total, roundings)
        y += error
        most = error.max()

        def of_piece(piece: Array, target: Array, flag: Array) -> float:
            value, scratch, *_ = blocks.buffers(piece.shape)
            by_vector(np.subtract, blocks.load(piece), y, value)
            smallest = -np.maximum.reduce(value, axis=None)
            margin = 2 * most / np.spacing(smallest) + 1
            is_small = smallest >= format_.smallest_normal and margin < _most(format_)
            if is_small:
                _flag_midpoints(value, int(margin) + 1, format_, scratch, flag)
            else:
                unit = np.spacing(abs(value))
                lower = format_.round(value + (2 * error + unit))
                flag[...] = format_.round(value - unit) != lower
            _store(value, format_, target)
            if not is_small:
                target[target == 0] = 0  # without a sign
            return float(margin) if is_small else 0.0

        return max(blocks.over_pieces(of_piece, x, *outputs))

    largest = max(blocks.over_bands(of_band, rows, result, doubt))
    ulps = largest * blocks.unit_roundoff / format_.unit_roundoff
    elements = Elements(Rung.FLOAT64, result, flat_indices(doubt), ulps)
    return _settled(_log_quotient, blocks, rows, elements, format_)


def _settled(
    function: Callable[[Array, quick.Sum], tuple[Array, Array, Array]],
    blocks: Blocks,
    rows: Array,
    elements: Elements,
    format_: Format,
    cuts: Sequence[summation.Sum] = (),
) -> Elements:
    """Settle elements of long rows by words that are exact beside the error of a sum in two.

    These are the sums of all rows, if they are given. What exp has to shift is left in doubt.
    """
    _, result, doubtful, ulps, *_ = elements
    if rows.shape[1] < _LONG or not doubtful.size:
        return elements
    i, j = np.divmod(doubtful, rows.shape[1])
    place = i
    if not cuts:
        some, place = np.unique(i, return_inverse=True)
        cuts = blocks.over_bands(partial(summation.sum_exp, blocks), chosen(rows, some))
    cut = summation.Sum.concatenated(list(cuts), 0)
    sums = (cut.shift, *fast_two_sum(cut.upper, cut.lower))
    total = quick.Sum(*(part.ravel()[place] for part in sums))
    x = rows[i, j].astype(np.float64)
    is_tame = (total.shift == 0) & (abs(x) <= quick.TAME) & (abs(np.log(total.high)) <= quick.TAME)
    high, low, scale = function(x[is_tame], quick.Sum(*(part[is_tame] for part in total)))
    value, still, _ = settle(high, low, scale * _ERROR_OF_CUT, format_)
    result[i[is_tame], j[is_tame]] = value
    is_tame[is_tame] = ~still
    return Elements(Rung.FLOAT64, result, doubtful[~is_tame], ulps)


def _quotient(x: Array, total: quick.Sum) -> tuple[Array, Array, Array]:
    """Return exp(x) / S in two words, and what an error of S by its own size would make of it."""
    high, *lower = exponential.exp(x, None, list(np.empty((6, len(x)))))
    upper, low = fast_two_sum(high, lower[0] + lower[1])
    p = upper / total.high
    product, rest = two_product(p, total.high)
    return p, ((upper - product) - rest + low - p * total.low) / total.high, p


def _log_quotient(x: Array, total: quick.Sum) -> tuple[Array, Array, Array]:
    """Return x - log(S) in two words, and what an error of S by its own size would make of it."""
    y, y_low = quick.log(total)
    d, d_low = two_sum(x, -y)
    return d, d_low - y_low, np.ones_like(d)


def _most(format_: Format) -> float:
    """Return the margin at which an eighth of all elements would be in doubt."""
    return float(2.0 ** (53 - format_.significand_bits - 3))


def _flag_midpoints(
    values: Array, margin: int, format_: Format, scratch: Array, flag: Array
) -> None:
    """Flag values that are at a midpoint of the format, or above it by up to `margin` ulps."""
    taken = FORMATS["float64"].significand_bits - format_.significand_bits  # bits, by rounding
    word = np.dtype(np.int32 if taken <= 32 else np.int64)  # half the size takes half the time
    low_bits = scratch.view(word).ravel()[: values.size].reshape(values.shape)
    np.copyto(low_bits, values.view(np.int64), casting="unsafe")
    shift = 8 * word.itemsize - taken
    low_bits <<= shift
    bound = -(2 ** (8 * word.itemsize - 1)) + (margin << shift)
    if np.minimum.reduce(low_bits, axis=None) <= bound:
        np.less_equal(low_bits, bound, out=flag)


def _round_subnormals(
    values: Array, lowest: float, format_: Format, scratch: list[Array], flag: Array
) -> None:
    """Round what is below the normal range, and flag it where values times `lowest` differ.

    There all numbers of a format are multiples of the smallest: adding and subtracting
    1.5 * 2**52 times that rounds to such. Conversions that lose digits there take ten times as
    long as others. A NaN is flagged too.
    """
    nearest, lower = scratch
    c = 1.5 * 2.0**52 * float(format_.smallest_subnormal)
    np.add(values, c, out=nearest)
    nearest -= c
    np.multiply(values, lowest, out=lower)
    lower += c
    lower -= c
    is_small = values < format_.smallest_normal
    flag &= ~is_small
    flag |= (nearest != lower) & is_small
    flag |= np.isnan(values)
    np.copyto(values, nearest, where=is_small)


def _store(values: Array, format_: Format, target: Array) -> None:
    if format_.extra is None:
        np.copyto(target, values, casting="same_kind")
    else:
        target[...] = format_.round(values)
