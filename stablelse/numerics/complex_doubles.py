"""Sums of complex exponentials in pairs of float64, many at a time.

With a the s of the term that is largest, b exp(s + i t) is exp(a) 2**e times

    2**(k - e) b exp(r) (cos q + i sin q) T_j (cos g 2 pi / 1024 + i sin g 2 pi / 1024),

s - a = (128 k + j) ln 2 / 128 + r and t = g 2 pi / 1024 + q, so that r is below 2**-8.5 and q below
2**-8.3; T_j is 2**(j / 128). Pairs of numbers hold what float64 rounds away.

The bound. r and q are wrong by less than 2**-85: the multiples of two parts of the constants are
exact, and what else is rounded is below 2**-37. Of the series, the terms from the third on are
computed in float64; they are below 2**-27.6, and less than eight roundings make them wrong by
2**-77.6. What is left out of them is below 2**-83, products of pairs are wrong by 2**-100, and the
tables by 2**-105. So exp and both parts of cos + i sin are wrong by less than 2**-77, and each part
of a term by 2**-75 of the size of its b exp(s). The sum of the upper words is exact to twice the
digits, that of the lower ones to one rounding; together wrong by 2**-104 of the sum of the sizes.
What underflows is below 2**-1000.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import fsum
from typing import NamedTuple

import numpy as np

from stablelse.numerics.complex_integers import Sum, constants, exp, fixed
from stablelse.numerics.doubleword import fast_two_sum, two_product, two_sum
from stablelse.numerics.formats import Array

#: A bound of the error of a term, in units of its size.
_ERROR_BITS = 74

# Elements that are computed together, for all that is held of them to stay in the cache.
_TOGETHER = 2**13

# Terms so far below the largest underflow, whatever their weights are; and beyond, t is reduced in
# integers, for fewer bits of its multiple are exact.
_FAR = 2.0**15

_Pair = tuple[Array, Array]


class _Tables(NamedTuple):
    """Pairs of numbers, shape (2, n), and constants in three parts."""

    powers: Array
    cosines: Array
    sines: Array
    ln2: list[float]
    turn: list[float]


@cache
def _tables() -> _Tables:
    bits = 200  # a thousand products lose ten of them
    ln2, pi = constants(bits)
    powers, _ = _multiples(*exp(ln2 >> 7, 0, bits), 128, bits)
    circle = _multiples(*exp(0, pi >> 9, bits), 1024, bits)
    parts = [_in_parts(number, bits) for number in (ln2 >> 7, pi >> 9)]
    return _Tables(powers, *circle, *parts)


def _multiples(real: int, imag: int, count: int, bits: int) -> tuple[Array, Array]:
    """Return the powers of a complex number from the zeroth on, as pairs."""
    a, b = 1 << bits, 0
    found = []
    for _ in range(count):
        found.append((*_pair(a, bits), *_pair(b, bits)))
        a, b = (a * real - b * imag) >> bits, (a * imag + b * real) >> bits
    table = np.array(found).T
    return table[:2], table[2:]


def _pair(number: int, bits: int) -> tuple[float, float]:
    high = number / (1 << bits)
    return high, (number - fixed(high, bits)) / (1 << bits)


def _in_parts(number: int, bits: int) -> list[float]:
    """Return a small constant as two parts of less than 30 bits and a third one."""
    parts = []
    for grid in (36, 66):
        part = number >> bits - grid
        parts.append(part / (1 << grid))
        number -= part << bits - grid
    return [*parts, number / (1 << bits)]


def sums(rows: Array, kept: Array, b: Array, bits: int) -> Iterator[Sum]:
    """Sum the terms b exp(x) of every row that are kept, as far as pairs of float64 can tell.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), real or complex; what is kept is finite.
    kept : ndarray of bool
        Shape (m, n).
    b : ndarray
        Shape (m, n), real or complex, and finite where it is kept.
    bits : int
        The sums are in units of 2**-bits, as those in integers are.
    """
    count = max(1, _TOGETHER // rows.shape[1])
    for start in range(0, len(rows), count):
        band = slice(start, start + count)
        yield from _band(rows[band], kept[band], b[band], bits)


def _band(rows: Array, kept: Array, b: Array, bits: int) -> Iterator[Sum]:
    s = np.where(kept, rows.real, -np.inf).astype(np.float64, copy=False)
    t = np.where(kept, rows.imag, 0).astype(np.float64, copy=False)
    weights = np.where(kept, b, 0)
    _, e = np.frexp(np.maximum(abs(weights.real), abs(weights.imag)))
    with np.errstate(all="ignore"):
        largest = np.argmax(s + e * np.log(2), axis=1)
        places = np.arange(len(rows)), largest
        shift, top = s[places], e[places]
        shift[~np.isfinite(shift)] = 0
        x, y = [[0] * len(rows) for _ in range(2)]
        sizes = [0.0] * len(rows)
        for start in range(0, rows.shape[1], _TOGETHER):
            part = np.s_[:, start : start + _TOGETHER]
            words, size = _terms(
                s[part], t[part], weights[part], e[part], shift[:, np.newaxis], top[:, np.newaxis]
            )
            for i in range(len(rows)):
                x[i] += _total(words[0][i].tolist(), words[1][i].tolist(), bits)
                y[i] += _total(words[2][i].tolist(), words[3][i].tolist(), bits)
                sizes[i] += fsum(size[i].tolist())
    for i in range(len(rows)):
        error = (fixed(sizes[i], bits) >> _ERROR_BITS) + rows.shape[1] + 8
        yield Sum(x[i], y[i], error, int(top[i]), float(shift[i]))


def _total(high: list[float], low: list[float], bits: int) -> int:
    """Return the sum in units: of the upper words to twice the digits, then that of the lower."""
    upper = fsum(high)
    high.append(-upper)
    return fixed(upper, bits) + fixed(fsum(high) + fsum(low), bits)


def _terms(
    s: Array, t: Array, b: Array, e: Array, shift: Array, top: Array
) -> tuple[list[Array], Array]:
    """Return the pairs of the real and imaginary parts, and the sizes, in units of 2**top."""
    tables = _tables()
    d, d_low = two_sum(s, -shift)
    is_far = ~(d >= -_FAR)
    d[is_far], d_low[is_far] = -_FAR, 0
    k, r = _reduced(d, d_low, tables.ln2)
    t, t_low = _in_reach(t)
    g, q = _reduced(t, t_low, tables.turn)
    e_d = _product(_exp(r), tables.powers[:, k & 127])
    cosine, sine = _turned(_cosine_and_sine(q), g & 1023, tables)
    cosine, sine = _product(cosine, e_d), _product(sine, e_d)
    scaled = np.ldexp(b.real, -e)
    size = e_d[0] * abs(scaled)
    real, imag = _scaled(cosine, scaled), _scaled(sine, scaled)
    if b.dtype.kind == "c":
        scaled = np.ldexp(b.imag, -e)
        size += e_d[0] * abs(scaled)
        real = _sum(real, _scaled(sine, -scaled))
        imag = _sum(imag, _scaled(cosine, scaled))
    exponent = (k >> 7) + e - top
    return [np.ldexp(word, exponent) for word in (*real, *imag)], np.ldexp(size, exponent)


def _in_reach(t: Array) -> _Pair:
    """Return t, less full turns where it is large, as pairs."""
    t, t_low = t.copy(), np.zeros_like(t)
    is_far = abs(t) > _FAR
    if is_far.any():
        bits = 160 + int(np.frexp(t[is_far])[1].max())
        turn = 2 * constants(bits)[1]
        pairs = [_pair(fixed(value, bits) % turn, bits) for value in t[is_far].tolist()]
        t[is_far], t_low[is_far] = np.array(pairs).T
    return t, t_low


def _reduced(d: Array, d_low: Array, constant: list[float]) -> tuple[Array, _Pair]:
    """Return a k and r, with d = k c + r, abs(r) being at most c / 2 and a little."""
    first, second, third = constant
    k = np.rint(d / (first + second))
    r, error = two_sum(d, -k * first)
    r, other = two_sum(r, -k * second)
    return k.astype(np.int64), two_sum(r, error + other + (d_low - k * third))


def _exp(r: _Pair) -> _Pair:
    high, low = r
    square, square_low = two_product(high, high)
    series = 1 / 6 + high * (1 / 24 + high * (1 / 120 + high * (1 / 720 + high / 5040)))
    rest = low + (square_low / 2 + high * low) + high * square * series
    total, first = fast_two_sum(np.ones_like(high), high)
    total, second = fast_two_sum(total, square / 2)
    return fast_two_sum(total, first + second + rest)


def _cosine_and_sine(q: _Pair) -> tuple[_Pair, _Pair]:
    high, low = q
    square, square_low = two_product(high, high)
    quartic = square * square * (1 / 24 - square * (1 / 720 - square / 40320))
    cosine, error = fast_two_sum(np.ones_like(high), -square / 2)
    cosine, error = fast_two_sum(cosine, error - (square_low / 2 + high * low) + quartic)
    cubic = high * square * (1 / 6 - square * (1 / 120 - square / 5040))
    return (cosine, error), fast_two_sum(high, low - cubic)


def _turned(parts: tuple[_Pair, _Pair], g: Array, tables: _Tables) -> tuple[_Pair, _Pair]:
    """Return the cosine and sine of the sum of two angles, one of them in the table."""
    cosine, sine = parts
    c, s = tables.cosines[:, g], tables.sines[:, g]
    return (
        _sum(_product(cosine, c), _product(sine, -s)),
        _sum(_product(cosine, s), _product(sine, c)),
    )


def _product(u: _Pair | Array, v: _Pair | Array) -> _Pair:
    product, error = two_product(u[0], v[0])
    return fast_two_sum(product, error + (u[0] * v[1] + u[1] * v[0]))


def _scaled(u: _Pair, factor: Array) -> _Pair:
    product, error = two_product(u[0], factor)
    return fast_two_sum(product, error + u[1] * factor)


def _sum(u: _Pair, v: _Pair) -> _Pair:
    total, error = two_sum(u[0], v[0])
    return fast_two_sum(total, error + (u[1] + v[1]))
