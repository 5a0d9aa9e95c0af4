"""What can go wrong in an evaluation, as facts; no wording."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from stablelse.numerics.formats import Array

#: As many ulps as make a decimal digit.
DIGIT = 10


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
    """NaN made from numbers that were none: inf/inf, 0/0, inf - inf."""
    ABSORPTION = "absorption"
    """Terms that were not zero left sums as they were, and the result misses them."""
    CANCELLATION = "cancellation"
    """Two numbers nearly cancelled, or 1 cancelled in log 1.00..., and left rounding errors."""


#: The kinds that cost digits and nothing else. They are told only where they cost a decimal
#: digit: as rounding errors too small to see they are in nearly every evaluation.
LOSSES = frozenset({FindingKind.ABSORPTION, FindingKind.CANCELLATION})


class Finding(NamedTuple):
    """One kind of trouble at one operation.

    Attributes
    ----------
    kind : FindingKind
        What happened.
    symbol : str
        The operation's symbol in the formula.
    element : int or None
        The first element it happened at, counted from 1; ``None`` where the operation
        has one result for the whole vector.
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
        Positions, from 0, of all elements it happened at; empty where ``element`` is ``None``.
    """

    kind: FindingKind
    symbol: str
    element: int | None
    span: tuple[int, int] | None
    occurrences: int
    operands: tuple[Any, ...]
    result: Any
    threshold: Any
    harmless: bool
    bits_lost: float | None
    indices: Array
