"""The identities derived line by line: on the user's numbers, exactly and in each format.

    log sum exp(x_i) = a + log sum exp(x_i - a)
    exp(x_j) / sum exp(x_i) = exp(x_j - a) / sum exp(x_i - a)

Both sides of a line are operations like those of the formulas. The same line is written in symbols
and with numbers, evaluated exactly (`stablelse.numerics.derivation`), and evaluated in a format
with every operation rounded (`stablelse.numerics.formulas`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.findings import judge
from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.numerics.decimals import overlap
from stablelse.numerics.derivation import LARGEST, Exact, evaluate_exactly
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import (
    ChoiceError,
    Kind,
    Operation,
    Shift,
    find_shift,
    perform,
    read_tree,
)
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import find_formats, real_vector

if TYPE_CHECKING:
    import numpy.typing as npt

#: This many numbers take a few seconds.
MOST = 2000


class Rule(Enum):
    """The rule that leads from one equation to the next."""

    DEFINITION = "definition"
    EXPONENTIATE = "exponentiate"
    MULTIPLY = "multiply"
    TAKE_INTO_SUM = "take_into_sum"
    TAKE_LOGARITHM = "take_logarithm"
    ADD = "add"
    EXPAND = "expand"
    DISTRIBUTE = "distribute"
    TAKE_INTO_EXPONENT = "take_into_exponent"
    CHOOSE = "choose"


class Equation(NamedTuple):
    """A line of a derivation: its number from 1, the rule that leads to it, and its two sides."""

    number: int
    rule: Rule
    left: Operation
    right: Operation


#: k = -a and c = e^k: the factor of both proofs, which multiplies sums or their terms.
_FACTOR = "k negate a, c exp k, "
_SUM = "e exp x, s sum e"
_SHIFTED_SUM = "d subtract x a, e exp d, s sum e"

#: The derivations, line by line: the rule, and both sides. The first line is the naive formula, the
#: last one the shifted formula.
DERIVATIONS: dict[Function, tuple[Equation, ...]] = {
    function: tuple(
        Equation(number, rule, read_tree(left), read_tree(right))
        for number, (rule, left, right) in enumerate(lines, start=1)
    )
    for function, lines in {
        Function.LOGSUMEXP: (
            (Rule.DEFINITION, "y", f"{_SUM}, y log s"),
            (Rule.EXPONENTIATE, "t exp y", _SUM),
            (
                Rule.MULTIPLY,
                f"{_FACTOR}t exp y, u multiply c t",
                f"{_FACTOR}{_SUM}, q multiply c s",
            ),
            (Rule.TAKE_INTO_SUM, "z subtract y a, t exp z", _SHIFTED_SUM),
            (Rule.TAKE_LOGARITHM, "z subtract y a", f"{_SHIFTED_SUM}, l log s"),
            (Rule.ADD, "y", f"{_SHIFTED_SUM}, l log s, y add a l"),
        ),
        Function.SOFTMAX: (
            (Rule.DEFINITION, "p", f"{_SUM}, p divide e s"),
            (
                Rule.EXPAND,
                "p",
                f"{_FACTOR}{_SUM}, m multiply c e, q multiply c s, p divide m q",
            ),
            (Rule.DISTRIBUTE, "p", f"{_FACTOR}e exp x, m multiply c e, s sum m, p divide m s"),
            (
                Rule.TAKE_INTO_EXPONENT,
                "p",
                "k negate a, d add x k, e exp d, s sum e, p divide e s",
            ),
            (Rule.CHOOSE, "p", f"{_SHIFTED_SUM}, p divide e s"),
        ),
    }.items()
}


class Origin(NamedTuple):
    """An operation that made infinity, 0 or NaN from sound numbers."""

    kind: Kind  # The operation
    # The element, from 1; ``None`` for an operation on the whole vector
    element: int | None
    operands: tuple[Any, ...]  # Empty for a sum
    value: Any  # The result


class Quantity(NamedTuple):
    """The value of one expression."""

    # The exact value, correctly rounded to the format; or a decimal number if it is outside the
    # normal range of the format, or the format holds fewer than ten digits
    exact: Any
    value: Any  # The value in the format, every operation rounded
    # How far that is off, in ulps; infinite if the value is broken
    ulps: float
    # As `judge` says; but a value is always broken if it is infinite, or an exponential, a product
    # or a sum that is 0 on the way to the result
    verdict: Verdict


class Row(NamedTuple):
    """An equation for one element, or for the vector."""

    element: int | None  # Counted from 1; ``None`` for a value of the whole vector
    left: Quantity  # Both sides. On the left y, or p_j, is the exact value, rounded to the format.
    right: Quantity
    # Whether both sides are exactly equal, as far as computed: they round to the same number,
    # and their enclosures meet
    holds: bool
    origins: tuple[Origin, ...]  # Where the right side broke

    @property
    def verdict(self) -> Verdict:
        """The worse of the two sides' verdicts."""
        return max((self.left.verdict, self.right.verdict), key=VERDICTS.index)


class ProofLine(NamedTuple):
    """One line of the derivation, with the user's numbers."""

    number: int  # The equation's number
    verdict: Verdict  # The worst on either side
    ulps: float  # The largest error on either side
    rows: tuple[Row, ...]  # One, or one per element


class FormatProof(NamedTuple):
    """The derivation in one format."""

    format: str  # To which x and every operation are rounded
    shift: str  # How the a of the identity was chosen
    a: Any  # The shift, in the format
    x: Array  # Shape (n,), in the format
    lines: tuple[ProofLine, ...]  # One per equation
    departs: int | None  # The first line with a side that is not right in the format


@dataclass(frozen=True)
class Proof(Displayed):
    """The derivation of the identity for any a.

    Attributes
    ----------
    function : Function
        Log-sum-exp or softmax.
    source : str or None
        The file the vector came from.
    row, column : int, str or None
        Where it was in the file.
    n : int or None
        The number of elements; ``None`` for a derivation in symbols only.
    equations : tuple of Equation
        The lines, each with the rule that leads to it.
    results : tuple of FormatProof
        The lines with numbers, one per format; empty without numbers.
    x : ndarray or None
        Shape (n,): the vector before it was rounded to any format.
    """

    function: Function
    source: str | None = None
    row: int | tuple[int, ...] | None = None
    column: str | None = None
    n: int | None = None
    equations: tuple[Equation, ...] = ()
    results: tuple[FormatProof, ...] = ()
    x: Array | None = None


def prove(
    x: npt.ArrayLike | None = None,
    function: str = "logsumexp",
    *,
    shift: str | float = "max",
    formats: str | Sequence[str] = ("float64",),
) -> Proof:
    """Derive the identity with the shift, line by line, on a vector.

    Parameters
    ----------
    x : array_like, optional
        Shape (n,), n >= 1, finite real numbers; without them, the derivation is in symbols only.
    function : {"logsumexp", "softmax"}
        Which identity.
    shift : str or float
        The a: ``"max"``, ``"min"``, ``"mean"`` or any finite number.
    formats : sequence of str
        The formats to evaluate the lines in; x and a are rounded to each first.

    Returns
    -------
    Proof
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x is not a vector of finite numbers in each of the formats, a is not finite, or
        a name is unknown.

    Examples
    --------
    >>> import stablelse
    >>> proof = stablelse.prove([1000, 1001, 1002])
    >>> for equation, line in zip(proof.equations, proof.results[0].lines):
    ...     (row,) = line.rows
    ...     print(equation.rule.value, row.holds, row.right.value, row.right.verdict.value)
    definition True inf overflow
    exponentiate True inf overflow
    multiply True nan nan
    take_into_sum True 1.5032147244080551 right
    take_logarithm True 0.4076059644443804 right
    add True 1002.4076059644444 right
    """
    proved = Function(function)
    if proved not in DERIVATIONS:
        choices = ", ".join(other.value for other in DERIVATIONS)
        raise ChoiceError(f"there is no derivation of {function}: choose from {choices}")
    vector, rule = None if x is None else real_vector(x, "prove"), find_shift(str(shift))
    chosen = find_formats(formats)
    return Proof(
        proved,
        n=None if vector is None else len(vector),
        equations=DERIVATIONS[proved],
        results=() if vector is None else tuple(_prove(vector, proved, rule, f) for f in chosen),
        x=vector,
    )


def _prove(numbers: Array, function: Function, shift: Shift, format_: Format) -> FormatProof:
    x, a = _rounded(numbers, shift, format_)
    # Equal numbers are evaluated once, but every element of softmax is a row.
    entries = x if function is Function.SOFTMAX else np.unique(x.astype(np.longdouble))
    if len(entries) > MOST:
        raise ChoiceError(
            f"a derivation of more than {MOST:,} numbers is too long: choose fewer of them"
        )
    equations = DERIVATIONS[function]
    sides = [side for equation in equations for side in (equation.left, equation.right)]
    exact = evaluate_exactly(sides, x, a[0], format_)
    # The first line's left side is just y, or the p_j.
    symbol = equations[0].left.symbol
    nearest = np.array([value.nearest for value in exact[0]], dtype=format_.dtype)
    given = {"x": x, "a": a, symbol: nearest}
    lines = tuple(
        _line(equation, exact[2 * index :][:2], given, format_)
        for index, equation in enumerate(equations)
    )
    departs = next((line.number for line in lines if line.verdict is not Verdict.RIGHT), None)
    return FormatProof(format_.name, shift.name, a[0], x, lines, departs)


def _rounded(given: Array, shift: Shift, format_: Format) -> tuple[Array, Array]:
    """Return x, shape (n,), and the shift, shape (1,), in the format; both must be finite."""
    x = format_.round(given)
    a = format_.round(shift.rule(x))
    both = np.append(x, a)
    strange = np.flatnonzero(~np.isfinite(both))
    if strange.size:
        index = int(strange[0])
        name, value = "the shift a", shift.name
        if index < len(x):
            name, value = f"x_{index + 1}", str(given[index])
        rounded = str(both[index])
        if rounded == value:
            raise ChoiceError(f"{name} is {value}, but the identity holds for finite numbers")
        raise ChoiceError(
            f"{name} is {value}, which is {rounded} in {format_.name}: give another, or choose "
            "another format"
        )
    if np.abs(both.astype(np.longdouble)).max() > LARGEST:
        raise ChoiceError(
            f"the exact value of e^x is too long to show where x or a is beyond {LARGEST:.0e}"
        )
    return x, a


def _line(
    equation: Equation, exact: Sequence[list[Exact]], given: Mapping[str, Array], format_: Format
) -> ProofLine:
    """Return an equation with the values of both sides, exact and in the format."""
    is_result = equation.left.kind is Kind.GIVEN
    function = Function.SOFTMAX if equation.right.per_element else Function.LOGSUMEXP
    results = [dict(given), dict(given)]
    both = []
    sides = (equation.left, equation.right)
    for side, values, computed in zip(sides, exact, results, strict=True):
        perform(side.operations, computed, format_)
        right = np.array([value.nearest for value in values], dtype=format_.dtype)
        found = np.broadcast_to(computed[side.symbol], right.shape)
        every = found[:, np.newaxis], right[:, np.newaxis], format_, function
        graded = zip(values, found, *judge(*every, np.zeros(len(right), bool)), strict=True)
        is_term = not is_result and side.kind in _POSITIVE
        both.append([_quantity(*each, is_term) for each in graded])
    rows = []
    for index, (left, right) in enumerate(zip(*both, strict=True)):
        element = index + 1 if equation.right.per_element else None
        is_right = right.verdict is Verdict.RIGHT
        origins = () if is_right else _origins(equation.right, results[1], index)
        rows.append(Row(element, left, right, _same(exact[0][index], exact[1][index]), origins))
    verdict = max((row.verdict for row in rows), key=VERDICTS.index)
    ulps = max(side.ulps for row in rows for side in (row.left, row.right))
    return ProofLine(equation.number, verdict, ulps, tuple(rows))


def _quantity(exact: Exact, value: Any, code: Any, ulps: Any, is_term: bool) -> Quantity:
    verdict = VERDICTS[code]
    if value == np.inf:
        verdict = Verdict.OVERFLOW
    elif value == -np.inf or (is_term and value == 0):
        verdict = Verdict.UNDERFLOW
    shown = exact.nearest if exact.decimal is None else exact.decimal
    return Quantity(shown, value, inf if verdict.is_broken else float(ulps), verdict)


def _same(one: Exact, other: Exact) -> bool:
    """Whether two exact values are the same number: computed, not assumed."""
    return (
        bool(one.nearest == other.nearest or (one.nearest != one.nearest))
        and (None in (one.decimal, other.decimal) or one.decimal == other.decimal)
        and overlap(one.ball, other.ball)
    )


def _at(values: Any, index: int) -> Any:
    return values[min(index, len(values) - 1)]


#: The operations that are positive in exact arithmetic: a 0 means underflow.
_POSITIVE = frozenset({Kind.EXP, Kind.SUM, Kind.MULTIPLY, Kind.DIVIDE})


def _origins(side: Operation, results: Mapping[str, Array], index: int) -> tuple[Origin, ...]:
    """Trace a result that is infinite, NaN or wrongly 0 to the operations that caused it."""

    def trace(operation: Operation, index: int) -> Iterator[Origin]:
        """Yield the broken operations with sound operands."""
        symbol, kind, operands = operation
        value = _at(results[symbol], index)
        if kind is Kind.GIVEN or (np.isfinite(value) and not (kind in _POSITIVE and value == 0)):
            return
        is_sum = kind is Kind.SUM
        deeper: list[Origin] = []
        for operand in operands:
            terms = results[operand.symbol]
            culprits = terms == 0 if value == 0 else ~np.isfinite(terms)
            deeper += trace(operand, int(np.argmax(culprits)) if is_sum else index)
        if not deeper:
            element = index + 1 if len(results[symbol]) > 1 else None
            numbers = () if is_sum else tuple(_at(results[part.symbol], index) for part in operands)
            deeper = [Origin(kind, element, numbers, value)]
        yield from deeper

    return tuple(dict.fromkeys(trace(side, index)))
