"""Every method in one format on a stream, a piece at a time, and what is found on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from stablelse.analysis.results import VERDICTS, FindingKind, Verdict
from stablelse.analysis.stream import StreamFinding, StreamResult
from stablelse.analysis.stream_accuracy import Range, bounded, measured
from stablelse.analysis.stream_places import Fact, Where, moved, sum_overflow, sum_underflow
from stablelse.analysis.verdicts import Causes, Departure, verdicts
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.formats import Array, Format, find_format
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function
from stablelse.numerics.running import (
    PIECE,
    RunningLogSumExp,
    RunningNaive,
    RunningShifted,
    Whole,
    piece_sum,
)

#: What was found, by the method and the operation.
_Key = tuple[Method, str, FindingKind]


class Side:
    """Every method in one format.

    Parameters
    ----------
    dtype : str
        The format.
    plain : bool
        Whether a textbook's values are computed beside it.

    Attributes
    ----------
    format : Format
        The format.
    naive, shifted : RunningNaive, RunningShifted
        What a textbook makes of the numbers.
    right : RunningLogSumExp
        What is right.
    minimum, maximum : scalar
        The smallest and the largest number so far, in the format.
    least : float
        The smallest finite one.
    has_unfit : bool
        Whether a finite number is too large for the format.
    found : dict
        What was found so far, by method, symbol and kind.
    """

    def __init__(self, dtype: str, plain: bool) -> None:
        self.format: Format = find_format(dtype)
        self.plain = plain
        self.naive = RunningNaive(dtype)
        self.shifted = RunningShifted(dtype)
        self.right = RunningLogSumExp(dtype)
        self.minimum, self.maximum = self.format.round([np.inf, -np.inf])
        self.least = np.inf
        self.has_unfit = False
        self.found: dict[_Key, StreamFinding] = {}
        self._settled: tuple[Any, Rung] | None = None

    def update(self, x: Array, where: Where) -> None:
        """Take in a vector of numbers that lie there."""
        scratch = np.empty(min(PIECE, len(x)), self.format.dtype)
        for begin in range(0, len(x), PIECE):
            raw = x[begin : begin + PIECE]
            piece = raw if raw.dtype == self.format.dtype else self.format.round(raw)
            self._take(raw, piece, scratch[: len(piece)], where, begin)

    def _take(self, raw: Array, x: Array, scratch: Array, where: Where, begin: int) -> None:
        x_min, x_max = np.minimum.reduce(x), np.maximum.reduce(x)
        self.minimum = np.minimum(self.minimum, x_min)
        self.maximum = np.maximum(self.maximum, x_max)
        finite = x[x > -np.inf] if x_min == -np.inf else x
        least = x_min if finite is x else np.min(finite) if finite.size else np.inf
        self.least = min(self.least, float(least))
        if not np.isfinite(x_max - x_min):
            self._look_at_infinite(raw, x, where, begin)
        if self.plain:
            if not x_max <= self.format.overflow_threshold:
                self._look_at_terms(x, where, begin)
            self._take_naive(x, scratch, where, begin)
            self._take_shifted(x, x_max, scratch, where, begin)
        self.right.update(x)

    def _take_shifted(self, x: Array, x_max: Any, scratch: Array, where: Where, begin: int) -> None:
        before = self.shifted.total
        self.shifted.take(x, x_max, scratch)
        if np.isfinite(before) and np.isinf(self.shifted.total):
            self._find(
                Method.SHIFTED, "s", sum_overflow(self.format), where.place(begin + _last(x))
            )

    def _take_naive(self, x: Array, scratch: Array, where: Where, begin: int) -> None:
        self.naive.count += len(x)
        before = self.naive.total
        if self.naive.is_settled:
            if np.isnan(self.maximum):
                self.naive.total = self.maximum
            return
        terms = np.exp(x, out=scratch)
        total = piece_sum(self.format)(terms)
        self.naive.add(total)
        had_term = (Method.NAIVE, "e", FindingKind.OVERFLOW) in self.found
        if np.isinf(self.naive.total) and np.isfinite(terms).all() and not had_term:
            sums = np.cumsum(terms) + before
            index = int(np.argmax(np.isinf(sums))) if np.isinf(sums[-1]) else _last(x)
            self._find(Method.NAIVE, "s", sum_overflow(self.format), where.place(begin + index))

    def _look_at_terms(self, x: Array, where: Where, begin: int) -> None:
        """Find the numbers whose exponentials overflow."""
        overflows = (x > self.format.overflow_threshold) & np.isfinite(x)
        if overflows.any():
            index = int(np.argmax(overflows))
            fact = Fact(
                FindingKind.OVERFLOW,
                (x[index],),
                np.exp(x[index]),
                self.format.overflow_threshold,
                int(np.count_nonzero(overflows)),
            )
            self._find(Method.NAIVE, "e", fact, where.place(begin + index))

    def _look_at_infinite(self, raw: Array, x: Array, where: Where, begin: int) -> None:
        """Find the numbers that are too large for the format, and those without a difference."""
        broken = np.isfinite(raw) & ~np.isfinite(x)
        if broken.any():
            self.has_unfit = True
            index = int(np.argmax(broken))
            count = int(np.count_nonzero(broken))
            fact = Fact(
                FindingKind.INPUT_OVERFLOW, (raw[index],), x[index], self.format.largest, count
            )
            for method in (Method.NAIVE, Method.SHIFTED):
                self._find(method, "x", fact, where.place(begin + index))
        infinite = x == np.inf
        if infinite.any():
            index = int(np.argmax(infinite))
            operands = (x[index], x[index])
            count = int(np.count_nonzero(infinite))
            fact = Fact(FindingKind.INVALID, operands, x[index] - x[index], None, count)
            self._find(Method.SHIFTED, "d", fact, where.place(begin + index))

    def _find(self, method: Method, symbol: str, fact: Fact, place: dict[str, Any]) -> None:
        key = (method, symbol, fact.kind)
        if key in self.found:
            known = self.found[key]
            self.found[key] = known._replace(occurrences=known.occurrences + fact.occurrences)
        else:
            self.found[key] = StreamFinding(symbol=symbol, **fact._asdict(), **place)

    def merge(self, other: Side, first: str, rows: int, end: dict[str, Any]) -> None:
        """Take in what another one has seen that follows.

        Parameters
        ----------
        other : Side
            Of the same format.
        first : str
            The source that it begins with.
        rows : int
            How many rows of that lie before its own.
        end : dict
            The place of its last number.
        """
        with np.errstate(all="ignore"):
            for method, mine, theirs in (
                (Method.NAIVE, self.naive, other.naive),
                (Method.SHIFTED, self.shifted, other.shifted),
            ):
                were_finite = np.isfinite(mine.total) and np.isfinite(theirs.total)
                mine.merge(theirs)  # type: ignore[arg-type]  # both are of the same kind
                if were_finite and np.isinf(mine.total):
                    self._find(method, "s", sum_overflow(self.format), end)
        self.right.merge(other.right)
        self.minimum = np.minimum(self.minimum, other.minimum)
        self.maximum = np.maximum(self.maximum, other.maximum)
        self.least = min(self.least, other.least)
        self.has_unfit |= other.has_unfit
        count = end["element"] - other.right.count
        for key, found in other.found.items():
            if key in self.found:
                known = self.found[key]
                found = known._replace(occurrences=known.occurrences + found.occurrences)
            else:
                found = moved(found, rows if found.source == (first or None) else 0, count)
            self.found[key] = found

    def best(self) -> tuple[Any, Certificate]:
        """Return the right value as far as it is known, and how far that is."""
        if self._settled is not None:
            value, rung = self._settled
            return value, Certificate({rung: 1}, 1, 0.0)
        value, certificate = self.right.result(return_certificate=True)
        assert isinstance(certificate, Certificate)
        return value, certificate

    def settle(self, parts: Callable[[], Iterable[Array]]) -> None:
        """Round the certified value, if it is in doubt, from more digits of the numbers."""
        if not self.is_kept:
            whole = Whole(self.right.state, lambda: map(self.format.round, parts()))
            self._settled = whole.rounded(self.format)

    @property
    def is_kept(self) -> bool:
        """Whether the right value is certified."""
        return bool(self.best()[1].settled)

    def results(self) -> list[StreamResult]:
        """Return what became of every method."""
        value, certificate = self.best()
        # What is not proved never reads as 0.5: the sum of a small bound and 0.5 can round to it.
        bound = 0.5 if certificate.settled else max(0.51, float(certificate.bound) + 0.5)
        relative, digits = self._measured(value, value)
        best = np.array([[value]])
        naive, shifted = self.naive, self.shifted
        plain = [
            self._held(Method.NAIVE, naive.result(), naive.total, None, value),
            self._held(Method.SHIFTED, shifted.result(), shifted.total, shifted.shift, value),
        ]
        return [
            *(plain if self.plain else []),
            StreamResult(
                method=Method.EXACT,
                format=self.format.name,
                shift=None,
                a=None,
                value=value,
                ulps=0.0 if certificate.settled else None,
                relative_error=relative,
                correct_digits=digits,
                bound=None,
                theorem=None,
                error_bound=bound,
                verdict=self._verdict(Departure.of(best, best, self.format), []),
                findings=(),
            ),
        ]

    def _verdict(self, departure: Departure, found: Sequence[FindingKind]) -> Verdict:
        """Return what became of a result of which this was found."""
        unfit = np.array([self.has_unfit])
        causes = Causes.found(found)
        (place,) = verdicts(departure, self.format, Function.LOGSUMEXP, causes, unfit)
        return VERDICTS[int(place)]

    def _measured(self, value: Any, right: Any) -> tuple[float | None, float | None]:
        """Return the relative error of a value and its correct digits."""
        return measured(value, right, self.right.log_sum(), self.format)

    def _held(self, method: Method, value: Any, total: Any, a: Any, right: Any) -> StreamResult:
        """Hold a textbook's value, and the sum it is made of, against the right one."""
        findings = [found for (whose, *_), found in self.found.items() if whose is method]
        if method is Method.NAIVE and self.naive.total == 0 and np.isfinite(right):
            findings.append(sum_underflow(self.naive.total, value))
        departure = Departure.of(np.array([[value]]), np.array([[right]]), self.format)
        verdict = self._verdict(departure, [found.kind for found in findings])
        relative, digits = self._measured(value, right)
        bound, theorem = None, None
        if not findings:
            x = Range(self.right.count, self.least, float(self.maximum))
            bound, theorem = bounded(method, self.format, x, total, self.right.log_sum().high)
        order = list(FindingKind)
        return StreamResult(
            method=method,
            format=self.format.name,
            shift=None if method is Method.NAIVE else "max",
            a=a,
            value=value,
            ulps=float(departure.ulps[0]),
            relative_error=relative,
            correct_digits=digits,
            bound=bound,
            theorem=theorem,
            error_bound=None,
            verdict=verdict,
            findings=tuple(sorted(findings, key=lambda found: order.index(found.kind))),
        )


def _last(x: Array) -> int:
    return len(x) - 1
