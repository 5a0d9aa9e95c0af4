"""The words for a derivation: its rules, what its lines come to, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from stablelse.analysis.derivation import Equation, Rule
from stablelse.analysis.origins import Origin
from stablelse.analysis.proof import FormatProof, Line, Proof, Quantity, Row
from stablelse.analysis.results import Verdict
from stablelse.numerics.formulas import SHIFTS
from stablelse.numerics.functions import Function
from stablelse.render.notation import Notation, Numbers, applied_text, screen, side_text
from stablelse.render.wording import (
    FUNCTION_NAMES,
    UNICODE,
    Glyphs,
    place_text,
    ulps_text,
)

#: What leads to a line; the formulas in it are named, to be put in as the medium writes them.
_RULES: dict[Rule, str] = {
    Rule.DEFINITION: "the definition",
    Rule.EXPONENTIATE: "exponentiate both sides",
    Rule.MULTIPLY: "multiply both sides by {factor}, for any {a}",
    Rule.TAKE_INTO_SUM: "take it into the sum, and add the exponents",
    Rule.TAKE_LOGARITHM: "take the logarithm of both sides",
    Rule.ADD: "add {a} to both sides",
    Rule.EXPAND: "multiply above and below by {C}, for any {positive}",
    Rule.DISTRIBUTE: "take {C} into the sum",
    Rule.TAKE_INTO_EXPONENT: "{power}: add the exponents",
    Rule.CHOOSE: "{C} was arbitrary: put {choice}, for any {a}",
}

_ON_SCREEN = {
    "a": "a",
    "C": "C",
    "factor": "e^{minus}a",
    "positive": "C > 0",
    "power": "C = e^(log C)",
    "choice": "log C = {minus}a",
}

_IN_LATEX = {
    "a": "$a$",
    "C": "$C$",
    "factor": "$e^{-a}$",
    "positive": "$C > 0$",
    "power": r"$C = e^{\log C}$",
    "choice": r"$\log C = -a$",
}

#: The short words under a derivation that has no numbers.
MEANING: dict[Function, str] = {
    Function.LOGSUMEXP: "y is the same whatever a is: choose a = max x_i, and no term overflows",
    Function.SOFTMAX: "p is the same whatever a is: choose a = max x_i, and no term overflows",
}

#: So many elements are told one by one.
_MOST_ROWS = 4


class Told(NamedTuple):
    """A row as it is written: the parts of a fraction, if it is one, and the value.

    Attributes
    ----------
    name : str
        ``p_1``, or nothing.
    exact, rounded : str
        The equation with its values: exactly, and in the format.
    word : str
        What became of the right side in the format.
    verdict : Verdict
        The same, as a fact.
    """

    name: str
    exact: str
    rounded: str
    word: str
    verdict: Verdict


def rule_text(rule: Rule, glyphs: Glyphs) -> str:
    """Return what leads to a line, for a screen."""
    return _RULES[rule].format_map(
        {name: text.replace("{minus}", glyphs.minus) for name, text in _ON_SCREEN.items()}
    )


def latex_rule(rule: Rule) -> str:
    """Return what leads to a line, with the formulas in dollars."""
    return _RULES[rule].format_map(_IN_LATEX)


def equation_text(
    equation: Equation, function: Function, notation: Notation, numbers: Numbers | None = None
) -> tuple[str, str]:
    """Return both sides of an equation, in symbols or with numbers put in."""
    left = side_text(equation.left, function, notation, numbers)
    return left, side_text(equation.right, function, notation, numbers)


def title_text(proof: Proof, result: FormatProof | None, glyphs: Glyphs) -> str:
    """Return what is derived, of what numbers, with what shift, in what format."""
    title = f"{FUNCTION_NAMES[proof.function]}, line by line"
    if result is None:
        return f"{title}, for any a"
    place = place_text(proof)
    prefix = f"{place}: " if place else ""
    plural = "number" if proof.n == 1 else "numbers"
    shift = f"a = {shift_text(result, glyphs)}"
    return f"{prefix}{title}: {proof.n:,} {plural}, {shift}, in {result.format}"


def shift_text(result: FormatProof, glyphs: Glyphs) -> str:
    """Return the shift as chosen and as it came out: ``max = 1002``, or the number alone."""
    number = glyphs.number(result.a)
    return f"{result.shift} = {number}" if result.shift in SHIFTS else number


def numbers_for(result: FormatProof, line: Line) -> Numbers:
    """Return what is put in for the symbols: of softmax, for the first element that is told."""
    element = shown_rows(line)[0].element
    return Numbers(result.x, result.a, (element or 1) - 1)


def shown_rows(line: Line) -> list[Row]:
    """Return the rows to tell: all of a few, else the first, the last, and the worst of each."""
    rows = line.rows
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    worst = max(range(len(rows)), key=lambda index: rows[index].right.ulps)
    largest = max(range(len(rows)), key=lambda index: float(rows[index].right.nearest))
    return [rows[index] for index in sorted({0, largest, worst, len(rows) - 1})]


def exact_text(quantity: Quantity, glyphs: Glyphs) -> str:
    """Return an exact value, correctly rounded, with whatever exponent it has."""
    if quantity.decimal is None:
        return glyphs.number(quantity.nearest)
    return decimal_text(quantity)


def decimal_text(quantity: Quantity) -> str:
    """Return an exact value that no number of the format tells: ``2.18822456043764e435``."""
    decimal = quantity.decimal
    assert decimal is not None
    in_full = -5 <= decimal.adjusted() < 16
    mantissa, mark, exponent = f"{decimal:{'f' if in_full else 'e'}}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def told_rows(line: Line, glyphs: Glyphs) -> Iterator[Told]:
    """Yield the rows that are told of a line, in words."""
    for row in shown_rows(line):
        if row.element is None:
            name = ""
            exact = f"{exact_text(row.left, glyphs)} = {exact_text(row.right, glyphs)}"
            sign = "=" if row.left.value == row.right.value else _unequal(glyphs)
            rounded = f"{glyphs.number(row.left.value)} {sign} {glyphs.number(row.right.value)}"
        else:
            name = f"p_{row.element}"
            exact = " / ".join(exact_text(part, glyphs) for part in row.parts)
            exact += f" = {exact_text(row.right, glyphs)}"
            rounded = " / ".join(glyphs.number(part.value) for part in row.parts)
            rounded += f" = {glyphs.number(row.right.value)}"
        yield Told(name, exact, rounded, word_text(row, glyphs), row.right.verdict)


def word_text(row: Row, glyphs: Glyphs) -> str:
    """Return what became of the right side: how far off it is, or what broke it."""
    if row.origins:
        return ", ".join(origin_text(origin, screen(glyphs)) for origin in row.origins)
    return ulps_word(row.right)


def ulps_word(quantity: Quantity) -> str:
    """Return the error of a value, in ulps where it is finite."""
    if quantity.ulps == inf:
        return "no digit is right"
    return ulps_text(quantity.ulps)


def origin_text(origin: Origin, notation: Notation) -> str:
    """Return the operation that broke, and what it gave: ``e^1000 = inf``."""
    what = notation.sum.strip()
    if origin.operands:
        what = applied_text(origin.kind, origin.operands, notation)
    return f"{what} = {notation.number(origin.value).text}"


def conclusions(proof: Proof, result: FormatProof, glyphs: Glyphs) -> Iterator[tuple[Verdict, str]]:
    """Yield what the lines show, each with what it is worth."""
    digits = max(line.digits for line in result.lines)
    if all(row.holds for line in result.lines for row in line.rows):
        yield (
            Verdict.RIGHT,
            "exactly, both sides of every line are the same number, to the last bit: the "
            f"identity holds for this a, as for any (evaluated to {digits} digits)",
        )
    if result.departs is None:
        most = max(line.ulps for line in result.lines)
        yield Verdict.RIGHT, f"{result.format} keeps to every line, {ulps_text(most)} at most"
    else:
        line = result.lines[result.departs - 1]
        row = next(row for row in line.rows if row.right.verdict is line.verdict)
        yield (
            line.verdict,
            f"{result.format} first departs at line {line.number}: {word_text(row, glyphs)}",
        )
    yield from _computed(proof, result, glyphs)


def _computed(proof: Proof, result: FormatProof, glyphs: Glyphs) -> Iterator[tuple[Verdict, str]]:
    """Yield which line to compute, and what to do where that one is not good either."""
    line = result.lines[result.compute - 1]
    worst = max(line.rows, key=lambda row: row.right.ulps)
    of_what = f"p_{worst.element} " if worst.element is not None and len(line.rows) > 1 else ""
    number = glyphs.number(worst.right.value)
    if line.verdict is Verdict.RIGHT:
        most = " at most" if of_what else ""
        value = "" if of_what else f"{number}, "
        yield (
            Verdict.RIGHT,
            f"line {line.number} is the one to compute: {value}{ulps_word(worst.right)}{most}",
        )
        return
    word = "" if line.verdict.is_broken else f", {ulps_word(worst.right)}"
    yield (
        line.verdict,
        f"line {line.number} is the one to compute, but not so: here it gives "
        f"{of_what}{number}{word}",
    )
    if result.with_max is not None:
        other = result.with_max
        yield (
            other.verdict,
            f"with a = max it gives {glyphs.number(other.value)}, {ulps_word(other)}",
        )
    if result.with_max is None or result.with_max.verdict is not Verdict.RIGHT:
        own = result.library
        yield (
            own.verdict,
            f"stablelse, which carries the rounding errors along, gives "
            f"{glyphs.number(own.value)}, {ulps_word(own)}",
        )


def rounding_note(proof: Proof, result: FormatProof, glyphs: Glyphs) -> str:
    """Return what stands on the left."""
    if proof.function is Function.SOFTMAX:
        return f"C = e^{glyphs.minus}a; exactly, p_j is the same number in every line"
    return f"on the left, y is the exact value, rounded to {result.format}"


def _unequal(glyphs: Glyphs) -> str:
    return "≠" if glyphs is UNICODE else "!="
