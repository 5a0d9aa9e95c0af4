"""Decimal ball arithmetic: the last rung, and the exact values of the lines of a derivation.

Python's decimal rounds exp, ln and the four operations correctly at any precision P, so each has a
relative error of at most 5 * 10**-P. These errors and those of the operands are added up, rounding
up. A value is decided when all of its ball rounds to one number of the format; otherwise P is
doubled (Ziv 1991, Fast evaluation of elementary mathematical functions with correctly rounded last
bit, doi 10.1145/114697.116813).

The climb ends. Equal entries are one term; their weights are added exactly. By the theorem of
Lindemann and Weierstrass, a sum of b_i exp(x_i) with different rational x_i and nonzero rational
b_i is not 0; its logarithm is rational only for a single term of weight 1 or -1, and its softmax
only for a single term. These stay exact here, since a ball keeps its exact part, the head, apart.
No other value is a number of the format or half-way between two.

It may come closer than any number of digits can tell: log(exp(2**53 + 1) + 1) to float64. Then the
head is the tie, and the sign of the tail decides. Numbers of a format and ties between them are
multiples of a power of two above 10**-6000, so only the sign of a smaller tail matters: exp of a
number far below zero may be any small positive number. All terms but the first are summed in units
of the second, so that the sign of such a sum is that of numbers of ordinary size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal, Inexact, getcontext, localcontext
from fractions import Fraction
from functools import cache, partial, reduce
from typing import Any, NamedTuple, TypeVar

import numpy as np

from stablelse.numerics.formats import Array, Format, context, nearest, ratio
from stablelse.numerics.rows import OF_NOTHING


def contexts() -> Iterator[Context]:
    """Yield contexts of 40, 80, 160, ... digits."""
    digits = 40
    while True:
        yield context(digits)
        digits *= 2


# Errors are rounded up, and their divisors down.
_UP, _DOWN = context(9, ROUND_UP), context(9, ROUND_DOWN)

# With this many digits, sums and multiples of numbers of a format are exact: those of longdouble
# lie between 10**4933 and 10**-4951, with no bit below 2**-16445.
_EXACT = context(100_000, traps=(Inexact,))

_ZERO, _ONE, _SMALL = Decimal(0), Decimal(1), Decimal("0.1")

# All numbers of a format, and distances from a tie, are between ten to minus this power and ten to
# this power.
_BEYOND = 6000

# exp of a number below the first is below the second, nearly the smallest that exponents allow.
_LOWEST, _TINY = Decimal(-2 * 10**18), _ONE.scaleb(-86 * 10**16, _UP)

_State = TypeVar("_State")


class Ball(NamedTuple):
    """All numbers within `error` of `head` + `tail`: an exact head, a tail of P digits."""

    head: Decimal
    tail: Decimal = _ZERO
    error: Decimal = _ZERO

    @property
    def is_exact(self) -> bool:
        """Whether it has no tail and no error."""
        return not self.tail and not self.error

    @property
    def sign(self) -> int:
        """The sign of all its numbers; 0 if they differ in sign, or are 0."""
        value, error = self.flat()
        return 0 if not abs(value) > error else 1 if value > 0 else -1

    def flat(self) -> tuple[Decimal, Decimal]:
        """Return the centre rounded to P digits, and its error."""
        value = self.head + self.tail
        if self.is_exact and value == self.head:
            return value, _ZERO
        return value, _UP.add(self.error, _rounding(value))


def add(u: Ball, v: Ball) -> Ball:
    """Return u + v."""
    return _rounded(u.tail + v.tail, u.error, v.error, head=_EXACT.add(u.head, v.head))


def negate(u: Ball) -> Ball:
    """Return -u."""
    return Ball(u.head.copy_negate(), u.tail.copy_negate(), u.error)


def subtract(u: Ball, v: Ball) -> Ball:
    """Return u - v."""
    return add(u, negate(v))


def multiply(u: Ball, v: Ball) -> Ball:
    """Return u v; the head is kept if one factor is exact."""
    if u.is_exact or v.is_exact:
        return total([v], [u.head]) if u.is_exact else total([u], [v.head])
    (a, e), (b, f) = u.flat(), v.flat()
    crossed = _UP.fma(_UP.abs(a), f, _UP.multiply(_UP.abs(b), e))
    return _rounded(a * b, crossed, _UP.multiply(e, f))


def divide(u: Ball, v: Ball) -> Ball:
    """Return u / v = q + (u - q v) / v; q is the quotient of the heads if it is exact, or else 0.

    If a and b have errors e and f, a / b has the error (e + abs(a / b) f) / (abs(b) - f).
    """
    b, f = v.flat()
    least = _DOWN.subtract(_DOWN.abs(b), f)
    if not least > 0:
        return _UNKNOWN
    q = u.head / v.head if u.head and v.head else _ZERO
    q = q if _EXACT.multiply(q, v.head) == u.head else _ZERO
    a, e = subtract(u, multiply(Ball(q), v)).flat() if q else u.flat()
    value = a / b
    size = _UP.add(_UP.abs(value), _rounding(value))
    return _rounded(value, _UP.divide(_UP.fma(size, f, e), least), head=q)


def exp(u: Ball) -> Ball:
    """Return exp(u): an error e <= 1 of a makes (exp(e) - 1) exp(a) <= 2 e exp(a) in exp(a)."""
    if u.is_exact and not u.head:
        return Ball(_ONE)
    a, e = u.flat()
    if _UP.add(a, e) < _LOWEST:
        return Ball(_ZERO, _TINY, _UP.divide(_TINY, 8))
    if not e <= 1:
        return _UNKNOWN
    value = a.exp()
    size = _UP.add(_UP.abs(value), _rounding(value))
    return _rounded(value, _UP.multiply(_UP.multiply(size, 2), e))


def log(u: Ball) -> Ball:
    """Return log u: an error e of a makes e / (a - e) in log a.

    For 1 + z with a small z the series z - z**2 / 2 keeps the digits of z. It omits less than
    abs(z)**3, the derivative is below 2, and two more roundings are of less than z / 2.
    """
    z = u.tail
    if u.head == 1 and u.error < _SMALL and (not z or z.adjusted() < -getcontext().prec // 3):
        cut = _UP.multiply(_UP.multiply(z, z), _UP.abs(z))
        return _rounded(z - z * z / 2, _UP.multiply(u.error, 2), cut, _rounding(z))
    a, e = u.flat()
    least = _DOWN.subtract(a, e)
    return _rounded(a.ln(), _UP.divide(e, least)) if least > 0 else _UNKNOWN


def total(terms: Iterable[Ball], weights: Iterable[Decimal | int]) -> Ball:
    """Return the sum of the terms times their weights, which are exact.

    n products and n sums are rounded; no partial sum is larger than the sum of the sizes.
    """
    head = tail = sizes = errors = _ZERO
    count = 2
    for (first, last, error), weight in zip(terms, weights, strict=True):
        head = _EXACT.fma(first, weight, head)
        part = last * weight
        tail += part
        sizes = _UP.add(sizes, _UP.abs(part))
        errors = _UP.fma(error, _UP.abs(weight), errors)
        count += 2
    return Ball(head, tail, _UP.fma(_rounding(sizes), count, errors))


def nearest_to(u: Ball, format_: Format) -> Any:
    """Return the number of the format that all of u rounds to; ``None`` if there are several."""
    if u.is_exact:
        return nearest(Fraction(u.head), format_)
    value, error = u.flat()
    if not abs(value) > _UP.multiply(error, 2):  # an unknown error may be NaN
        return None
    if abs(value.adjusted()) > _BEYOND:  # a fraction with this many digits would be slow
        end = _BEYOND if value.adjusted() > 0 else -_BEYOND
        return nearest(Fraction(_ONE.copy_sign(value).scaleb(end)), format_)
    low, high = (nearest(_end(u, sign), format_) for sign in (-1, 1))
    return low if low == high or (np.isnan(low) and np.isnan(high)) else None


def decimal_of(u: Ball, digits: int) -> Decimal | None:
    """Return the decimal number with `digits` digits that all of u rounds to, if there is one."""
    value, error = u.flat()
    outward = _UP.fma(_rounding(value), 2, error) if error else _ZERO
    low, high = (context(digits).plus(end) for end in (value - outward, value + outward))
    return low if low == high else None


def overlap(u: Ball, v: Ball) -> bool:
    """Whether the two have a number in common, and so may be the same value."""
    with localcontext(next(contexts())):
        return subtract(u, v).sign == 0


def _end(u: Ball, sign: int) -> Fraction:
    """Return one end of u, or a number on the same side of any tie that it may be compared with."""
    tail = u.tail + sign * u.error
    tail += 2 * sign * _rounding(tail)  # for the roundings of both sums
    if tail and tail.adjusted() < -_BEYOND:
        tail = _ONE.copy_sign(tail).scaleb(-_BEYOND)
    return Fraction(_EXACT.add(u.head, tail))


def _rounded(value: Decimal, *errors: Decimal, head: Decimal = _ZERO) -> Ball:
    """Return a ball from a tail that was rounded once, and its other errors."""
    return Ball(head, value, reduce(_UP.add, errors, _rounding(value)))


def _rounding(value: Decimal) -> Decimal:
    """Return the largest error of one rounding to P digits that gives this result."""
    return _UP.multiply(_UP.abs(value), _half_unit(getcontext().prec))


_half_unit = cache(lambda digits: Decimal(5).scaleb(-digits, _UP))


_UNKNOWN = Ball(_ZERO, _ZERO, Decimal("Infinity"))


class ExactTerm(NamedTuple):
    """b exp(x), both exact."""

    x: Decimal
    b: Decimal


class Sum:
    """S = sum b_i exp(x_i - a) at every precision, computed on first use.

    `first` is the largest term, and its x is a; `second` is the x of the next one, or a. `others`
    returns all terms but the first, in parts, the same each time.
    """

    def __init__(
        self, first: ExactTerm, second: Decimal, others: Callable[[], Iterable[Iterable[ExactTerm]]]
    ) -> None:
        self.first, self._second, self._others = first, second, others
        self._known: list[Ball] = []

    @classmethod
    def of(cls, terms: Sequence[ExactTerm]) -> Sum:
        """Return the sum of one or more terms in memory, the largest first."""
        return cls(terms[0], terms[min(1, len(terms) - 1)].x, lambda: [terms[1:]])

    @property
    def has_one_term(self) -> bool:
        """Whether the first term is the only one."""
        return not any(True for part in self._others() for _ in part)

    def __iter__(self) -> Iterator[tuple[Context, SumState]]:
        for index, precise in enumerate(contexts()):
            if index == len(self._known):
                self._known.append(self._at(precise))
            yield precise, (self.first, self._known[index])

    def _at(self, precise: Context) -> Ball:
        rest = Ball(_ZERO)
        for part in self._others():  # in the caller's context
            with localcontext(precise):
                terms = list(part)
                powers = (exp_of_difference(x, self._second) for x, _ in terms)
                rest = add(rest, total(powers, (b for _, b in terms)))
        with localcontext(precise):  # the sum of the others is in units of exp(second)
            unit = exp_of_difference(self._second, self.first.x)
            return add(Ball(self.first.b), multiply(unit, rest))

    def logsumexp(self, format_: Format) -> tuple[Any, int]:
        """Round a + log abs(S), and return the sign of S, which must not be 0."""
        signs = []

        def evaluate(_: Sequence[Decimal], state: SumState) -> list[Ball]:
            first, ball = state
            signs.append(ball.sign)
            return [add(Ball(first.x), log(negate(ball) if ball.sign < 0 else ball))]

        a = self.first.x
        return climb([a], evaluate, self, format_)[a], signs[-1]


#: The first term, and S.
SumState = tuple[ExactTerm, Ball]

#: Computes elements of some x.
Evaluator = Callable[[Sequence[Decimal], SumState], Sequence[Ball]]


def quotients(x: Sequence[Decimal], state: SumState) -> list[Ball]:
    """Return exp(x_j - a) / S."""
    first, ball = state
    return [divide(exp_of_difference(entry, first.x), ball) for entry in x]


def log_quotients(x: Sequence[Decimal], state: SumState) -> list[Ball]:
    """Return x_j - a - log S."""
    first, logarithm = state[0], log(state[1])
    return [subtract(Ball(_EXACT.subtract(entry, first.x)), logarithm) for entry in x]


def exp_of_difference(x: Decimal, y: Decimal) -> Ball:
    """Return exp(x - y)."""
    return exp(Ball(_EXACT.subtract(x, y)))


def climb(
    x: Iterable[Decimal],
    evaluate: Callable[[Sequence[Decimal], _State], Sequence[Ball]],
    states: Iterable[tuple[Context, _State]],
    format_: Format,
) -> dict[Decimal, Any]:
    """Evaluate each x with more and more digits, until it can be rounded.

    `states` are pairs of a context and facts computed in it; `evaluate` returns a ball for each x.
    """
    results: dict[Decimal, Any] = {}
    undecided = list(x)
    for precise, state in states:
        with localcontext(precise):
            balls = zip(undecided, evaluate(undecided, state), strict=True)
            results |= {entry: nearest_to(ball, format_) for entry, ball in balls}
        undecided = [entry for entry in undecided if results[entry] is None]
        if not undecided:
            break
    return results


def logsumexp(x: Array, format_: Format, weights: Array | None = None) -> tuple[Any, int]:
    """Round log abs(sum b_i exp(x_i)), and return it and the sign of the sum, 1, 0 or -1.

    x and b, shape (n,), may have any formats; x is finite or -inf, and b is finite.
    """
    terms = terms_of(x, weights)
    return Sum.of(terms).logsumexp(format_) if terms else (format_.round(-np.inf)[()], 0)


#: Functions that compute elements, by name.
ELEMENTS: dict[str, Evaluator] = {"softmax": quotients, "log_softmax": log_quotients}


def elements(name: str, x: Array, format_: Format, places: Array | None = None) -> Array:
    """Round elements of a softmax or log_softmax: those at the given places, or all n.

    x, shape (n,), is finite or -inf, but not only -inf; equal elements are computed once.
    """
    wanted = x if places is None else x[places]
    finite = np.isfinite(wanted)
    result = np.full(wanted.shape, format_.round(OF_NOTHING[name]), format_.dtype)
    of_terms = Sum.of(terms_of(x, None))
    result[finite] = elements_of(wanted[finite], ELEMENTS[name], of_terms, format_)
    return result


def elements_of(x: Array, evaluate: Evaluator, sum_: Sum, format_: Format) -> list[Any]:
    """Round elements of finite x, given the sum of all terms."""
    entries = _decimals(x)
    found = climb(set(entries), evaluate, sum_, format_)
    return [found[entry] for entry in entries]


softmax, log_softmax = (partial(elements, name) for name in ELEMENTS)


def terms_of(x: Array, weights: Array | None) -> list[ExactTerm]:
    """Return a term for each different finite x, without those of weight 0, the largest first."""
    finite = np.isfinite(x)
    entries = _decimals(x[finite])
    if weights is None:
        return sorted((ExactTerm(x, Decimal(n)) for x, n in Counter(entries).items()), reverse=True)
    weight_of: dict[Decimal, Decimal] = {}
    for entry, b in zip(entries, _decimals(weights[finite]), strict=True):
        weight_of[entry] = _EXACT.add(weight_of.get(entry, _ZERO), b)
    with localcontext(context(40)):
        terms = [ExactTerm(x, b) for x, b in weight_of.items() if b]
        return sorted(terms, key=lambda term: term.x + abs(term.b).ln(), reverse=True)


def _decimals(x: Array) -> list[Decimal]:
    return [as_decimal(number) for number in (x if x.dtype == np.longdouble else x.tolist())]


def as_decimal(value: Any) -> Decimal:
    """Return a finite scalar of any format as a Decimal, exactly."""
    if not isinstance(value, np.longdouble):
        return Decimal(value) if isinstance(value, int) else Decimal.from_float(float(value))
    numerator, denominator = ratio(value)
    power = denominator.bit_length() - 1
    return Decimal(numerator * 5**power).scaleb(-power, _EXACT)
