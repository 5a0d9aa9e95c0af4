"""Correctly rounded results of one vector in decimal arithmetic, at whatever precision it takes.

Python's decimal rounds exp, ln and the four operations correctly at any precision P, so each is
wrong by at most eps = 5 * 10**-P, relatively; the inputs enter exactly. What follows from that
is carried along as an interval. When both its ends round to the same number of the format, that
number is the exact result, rounded to nearest; otherwise P is doubled (Ziv 1991, Fast evaluation
of elementary mathematical functions with correctly rounded last bit, doi 10.1145/114697.116813).

The climb ends. Equal entries are taken together, their weights added exactly. By the theorem of
Lindemann and Weierstrass a sum of b_i exp(x_i), the x_i rational and different, the b_i rational
and not 0, is not 0; its logarithm is rational only for a single term of weight 1 or -1, and its
softmax only for a single term. Those few cases are told in advance; no other value lies on a
number of the format or half-way between two. It may come closer than any digits could tell,
though: log(exp(2**53 + 1) + 1) to float64. Where log S is too small to reach the next number or
middle from the number that it is added to, its sign decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, getcontext, localcontext
from fractions import Fraction
from functools import reduce
from math import log
from operator import add
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.rationals import nearest, ratio


def logsumexp(x: Array, format_: Format, weights: Array | None = None) -> tuple[Any, int]:
    """Compute log abs(sum b_i exp(x_i)), correctly rounded, and the sign of the sum.

    Parameters
    ----------
    x : ndarray
        Shape (n,), real; finite or -inf.
    format_ : Format
        The format of the result.
    weights : ndarray, optional
        The b_i, shape (n,), real and finite; all 1 if left out.

    Returns
    -------
    value : scalar
        In the format; -inf for a sum of 0.
    sign : int
        1, 0 or -1.
    """
    terms = _terms(x, weights)
    if not terms:
        return format_.round(-np.inf)[()], 0
    first = terms[0]
    if len(terms) == 1 and abs(first.b) == 1:
        return nearest(Fraction(first.x), format_), int(first.b)
    for context in contexts():
        with localcontext(context):
            total = _sum(terms)
            if total.sign:
                value = log_sum(terms, total, format_)
                if value is not None:
                    return value, total.sign
    raise AssertionError("the precisions have no end")


def softmax(
    x: Array, format_: Format, elements: Array | None = None, counts: Array | None = None
) -> Array:
    """Compute the softmax of one vector, correctly rounded.

    Parameters
    ----------
    x : ndarray
        Shape (n,), n >= 1, real; finite or -inf, but not all of them -inf.
    format_ : Format
        The format of the result.
    elements : ndarray of int, optional
        The indices of those k elements that are wanted; all n if left out.
    counts : ndarray, optional
        How many entries of the vector each x stands for.

    Returns
    -------
    ndarray
        Shape (k,), in the format.
    """
    return _elementwise(x, format_, elements, counts, quotient, lambda count: Fraction(1, count))


def log_softmax(
    x: Array, format_: Format, elements: Array | None = None, counts: Array | None = None
) -> Array:
    """Compute the logarithm of the softmax of one vector, correctly rounded; see `softmax`."""
    return _elementwise(x, format_, elements, counts, log_quotient, {1: Fraction(0)}.get)


class Ball(NamedTuple):
    """All numbers within `error` of `value`."""

    value: Decimal
    error: Decimal


class Term(NamedTuple):
    """b exp(x), both exact."""

    x: Decimal
    b: Fraction


class Total(NamedTuple):
    """S = sum b_i exp(x_i - a), as the b of the term whose x is a, and the rest."""

    first: Ball
    rest: Ball

    @property
    def value(self) -> Decimal:
        """S, rounded."""
        return self.first.value + self.rest.value

    @property
    def error(self) -> Decimal:
        """A bound of its error."""
        return self.first.error + self.rest.error

    @property
    def sign(self) -> int:
        """The sign of S; 0 unless S is known to be more than four times its error."""
        value = self.value
        return 0 if abs(value) <= 4 * self.error else 1 if value > 0 else -1


#: Rounds one element, or returns ``None``: from x_j, the terms, and their sum.
Evaluation = Callable[[Decimal, list[Term], Total, Format], Any]


def _terms(x: Array, weights: Array | None = None) -> list[Term]:
    """Return a term for each different finite x, without those of weight 0, the largest first."""
    weight_of: dict[Decimal, Fraction] = {}
    for entry, b in zip(x, np.ones(len(x)) if weights is None else weights, strict=True):
        if np.isfinite(entry):
            key = as_decimal(entry)
            weight_of[key] = weight_of.get(key, Fraction(0)) + Fraction(*ratio(b))
    terms = [Term(entry, b) for entry, b in weight_of.items() if b]
    return sorted(terms, key=_rough_log, reverse=True)


def _sum(terms: list[Term]) -> Total:
    """Sum b_i exp(x_i - a), a being the x of the first term.

    x_i - a is rounded, so exp(x_i - a) is wrong by eps abs(x_i - a), and by its own eps; b_i
    and the product are rounded too, and n additions by eps times the sum of the sizes.
    """
    rest = sizes = stretched = Decimal(0)
    for x, b in terms[1:]:
        d = x - terms[0].x
        term = _rounded(b) * d.exp()
        rest += term
        sizes += abs(term)
        stretched += abs(term * d)
    first = _rounded(terms[0].b)
    is_exact = Fraction(first) == terms[0].b
    return Total(
        Ball(first, Decimal(0) if is_exact else eps() * abs(first)),
        Ball(rest, eps() * (stretched + (len(terms) + 3) * sizes)),
    )


def _log(total: Total) -> Ball:
    """Return log abs(S), for an S that has a sign.

    Where S is 1 + z with a small z, the series z - z**2 / 2 keeps the digits of z; it is wrong
    by less than abs(z)**3.
    """
    first, rest = total
    if first.error == 0 and abs(first.value) == 1:
        z = rest.value * first.value
        if not z or z.adjusted() < -getcontext().prec // 3:
            return Ball(z - z * z / 2, 2 * rest.error + eps() * abs(z) + abs(z) ** 3)
    log = abs(total.value).ln()
    return Ball(log, eps() * (1 + abs(log)) + 2 * total.error / abs(total.value))


def log_sum(terms: list[Term], total: Total, format_: Format) -> Any:
    """Round a + log abs(S), or return ``None``."""
    return _added((terms[0].x,), _log(total), 1, terms, format_)


def quotient(x: Decimal, terms: list[Term], total: Total, format_: Format) -> Any:
    """Round exp(x - a) / S, or return ``None``."""
    d = x - terms[0].x
    value = d.exp() / total.value
    error = value * (eps() * (abs(d) + 3) + 2 * total.error / total.value)
    return _decided(Ball(value, error), format_)


def log_quotient(x: Decimal, terms: list[Term], total: Total, format_: Format) -> Any:
    """Round x - a - log S, or return ``None``."""
    return _added((x, terms[0].x.copy_negate()), _log(total), -1, terms, format_)


def _added(
    heads: tuple[Decimal, ...], log: Ball, direction: int, terms: list[Term], format_: Format
) -> Any:
    """Round the sum of the heads and of plus or minus log S, or return ``None``.

    The sum of the heads, and the numbers and middles of the format around it, are multiples of
    2**-bits. Whatever is smaller than that does not reach from one to the next.
    """
    head = reduce(add, heads)  # one rounding, or none
    error = log.error + eps() * abs(head)
    value = _decided(Ball(head + direction * log.value, error), format_)
    if value is not None or not head:
        return value
    exact = sum(map(Fraction, heads), Fraction(0))
    binade = exact.numerator.bit_length() - exact.denominator.bit_length()
    bits = max(exact.denominator.bit_length(), format_.significand_bits + 3 - binade)
    if abs(log.value) + log.error > Decimal(2) ** -bits / 2:
        return None
    sign = direction * _sign_of_log(log, terms)
    return nearest(exact + sign * Fraction(2) ** -bits / 2, format_) if sign else None


def _sign_of_log(log: Ball, terms: list[Term]) -> int:
    """Return the sign of log abs(S), 0 if it is not known."""
    first, rest = terms[0], terms[1:]
    if abs(log.value) > log.error:
        return 1 if log.value > 0 else -1
    return int(first.b) * _sign(rest) if abs(first.b) == 1 else 0


def _sign(terms: list[Term]) -> int:
    """Return the sign of a sum; 0 of no terms."""
    for context in contexts() if terms else ():
        with localcontext(context):
            if sign := _sum(terms).sign:
                return sign
    return 0


def _elementwise(
    x: Array,
    format_: Format,
    elements: Array | None,
    counts: Array | None,
    evaluate: Evaluation,
    of_equals: Callable[[int], Fraction | None],
) -> Array:
    """Evaluate each different element, climbing with those only that are still undecided."""
    terms = _terms(x, counts)
    wanted = x if elements is None else x[elements]
    results: dict[Decimal, Any] = {}
    undecided = list({as_decimal(entry) for entry in wanted if np.isfinite(entry)})
    told = of_equals(int(terms[0].b)) if len(terms) == 1 else None
    if told is not None:
        results = {entry: nearest(told, format_) for entry in undecided}
        undecided = []
    climb = contexts()
    while undecided:
        with localcontext(next(climb)):
            total = _sum(terms)
            found = {entry: evaluate(entry, terms, total, format_) for entry in undecided}
        results |= {entry: value for entry, value in found.items() if value is not None}
        undecided = [entry for entry in undecided if entry not in results]
    with np.errstate(over="ignore", divide="ignore"):
        nothing = format_.round(0.0 if evaluate is quotient else -np.inf)[()]
    values = [results[as_decimal(entry)] if np.isfinite(entry) else nothing for entry in wanted]
    return np.array(values, dtype=format_.dtype)


def contexts() -> Iterator[Context]:
    """Yield contexts of 40, 80, 160, ... digits, with all the exponents there are."""
    digits = 40
    while True:
        yield Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
        digits *= 2


def eps() -> Decimal:
    """Return 2 * 5 * 10**-P: every bound is doubled, for what is of second order in it."""
    return Decimal(10).scaleb(-getcontext().prec)


def _decided(ball: Ball, format_: Format) -> Any:
    """Return the number that all of the ball rounds to; ``None`` if there are several.

    The ends of the ball are rounded to P digits themselves, which its doubled error covers.
    """
    margin = ball.error + eps() * abs(ball.value)
    _, smallest = ratio(format_.smallest_subnormal)
    if abs(ball.value) + margin < 1 / Decimal(4 * smallest):
        return nearest(Fraction(0), format_)  # a fraction of so many digits would take its time
    low = nearest(Fraction(ball.value - margin), format_)
    high = nearest(Fraction(ball.value + margin), format_)
    return low if low == high or (np.isnan(low) and np.isnan(high)) else None


def _rounded(b: Fraction) -> Decimal:
    return Decimal(b.numerator) / Decimal(b.denominator)


def _rough_log(term: Term) -> Decimal:
    size = abs(term.b)
    return term.x + Decimal(log(size.numerator) - log(size.denominator))


def as_decimal(value: Any) -> Decimal:
    """Return a finite scalar of any format as a Decimal, exactly."""
    if not isinstance(value, np.longdouble):
        return Decimal(float(value))
    numerator, denominator = ratio(value)
    # A fraction with denominator 2**k has at most k digits behind the point.
    digits = numerator.bit_length() // 3 + denominator.bit_length() + 5
    exact = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    return exact.divide(Decimal(numerator), Decimal(denominator))
