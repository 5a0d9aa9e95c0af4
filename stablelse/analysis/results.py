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

from stablelse.analysis import Displayed
from stablelse.analysis import Place as Place
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import Evaluation, Method
from stablelse.numerics.functions import Function, LossFunction

#: As many ulps as make a decimal digit.
DIGIT = 10


class Verdict(Enum):
    """What became of a result, held against the right one in the same format; from good to bad."""

    RIGHT = "right"  # no entry is more than 10 ulp off, a decimal digit, or as many as allowed
    DIGITS_LOST = "digits_lost"  # finite, but some digits are wrong
    NO_DIGITS = "no_digits"  # finite, but the error is as large as the right result
    UNDERFLOW = "underflow"  # ruined by a zero: infinite, NaN, or a probability that is zero
    OVERFLOW = "overflow"  # ruined by what passed the largest finite number
    NAN = "nan"  # made of the infinities or the NaN that x has
    DOES_NOT_FIT = "does_not_fit"  # a finite number of the input is too large for the format

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

    INPUT_OVERFLOW = "input_overflow"  # a number of the input is too large for the format
    INPUT_UNDERFLOW = "input_underflow"  # a weight is too small for the format: it is zero
    OVERFLOW = "overflow"  # an operation on finite numbers passed the largest finite number
    TERM_UNDERFLOW = "term_underflow"  # the exponential of a finite number is zero, or b e^x
    SUBNORMAL = "subnormal"  # a result below the normal range has only some of its digits
    QUOTIENT_UNDERFLOW = "quotient_underflow"  # a positive number divided by the sum is zero
    SUM_UNDERFLOW = "sum_underflow"  # every term is zero: the logarithm is that of zero
    LOG_OF_ZERO = "log_of_zero"  # the logarithm of an element that had underflowed to zero
    INVALID = "invalid"  # NaN from numbers that were not NaN: inf/inf, 0/0, inf - inf
    ABSORPTION = "absorption"  # terms that are not zero left sums as they were
    CANCELLATION = "cancellation"  # numbers nearly cancelled and left rounding errors


#: The kinds that cost digits and nothing else. They are reported only where they cost a decimal
#: digit: as rounding errors too small to see they are in nearly every evaluation.
LOSSES = frozenset({FindingKind.ABSORPTION, FindingKind.CANCELLATION})

#: Of a vector that is too long to be shown, or to be kept, so many elements from its beginning
#: and from its end are.
HEAD, TAIL = 6, 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of trouble at one operation."""

    kind: FindingKind
    symbol: str  # of the operation, in the formula
    element: int | None = None  # the first, from 1, or the one that made a stream's sum overflow
    place: Place | None = None  # where that was read, in a stream
    span: tuple[int, int] | None = None  # of the first partial sum that absorbed an operand
    occurrences: int = 1  # so many elements, or partial sums
    operands: tuple[Any, ...] = ()  # of the first; empty for a whole sum
    result: Any
    threshold: Any = None  # the bound that the operand of exp, or the result, crossed
    harmless: bool = False  # the result is as good as if it had not happened
    bits_lost: float | None = None  # of the result's, by an absorption or a cancellation
    #: The positions of the elements, from 0, in the arrays of the comparison.
    indices: Array = field(default_factory=lambda: np.empty(0, np.intp), repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """What one method computed of one vector in one format; `None` is unknown, or not asked for.

    The relative error is the distance from the exact value, taken to more digits than the format
    has, over the exact value's size; of several elements the largest of either (the infinity
    norm), to two digits. Below the normal range even a correctly rounded result has few digits.
    """

    method: Method
    format: str  # every operation was rounded to it
    shift: str | None = None  # how the a of the identity was chosen
    a: Any = None  # the shift, in the format
    value: Any  # in the format: a scalar, or an array of the elements that the comparison holds
    sign: Any = None  # with weights, of the sum, of whose absolute value it is the logarithm
    total: Any = None  # the sum of a softmax, added up in the format
    ulps: float | None  # the largest distance from the exact value, in units in its last place
    error_bound: float | None = None  # of an exact value, in ulps; 0.5 is proved to be right
    relative_error: float | None = None
    correct_digits: float | None = None  # how many decimal digits that leaves
    bound: float | None = None  # of the relative error, to first order, before it is computed
    theorem: str | None = None  # of Blanchard, Higham & Higham 2021, which gives the bound
    verdict: Verdict
    findings: tuple[Finding, ...] = ()  # in the order of the operations
    #: Every operation with its results; None for the exact method.
    evaluation: Evaluation | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison(Displayed):
    """Every method on one vector.

    Attributes
    ----------
    function : Function or LossFunction
        What was computed.
    source, row, column
        Where the vector came from: its file, its row from 1, and its column.
    n : int
        The number of elements.
    x : ndarray
        The vector's elements before they were rounded to any format, as far as they are kept.
    weights : ndarray or None
        The b of sum b e^x, as many as elements that are kept, before they were rounded.
    label : int or None
        The class whose loss it is, from 0.
    minimum, maximum : scalar
        The smallest and the largest element, in the first of the formats.
    condition_number : float or None
        How much more, relatively, the result changes than x does, at worst and in the infinity
        norm, for x in the first of the formats. ``None`` where it is not defined, or the errors
        were not asked for.
    value : scalar or ndarray
        The exact value, correctly rounded to the first of the formats.
    results : tuple of MethodResult
        For each format one per method, and per shift if the method has one: unless others were
        asked for the naive, the shifted and the exact. Each has a `value`, a `verdict`, its
        distance from the exact value in `ulps`, and `findings`: what went wrong, and where.
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
    weights: Array | None = None
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


class _View(Displayed):
    """Another way to show a comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison


class Steps(_View):
    """Every evaluation of a comparison, operation by operation, as ``--steps`` shows it."""


class Errors(_View):
    """Every method's error beside its bound, and the condition number, as ``--errors`` does."""


class FormatLimits(NamedTuple):
    """The limits of a format, as numbers of it; `subnormal_threshold` is a real number."""

    format: str
    significand_bits: int
    unit_roundoff: float
    largest: Any
    smallest_normal: Any
    smallest_subnormal: Any
    overflow_threshold: Any
    underflow_threshold: Any
    subnormal_threshold: float
    has_infinity: bool


class Limits(Displayed):
    """The limits of several formats."""

    _fields = ("formats",)  # what records have of it: a dataclass costs every start half a ms

    def __init__(self, formats: tuple[FormatLimits, ...]) -> None:
        self.formats = formats


def limits(formats: Sequence[Format]) -> Limits:
    """Compute the limits of formats from the formats themselves."""
    rows = ((f.name, *(getattr(f, name) for name in FormatLimits._fields[1:])) for f in formats)
    return Limits(tuple(map(FormatLimits._make, rows)))
