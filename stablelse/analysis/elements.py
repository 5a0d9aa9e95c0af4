"""Softmax and log_softmax of a vector too long for memory: read twice, and shown in a few elements.

The verdicts and the findings are about all elements. They are those of a vector in memory, except
that nothing looks for digits that sums lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from stablelse.analysis.findings import Departure, find_in_part, overflow
from stablelse.analysis.results import Comparison, Elements, MethodResult
from stablelse.analysis.stream import FormatState, Found, Parts, StreamState
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Candidate, Evaluation, evaluate_part, pairwise_sum
from stablelse.numerics.functions import Function
from stablelse.numerics.running import PIECE
from stablelse.numerics.states import Whole

#: How many elements are always shown at the beginning and at the end.
_HEAD, _TAIL = 6, 3


class LongVector:
    """Softmax or log_softmax of a vector too long for memory, once a state has seen all of it.

    The numbers are read for the sums, for what went wrong, and whenever all elements are listed.
    """

    def __init__(
        self,
        function: Function,
        candidates: Sequence[Candidate],
        state: StreamState,
        parts: Parts,
    ) -> None:
        self._function, self._state, self._parts = function, state, parts
        self._sides = [
            [_LongColumn(function, each, side, whole) for each in candidates]
            for side, whole in [(side, side.whole(parts)) for side in state.sides]
        ]
        self._columns = [column for columns in self._sides for column in columns]
        self._kept: dict[int, Any] = {}
        self._tail: deque[tuple[int, Any]] = deque(maxlen=_TAIL)
        self._ends: list[tuple[int, Any]] = []  # the largest and the smallest element
        with np.errstate(all="ignore"):
            for x in self._pieces():
                for column in self._columns:
                    column.add(x)
            for column in self._columns:
                column.add_up()
            before = 0
            for x in self._pieces():
                self._update(x, before)
                before += len(x)

    def _pieces(self) -> Iterator[Array]:
        """Read the numbers, before any rounding, in whole branches of the summation tree."""
        rest: list[Array] = []
        for part in self._parts():
            rest.append(part)
            if sum(map(len, rest)) >= PIECE:
                x = np.concatenate(rest)
                end = len(x) // PIECE * PIECE
                yield from x[:end].reshape(-1, PIECE)
                rest = [x[end:]]
        if any(map(len, rest)):
            yield np.concatenate(rest)

    def _update(self, x: Array, before: int) -> None:
        """Compare the next elements; keep those that are shown: the first ones with trouble too."""
        wanted = set(range(min(len(x), _HEAD - before)))
        for columns in self._sides:
            right = columns[0].right(x)
            for column in columns:
                wanted |= column.update(x, right, before)
        self._kept |= {before + index: x[index] for index in wanted}
        self._tail.extend((before + i, x[i]) for i in range(max(0, len(x) - _TAIL), len(x)))
        ends = [*self._ends, *((before + int(i), x[i]) for i in (np.argmax(x), np.argmin(x)))]
        self._ends = [choose(ends, key=itemgetter(1)) for choose in (max, min)]

    def result(self, is_whole: bool = False) -> Comparison:
        """Return the results of all methods, on all elements or only on those that are shown."""
        state, first = self._state, self._columns[0]
        kept = self._kept | dict([*self._tail, *self._ends])
        shown = sorted(kept)
        x = np.array([kept[element] for element in shown])
        with np.errstate(all="ignore"):
            results = [column.result(x) for column in self._columns]
            facts: dict[str, Any] = {"x": x, "value": first.right(x), "elements": shown}
        if is_whole:
            results = [
                replace(result, value=Elements(partial(self._each, column.values)))
                for column, result in zip(self._columns, results, strict=True)
            ]
            facts = {
                "x": Elements(self._pieces),
                "value": Elements(partial(self._each, first.right)),
                "elements": range(state.count),
            }
        return Comparison(
            function=self._function,
            source=state.source,
            n=state.count,
            minimum=state.sides[0].minimum,
            maximum=state.sides[0].maximum,
            results=tuple(results),
            **facts,
        )

    def _each(self, elements_of: Callable[[Array], Array]) -> Iterator[Array]:
        return map(elements_of, self._pieces())


class _LongColumn:
    """One method in one format: its elements are compared with the right ones, piece by piece."""

    def __init__(
        self, function: Function, candidate: Candidate, side: FormatState, whole: Whole
    ) -> None:
        self._function, self._candidate, self._side = function, candidate, side
        self._whole, self._format = whole, side.format
        nothing = np.empty((1, 0), self._format.dtype)
        self._departure = Departure.of(nothing, nothing, self._format)
        self._found = Found()
        self._sums: list[Array] = []
        self._totals: list[Array] = []
        self._terms_are_finite = True
        self._reduced: dict[str, Array] = {}
        if candidate.shift is not None:
            ends = np.array([side.minimum, side.maximum])
            a = self._reduced["a"] = self._format.round(candidate.shift.rule(ends))
            if np.isfinite(ends).all() and not np.isfinite(a[0]):
                self._found.add(overflow("a", a[0], self._format))

    def right(self, x: Array) -> Array:
        """Return the exact elements."""
        return self._whole.elements(self._function, self._format.round(x), self._format)

    def values(self, x: Array) -> Array:
        """Return the method's elements."""
        return self.right(x) if self._candidate.formula is None else self._evaluation(x).value

    def _evaluation(self, x: Array) -> Evaluation:
        assert self._candidate.formula is not None
        return evaluate_part(self._candidate.formula, x, self._format, self._reduced)

    def add(self, x: Array) -> None:
        """Add the terms of a piece."""
        if self._candidate.formula is not None:
            terms = self._evaluation(x).results["e"]
            self._terms_are_finite &= bool(np.isfinite(terms).all())
            self._sums.append(pairwise_sum(terms))

    def add_up(self) -> None:
        """Add up the sums of all pieces."""
        if self._sums:
            s = self._reduced["s"] = pairwise_sum(np.concatenate(self._sums))
            if self._terms_are_finite and not np.isfinite(s[0]):
                self._found.add(overflow("s", s[0], self._format))

    def update(self, x: Array, right: Array, before: int) -> set[int]:
        """Compare a piece, and return which of its elements are the first with some trouble."""
        values, firsts = right, set()
        if self._candidate.formula is not None:
            evaluation = self._evaluation(x)
            values = evaluation.value
            for finding in find_in_part(evaluation, self._side.right.count):
                at = finding.element
                moved = finding if at is None else replace(finding, element=before + at)
                if self._found.add(moved) and at is not None:
                    firsts.add(at - 1)
        piece = Departure.of(values[np.newaxis], right[np.newaxis], self._format)
        self._departure = self._departure.merged(piece)
        self._totals.append(pairwise_sum(values))
        return firsts

    def result(self, x: Array) -> MethodResult:
        """Return the method's result on the elements that are shown."""
        candidate = self._candidate
        facts: dict[str, Any] = {"value": self.values(x)}
        if candidate.formula is None:
            facts |= {"error_bound": 0.5, "findings": ()}
        else:
            evaluation = self._evaluation(x)
            shown = find_in_part(evaluation, self._side.right.count)
            here = {(each.symbol, each.kind): each.indices for each in shown}
            facts["evaluation"] = evaluation
            facts["findings"] = tuple(
                replace(found, indices=here.get((found.symbol, found.kind), found.indices[:0]))
                for found in self._found.of(candidate.formula)
            )
        if candidate.shift is not None:
            facts |= {"shift": candidate.shift.name, "a": self._reduced["a"][0]}
        if self._function is Function.SOFTMAX:
            facts["total"] = pairwise_sum(np.concatenate(self._totals))[0]
        return self._side.described(
            self._function, self._departure, method=candidate.method, **facts
        )
