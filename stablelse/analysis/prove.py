"""The derivations on the user's numbers: every line exactly, and in the format."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.analysis.derivation import DERIVATIONS, Equation
from stablelse.analysis.origins import origins
from stablelse.analysis.proof import FormatProof, Line, Proof, Quantity, Row
from stablelse.analysis.results import DIGIT, Verdict
from stablelse.numerics.decimals import overlap
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas import Shift, find_shift
from stablelse.numerics.formulas.exactly import LARGEST, Exact, Side, evaluate
from stablelse.numerics.formulas.formula import DerivationError, apply
from stablelse.numerics.functions import Function
from stablelse.numerics.functions import exact as correctly_rounded
from stablelse.numerics.inputs import real_vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from stablelse.analysis.results import Place


#: So many numbers take a few seconds.
MOST = 2000


def prove(
    x: npt.ArrayLike | None = None,
    function: str = "logsumexp",
    *,
    shift: str | float = "max",
    formats: Sequence[str] = ("float64",),
) -> Proof:
    """Derive the identity with the shift, line by line, on a vector.

    Parameters
    ----------
    x : array_like, optional
        Shape (n,), n >= 1, finite real numbers; without them the derivation is in symbols only.
    function : {"logsumexp", "softmax"}
        Whose identity.
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
    ...     print(equation.rule.value, row.holds, row.right.value, line.verdict.value)
    definition True inf overflow
    exponentiate True inf overflow
    multiply True nan nan
    take_into_sum True 1.5032147244080551 right
    take_logarithm True 0.4076059644443804 right
    add True 1002.4076059644444 right
    """
    vector = None if x is None else real_vector(x, "prove")
    chosen = [find_format(name) for name in formats]
    return prove_vector(vector, Function(function), find_shift(str(shift)), chosen)


def prove_vector(
    x: Array | None,
    function: Function,
    shift: Shift,
    formats: Sequence[Format],
    place: Place | None = None,
) -> Proof:
    """Derive the identity on a vector that came from somewhere; see `prove`."""
    if function not in DERIVATIONS:
        known = ", ".join(known.value for known in DERIVATIONS)
        raise DerivationError(f"there is no derivation of {function.value}: choose from {known}")
    results = () if x is None else tuple(_prove(x, function, shift, f) for f in formats)
    return Proof(
        function=function,
        source=place.source if place else None,
        row=place.row if place else None,
        column=place.column if place else None,
        n=None if x is None else len(x),
        equations=DERIVATIONS[function],
        results=results,
        x=x,
    )


def _prove(given: Array, function: Function, shift: Shift, format_: Format) -> FormatProof:
    x, a = _rounded(given, shift, format_)
    # Equal numbers are evaluated once, but of softmax every element is a row.
    told = x if function is Function.SOFTMAX else np.unique(x.astype(np.longdouble))
    if len(told) > MOST:
        raise DerivationError(
            f"a derivation of more than {MOST:,} numbers is too long: choose fewer of them"
        )
    equations = DERIVATIONS[function]
    sides = [side for equation in equations for side in (equation.left, equation.right)]
    exact = evaluate(sides, x, a[0], format_)
    # The first line's left side is y, or the p_j, and nothing else.
    unknown = equations[0].left.value
    known = np.array([value.nearest for value in exact[0][unknown]], dtype=format_.dtype)
    at = {"x": x, "a": a, unknown: known}
    lines = tuple(
        _line(equation, exact[2 * index], exact[2 * index + 1], at, format_)
        for index, equation in enumerate(equations)
    )
    departs = next((line.number for line in lines if line.verdict is not Verdict.RIGHT), None)
    last = equations[-1].right
    with_max = None
    if lines[-1].verdict is not Verdict.RIGHT and a[0] != x.max():
        other = {**at, "a": x.max(keepdims=True)}
        with_max = _worst(_results(last, other, format_)[last.value], exact[0][unknown], format_)
    own = correctly_rounded(function, x[np.newaxis], format_)[0]
    return FormatProof(
        format=format_.name,
        shift=shift.name,
        a=a[0],
        x=x,
        lines=lines,
        departs=departs,
        compute=equations[-1].number,
        with_max=with_max,
        library=_worst(own, exact[0][unknown], format_),
    )


def _rounded(given: Array, shift: Shift, format_: Format) -> tuple[Array, Array]:
    """Return x, shape (n,), and the shift, shape (1,), in the format; both must be finite."""
    x = format_.round(given)
    a = format_.round(shift.rule(x))
    mend = "the identity is one of real numbers: give others, or another format"
    strange = np.flatnonzero(~np.isfinite(x))
    if strange.size:
        index = int(strange[0])
        comes_to = "" if given[index] == x[index] else f", which {format_.name} makes {x[index]}"
        raise DerivationError(f"x_{index + 1} is {given[index]}{comes_to}; {mend}")
    if not np.isfinite(a[0]):
        comes_to = "" if str(a[0]) == shift.name else f", which {format_.name} makes {a[0]}"
        raise DerivationError(f"the shift a is {shift.name}{comes_to}; {mend}")
    if np.abs(np.append(x, a).astype(np.longdouble)).max() > LARGEST:
        raise DerivationError(
            f"the exact value of e^x is too long to be told where x or a is beyond {LARGEST:.0e}"
        )
    return x, a


def _line(
    equation: Equation,
    left: dict[str, list[Exact]],
    right: dict[str, list[Exact]],
    at: dict[str, Array],
    format_: Format,
) -> Line:
    lefts = _results(equation.left, at, format_)
    rights = _results(equation.right, at, format_)
    is_result = not equation.left.operations
    per_element = equation.right.value in equation.right.per_element
    *parts, value = equation.right.wanted
    rows = []
    for index, exact in enumerate(right[value]):
        other = left[equation.left.value][index]
        told = _quantity(exact, rights[value][index], format_, is_result)
        rows.append(
            Row(
                element=index + 1 if per_element else None,
                left=_quantity(other, lefts[equation.left.value][index], format_, is_result),
                right=told,
                parts=tuple(
                    _quantity(_at(right[name], index), _at(rights[name], index), format_, False)
                    for name in parts
                ),
                holds=_same(exact, other),
                origins=origins(equation.right.operations, rights, index)
                if told.verdict is not Verdict.RIGHT
                else (),
            )
        )
    verdict = max((row.right.verdict for row in rows), key=list(Verdict).index)
    digits = max(value.digits for side in (left, right) for many in side.values() for value in many)
    ulps = max(row.right.ulps for row in rows)
    return Line(equation.number, digits, verdict, ulps, tuple(rows))


def _results(side: Side, at: dict[str, Array], format_: Format) -> dict[str, Array]:
    """Evaluate one side in the format, every operation rounded."""
    results = dict(at)
    apply(side.operations, results, format_)
    return results


def _quantity(exact: Exact, value: Any, format_: Format, is_result: bool) -> Quantity:
    ulps = float(ulp_error(value, np.asarray(exact.nearest), format_))
    is_zero = value == 0 and (exact.nearest != 0 or exact.decimal is not None)
    if not np.isfinite(value) or (is_zero and not (is_result and exact.nearest == 0)):
        verdict, ulps = _ruin(value), inf
    else:
        verdict = Verdict.RIGHT if ulps <= DIGIT else Verdict.DIGITS_LOST
    return Quantity(exact.nearest, exact.decimal, value, ulps, verdict)


def _ruin(value: Any) -> Verdict:
    """Return the verdict on an infinity, a NaN, or a zero that came of underflow."""
    if np.isnan(value):
        return Verdict.NAN
    return Verdict.OVERFLOW if value == np.inf else Verdict.UNDERFLOW


def _worst(values: Array, exact: Sequence[Exact], format_: Format) -> Quantity:
    """Return the result with the largest error."""
    quantities = [
        _quantity(e, value, format_, True) for e, value in zip(exact, values, strict=True)
    ]
    return max(quantities, key=lambda quantity: quantity.ulps)


def _same(one: Exact, other: Exact) -> bool:
    """Whether two exact values were found to be one: told by the program, not taken for granted."""
    return (
        bool(one.nearest == other.nearest or (one.nearest != one.nearest))
        and (None in (one.decimal, other.decimal) or one.decimal == other.decimal)
        and overlap(one.ball, other.ball)
    )


def _at(values: Any, index: int) -> Any:
    return values[min(index, len(values) - 1)]
