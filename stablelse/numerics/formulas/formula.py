"""A formula as data: the operations of a textbook's line, one after another.

Evaluating a formula keeps every intermediate result. What is shown step by step is therefore
what computed the value, not a retelling of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.functions import Function


class Method(Enum):
    """How it is computed."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    DIVISION_FREE = "division-free"
    EXACT = "exact"


class MethodError(ValueError):
    """A method that there is not, that a function lacks, or that was asked for and ruled out."""


class DerivationError(ValueError):
    """Numbers, or a shift, that a derivation cannot be shown on."""


class SweepError(ValueError):
    """A range, or a number of points, that nothing can be swept over."""


class Kind(Enum):
    """The operations formulas are made of."""

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


class Operation(NamedTuple):
    """One operation: ``symbol = kind(operands)``, the operands being symbols of earlier results."""

    symbol: str
    kind: Kind
    operands: tuple[str, ...]


def read_operations(text: str) -> tuple[Operation, ...]:
    """Read operations written ``symbol kind operands``, with commas in between."""
    return tuple(
        Operation(symbol, Kind(kind), tuple(operands))
        for symbol, kind, *operands in map(str.split, text.split(", "))
    )


class Formula(NamedTuple):
    """A method: operations on ``x`` and ``a``, the shift; the last one gives the value."""

    function: Function
    method: Method
    operations: tuple[Operation, ...]

    @property
    def is_shifted(self) -> bool:
        """Whether the formula has an a."""
        return any(operation.kind is Kind.SHIFT for operation in self.operations)

    def evaluate(
        self, x: Array, format_: Format, shift: Callable[[Array], Array] | None = None
    ) -> Evaluation:
        """Evaluate the formula on vectors of shape (..., n), n >= 1, each operation rounded.

        `shift` gives the a of a formula that has one, shape (..., 1), for the rounded x.
        """
        results: dict[str, Array] = {"input": np.asarray(x)}
        partial_sums = apply((ROUND_INPUT, *self.operations), results, format_, shift)
        return Evaluation(self, format_, results, tuple(partial_sums))


def evaluate_part(
    formula: Formula, x: Array, format_: Format, reduced: Mapping[str, Array]
) -> Evaluation:
    """Evaluate a formula on elements of a vector, shape (m,); there is no summation tree.

    `reduced` is what shifts and sums give for the whole vector, by symbol: shape (1,).
    """
    results: dict[str, Array] = {"input": np.asarray(x), **reduced}
    rest = [operation for operation in formula.operations if operation.kind not in _REDUCTIONS]
    apply((ROUND_INPUT, *rest), results, format_)
    return Evaluation(formula, format_, results, ())


def apply(
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
        for operation in operations:
            operands = (results[symbol] for symbol in operation.operands)
            results[operation.symbol] = functions[operation.kind](*operands)
    return partial_sums


#: Where every evaluation begins: the input, rounded to the format.
ROUND_INPUT = Operation("x", Kind.ROUND, ("input",))

_REDUCTIONS = frozenset({Kind.SHIFT, Kind.SUM})

_UFUNCS: dict[Kind, Callable[..., Array]] = {
    Kind.SUBTRACT: np.subtract,
    Kind.EXP: np.exp,
    Kind.DIVIDE: np.divide,
    Kind.LOG: np.log,
    Kind.ADD: np.add,
    Kind.NEGATE: np.negative,
    Kind.MULTIPLY: np.multiply,
}


class Evaluation(NamedTuple):
    """All results of evaluating one formula in one format.

    `results` are by symbol, (..., n) for what there is one of per element, (..., 1) for the rest;
    ``"input"`` holds the numbers before they were rounded. `partial_sums` are the levels of the
    summation tree, from the terms to the sum.
    """

    formula: Formula
    format: Format
    results: Mapping[str, Array]
    partial_sums: tuple[Array, ...]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation, the rounding of the input first."""
        return (ROUND_INPUT, *self.formula.operations)

    @property
    def value(self) -> Array:
        """The result of the last operation: (..., 1) for logsumexp, (..., n) for the others."""
        return self.results[self.formula.operations[-1].symbol]

    @property
    def per_element(self) -> frozenset[str]:
        """The symbols of which there is one result per element, not one per vector."""
        symbols = {"input"}
        for operation in self.operations:
            if operation.kind not in _REDUCTIONS and symbols.intersection(operation.operands):
                symbols.add(operation.symbol)
        return frozenset(symbols)

    def operands(self, operation: Operation, index: int) -> tuple[Any, ...]:
        """Return what an operation, not a sum, was given for one element of a single vector."""
        if operation.kind in _REDUCTIONS:
            return ()
        arrays = (self.results[symbol] for symbol in operation.operands)
        return tuple(array[min(index, array.shape[-1] - 1)] for array in arrays)

    def row(self, index: int | Array) -> Evaluation:
        """Return the evaluation of one vector of a stack of shape (m, n), or of those marked."""
        results = {symbol: array[index] for symbol, array in self.results.items()}
        sums = tuple(level[index] for level in self.partial_sums)
        return Evaluation(self.formula, self.format, results, sums)


def pairwise_sum(terms: Array, levels: list[Array] | None = None) -> Array:
    """Sum along the last axis by a balanced tree, each addition rounded to the format.

    Neighbours are added two by two, their sums again two by two, and so on; a last one without
    a neighbour goes up a level as it is. This is how hardware reduces and how NumPy sums, but
    for its unrolled inner loops; unlike those, the tree is the same on every machine and in
    every format. Its error is at most ceil(log2 n) u times the sum of the absolute values, to
    first order (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 4.2).
    `levels` is filled with the levels: shapes (..., n), (..., ceil(n/2)), ..., (..., 1).
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
