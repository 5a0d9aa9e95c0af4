"""Softmax and log_softmax of vectors too long for memory, by every method and piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from stablelse.analysis.findings import (
    HARM,
    Departure,
    absorbed,
    additions,
    find_in_part,
    find_losses,
    is_exact,
    smallest_of,
    span_of,
    sum_overflow,
)
from stablelse.analysis.results import (
    HEAD,
    LOSSES,
    TAIL,
    VERDICTS,
    Comparison,
    Elements,
    Finding,
    FindingKind,
    MethodResult,
    Verdict,
)
from stablelse.analysis.stream import FormatState, Found, Parts, StreamState
from stablelse.numerics.bounds import ElementaryErrors, bound_of, coefficients, logsumexp_of
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas import Candidate, Evaluation, evaluate_part, pairwise_sum
from stablelse.numerics.functions import Function, condition_number
from stablelse.numerics.running import PIECE
from stablelse.numerics.states import Whole


class LongVector:
    """Softmax or log_softmax of a vector too long for memory, once a state has seen all of it.

    The numbers are read for the sums, for what went wrong, for digits that were lost, if any were,
    and whenever all elements are listed. The results are those of a vector in memory.
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
            [_Column(function, each, side, whole) for each in candidates]
            for side, whole in [(side, side.whole(parts)) for side in state.sides]
        ]
        self._columns = [column for columns in self._sides for column in columns]
        self._kept: dict[int, Any] = {}
        self._tail: deque[tuple[int, Any]] = deque(maxlen=TAIL)
        self._extremes: dict[str, tuple[int, Any]] = {}
        self._largest, self._least = np.empty(0), np.inf
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
            before, wrong = 0, [column for column in self._columns if column.is_wrong]
            for x in self._pieces() if wrong else ():
                for column in wrong:
                    self._kept |= {before + i: x[i] for i in column.search(x, before)}
                before += len(x)
            for column in wrong:
                column.search_sums(before)

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
        """Compare the next elements, and keep the first ones with some trouble."""
        self._keep(x, before)
        for columns in self._sides:
            right = columns[0].right(x)
            for column in columns:
                self._kept |= {before + i: x[i] for i in column.update(x, right, before)}

    def _keep(self, x: Array, before: int) -> None:
        """Keep the elements that are always shown, and the numbers that bounds depend on."""
        for index in range(min(len(x), HEAD - before)):
            self._kept[before + index] = x[index]
        first = max(0, len(x) - TAIL)
        self._tail.extend((before + i, x[i]) for i in range(first, len(x)))
        for name, index in (("max", int(np.argmax(x))), ("min", int(np.argmin(x)))):
            known = self._extremes.get(name)
            further = np.greater if name == "max" else np.less
            if known is None or further(x[index], known[1]):
                self._extremes[name] = (before + index, x[index])
        largest = np.partition(x, -2)[-2:] if len(x) > 1 else x
        self._largest = np.sort(np.concatenate([self._largest, largest]))[-2:]
        self._least = np.min(x, where=x > -np.inf, initial=self._least)

    def result(self, is_whole: bool = False) -> Comparison:
        """Return the results of all methods, on all elements or only on those that are shown."""
        state = self._state
        kept = self._kept | dict(self._tail) | dict(self._extremes.values())
        facts: dict[str, Any] = {"elements": sorted(kept)}
        x = facts["x"] = np.array([kept[place] for place in facts["elements"]])
        with np.errstate(all="ignore"):
            results = [column.result(x) for column in self._columns]
            facts["value"] = self._columns[0].right(x)
            if is_whole:
                ends = self._largest
                if ends[-1] != -np.inf:
                    ends = np.append(ends, self._least)
                first = self._columns[0]
                rounded = state.sides[0].format.round(ends)[np.newaxis]
                exact = first.right(ends)[np.newaxis]
                condition = float(condition_number(self._function, rounded, exact)[0])
                facts = {
                    "x": Elements(self._pieces),
                    "value": Elements(lambda: map(first.right, self._pieces())),
                    "elements": range(state.count),
                    "condition_number": None if np.isnan(condition) else condition,
                }
                results = [
                    column.listed(found, self._pieces, ends, state.count)
                    for column, found in zip(self._columns, results, strict=True)
                ]
        return Comparison(
            function=self._function,
            source=state.source,
            n=state.count,
            minimum=state.sides[0].minimum,
            maximum=state.sides[0].maximum,
            results=tuple(results),
            **facts,
        )


class _Column:
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
        self._smallest: Any = np.inf
        self._has_exact_sum = False
        # By the depth in the tree: how many sums absorbed an operand, and the first one.
        self._absorbed: dict[int, list[Any]] = {}
        self._lost = 0.0
        self._reduced: dict[str, Array] = {}
        if candidate.shift is not None:
            ends = np.array([side.minimum, side.maximum])
            self._reduced["a"] = self._format.round(candidate.shift.rule(ends))

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
            self._reduced["s"] = pairwise_sum(np.concatenate(self._sums))

    def update(self, x: Array, right: Array, before: int) -> set[int]:
        """Compare a piece, and return which of its elements are the first with some trouble."""
        values, firsts = right, set[int]()
        if self._candidate.formula is not None:
            evaluation = self._evaluation(x)
            values = evaluation.value
            firsts = self._add_findings(find_in_part(evaluation, self._side.right.count), before)
            self._smallest = np.minimum(self._smallest, smallest_of(evaluation, None).min())
            self._has_exact_sum |= bool(is_exact(evaluation).any())
        piece = Departure.of(values[np.newaxis], right[np.newaxis], self._format)
        self._departure = self._departure.merged(piece)
        self._totals.append(pairwise_sum(values))
        return firsts

    def _add_findings(self, found: Iterable[Finding], before: int) -> set[int]:
        firsts = set()
        for finding in found:
            at = finding.element
            moved = finding if at is None else replace(finding, element=before + at)
            if self._found.add(moved) and at is not None:
                firsts.add(at - 1)
        return firsts

    @property
    def is_wrong(self) -> bool:
        """Whether digits or more were lost."""
        unfit = np.array([self._side.has_unfit])
        (code,) = self._departure.verdicts(self._format, self._function, False, False, unfit)
        return self._candidate.formula is not None and VERDICTS[code] is not Verdict.RIGHT

    def _losses(self, evaluation: Evaluation) -> Iterable[Finding]:
        return find_losses(evaluation, self._smallest, self._has_exact_sum) if self.is_wrong else ()

    def search(self, x: Array, before: int) -> set[int]:
        """Search a piece for lost digits, and return which elements are the first with some."""
        evaluation, levels = self._evaluation(x), list[Array]()
        pairwise_sum(evaluation.results["e"], levels)
        self._search_sum(levels, before, 0)
        return self._add_findings(self._losses(evaluation), before)

    def _search_sum(self, levels: list[Array], before: int, depth: int) -> None:
        """Search a branch of the tree for what its sums absorbed; it begins at this depth."""
        for low, (left, right, total) in enumerate(additions(levels), start=depth + 1):
            where = absorbed(left, right, total)
            if where.any():
                missed = np.where(where, np.minimum(abs(left), abs(right)), 0)
                self._lost += float(missed.astype(np.float64).sum())
                i = int(np.argmax(where))
                first = [0, (before >> low) + i, (left[i], right[i]), total[i]]
                self._absorbed.setdefault(low, first)[0] += int(np.count_nonzero(where))

    def search_sums(self, n: int) -> None:
        """Search the sums of n numbers, and add the finding if they lost digits."""
        levels = list[Array]()
        total = abs(float(pairwise_sum(np.concatenate(self._sums), levels)[0]))
        self._search_sum(levels, 0, PIECE.bit_length() - 1)
        scale = max(float(self._smallest), float(self._format.smallest_normal))
        lost = np.float64(self._lost) / (self._format.unit_roundoff * total * scale)
        if (n - 1).bit_length() >= HARM * scale and np.isfinite(total) and lost >= HARM:
            depth = min(self._absorbed)
            _, index, operands, result = self._absorbed[depth]
            bits = min(np.log2(lost), float(self._format.significand_bits))
            finding = Finding(
                kind=FindingKind.ABSORPTION,
                symbol="s",
                span=span_of(index, depth, n),
                occurrences=sum(count for count, *_ in self._absorbed.values()),
                operands=operands,
                result=result,
                bits_lost=round(float(bits), 1),
            )
            self._found.add(finding)

    def result(self, x: Array) -> MethodResult:
        """Return the method's result on the elements that are shown."""
        facts: dict[str, Any] = {"value": self.right(x), "error_bound": 0.5, "findings": ()}
        shift = self._candidate.shift
        if self._candidate.formula is not None:
            evaluation = self._evaluation(x)
            facts = {
                "value": evaluation.value,
                "shift": shift and shift.name,
                "a": shift and self._reduced["a"][0],
                "findings": self._findings(evaluation),
                "evaluation": evaluation,
            }
        if self._function is Function.SOFTMAX:
            facts["total"] = pairwise_sum(np.concatenate(self._totals))[0]
        method = self._candidate.method
        return self._side.described(self._function, self._departure, method=method, **facts)

    def listed(self, result: MethodResult, pieces: Parts, ends: Array, n: int) -> MethodResult:
        """Return a result with all elements, and with the bound that follows from the ends of x."""
        facts: dict[str, Any] = {"value": Elements(lambda: map(self.values, pieces()))}
        formula = self._candidate.formula
        found = result.findings
        if formula is not None and all(each.harmless or each.kind in LOSSES for each in found):
            x, right = self._format.round(ends)[np.newaxis], self.right(ends)[np.newaxis]
            errors, y = ElementaryErrors.of(self._format), logsumexp_of(self._function, x, right)
            bounds = coefficients(formula, x, y, self._reduced.get("a"), errors, n=n)
            bound = float((bounds * self._format.unit_roundoff)[0])
            if not np.isnan(bound):
                facts |= {"bound": bound, "theorem": bound_of(formula).theorem}
        return replace(result, **facts)

    def _findings(self, evaluation: Evaluation) -> tuple[Finding, ...]:
        """Return the findings, with their places in the part."""
        total = evaluation.results["s"][0]
        if self._terms_are_finite and not np.isfinite(total):
            self._found.add(sum_overflow(total, self._format))
        shown = chain(find_in_part(evaluation, self._side.right.count), self._losses(evaluation))
        here = {(f.symbol, f.kind): f.indices for f in shown}
        return tuple(
            replace(found, indices=here.get((found.symbol, found.kind), found.indices[:0]))
            for found in self._found.of(evaluation.formula)
        )
