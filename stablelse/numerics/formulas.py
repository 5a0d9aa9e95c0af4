"""The textbook's formulas as data, the shifts, and the methods that evaluate them.

Every operation of a formula is rounded to the format, and sums are pairwise. An evaluation keeps
every intermediate result: the steps on the screen are those that computed the value. Infinities
are not guarded: if a shift is infinite, x - a is inf - inf, and the formula gives NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function, exact_values, exact_weighted

# ---- Operations and their evaluation


class Method(Enum):
    """A way to compute a function."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    DIVISION_FREE = "division-free"
    EXACT = "exact"


class ChoiceError(ValueError):
    """A method, a shift, a range or numbers that do not fit the request."""


class Kind(Enum):
    """The operations of formulas."""

    GIVEN = "given"
    ROUND = "round"
    SHIFT = "shift"
    SUBTRACT = "subtract"
    EXP = "exp"
    SUM = "sum"
    DIVIDE = "divide"
    LOG = "log"
    ADD = "add"
    NEGATE = "negate"
    MULTIPLY = "multiply"


#: Operations that turn a vector into one number.
REDUCING = frozenset({Kind.SHIFT, Kind.SUM})


class Operation(NamedTuple):
    """A tree: ``symbol = kind(operands)``, where the operands are trees too."""

    symbol: str
    kind: Kind = Kind.GIVEN
    operands: tuple[Operation, ...] = ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation once, after its operands, so this one comes last."""
        below = dict.fromkeys(part for operand in self.operands for part in operand.operations)
        return () if self.kind is Kind.GIVEN else (*below, self)

    @property
    def per_element(self) -> bool:
        """Whether each element has a result, not only the vector."""
        if self.kind is Kind.GIVEN:
            return self.symbol in ("input", "weights", "x", "p")
        return self.kind not in REDUCING and any(part.per_element for part in self.operands)


def read_tree(text: str, *given: Operation) -> Operation:
    """Read a tree from operations ``symbol kind operands``, with commas in between."""
    trees = {tree.symbol: tree for tree in given}
    for symbol, *rest in map(str.split, text.split(", ")):
        operands = tuple(trees.get(name, Operation(name)) for name in rest[1:])
        trees[symbol] = Operation(symbol, Kind(rest[0]) if rest else Kind.GIVEN, operands)
    return trees[symbol]


class Formula(NamedTuple):
    """A method: a tree that begins with ``input``; ``a`` is the shift."""

    function: Function
    method: Method
    tree: Operation
    operations: tuple[Operation, ...]  # of the tree; the first rounds the input

    @property
    def is_shifted(self) -> bool:
        """Whether the formula has an a."""
        return any(operation.kind is Kind.SHIFT for operation in self.operations)

    @property
    def is_weighted(self) -> bool:
        """Whether the formula has weights."""
        return any(operation.kind is Kind.MULTIPLY for operation in self.operations)

    def evaluate(
        self,
        x: Array,
        format_: Format,
        shift: Callable[[Array], Array] | None = None,
        weights: Array | None = None,
    ) -> Evaluation:
        """Evaluate the formula on vectors of shape (..., n), n >= 1, rounding each operation.

        `shift` computes a, shape (..., 1), from the rounded x, if the formula has an a; `weights`
        have the shape of x or (n,), if the formula has weights.
        """
        results: dict[str, Array] = {"input": np.asarray(x)}
        if weights is not None:
            results["weights"] = np.broadcast_to(weights, np.shape(x))
        partial_sums = perform(self.operations, results, format_, shift)
        return Evaluation(self, format_, results, tuple(partial_sums))


def evaluate_part(
    formula: Formula, x: Array, format_: Format, reduced: Mapping[str, Array]
) -> Evaluation:
    """Evaluate a formula on elements of a vector, shape (m,); there is no summation tree.

    `reduced` holds the shift and the sum of the whole vector, by symbol: shape (1,). Without the
    sum, the evaluation ends with its terms.
    """
    results: dict[str, Array] = {"input": np.asarray(x), **reduced}
    known = takewhile(lambda each: each.kind is not Kind.SUM or "s" in reduced, formula.operations)
    perform((each for each in known if each.kind not in REDUCING), results, format_)
    return Evaluation(formula, format_, results, ())


def perform(
    operations: Iterable[Operation],
    results: dict[str, Array],
    format_: Format,
    shift: Callable[[Array], Array] | None = None,
) -> list[Array]:
    """Put the rounded results of operations into `results`, and return the levels of the sum."""
    partial_sums: list[Array] = []
    functions: dict[Kind, Callable[..., Array]] = {
        **_UFUNCS,
        Kind.ROUND: format_.round,
        Kind.SUM: lambda terms: pairwise_sum(terms, partial_sums),
    }
    if shift is not None:
        functions[Kind.SHIFT] = lambda rounded, rule=shift: format_.round(rule(rounded))
    with np.errstate(all="ignore"):
        for symbol, kind, operands in operations:
            results[symbol] = functions[kind](*(results[operand.symbol] for operand in operands))
    return partial_sums


_UFUNCS: dict[Kind, Callable[..., Array]] = {
    Kind.SUBTRACT: np.subtract,
    Kind.EXP: np.exp,
    Kind.DIVIDE: np.divide,
    Kind.LOG: lambda s: np.log(np.abs(s)),  # weights can make a sum negative
    Kind.ADD: np.add,
    Kind.NEGATE: np.negative,
    Kind.MULTIPLY: np.multiply,
}


class Evaluation(NamedTuple):
    """All results of evaluating one formula in one format.

    `results` are by symbol: shape (..., n) if there is one per element, otherwise (..., 1);
    ``"input"`` holds the numbers before rounding. `partial_sums` are the levels of the summation
    tree, from the terms to the sum.
    """

    formula: Formula
    format: Format
    results: Mapping[str, Array]
    partial_sums: tuple[Array, ...]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations of the formula."""
        return self.formula.operations

    @property
    def value(self) -> Array:
        """The result of the last operation: (..., 1) for logsumexp, (..., n) for the others."""
        return self.results[self.formula.tree.symbol]

    @property
    def sign(self) -> Array:
        """The signs of the sums, in float64: (..., 1). Comparing a NaN of bfloat16 warns."""
        return np.sign(self.results["s"]).astype(np.float64)

    def operands(self, operation: Operation, index: int) -> tuple[Any, ...]:
        """Return the operands of an operation, not a sum, for one element of a single vector."""
        if operation.kind in REDUCING:
            return ()
        arrays = (self.results[operand.symbol] for operand in operation.operands)
        return tuple(array[min(index, array.shape[-1] - 1)] for array in arrays)

    def row(self, index: int | Array) -> Evaluation:
        """Return the evaluation of one vector of a stack of shape (m, n), or of the marked ones."""
        results = {symbol: array[index] for symbol, array in self.results.items()}
        sums = tuple(level[index] for level in self.partial_sums)
        return Evaluation(self.formula, self.format, results, sums)


def pairwise_sum(terms: Array, levels: list[Array] | None = None) -> Array:
    """Sum along the last axis by a balanced tree, each addition rounded to the format.

    Neighbours are added in pairs, then their sums in pairs, and so on; a last one without a
    neighbour goes up a level unchanged. Hardware reduces like this, and so does NumPy, except for
    its unrolled inner loops; unlike those, the tree is the same on every machine and in every
    format. Its error is at most ceil(log2 n) u times the sum of the absolute values, to first
    order (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 4.2). `levels` is
    filled with the levels: shapes (..., n), (..., ceil(n/2)), ..., (..., 1).
    """
    # Invariant: the exact sum of each level's entries differs from that of the terms only by
    # the rounding errors of the additions made so far.
    while True:
        if levels is not None:
            levels.append(terms)
        n = terms.shape[-1]
        if n == 1:
            return terms
        pairs = terms[..., 0 : n - 1 : 2] + terms[..., 1::2]
        terms = np.concatenate((pairs, terms[..., n - 1 :]), axis=-1) if n % 2 else pairs


# ---- The table of formulas, shifts and methods


def _formulas(*lines: tuple[Method, str, str]) -> tuple[Formula, ...]:
    given = read_tree("x round input")
    trees = [(Function(name), method, read_tree(text, given)) for method, name, text in lines]
    return tuple(Formula(*line, line[-1].operations) for line in trees)


_NAIVE = "e exp x, s sum e"
_SHIFTED = "a shift x, d subtract x a, e exp d, s sum e"

#: The textbook's formulas: algorithms 3.1, 3.2, 4.1 and 4.2 of Blanchard, Higham & Higham 2021, for
#: any a, and their equations 3.7 and 1.5. The exact method is our own. The division-free softmax is
#: short and popular, but loses digits: y has a rounding error of up to u |y|, which exp turns into
#: a relative error.
FORMULAS = _formulas(
    (Method.NAIVE, "logsumexp", f"{_NAIVE}, y log s"),
    (Method.NAIVE, "softmax", f"{_NAIVE}, p divide e s"),
    (Method.NAIVE, "log_softmax", f"{_NAIVE}, p divide e s, g log p"),
    (Method.SHIFTED, "logsumexp", f"{_SHIFTED}, l log s, y add a l"),
    (Method.SHIFTED, "softmax", f"{_SHIFTED}, p divide e s"),
    (Method.SHIFTED, "log_softmax", f"{_SHIFTED}, l log s, g subtract d l"),
    (Method.DIVISION_FREE, "softmax", f"{_NAIVE}, y log s, z subtract x y, p exp z"),
    (Method.DIVISION_FREE, "softmax", f"{_SHIFTED}, l log s, y add a l, z subtract x y, p exp z"),
)

_WEIGHTED_SUM = "b round weights, t multiply b e, s sum t"

#: With weights b: the logarithm of |sum b e^x|.
WEIGHTED = _formulas(
    (Method.NAIVE, "logsumexp", f"e exp x, {_WEIGHTED_SUM}, y log s"),
    (
        Method.SHIFTED,
        "logsumexp",
        f"a shift x, d subtract x a, e exp d, {_WEIGHTED_SUM}, l log s, y add a l",
    ),
)

NAIVE, SHIFTED = (
    {formula.function: formula for formula in FORMULAS if formula.method is method}
    for method in (Method.NAIVE, Method.SHIFTED)
)

#: The methods that are compared by default.
USUAL = (Method.NAIVE, Method.SHIFTED, Method.EXACT)


class Shift(NamedTuple):
    """A choice of the a in the identity."""

    name: str  # of the rule, or the number as the user wrote it
    rule: Callable[[Array], Array]  # from x, shape (..., n), to a, (..., 1)


def _mean(x: Array) -> Array:
    # At least double precision, so that a narrow format's sum cannot overflow on the way to a
    # mean that fits; the entries are halved because even a sum of two could overflow in float64.
    wide = x.astype(np.result_type(np.float64, x.dtype))
    mean: Array = 2 * np.mean(wide / 2, axis=-1, keepdims=True)
    return mean


#: The named shifts; any number is a shift too.
SHIFTS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: np.max(x, axis=-1, keepdims=True),
    "min": lambda x: np.min(x, axis=-1, keepdims=True),
    "mean": _mean,
}


def find_shift(name: str) -> Shift:
    """Return the shift of that name, from `SHIFTS` or a number, or raise ChoiceError."""
    if name in SHIFTS:
        return Shift(name, SHIFTS[name])
    try:
        float(name)  # takes decimal numbers only; longdouble would take hexadecimal ones too
        with warnings.catch_warnings(action="ignore"):  # if it is infinite
            number = np.longdouble(name.replace("_", "?"))
    except ValueError:
        raise ChoiceError(
            f"unknown shift {name!r}: choose from {', '.join(SHIFTS)}, or give a number"
        ) from None
    if not np.isfinite(number):
        raise ChoiceError(f"the shift {name} leaves nothing of x - a: give a finite number")
    return Shift(name, lambda x: np.full((*x.shape[:-1], 1), number))


class Candidate(NamedTuple):
    """A method with its formula and shift."""

    method: Method
    formula: Formula | None = None  # ``None`` for the exact method
    shift: Shift | None = None  # if the formula has one

    def evaluate(
        self, x: Array, format_: Format, weights: Array | None = None
    ) -> Evaluation | None:
        """Evaluate the formula on every row of x; ``None`` for the exact method."""
        if self.formula is None:
            return None
        return self.formula.evaluate(x, format_, self.shift and self.shift.rule, weights)

    def values(
        self,
        function: Function,
        x: Array,
        format_: Format,
        empty: str = "nan",
        kept: Array | None = None,
    ) -> Array:
        """Compute the function of every row of x, rounded to the format; see `exact_values`."""
        evaluation = self.evaluate(x, format_)
        if evaluation is not None:
            return evaluation.value
        return exact_values(function, format_.round(x), format_, empty, kept)

    def weighted_values(self, x: Array, weights: Array, format_: Format) -> tuple[Array, Array]:
        """Compute log |sum b e^x| of every row, shape (m, 1), and the signs of the sums."""
        evaluation = self.evaluate(x, format_, weights)
        if evaluation is not None:
            return evaluation.value, evaluation.sign
        return exact_weighted(format_.round(x), held(weights, format_), format_)


def held(weights: Array, format_: Format) -> Array:
    """Return weights rounded to the format; unchanged where they would become 0 or infinite."""
    rounded = format_.round(weights)
    is_lost = (rounded == 0) | ~np.isfinite(rounded)
    number = np.longdouble if weights.dtype == np.longdouble else np.float64
    return np.where(is_lost, weights.astype(number), rounded.astype(number))


def find_method(name: str) -> Method:
    """Return the method of that name, or raise ChoiceError."""
    if name == "compensated":
        raise ChoiceError(
            "there is no compensated method: results are correctly rounded; use --method exact"
        )
    methods = {method.value: method for method in Method}
    if name not in methods:
        raise ChoiceError(f"unknown method {name!r}: choose from {', '.join(methods)}")
    return methods[name]


def methods_of(function: Function) -> list[Method]:
    """Return the methods that a function has."""
    having = {formula.method for formula in FORMULAS if formula.function is function}
    return [method for method in Method if method in having or method is Method.EXACT]


def candidates(
    function: Function,
    methods: Iterable[Method],
    shifts: Sequence[Shift],
    formulas: Sequence[Formula] = FORMULAS,
) -> list[Candidate]:
    """Return each method once, in the order of `Method`, a shifted formula once per shift."""
    chosen, result = set(methods), []
    if not chosen:
        raise ChoiceError(f"no method: choose from {', '.join(m.value for m in Method)}")
    for method in (method for method in Method if method in chosen):
        if method is Method.EXACT:
            result.append(Candidate(method))
            continue
        found = [f for f in formulas if (f.function, f.method) == (function, method)]
        if not found:
            having = dict.fromkeys(f.function.value for f in FORMULAS if f.method is method)
            raise ChoiceError(
                f"only {' and '.join(having)} has a {method.value} method: "
                f"choose from {', '.join(other.value for other in methods_of(function))}"
            )
        if not shifts and any(formula.is_shifted for formula in found):
            raise ChoiceError(f"no shift: choose from {', '.join(SHIFTS)}, or give a number")
        for formula in found:
            each: Sequence[Shift | None] = shifts if formula.is_shifted else [None]
            result += [Candidate(method, formula, shift) for shift in each]
    return result
