"""The proofs of the two identities as data: equations, and the rules that lead to them.

    log sum exp(x_i) = a + log sum exp(x_i - a)
    exp(x_j) / sum exp(x_i) = exp(x_j - a) / sum exp(x_i - a)

Both sides of every equation are operations like those of the formulas, so that one and the same
line is written in symbols and with numbers, evaluated exactly
(`stablelse.numerics.formulas.exactly`), and evaluated in a format with every operation rounded
(`stablelse.numerics.formulas.formula`).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from stablelse.numerics.formulas import NAIVE, SHIFTED
from stablelse.numerics.formulas.exactly import Side
from stablelse.numerics.formulas.formula import Kind, Operation
from stablelse.numerics.functions import Function


class Rule(Enum):
    """What leads to an equation from the one before it."""

    DEFINITION = "definition"
    """Nothing: it is what is to be computed."""
    EXPONENTIATE = "exponentiate"
    """e to the power of both sides."""
    MULTIPLY = "multiply"
    """Both sides times e^-a, which is not 0."""
    TAKE_INTO_SUM = "take_into_sum"
    """The factor times every term, and e^u e^v = e^(u + v)."""
    TAKE_LOGARITHM = "take_logarithm"
    """The logarithm of both sides."""
    ADD = "add"
    """a added to both sides."""
    EXPAND = "expand"
    """Numerator and denominator times C > 0."""
    DISTRIBUTE = "distribute"
    """The factor of the sum times every term."""
    TAKE_INTO_EXPONENT = "take_into_exponent"
    """C = e^(log C), and e^u e^v = e^(u + v)."""
    CHOOSE = "choose"
    """C > 0 was arbitrary: log C = -a, for any a."""


class Equation(NamedTuple):
    """A line of a derivation.

    Attributes
    ----------
    number : int
        From 1.
    rule : Rule
        What leads to it from the line before.
    left, right : Side
        Its two sides.
    """

    number: int
    rule: Rule
    left: Side
    right: Side


def _side(*operations: Operation) -> Side:
    return Side(operations[-1].symbol, operations)


#: The formulas, without the choice of the shift, which is given.
_naive_lse = NAIVE[Function.LOGSUMEXP].operations
_naive_softmax = NAIVE[Function.SOFTMAX].operations
_, *_shifted_lse = SHIFTED[Function.LOGSUMEXP].operations
_, *_shifted_softmax = SHIFTED[Function.SOFTMAX].operations

_Y = Side("y")
_P = Side("p")
_TERMS, _SUM, _ = _naive_softmax
_FRACTION = _naive_softmax[-1]

#: log C = -a and C itself: e^-a is the factor of either proof.
LOG_FACTOR = Operation("k", Kind.NEGATE, ("a",))
FACTOR = Operation("c", Kind.EXP, ("k",))

_EXP_Y = Operation("t", Kind.EXP, ("y",))
_Y_MINUS_A = Operation("z", Kind.SUBTRACT, ("y", "a"))
_EXP_Y_MINUS_A = Operation("t", Kind.EXP, ("z",))

_NUMERATOR = Operation("m", Kind.MULTIPLY, ("c", "e"))
_FACTOR_OF_SUM = Operation("q", Kind.MULTIPLY, ("c", "s"))

#: The derivations, line by line.
DERIVATIONS: dict[Function, tuple[Equation, ...]] = {
    function: tuple(Equation(number, *line) for number, line in enumerate(lines, start=1))
    for function, lines in {
        Function.LOGSUMEXP: (
            (Rule.DEFINITION, _Y, _side(*_naive_lse)),
            (Rule.EXPONENTIATE, _side(_EXP_Y), _side(*_naive_lse[:-1])),
            (
                Rule.MULTIPLY,
                _side(LOG_FACTOR, FACTOR, _EXP_Y, Operation("u", Kind.MULTIPLY, ("c", "t"))),
                _side(LOG_FACTOR, FACTOR, _TERMS, _SUM, _FACTOR_OF_SUM),
            ),
            (
                Rule.TAKE_INTO_SUM,
                _side(_Y_MINUS_A, _EXP_Y_MINUS_A),
                _side(*_shifted_lse[:-2]),
            ),
            (Rule.TAKE_LOGARITHM, _side(_Y_MINUS_A), _side(*_shifted_lse[:-1])),
            (Rule.ADD, _Y, _side(*_shifted_lse)),
        ),
        Function.SOFTMAX: (
            (Rule.DEFINITION, _P, _side(*_naive_softmax)),
            (
                Rule.EXPAND,
                _P,
                _side(
                    *(LOG_FACTOR, FACTOR, _TERMS, _SUM, _NUMERATOR, _FACTOR_OF_SUM),
                    Operation("p", Kind.DIVIDE, ("m", "q")),
                ),
            ),
            (
                Rule.DISTRIBUTE,
                _P,
                _side(
                    *(LOG_FACTOR, FACTOR, _TERMS, _NUMERATOR),
                    Operation("s", Kind.SUM, ("m",)),
                    Operation("p", Kind.DIVIDE, ("m", "s")),
                ),
            ),
            (
                Rule.TAKE_INTO_EXPONENT,
                _P,
                _side(
                    LOG_FACTOR,
                    Operation("d", Kind.ADD, ("x", "k")),
                    Operation("e", Kind.EXP, ("d",)),
                    *(_SUM, _FRACTION),
                ),
            ),
            (Rule.CHOOSE, _P, _side(*_shifted_softmax)),
        ),
    }.items()
}
