"""Complex log-sum-exp: the logarithm of a sum of complex exponentials, within a derived bound.

Let S = sum b_i exp(x_i) and w = log S, with an imaginary part in (-pi, pi]. S and w are computed
as balls (`stablelse.numerics.decimals`) with more and more digits, until both parts of w have an
error of at most 2**-7 u min(abs(w), 1), where u = 2**-p for a format with p significand bits. Many
rows or terms are tried in two words first, all rows at once. Then each part is rounded to nearest,
with an error of at most u abs(w); a part that is smaller than its error becomes 0. Together, for
normal numbers,

    abs(result - w) <= (1 + 2**-5) u abs(w),

close to zero too: well within 4 u. Below the normal numbers, add half of the smallest number.

This always ends. With x_i = s + i t, terms with the same s and abs(t) are merged, exactly:

    exp(s) (C cos t + i D sin t),   C the sum of their b_i, D that of b_i or -b_i as t > 0 or t < 0.

By the theorem of Lindemann and Weierstrass the numbers exp(s) cos t and exp(s) sin t of different
(s, abs(t)), except sin 0, are linearly independent over the algebraic numbers. So S is 0, or real,
only if these weights say so: then the result is -inf, or its imaginary part is 0 or pi. S is 1, and
w is 0, only for the single term 1 exp(0). In all other cases enough digits separate w from 0, and
the imaginary part of S from 0, whose sign says on which side of the negative real axis S lies.
"""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from functools import cache
from itertools import count, takewhile
from math import atan2, factorial, isqrt
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals, reference
from stablelse.numerics.decimals import Ball, add, as_decimal, divide, multiply, subtract
from stablelse.numerics.doubleword import Approximation, Pair, plus, product, settle, total, two_sum
from stablelse.numerics.doubleword import exp as exp_of_words
from stablelse.numerics.formats import Array, Format, context, nearest
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rows import bands

# Two words are tried first for at least this many terms; a row counts as three more.
_MANY = 16

# Two words take angles up to the first, so that multiples of pi / 128 are exact, and weights and
# angles that are 0 or between the second and its inverse, so that no product loses its lower word.
_FARTHEST, _EXTREME = 2.0**22, 2.0**300

_ZERO, _ONE, _HALF, _THREE = (Ball(Decimal(text)) for text in ("0", "1", "0.5", "3"))


# The terms of exp(0): see `_terms`.
_ONLY_ONE = {(_ZERO.head, _ZERO.head): [_ONE.head, *[_ZERO.head] * 3]}


class ComplexSum(NamedTuple):
    """exp(shift) (x + i y)."""

    x: Ball
    y: Ball
    shift: Decimal


def logsumexp(
    rows: Array, dtype: np.dtype[Any], weights: Array | None = None
) -> tuple[Array, Array]:
    """Compute log(sum b_i exp(x_i)) of every row, and the sum divided by its absolute value.

    Shapes are (m, n) and (m,); the phase is 0 where the sum is.
    """
    format_ = known_format(np.empty(0, dtype).real.dtype)
    b = np.ones((1, 1)) if weights is None else weights
    kept = (b != 0) & ~((rows.real == -np.inf) & np.isfinite(b))
    is_finite = np.all(~kept | (np.isfinite(rows) & np.isfinite(b)), axis=1)
    b, result = np.broadcast_to(b, rows.shape), np.empty((2, len(rows)), dtype)
    fits_float64 = dtype.itemsize <= 16 and {rows.dtype.kind, b.dtype.kind} <= {"f", "c"}
    is_left = is_finite.copy()
    if rows.size + 3 * len(rows) >= _MANY and fits_float64:
        x, weights = np.where(kept, rows, 0), np.where(kept, b, 0)
        with np.errstate(all="ignore"):
            for band in bands(rows.shape, reference.BLOCK):
                result[:, band], is_known = _in_words(x[band], weights[band], format_)
                is_left[band] &= ~is_known
    for i in np.flatnonzero(is_left).tolist():
        result[:, i] = _rounded(rows[i, kept[i]], b[i, kept[i]], format_)
    for i in np.flatnonzero(~is_finite).tolist():
        result[:, i] = _conventional(rows[i, kept[i]], b[i, kept[i]])
    return result[0], result[1]


def _conventional(x: Array, b: Array) -> tuple[Any, Any]:
    """Return what NumPy's arithmetic makes of a row with an infinity or NaN."""
    terms = np.exp(x.astype(np.result_type(x.dtype, np.complex128)))
    if b.dtype.kind == "c":
        terms = terms * b
    else:  # as a complex number, b would make NaN of 0 times infinity
        terms.real *= b
        terms.imag *= b
    sum_ = terms.sum()
    return np.log(sum_), sum_ / abs(sum_)


#: By s and abs(t), the parts of C and of D: see above.
_Terms = dict[tuple[Decimal, Decimal], list[Decimal]]


def _terms(x: Array, b: Array) -> _Terms:
    """Return the terms of a sum, without those that add nothing."""
    terms: _Terms = {}
    columns = (map(as_decimal, part) for part in (x.real, x.imag, b.real, b.imag))
    for s, t, *weight in zip(*columns, strict=True):
        signed = [Decimal(0)] * 2 if not t else [w if t > 0 else w.copy_negate() for w in weight]
        place, parts = (s, t.copy_abs()), weight + signed
        if place in terms:
            pairs = zip(terms[place], parts, strict=True)
            parts = [add(Ball(first), Ball(second)).head for first, second in pairs]
        terms[place] = parts
    return {place: parts for place, parts in terms.items() if any(parts)}


def _rounded(x: Array, b: Array, format_: Format) -> tuple[complex, complex]:
    """Return the logarithm and the phase of the sum, rounded to the format."""
    terms = _terms(x, b)
    if not terms:
        return complex(-np.inf, 0), 0
    if terms == _ONLY_ONE:
        return 0, 1
    for precise in decimals.contexts():
        with localcontext(precise):
            found = _settled(_sum(terms), terms, format_)
        if found is not None:
            break
    assert found is not None
    return found


def _settled(found: ComplexSum, terms: _Terms, format_: Format) -> tuple[complex, complex] | None:
    """Return the logarithm and the phase, or ``None`` if they are not known well enough."""
    (x, x_error), (y, y_error) = found.x.flat(), found.y.flat()
    unit = Decimal(2) ** (format_.significand_bits + 9)
    if not max(abs(x), abs(y)) > unit * (x_error + y_error):
        return None
    side = -1 if y < 0 else 1
    if abs(y) <= y_error:
        side = _side(terms) if x < 0 else 1
    square = add(multiply(found.x, found.x), multiply(found.y, found.y))
    real = add(Ball(found.shift), multiply(_HALF, decimals.log(square)))
    w = [part.flat() for part in (real, _angle(found, side))]
    size = min(max(abs(value) for value, _ in w), Decimal(1))
    if unit * (w[0][1] + w[1][1]) > max(size, as_decimal(format_.smallest_subnormal)):
        return None
    r = (x * x + y * y).sqrt()
    phase = (x / r, x_error / r), (y / r, y_error / r)
    return _nearest(w, format_), _nearest(phase, format_)


def _nearest(parts: Any, format_: Format) -> Any:
    """Round a complex number; a part is 0 if it could be, or is smaller than any number."""
    real, imag = (
        nearest(Fraction(value if abs(value) > error and value.adjusted() > -6000 else 0), format_)
        for value, error in parts
    )
    return real + 1j * imag


def _side(terms: _Terms) -> int:
    """Return the sign of the imaginary part of the sum; 1 if it is 0."""
    terms = {place: parts for place, parts in terms.items() if parts[1] or parts[2]}
    for precise in decimals.contexts() if terms else ():
        with localcontext(precise):
            sign = _sum(terms).y.sign
        if sign:
            return sign
    return 1


def _sum(terms: _Terms) -> ComplexSum:
    """Return the sum of terms in the digits of the context."""
    shift = max(s for s, _ in terms)
    balls: list[Ball] = []
    real: list[Decimal] = []
    imag: list[Decimal] = []
    for (s, t), (c_real, c_imag, d_real, d_imag) in terms.items():
        size = decimals.exp_of_difference(s, shift)
        balls += [multiply(size, part) for part in cosine_and_sine(t)]
        real += [c_real, d_imag.copy_negate()]
        imag += [c_imag, d_real]
    return ComplexSum(decimals.total(balls, real), decimals.total(balls, imag), shift)


def _angle(found: ComplexSum, side: int) -> Ball:
    """Return the angle of a sum, of the sign of `side`.

    The tangent d of its distance from a guess is known; its arctangent is d - d**3 / 3, wrong by
    less than abs(d)**5 / 5, so that the next guess has five times as many digits.
    """
    (x, y, _), size = found, max(abs(part.flat()[0]) for part in found[:2])
    guess = Decimal(side * atan2(abs(y.flat()[0]) / size, x.flat()[0] / size))
    while True:
        cosine, sine = cosine_and_sine(guess)
        d = divide(
            subtract(multiply(y, cosine), multiply(x, sine)),
            add(multiply(x, cosine), multiply(y, sine)),
        )
        value, error = d.flat()
        cut = Ball(Decimal(0), Decimal(0), (abs(value) + error) ** 5)
        cube = divide(multiply(d, multiply(d, d)), _THREE)
        angle = add(add(Ball(guess), cut), subtract(d, cube))
        if not value or 5 * value.adjusted() < -getcontext().prec:
            return angle
        guess = angle.flat()[0]


def cosine_and_sine(t: Decimal) -> tuple[Ball, Ball]:
    """Return cos t and sin t, wrong by less than 10**-P in a context of P digits.

    With q = t less full turns, the sine of z = q / 2**h is a series, and the angle is doubled h
    times. In units of the last of the more digits that are computed with, q is wrong by 10, and the
    n terms by less than 4 each. To double the angle makes that up to 5 times as much, with what is
    rounded: in the end less than 5**h (4 n + 20). There are h + 15 digits more.
    """
    if not t:
        return _ONE, _ZERO
    digits = getcontext().prec
    halvings = isqrt(digits)
    with localcontext(context(digits + halvings + max(t.adjusted(), 0) + 15)) as precise:
        turn = 2 * _pi(1 << precise.prec.bit_length())
        z = (t - turn * (t / turn).to_integral_value()) / 2**halvings
        term = sine = z
        square, n = z * z, 1
        while term and term.adjusted() > -precise.prec:
            n += 2
            term = -term * square / (n * (n - 1))
            sine += term
        cosine = (1 - sine * sine).sqrt()
        for _ in range(halvings):
            cosine, sine = 1 - 2 * sine * sine, 2 * cosine * sine
    error = Decimal(1).scaleb(-digits)
    return Ball(Decimal(0), +cosine, error), Ball(Decimal(0), +sine, error)


@cache
def _pi(digits: int) -> Decimal:
    """Return pi, wrong by less than 10**-digits: 16 arctan(1 / 5) - 4 arctan(1 / 239) (Machin)."""
    unit = int(10 ** (digits + 10))

    def arctangent(x: int) -> int:  # of 1 / x: each term loses less than a unit
        terms = takewhile(bool, (unit // (n * x**n) for n in count(1, 2)))
        return sum(-term if k % 2 else term for k, term in enumerate(terms))

    pi = Decimal(16 * arctangent(5) - 4 * arctangent(239))
    return pi.scaleb(-digits - 10, context(digits + 20))


# ---- In two words, all rows at once


class Words(NamedTuple):
    """Sums exp(shift) (head + rest +- error) of rows; rest and error have two parts."""

    shift: Array
    head: Array  # the largest term, where it is exp(shift) times a real weight, or 0
    rest: Pair
    error: Array
    is_held: Array  # whether two words hold all numbers of a row


def sums_in_words(x: Array, b: Array) -> Words:
    """Sum rows.

    A term is exp(s - shift), with a relative error of 2**-90, times the two parts of b exp(i t),
    each with an error of 2**-90.6 `sizes` (`_turned`). Together, with products and sums, that is
    below 2**-89. Terms that underflow are below 2**-700.
    """
    every = np.arange(len(x))
    s, t = (part.astype(np.float64) for part in (x.real, x.imag))
    s, b = np.where(b == 0, -np.inf, s), b.astype(np.complex128)
    numbers = abs(np.array([t, b.real, b.imag]))
    is_extreme = (numbers != 0) & ((numbers > _EXTREME) | (numbers < 1 / _EXTREME))
    is_held = ~(is_extreme.any(axis=0) | (abs(t) > _FARTHEST)).any(axis=1)
    pivot = every, s.argmax(axis=1)
    shift, first = s[pivot], b[pivot]
    head = np.where((t[pivot] == 0) & (first.imag == 0), first.real, 0.0)
    b[pivot] = np.where(head == 0, first, 0)
    totals, error = [], np.zeros((2, len(x)))
    for piece in reference.pieces(x.shape[1]):
        high, low, exponent = exp_of_words(*two_sum(s[:, piece].T, -shift))
        power, power_low = (np.ldexp(word, exponent)[:, np.newaxis] for word in (high, low))
        *turned, sizes = _turned(t[:, piece].T, b[:, piece].T)
        totals.append(total(*product((power, power_low), (turned[0], turned[1]))))
        error += (2.0**-89 * power * sizes + 2.0**-700 * (sizes != 0)).sum(axis=0)
    return Words(shift, head, total(*map(np.array, zip(*totals, strict=True))), error, is_held)


def _turned(t: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the two parts of b exp(i t) in two words, and sizes: the error is 2**-90.6 of these.

    The second axis is new. Cosine and sine err by 2**-97 (`_circle`): of themselves if
    abs(t) < pi / 256; up to abs(t) = 0.7, that is 2**-90.65 of themselves, for they are above
    sin(pi / 256) = 2**-6.35. The product with a real b errs by 2**-102. All others err by 2**-97
    of what is added to `sizes`.
    """
    c, z = _circle(t)
    real, imag, minus = ((part, np.zeros(1)) for part in (b.real, b.imag, -b.imag))
    x, y = plus(product(c, real), product(z, minus)), plus(product(z, real), product(c, imag))
    high, low = (np.stack(words, axis=1) for words in zip(x, y, strict=True))
    is_loose = (abs(t) > 0.7) | (b.imag != 0)
    return high, low, abs(high) + (is_loose * (abs(b.real) + abs(b.imag)))[:, np.newaxis]


def _in_words(x: Array, b: Array, format_: Format) -> tuple[Array, Array]:
    """Return the logarithms and phases of rows, shape (2, m), and which have small enough errors.

    abs(S)**2 - 1 or, far from 1, abs(S)**2 is computed as head**2 + 2 head rest + rest**2, and its
    logarithm like that of a sum of real numbers. An error of S counts 2 abs(S) times in abs(S)**2,
    and in the angle as (x dy - y dx) / abs(S)**2; 2.02 and 1.01 cover the second order, for errors
    below 1 % of S: larger ones are never small enough. Products err by 2**-98.

    The angle is a guess g plus the arctangent of d = tan(angle - g), which is d except for
    abs(d)**3. Cosine and sine of g err by 2**-97, and of themselves where abs(g) < pi / 256: in d
    that is at most 2**-95.9, or 2**-89 abs(g), since the other angles are at least 2**-6.35.
    Cosine and sine of g + d leave out d**2 / 2.
    """
    shift, head, rest, error, is_held = sums_in_words(x, b)
    nothing = np.zeros(len(x))
    (x_rest, y), first = zip(*rest, strict=True), (head, nothing)
    x_words = plus(first, x_rest)
    square = x_words[0] ** 2 + y[0] ** 2
    next_to_1 = np.where((square > 0.5) & (square < 2), 1.0, 0.0)
    summed = plus(product(first, first), (-next_to_1, nothing))
    for u, v in ((2 * head, nothing), x_rest), (x_rest, x_rest), (y, y):
        summed = plus(summed, product(u, v))
    size = abs(rest[0])
    wrong = 2.02 * error * (abs(np.array([x_words[0], y[0]])) + error)
    wrong += 2.0**-98 * (2 * abs(head) + size) * size
    square_less_1 = *summed, wrong.sum(axis=0), nothing.astype(int)
    *_, log, log_low, log_error, _ = reference.facts_of(*square_less_1, next_to_1)
    real, real_low = two_sum(shift, log / 2)

    angle = np.arctan2(y[0] + 0.0, x_words[0])
    cosine, sine = _circle(angle)
    d = sum(plus(product(y, cosine), product(x_words, (-sine[0], -sine[1]))))
    d = d / (x_words[0] * cosine[0] + y[0] * sine[0])
    of_angle = 1.01 * (abs(x_words[0]) * error[1] + abs(y[0]) * error[0]) / square
    of_angle += 2.0**-89 * abs(angle) + abs(d) ** 3
    side_is_known = (x_words[0] > 0) | (abs(y[0]) > error[1]) | (error[1] == 0)

    highs = np.array([real, angle, cosine[0], sine[0]])
    lows = np.array([real_low, d, cosine[1] - sine[0] * d, sine[1] + cosine[0] * d])
    lowest = np.array([log_low / 2, nothing, nothing, nothing])
    of_parts = of_angle + d**2
    errors = np.array([log_error / 2, of_angle, of_parts + 2.0**-95, 2 * of_parts])
    values, *_ = settle(Approximation(highs, lows, lowest, errors), format_)
    near = abs(highs + lows + lowest)
    values[near <= errors] = 0
    size = np.minimum(near[:2].max(axis=0), 1)
    is_known = 2.0 ** (format_.significand_bits + 9) * (errors[0] + errors[1]) <= size
    return values[0::2] + 1j * values[1::2], is_known & side_is_known & is_held


def _circle(t: Array) -> tuple[Pair, Pair]:
    """Return cos t and sin t in two words, with an error below 2**-97.

    q is t - k pi / 128: the multiples of three parts of pi / 128 are exact, and q, below 2**-6.3,
    errs by 2**-102. The series leave out less than q**12 / 12! < 2**-104. From q**6 on, they are
    added up in float64, with an error of 2**-52 q**6 / 6! < 2**-99.3. Each other step errs by
    2**-102, the products with cos and sin of k pi / 128 by 2**-101. If k is 0, q is t, and the
    sine, a product with q, errs by less than 2**-97 of itself.
    """
    (*parts, last), inverses, table = _constants()
    k = np.rint(t / sum(parts))
    q, q_low = t, np.zeros_like(t)
    for part in parts:
        q, error = two_sum(q, -k * part)
        q_low = q_low + error
    q_words = two_sum(q, q_low - k * last)
    square, square_low = product(q_words, q_words)
    series = []
    for parity in (0, 1):
        tail = inverses[0, 6 + parity] - square * (
            inverses[0, 8 + parity] - square * inverses[0, 10 + parity]
        )
        words: Pair = (tail, np.zeros_like(t))
        for n in (4, 2, 0):
            words = plus(product(words, (-square, -square_low)), inverses[:, n + parity])
        series.append(words)
    cosine, sine = series[0], product(series[1], q_words)
    index = k.astype(np.int64)
    (c, c_low), (z, z_low) = (table[:, index & 63, part] for part in (0, 1))
    x = plus(product(cosine, (c, c_low)), product(sine, (-z, -z_low)))
    y = plus(product(cosine, (z, z_low)), product(sine, (c, c_low)))
    quarters = np.array([1, 1j, -1, -1j])[(index >> 6) & 3]
    high, low = ((real + 1j * imag) * quarters for real, imag in zip(x, y, strict=True))
    return (high.real, low.real), (high.imag, low.imag)


@cache
def _constants() -> tuple[tuple[float, ...], Array, Array]:
    """Return pi / 128 in four parts, three of 25 bits, 1 / n!, and cos and sin of n pi / 128."""
    rest, parts = Fraction(_pi(64)) / 128, []
    for cut in (30, 55, 80):
        parts.append(Fraction(round(rest * 2**cut), 2**cut))
        rest -= parts[-1]
    numbers = [Fraction(1, factorial(n)) for n in range(12)]
    with localcontext(next(decimals.contexts())):
        for n in range(64):
            numbers += [Fraction(p.flat()[0]) for p in cosine_and_sine(n * _pi(64) / 128)]
    words = np.array([(float(x), float(x - Fraction(float(x)))) for x in numbers]).T
    return (*map(float, parts), float(rest)), words[:, :12], words[:, 12:].reshape(2, 64, 2)
