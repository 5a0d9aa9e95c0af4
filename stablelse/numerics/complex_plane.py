"""Complex log-sum-exp: the logarithm of a sum of complex exponentials, within a derived bound.

Let S = sum b_i exp(x_i) and w = log S, its imaginary part in (-pi, pi]. S is summed in units of
2**-P of about its largest term: first in pairs of float64 (`complex_doubles`), and where these do
not tell, in integers, of twice as many bits each time. Every function says by how many units it is
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

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from math import atan2, isqrt, log
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import complex_doubles, complex_integers
from stablelse.numerics.complex_integers import Sum, constants, fixed
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rationals import nearest, ratio

_FIRST_BITS = 128

# Of so many numbers, sums in pairs of float64 are tried first.
_MANY = 32

# A sum is wrong by less than so many units per term; see `_sum`.
_TERM_ERROR = 16


def logsumexp(
    rows: Array, dtype: np.dtype[Any], weights: Array | None = None
) -> tuple[Array, Array]:
    """Compute log(sum b_i exp(x_i)), and the phase of the sum, for every row.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), n >= 1, complex or real.
    dtype : dtype
        Of the results, complex.
    weights : ndarray, optional
        The b_i, shape (m, n), complex or real; all 1 if left out.

    Returns
    -------
    value, phase : ndarray
        Shape (m,). The phase is the sum divided by its absolute value; it is 0 where that is 0.
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
        quick = complex_doubles.sums(rows[places], kept[places], b[places], _FIRST_BITS)
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
        cosine, sine = complex_integers.exp(r, q, bits)
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
    a, b = complex_integers.exp(guess[0] << bits - 50, -guess[1] << bits - 50, bits)
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
