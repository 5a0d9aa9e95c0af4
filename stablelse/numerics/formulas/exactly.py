"""Both sides of every line of a derivation, exactly: every value a ball, as narrow as it must be.

Every value is decided at some precision (`stablelse.numerics.decimals`), but for rationals on a
tie, which are told in advance. With more than one different x, no value is rational that depends
on a sum of exponentials (Lindemann-Weierstrass). All others are monomials m e^t with rational m
and t, or the logarithms t + log m of such, and those are rational where t is 0, or m is 1;
multiplying the one is adding the other, and exp and log lead from one to the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import MAX_EMAX, Decimal, getcontext, localcontext
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeVar

from stablelse.numerics import decimals
from stablelse.numerics.contexts import context
from stablelse.numerics.decimals import Ball
from stablelse.numerics.formats import Array, Format, nearest
from stablelse.numerics.formulas.formula import DerivationError, Kind, Operation, read_operations

#: The largest precision, which is reached only where a is far from max x and e^(x - max x) is
#: below 10**-2500 for the second largest x. It takes a second or two.
_MOST_DIGITS = 2_560

#: How large x and a may be: e^-a e^y, at most e^(2 * this), must have an exponent that decimal
#: knows, which 10^(0.87 * this) has.
LARGEST = MAX_EMAX

#: So many digits are told of an exact value at least, whatever the format holds.
_FEWEST_DIGITS = 10

_T = TypeVar("_T")


class Side(NamedTuple):
    """One side of an equation.

    Attributes
    ----------
    value : str
        The symbol it comes to: what is given, or the last operation's.
    operations : tuple of Operation
        Applied in this order to what is given: x, a, and y or p.
    """

    value: str
    operations: tuple[Operation, ...] = ()

    @classmethod
    def read(cls, text: str) -> Side:
        """Read a side: a symbol that is given, or operations as `read_operations` reads them."""
        if " " not in text:
            return cls(text)
        operations = read_operations(text)
        return cls(operations[-1].symbol, operations)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The symbols that are told: the two parts of a fraction, and the value."""
        if self.operations and self.operations[-1].kind is Kind.DIVIDE:
            return (*self.operations[-1].operands, self.value)
        return (self.value,)

    @property
    def per_element(self) -> frozenset[str]:
        """The symbols of which there is one result per element, not one per vector."""
        symbols = {"x", "p"}
        for operation in self.operations:
            if operation.kind is Kind.SUM or not symbols.intersection(operation.operands):
                symbols.discard(operation.symbol)
            else:
                symbols.add(operation.symbol)
        return frozenset(symbols)


class Exact(NamedTuple):
    """An exact value, as far as it can be written down.

    Attributes
    ----------
    nearest : scalar
        Correctly rounded to the format: infinite, or 0, where it is beyond its range.
    decimal : Decimal or None
        The value correctly rounded to as many digits as the format holds, ten at least, where
        the number of the format does not tell it: because that is no normal number, or the
        format holds fewer. ``None`` for 0, and in a narrow format for what lies so close to
        half-way between two decimal numbers that a few digits do not tell.
    ball : Ball
        What it was decided by.
    digits : int
        The precision that took.
    """

    nearest: Any
    decimal: Decimal | None
    ball: Ball
    digits: int


def evaluate(
    sides: Sequence[Side], x: Array, a: Any, format_: Format
) -> list[dict[str, list[Exact]]]:
    """Evaluate sides of equations exactly.

    Parameters
    ----------
    sides : sequence of Side
        Of x, a, and y = log sum exp(x_i), or p_j = exp(x_j - y).
    x : ndarray
        Shape (n,), n >= 1, of the format; finite, at most `LARGEST`.
    a : scalar
        Of the format; finite, at most `LARGEST`.
    format_ : Format
        What values are rounded to.

    Returns
    -------
    list of dict
        For each side the values of ``Side.wanted``: a list of n, or of one.

    Raises
    ------
    DerivationError
        If a value cannot be decided.
    """
    entries = [decimals.as_decimal(entry) for entry in x]
    counts = Counter(entries)
    shift = decimals.as_decimal(a)
    rationals = [_rationals(side, counts, shift) for side in sides]
    found: dict[int, dict[str, list[Exact]]] = {}
    for precise in decimals.contexts():
        if precise.prec > _MOST_DIGITS:
            raise DerivationError(
                f"{_MOST_DIGITS:,} digits do not tell an exact value from a number of "
                f"{format_.name} or one half-way between two: numbers so far apart need another "
                "shift, max for one"
            )
        with localcontext(precise):
            given = _balls(counts, shift)
            for index in set(range(len(sides))) - found.keys():
                results = _walk(sides[index], given, _BALLS, counts.values())
                decided = _decided(results, rationals[index], format_)
                if decided is not None:
                    found[index] = decided
        if len(found) == len(sides):
            break
    place = {entry: index for index, entry in enumerate(counts)}
    places = [place[entry] for entry in entries]
    return [_spread(side, found[index], places) for index, side in enumerate(sides)]


class _Monomial(NamedTuple):
    """The number m e^t, or its logarithm t + log m; neither where there is no such form."""

    m: Fraction
    t: Fraction


def _walk(
    side: Side,
    given: Mapping[str, list[_T]],
    functions: Mapping[Kind, Callable[..., _T]],
    counts: Iterable[int],
) -> dict[str, list[_T]]:
    """Apply the operations in any arithmetic; a list has one value, or one per different x."""
    results = dict(given)
    for symbol, kind, names in side.operations:
        operands = [results[name] for name in names]
        if kind is Kind.SUM:
            results[symbol] = [functions[kind](*operands, counts)]
            continue
        n = max(map(len, operands))
        columns = [values if len(values) == n else values * n for values in operands]
        results[symbol] = [functions[kind](*row) for row in zip(*columns, strict=True)]
    return results


_BALLS: dict[Kind, Callable[..., Ball]] = {
    Kind.ADD: decimals.add,
    Kind.SUBTRACT: decimals.subtract,
    Kind.NEGATE: decimals.negate,
    Kind.MULTIPLY: decimals.multiply,
    Kind.DIVIDE: decimals.divide,
    Kind.EXP: decimals.exp,
    Kind.LOG: decimals.log,
    Kind.SUM: decimals.total,
}


def _balls(counts: Counter[Decimal], a: Decimal) -> dict[str, list[Ball]]:
    """Return x, a, and y and p in a form that keeps the digits of y - max x."""
    largest = max(counts)
    terms = [decimals.exp_of_difference(entry, largest) for entry in counts]
    total = decimals.total(terms, counts.values())
    return {
        "x": [Ball(entry) for entry in counts],
        "a": [Ball(a)],
        "y": [decimals.add(Ball(largest), decimals.log(total))],
        "p": [decimals.divide(term, total) for term in terms],
    }


def _rationals(
    side: Side, counts: Counter[Decimal], a: Decimal
) -> dict[str, list[Fraction | None]]:
    """Return those of a side's values that are rational, ``None`` for the others."""
    x = [Fraction(entry) for entry in counts]
    n, is_alone = counts.total(), len(x) == 1
    given: dict[str, list[_Monomial | None]] = {
        "x": [_Monomial(Fraction(1), entry) for entry in x],
        "a": [_Monomial(Fraction(1), Fraction(a))],
        "y": [_Monomial(Fraction(n), x[0]) if is_alone else None],
        "p": [_Monomial(Fraction(1, n), Fraction(0)) if is_alone else None] * len(x),
    }
    results = _walk(side, given, _MONOMIALS, counts.values())
    kinds = {operation.symbol: operation.kind for operation in side.operations}
    return {
        symbol: [_rational(value, kinds.get(symbol), symbol) for value in results[symbol]]
        for symbol in side.wanted
    }


def _rational(value: _Monomial | None, kind: Kind | None, symbol: str) -> Fraction | None:
    if value is None:
        return None
    is_logarithm = symbol in ("x", "a", "y") if kind is None else kind not in _EXPONENTIALS
    if is_logarithm:
        return value.t if value.m == 1 else None
    return value.m if value.t == 0 else None


_EXPONENTIALS = frozenset({Kind.EXP, Kind.SUM, Kind.MULTIPLY, Kind.DIVIDE})


def _combined(sign: int, u: _Monomial | None, v: _Monomial | None) -> _Monomial | None:
    """Return u v or u / v, or the sum or difference of logarithms."""
    return _Monomial(u.m * v.m**sign, u.t + sign * v.t) if u and v else None


def _summed(terms: list[_Monomial | None], counts: Sequence[int]) -> _Monomial | None:
    (term, *others), (n, *_) = terms, counts
    return None if others or term is None else term._replace(m=term.m * n)


_MONOMIALS: dict[Kind, Callable[..., _Monomial | None]] = {
    Kind.ADD: partial(_combined, 1),
    Kind.MULTIPLY: partial(_combined, 1),
    Kind.SUBTRACT: partial(_combined, -1),
    Kind.DIVIDE: partial(_combined, -1),
    Kind.NEGATE: partial(_combined, -1, _Monomial(Fraction(1), Fraction(0))),
    Kind.EXP: lambda u: u,
    Kind.LOG: lambda u: u,
    Kind.SUM: _summed,
}


def _decided(
    results: Mapping[str, list[Ball]],
    rationals: Mapping[str, list[Fraction | None]],
    format_: Format,
) -> dict[str, list[Exact]] | None:
    """Return the exact values that are wanted of a side; ``None`` if one is undecided."""
    values: dict[str, list[Exact]] = {}
    for symbol, told in rationals.items():
        pairs = zip(results[symbol], told, strict=True)
        exact = [_exact(ball, rational, format_) for ball, rational in pairs]
        values[symbol] = [value for value in exact if value is not None]
        if len(values[symbol]) < len(exact):
            return None
    return values


def _exact(ball: Ball, rational: Fraction | None, format_: Format) -> Exact | None:
    number = decimals.nearest_to(ball, format_) if rational is None else nearest(rational, format_)
    if number is None:
        return None
    precision = getcontext().prec
    # A format of p bits holds (p - 1) log10 2 decimal digits (Matula 1968).
    held = (format_.significand_bits - 1) * 301 // 1000
    is_normal = bool(format_.smallest_normal <= abs(number) <= format_.largest)
    if rational == 0 or (is_normal and held >= _FEWEST_DIGITS):
        return Exact(number, None, ball, precision)
    digits = max(_FEWEST_DIGITS, held)
    if rational is None:
        rounded = decimals.decimal_of(ball, digits)
    else:
        rounded = context(digits).divide(Decimal(rational.numerator), Decimal(rational.denominator))
    return None if rounded is None and not is_normal else Exact(number, rounded, ball, precision)


def _spread(
    side: Side, values: dict[str, list[Exact]], places: list[int]
) -> dict[str, list[Exact]]:
    """Return the values of different x in the places that these have in the vector."""
    return {
        symbol: [of_symbol[place] for place in places] if symbol in side.per_element else of_symbol
        for symbol, of_symbol in values.items()
    }
