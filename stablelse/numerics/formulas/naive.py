"""The formulas as a textbook writes them, with nothing done against overflow or underflow.

In every one of them each operation is rounded to the format, and sums are pairwise
(`stablelse.numerics.formulas.formula.pairwise_sum`).
"""

from stablelse.numerics.formulas.formula import Formula, Kind, Method, Operation
from stablelse.numerics.functions import Function

_TERMS = Operation("e", Kind.EXP, ("x",))
_SUM = Operation("s", Kind.SUM, ("e",))
_PROBABILITIES = Operation("p", Kind.DIVIDE, ("e", "s"))

#: e_i = exp(x_i), s = sum e_i, then y = log s, or p_j = e_j / s, or g_j = log p_j.
#: The first two are algorithms 3.1 and 3.2 of Blanchard, Higham & Higham 2021.
NAIVE: dict[Function, Formula] = {
    function: Formula(function, Method.NAIVE, operations)
    for function, operations in {
        Function.LOGSUMEXP: (_TERMS, _SUM, Operation("y", Kind.LOG, ("s",))),
        Function.SOFTMAX: (_TERMS, _SUM, _PROBABILITIES),
        Function.LOG_SOFTMAX: (_TERMS, _SUM, _PROBABILITIES, Operation("g", Kind.LOG, ("p",))),
    }.items()
}
