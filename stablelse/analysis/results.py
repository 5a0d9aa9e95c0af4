"""Results as data: one model for vectors, streams and losses.

A `Comparison` holds the result of every method on one vector, each a `MethodResult` with its
verdict and its findings. It is the same whether the vector was in memory, too long for it, read as
a stream, folded on a cluster, or had a label. Only `elements` differs: the elements that the arrays
hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import ChoiceError, Evaluation, Method
from stablelse.numerics.functions import Function, LossFunction

#: A decimal digit in ulps.
DIGIT = 10


class Verdict(Enum):
    """How good a result is, compared with the right one in the same format; from good to bad."""

    RIGHT = "right"  # no entry is more than 10 ulp (a decimal digit) off, or the limit given
    DIGITS_LOST = "digits_lost"  # finite, but some digits are wrong
    NO_DIGITS = "no_digits"  # finite, but the error is as large as the right result
    UNDERFLOW = "underflow"  # ruined by a zero: infinite, NaN, or a probability that is zero
    OVERFLOW = "overflow"  # ruined by a result beyond the largest finite number
    NAN = "nan"  # caused by infinities or NaN in x
    DOES_NOT_FIT = "does_not_fit"  # a finite number of the input is too large for the format

    @property
    def is_broken(self) -> bool:
        """Whether the result is useless."""
        return self not in (Verdict.RIGHT, Verdict.DIGITS_LOST)


#: In arrays, a verdict is an index into this.
VERDICTS = tuple(Verdict)

#: The verdicts of useless results.
BROKEN = tuple(verdict for verdict in Verdict if verdict.is_broken)


class Condition(NamedTuple):
    """What must not occur, as in ``naive:overflow`` or ``ulp>4``; all methods by default."""

    text: str
    method: str | None
    name: str
    limit: float | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts that it names; ``ulp`` is everything but right."""
        return _NAMED[self.name]


_NAMED = {
    "broken": BROKEN,
    **{verdict.value: (verdict,) for verdict in VERDICTS[1:]},
    "ulp": VERDICTS[1:],
}
_CONDITION = re.compile(r"(?:([^:]*):)?([a-z_]+)(?:>(\d+(?:\.\d*)?(?:e-?\d+)?))?")


def parse_conditions(
    text: str,
    methods: Collection[str],
    names: Collection[str] = tuple(_NAMED),
    limited: Collection[str] = ("ulp",),
) -> list[Condition]:
    """Return the conditions of a comma-separated list, each once; ``"none"`` means none."""
    found = []
    parts = [part.strip() for part in text.split(",")]
    for part in parts if parts != ["none"] else ():
        match = _CONDITION.fullmatch(part)
        method, name, limit = match.groups() if match else (None, "", None)
        is_known = name in (names if limit is None else limited) and float(limit or 0) < np.inf
        if not is_known or (method and not methods):
            choices = ", ".join([*names, *(f"{name}>N" for name in limited)])
            raise ChoiceError(f"unknown condition {part!r}: choose from {choices}, or none alone")
        if method is not None and method not in methods:
            raise ChoiceError(f"unknown method in {part!r}: choose from {', '.join(methods)}")
        found.append(Condition(part, method, name, None if limit is None else float(limit)))
    return list(dict.fromkeys(found))


class FindingKind(Enum):
    """The kinds of findings, in the order in which a formula meets them."""

    INPUT_OVERFLOW = "input_overflow"  # an input number is too large for the format
    INPUT_UNDERFLOW = "input_underflow"  # a weight is too small for the format: it is zero
    OVERFLOW = "overflow"  # an operation on finite numbers exceeded the largest finite number
    TERM_UNDERFLOW = "term_underflow"  # e^x, or b e^x, of a finite x is zero
    QUOTIENT_UNDERFLOW = "quotient_underflow"  # a positive number divided by the sum is zero
    SUBNORMAL = "subnormal"  # a result below the normal range has fewer digits
    SUM_UNDERFLOW = "sum_underflow"  # every term is zero, and the logarithm -inf
    LOG_OF_ZERO = "log_of_zero"  # the logarithm of an element that had underflowed to zero
    INVALID = "invalid"  # NaN from numbers that were not NaN: inf/inf, 0/0, inf - inf
    ABSORPTION = "absorption"  # terms that are not zero did not change their sums
    CANCELLATION = "cancellation"  # numbers nearly cancelled and left rounding errors


#: The kinds that only cost digits. They are reported if they cost a decimal digit: smaller ones
#: occur in nearly every evaluation.
LOSSES = frozenset({FindingKind.ABSORPTION, FindingKind.CANCELLATION})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of trouble at one operation."""

    kind: FindingKind
    symbol: str  # the operation's, in the formula
    element: int | None = None  # the first, from 1
    place: Place | None = None  # where a stream had that element
    span: tuple[int, int] | None = None  # of the first partial sum that absorbed an operand
    occurrences: int = 1  # the number of elements or partial sums
    operands: tuple[Any, ...] = ()  # the first one's; empty for a whole sum
    result: Any
    threshold: Any = None  # the bound that the operand of exp, or the result, crossed
    harmless: bool = False  # the result is as good as if it had not happened
    bits_lost: float | None = None  # of the result, by absorption or cancellation
    #: The positions of the elements, from 0, in the arrays of the comparison.
    indices: Array = field(default_factory=lambda: np.empty(0, np.intp), repr=False, compare=False)


class Elements:
    """The elements of a long vector, read or computed again, part by part, when they are listed."""

    def __init__(self, parts: Callable[[], Iterable[Array]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[Array]:
        return iter(self._parts())


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """The result of one method on one vector in one format; `None` is unknown or not asked for.

    The relative error is the distance from the exact value, known to more digits than the format
    has, divided by the exact value's size (for several elements, in the infinity norm), to two
    digits; NaN if the exact value is. Below the normal range, correctly rounded results have few.
    """

    method: Method
    format: str  # to which every operation was rounded
    shift: str | None = None  # how the a of the identity was chosen
    a: Any = None  # the shift, in the format
    value: Any  # in the format: a scalar, or an array of the elements that the comparison holds
    sign: Any = None  # with weights, the sign of the sum; the value is log |sum|
    total: Any = None  # the sum of a softmax, added up in the format
    ulps: float | None  # the largest distance from the exact value, in units in its last place
    error_bound: float | None = None  # of an exact value, in ulps; 0.5 means proved
    relative_error: float | None = None
    correct_digits: float | None = None  # how many decimal digits are right
    bound: float | None = None  # on the relative error, to first order, a priori
    theorem: str | None = None  # in Blanchard, Higham & Higham 2021, that gives the bound
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
        The elements that are kept, before they were rounded to any format.
    weights : ndarray or None
        The b of sum b e^x of the elements that are kept, before rounding.
    label : int or None
        The class of the loss, from 0.
    minimum, maximum : scalar
        The smallest and the largest element, in the first of the formats.
    condition_number : float or None
        How many times larger the relative change of the result can be than that of x, in the
        infinity norm, for x in the first format. ``None`` if it is undefined or errors were
        not asked for.
    value : scalar or ndarray
        The exact value, correctly rounded to the first of the formats.
    results : tuple of MethodResult
        One for each format, method and shift; the methods are naive, shifted and exact unless
        others were asked for. Each has a `value`, a `verdict`, its distance from the exact value
        in `ulps`, and `findings`: what went wrong, and where.
    elements : sequence of int
        Which elements, from 0, the arrays hold: all of a vector in memory, those shown of one
        that is too long for it, none of a stream.
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
        """The exact value in the first format, ``None`` if there is none."""
        return next((r.value for r in self.results if r.method is Method.EXACT), None)

    @property
    def is_whole(self) -> bool:
        """Whether the arrays hold all elements."""
        return len(self.elements) == self.n

    @property
    def steps(self) -> Steps:
        """A view of the evaluations, operation by operation; a stream has none."""
        evaluations = [each.evaluation for each in self.results if each.evaluation is not None]
        if not all(evaluation.partial_sums for evaluation in evaluations):
            raise ValueError("a stream has no steps: it does not keep its numbers")
        return Steps(self)

    @property
    def errors(self) -> Errors:
        """A view of the relative errors next to their bounds, if they were computed."""
        if self.is_whole and all(result.relative_error is None for result in self.results):
            raise ValueError("relative errors were not computed: pass errors=True to compare")
        return Errors(self)


class _View(Displayed):
    """Another way to show a comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison


class Steps(_View):
    """Every evaluation of a comparison, operation by operation, as ``--steps`` shows it."""


class Errors(_View):
    """Every method's error and its bound, and the condition number, as ``--errors`` shows them."""


class FormatLimits(NamedTuple):
    """The limits of a format, as its own numbers; `subnormal_threshold` is a real number."""

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

    _fields = ("formats",)  # for records; a dataclass would cost every start half a ms

    def __init__(self, formats: tuple[FormatLimits, ...]) -> None:
        self.formats = formats


def limits(formats: Sequence[Format]) -> Limits:
    """Compute the limits of formats."""
    rows = ((f.name, *(getattr(f, name) for name in FormatLimits._fields[1:])) for f in formats)
    return Limits(tuple(map(FormatLimits._make, rows)))
