"""Softmax without a division: exp(x_j - y), where y is the log-sum-exp by either formula.

y = log sum exp(x_i) is what p_j = exp(x_j) / exp(y) divides by, moved into the exponent. Libraries
that have a log-sum-exp like it for its brevity. It costs digits: y is rounded, by up to u |y|,
and exp makes of an absolute error of its argument a relative one of its result.
"""

from __future__ import annotations

from stablelse.numerics.formulas.formula import Formula, Kind, Method, Operation
from stablelse.numerics.formulas.naive import NAIVE
from stablelse.numerics.formulas.shifted import SHIFTED
from stablelse.numerics.functions import Function


def _from_logsumexp(formulas: dict[Function, Formula]) -> dict[Function, Formula]:
    y = formulas[Function.LOGSUMEXP].operations
    quotient = (Operation("z", Kind.SUBTRACT, ("x", "y")), Operation("p", Kind.EXP, ("z",)))
    return {
        Function.SOFTMAX: Formula(Function.SOFTMAX, Method.DIVISION_FREE, (*y, *quotient)),
    }


#: y by the naive formula, then z_j = x_j - y, p_j = exp(z_j).
#: Equation 3.7 of Blanchard, Higham & Higham 2021, with y by their algorithm 3.1.
DIVISION_FREE: dict[Function, Formula] = _from_logsumexp(NAIVE)

#: The same with y by the shifted formula, any a; their equation 1.5 with y by algorithm 4.1.
DIVISION_FREE_SHIFTED: dict[Function, Formula] = _from_logsumexp(SHIFTED)
