"""Complex log-sum-exp: the logarithm of a sum of complex exponentials, within a derived bound.

Let S = sum b_i exp(x_i) and w = log S, with an imaginary part in (-pi, pi]. S and w are computed
as balls (`stablelse.numerics.decimals`) with more and more digits, until both parts of w have an
error of at most 2**-7 u min(abs(w), 1), where u = 2**-p for a format with p significand bits. Then
each part is rounded to nearest, with an error of at most u abs(w); a part that is smaller than its
error becomes 0. Together, for normal numbers,

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
from math import atan2, isqrt
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import decimals
from stablelse.numerics.decimals import Ball, add, as_decimal, divide, multiply, subtract
from stablelse.numerics.formats import Array, Format, context, nearest
from stablelse.numerics.inputs import known_format

_ZERO, _ONE, _HALF, _THREE = (Ball(Decimal(text)) for text in ("0", "1", "0.5", "3"))


# The terms of exp(0): see `_terms`.
_ONLY_ONE = {(_ZERO.head, _ZERO.head): [_ONE.head, *[_ZERO.head] * 3]}


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
    for i, part in enumerate(kept):
        of_row = _rounded if is_finite[i] else _conventional
        result[:, i] = of_row(rows[i, part], b[i, part], format_)
    return result[0], result[1]


def _conventional(x: Array, b: Array, _: Format) -> tuple[Any, Any]:
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


def _settled(found: Sum, terms: _Terms, format_: Format) -> tuple[complex, complex] | None:
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
