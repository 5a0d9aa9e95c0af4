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

from collections.abc import Callable
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.ladder.terms import (
    Ball,
    Term,
    Total,
    Totals,
    as_decimal,
    eps,
    terms_of,
)
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
    terms = terms_of(x, weights)
    if not terms:
        return format_.round(-np.inf)[()], 0
    first = terms[0]
    if len(terms) == 1 and abs(first.b) == 1:
        return nearest(Fraction(first.x), format_), int(first.b)
    return rounded_log(Totals.of(terms), terms, format_)


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


#: Rounds one element, or returns ``None``: from x_j, the terms, and their sum.
Evaluation = Callable[[Decimal, list[Term], Total, Format], Any]


def rounded_log(totals: Totals, terms: list[Term], format_: Format) -> tuple[Any, int]:
    """Round a + log abs(S) at the first precision that tells, and return the sign of S.

    Parameters
    ----------
    totals : Totals
        S at every precision; not 0.
    terms : list of Term
        The first one, whose x is a, and others whose sum has the sign of all others.
    format_ : Format
        The format of the result.
    """
    for context, total in totals:
        with localcontext(context):
            sign = total.sign
            value = log_sum(terms, total, format_) if sign else None
        if value is not None:
            return value, sign
    raise AssertionError("the precisions have no end")


def rounded_elements(
    x: set[Decimal], totals: Totals, terms: list[Term], format_: Format, evaluate: Evaluation
) -> dict[Decimal, Any]:
    """Evaluate elements, climbing with those only that are still undecided; see `rounded_log`."""
    results: dict[Decimal, Any] = {}
    climb = iter(totals)
    while undecided := x - results.keys():
        context, total = next(climb)
        with localcontext(context):
            found = {entry: evaluate(entry, terms, total, format_) for entry in undecided}
        results |= {entry: value for entry, value in found.items() if value is not None}
    return results


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
    for context, total in Totals.of(terms) if terms else ():
        with localcontext(context):
            if sign := total.sign:
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
    """Evaluate each element, equal ones once."""
    terms = terms_of(x, counts)
    wanted = x if elements is None else x[elements]
    different = {as_decimal(entry) for entry in wanted if np.isfinite(entry)}
    told = of_equals(int(terms[0].b)) if len(terms) == 1 else None
    if told is not None:
        results = {entry: nearest(told, format_) for entry in different}
    else:
        results = rounded_elements(different, Totals.of(terms), terms, format_, evaluate)
    with np.errstate(over="ignore", divide="ignore"):
        nothing = format_.round(0.0 if evaluate is quotient else -np.inf)[()]
    values = [results[as_decimal(entry)] if np.isfinite(entry) else nothing for entry in wanted]
    return np.array(values, dtype=format_.dtype)


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
