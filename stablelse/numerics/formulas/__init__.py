"""What a textbook writes: the formulas as data, the shifts, and the methods that evaluate them.

Every operation is rounded to the format, and sums are pairwise. Nothing guards the infinities:
where a shift is infinite, x - a is inf - inf, and the formula gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.formula import (
    Formula,
    Method,
    MethodError,
    pairwise_sum,
    read_operations,
)
from stablelse.numerics.functions import Function, exact


def _table(method: Method, **formulas: str) -> dict[Function, Formula]:
    return {
        Function(name): Formula(Function(name), method, read_operations(text))
        for name, text in formulas.items()
    }


_NAIVE = "e exp x, s sum e, "
_SHIFTED = "a shift x, d subtract x a, e exp d, s sum e, "

#: Each method is one table by function, or two: with and without a shift. The exact method is the
#: library's. The sources are algorithms 3.1, 3.2, 4.1 and 4.2 of Blanchard, Higham & Higham 2021,
#: any a for theirs, and their equations 3.7 and 1.5. The division-free softmax is as short as it is
#: popular; it costs digits: y is rounded by up to u |y|, which exp makes a relative error.
FORMULAS: dict[Method, tuple[dict[Function, Formula], ...]] = {
    Method.NAIVE: (
        _table(
            Method.NAIVE,
            logsumexp=_NAIVE + "y log s",
            softmax=_NAIVE + "p divide e s",
            log_softmax=_NAIVE + "p divide e s, g log p",
        ),
    ),
    Method.SHIFTED: (
        _table(
            Method.SHIFTED,
            logsumexp=_SHIFTED + "l log s, y add a l",
            softmax=_SHIFTED + "p divide e s",
            log_softmax=_SHIFTED + "l log s, g subtract d l",
        ),
    ),
    Method.DIVISION_FREE: (
        _table(Method.DIVISION_FREE, softmax=_NAIVE + "y log s, z subtract x y, p exp z"),
        _table(
            Method.DIVISION_FREE,
            softmax=_SHIFTED + "l log s, y add a l, z subtract x y, p exp z",
        ),
    ),
}

(NAIVE,), (SHIFTED,) = FORMULAS[Method.NAIVE], FORMULAS[Method.SHIFTED]

#: What is compared unless other methods are asked for.
USUAL = (Method.NAIVE, Method.SHIFTED, Method.EXACT)


class UnknownShiftError(ValueError):
    """A shift that is neither a rule of the table nor a number."""


class Shift(NamedTuple):
    """A choice of the a in the identity."""

    name: str  # of the rule, or the number as it was given
    rule: Callable[[Array], Array]  # from x, shape (..., n), to a, (..., 1)


def _mean(x: Array) -> Array:
    # In double precision at least, so that a narrow format's sum cannot overflow on the way
    # to a mean that fits; the entries are halved because float64's own sum of two might.
    wide = x.astype(np.result_type(np.float64, x.dtype))
    mean: Array = 2 * np.mean(wide / 2, axis=-1, keepdims=True)
    return mean


#: The rules a shift can be named by; any number is a shift too.
SHIFTS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: np.max(x, axis=-1, keepdims=True),
    "min": lambda x: np.min(x, axis=-1, keepdims=True),
    "mean": _mean,
}


def find_shift(name: str) -> Shift:
    """Return the shift of that name, a rule of `SHIFTS` or a number, or raise UnknownShiftError."""
    if name in SHIFTS:
        return Shift(name, SHIFTS[name])
    try:
        float(name)  # reads what numbers are written as; longdouble reads hexadecimals too
        number = np.longdouble(name.replace("_", "?"))
    except ValueError:
        raise UnknownShiftError(
            f"unknown shift {name!r}: choose from {', '.join(SHIFTS)}, or give a number"
        ) from None
    return Shift(name, lambda x: np.full((*x.shape[:-1], 1), number))


class Candidate(NamedTuple):
    """A method of computing a function."""

    method: Method
    formula: Formula | None = None  # ``None`` for the exact method
    shift: Shift | None = None  # of a formula that has one

    def values(self, function: Function, x: Array, format_: Format, empty: str = "nan") -> Array:
        """Compute the function of every row of x, rounded to the format; see `functions.exact`."""
        if self.formula is not None:
            return self.formula.evaluate(x, format_, self.shift.rule if self.shift else None).value
        return exact(function, format_.round(x), format_, empty)


def find_method(name: str) -> Method:
    """Return the method of that name, or raise MethodError."""
    if name == "compensated":
        raise MethodError(
            "there is no compensated method: results are correctly rounded; use --method exact"
        )
    methods = {method.value: method for method in Method}
    if name not in methods:
        raise MethodError(f"unknown method {name!r}: choose from {', '.join(methods)}")
    return methods[name]


def candidates(
    function: Function, methods: Iterable[Method], shifts: Sequence[Shift]
) -> list[Candidate]:
    """Return each method once, in the order of `Method`, a shifted formula once per shift."""
    chosen = set(methods)
    result: list[Candidate] = []
    for method in (method for method in Method if method in chosen):
        if method not in FORMULAS:
            result.append(Candidate(method))
            continue
        formulas = [table[function] for table in FORMULAS[method] if function in table]
        if not formulas:
            having = dict.fromkeys(other.value for table in FORMULAS[method] for other in table)
            others = [m.value for m in Method if m not in FORMULAS or function in FORMULAS[m][0]]
            raise MethodError(
                f"{function.value} has no {method.value} method, only {' and '.join(having)} has: "
                f"choose from {', '.join(others)}"
            )
        for formula in formulas:
            each: Sequence[Shift | None] = shifts if formula.is_shifted else [None]
            result += [Candidate(method, formula, shift) for shift in each]
    return result


# Elements of a block, which with the first level of the tree stays in the cache. A power of two, so
# that blocks end where branches of the tree do, and bits are those of `Formula.evaluate`.
_BLOCK = 2**16


def naive_values(function: Function, rows: Array, format_: Format) -> Array:
    """Evaluate a naive formula on rows, without steps; shapes are as of `functions.exact`."""
    m, n = rows.shape
    height = max(1, _BLOCK // n)
    is_sum = function is Function.LOGSUMEXP
    terms = np.empty((min(m, height) if is_sum else m, n), format_.dtype)
    result = np.empty((m, 1), format_.dtype) if is_sum else terms
    for begin in range(0, m, height):
        x, y = rows[begin : begin + height], result[begin : begin + height]
        e = terms[: len(x)] if is_sum else y
        sums = []
        for start in range(0, n, _BLOCK):
            part = slice(None), slice(start, start + _BLOCK)
            sums.append(pairwise_sum(np.exp(format_.round(x[part]), out=e[part])))
        s = pairwise_sum(np.concatenate(sums, axis=1))
        y[...] = np.log(s) if is_sum else np.divide(e, s, out=e)
        if function is Function.LOG_SOFTMAX:
            np.log(y, out=y)
    return result
