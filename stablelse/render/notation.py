"""Formulas written out: in symbols or with numbers put in, for a screen or for LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial, reduce
from math import inf, isfinite
from typing import Any, NamedTuple

from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import Array, context
from stablelse.numerics.formulas import Kind, Operation
from stablelse.numerics.functions import Function
from stablelse.render.numbers import number_text, rough_text


class Glyphs(NamedTuple):
    """The symbols a screen can show."""

    infinity: str
    minus: str
    sum: str
    ellipsis: str
    good: str
    fair: str
    bad: str
    dash: str
    times: str
    rule: str

    def number(self, value: Any, digits: int | None = None) -> str:
        """Return a number for the eye, rounded to some digits: with the sign for infinity, NaN."""
        text = number_text(value)
        return self.literal(text if digits is None else _shortened(text, digits))

    def literal(self, text: str) -> str:
        """Return the text of a number for the eye."""
        return {"inf": self.infinity, "-inf": f"-{self.infinity}", "nan": "NaN"}.get(text, text)

    def mark(self, verdict: Verdict) -> str:
        """Return the mark of a verdict: right, some digits lost, or broken."""
        if verdict.is_broken:
            return self.bad
        return self.good if verdict is Verdict.RIGHT else self.fair

    def rough(self, value: float | None) -> str:
        """Return a number to three digits, nothing for none."""
        if value is None:
            return ""
        return self.infinity if value == inf else rough_text(value)


def _shortened(full: str, digits: int) -> str:
    """Return a number rounded to some digits, or in full if that is as short."""
    number = context(digits).create_decimal(full)
    if not isfinite(number):
        return full
    short = min(f"{number:g}", f"{number:e}", key=len).replace("e+", "e")
    return full if len(full) <= len(short) else short


UNICODE = Glyphs("∞", "−", "Σ", "…", "✓", "≈", "✗", "—", "×", "─")
ASCII = Glyphs("inf", "-", "sum", "...", "ok", "~~", "!!", "-", "*", "-")


class Strength(IntEnum):
    """How firmly an expression holds together, from the loosest."""

    TERMS = 0
    """a + b: needs brackets nearly everywhere."""
    PRODUCT = 1
    PREFIX = 2
    """log b, or a sum with its sign."""
    SIGNED = 3
    """-a: needs brackets behind another sign."""
    ATOM = 4


class Expression(NamedTuple):
    """A piece of a formula as text."""

    text: str
    strength: Strength = Strength.ATOM


class Notation(NamedTuple):
    """How a medium writes the pieces of a formula."""

    literal: Callable[[str], str]
    subscript: Callable[[str, str], str]
    bracket: Callable[[str], str]
    power: Callable[[Expression], str]
    fraction: Callable[[Expression, Expression], Expression]
    sum: str
    log: str
    minus: str
    ellipsis: str
    product: str
    times: str  # before a number

    def number(self, value: Any) -> Expression:
        """Return a number, or the text of one."""
        text = self.literal(value if isinstance(value, str) else number_text(value))
        is_bare = not ("e" in text or " " in text or text.startswith("-"))
        return Expression(text, Strength.ATOM if is_bare else Strength.PREFIX)


def _bracket(text: str) -> str:
    return f"({text})"


def _within(inner: Expression, least: Strength, bracket: Callable[[str], str]) -> str:
    return inner.text if inner.strength >= least else bracket(inner.text)


def screen(glyphs: Glyphs) -> Notation:
    """Return the notation for a screen that has these symbols."""

    def fraction(above: Expression, below: Expression) -> Expression:
        upper = _within(above, Strength.PRODUCT, _bracket)
        lower = _within(below, Strength.PREFIX, _bracket)
        return Expression(f"{upper} / {lower}", Strength.PRODUCT)

    return Notation(
        literal=glyphs.literal,
        subscript=lambda name, index: f"{name}_{index}",
        bracket=_bracket,
        power=lambda exponent: f"e^{_within(exponent, Strength.SIGNED, _bracket)}",
        fraction=fraction,
        sum=f"{glyphs.sum} ",
        log="log",
        minus=glyphs.minus,
        ellipsis=glyphs.ellipsis,
        product=" ",
        times=f" {glyphs.times} ",
    )


def _latex_literal(text: str) -> str:
    named = {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{NaN}"}
    mantissa, mark, exponent = named.get(text, text).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if mark else mantissa


def _latex() -> Notation:
    def bracket(text: str) -> str:
        return rf"\left({text}\right)"

    return Notation(
        literal=_latex_literal,
        subscript=lambda name, index: f"{name}_{{{index}}}",
        bracket=bracket,
        power=lambda exponent: f"e^{{{exponent.text}}}",
        fraction=lambda above, below: Expression(rf"\frac{{{above.text}}}{{{below.text}}}"),
        sum=r"\sum_{i} ",
        log=r"\log",
        minus="-",
        ellipsis=r"\cdots",
        product=r" \thinspace ",
        times=r" \cdot ",
    )


LATEX = _latex()

#: The symbols that a derivation uses for the results of operations.
_NAMES: dict[Function, dict[str, str]] = {
    Function.LOGSUMEXP: {},
    Function.SOFTMAX: {"c": "C", "k": "log C"},
}

#: The most terms of a sum that are written out; of a longer one, the first two and the last.
_MOST_TERMS = 4


class Numbers(NamedTuple):
    """What is put in for the symbols: x, a, and which element x_j is, from 0."""

    x: Array
    a: Any
    j: int


def side_text(
    side: Operation, function: Function, notation: Notation, numbers: Numbers | None = None
) -> str:
    """Return one side of an equation: in symbols, or with numbers put in for x and a."""
    names = {} if numbers else _NAMES[function]
    return _Writer(names, notation, numbers).write(side, None).text


def applied_text(kind: Kind, operands: Sequence[Any], notation: Notation) -> str:
    """Return one operation with its numbers, or the texts of them, put in."""
    return _WRITERS[kind](notation, *map(notation.number, operands)).text


def operation_text(
    kind: Kind,
    operands: Sequence[Any],
    glyphs: Glyphs,
    number: Callable[[Any], str] = number_text,
) -> str:
    """Return one operation on a screen, its numbers written as ``number`` writes them."""
    return applied_text(kind, [number(operand) for operand in operands], screen(glyphs))


class _Writer(NamedTuple):
    """Writes the result of an operation as the formula it is; ``i`` is the index of a sum."""

    names: Mapping[str, str]
    notation: Notation
    numbers: Numbers | None

    def write(self, operation: Operation, i: int | str | None) -> Expression:
        symbol, kind, operands = operation
        if symbol in self.names:
            return self._name(self.names[symbol])
        if kind is Kind.GIVEN:
            return self._leaf(symbol, i)
        if kind is Kind.SUM:
            return self._sum(operands[0])
        return _WRITERS[kind](self.notation, *(self.write(operand, i) for operand in operands))

    def _name(self, name: str) -> Expression:
        if not name.startswith("log "):
            return Expression(name)
        return Expression(f"{self.notation.log} {name.removeprefix('log ')}", Strength.PREFIX)

    def _leaf(self, symbol: str, i: int | str | None) -> Expression:
        numbers = self.numbers
        if symbol in ("x", "p"):
            if numbers is None:
                return Expression(self.notation.subscript(symbol, str(i or "j")))
            index = i if isinstance(i, int) else numbers.j
            if symbol == "x":
                return self.notation.number(numbers.x[index])
            return Expression(self.notation.subscript(symbol, str(index + 1)))
        if symbol == "a" and numbers is not None:
            return self.notation.number(numbers.a)
        return Expression(symbol)

    def _sum(self, summand: Operation) -> Expression:
        if self.numbers is None:
            term = self.write(summand, "i")
            text = _within(term, Strength.PRODUCT, self.notation.bracket)
            return Expression(f"{self.notation.sum}{text}", Strength.PREFIX)
        n = len(self.numbers.x)
        shown = range(n) if n <= _MOST_TERMS else (*range(_MOST_TERMS - 2), n - 1)
        terms = [self.write(summand, index) for index in shown]
        if n == 1:
            return terms[0]
        texts = [_within(term, Strength.PRODUCT, self.notation.bracket) for term in terms]
        if n > len(shown):
            texts.insert(-1, self.notation.ellipsis)
        return Expression(" + ".join(texts), Strength.TERMS)


def _sign(notation: Notation, sign: str, left: Expression, right: Expression) -> Expression:
    # What begins with a sign gets brackets behind one; a logarithm or a sum needs none.
    signed = right.text.startswith(("-", notation.minus))
    behind = notation.bracket(right.text) if signed or not right.strength else right.text
    return Expression(f"{left.text} {sign} {behind}", Strength.TERMS)


def _product(notation: Notation, left: Expression, right: Expression) -> Expression:
    factors = (_within(factor, Strength.PRODUCT, notation.bracket) for factor in (left, right))
    is_number = right.text.startswith(tuple(map(notation.literal, ("inf", "nan", *"-0123456789"))))
    sign = notation.times if is_number else notation.product
    return Expression(sign.join(factors), Strength.PRODUCT)


def _negative(notation: Notation, inner: Expression) -> Expression:
    bare = inner.strength is Strength.ATOM
    text = inner.text if bare else notation.bracket(inner.text)
    return Expression(f"{notation.minus}{text}", Strength.SIGNED if bare else Strength.PREFIX)


def _logarithm(notation: Notation, inner: Expression) -> Expression:
    if inner.text.startswith("-"):  # a negative sum, whose sign stands elsewhere
        return Expression(f"{notation.log} |{inner.text}|", Strength.PREFIX)
    if inner.strength >= Strength.PREFIX:
        return Expression(f"{notation.log} {inner.text}", Strength.PREFIX)
    return Expression(f"{notation.log}{notation.bracket(inner.text)}", Strength.PREFIX)


_WRITERS: dict[Kind, Callable[..., Expression]] = {
    Kind.ROUND: lambda notation, x: Expression(f"round {x.text}", Strength.PREFIX),
    Kind.SHIFT: lambda notation, *_: Expression("shift"),
    Kind.SUM: lambda notation, *terms: reduce(partial(_sign, notation, "+"), terms),
    Kind.ADD: lambda notation, left, right: _sign(notation, "+", left, right),
    Kind.SUBTRACT: lambda notation, left, right: _sign(notation, notation.minus, left, right),
    Kind.NEGATE: _negative,
    Kind.MULTIPLY: _product,
    Kind.DIVIDE: lambda notation, above, below: notation.fraction(above, below),
    Kind.EXP: lambda notation, exponent: Expression(notation.power(exponent)),
    Kind.LOG: _logarithm,
}
