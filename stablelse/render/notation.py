"""Formulas in symbols or with numbers, for a screen or for LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial, reduce
from math import inf
from typing import Any, NamedTuple

from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import Array, context
from stablelse.numerics.formulas import Kind, Operation
from stablelse.numerics.functions import Function
from stablelse.render.numbers import number_text, rough_text


class Strength(IntEnum):
    """How tightly an expression binds, from the loosest."""

    TERMS = 0
    """a + b: needs brackets nearly everywhere."""
    PRODUCT = 1
    PREFIX = 2
    """log b, or a sum with its sign."""
    SIGNED = 3
    """-a: needs brackets after another sign."""
    ATOM = 4


class Expression(NamedTuple):
    """A piece of a formula as text."""

    text: str
    strength: Strength = Strength.ATOM


class Glyphs(NamedTuple):
    """The symbols of a medium, and how it writes the pieces of a formula."""

    infinity: str
    minus: str
    sum: str
    ellipsis: str
    good: str
    fair: str
    bad: str
    dash: str
    times: str  # before a number
    rule: str
    product: str = " "
    log: str = "log"
    nan: str = "NaN"

    def number(self, value: Any, digits: int | None = None) -> str:
        """Return a number, or its text, for reading, rounded to some digits."""
        text = value if isinstance(value, str) else number_text(value)
        return self.literal(text if digits is None else _shortened(text, digits))

    def literal(self, text: str) -> str:
        """Return the text of a number for reading."""
        names = {"inf": self.infinity, "-inf": f"-{self.infinity}", "nan": self.nan}
        return names.get(text, text)

    def mark(self, verdict: Verdict) -> str:
        """Return the mark of a verdict: right, some digits lost, or broken."""
        if verdict.is_broken:
            return self.bad
        return self.good if verdict is Verdict.RIGHT else self.fair

    def rough(self, value: float | None) -> str:
        """Return a number to three digits, or nothing for None."""
        if value is None:
            return ""
        return self.infinity if value == inf else rough_text(value)

    def bracket(self, text: str) -> str:
        """Return a text in brackets."""
        return f"({text})"

    def subscript(self, name: str, index: str) -> str:
        """Return a name with an index."""
        return f"{name}_{index}"

    def power(self, exponent: Expression) -> str:
        """Return a power of e."""
        return f"e^{self.within(exponent, Strength.SIGNED)}"

    def fraction(self, above: Expression, below: Expression) -> Expression:
        """Return a quotient."""
        upper, lower = self.within(above, Strength.PRODUCT), self.within(below, Strength.PREFIX)
        return Expression(f"{upper} / {lower}", Strength.PRODUCT)

    def within(self, inner: Expression, least: Strength) -> str:
        """Return a piece of a formula, in brackets unless it binds tightly enough."""
        return inner.text if inner.strength >= least else self.bracket(inner.text)


class _Latex(Glyphs):
    """The same for LaTeX."""

    def literal(self, text: str) -> str:
        mantissa, mark, exponent = super().literal(text).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if mark else mantissa

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)"

    def subscript(self, name: str, index: str) -> str:
        return f"{name}_{{{index}}}"

    def power(self, exponent: Expression) -> str:
        return f"e^{{{exponent.text}}}"

    def fraction(self, above: Expression, below: Expression) -> Expression:
        return Expression(rf"\frac{{{above.text}}}{{{below.text}}}")


UNICODE = Glyphs("∞", "−", "Σ", "…", "✓", "≈", "✗", "—", "×", "─")
ASCII = Glyphs("inf", "-", "sum", "...", "ok", "~~", "!!", "-", "*", "-")
LATEX = _Latex(
    *(r"\infty", "-", r"\sum_{i}", r"\cdots", "✓", "≈", "✗", "—", r"\cdot", ""),
    *(r" \thinspace ", r"\log", r"\mathrm{NaN}"),
)


def _shortened(full: str, digits: int) -> str:
    """Return a number rounded to some digits, or in full if that is no longer."""
    number = context(digits).create_decimal(full)
    if not number.is_finite():
        return full
    short = min(f"{number:g}", f"{number:e}", key=len).replace("e+", "e")
    return full if len(full) <= len(short) else short


#: The symbols of a derivation for the results of operations.
_NAMES: dict[Function, dict[str, str]] = {
    Function.LOGSUMEXP: {},
    Function.SOFTMAX: {"c": "C", "k": "log C"},
}

#: The longest sum that is written out in full; longer ones have the first two terms and the last.
_MOST_TERMS = 4


class Numbers(NamedTuple):
    """The numbers for the symbols: x, a, and which element x_j is, from 0."""

    x: Array
    a: Any
    j: int


def side_text(
    side: Operation, function: Function, glyphs: Glyphs, numbers: Numbers | None = None
) -> str:
    """Return one side of an equation: in symbols, or with numbers for x and a."""
    names = {} if numbers else _NAMES[function]
    return _Writer(names, glyphs, numbers).write(side, None).text


def operation_text(
    kind: Kind,
    operands: Sequence[Any],
    glyphs: Glyphs,
    number: Callable[[Any], str] = number_text,
) -> str:
    """Return one operation with its numbers, as ``number`` writes them."""
    return _WRITERS[kind](glyphs, *(_number(glyphs, number(each)) for each in operands)).text


class _Writer(NamedTuple):
    """Writes an operation as a formula; ``i`` is the index of a sum."""

    names: Mapping[str, str]
    glyphs: Glyphs
    numbers: Numbers | None

    def write(self, operation: Operation, i: int | str | None) -> Expression:
        symbol, kind, operands = operation
        if symbol in self.names:
            return self._name(self.names[symbol])
        if kind is Kind.GIVEN:
            return self._leaf(symbol, i)
        if kind is Kind.SUM:
            return self._sum(operands[0])
        return _WRITERS[kind](self.glyphs, *(self.write(operand, i) for operand in operands))

    def _name(self, name: str) -> Expression:
        if not name.startswith("log "):
            return Expression(name)
        return Expression(f"{self.glyphs.log} {name.removeprefix('log ')}", Strength.PREFIX)

    def _leaf(self, symbol: str, i: int | str | None) -> Expression:
        numbers = self.numbers
        if symbol in ("x", "p"):
            if numbers is None:
                return Expression(self.glyphs.subscript(symbol, str(i or "j")))
            index = i if isinstance(i, int) else numbers.j
            if symbol == "x":
                return _number(self.glyphs, numbers.x[index])
            return Expression(self.glyphs.subscript(symbol, str(index + 1)))
        if symbol == "a" and numbers is not None:
            return _number(self.glyphs, numbers.a)
        return Expression(symbol)

    def _sum(self, summand: Operation) -> Expression:
        if self.numbers is None:
            term = self.write(summand, "i")
            text = self.glyphs.within(term, Strength.PRODUCT)
            return Expression(f"{self.glyphs.sum} {text}", Strength.PREFIX)
        n = len(self.numbers.x)
        shown = range(n) if n <= _MOST_TERMS else (*range(_MOST_TERMS - 2), n - 1)
        terms = [self.write(summand, index) for index in shown]
        if n == 1:
            return terms[0]
        texts = [self.glyphs.within(term, Strength.PRODUCT) for term in terms]
        if n > len(shown):
            texts.insert(-1, self.glyphs.ellipsis)
        return Expression(" + ".join(texts), Strength.TERMS)


def _number(glyphs: Glyphs, value: Any) -> Expression:
    shown = glyphs.number(value)
    is_bare = not ("e" in shown or " " in shown or shown.startswith("-"))
    return Expression(shown, Strength.ATOM if is_bare else Strength.PREFIX)


def _sign(glyphs: Glyphs, sign: str, left: Expression, right: Expression) -> Expression:
    # After a sign, a signed expression gets brackets; a logarithm or a sum needs none.
    signed = right.text.startswith(("-", glyphs.minus))
    behind = glyphs.bracket(right.text) if signed or not right.strength else right.text
    return Expression(f"{left.text} {sign} {behind}", Strength.TERMS)


def _product(glyphs: Glyphs, left: Expression, right: Expression) -> Expression:
    factors = (glyphs.within(factor, Strength.PRODUCT) for factor in (left, right))
    is_number = right.text.startswith(tuple(map(glyphs.literal, ("inf", "nan", *"-0123456789"))))
    sign = f" {glyphs.times} " if is_number else glyphs.product
    return Expression(sign.join(factors), Strength.PRODUCT)


def _negative(glyphs: Glyphs, inner: Expression) -> Expression:
    bare = inner.strength is Strength.ATOM
    text = inner.text if bare else glyphs.bracket(inner.text)
    return Expression(f"{glyphs.minus}{text}", Strength.SIGNED if bare else Strength.PREFIX)


def _logarithm(glyphs: Glyphs, inner: Expression) -> Expression:
    if inner.text.startswith("-"):  # a negative sum; its sign is shown elsewhere
        return Expression(f"{glyphs.log} |{inner.text}|", Strength.PREFIX)
    if inner.strength >= Strength.PREFIX:
        return Expression(f"{glyphs.log} {inner.text}", Strength.PREFIX)
    return Expression(f"{glyphs.log}{glyphs.bracket(inner.text)}", Strength.PREFIX)


_WRITERS: dict[Kind, Callable[..., Expression]] = {
    Kind.ROUND: lambda glyphs, x: Expression(f"round {x.text}", Strength.PREFIX),
    Kind.SHIFT: lambda glyphs, *_: Expression("shift"),
    Kind.SUM: lambda glyphs, *terms: reduce(partial(_sign, glyphs, "+"), terms),
    Kind.ADD: lambda glyphs, left, right: _sign(glyphs, "+", left, right),
    Kind.SUBTRACT: lambda glyphs, left, right: _sign(glyphs, glyphs.minus, left, right),
    Kind.NEGATE: _negative,
    Kind.MULTIPLY: _product,
    Kind.DIVIDE: lambda glyphs, above, below: glyphs.fraction(above, below),
    Kind.EXP: lambda glyphs, exponent: Expression(glyphs.power(exponent)),
    Kind.LOG: _logarithm,
}
