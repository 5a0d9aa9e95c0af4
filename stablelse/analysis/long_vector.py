"""Softmax and log_softmax of a vector too long for memory, by every method side by side.

The first pass, a `StreamState`, gives each method its shift and its sum. In the second, the
elements go through the formulas piece by piece: what went wrong in which of them is counted, and
those that are to be shown are kept. The sums are those of a loop over the pieces, so that their
last digits are not quite those of the summation tree of a vector in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stablelse.analysis.findings import Departure, find_in_part, sum_overflow, verdict_on
from stablelse.analysis.results import HEAD, TAIL, Comparison, Finding, FindingKind, MethodResult
from stablelse.analysis.stream import FormatState
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Candidate, Evaluation, evaluate_part
from stablelse.numerics.functions import Function
from stablelse.numerics.running import PIECE, piece_sum
from stablelse.numerics.states import Whole


class LongVector:
    """The second pass over a vector, every method side by side; `sides` are of the first pass."""

    def __init__(
        self,
        function: Function,
        candidates: Sequence[Candidate],
        sides: Sequence[FormatState],
        wholes: Sequence[Whole],
    ) -> None:
        self._function, self._first = function, sides[0]
        self._formats = [
            (side.format, whole, [_Column(function, candidate, side) for candidate in candidates])
            for side, whole in zip(sides, wholes, strict=True)
        ]
        self.count = 0
        self._kept: dict[int, Any] = {}
        self._tail: deque[tuple[int, Any]] = deque(maxlen=TAIL)
        self._extremes: dict[str, tuple[int, Any]] = {}

    def update(self, x: Array) -> None:
        """Take in the numbers that follow, shape (n,), as they were before any rounding."""
        for begin in range(0, len(x), PIECE):
            piece = x[begin : begin + PIECE]
            self._keep(piece)
            for format_, whole, columns in self._formats:
                right = whole.elements(self._function, format_.round(piece), format_)
                for column in columns:
                    for index in column.update(piece, right, self.count):
                        self._kept[self.count + index] = piece[index]
            self.count += len(piece)

    def _keep(self, x: Array) -> None:
        """Keep what is shown of any vector: the head, the tail and the extremes."""
        for index in range(min(len(x), HEAD - self.count)):
            self._kept[self.count + index] = x[index]
        first = max(0, len(x) - TAIL)
        self._tail.extend((self.count + i, x[i]) for i in range(first, len(x)))
        for name, index in (("max", int(np.argmax(x))), ("min", int(np.argmin(x)))):
            known = self._extremes.get(name)
            further = np.greater if name == "max" else np.less
            if known is None or further(x[index], known[1]):
                self._extremes[name] = (self.count + index, x[index])

    def result(self, source: str | None) -> Comparison:
        """Return what became of every method; the arrays hold the elements that are shown."""
        kept = self._kept | dict(self._tail) | dict(self._extremes.values())
        places = sorted(kept)
        x = np.array([kept[place] for place in places])
        results = []
        for format_, whole, columns in self._formats:
            right = whole.elements(self._function, format_.round(x), format_)
            results += [column.result(x, right) for column in columns]
        return Comparison(
            function=self._function,
            source=source,
            n=self.count,
            x=x,
            minimum=self._first.minimum,
            maximum=self._first.maximum,
            value=results[-1].value,
            results=tuple(results),
            elements=places,
        )


class _Column:
    """One method in one format: its elements are held against the right ones, piece by piece."""

    def __init__(self, function: Function, candidate: Candidate, side: FormatState) -> None:
        self._function, self._candidate, self._side = function, candidate, side
        nothing = np.empty((1, 0), side.format.dtype)
        self._departure = Departure.of(nothing, nothing, side.format)
        self._total = side.format.dtype.type(0)
        self._found: dict[tuple[str, FindingKind], Finding] = {}
        self._terms_are_finite = True

    def _evaluation(self, x: Array) -> Evaluation | None:
        if self._candidate.formula is None:
            return None
        reduced = self._side.reduced(self._candidate.method)
        return evaluate_part(self._candidate.formula, x, self._side.format, reduced)

    def update(self, x: Array, right: Array, before: int) -> set[int]:
        """Take in a piece, and return which of its elements are the first of their trouble."""
        evaluation = self._evaluation(x)
        values = right if evaluation is None else evaluation.value
        piece = Departure.of(values[np.newaxis], right[np.newaxis], self._side.format)
        self._departure = self._departure.merged(piece)
        with np.errstate(all="ignore"):
            self._total = self._total + piece_sum(self._side.format)(values)
        return set() if evaluation is None else self._look(evaluation, before)

    def _look(self, evaluation: Evaluation, before: int) -> set[int]:
        """Find what went wrong in a piece, and return which of its elements were the first."""
        self._terms_are_finite &= bool(np.isfinite(evaluation.results["e"]).all())
        firsts = set()
        for finding in find_in_part(evaluation, self._side.right.count):
            key = (finding.symbol, finding.kind)
            known, at = self._found.get(key), finding.element
            if known is None:
                self._found[key] = replace(finding, element=None if at is None else before + at)
                firsts |= set() if at is None else {at - 1}
            elif at is not None:
                self._found[key] = replace(
                    known,
                    occurrences=known.occurrences + finding.occurrences,
                    harmless=known.harmless and finding.harmless,
                )
        return firsts

    def result(self, x: Array, right: Array) -> MethodResult:
        """Return what became of the method; x holds the elements that are shown."""
        evaluation = self._evaluation(x)
        findings = () if evaluation is None else self._findings(evaluation)
        format_, shift = self._side.format, self._candidate.shift
        return MethodResult(
            method=self._candidate.method,
            format=format_.name,
            shift=shift.name if shift else None,
            a=evaluation.results["a"][0] if evaluation and shift else None,
            value=right if evaluation is None else evaluation.value,
            total=self._total if self._function is Function.SOFTMAX else None,
            ulps=float(self._departure.ulps[0]),
            error_bound=0.5 if evaluation is None else None,
            verdict=verdict_on(
                self._departure, format_, self._function, findings, self._side.has_unfit
            ),
            findings=findings,
            evaluation=evaluation,
        )

    def _findings(self, evaluation: Evaluation) -> tuple[Finding, ...]:
        """Return what was found, in the order of the operations, with its places in the part."""
        found = dict(self._found)
        total = evaluation.results["s"][0]
        if self._terms_are_finite and not np.isfinite(total):
            overflow = sum_overflow(total, self._side.format)
            found[overflow.symbol, overflow.kind] = overflow
        here = {
            (f.symbol, f.kind): f.indices for f in find_in_part(evaluation, self._side.right.count)
        }
        order = [operation.symbol for operation in evaluation.operations]
        return tuple(
            replace(found[key], indices=here.get(key, np.empty(0, np.intp)))
            for key in sorted(found, key=lambda key: order.index(key[0]))
        )
