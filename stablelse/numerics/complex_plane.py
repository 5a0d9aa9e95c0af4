"""Complex log-sum-exp: the logarithm of a sum of complex exponentials, within a derived bound.

Let S = sum b_i exp(x_i) and w = log S, its imaginary part in (-pi, pi]. S is summed in units of
2**-P of about its largest term: first in pairs of float64, and where these do not tell, in
integers, of twice as many bits each time. Every function says by how many units it is
wrong at most. It ends when both parts of w are known to 2**-7 u min(abs(w), 1), u = 2**-p, p being
the bits of a significand of the format. Then each is rounded to nearest, which makes w wrong by
u abs(w); or it is 0, if it is smaller than what is known of it. Together, for normal numbers,

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

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache, lru_cache, partial
from math import atan2, fsum, isqrt, log
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.doubleword import Pair, product, two_product, two_sum
from stablelse.numerics.doubleword import exp as exp_of_words
from stablelse.numerics.formats import Array, Format, nearest, ratio
from stablelse.numerics.inputs import known_format

_FIRST_BITS = 128

# Of so many numbers, sums in pairs of float64 are tried first; so many are computed together, for
# all that is held of them to stay in the cache.
_MANY, _TOGETHER = 32, 2**13

# A sum in integers is wrong by less than so many units per term; see `_sum`. A term in pairs, by
# 2**-_PAIR_BITS of its size; see `_terms`.
_TERM_ERROR, _PAIR_BITS = 16, 74

# Terms so far below the largest underflow, whatever their weights are; and beyond, angles are
# reduced in integers, for fewer bits of their multiples are exact.
_FAR = 2.0**14


class Sum(NamedTuple):
    """exp(shift) (x + i y) 2**(power - bits); x and y are wrong by less than `error`."""

    x: int
    y: int
    error: int
    power: int
    shift: Any = 0


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
    places = np.flatnonzero(is_finite).tolist()
    quick: Iterable[Sum | None] = [None] * len(places)
    fits_float64 = dtype.itemsize <= 16 and {rows.dtype.kind, b.dtype.kind} <= {"f", "c"}
    if rows.size >= _MANY and fits_float64:
        quick = sums_in_pairs(rows[places], kept[places], b[places])
    for i, found in zip(places, quick, strict=True):
        result[:, i] = _rounded(rows[i, kept[i]], b[i, kept[i]], format_, found)
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


class _Term(NamedTuple):
    """exp(s) (real[0] cos t + real[1] sin t + i (imag[0] cos t + imag[1] sin t)), t >= 0.

    The weights are integers, in units of 2**-scale.
    """

    s: Any
    t: Any
    real: tuple[int, int]
    imag: tuple[int, int]
    scale: int


def _grouped(x: Array, b: Array) -> list[_Term]:
    """Return a term for each s and abs(t), without those that add nothing."""
    ratios = [part.as_integer_ratio() for part in (*b.real.tolist(), *b.imag.tolist())]
    scale = max((d.bit_length() - 1 for _, d in ratios), default=0)
    weights = [int(n) << scale - d.bit_length() + 1 for n, d in ratios]
    sums: dict[tuple[Any, Any], list[int]] = {}
    entries = zip(x.real.tolist(), x.imag.tolist(), weights, weights[len(x) :], strict=False)
    for s, t, real, imag in entries:
        sign = 1 if t > 0 else -1 if t < 0 else 0
        of_group = sums.setdefault((s, abs(t)), [0, 0, 0, 0])
        for k, part in enumerate((real, imag, sign * real, sign * imag)):
            of_group[k] += part
    return [
        _Term(s, t, (c_real, -d_imag), (c_imag, d_real), scale)
        for (s, t), (c_real, c_imag, d_real, d_imag) in sums.items()
        if c_real or c_imag or d_real or d_imag
    ]


def _rounded(x: Array, b: Array, format_: Format, first: Sum | None) -> tuple[complex, complex]:
    """Return the logarithm and the phase of the sum, rounded to the format."""
    bits = _FIRST_BITS
    found = first and _settled(first, partial(_grouped, x, b), bits, format_)
    if found is not None:
        return found
    terms = _grouped(x, b)
    if not terms:
        return complex(-np.inf, 0), 0
    if terms == [(0, 0, (1 << terms[0].scale, 0), (0, 0), terms[0].scale)]:
        return 0, 1
    while found is None:
        found = _settled(_sum(terms, bits), lambda: terms, bits, format_)
        bits *= 2
    return found


def _settled(
    found: Sum, terms: Callable[[], list[_Term]], bits: int, format_: Format
) -> tuple[complex, complex] | None:
    """Return the logarithm and the phase if they are known well enough."""
    x, y, error, power, shift = found
    digits = format_.significand_bits + 7
    size = isqrt(x * x + y * y)
    if size <= error << digits:
        return None
    is_left = x < 0 and abs(y) <= error
    side = _side(terms()) if is_left else -1 if y < 0 else 1
    real, imag, wrong = _log(x, y, side, power, bits)
    real += fixed(shift, bits)
    wrong += (3 * error << bits) // size + 2
    modulus = min(isqrt(real * real + imag * imag), 1 << bits)
    smallest = (1 << bits) // ratio(format_.smallest_subnormal)[1]
    if wrong << digits > max(modulus, smallest):
        return None
    w = [_nearest(part, 1 << bits, wrong, format_) for part in (real, imag)]
    phase = [_nearest(part, size, error, format_) for part in (x, y)]
    return _complex(w), _complex(phase)


def _nearest(part: int, unit: int, wrong: int, format_: Format) -> Any:
    """Return part / unit in the format; 0 if it could be."""
    return nearest(Fraction(part if abs(part) > wrong else 0, unit), format_)


def _complex(parts: list[Any]) -> Any:
    return parts[0] + 1j * parts[1]


def _side(terms: list[_Term]) -> int:
    """Return the sign of the imaginary part of the sum; 1 if it is 0."""
    terms = [term._replace(real=(0, 0)) for term in terms if any(term.imag)]
    bits = _FIRST_BITS
    while terms:
        _, y, error, *_ = _sum(terms, bits)
        if abs(y) > error:
            return 1 if y > 0 else -1
        bits *= 2
    return 1


def _sum(terms: list[_Term], bits: int) -> Sum:
    """Return the sum in integers.

    s = k ln 2 + r and t = j 2 pi + q, with q in (-pi, pi]. ln 2 and pi are known to so many bits
    that r and q are wrong by less than 2 units each: by one for s or t itself, and by k or j times
    2**-(e + 8), abs(k) and abs(j) being below 2**(e + 1). That makes exp(r + i q), itself below 2,
    wrong by less than 6 units, and by one more for its own error. The weights are below
    2**(power - k), so that each product is wrong by less than 7 units, two of them by 14, and by
    one more for the shift. What is left out is less than a unit.
    """
    exponent = max(max(_exponent(term.s), _exponent(term.t)) for term in terms)
    wide = bits + exponent + 8
    ln2, pi = constants(wide)
    reduced, power = [], None
    for s, t, real, imag, scale in terms:
        k, r = divmod(fixed(s, wide), ln2)
        q = (fixed(t, wide) + pi) % (2 * pi) - pi
        k -= scale
        top = k + max(map(int.bit_length, (*real, *imag)))
        power = top if power is None else max(power, top)
        reduced.append((k, top, r >> wide - bits, q >> wide - bits, real, imag))
    assert power is not None
    x = y = 0
    for k, top, r, q, (a, b), (c, d) in reduced:
        if top + bits + 2 < power:
            continue
        cosine, sine = exp(r, q, bits)
        x += (a * cosine + b * sine) >> power - k
        y += (c * cosine + d * sine) >> power - k
    return Sum(x, y, _TERM_ERROR * len(terms), power)


def _log(x: int, y: int, side: int, power: int, bits: int) -> tuple[int, int, int]:
    """Return the logarithm of (x + i y) 2**(power - bits), and a bound of its error, in units.

    The logarithm of z, 1/2 <= abs(z) <= 1, is guessed in float64, as g, and corrected by that of
    z exp(-g), which is next to 1 by as many bits as are seen to agree. That series loses less than
    four units per term; z, exp and their product are wrong by less than 8, and the rest by 3.
    """
    size = isqrt(x * x + y * y)
    length = size.bit_length()
    z = [part << bits - length if bits > length else part >> length - bits for part in (x, y)]
    turned = x / size, y / size
    guess = (
        int(-log(size / (1 << length)) * 2**50),
        int(side * atan2(abs(turned[1]), turned[0]) * 2**50),
    )
    a, b = exp(guess[0] << bits - 50, -guess[1] << bits - 50, bits)
    real, imag = ((z[0] * a - z[1] * b) >> bits) - (1 << bits), (z[0] * b + z[1] * a) >> bits
    count = bits // (bits - 1 - max(abs(real), abs(imag)).bit_length()) + 2
    total_real = total_imag = 0
    power_real, power_imag = real, imag
    for n in range(1, count):
        total_real += power_real // n if n % 2 else -(power_real // n)
        total_imag += power_imag // n if n % 2 else -(power_imag // n)
        power_real, power_imag = (
            (power_real * real - power_imag * imag) >> bits,
            (power_real * imag + power_imag * real) >> bits,
        )
    exponent = power - bits + length
    wide = bits + exponent.bit_length() + 2
    shift = exponent * constants(wide)[0] >> wide - bits
    return (
        shift - (guess[0] << bits - 50) + total_real,
        (guess[1] << bits - 50) + total_imag,
        4 * count + 16,
    )


def _exponent(value: Any) -> int:
    """Return an e, at least 0, with abs(value) < 2**e."""
    return int(abs(value)).bit_length()


# ---- Sums in pairs of float64, many at a time


class _Circle(NamedTuple):
    """2 pi / 1024 in three parts, and the cosines and sines of its multiples as pairs."""

    step: tuple[float, float, float]
    cosines: Array
    sines: Array


@cache
def _circle() -> _Circle:
    bits = 200  # a thousand products lose ten of them
    angle = constants(bits)[1] >> 9
    real, imag = exp(0, angle, bits)
    a, b, found = 1 << bits, 0, []
    for _ in range(1024):
        found.append((*_pair(a, bits), *_pair(b, bits)))
        a, b = (a * real - b * imag) >> bits, (a * imag + b * real) >> bits
    table = np.array(found).T
    parts = []
    for grid in (36, 66):  # of less than 30 bits each
        part = angle >> bits - grid
        parts.append(part / (1 << grid))
        angle -= part << bits - grid
    return _Circle((parts[0], parts[1], angle / (1 << bits)), table[:2], table[2:])


def _pair(number: int, bits: int) -> tuple[float, float]:
    high = number / (1 << bits)
    return high, (number - fixed(high, bits)) / (1 << bits)


def sums_in_pairs(rows: Array, kept: Array, b: Array, bits: int = _FIRST_BITS) -> Iterator[Sum]:
    """Sum the terms b exp(x) of every row that are kept, as far as pairs of float64 can tell."""
    count = max(1, _TOGETHER // rows.shape[1])
    for start in range(0, len(rows), count):
        band = slice(start, start + count)
        yield from _band(rows[band], kept[band], b[band], bits)


def _band(rows: Array, kept: Array, b: Array, bits: int) -> Iterator[Sum]:
    s = np.where(kept, rows.real, -np.inf).astype(np.float64, copy=False)
    t = np.where(kept, rows.imag, 0).astype(np.float64, copy=False)
    weights = np.where(kept, b, 0).astype(np.complex128)
    _, e = np.frexp(np.maximum(abs(weights.real), abs(weights.imag)))
    m, n = rows.shape
    with np.errstate(all="ignore"):
        places = np.arange(m), np.argmax(s + e * np.log(2), axis=1)
        shift, top = s[places], e[places]
        shift[~np.isfinite(shift)] = 0
        totals, sizes = [[0, 0] for _ in range(m)], [0.0] * m
        for start in range(0, n, _TOGETHER):
            part = np.s_[:, start : start + _TOGETHER]
            d = two_sum(s[part], -shift[:, np.newaxis])
            words, size = _terms(d, t[part], weights[part], e[part], top[:, np.newaxis])
            for i in range(m):
                for k, (high, low) in enumerate(words):
                    totals[i][k] += _total(high[i].tolist(), low[i].tolist(), bits)
                sizes[i] += fsum(size[i].tolist())
    for i, (x, y) in enumerate(totals):
        error = (fixed(sizes[i], bits) >> _PAIR_BITS) + n + 8
        yield Sum(x, y, error, int(top[i]), float(shift[i]))


def _total(high: list[float], low: list[float], bits: int) -> int:
    """Return the sum in units: of the upper words to twice the digits, then that of the lower."""
    upper = fsum(high)
    high.append(-upper)
    return fixed(upper, bits) + fixed(fsum(high) + fsum(low), bits)


def _terms(d: Pair, t: Array, b: Array, e: Array, top: Array) -> tuple[tuple[Pair, Pair], Array]:
    """Return b exp(d + i t), the real and the imaginary part, and the sizes, in units of 2**top.

    With t = g 2 pi / 1024 + q, abs(q) < 2**-8.3, exp(i t) is (cos q + i sin q) times an entry of
    the table. q is wrong by less than 2**-85: the multiples of two parts of the step are exact, and
    what else is rounded is below 2**-37. The terms of the series from the third on are computed in
    float64; they are below 2**-27.6, and less than eight roundings make them wrong by 2**-77.6.
    What is left out of them is below 2**-83. exp(d) is wrong by 2**-90, products and sums of pairs
    by 2**-100, the table by 2**-105. So cos t and sin t are wrong by less than 2**-77, and each
    part of a term by 2**-75 of the size of its b exp(d). The sum of upper words is exact to twice
    the digits, that of lower ones to one rounding: together 2**-104 of the sum of the sizes. What
    underflows is below 2**-1000.
    """
    is_far = ~(d[0] >= -_FAR)
    d[0][is_far], d[1][is_far] = -_FAR, 0
    high, low, exponent = exp_of_words(*d)
    step, cosines, sines = _circle()
    g, q = _angle(t, step)
    turn = g & 1023
    z = _times(_cosine_and_sine(q), ((*cosines[:, turn],), (*sines[:, turn],)))
    zero, weights = np.zeros(b.shape), (np.ldexp(b.real, -e), np.ldexp(b.imag, -e))
    z = _times(z, ((weights[0], zero), (weights[1], zero)))
    scale = exponent + e - top
    scaled = [[np.ldexp(word, scale) for word in product(part, (high, low))] for part in z]
    size = high * (abs(weights[0]) + abs(weights[1]))
    return (tuple(scaled[0]), tuple(scaled[1])), np.ldexp(size, scale)


def _angle(t: Array, step: tuple[float, float, float]) -> tuple[Array, Pair]:
    """Return g and q with t = g 2 pi / 1024 + q, less full turns where t is large."""
    t, t_low = t.copy(), np.zeros_like(t)
    is_far = abs(t) > _FAR
    if is_far.any():
        bits = 160 + int(np.frexp(t[is_far])[1].max())
        turn = 2 * constants(bits)[1]
        pairs = [_pair(fixed(value, bits) % turn, bits) for value in t[is_far].tolist()]
        t[is_far], t_low[is_far] = np.array(pairs).T
    first, second, third = step
    g = np.rint(t / (first + second))
    q, error = two_sum(t, -g * first)
    q, other = two_sum(q, -g * second)
    return g.astype(np.int64), two_sum(q, error + other + (t_low - g * third))


def _cosine_and_sine(q: Pair) -> tuple[Pair, Pair]:
    high, low = q
    square, square_low = two_product(high, high)
    quartic = square * square * (1 / 24 - square * (1 / 720 - square / 40320))
    cosine, error = two_sum(np.ones_like(high), -square / 2)
    cubic = high * square * (1 / 6 - square * (1 / 120 - square / 5040))
    cosine_low = error - (square_low / 2 + high * low) + quartic
    return two_sum(cosine, cosine_low), two_sum(high, low - cubic)


def _times(u: tuple[Pair, Pair], v: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    """Multiply complex numbers whose parts are pairs."""
    (a, b), (c, d) = u, v
    minus = -d[0], -d[1]
    return _plus(product(a, c), product(b, minus)), _plus(product(a, d), product(b, c))


def _plus(u: Pair, v: Pair) -> Pair:
    total, error = two_sum(u[0], v[0])
    return two_sum(total, error + (u[1] + v[1]))


# ---- The exponential in integers, and the constants that reduce its argument


def exp(r: int, q: int, bits: int) -> tuple[int, int]:
    """Return the parts of exp(r + i q), abs(r) < 1 and abs(q) < 4; wrong by less than a unit.

    The series is that of the argument divided by 2**h, with more bits. Its n terms, less than
    `bits`, lose three finer units each, and squaring h times doubles that: together less than
    2**(h + 1) (3 n + 6).
    """
    halvings = isqrt(bits)
    fine = bits + halvings + bits.bit_length() + 4
    a, b = r << fine - bits >> halvings, q << fine - bits >> halvings
    real, imag = 1 << fine, 0
    term_real, term_imag = real, imag
    n = 1
    while term_real not in (0, -1) or term_imag not in (0, -1):
        term_real, term_imag = (
            (term_real * a - term_imag * b >> fine) // n,
            (term_real * b + term_imag * a >> fine) // n,
        )
        real, imag = real + term_real, imag + term_imag
        n += 1
    for _ in range(halvings):
        real, imag = (real - imag) * (real + imag) >> fine, 2 * real * imag >> fine
    return real >> fine - bits, imag >> fine - bits


@lru_cache(maxsize=8)
def constants(bits: int) -> tuple[int, int]:
    """Return ln 2 and pi, wrong by less than a unit."""
    more = bits.bit_length() + 8
    ln2 = 2 * _inverse(3, 1, bits + more)
    pi = 16 * _inverse(5, -1, bits + more) - 4 * _inverse(239, -1, bits + more)  # Machin
    return ln2 >> more, pi >> more


def _inverse(x: int, sign: int, bits: int) -> int:
    """Return artanh (sign 1) or arctan (sign -1) of 1 / x; its terms lose up to two units each."""
    power = total = (1 << bits) // x
    n = 1
    while power not in (0, -1):
        power = sign * power // (x * x)
        n += 2
        total += power // n
    return total


def fixed(value: Any, bits: int) -> int:
    """Return a number of any format in units, rounded down."""
    numerator, denominator = value.as_integer_ratio()
    return int(numerator) << bits >> int(denominator).bit_length() - 1
