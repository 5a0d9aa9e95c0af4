"""The exact answers, by mpmath: with as many digits as necessary, then rounded once."""

from fractions import Fraction

import mpmath
import numpy as np
from mpmath import mpf

from stablelse.numerics.formats import Format

#: Relative accuracy of the exact answers: far beyond the widest significand's 2**-113.
ACCURACY = mpf(2) ** -130


def exact(value) -> Fraction:
    """Return a finite scalar of any format as a fraction."""
    number = value if isinstance(value, (np.longdouble, Fraction)) else float(value)
    return Fraction(*number.as_integer_ratio())


def as_mpf(value) -> mpf:
    """Return a scalar of any format, infinities and NaN included, as a number of mpmath."""
    if not np.isfinite(value):
        return mpf(float(value))
    numerator, denominator = exact(value).as_integer_ratio()
    with mpmath.workprec(20_000):  # the exponents of longdouble
        return mpf(numerator) / denominator


def _settled(evaluate) -> mpf:
    """Evaluate at growing precision until two results in a row agree."""
    precision, last = 160, None
    while True:
        with mpmath.workprec(precision):
            value = evaluate()
        if last is not None and abs(value - last) <= ACCURACY * abs(value):
            return value
        precision, last = 2 * precision, value
        assert precision < 2**20, "no cancellation goes that deep"


def logsumexp(x, b=None) -> tuple[mpf, int]:
    """Return log abs(sum b exp(x)) and the sign of the sum, for finite x or -inf."""
    b = [1] * len(x) if b is None else b
    weights: dict = {}
    for x_i, b_i in zip(x, b, strict=True):
        if b_i != 0 and x_i != -np.inf:
            key = exact(x_i)
            weights[key] = weights.get(key, 0) + exact(b_i)
    terms = {x_i: b_i for x_i, b_i in weights.items() if b_i}
    if not terms:
        return mpf("-inf"), 0
    signs = []

    def evaluate() -> mpf:
        a = mpmath.mpf(max(terms).numerator) / max(terms).denominator
        rest, largest = mpf(0), mpf(0)
        for x_i, b_i in terms.items():
            weight = mpf(b_i.numerator) / b_i.denominator
            difference = mpf(x_i.numerator) / x_i.denominator - a
            if difference == 0:
                largest = weight
            else:
                rest += weight * mpmath.exp(difference)
        ratio = rest / largest
        signs.append(int(mpmath.sign(largest) * mpmath.sign(1 + ratio)))
        return a + mpmath.log(abs(largest)) + _log_abs_1p(ratio)

    return _settled(evaluate), signs[-1]


def _log_abs_1p(ratio: mpf) -> mpf:
    return mpmath.log1p(ratio) if ratio > -1 else mpmath.log(abs(1 + ratio) or mpf("1e-999999"))


def log_softmax(x) -> list[mpf]:
    """Return x_j - lse(x) for every j, for finite x or -inf."""
    finite = [exact(x_i) for x_i in x if x_i != -np.inf]
    values = {}
    for x_j in set(finite):
        # Minus log-sum-exp of the x_i - x_j, which are exact fractions.
        value, _ = logsumexp([x_i - x_j for x_i in finite])
        values[x_j] = mpmath.fneg(value, exact=True)
    return [mpf("-inf") if x_j == -np.inf else values[exact(x_j)] for x_j in x]


def softmax(x) -> list[mpf]:
    """Return exp(x_j - lse(x)) for every j, for finite x or -inf."""
    x_max = exact(max(x))
    shifted = [None if x_j == -np.inf else exact(x_j) - x_max for x_j in x]
    y, _ = logsumexp([d for d in shifted if d is not None])
    with mpmath.workprec(400):
        return [
            mpf(0) if d is None else mpmath.exp(mpf(d.numerator) / d.denominator - y)
            for d in shifted
        ]


def ulp(true: mpf, format_: Format) -> mpf:
    """Return the unit in the last place of the format at a real number."""
    smallest = as_mpf(format_.smallest_subnormal)
    if true == 0:
        return smallest
    exponent = true.man_exp[1] + true.man_exp[0].bit_length()
    return max(mpf(2) ** (exponent - format_.significand_bits), smallest)


def ulp_error(value, true: mpf, format_: Format) -> float:
    """Return how far a value is from the true one, in units in the last place of the format."""
    if not mpmath.isfinite(true) or not np.isfinite(value):
        rounded = rounded_to(true, format_)
        same = value == rounded or (np.isnan(value) and np.isnan(rounded))
        return 0.0 if same else float("inf")
    with mpmath.workprec(400):
        return float(abs(as_mpf(value) - true) / ulp(true, format_))


def rounded_to(true: mpf, format_: Format):
    """Return the number of the format nearest to a real one, ties to even."""
    if not mpmath.isfinite(true):
        return format_.round(float(true))[()]
    with mpmath.workprec(400):
        unit = ulp(true, format_)
        multiple = mpmath.nint(true / unit)  # ties to even
        rounded = multiple * unit
        if abs(rounded) > as_mpf(format_.largest):
            return format_.round(np.copysign(np.inf, float(mpmath.sign(true))))[()]
        high = float(rounded)
        if format_.name != "longdouble":
            return format_.dtype.type(high)
        return np.longdouble(high) + np.longdouble(float(rounded - as_mpf(high)))
