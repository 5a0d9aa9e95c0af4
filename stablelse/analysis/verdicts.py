"""The one place that gives verdicts.

`compare`, `scan`, `sweep`, streams and losses all judge by these functions, so that they agree on
every vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from stablelse.analysis.findings import kinds
from stablelse.analysis.results import DIGIT, VERDICTS, FindingKind, Verdict
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import Evaluation
from stablelse.numerics.functions import Function, ulp_error

_PLACES = {verdict: place for place, verdict in enumerate(VERDICTS)}
_LOST = _PLACES[Verdict.DIGITS_LOST]

_UNDERFLOWS = frozenset(
    {
        FindingKind.INPUT_UNDERFLOW,
        FindingKind.TERM_UNDERFLOW,
        FindingKind.QUOTIENT_UNDERFLOW,
        FindingKind.SUM_UNDERFLOW,
        FindingKind.LOG_OF_ZERO,
    }
)


class Departure(NamedTuple):
    """How far the results on m vectors are from the right ones, each array of shape (m,).

    `ulps` is infinite and `wrong_class` true where one of both alone is infinite or NaN; `error`
    and `size` are over finite entries; what has vanished is zero and should be a normal number.
    """

    ulps: Array
    error: Array
    size: Array
    wrong_class: Array
    has_nan: Array
    has_infinity: Array
    right_has_nan: Array
    has_vanished: Array

    @classmethod
    def of(cls, value: Array, right: Array, format_: Format) -> Departure:
        """Measure results, shape (m, k), against the right ones."""
        with np.errstate(all="ignore"):
            # NumPy compares half precision in software, and ml_dtypes' in a loop
            is_narrow = value.dtype.itemsize < FORMATS["float32"].dtype.itemsize
            number = FORMATS["float32"].dtype if is_narrow else value.dtype
            wide, best = value.astype(number, copy=False), right.astype(number, copy=False)
            differs = wide != best  # NaN differs from NaN
            ulps = np.zeros(value.shape)
            ulps[differs] = ulp_error(value[differs], right[differs], format_)
            is_nan, right_is_nan = np.isnan(wide), np.isnan(best)
            gaps, sizes = np.abs(wide - best), np.abs(best)
            finite = np.isfinite(wide) & np.isfinite(best)
            wrong = differs & ~finite & ~(is_nan & right_is_nan)
            gaps[~finite] = 0
            sizes[~np.isfinite(sizes)] = 0
            vanished = (wide == 0) & (sizes >= number.type(format_.smallest_normal))
        return cls(
            ulps=ulps.max(axis=-1, initial=0),
            error=gaps.max(axis=-1, initial=0),
            size=sizes.max(axis=-1, initial=0),
            wrong_class=wrong.any(axis=-1),
            has_nan=np.logical_or.reduce(is_nan, axis=-1),
            has_infinity=(wrong & (wide == np.inf)).any(axis=-1),
            has_vanished=vanished.any(axis=-1),
            right_has_nan=np.logical_or.reduce(right_is_nan, axis=-1),
        )

    def merged(self, other: Departure) -> Departure:
        """Return that of vectors of which this is one part and the other another."""
        return Departure(*(np.maximum(mine, more) for mine, more in zip(self, other, strict=True)))


class Causes(NamedTuple):
    """What happened while m vectors were evaluated, each array of shape (m,)."""

    overflowed: Array
    underflowed: Array

    @classmethod
    def none(cls, count: int) -> Causes:
        """Return that nothing is known."""
        return cls(np.zeros(count, bool), np.zeros(count, bool))

    def find(self, rows: Array, evaluation: Evaluation) -> None:
        """Put in those of the marked rows, which were evaluated."""
        for kind, where in kinds(evaluation):
            if kind is FindingKind.OVERFLOW:
                self.overflowed[rows] |= where
            elif kind in _UNDERFLOWS:
                self.underflowed[rows] |= where


def is_ruined(departure: Departure, format_: Format, function: Function | None) -> Array:
    """Tell which results have a NaN, a wrong infinity, or no right digit, shape (m,).

    No digit is right where the error is as large as the right result, of several entries the
    largest of each. Below the normal range there are few digits to lose: there it takes more than
    10 ulp besides. A probability has underflowed if it is zero and should be a normal number; a
    logarithm is zero for want of digits alone.
    """
    is_large = (departure.size >= float(format_.smallest_normal)) | (departure.ulps > DIGIT)
    digitless = (departure.error > 0) & (departure.error >= departure.size) & is_large
    ruined: Array = departure.wrong_class | departure.has_nan | digitless
    return ruined | departure.has_vanished if function is Function.SOFTMAX else ruined


def verdicts(
    departure: Departure,
    format_: Format,
    function: Function | None,
    causes: Causes,
    unfit: Array,
    max_ulp: float = DIGIT,
) -> Array:
    """Return the verdicts on m vectors: places in `VERDICTS`, shape (m,).

    `causes` are those of the ruined ones, and `unfit` is as of `does_not_fit`. A right result may
    be `max_ulp` ulps off.
    """
    found: Array = np.where(departure.ulps > max_ulp, _LOST, _PLACES[Verdict.RIGHT])
    no_number = departure.wrong_class | departure.has_nan
    may_vanish = no_number | (function is Function.SOFTMAX)
    # of what ruined a result, the last that holds is the reason
    reasons = (
        (True, Verdict.NO_DIGITS),
        (no_number | departure.has_vanished & may_vanish, Verdict.UNDERFLOW),
        (departure.has_infinity, Verdict.OVERFLOW),
        (departure.has_nan, Verdict.NAN),
        (causes.underflowed & may_vanish, Verdict.UNDERFLOW),
        (causes.overflowed, Verdict.OVERFLOW),
        (departure.right_has_nan, Verdict.NAN),
    )
    ruined = is_ruined(departure, format_, function)
    for holds, verdict in reasons:
        found[ruined & holds] = _PLACES[verdict]
    found[unfit] = _PLACES[Verdict.DOES_NOT_FIT]
    return found


def verdict_on(
    departure: Departure,
    format_: Format,
    function: Function,
    kinds: Iterable[FindingKind],
    has_unfit: bool,
) -> Verdict:
    """Return the verdict on one vector, of whose evaluation this was found."""
    found = set(kinds)
    causes = Causes(
        np.array([FindingKind.OVERFLOW in found]), np.array([bool(_UNDERFLOWS & found)])
    )
    (place,) = verdicts(departure, format_, function, causes, np.array([has_unfit]))
    return VERDICTS[int(place)]


def judge(
    value: Array,
    right: Array,
    format_: Format,
    function: Function | None,
    unfit: Array,
    evaluated: Callable[[Array], Evaluation] | None = None,
    max_ulp: float = DIGIT,
    opposite: Array | None = None,
) -> tuple[Array, Array]:
    """Return the verdicts on results, places in `VERDICTS`, and their errors in ulps, shape (m,).

    The values and the right ones have shape (m, k) and the format; `evaluated` gives the evaluation
    of the rows that are marked: the ruined ones, to tell why. An error is infinite where one of
    both alone is finite, and where a result is marked as `opposite`: it has the wrong sign. The
    rest is as of `verdicts`.
    """
    departure = Departure.of(value, right, format_)
    if opposite is not None:
        error, ulps = (np.where(opposite, np.inf, part) for part in departure[1::-1])
        departure = departure._replace(error=error, ulps=ulps)
    ruined = is_ruined(departure, format_, function)
    causes = Causes.none(len(value))
    if evaluated is not None and ruined.any():
        causes.find(ruined, evaluated(ruined))
    return verdicts(departure, format_, function, causes, unfit, max_ulp), departure.ulps


def surely_right(value: Array, right: Array, format_: Format, max_ulp: float) -> Array:
    """Tell quickly for which rows `judge` has nothing to say: finite, and close enough.

    k numbers of the format further on is at most 2 k ulps, which double at the end of a binade; and
    so few never reach from one number to another kind, or to as much as it is itself.
    """
    most = min(max_ulp, DIGIT, 2.0 ** (format_.significand_bits - 2))
    if value.dtype.itemsize not in (1, 2, 4, 8):
        return np.zeros(len(value), bool)
    # the numbers in order, as integers; those of different signs are far from each other
    code = np.dtype(f"u{value.dtype.itemsize}").type
    k = code(most / 2)
    near = value.view(code) - right.view(code) + k <= 2 * k
    finite = (right.view(code) & code(~code(0) >> 1)) <= format_.largest.view(code) - k
    sure: Array = np.logical_and.reduce(near & finite, axis=-1)
    return sure
