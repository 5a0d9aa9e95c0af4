"""Decimal arithmetic with a proved bound: every result is a ball that the exact value lies in.

Python's decimal rounds exp, ln and the four operations correctly at any precision P, so each is
wrong by at most 5 * 10**-P, relatively. The errors are added up in a context of their own, always
rounded up. An exact part is kept apart, so that log(1 + e^-1000000) needs no million digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, ROUND_UP, Decimal, Inexact, getcontext, localcontext
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.contexts import context
from stablelse.numerics.formats import Format
from stablelse.numerics.formulas.formula import Kind
from stablelse.numerics.ladder.terms import as_decimal
from stablelse.numerics.rationals import nearest

_ZERO = Decimal(0)
_INFINITY = Decimal("Infinity")

#: Errors are bounds: they are rounded up, and what they are divided by, down.
_UP, _DOWN = context(9, ROUND_UP), context(9, ROUND_DOWN)

#: Sums and differences of numbers of a format are exact in so many digits: longdouble's lie
#: between 10**4933 and 10**-4951, with no bit below the last.
_EXACT = context(20_000, traps=(Inexact,))

#: The numbers of a format, and those half-way between two, are multiples of a power of two that
#: is larger than this; so what is smaller decides on which side of one a number lies, no more.
_SIDE_ONLY = -6000


class Enclosure(NamedTuple):
    """All numbers within `error` of `head` + `tail`.

    Attributes
    ----------
    head : Decimal
        Exact, and of any length.
    tail : Decimal
        Of as many digits as the context has.
    error : Decimal
        Not negative; infinite where nothing is known.
    """

    head: Decimal
    tail: Decimal = _ZERO
    error: Decimal = _ZERO

    @property
    def is_exact(self) -> bool:
        """Whether it is the head and nothing else."""
        return not self.tail and not self.error

    def flat(self) -> tuple[Decimal, Decimal]:
        """Return the centre rounded to the context's precision, and the error of that."""
        value = self.head + self.tail
        if not self.tail and value == self.head:
            return value, self.error
        return value, _UP.add(self.error, _rounding(value))

    def overlaps(self, other: Enclosure) -> bool:
        """Whether the two have a number in common, so that they may enclose the same one."""
        with localcontext(context(40)):
            head, tail, error = add(self, negate(other))
            return bool(abs(head + tail) <= _UP.add(error, _rounding(head + tail)))


def add(u: Enclosure, v: Enclosure) -> Enclosure:
    """Return u + v."""
    tail = u.tail + v.tail
    return Enclosure(
        _EXACT.add(u.head, v.head), tail, _UP.add(_UP.add(u.error, v.error), _rounding(tail))
    )


def negate(u: Enclosure) -> Enclosure:
    """Return -u."""
    return Enclosure(u.head.copy_negate(), u.tail.copy_negate(), u.error)


def multiply(u: Enclosure, v: Enclosure) -> Enclosure:
    """Return u v."""
    (first, error), (second, other) = u.flat(), v.flat()
    value = first * second
    crossed = _UP.fma(_UP.abs(first), other, _UP.multiply(_UP.abs(second), error))
    return Enclosure(_ZERO, value, _UP.add(_UP.fma(error, other, crossed), _rounding(value)))


def divide(u: Enclosure, v: Enclosure) -> Enclosure:
    """Return u / v: with u and v wrong by e and f, it is by (e + abs(u/v) f) / (abs(v) - f)."""
    (above, error), (below, other) = u.flat(), v.flat()
    least = _DOWN.subtract(_DOWN.abs(below), other)
    if not least > 0:
        return Enclosure(_ZERO, _ZERO, _INFINITY)
    value = above / below
    rounding = _rounding(value)
    size = _UP.add(_UP.abs(value), rounding)
    moved = _UP.divide(_UP.fma(size, other, error), least)
    return Enclosure(_ZERO, value, _UP.add(moved, rounding))


def exp(u: Enclosure) -> Enclosure:
    """Return exp(u): with u wrong by e <= 1, it is by e^u (e^e - 1) <= 2 e e^u."""
    if u.is_exact and not u.head:
        return Enclosure(Decimal(1))
    exponent, error = u.flat()
    if not error <= 1:
        return Enclosure(_ZERO, _ZERO, _INFINITY)
    value = exponent.exp()
    rounding = _rounding(value)
    size = _UP.add(_UP.abs(value), rounding)
    return Enclosure(_ZERO, value, _UP.fma(_UP.multiply(size, Decimal(2)), error, rounding))


def log(u: Enclosure) -> Enclosure:
    """Return log u: with u wrong by e, it is by e / (u - e).

    Of 1 + z with a small z the series z - z**2 / 2 keeps the digits of z; it is wrong by less
    than abs(z)**3, and its derivative is below 2.
    """
    z = u.tail
    if u.head == 1 and (not z or z.adjusted() < -getcontext().prec // 3):
        value = z - z * z / 2
        size = _UP.abs(z)
        cut = _UP.multiply(_UP.multiply(size, size), size)
        roundings = _UP.multiply(Decimal(3), _rounding(z))
        return Enclosure(_ZERO, value, _UP.add(_UP.fma(u.error, Decimal(2), roundings), cut))
    value, error = u.flat()
    least = _DOWN.subtract(value, error)
    if not least > 0:
        return Enclosure(_ZERO, _ZERO, _INFINITY)
    result = value.ln()
    return Enclosure(_ZERO, result, _UP.add(_UP.divide(error, least), _rounding(result)))


def total(terms: Iterable[Enclosure], counts: Iterable[int]) -> Enclosure:
    """Return the sum of the terms, each as often as its count says.

    n products and n sums are rounded, no partial sum being larger than the sum of the sizes.
    """
    head = tail = sizes = errors = _ZERO
    n = 0
    for term, count in zip(terms, counts, strict=True):
        head = _EXACT.fma(term.head, Decimal(count), head)
        part = term.tail * count
        tail += part
        sizes = _UP.add(sizes, _UP.abs(part))
        errors = _UP.fma(term.error, Decimal(count), errors)
        n += 1
    return Enclosure(head, tail, _UP.fma(_rounding(sizes), Decimal(2 * n + 2), errors))


#: The operations of formulas, but for the sum, which has counts.
OPERATIONS: dict[Kind, Callable[..., Enclosure]] = {
    Kind.ADD: add,
    Kind.SUBTRACT: lambda u, v: add(u, negate(v)),
    Kind.NEGATE: negate,
    Kind.MULTIPLY: multiply,
    Kind.DIVIDE: divide,
    Kind.EXP: exp,
    Kind.LOG: log,
}


def nearest_to(u: Enclosure, format_: Format) -> Any:
    """Return the number of the format that all of u rounds to; ``None`` if there are several."""
    value, error = u.flat()
    if not value and not error:
        return format_.dtype.type(0)
    if not _UP.multiply(error, Decimal(2)) < abs(value):
        return None
    if value.adjusted() > as_decimal(format_.largest).adjusted() + 1:
        return format_.round(np.inf if value > 0 else -np.inf)[()]
    if value.adjusted() < as_decimal(format_.smallest_subnormal).adjusted() - 1:
        return format_.dtype.type(0)
    low = nearest(_end(u, -1), format_)
    high = nearest(_end(u, 1), format_)
    return low if low == high or (np.isnan(low) and np.isnan(high)) else None


def decimal_of(u: Enclosure, digits: int) -> Decimal | None:
    """Return the decimal number of so many digits that all of u rounds to, if there is one."""
    value, error = u.flat()
    short = context(digits)
    outward = _UP.add(error, _rounding(value)) if error else _ZERO
    low, high = short.plus(value - outward), short.plus(value + outward)
    return low if low == high else None


def _end(u: Enclosure, sign: int) -> Fraction:
    """Return one end of u, as a fraction that lies on the same side of any number it may meet."""
    tail = u.tail + sign * u.error if u.error else u.tail
    if u.error:
        tail += sign * Decimal(_rounding(tail))
    if not u.head or not tail or tail.adjusted() >= _SIDE_ONLY:
        return Fraction(u.head) + Fraction(tail)
    return Fraction(u.head) + Fraction(Decimal(1).copy_sign(tail).scaleb(_SIDE_ONLY))


def _rounding(value: Decimal) -> Decimal:
    """Return the largest error of one rounding to the context's precision, of this result."""
    return _UP.multiply(_UP.abs(value), Decimal(5).scaleb(-getcontext().prec))
