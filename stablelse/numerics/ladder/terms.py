"""Sums of terms b exp(x) in decimal arithmetic, at one precision after the other.

What bounds the errors is said in `stablelse.numerics.ladder.decimals`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal, getcontext, localcontext
from fractions import Fraction
from math import log
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.contexts import context
from stablelse.numerics.formats import Array
from stablelse.numerics.rationals import ratio


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


class Totals:
    """S in each of the `contexts`; a precision is computed once, when it is first asked for.

    Parameters
    ----------
    first : Term
        The term whose x is a.
    others : callable
        Returns all other terms, in parts, each time the same. Only the terms of a part, not the
        parts, are called for in the context.
    """

    def __init__(self, first: Term, others: Callable[[], Iterable[Iterable[Term]]]) -> None:
        self._first = first
        self._others = others
        self._known: list[Total] = []

    @classmethod
    def of(cls, terms: list[Term]) -> Totals:
        """Return the sums of terms in memory, of which there are some."""
        return cls(terms[0], lambda: [terms[1:]])

    def __iter__(self) -> Iterator[tuple[Context, Total]]:
        for index, precise in enumerate(contexts()):
            if index == len(self._known):
                self._known.append(_sum(self._first, self._others(), precise))
            yield precise, self._known[index]


def _sum(first: Term, others: Iterable[Iterable[Term]], precise: Context) -> Total:
    """Sum b_i exp(x_i - a), a being the x of the first term.

    x_i - a is rounded, so exp(x_i - a) is wrong by eps abs(x_i - a), and by its own eps; b_i
    and the product are rounded too, and n additions by eps times the sum of the sizes.
    """
    rest = sizes = stretched = Decimal(0)
    count = 1
    for part in others:
        with localcontext(precise):
            for x, b in part:
                d = x - first.x
                term = _rounded(b) * d.exp()
                rest += term
                sizes += abs(term)
                stretched += abs(term * d)
                count += 1
    with localcontext(precise):
        leading = _rounded(first.b)
        is_exact = Fraction(leading) == first.b
        return Total(
            Ball(leading, Decimal(0) if is_exact else eps() * abs(leading)),
            Ball(rest, eps() * (stretched + (count + 3) * sizes)),
        )


def contexts() -> Iterator[Context]:
    """Yield contexts of 40, 80, 160, ... digits, with all the exponents there are."""
    digits = 40
    while True:
        yield context(digits)
        digits *= 2


def eps() -> Decimal:
    """Return 2 * 5 * 10**-P: every bound is doubled, for what is of second order in it."""
    return Decimal(10).scaleb(-getcontext().prec)


def terms_of(x: Array, weights: Array | None = None) -> list[Term]:
    """Return a term for each different finite x, without those of weight 0, the largest first."""
    weight_of: dict[Decimal, Fraction] = {}
    for entry, b in zip(x, np.ones(len(x)) if weights is None else weights, strict=True):
        if np.isfinite(entry):
            key = as_decimal(entry)
            weight_of[key] = weight_of.get(key, Fraction(0)) + Fraction(*ratio(b))
    terms = [Term(entry, b) for entry, b in weight_of.items() if b]
    with localcontext(context(40)):
        return sorted(terms, key=_rough_log, reverse=True)


def as_decimal(value: Any) -> Decimal:
    """Return a finite scalar of any format as a Decimal, exactly."""
    if not isinstance(value, np.longdouble):
        return Decimal.from_float(float(value))  # the constructor may be trapped
    numerator, denominator = ratio(value)
    # A fraction with denominator 2**k has at most k digits behind the point.
    digits = numerator.bit_length() // 3 + denominator.bit_length() + 5
    return context(digits).divide(Decimal(numerator), Decimal(denominator))


def _rounded(b: Fraction) -> Decimal:
    return Decimal(b.numerator) / Decimal(b.denominator)


def _rough_log(term: Term) -> Decimal:
    size = abs(term.b)
    return term.x + Decimal.from_float(log(size.numerator) - log(size.denominator))
