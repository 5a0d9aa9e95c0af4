"""Sums of exponentials in integers: to 130 bits, where a double-word is not enough.

A number is held in limbs of 30 bits, v_0 + v_1 2**-30 + ... + v_5 2**-150, all of which but v_0
are from 0 to 2**30 - 1. What is below its last place, the unit of 2**-150, is cut off.

    exp(d) = 2**-s T U exp(r),   d = (-2**22 s + 2**11 i + j) ln 2 / 2**22 + r

with T = 2**(i / 2**11), U = 2**(j / 2**22), and abs(r) < 2**-23.5. Errors, in units:

- d is cut off by 2 (it comes in two words); ln 2 / 2**22 is known to 2**-210, so that its product
  with a multiple of at most 2**30 is wrong by nothing to speak of, but cut off by 1. r: 3.
- A product leaves out the limbs i and j for i + j >= 7: 4 with 7, each below 1, and those after
  them; then it is cut off, by 1. A product of numbers up to 1: 5.1, beside the errors of both.
- exp(r) = 1 + r (1 + r / 2 (...)), up to r**5: all but the last product are followed by another
  one with r. So it is wrong by 3 for r, 5.1 for the product and 0.8 for r**6 / 720: 9.
- T and U are cut off by 1 each. 2**-s T: 6.1. Times U: 13.3. Times exp(r): 36.5.

Together less than 40 for a term. A sum of terms has no errors of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.blocks import Blocks
from stablelse.numerics.errorfree import difference
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.ladder import decimals, powers

_LIMB_BITS = 30
_LIMBS = 6
_BITS = _LIMB_BITS * (_LIMBS - 1)

#: A bound of the error of a term, in units of 2**-150.
TERM_ERROR = 40

# 2**11 entries in either table.
_INDEX_BITS = 11

# Below this, a term is less than 3 units, and is left out.
_LOWEST = -103.0

# Elements at a time: all limbs of all factors stay in the cache.
_LENGTH = 2**12

#: The limbs of some numbers, int64.
_Limbs = list[Array]


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


def logsumexp(rows: Array, format_: Format) -> list[Any]:
    """Compute the log-sum-exp of every row, as far as it can be rounded.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), of numbers that float64 holds, finite or -inf; of each row some are finite.
    format_ : Format
        The format of the results.

    Returns
    -------
    list of scalar
        Correctly rounded, or ``None``: also where all finite entries of a row are equal.
    """
    rests = _rests(rows)
    return [None if rest is None else _rounded(rest, format_) for rest in rests]


def softmax(rows: Array, elements: list[Array], format_: Format) -> list[Any]:
    """Compute elements of the softmax of every row; see `logsumexp`.

    Parameters
    ----------
    elements : list of ndarray of int
        The columns of the elements that are wanted of each row.

    Returns
    -------
    list of scalar
        Those of all rows, one after the other.
    """
    return _elementwise(rows, elements, format_, decimals.quotient)


def log_softmax(rows: Array, elements: list[Array], format_: Format) -> list[Any]:
    """Compute elements of the log_softmax of every row; see `softmax`."""
    return _elementwise(rows, elements, format_, decimals.log_quotient)


def _elementwise(
    rows: Array, elements: list[Array], format_: Format, evaluate: decimals.Evaluation
) -> list[Any]:
    values: list[Any] = []
    for row, columns, rest in zip(rows, elements, _rests(rows), strict=True):
        if rest is None:
            values += [None] * len(columns)
            continue
        values += elements_of(rest, row[columns], format_, evaluate)
    return values


def elements_of(rest: Rest, x: Array, format_: Format, evaluate: decimals.Evaluation) -> list[Any]:
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
        `decimals.quotient` for softmax, `decimals.log_quotient` for log_softmax.

    Returns
    -------
    list of scalar
        Correctly rounded, or ``None``.
    """
    with localcontext(next(decimals.contexts())):
        terms, total = _in_decimal(rest)
        return [evaluate(entry, terms, total, format_) for entry in map(decimals.as_decimal, x)]


def _rounded(rest: Rest, format_: Format) -> Any:
    with localcontext(next(decimals.contexts())):
        return decimals.log_sum(*_in_decimal(rest), format_)


def _in_decimal(rest: Rest) -> tuple[list[decimals.Term], decimals.Total]:
    """Return the two largest terms, and the sum of all in units of the largest.

    The difference d of the two x is rounded, so exp(d) is wrong by eps abs(d), and by its own
    eps; so are three operations.
    """
    largest = decimals.Term(Decimal(rest.x_max), Fraction(rest.multiplicity))
    following = decimals.Term(Decimal(rest.x_next), Fraction(1))
    d = following.x - largest.x
    unit = d.exp() / 2**_BITS
    value = unit * rest.total
    error = unit * rest.error + decimals.eps() * (abs(d) + 4) * value
    first = decimals.Ball(Decimal(rest.multiplicity), Decimal(0))
    return [largest, following], decimals.Total(first, decimals.Ball(value, error))


def _rests(rows: Array) -> list[Rest | None]:
    """Sum the exponentials of every row but for its largest, if there are others."""
    rows = rows.astype(np.float64, copy=False)
    x_max = rows.max(axis=1, keepdims=True)
    is_largest = rows == x_max
    others = np.where(is_largest, -np.inf, rows)
    x_next = others.max(axis=1, keepdims=True)
    totals = _sums(others, np.where(x_next > -np.inf, x_next, 0))
    multiplicities = np.count_nonzero(is_largest, axis=1).tolist()
    ends = x_max.ravel().tolist(), x_next.ravel().tolist()
    error = TERM_ERROR * rows.shape[1]
    return [
        Rest(*found, error) if found[1] > -np.inf else None
        for found in zip(*ends, multiplicities, totals, strict=True)
    ]


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
    return Rest(x_max, x_next, multiplicity, total, TERM_ERROR * count)


def _sums(rows: Array, shift: Array) -> list[int]:
    """Return the sums of exp(x - shift) of all rows, in units."""
    blocks = Blocks(rows.shape, FORMATS["float64"], buffers=3, length=_LENGTH)
    sums = []
    for x, a in blocks.bands(rows, shift):
        pieces = [_sum_piece(blocks, piece, a) for (piece,) in blocks.pieces(x)]
        sums += [_integer(limbs) for limbs in np.sum(pieces, axis=0).T.tolist()]
    return sums


def _sum_piece(blocks: Blocks, x: Array, shift: Array) -> Array:
    """Return the limbs of the sums of a piece, not carried, shape (6, vectors)."""
    d, d_low, spare = blocks.buffers(x.shape)
    difference(blocks.load(x), shift, d, d_low, spare)
    d_low[~(d >= _LOWEST)] = 0
    return np.stack([limb.sum(axis=blocks.axis) for limb in exp(d, d_low)])


def exp(d: Array, d_low: Array) -> _Limbs:
    """Return the limbs of exp(d + d_low), for d <= 0, abs(d_low) <= ulp(d) / 2."""
    constants = _constants()
    vanishes = ~(d >= _LOWEST)
    d = np.where(vanishes, 0, d)
    k = np.rint(d * constants.inverse_step).astype(np.int64)
    r = [-k * limb for limb in constants.step]
    for part in (d, d_low):
        for limb in r[:_LIMBS]:
            part, whole = np.modf(part)
            limb += whole.astype(np.int64)
            part *= 2.0**_LIMB_BITS
    r = _carried(r)[:_LIMBS]
    polynomial = [np.full_like(k, limb) for limb in constants.series[0]]
    for coefficient in constants.series[1:]:
        polynomial = _product(polynomial, r)
        polynomial = [limb + one for limb, one in zip(polynomial, coefficient, strict=True)]
    mask = 2**_INDEX_BITS - 1
    s = np.where(vanishes, len(constants.halves[0]) - 1, -(k >> 2 * _INDEX_BITS))
    factors = (
        (constants.halves, s),
        (constants.coarse, k >> _INDEX_BITS & mask),
        (constants.fine, k & mask),
    )
    power, *others = ([part[index] for part in table] for table, index in factors)
    for other in (*others, polynomial):
        power = _product(power, other)
    return power


def _product(a: _Limbs, b: _Limbs) -> _Limbs:
    """Multiply numbers of small v_0; the products of limbs are below 2**60, their sums 2**63."""
    sums = []
    for place in range(_LIMBS + 1):
        first = max(0, place - _LIMBS + 1)
        total = a[first] * b[place - first]
        for i in range(first + 1, min(place, _LIMBS - 1) + 1):
            total += a[i] * b[place - i]
        sums.append(total)
    return _carried(sums)[:_LIMBS]


def _carried(limbs: _Limbs) -> _Limbs:
    """Carry what exceeds 30 bits, from the last limb to the first."""
    for i in reversed(range(1, len(limbs))):
        limbs[i - 1] += limbs[i] >> _LIMB_BITS
        limbs[i] &= 2**_LIMB_BITS - 1
    return limbs


class _Constants(NamedTuple):
    """ln 2 / 2**22, the coefficients from 1/5! to 1, and the tables 2**-s, T and U, in limbs."""

    inverse_step: float
    step: list[int]
    series: list[list[int]]
    halves: _Limbs
    coarse: _Limbs
    fine: _Limbs


@cache
def _constants() -> _Constants:
    count, bits = 2**_INDEX_BITS, 2 * _INDEX_BITS
    factorials = (120, 24, 6, 2, 1, 1)
    long = _LIMBS + 2
    step = powers.ln2(powers.BITS) >> powers.BITS + bits - _LIMB_BITS * (long - 1)
    tables = (
        [2**_BITS >> s for s in range(_BITS)] + [0],
        [power >> powers.BITS - _BITS for power in powers.powers_of_two(_INDEX_BITS, count)],
        [power >> powers.BITS - _BITS for power in powers.powers_of_two(bits, count)],
    )
    return _Constants(
        2.0**bits / np.log(2),
        _limbs(step, long),
        [_limbs(2**_BITS // factorial, _LIMBS) for factorial in factorials],
        *(list(np.array([_limbs(v, _LIMBS) for v in table]).T.copy()) for table in tables),
    )


def _limbs(value: int, count: int) -> list[int]:
    """Return value / 2**(30 (count - 1)) in limbs."""
    mask = 2**_LIMB_BITS - 1
    places = range(_LIMB_BITS * (count - 1), -1, -_LIMB_BITS)
    first, *rest = [value >> place for place in places]
    return [first, *(v & mask for v in rest)]


def _integer(limbs: Sequence[int]) -> int:
    """Return a number in units, of limbs that need not be carried."""
    total = 0
    for limb in limbs:
        total = (total << _LIMB_BITS) + limb
    return total
