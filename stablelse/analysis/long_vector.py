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

from stablelse.analysis.findings import find_in_part, sum_overflow
from stablelse.analysis.results import (
    HEAD,
    TAIL,
    VERDICTS,
    Comparison,
    Finding,
    FindingKind,
    MethodResult,
    Verdict,
)
from stablelse.analysis.stream import FormatState
from stablelse.analysis.verdicts import Causes, Departure, verdicts
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import Candidate
from stablelse.numerics.formulas.formula import Evaluation, Method, evaluate_part
from stablelse.numerics.functions import Function
from stablelse.numerics.running import PIECE, Whole, piece_sum


class LongVector:
    """The second pass over a vector, every method side by side.

    Parameters
    ----------
    function : Function
        Softmax or log_softmax.
    candidates : sequence of Candidate
        The methods, of which the first pass adds up the sums: not the division-free, and shifted
        by the largest number alone.
    sides : sequence of FormatState
        What the first pass found, in each format.
    wholes : sequence of Whole
        The vector, rounded to each of the formats.
    """

    def __init__(
        self,
        function: Function,
        candidates: Sequence[Candidate],
        sides: Sequence[FormatState],
        wholes: Sequence[Whole],
    ) -> None:
        self._function = function
        self._columns = [
            _Columns(function, candidates, side, whole)
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
            for columns in self._columns:
                for index in columns.update(piece, self.count):
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
        places = np.array(sorted(kept))
        x = np.array([kept[place] for place in places.tolist()])
        results = [result for columns in self._columns for result in columns.results(x)]
        return Comparison(
            function=self._function,
            source=source,
            n=self.count,
            minimum=self._columns[0].side.minimum,
            maximum=self._columns[0].side.maximum,
            value=results[-1].value,
            results=tuple(results),
            x=x,
            elements=places.tolist(),
        )


class _Columns:
    """Every method in one format."""

    def __init__(
        self, function: Function, candidates: Sequence[Candidate], side: FormatState, whole: Whole
    ) -> None:
        self._function, self._format, self._whole = function, side.format, whole
        self.side = side
        self._formulas = [
            _Formula(candidate, side) for candidate in candidates if candidate.formula is not None
        ]
        is_shown = any(candidate.formula is None for candidate in candidates)
        self._exact = _Held(side) if is_shown else None

    def update(self, x: Array, before: int) -> set[int]:
        """Take in a piece, and return which of its elements are the first of their trouble."""
        right = self._right(x)
        if self._exact:
            self._exact.take(right, right)
        return {index for f in self._formulas for index in f.update(x, right, before)}

    def _right(self, x: Array) -> Array:
        """Return the exact values."""
        return self._whole.elements(self._function, self._format.round(x), self._format)

    def results(self, x: Array) -> list[MethodResult]:
        """Return what became of the methods; x holds the elements that are shown."""
        found = [formula.result(x, self._function) for formula in self._formulas]
        if self._exact:
            exact = Candidate(Method.EXACT)
            found.append(_result(exact, self._exact, self._right(x), self._function))
        return found


class _Held:
    """Elements held against the right ones."""

    def __init__(self, side: FormatState) -> None:
        self.format: Format = side.format
        self._side = side
        self.total = side.format.dtype.type(0)
        nothing = np.empty((1, 0), side.format.dtype)
        self._departure = Departure.of(nothing, nothing, side.format)

    def take(self, values: Array, right: Array) -> None:
        """Take in the values of a piece."""
        piece = Departure.of(values[np.newaxis], right[np.newaxis], self.format)
        self._departure = self._departure.merged(piece)
        with np.errstate(all="ignore"):
            self.total = self.total + piece_sum(self.format)(values)

    @property
    def ulps(self) -> float:
        """The largest error so far."""
        return float(self._departure.ulps[0])

    def verdict(self, function: Function, findings: Sequence[Finding]) -> Verdict:
        """Return what became of a method of which this was found."""
        causes = Causes.found(finding.kind for finding in findings)
        unfit = np.array([self._side.has_unfit])
        (place,) = verdicts(self._departure, self.format, function, causes, unfit)
        return VERDICTS[int(place)]


class _Formula:
    """A formula, of which the shift and the sum are known."""

    def __init__(self, candidate: Candidate, side: FormatState) -> None:
        self._candidate, self._n = candidate, side.right.count
        self._held = _Held(side)
        self._found: dict[tuple[str, FindingKind], Finding] = {}
        self._terms_are_finite = True
        self._reduced = side.reduced(candidate.method)

    def _evaluation(self, x: Array) -> Evaluation:
        assert self._candidate.formula is not None
        return evaluate_part(self._candidate.formula, x, self._held.format, self._reduced)

    def update(self, x: Array, right: Array, before: int) -> set[int]:
        """Take in a piece, and return which of its elements are the first of their trouble."""
        evaluation = self._evaluation(x)
        self._terms_are_finite &= bool(np.isfinite(evaluation.results["e"]).all())
        firsts = set()
        for finding in find_in_part(evaluation, self._n):
            key = (finding.symbol, finding.kind)
            known = self._found.get(key)
            if known is None:
                at = finding.element
                self._found[key] = replace(finding, element=None if at is None else before + at)
                firsts |= set() if at is None else {at - 1}
            elif finding.element is not None:
                self._found[key] = replace(
                    known,
                    occurrences=known.occurrences + finding.occurrences,
                    harmless=known.harmless and finding.harmless,
                )
        self._held.take(evaluation.value, right)
        return firsts

    def result(self, x: Array, function: Function) -> MethodResult:
        """Return what became of the formula; x holds the elements that are shown."""
        evaluation = self._evaluation(x)
        findings = self._findings(evaluation)
        return _result(
            self._candidate, self._held, evaluation.value, function, findings, evaluation
        )

    def _findings(self, evaluation: Evaluation) -> list[Finding]:
        """Return what was found, in the order of the operations, with its places in the part."""
        here = {(f.symbol, f.kind): f.indices for f in find_in_part(evaluation, self._n)}
        found = dict(self._found)
        (total,) = self._reduced["s"].tolist()
        if self._terms_are_finite and not np.isfinite(total):
            overflow = sum_overflow(self._reduced["s"][0], self._held.format)
            found[overflow.symbol, overflow.kind] = overflow
        order = [operation.symbol for operation in evaluation.operations]
        nowhere = np.empty(0, np.intp)
        return [
            replace(found[key], indices=here.get(key, nowhere))
            for key in sorted(found, key=lambda key: order.index(key[0]))
        ]


def _result(
    candidate: Candidate,
    held: _Held,
    value: Array,
    function: Function,
    findings: Sequence[Finding] = (),
    evaluation: Evaluation | None = None,
) -> MethodResult:
    return MethodResult(
        method=candidate.method,
        format=held.format.name,
        shift=candidate.shift.name if candidate.shift else None,
        a=evaluation.results["a"][0] if evaluation and candidate.shift else None,
        value=value,
        total=held.total if function is Function.SOFTMAX else None,
        ulps=held.ulps,
        error_bound=0.5 if candidate.formula is None else None,
        verdict=held.verdict(function, findings),
        findings=tuple(findings),
        evaluation=evaluation,
    )
