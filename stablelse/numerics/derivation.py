"""Exact values of both sides of every line of a derivation: balls as narrow as necessary.

Every value is decided at some precision (`stablelse.numerics.decimals`), except rationals on a
tie, which are known in advance. With more than one different x, values that depend on a sum of
exponentials are irrational (Lindemann-Weierstrass). All others are monomials m e^t with rational
m and t, or their logarithms t + log m; they are rational if t is 0, or m is 1. Multiplying
monomials adds logarithms; exp and log lead from one to the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import MAX_EMAX, Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from stablelse.numerics import decimals
from stablelse.numerics.decimals import Ball
from stablelse.numerics.formats import Array, Format, context, nearest
from stablelse.numerics.formulas import ChoiceError, Kind, Operation

#: The largest precision, reached only if a is far from max x and e^(x - max x) is below 10**-2500
#: for the second largest x. It takes a second or two.
_MOST_DIGITS = 2_560

#: The largest x and a: decimal must be able to represent e^-a e^y, at most e^(2 * this), which is
#: 10^(0.87 * this).
LARGEST = MAX_EMAX

#: An exact value shows at least this many digits, whatever the format holds.
_FEWEST_DIGITS = 10


class Exact(NamedTuple):
    """An exact value, as far as it can be written down.

    `decimal` has as many digits as the format holds, but at least ten, if `nearest` does not show
    them: it is not a normal number, or the format holds fewer. It is ``None`` for 0, and close to
    the middle of two decimal numbers of a narrow format.
    """

    nearest: Any  # rounded to the format: infinite, or 0, beyond its range
    decimal: Decimal | None
    ball: Ball  # the ball that decided it


def evaluate_exactly(
    sides: Sequence[Operation], x: Array, a: Any, format_: Format
) -> list[list[Exact]]:
    """Evaluate sides of equations exactly, or raise ChoiceError if a value stays undecided.

    They depend on x, shape (n,), a, and y = log sum exp(x_i) or p_j = exp(x_j - y); x and a are
    finite numbers of the format, at most `LARGEST`. The result has a list for each side: of n
    values, or of one.
    """
    entries = [decimals.as_decimal(entry) for entry in x]
    counts = Counter(entries)
    contexts, decided = decimals.contexts(), [list[Exact]() for _ in sides]
    while not all(decided):
        precise = next(contexts)
        if precise.prec > _MOST_DIGITS:
            raise ChoiceError(
                f"{_MOST_DIGITS:,} digits are too few to round a line to {format_.name}: "
                "numbers so far apart need another shift, such as max"
            )
        with localcontext(precise):
            given = _given(counts, decimals.as_decimal(a))
            for side, values in zip(sides, decided, strict=True):
                values += [] if values else _decided(side, given, counts, format_)
    index = {entry: i for i, entry in enumerate(counts)}
    return [
        [values[index[entry]] for entry in entries] if side.per_element else values
        for side, values in zip(sides, decided, strict=True)
    ]


class _Monomial(NamedTuple):
    """The number m e^t, or its logarithm t + log m."""

    m: Fraction
    t: Fraction


class _Value(NamedTuple):
    ball: Ball
    monomial: _Monomial | None


def _given(counts: Counter[Decimal], a: Decimal) -> dict[str, list[_Value]]:
    """Return x, a, y and p, one per different x; y - max x keeps its digits."""
    largest, n, is_alone = max(counts), counts.total(), len(counts) == 1
    terms = [decimals.exp_of_difference(entry, largest) for entry in counts]
    total = decimals.total(terms, counts.values())
    y = decimals.add(Ball(largest), decimals.log(total))
    p = [decimals.divide(term, total) for term in terms]
    one, of_p = Fraction(1), _Monomial(Fraction(1, n), Fraction(0))
    return {
        "x": [_Value(Ball(entry), _Monomial(one, Fraction(entry))) for entry in counts],
        "a": [_Value(Ball(a), _Monomial(one, Fraction(a)))],
        "y": [_Value(y, _Monomial(Fraction(n), Fraction(largest)) if is_alone else None)],
        "p": [_Value(ball, of_p if is_alone else None) for ball in p],
    }


def _decided(
    side: Operation, given: dict[str, list[_Value]], counts: Counter[Decimal], format_: Format
) -> list[Exact]:
    """Return the exact values of a side, or none if one is undecided."""
    results = dict(given)
    for symbol, kind, parts in side.operations:
        of_balls, of_monomials = _FUNCTIONS[kind]
        operands = [results[part.symbol] for part in parts]
        if kind is Kind.SUM:
            balls, monomials = zip(*operands[0], strict=True)
            summed = of_balls(balls, counts.values()), of_monomials(monomials, counts.total())
            results[symbol] = [_Value(*summed)]
            continue
        n = max(map(len, operands))
        columns = [values if len(values) == n else values * n for values in operands]
        results[symbol] = [
            _Value(of_balls(*(v.ball for v in row)), of_monomials(*(v.monomial for v in row)))
            for row in zip(*columns, strict=True)
        ]
    is_exponential = side.kind in _EXPONENTIALS or side == Operation("p")
    decided = []
    for value in results[side.symbol]:
        found = _exact(value.ball, _rational(value.monomial, is_exponential), format_)
        if found is None:
            return []
        decided.append(found)
    return decided


def _rational(value: _Monomial | None, is_exponential: bool) -> Fraction | None:
    if value is None:
        return None
    if is_exponential:
        return value.m if value.t == 0 else None
    return value.t if value.m == 1 else None


_EXPONENTIALS = frozenset({Kind.EXP, Kind.SUM, Kind.MULTIPLY, Kind.DIVIDE})


def _combined(sign: int, u: _Monomial | None, v: _Monomial | None) -> _Monomial | None:
    """Return u v or u / v, or the sum or difference of their logarithms."""
    return _Monomial(u.m * v.m**sign, u.t + sign * v.t) if u and v else None


def _summed(terms: Sequence[_Monomial | None], n: int) -> _Monomial | None:
    term, *others = terms
    return None if others or term is None else term._replace(m=term.m * n)


#: Each operation on balls, and on monomials.
_FUNCTIONS: dict[Kind, tuple[Callable[..., Ball], Callable[..., _Monomial | None]]] = {
    Kind.ADD: (decimals.add, partial(_combined, 1)),
    Kind.SUBTRACT: (decimals.subtract, partial(_combined, -1)),
    Kind.NEGATE: (decimals.negate, partial(_combined, -1, _Monomial(Fraction(1), Fraction(0)))),
    Kind.MULTIPLY: (decimals.multiply, partial(_combined, 1)),
    Kind.DIVIDE: (decimals.divide, partial(_combined, -1)),
    Kind.EXP: (decimals.exp, lambda u: u),
    Kind.LOG: (decimals.log, lambda u: u),
    Kind.SUM: (decimals.total, _summed),
}


def _exact(ball: Ball, rational: Fraction | None, format_: Format) -> Exact | None:
    number = decimals.nearest_to(ball, format_) if rational is None else nearest(rational, format_)
    if number is None:
        return None
    # A format of p bits holds (p - 1) log10 2 decimal digits (Matula 1968).
    held = (format_.significand_bits - 1) * 301 // 1000
    is_normal = bool(format_.smallest_normal <= abs(number) <= format_.largest)
    if rational == 0 or (is_normal and held >= _FEWEST_DIGITS):
        return Exact(number, None, ball)
    digits = max(_FEWEST_DIGITS, held)
    if rational is None:
        rounded = decimals.decimal_of(ball, digits)
    else:
        rounded = context(digits).divide(Decimal(rational.numerator), Decimal(rational.denominator))
    return None if rounded is None and not is_normal else Exact(number, rounded, ball)
