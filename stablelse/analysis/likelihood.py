"""Many labelled vectors by every method: a comparison of each, and the reduced losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import fsum, inf
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.findings import judge
from stablelse.analysis.results import VERDICTS, Comparison, Place, Verdict
from stablelse.analysis.tally import Summary, Tally, Total
from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.formulas import Candidate, Method, held, pairwise_sum
from stablelse.numerics.functions import Function, LossFunction
from stablelse.numerics.loss import RunningLoss, nll, nll_grad
from stablelse.numerics.targets import Targets


class Target(NamedTuple):
    """The target of a label: 1 at the label, apart from smoothing and class weights."""

    smoothing: float = 0.0  # the part that is spread evenly over all classes
    weights: Array | None = None  # the class weights, shape (n,), float64

    @property
    def is_plain(self) -> bool:
        """Whether every target is 1 at the label and 0 elsewhere."""
        return not self.smoothing and self.weights is None

    def of(self, labels: Array, format_: Format | None = None) -> Targets:
        """Return the targets of labels, with the weights rounded to a format if one is given."""
        weights = self.weights
        if weights is not None and format_ is not None:
            weights = held(weights, format_).astype(np.float64)
        return Targets(labels, None, np.zeros(len(labels), bool), weights, self.smoothing)


PLAIN = Target()


class Labelled(Problem):
    """Losses, or their gradients, of rows with labels from 0, shape (m,); none is ignored.

    `kept`, shape (m, n), is False for masked classes, whose x is -inf. `empty` chooses the result
    of completely masked vectors, as in `stablelse.nll`.
    """

    def __init__(
        self,
        function: LossFunction,
        labels: Array,
        kept: Array | None,
        empty: str,
        target: Target = PLAIN,
    ) -> None:
        super().__init__(function.function, empty)
        self.function, self._is_loss = function, function is LossFunction.LOSS
        self._labels, self.kept, self.judged_as = labels, kept, None
        self.labels, self.target = labels, target
        if target.weights is not None:
            self.rounded = target.weights[np.newaxis]
        if self._is_loss:  # it uses logarithms of probabilities
            self.judged_as = Function.LOG_SOFTMAX
            self.seen = None if target.smoothing else labels

    def exactly(
        self, x: Array, format_: Format, b: Array | None = None
    ) -> tuple[Array, Array | None]:
        """Return the correctly rounded value of each row, shape (m, 1) or (m, n); no sign."""
        values: Array = (nll if self._is_loss else nll_grad)(
            x.astype(format_.dtype, copy=False),
            self._labels,
            weight=self.target.of(self._labels, format_).weight,
            label_smoothing=self.target.smoothing,
            ignore_index=-1,
            reduction="none",
            where=self.kept,
            empty=self.empty,
        )
        return values.reshape(len(x), -1), None

    def of_formula(self, value: Array) -> Array:
        """Return the losses of log_softmax, shape (m, 1), or the gradients of softmax."""
        zero = value.dtype.type(0)
        with np.errstate(all="ignore"):
            if self._is_loss and self.target.is_plain:
                losses: Array = zero - value[np.arange(len(value)), self._labels]
                return losses[:, np.newaxis]
            t = self._targets(value)
            if self._is_loss:  # classes with target 0 are left out
                return pairwise_sum(np.where(t == 0, zero, t * (zero - value)))
            gradients: Array = pairwise_sum(t) * value - t
        return gradients if self.kept is None else np.where(self.kept, gradients, zero)

    def _targets(self, value: Array) -> Array:
        """Return the targets of all classes, shape (m, n), rounded to the format of the values."""
        format_ = format_of(value.dtype)
        assert format_ is not None, "formulas are evaluated in formats"
        targets = self.target.of(self._labels, format_)
        return format_.round(targets.words(slice(None), value.shape[1], self.kept)[0])

    def weights_of(self, row: int, n: int) -> Array | None:
        """Return the targets of a row, unless they are just 1 at the label."""
        if self.target.is_plain:
            return None
        kept = None if self.kept is None else self.kept[[row]]
        t: Array = self.target.of(self._labels[[row]]).words(slice(None), n, kept)[0][0]
        return t

    def values(self, candidate: Candidate, x: Array, format_: Format) -> Array:
        """Return the values of a method, shape (m, 1) or (m, n)."""
        if candidate.formula is None:
            return self.exactly(format_.round(x), format_)[0]
        function = Function.LOG_SOFTMAX if self._is_loss else Function.SOFTMAX
        return self.of_formula(candidate.values(function, x, format_))


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
        target: Target = PLAIN,
    ) -> None:
        super().__init__(every)
        self._function, self._candidates, self._formats = function, candidates, formats
        self._reduction = reduction if function is LossFunction.LOSS else "none"
        self._ignore_index, self._empty = ignore_index, empty
        self._ignored, self._target = 0, target
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
        wanted = np.flatnonzero(labels != self._ignore_index)
        self.add_up(x, labels, masked)
        if not wanted.size:
            return ()
        comparisons = Compared(
            x[wanted],
            self._problem(labels, masked, wanted),
            self._candidates,
            self._formats,
            lambda row: place_of(int(wanted[row])),
            errors=False,
        )
        self.add(comparisons)
        return comparisons

    def add_up(self, x: Array, labels: Array, masked: Array | None = None) -> None:
        """Add the losses of vectors to the reduced losses, and nothing else."""
        wanted = labels != self._ignore_index
        self._ignored += int(np.count_nonzero(~wanted))
        if self._reduction == "none" or not wanted.any():
            return
        problem = self._problem(labels, masked, wanted)
        for candidate, format_, losses in self._sums:
            targets = self._target.of(labels[wanted], format_)
            if isinstance(losses, RunningLoss):
                losses.add(format_.round(x[wanted]), targets, problem.kept, self._empty)
            else:
                values = problem.values(candidate, x[wanted], format_)
                losses.add(values[:, 0], targets.denominator)

    def values(self, x: Array, labels: Array, masked: Array | None = None) -> Iterator[Array]:
        """Yield only the values of all vectors that are not ignored, method by method."""
        wanted = labels != self._ignore_index
        if wanted.any():
            problem = self._problem(labels, masked, wanted)
            columns = [problem.values(c, x[wanted], f) for c, f, _ in self._sums]
            for rows in zip(*columns, strict=True):
                yield from rows

    def _problem(self, labels: Array, masked: Array | None, wanted: Array) -> Labelled:
        kept = None if masked is None else ~masked[wanted]
        return Labelled(self._function, labels[wanted], kept, self._empty, self._target)

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
