"""What one method makes of every row of a stack: right, or broken, and in which way."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas.formula import Evaluation, Formula
from stablelse.numerics.formulas.margins import Extent, surely_right
from stablelse.numerics.formulas.naive import NAIVE
from stablelse.numerics.formulas.nearness import SHORT, Nearness
from stablelse.numerics.formulas.shifted import SHIFTED, SHIFTS
from stablelse.numerics.functions import Function
from stablelse.numerics.ladder import exact as ladder


class Harm(Enum):
    """What can become of a vector, by its result; the first that applies."""

    NAN = "nan"  # it has a NaN
    OVERFLOW = "overflow"  # it has inf, or the sum was, although no entry is
    UNDERFLOW = "underflow"  # it has -inf, although the exact result has not
    ULP = "ulp"  # it is finite, and loses more ulps than allowed


#: A result is a place in this; 0 stands for a result that is right.
HARMS = tuple(Harm)

#: Those after which nothing is left of a result.
BROKEN = (Harm.OVERFLOW, Harm.UNDERFLOW, Harm.NAN)


class Way(Enum):
    """The ways of computing that are scanned."""

    NAIVE = "naive"
    SHIFTED = "shifted"
    FLOAT32 = "shifted-float32"  # shifted, in float32 from x - a on, the result rounded


_FLOAT32 = FORMATS["float32"]


def ways(format_: Format) -> tuple[Way, ...]:
    """Return the ways there are in a format: float32 is for those narrower than that."""
    narrow = format_.significand_bits < _FLOAT32.significand_bits
    return tuple(way for way in Way if narrow or way is not Way.FLOAT32)


def computed(way: Way, function: Function, x: Array, format_: Format) -> tuple[Array, Array]:
    """Compute a function of the rows, every operation rounded.

    Parameters
    ----------
    way : Way
        How.
    function : Function
        What.
    x : ndarray
        Shape (m, n), rounded to the format.
    format_ : Format
        The format.

    Returns
    -------
    value, total : ndarray
        The values, shape (m, 1) or (m, n), of the format; the sums, shape (m, 1).
    """
    evaluation = _evaluated(way, _FORMULAS[way][function], x, format_)
    return format_.round(evaluation.value), evaluation.results["s"]


_FORMULAS = {Way.NAIVE: NAIVE, Way.SHIFTED: SHIFTED, Way.FLOAT32: SHIFTED}


def _evaluated(way: Way, formula: Formula, x: Array, format_: Format) -> Evaluation:
    inner = _FLOAT32 if way is Way.FLOAT32 else format_
    return formula.evaluate(x.astype(inner.dtype, copy=False), inner, SHIFTS["max"])


class Rows(NamedTuple):
    """Rows that are to be judged in a format, whatever way they are computed.

    Attributes
    ----------
    x : ndarray
        Shape (m, n), as it was before it was rounded to the format.
    rounded : ndarray
        The same, rounded.
    nearness : Nearness or None
        What their results are held against before the exact ones.
    """

    x: Array
    rounded: Array
    nearness: Nearness | None

    @classmethod
    def of(cls, function: Function, x: Array, format_: Format, max_ulp: float) -> Rows:
        """Return rows, short ones side by side in memory, where NumPy works them off faster."""
        x = np.asarray(x, order="F" if x.shape[1] <= SHORT else "C")
        rounded = format_.round(x)
        return cls(x, rounded, Nearness.of(function, rounded, format_, max_ulp))

    def some(self, rows: Array) -> Rows:
        """Return some of them, by their numbers."""
        if len(rows) == len(self.x):
            return self
        nearness = None if self.nearness is None else self.nearness.of_rows(rows)
        return Rows(self.x[rows], self.rounded[rows], nearness)


def judge(
    way: Way, function: Function, rows: Rows, format_: Format, max_ulp: float
) -> tuple[Array, Array, Array]:
    """Tell what becomes of every row, by evaluating it.

    Parameters
    ----------
    way, function, format_
        As of `computed`.
    rows : Rows
        Of that function, format and number of ulps.
    max_ulp : float
        How many ulps of the correctly rounded result may be lost.

    Returns
    -------
    harm : ndarray of int
        Shape (m,): 0 if the row's result is right, else 1 and the place in `HARMS`.
    ulps : ndarray of float64
        The largest error of each row that loses more than `max_ulp`; NaN elsewhere, but for some.
    entry : ndarray of int
        The entry of the result that it is told by.
    """
    count = len(rows.x)
    harm, entry = np.zeros(count, np.int8), np.zeros(count, np.intp)
    ulps = np.full(count, np.nan)
    rest = np.flatnonzero(~_settled(way, function, rows, format_))
    if rest.size:
        open_rows = Rows(rows.x[rest], rows.rounded[rest], None)
        found = _told_apart(way, function, open_rows, format_, max_ulp)
        harm[rest], ulps[rest], entry[rest] = found
    return harm, ulps, entry


def _settled(way: Way, function: Function, rows: Rows, format_: Format) -> Array:
    """Tell on which rows the way computes something finite and surely right, shape (m,)."""
    if rows.nearness is None:
        return np.zeros(len(rows.x), bool)
    formula = _FORMULAS[way][function]
    if function is Function.SOFTMAX:
        undivided = formula._replace(operations=formula.operations[:-1])
        results = _evaluated(way, undivided, rows.rounded, format_).results
        total = results["s"]
        right = rows.nearness.holds_quotient(results["e"], total, format_)
    else:
        value, total = computed(way, function, rows.rounded, format_)
        right = rows.nearness.holds(value)
    settled: Array = right & np.isfinite(total)[:, 0]
    return settled


def _told_apart(
    way: Way, function: Function, rows: Rows, format_: Format, max_ulp: float
) -> tuple[Array, Array, Array]:
    """Return what `judge` does, of rows whose results have to be held against the exact ones."""
    value, total = computed(way, function, rows.rounded, format_)
    with np.errstate(all="ignore"):
        is_nan = np.isnan(value)
        infinite = (value == np.inf) | (np.isposinf(total) & ~is_nan)
        infinite &= ~np.isposinf(rows.x).any(axis=1, keepdims=True)
        rest = ~(is_nan.any(axis=1) | infinite.any(axis=1))
        ulps = np.full(value.shape, np.nan)
        vanished = np.zeros(value.shape, bool)
        if rest.any():
            right = _right(function, rows.rounded[rest], format_)
            ulps[rest] = ulp_error(value[rest], right, format_)
            vanished[rest] = np.isneginf(value[rest]) & ~np.isneginf(right)
        masks = {
            Harm.NAN: is_nan,
            Harm.OVERFLOW: infinite,
            Harm.UNDERFLOW: vanished,
            Harm.ULP: ulps > max_ulp,
        }
        worst = ulps.max(axis=1)
    harm, entry = np.zeros(len(value), np.int8), np.zeros(len(value), np.intp)
    for place, kind in reversed(list(enumerate(HARMS, start=1))):
        struck = masks[kind].any(axis=1)
        harm[struck] = place
        at = ulps if kind is Harm.ULP else masks[kind]
        entry[struck] = at[struck].argmax(axis=1)
    worst[np.isin(harm, (1, 2, 3))] = np.nan
    return harm, worst, entry


def _right(function: Function, x: Array, format_: Format) -> Array:
    """Return the correctly rounded results, shape (m, 1) or (m, n); see `functions.exact`."""
    if function is Function.LOGSUMEXP:
        return ladder.logsumexp(x, format_)[0][:, np.newaxis]
    compute = {Function.SOFTMAX: ladder.softmax, Function.LOG_SOFTMAX: ladder.log_softmax}
    return compute[function](x, format_)[0]


def doubtful(
    way: Way, function: Function, extent: Extent, format_: Format, max_ulp: float
) -> Array:
    """Return the numbers of the rows, from 0, that have to be evaluated to be sure.

    Parameters
    ----------
    way, function, format_, max_ulp
        As of `judge`.
    extent : Extent
        Of the rows, rounded to the format.
    """
    # float64 tells the bounds of a wider format less well than that computes
    if format_.name == "longdouble":
        return np.arange(len(extent.maximum))
    inner = _FLOAT32 if way is Way.FLOAT32 else format_
    safe = surely_right(function, way is not Way.NAIVE, extent, format_, inner, max_ulp)
    return np.flatnonzero(~safe)
