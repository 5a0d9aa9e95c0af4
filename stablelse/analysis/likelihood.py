"""The negative log-likelihood of labels, or its gradient, by every method on many vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.display import Displayed
from stablelse.analysis.ledger import Entry, Ledger, judged
from stablelse.analysis.results import VERDICTS, Place, Verdict
from stablelse.analysis.tally import Tally
from stablelse.analysis.verdicts import judge
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import Candidate
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.formulas.loss_methods import Labelled, Quantity
from stablelse.numerics.functions import Function


class LossResult(NamedTuple):
    """What one method computed of one vector in one format.

    Attributes
    ----------
    method, format, shift
        As of `MethodResult`.
    value : scalar or ndarray
        The loss, or the gradient, shape (n,).
    ulps : float
        The distance from the exact value, the largest of a gradient's.
    verdict : Verdict
        What became of it.
    """

    method: Method
    format: str
    shift: str | None
    value: Any
    ulps: float
    verdict: Verdict


class Loss(NamedTuple):
    """Every method on one vector.

    Attributes
    ----------
    quantity : Quantity
        What was computed.
    source, row, column
        Where the vector came from, as of `Comparison`.
    n : int
        The number of classes.
    label : int
        From 0.
    results : tuple of LossResult
        For each format one per method, and per shift.
    x : ndarray
        Shape (n,): the vector before it was rounded to any format.
    """

    quantity: Quantity
    source: str | None
    row: int | tuple[int, ...] | None
    column: str | None
    n: int
    label: int
    results: tuple[LossResult, ...]
    x: Array


class _Likelihood(NamedTuple):
    quantity: Quantity
    reduction: str
    vectors: int
    ignored: int
    totals: tuple[Entry, ...]
    losses: tuple[Loss, ...]
    left_out: int


class Likelihood(Displayed, _Likelihood):
    """Every method on many vectors.

    Attributes
    ----------
    quantity : Quantity
        What was computed.
    reduction : str
        How the losses were made one: ``"mean"``, ``"sum"`` or ``"none"``.
    vectors, ignored : int
        How many vectors were computed, and how many left out for their label.
    totals : tuple of Entry
        What became of all of them, for each result that a vector has.
    losses : tuple of Loss
        All vectors; of many the first ones, and the first ones that broke.
    left_out : int
        How many more there are.
    """

    __slots__ = ()


class Likelihoods:
    """Takes stacks of labelled vectors, in bounded memory.

    Parameters
    ----------
    quantity : Quantity
        What is computed.
    candidates : sequence of Candidate
        By what methods.
    formats : sequence of Format
        In what formats.
    reduction : str
        As of `Likelihood`.
    ignore_index : int
        The label of vectors to leave out.
    empty : str
        What becomes of vectors of which nothing is left; the formulas know no such thing.

    Attributes
    ----------
    x : ndarray or None
        The first vector that is not ignored.
    """

    def __init__(
        self,
        quantity: Quantity,
        candidates: Sequence[Candidate],
        formats: Sequence[Format],
        reduction: str = "mean",
        ignore_index: int = -100,
        empty: str = "nan",
    ) -> None:
        self._quantity = quantity
        self._candidates, self._formats = candidates, formats
        self._ledgers = [Ledger(candidate, f) for f in formats for candidate in candidates]
        self._reduction = reduction
        self._ignore_index = ignore_index
        self._empty = empty
        self._ignored = 0
        self._tally: Tally[Loss] = Tally()
        self.x: Array | None = None

    def add(
        self,
        x: Array,
        labels: Array,
        masked: Array | None = None,
        places: Sequence[Place] | None = None,
    ) -> list[Loss]:
        """Take vectors, shape (m, n), with their labels, shape (m,); return those not ignored."""
        wanted = np.flatnonzero(labels != self._ignore_index).tolist()
        every = places or [Place()] * len(labels)
        where = [every[index] for index in wanted]
        columns = []
        with np.errstate(all="ignore"):
            for rows, candidate, ledger in self._work(x, labels, masked):
                columns.append(self._results(rows, candidate))
                ledger.add_results(columns[-1], where)
                if self._quantity is Quantity.LOSS:
                    ledger.add_losses(rows.addends(candidate))
        if not wanted:
            return []
        self.x = x[wanted[0]] if self.x is None else self.x
        losses = [
            Loss(self._quantity, *place, x.shape[1], label, results, x[index].copy())
            for place, label, results, index in zip(
                where, labels[wanted].tolist(), zip(*columns, strict=True), wanted, strict=True
            )
        ]
        for found in losses:
            self._tally.add(found)
        return losses

    def add_up(self, x: Array, labels: Array, masked: Array | None = None) -> None:
        """Take vectors as `add` does, for what their losses are reduced to and nothing else."""
        with np.errstate(all="ignore"):
            for rows, candidate, ledger in self._work(x, labels, masked):
                ledger.add_losses(rows.addends(candidate))

    def _work(
        self, x: Array, labels: Array, masked: Array | None
    ) -> Iterator[tuple[Labelled, Candidate, Ledger]]:
        """Yield the vectors that are not ignored in every format, with every method."""
        wanted = labels != self._ignore_index
        self._ignored += int(np.count_nonzero(~wanted))
        if not wanted.any():
            return
        x, labels = x[wanted], labels[wanted]
        kept = None if masked is None else ~masked[wanted]
        ledgers = iter(self._ledgers)
        for format_ in self._formats:
            rows = Labelled(self._quantity, x, labels, kept, format_, self._empty)
            for candidate in self._candidates:
                yield rows, candidate, next(ledgers)

    def _results(self, rows: Labelled, candidate: Candidate) -> list[LossResult]:
        m = len(rows.labels)
        value = rows.values(candidate)
        right = rows.values(_EXACT)
        flat, flat_right = value.reshape(m, -1), right.reshape(m, -1)
        function = Function.LOG_SOFTMAX if self._quantity is Quantity.LOSS else None
        evaluated = rows.evaluated(candidate)
        places, errors = judge(flat, flat_right, rows.format, function, rows.unfit, evaluated)
        shift = candidate.shift.name if candidate.shift else None
        return [
            LossResult(candidate.method, rows.format.name, shift, loss, error, VERDICTS[place])
            for loss, error, place in zip(value, errors.tolist(), places, strict=True)
        ]

    def result(self) -> Likelihood:
        """Return what was found so far."""
        reduction = "none" if self._quantity is Quantity.GRADIENT else self._reduction
        entries = [ledger.entry(reduction) for ledger in self._ledgers]
        kept = tuple(self._tally.comparisons)
        return Likelihood(
            quantity=self._quantity,
            reduction=reduction,
            vectors=self._tally.count,
            ignored=self._ignored,
            totals=tuple(judged(entries)),
            losses=kept,
            left_out=self._tally.left_out,
        )


_EXACT = Candidate(Method.EXACT)
