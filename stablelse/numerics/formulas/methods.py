"""The methods by name, and the formulas that each of them evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.division_free import DIVISION_FREE, DIVISION_FREE_SHIFTED
from stablelse.numerics.formulas.formula import Formula, Method, MethodError
from stablelse.numerics.formulas.naive import NAIVE
from stablelse.numerics.formulas.shifted import SHIFTED, Shift
from stablelse.numerics.functions import Function, exact

#: The methods that are formulas, each a table by function; the exact one is the library's.
FORMULAS: dict[Method, tuple[dict[Function, Formula], ...]] = {
    Method.NAIVE: (NAIVE,),
    Method.SHIFTED: (SHIFTED,),
    Method.DIVISION_FREE: (DIVISION_FREE, DIVISION_FREE_SHIFTED),
}

#: What is compared unless other methods are asked for.
USUAL = (Method.NAIVE, Method.SHIFTED, Method.EXACT)


class Candidate(NamedTuple):
    """A method of computing a function.

    Attributes
    ----------
    method : Method
        How it is computed.
    formula : Formula or None
        What is evaluated; ``None`` for the exact method.
    shift : Shift or None
        The shift of a formula that has one.
    """

    method: Method
    formula: Formula | None = None
    shift: Shift | None = None

    def values(self, function: Function, x: Array, format_: Format, empty: str = "nan") -> Array:
        """Compute the function of every row, and nothing beside it.

        Parameters
        ----------
        function : Function
            What to compute.
        x : ndarray
            Shape (m, n), n >= 1, real; rounded to the format first.
        format_ : Format
            The format of the result.
        empty : str
            As of `functions.exact`; the formulas know no such thing.

        Returns
        -------
        ndarray
            Shape (m, 1) for logsumexp, (m, n) for the others.
        """
        if self.formula is not None:
            return self.formula.evaluate(x, format_, self.shift.rule if self.shift else None).value
        return exact(function, format_.round(x), format_, empty)


def find_method(name: str) -> Method:
    """Return the method of that name.

    Raises
    ------
    MethodError
        If there is none.
    """
    if name == "compensated":
        raise MethodError(
            "there is no compensated method: results are correctly rounded; use --method exact"
        )
    known = {method.value: method for method in Method}
    if name not in known:
        raise MethodError(f"unknown method {name!r}: choose from {', '.join(known)}")
    return known[name]


def candidates(
    function: Function, methods: Iterable[Method], shifts: Sequence[Shift]
) -> list[Candidate]:
    """Return what there is to compute: each method once, a shifted formula once per shift.

    Parameters
    ----------
    function : Function
        What is computed.
    methods : iterable of Method
        In any order; the result is in the order of `Method`.
    shifts : sequence of Shift
        The a's to try.

    Raises
    ------
    MethodError
        If the function has no formula of a method.
    """
    found: list[Candidate] = []
    for method in sorted(set(methods), key=list(Method).index):
        if method not in FORMULAS:
            found.append(Candidate(method))
            continue
        formulas = [table[function] for table in FORMULAS[method] if function in table]
        if not formulas:
            raise MethodError(_lacking(function, method))
        for formula in formulas:
            tried: Sequence[Shift | None] = shifts if formula.is_shifted else [None]
            found += [Candidate(method, formula, shift) for shift in tried]
    return found


def _lacking(function: Function, method: Method) -> str:
    having = dict.fromkeys(known.value for table in FORMULAS[method] for known in table)
    others = [m.value for m in Method if m not in FORMULAS or function in FORMULAS[m][0]]
    return (
        f"{function.value} has no {method.value} method, only {' and '.join(having)} has: "
        f"choose from {', '.join(others)}"
    )
