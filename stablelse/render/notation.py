"""Formulas in symbols or with numbers, for a screen or for LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import Array, context
from stablelse.numerics.formulas import Kind, Operation
from stablelse.numerics.functions import Function
from stablelse.render.numbers import number_text, rough_text

#: How tightly an expression binds, from the loosest: a + b, a b, log b or a sum with its sign, -a
#: (which needs brackets after another sign), and what never needs brackets.
_TERMS, _PRODUCT, _PREFIX, _SIGNED, _ATOM = range(5)


class Expression(NamedTuple):
    """A piece of a formula as text, and how tightly it binds."""

    text: str
    strength: int = _ATOM


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
    is_latex: bool = False

    def number(self, value: Any, digits: int | None = None) -> str:
        """Return a number, or its text, for reading, rounded to some digits."""
        text = value if isinstance(value, str) else number_text(value)
        return self.literal(text if digits is None else _shortened(text, digits))

    def literal(self, text: str) -> str:
        """Return the text of a number for reading."""
        names = {"inf": self.infinity, "-inf": f"-{self.infinity}", "nan": self.nan}
        mantissa, mark, exponent = text.partition("e")
        if self.is_latex and mark:
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
        return names.get(text, text)

    def mark(self, verdict: Verdict) -> str:
        """Return the mark of a verdict: right, some digits lost, or broken."""
        if verdict.is_broken:
            return self.bad
        return self.good if verdict is Verdict.RIGHT else self.fair

    def rough(self, value: float | None) -> str:
        """Return a number to three digits, or nothing for None."""
        return "" if value is None else self.literal(rough_text(value))

    def bracket(self, text: str) -> str:
        """Return a text in brackets."""
        return rf"\left({text}\right)" if self.is_latex else f"({text})"

    def subscript(self, name: str, index: str) -> str:
        """Return a name with an index."""
        return f"{name}_{{{index}}}" if self.is_latex else f"{name}_{index}"

    def power(self, exponent: Expression) -> str:
        """Return a power of e."""
        return f"e^{{{exponent.text}}}" if self.is_latex else f"e^{self.within(exponent, _SIGNED)}"

    def within(self, inner: Expression, least: int) -> str:
        """Return a piece of a formula, in brackets unless it binds tightly enough."""
        return inner.text if inner.strength >= least else self.bracket(inner.text)


UNICODE = Glyphs("∞", "−", "Σ", "…", "✓", "≈", "✗", "—", "×", "─")
ASCII = Glyphs("inf", "-", "sum", "...", "ok", "~~", "!!", "-", "*", "-")
LATEX = Glyphs(
    *(r"\infty", "-", r"\sum_{i}", r"\cdots", "✓", "≈", "✗", "—", r"\cdot", ""),
    *(r" \thinspace ", r"\log", r"\mathrm{NaN}", True),
)


def _shortened(full: str, digits: int) -> str:
    """Return a number rounded to some digits, or in full if that is no longer."""
    number = context(digits).create_decimal(full)
    if not number.is_finite():
        return full
    short = min(f"{number:g}", f"{number:e}", key=len).replace("e+", "e")
    return full if len(full) <= len(short) else short


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
    # the factor of a softmax's derivation
    names = {"c": "C", "k": f"{glyphs.log} C"} if function is Function.SOFTMAX else {}
    return _Writer({} if numbers else names, glyphs, numbers).write(side, None).text


def operation_text(
    kind: Kind,
    operands: Sequence[Any],
    glyphs: Glyphs,
    number: Callable[[Any], str] = number_text,
) -> str:
    """Return one operation with its numbers, as ``number`` writes them."""
    return _written(glyphs, kind, [_number(glyphs, number(each)) for each in operands]).text


class _Writer(NamedTuple):
    """Writes an operation as a formula; ``i`` is the index of a sum."""

    names: Mapping[str, str]
    glyphs: Glyphs
    numbers: Numbers | None

    def write(self, operation: Operation, i: int | str | None) -> Expression:
        symbol, kind, operands = operation
        if name := self.names.get(symbol):
            return Expression(name, _PREFIX if " " in name else _ATOM)
        if kind is Kind.GIVEN:
            return self._leaf(symbol, i)
        if kind is Kind.SUM:
            return self._sum(operands[0])
        return _written(self.glyphs, kind, [self.write(operand, i) for operand in operands])

    def _leaf(self, symbol: str, i: int | str | None) -> Expression:
        numbers = self.numbers
        if symbol not in ("x", "p"):
            if numbers is None or symbol != "a":
                return Expression(symbol)
            return _number(self.glyphs, numbers.a)
        if numbers is None:
            return Expression(self.glyphs.subscript(symbol, str(i or "j")))
        index = i if isinstance(i, int) else numbers.j
        if symbol == "x":
            return _number(self.glyphs, numbers.x[index])
        return Expression(self.glyphs.subscript(symbol, str(index + 1)))

    def _sum(self, summand: Operation) -> Expression:
        if self.numbers is None:
            text = self.glyphs.within(self.write(summand, "i"), _PRODUCT)
            return Expression(f"{self.glyphs.sum} {text}", _PREFIX)
        n = len(self.numbers.x)
        shown = range(n) if n <= _MOST_TERMS else (*range(_MOST_TERMS - 2), n - 1)
        terms = [self.write(summand, index) for index in shown]
        if n == 1:
            return terms[0]
        texts = [self.glyphs.within(term, _PRODUCT) for term in terms]
        if n > len(shown):
            texts.insert(-1, self.glyphs.ellipsis)
        return Expression(" + ".join(texts), _TERMS)


def _number(glyphs: Glyphs, value: Any) -> Expression:
    shown = glyphs.number(value)
    is_bare = not ("e" in shown or " " in shown or shown.startswith("-"))
    return Expression(shown, _ATOM if is_bare else _PREFIX)


def _written(glyphs: Glyphs, kind: Kind, parts: Sequence[Expression]) -> Expression:
    """Return an operation on pieces of a formula."""
    if kind is Kind.SHIFT:
        return Expression("shift")
    first, last = parts[0], parts[-1]
    if kind in (Kind.SUM, Kind.ADD, Kind.SUBTRACT):
        sign = glyphs.minus if kind is Kind.SUBTRACT else "+"
        return reduce(lambda left, right: _signed(glyphs, sign, left, right), parts)
    if kind is Kind.MULTIPLY:
        names = tuple(map(glyphs.literal, ("inf", "nan", *"-0123456789")))
        between = f" {glyphs.times} " if last.text.startswith(names) else glyphs.product
        return Expression(between.join(glyphs.within(each, _PRODUCT) for each in parts), _PRODUCT)
    if kind is Kind.DIVIDE:
        if glyphs.is_latex:
            return Expression(rf"\frac{{{first.text}}}{{{last.text}}}")
        quotient = f"{glyphs.within(first, _PRODUCT)} / {glyphs.within(last, _PREFIX)}"
        return Expression(quotient, _PRODUCT)
    if kind is Kind.EXP:
        return Expression(glyphs.power(first))
    if kind is Kind.NEGATE:
        strength = _SIGNED if first.strength == _ATOM else _PREFIX
        return Expression(f"{glyphs.minus}{glyphs.within(first, _ATOM)}", strength)
    if kind is Kind.ROUND:
        return Expression(f"round {first.text}", _PREFIX)
    if first.text.startswith("-"):  # the log of a negative sum; its sign is shown elsewhere
        return Expression(f"{glyphs.log} |{first.text}|", _PREFIX)
    argument = glyphs.within(first, _PREFIX)
    return Expression(glyphs.log + " " * (first.strength >= _PREFIX) + argument, _PREFIX)


def _signed(glyphs: Glyphs, sign: str, left: Expression, right: Expression) -> Expression:
    # After a sign, a signed expression gets brackets; a logarithm or a sum needs none.
    is_signed = right.text.startswith(("-", glyphs.minus))
    behind = glyphs.bracket(right.text) if is_signed or not right.strength else right.text
    return Expression(f"{left.text} {sign} {behind}", _TERMS)
