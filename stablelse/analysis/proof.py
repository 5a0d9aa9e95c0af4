"""A derivation on the user's numbers, line by line, as facts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from stablelse.analysis.derivation import Equation
from stablelse.analysis.display import Displayed
from stablelse.analysis.origins import Origin
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import Array
from stablelse.numerics.functions import Function


class Quantity(NamedTuple):
    """What one expression comes to.

    Attributes
    ----------
    nearest : scalar
        The exact value, correctly rounded to the format: infinite or 0 beyond its range.
    decimal : Decimal or None
        The exact value as a decimal number, correctly rounded, where it is outside the normal
        range of the format, or the format holds fewer than ten digits.
    value : scalar
        What the format makes of it, every operation rounded.
    ulps : float
        The distance of the two numbers of the format, in units in the last place; infinite
        where it is broken.
    verdict : Verdict
        Broken where the value is infinite, NaN or 0, and the exact value is not; but a result
        that is the number nearest to the exact value is right if it is 0, no number being nearer.
    """

    nearest: Any
    decimal: Decimal | None
    value: Any
    ulps: float
    verdict: Verdict


class Row(NamedTuple):
    """An equation for one element, or for the vector.

    Attributes
    ----------
    element : int or None
        Counted from 1; ``None`` where there is one value for the whole vector.
    left, right : Quantity
        Both sides. On the left y, or p_j, is the exact value, rounded to the format.
    parts : tuple of Quantity
        Numerator and denominator, where the right side is a fraction.
    holds : bool
        Whether both sides were found to be the same number, exactly: rounded to the same
        number, and enclosed by intervals that meet.
    origins : tuple of Origin
        Where the right side broke.
    """

    element: int | None
    left: Quantity
    right: Quantity
    parts: tuple[Quantity, ...]
    holds: bool
    origins: tuple[Origin, ...]


class Line(NamedTuple):
    """One line of the derivation on the user's numbers.

    Attributes
    ----------
    number : int
        That of the equation.
    digits : int
        The decimal digits it took to evaluate both sides to the last bit.
    verdict : Verdict
        The worst of the right side's.
    ulps : float
        The largest error of the right side.
    rows : tuple of Row
        One, or one per element.
    """

    number: int
    digits: int
    verdict: Verdict
    ulps: float
    rows: tuple[Row, ...]


class FormatProof(NamedTuple):
    """The derivation in one format.

    Attributes
    ----------
    format : str
        What x is rounded to, and every operation.
    shift : str
        How the a of the identity was chosen.
    a : scalar
        The shift, in the format.
    x : ndarray
        Shape (n,), in the format.
    lines : tuple of Line
        One per equation.
    departs : int or None
        The first line whose right side is not right in the format.
    compute : int
        The line to compute: the last one.
    with_max : Quantity or None
        What that comes to for a = max, where it is not right and a is another.
    library : Quantity
        What this package's own function returns; of softmax the element that is worst.
    """

    format: str
    shift: str
    a: Any
    x: Array
    lines: tuple[Line, ...]
    departs: int | None
    compute: int
    with_max: Quantity | None
    library: Quantity


class _Proof(NamedTuple):
    function: Function
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    n: int | None
    equations: tuple[Equation, ...]
    results: tuple[FormatProof, ...]
    x: Array | None = None


class Proof(Displayed, _Proof):
    """The derivation of the identity for any a.

    Attributes
    ----------
    function : Function
        Log-sum-exp or softmax.
    source : str or None
        The file the vector came from.
    row, column : int, str or None
        Its place there.
    n : int or None
        The number of elements; ``None`` for a derivation in symbols only.
    equations : tuple of Equation
        The lines, each with the rule that leads to it.
    results : tuple of FormatProof
        The lines on the numbers, one per format; none where there are no numbers.
    x : ndarray or None
        Shape (n,): the vector before it was rounded to any format.
    """

    __slots__ = ()
