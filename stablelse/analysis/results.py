"""What was found, as facts: one model of results for vectors, streams and losses.

A `Comparison` holds what every method made of one vector, each a `MethodResult` with its verdict
and its findings. It is the same whether the vector was in memory, too long for it, read as a
stream, folded on a cluster, or had a label. Only `elements` differs: which of the vector's
elements the arrays hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Place as Place
from stablelse.analysis.display import Displayed
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Evaluation, Method
from stablelse.numerics.functions import Function, LossFunction

#: As many ulps as make a decimal digit.
DIGIT = 10


class Verdict(Enum):
    """What became of a result, held against the right one in the same format; from good to bad."""

    RIGHT = "right"
    """No entry is more than 10 ulp off, a decimal digit, or as many as were allowed."""
    DIGITS_LOST = "digits_lost"
    """Finite, but some digits are wrong."""
    NO_DIGITS = "no_digits"
    """Finite, but no digit is right: the error is as large as the right result."""
    UNDERFLOW = "underflow"
    """Ruined by what came out as zero: infinite, NaN, or a probability that is zero instead."""
    OVERFLOW = "overflow"
    """Ruined by what passed the largest finite number."""
    NAN = "nan"
    """NaN, made of the infinities or the NaN that x has."""
    DOES_NOT_FIT = "does_not_fit"
    """A finite number of the input is too large for the format, whatever is computed of it."""

    @property
    def is_broken(self) -> bool:
        """Whether nothing of the result can be used."""
        return self not in (Verdict.RIGHT, Verdict.DIGITS_LOST)


#: A verdict on a row of an array is an index into this.
VERDICTS = tuple(Verdict)

#: Those after which nothing of a result can be used.
BROKEN = tuple(verdict for verdict in Verdict if verdict.is_broken)


class FindingKind(Enum):
    """The kinds of findings, in the order in which a formula meets them."""

    INPUT_OVERFLOW = "input_overflow"
    """A number of the input is too large for the format."""
    OVERFLOW = "overflow"
    """An operation on finite numbers passed the largest finite number."""
    TERM_UNDERFLOW = "term_underflow"
    """The exponential of a finite number came out as zero."""
    SUBNORMAL = "subnormal"
    """A result left the normal range and kept only some of its digits."""
    QUOTIENT_UNDERFLOW = "quotient_underflow"
    """A positive number divided by the sum came out as zero."""
    SUM_UNDERFLOW = "sum_underflow"
    """Every term is zero, so that the logarithm of the sum is that of zero."""
    LOG_OF_ZERO = "log_of_zero"
    """The logarithm of an element that had underflowed to zero."""
    INVALID = "invalid"
    """NaN made from numbers that were not NaN: inf/inf, 0/0, inf - inf."""
    ABSORPTION = "absorption"
    """Terms that were not zero left sums as they were, and the result misses them."""
    CANCELLATION = "cancellation"
    """Two numbers nearly cancelled, or 1 cancelled in log 1.00..., and left rounding errors."""


#: The kinds that cost digits and nothing else. They are reported only where they cost a decimal
#: digit: as rounding errors too small to see they are in nearly every evaluation.
LOSSES = frozenset({FindingKind.ABSORPTION, FindingKind.CANCELLATION})


#: Of a vector that is too long to be shown, or to be kept, so many elements from its beginning
#: and from its end are.
HEAD, TAIL = 6, 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of trouble at one operation.

    Attributes
    ----------
    kind : FindingKind
        What happened.
    symbol : str
        The operation's symbol in the formula.
    element : int or None
        The first element it happened at, counted from 1, or that made a stream's sum overflow;
        ``None`` where the operation has one result for the whole vector.
    place : Place or None
        Where that element was read, if it came in a stream.
    span : tuple of int or None
        The first and last element of the first partial sum that absorbed one of its operands.
    occurrences : int
        How many elements, or partial sums, it happened at.
    operands : tuple of scalars
        What the operation was given there, in the format; empty for a whole sum.
    result : scalar
        What it made of that, in the format.
    threshold : scalar or None
        The bound that was crossed: by the operand where the operation is exp or the rounding
        of the input, by the result otherwise.
    harmless : bool
        Whether the result is as good as if it had not happened.
    bits_lost : float or None
        How many bits of the result a loss costs, of the p that the format has.
    indices : ndarray of int
        Of the elements it happened at, the positions, from 0, in the arrays of the comparison.
    """

    kind: FindingKind
    symbol: str
    element: int | None = None
    place: Place | None = None
    span: tuple[int, int] | None = None
    occurrences: int = 1
    operands: tuple[Any, ...] = ()
    result: Any
    threshold: Any = None
    harmless: bool = False
    bits_lost: float | None = None
    indices: Array = field(default_factory=lambda: np.empty(0, np.intp), repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class MethodResult:
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
        In the format; of softmax, log_softmax and gradients an array of those elements that the
        comparison holds.
    total : scalar or None
        The sum of a softmax, added up in the format.
    ulps : float or None
        The largest distance of the value from the exact one, in units in the last place of
        the latter; ``None`` where the exact one is not known.
    error_bound : float or None
        How many ulps an exact value can be off at most. 0.5 says that it is correctly rounded,
        which is proved. ``None`` for a formula.
    relative_error : float or None
        The distance from the exact value, taken to more digits than the format has where a
        wider one is there (float64, or longdouble for float64), over the exact value's size;
        of several elements the largest of either (the infinity norm). To two digits; ``None``
        where the errors were not asked for, or are not known so well. Below the normal range
        even a correctly rounded result has few digits, and 0 has none.
    correct_digits : float or None
        How many significant decimal digits that leaves; see `errors.correct_digits`.
    bound : float or None
        What the relative error can be at most, to first order, before anything is computed;
        see `stablelse.numerics.bounds`. ``None`` for the exact method and for losses,
        where something overflowed or underflowed and did harm, and where x is not finite.
    theorem : str or None
        The theorem of Blanchard, Higham & Higham 2021 that gives the bound.
    verdict : Verdict
        What became of it.
    findings : tuple of Finding
        What went wrong, in the order of the operations. Absorption and cancellation are reported
        where they cost a decimal digit, and not where the exact value shows that they did not.
    evaluation : Evaluation or None
        Every operation with its results for the elements that the comparison holds; ``None``
        for the exact method.
    """

    method: Method
    format: str
    shift: str | None = None
    a: Any = None
    value: Any
    total: Any = None
    ulps: float | None
    error_bound: float | None = None
    relative_error: float | None = None
    correct_digits: float | None = None
    bound: float | None = None
    theorem: str | None = None
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    evaluation: Evaluation | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Comparison(Displayed):
    """Every method on one vector.

    Attributes
    ----------
    function : Function or LossFunction
        What was computed.
    source, row, column
        Where the vector came from; see `Place`.
    n : int
        The number of elements.
    x : ndarray
        The vector's elements before they were rounded to any format, as far as they are kept.
    label : int or None
        The class whose loss it is, from 0.
    minimum, maximum : scalar
        The smallest and the largest element, in the first of the formats.
    condition_number : float or None
        How much more, relatively, the result changes than x does, at worst and in the infinity
        norm, for x in the first of the formats; see `errors.condition_number`. ``None`` where
        it is not defined, or the errors were not asked for.
    value : scalar or ndarray
        The exact value, correctly rounded to the first of the formats.
    results : tuple of MethodResult
        For each format one per method, and per shift if the method has one: unless others were
        asked for the naive, the shifted and the exact.
    elements : sequence of int
        Which elements, from 0, the arrays hold: all of a vector in memory, those that are shown
        of one that is too long for it, and none of a stream.
    """

    function: Function | LossFunction
    source: str | None = None
    row: int | tuple[int, ...] | None = None
    column: str | None = None
    n: int
    x: Array
    label: int | None = None
    minimum: Any
    maximum: Any
    condition_number: float | None = None
    value: Any
    results: tuple[MethodResult, ...]
    elements: Sequence[int] = field(repr=False, compare=False)

    @property
    def exact(self) -> Any:
        """The exact value in the first of the formats, ``None`` where there is no such result."""
        return next((r.value for r in self.results if r.method is Method.EXACT), None)

    @property
    def is_whole(self) -> bool:
        """Whether the arrays hold all elements."""
        return len(self.elements) == self.n

    @property
    def steps(self) -> Steps:
        """The evaluations operation by operation, to be shown."""
        return Steps(self)

    @property
    def errors(self) -> Errors:
        """The relative errors beside their bounds, to be shown."""
        return Errors(self)


class Places(NamedTuple):
    """Where something was found: how often, and the first places."""

    occurrences: int
    first: tuple[Place, ...]


NOWHERE = Places(0, ())


@dataclass(frozen=True)
class Total:
    """What became of many vectors by one method in one format; `value` is of reduced losses."""

    method: Method
    format: str
    shift: str | None
    value: Any = None
    ulps: float | None = None
    verdict: Verdict | None = None
    right: int = 0
    digits_lost: int = 0
    broken: int = 0
    infinite: Places = NOWHERE
    nan: Places = NOWHERE
    worst: float | None = None


@dataclass(frozen=True)
class Steps(Displayed):
    """Every evaluation of a comparison, operation by operation, as ``--steps`` shows it."""

    comparison: Comparison


@dataclass(frozen=True)
class Errors(Displayed):
    """Every method's error beside its bound, and the condition number, as ``--errors`` does."""

    comparison: Comparison
