"""Complex log-sum-exp: the logarithm of a sum of complex exponentials, within a derived bound.

Let S = sum b_i exp(x_i) and w = log S, its imaginary part in (-pi, pi]. S and w are computed as
balls (`stablelse.numerics.decimals`), of more and more digits, until both parts of w are known to
2**-7 u min(abs(w), 1), u = 2**-p, p being the bits of a significand of the format. The first S of
many terms comes from sums in two words. Then each part is rounded to nearest, which makes w wrong
by u abs(w); or it is 0, if it is smaller than what is known of it. Together, for normal numbers,

    abs(result - w) <= (1 + 2**-5) u abs(w),

next to zero too: well within 4 u. Below the normal numbers, half of the smallest number adds to it.

It does end. With x_i = s + i t, all terms that share s and abs(t) are one, with exact weights:

    exp(s) (C cos t + i D sin t),   C the sum of their b_i, D that of b_i or -b_i as t > 0 or t < 0.

By the theorem of Lindemann and Weierstrass the numbers exp(s) cos t and exp(s) sin t of different
(s, abs(t)), but for sin 0, are linearly independent over the algebraic numbers. So S is 0, or real,
only if these weights say so: then the result is -inf, or its imaginary part is 0 or pi. And S is 1,
so that w is 0, for the one term 1 exp(0) only. Otherwise w is told from 0 in the end, and so is the
imaginary part of S, whose sign decides on which side of the negative real axis it lies, however
much cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from functools import cache
from math import atan2, factorial, isqrt
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals, reference
from stablelse.numerics.decimals import Ball, add, as_decimal, divide, multiply, subtract
from stablelse.numerics.doubleword import SUM_ERROR, Pair, product, two_sum
from stablelse.numerics.formats import Array, Format, context, nearest
from stablelse.numerics.inputs import known_format

# Of so many numbers, sums in two words are tried first.
_MANY = 32

# Two words take angles up to this, for more bits of their multiples of pi / 2 would not be exact;
# and weights between the inverse of the other and that, so that no product loses its lower word.
_FARTHEST, _EXTREME = 2.0**14, 2.0**900

_ZERO, _ONE, _HALF, _THREE = (Ball(Decimal(text)) for text in ("0", "1", "0.5", "3"))


class Sum(NamedTuple):
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
    for i in np.flatnonzero(~is_finite).tolist():
        result[:, i] = _conventional(rows[i, kept[i]], b[i, kept[i]])
    fits_float64 = dtype.itemsize <= 16 and {rows.dtype.kind, b.dtype.kind} <= {"f", "c"}
    places = np.flatnonzero(is_finite)
    sums: Iterable[Sum | None] = [None] * len(places)
    if rows.size >= _MANY and fits_float64:
        some = kept[places]
        sums = sums_in_words(np.where(some, rows[places], 0), np.where(some, b[places], 0))
    for i, first in zip(places.tolist(), sums, strict=True):
        result[:, i] = _rounded(rows[i, kept[i]], b[i, kept[i]], format_, first)
    return result[0], result[1]


def _conventional(x: Array, b: Array) -> tuple[Any, Any]:
    """Return what NumPy's arithmetic makes of a row with an infinity or NaN."""
    terms = np.exp(x.astype(np.result_type(x.dtype, np.complex128)))
    if b.dtype.kind == "c":
        terms = terms * b
    else:  # as a complex number, b would make NaN of 0 times infinity
        terms.real *= b
        terms.imag *= b
    total = terms.sum()
    return np.log(total), total / abs(total)


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


def _rounded(x: Array, b: Array, format_: Format, first: Sum | None) -> tuple[complex, complex]:
    """Return the logarithm and the phase of the sum, rounded to the format."""
    with localcontext(next(decimals.contexts())):
        found = None if first is None else _settled(first, x, b, format_)
        if found is not None:
            return found
        terms = _terms(x, b)
        if not terms:
            return complex(-np.inf, 0), 0
        if terms == _terms(np.zeros(1), np.ones(1)):
            return 0, 1
    for precise in decimals.contexts():
        with localcontext(precise):
            found = _settled(_sum(terms), x, b, format_)
        if found is not None:
            break
    assert found is not None
    return found


def _settled(
    found: Sum, numbers: Array, b: Array, format_: Format
) -> tuple[complex, complex] | None:
    """Return the logarithm and the phase, or ``None`` if they are not known well enough."""
    (x, x_error), (y, y_error) = found.x.flat(), found.y.flat()
    unit = Decimal(2) ** (format_.significand_bits + 9)
    if not max(abs(x), abs(y)) > unit * (x_error + y_error):
        return None
    side = -1 if y < 0 else 1
    if abs(y) <= y_error:
        side = _side(_terms(numbers, b)) if x < 0 else 1
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


def _sum(terms: _Terms) -> Sum:
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
    return Sum(decimals.total(balls, real), decimals.total(balls, imag), shift)


def _angle(found: Sum, side: int) -> Ball:
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

    exp(i q), q being t less full turns, is (exp(i q / 2**h))**(2**h). In units of the last of the
    more digits that are computed with, q is wrong by 10, and the n terms of the series and each
    of the h squares by less than 4. A square doubles what is wrong: in the end that is less than
    10 + 2**h (4 n + 8), but there are h + 15 digits more, and n is below 10**9.
    """
    if not t:
        return _ONE, _ZERO
    digits = getcontext().prec
    halvings = isqrt(digits)
    with localcontext(context(digits + halvings + max(t.adjusted(), 0) + 15)) as precise:
        turn = 2 * _pi(1 << precise.prec.bit_length())
        z = (t - turn * (t / turn).to_integral_value()) / 2**halvings
        term, n, sums = Decimal(1), 0, [Decimal(1), Decimal(0)]
        while term and term.adjusted() > -precise.prec:
            n += 1
            term = term * z / n
            sums[n % 2] += term if n % 4 < 2 else -term
        cosine, sine = sums
        for _ in range(halvings):
            cosine, sine = cosine * cosine - sine * sine, 2 * cosine * sine
    error = Decimal(1).scaleb(-digits)
    return Ball(Decimal(0), +cosine, error), Ball(Decimal(0), +sine, error)


@cache
def _pi(digits: int) -> Decimal:
    """Return pi, wrong by less than 10**-digits: 16 arctan(1 / 5) - 4 arctan(1 / 239) (Machin)."""
    unit = int(10 ** (digits + 10))

    def arctangent(x: int) -> int:  # of 1 / x: each term loses less than two units
        power = total = unit // x
        n = 1
        while power:
            power //= x * x
            n += 2
            total += power // n if n % 4 == 1 else -(power // n)
        return total

    pi = Decimal(16 * arctangent(5) - 4 * arctangent(239))
    return pi.scaleb(-digits - 10, context(digits + 20))


# ---- Sums in two words


def sums_in_words(x: Array, b: Array) -> Iterator[Sum | None]:
    """Sum rows, as far as two words tell; ``None`` for those that these do not hold.

    A term b exp(s + i t) is exp(s) times b exp(i t), each part of which is two words, wrong by less
    than 2**-96 abs(b) (`_circle`, and 2**-100 for the product): so it is two weighted terms. The
    sizes of all four add up to abs(b) exp(s) at least, whence the 2**-95 of them in the error.
    """
    for band in reference.bands(*x.shape):
        s, t = (part[band].astype(np.float64) for part in (x.real, x.imag))
        real, imag = (part[band].astype(np.float64) for part in (b.real, b.imag))
        sizes = abs(np.array([real, imag]))
        is_extreme = (sizes != 0) & ((sizes > _EXTREME) | (sizes < 1 / _EXTREME))
        is_held = ~(is_extreme.any(axis=0) | (abs(t) > _FARTHEST)).any(axis=1)
        weights = np.empty((2, 2, *s.shape))
        with np.errstate(all="ignore"):
            for piece in reference.pieces(s.shape[1]):
                (c, z), zero = _circle(t[:, piece]), np.zeros(1)
                one, other = (real[:, piece], zero), (imag[:, piece], zero)
                minus = -imag[:, piece], zero
                weights[0, ..., piece] = _plus(product(c, one), product(z, minus))
                weights[1, ..., piece] = _plus(product(z, one), product(c, other))
            sums = []
            for first, second in weights:
                terms = np.tile(s, 2), np.concatenate([first, second], axis=1)
                place = np.where(terms[1] == 0, -np.inf, terms[0]).argmax(axis=1)
                sums.append((reference.sums(*terms), terms[1][np.arange(len(s)), place]))
        for i, held in enumerate(is_held.tolist()):
            yield _in_balls(sums, i) if held else None


def _in_balls(sums: list[tuple[reference.Sums, Array]], i: int) -> Sum:
    """Return the sum of a row."""
    with localcontext(next(decimals.contexts())):
        shift = Decimal(float(max(known.x_max[i] for known, _ in sums)))
        parts = [_part(known, leading[i], i, shift) for known, leading in sums]
        error = Decimal(2) ** -95 * sum(size for _, size in parts)
        real, imag = (add(ball, _ZERO._replace(error=error)) for ball, _ in parts)
    return Sum(real, imag, shift)


def _part(known: reference.Sums, leading: Any, i: int, shift: Decimal) -> tuple[Ball, Decimal]:
    """Return leading + R of a row in units of exp(shift), and the sizes of all terms."""
    if known.x_max[i] == -np.inf:
        return _ZERO, Decimal(0)
    parts = leading, known.high[i], known.low[i], known.error[i], known.error[i] / SUM_ERROR
    first, high, low, error, size = (Decimal(float(part)) for part in parts)
    unit = Decimal(2) ** int(known.exponent[i])
    ball = Ball(Decimal(0), first + (high + low) * unit, error * unit)
    factor = decimals.exp_of_difference(Decimal(float(known.x_max[i])), shift)
    return multiply(ball, factor), (abs(first) + size * unit) * factor.flat()[0]


def _circle(t: Array) -> tuple[Pair, Pair]:
    """Return cos t and sin t in two words, wrong by less than 2**-97.

    q is t less k pi / 2, abs(q) < 0.79: the multiples of two parts of pi / 2 are exact, and q is
    wrong by 2**-104. The series leave out less than q**28 / 28! < 2**-107. Each of their steps is
    wrong by 2**-101, and q**2 < 0.62 of what was wrong before remains: together less than 2**-99.
    """
    (first, second, third), inverses = _constants()
    k = np.rint(t / first)
    q, error = two_sum(t, -k * first)
    q, other = two_sum(q, -k * second)
    q_words = two_sum(q, (error + other) - k * third)
    square, square_low = product(q_words, q_words)
    series = []
    for parity in (0, 1):
        total: Pair = (np.zeros_like(t), np.zeros_like(t))
        for n in range(26 + parity, -1, -2):
            total = _plus(product(total, (-square, -square_low)), inverses[n])
        series.append(total)
    quarters = np.array([1, 1j, -1, -1j])[k.astype(np.int64) & 3]
    parts = zip(series[0], product(series[1], q_words), strict=True)
    high, low = ((cosine + 1j * sine) * quarters for cosine, sine in parts)
    return (high.real, low.real), (high.imag, low.imag)


@cache
def _constants() -> tuple[tuple[float, ...], list[tuple[float, float]]]:
    """Return pi / 2 in three parts, two of 39 bits, and 1 / n! in two words for n < 28."""
    rest, parts = Fraction(_pi(64)) / 2, []
    for cut in (38, 77):
        parts.append(Fraction(round(rest * 2**cut), 2**cut))
        rest -= parts[-1]
    inverses = [Fraction(1, factorial(n)) for n in range(28)]
    words = [(float(value), float(value - Fraction(float(value)))) for value in inverses]
    return (*map(float, parts), float(rest)), words


def _plus(u: Pair, v: Any) -> Pair:
    total, error = two_sum(u[0], v[0])
    return two_sum(total, error + (u[1] + v[1]))
