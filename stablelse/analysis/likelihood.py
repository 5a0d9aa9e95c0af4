"""Many labelled vectors by every method: a comparison of each, and the reduced losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from math import fsum, inf
from typing import Any

import numpy as np

from stablelse.analysis import Place
from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.findings import judge
from stablelse.analysis.results import VERDICTS, Comparison, Verdict
from stablelse.analysis.tally import Summary, Tally, Total
from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.formulas import Candidate, Method, held, pairwise_sum
from stablelse.numerics.functions import Function, LossFunction
from stablelse.numerics.loss import RunningLoss, nll, nll_grad
from stablelse.numerics.targets import Targets


class Labelled(Problem):
    """Losses, or their gradients, of rows with labels from 0, shape (m,); none is ignored.

    `empty` chooses the result of completely masked vectors, as in `stablelse.nll`.
    """

    def __init__(
        self, function: LossFunction, targets: Targets, kept: Array | None, empty: str
    ) -> None:
        super().__init__(function.function, empty, kept=kept)
        self.function, self._is_loss = function, function is LossFunction.LOSS
        self._targets, self.judged_as = targets, None
        assert targets.labels is not None, "targets are labels"
        self.labels = self._labels = targets.labels
        self._is_plain = targets.is_sparse and targets.weight is None
        if targets.weight is not None:
            self.rounded = targets.weight[np.newaxis]
        if self._is_loss:  # it uses logarithms of probabilities
            self.judged_as = Function.LOG_SOFTMAX
            self.seen = targets.labels if targets.is_sparse else None

    def targets_in(self, format_: Format) -> Targets:
        """Return the targets, with the class weights rounded to a format."""
        weight = self._targets.weight
        if weight is None:
            return self._targets
        return self._targets._replace(weight=held(weight, format_).astype(np.float64))

    def exactly(
        self, x: Array, format_: Format, b: Array | None = None
    ) -> tuple[Array, Array | None]:
        """Return the correctly rounded value of each row, shape (m, 1) or (m, n); no sign."""
        values: Array = (nll if self._is_loss else nll_grad)(
            x.astype(format_.dtype, copy=False),
            self._labels,
            weight=self.targets_in(format_).weight,
            label_smoothing=self._targets.smoothing,
            ignore_index=-1,
            reduction="none",
            where=self.kept,
            empty=self.empty,
        )
        return values.reshape(len(x), -1), None

    def of_formula(self, value: Array) -> Array:
        """Return the losses of log_softmax, shape (m, 1), or the gradients of softmax."""
        zero, format_ = value.dtype.type(0), format_of(value.dtype)
        assert format_ is not None, "formulas are evaluated in formats"
        with np.errstate(all="ignore"):
            if self._is_loss and self._is_plain:
                losses: Array = zero - value[np.arange(len(value)), self._labels]
                return losses[:, np.newaxis]
            words, _ = self.targets_in(format_).words(slice(None), value.shape[1], self.kept)
            t = format_.round(words)
            if self._is_loss:  # classes with target 0 are left out
                return pairwise_sum(np.where(t == 0, zero, t * (zero - value)))
            gradients: Array = pairwise_sum(t) * value - t
        return gradients if self.kept is None else np.where(self.kept, gradients, zero)

    def weights_of(self, row: int, n: int) -> Array | None:
        """Return the targets of a row, unless they are just 1 at the label."""
        if self._is_plain:
            return None
        t, _ = self._targets.words([row], n, None if self.kept is None else self.kept[[row]])
        targets: Array = t[0]
        return targets

    def values(self, candidate: Candidate, x: Array, format_: Format) -> Array:
        """Return the values of a method, shape (m, 1) or (m, n)."""
        evaluation = candidate.evaluate(x, format_)
        if evaluation is None:
            return self.exactly(format_.round(x), format_)[0]
        return self.of_formula(evaluation.value)


class LabelledTally(Tally):
    """Compares stacks of labelled vectors in bounded memory, without the ignored ones."""

    def __init__(
        self,
        function: LossFunction,
        candidates: Sequence[Candidate],
        formats: Sequence[Format],
        reduction: str = "mean",
        ignore_index: int = -100,
        empty: str = "nan",
        every: bool = False,
        smoothing: float = 0.0,
        weights: Array | None = None,
    ) -> None:
        super().__init__(every)
        self._function, self._candidates, self._formats = function, candidates, formats
        self._reduction = reduction if function is LossFunction.LOSS else "none"
        self._ignore_index, self._ignored, self._empty = ignore_index, 0, empty
        self._smoothing, self._weights = smoothing, weights
        self._sums: list[tuple[Candidate, Format, ExactSum | RunningLoss]] = [
            (c, f, ExactSum(f) if c.formula else RunningLoss(f))
            for f in formats
            for c in candidates
        ]

    def compare(
        self,
        x: Array,
        labels: Array,
        masked: Array | None = None,
        place_of: Callable[[int], Place] = lambda row: Place(),
    ) -> Sequence[Comparison]:
        """Compare vectors, shape (m, n), with their labels, shape (m,), except ignored ones."""
        wanted, x, problem = self._wanted(x, labels, masked)
        if not wanted.size:
            return ()
        comparisons = Compared(
            x,
            problem,
            self._candidates,
            self._formats,
            lambda row: place_of(int(wanted[row])),
            errors=False,
        )
        self._reduce(x, problem, [column.values for column in comparisons.columns])
        self.add(comparisons)
        return comparisons

    def add_up(self, x: Array, labels: Array, masked: Array | None = None) -> None:
        """Add the losses of vectors to the reduced losses, and nothing else."""
        wanted, x, problem = self._wanted(x, labels, masked)
        if wanted.size:
            # a running loss computes the exact values itself
            columns = [problem.values(c, x, f) if c.formula else x for c, f, _ in self._sums]
            self._reduce(x, problem, columns)

    def values(self, x: Array, labels: Array, masked: Array | None = None) -> Iterator[Array]:
        """Yield only the values of all vectors that are not ignored, method by method."""
        wanted, x, problem = self._wanted(x, labels, masked)
        if wanted.size:
            columns = [problem.values(c, x, f) for c, f, _ in self._sums]
            yield from chain.from_iterable(zip(*columns, strict=True))

    def _wanted(
        self, x: Array, labels: Array, masked: Array | None
    ) -> tuple[Array, Array, Labelled]:
        """Return which vectors are not ignored, and count the others; their x and problem."""
        wanted = np.flatnonzero(labels != self._ignore_index)
        self._ignored += len(labels) - len(wanted)
        ignored = np.zeros(len(wanted), bool)
        targets = Targets(labels[wanted], None, ignored, self._weights, self._smoothing)
        kept = None if masked is None else ~masked[wanted]
        return wanted, x[wanted], Labelled(self._function, targets, kept, self._empty)

    def _reduce(self, x: Array, problem: Labelled, columns: Sequence[Array]) -> None:
        """Add the losses of each method to its reduced loss."""
        if self._reduction == "none":
            return
        for (_, format_, losses), values in zip(self._sums, columns, strict=True):
            targets = problem.targets_in(format_)
            if isinstance(losses, RunningLoss):
                losses.add(format_.round(x), targets, problem.kept, self._empty)
            else:
                losses.add(values[:, 0], targets.denominator)

    def summary(self) -> Summary:
        """Return the results of all vectors so far, and their reduced losses."""
        totals: Iterable[Total] = self._totals or [
            Total(c.method, f.name, c.shift and c.shift.name) for c, f, _ in self._sums
        ]
        if self._reduction != "none":
            values = [losses.reduced(self._reduction) for _, _, losses in self._sums]
            pairs = zip(totals, values, strict=True)
            totals = self._judged([replace(total, value=value) for total, value in pairs])
        return replace(
            super().summary(),
            function=self._function,
            reduction=self._reduction,
            ignored=self._ignored,
            totals=tuple(totals),
        )

    def _judged(self, totals: Sequence[Total]) -> Iterator[Total]:
        """Yield totals with the error and the verdict of the reduced losses."""
        right = {total.format: total.value for total in totals if total.method is Method.EXACT}
        for total in totals:
            if total.format not in right:
                yield total
                continue
            value, best = np.array([[total.value]]), np.array([[right[total.format]]])
            (place,), (ulps,) = judge(value, best, FORMATS[total.format], None, np.zeros(1, bool))
            verdict, worst = VERDICTS[place], max(total.verdicts, key=VERDICTS.index, default=None)
            if worst is Verdict.DOES_NOT_FIT or (worst and worst.is_broken and verdict.is_broken):
                verdict = worst  # a ruined loss ruins the reduced loss
            yield replace(total, ulps=float(ulps), verdict=verdict)


class ExactSum:
    """An exact sum in float64 words, each of which rounds what the previous ones leave."""

    def __init__(self, format_: Format) -> None:
        self._format = format_
        self._divisor = Fraction(0)
        self._words: list[Any] = []

    def add(self, losses: Array, divisor: Fraction) -> None:
        """Add losses, shape (m,), of one format, and their part of the divisor of the mean."""
        self._divisor += divisor
        is_wide = losses.dtype == np.longdouble
        addends = [*self._words, *(losses if is_wide else losses.astype(np.float64)).tolist()]
        self._words = []
        if is_wide or not np.isfinite(addends).all():
            with np.errstate(all="ignore"):
                self._words = [sum(addends)]
            return
        try:
            while word := fsum(addends):
                self._words.append(word)
                addends.append(-word)
        except OverflowError:
            self._words = [inf]

    def reduced(self, reduction: str) -> Any:
        """Return the mean or the sum, rounded to the format."""
        with np.errstate(all="ignore"):
            divisor = float(self._divisor) if reduction == "mean" else 1
            return self._format.round(np.divide(sum(self._words[:1]), divisor))[()]
