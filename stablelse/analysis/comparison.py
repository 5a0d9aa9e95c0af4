"""What a comparison found: the results of every method on one vector, as facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from stablelse.analysis.display import Displayed
from stablelse.analysis.findings import Finding
from stablelse.analysis.verdicts import Verdict
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas.formula import Evaluation, Method
from stablelse.numerics.functions import Function

if TYPE_CHECKING:
    from stablelse.analysis.views import Errors, Steps


#: How many elements of a long vector are shown from its beginning, and from its end.
HEAD, TAIL = 6, 3


class MethodResult(NamedTuple):
    """What one method computed of one vector in one format.

    Attributes
    ----------
    method : Method
        Naive, shifted, division-free or exact (correctly rounded).
    format : str
        The format every operation was rounded to.
    shift : str or None
        How the a of the identity was chosen; ``None`` for a formula that has none.
    a : scalar or None
        The shift, in the format.
    value : scalar or ndarray
        In the format; an array of shape (n,) for softmax and log_softmax.
    total : scalar or None
        The sum of a softmax, added up pairwise in the format.
    ulps : float
        The largest distance of the value from the exact one, in units in the last place of
        the latter.
    relative_error : float or None
        The distance from the exact value, taken to more digits than the format has where a
        wider one is there (float64, or longdouble for float64), over the exact value's size;
        of softmax and log_softmax the largest entries of either (the infinity norm). To two
        digits; ``None`` where the errors were not asked for. Below the
        normal range even a correctly rounded result has few digits, and 0 has none.
    correct_digits : float or None
        How many significant decimal digits that leaves; see `errors.correct_digits`.
    bound : float or None
        What the relative error can be at most, to first order, before anything is computed;
        see `stablelse.numerics.formulas.bounds`. ``None`` for the exact
        method, where something overflowed or underflowed and did harm, and where x is not finite.
    theorem : str or None
        The theorem of Blanchard, Higham & Higham 2021 that gives the bound.
    verdict : Verdict
        What became of it.
    findings : tuple of Finding
        What went wrong, in the order of the operations. Absorption and cancellation are told
        where they cost a decimal digit, and not where the exact value shows that they did not.
    evaluation : Evaluation or None
        Every operation with its result; ``None`` for the exact method.
    """

    method: Method
    format: str
    shift: str | None
    a: Any
    value: Any
    total: Any
    ulps: float
    relative_error: float | None
    correct_digits: float | None
    bound: float | None
    theorem: str | None
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    evaluation: Evaluation | None = None


class _Comparison(NamedTuple):
    function: Function
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    n: int
    condition_number: float | None
    value: Any
    results: tuple[MethodResult, ...]
    x: Array
    positions: Array | None = None


class Comparison(Displayed, _Comparison):
    """Every method on one vector.

    Attributes
    ----------
    function : Function
        What was computed.
    source : str or None
        The file the vector came from.
    row, column : int, tuple of int, str or None
        Its place there: a row counted from 1, (i, j) in an array of three axes, or a column's
        name or number.
    n : int
        The number of elements.
    condition_number : float or None
        How much more, relatively, the result changes than x does, at worst and in the infinity
        norm, for x in the first of the formats; see `errors.condition_number`. ``None`` where
        it is not defined, or the errors were not asked for.
    value : scalar or ndarray
        The exact value, correctly rounded to the first of the formats.
    results : tuple of MethodResult
        For each format one per method, and per shift if the method has one: unless others were
        asked for the naive, the shifted and the exact.
    x : ndarray
        Shape (n,): the vector before it was rounded to any format.
    positions : ndarray of int or None
        Of a vector too long for memory, which of its elements, from 0, all arrays hold here:
        those that are shown. ``None`` where they hold them all.
    """

    __slots__ = ()

    @property
    def exact(self) -> Any:
        """The exact value in the first of the formats, ``None`` where there is no such result."""
        return next((r.value for r in self.results if r.method is Method.EXACT), None)

    @property
    def steps(self) -> Steps:
        """The evaluations operation by operation, to be shown."""
        from stablelse.analysis.views import Steps

        return Steps(self)

    @property
    def errors(self) -> Errors:
        """The relative errors beside their bounds, to be shown."""
        from stablelse.analysis.views import Errors

        return Errors(self)
