"""The negative log-likelihood of labels and its gradient, by every method."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.formulas import Candidate
from stablelse.numerics.formulas.formula import Evaluation
from stablelse.numerics.functions import Function
from stablelse.numerics.loss import nll, nll_grad


class Quantity(Enum):
    """What is computed of a vector of logits and its label."""

    LOSS = "nll"
    GRADIENT = "nll_grad"

    @property
    def function(self) -> Function:
        """What a formula of it computes first: the loss is -log p, the gradient p - onehot."""
        return Function.LOG_SOFTMAX if self is Quantity.LOSS else Function.SOFTMAX


class Labelled:
    """Vectors with their labels, in one format.

    Parameters
    ----------
    quantity : Quantity
        What is computed of them.
    x : ndarray
        Shape (m, n), real; rounded to the format.
    labels : ndarray of int
        Shape (m,), from 0; none is ignored.
    kept : ndarray of bool or None
        Shape (m, n), False where a class is masked, and x is -inf.
    format_ : Format
        Of x and of the results.
    empty : str
        What becomes of vectors of which nothing is left, as `stablelse.nll` has it; the formulas
        know no such thing.
    """

    def __init__(
        self,
        quantity: Quantity,
        x: Array,
        labels: Array,
        kept: Array | None,
        format_: Format,
        empty: str,
    ) -> None:
        self.quantity, self.format = quantity, format_
        self._input, self._x = x, format_.round(x)
        self.labels, self._kept, self._empty = labels, kept, empty
        self._known: dict[str, Array] = {}

    def values(self, candidate: Candidate) -> Array:
        """Return the losses, shape (m,), or the gradients, shape (m, n), in the format."""
        if candidate.formula is None:
            return self._exactly(self.format)
        found = candidate.values(self.quantity.function, self._input, self.format)
        rows, one = np.arange(len(found)), self.format.dtype.type(1)
        if self.quantity is Quantity.LOSS:
            losses: Array = self.format.dtype.type(0) - found[rows, self.labels]
            return losses
        found = found.copy()
        found[rows, self.labels] = found[rows, self.labels] - one
        if self._kept is not None:
            found[~self._kept] = self.format.dtype.type(0)
        return found

    @property
    def unfit(self) -> Array:
        """Which rows have a finite number that the format does not hold, shape (m,)."""
        lost = np.isfinite(self._input) & ~np.isfinite(self._x)
        unfit: Array = np.logical_or.reduce(lost, axis=-1)
        return unfit

    def evaluated(self, candidate: Candidate) -> Callable[[Array], Evaluation] | None:
        """Return what evaluates the formula of a method on marked rows, if it has one."""
        formula, shift = candidate.formula, candidate.shift
        if formula is None:
            return None
        rule = shift.rule if shift else None
        return lambda rows: formula.evaluate(self._input[rows], self.format, rule)

    def addends(self, candidate: Candidate) -> Array:
        """Return the losses as they are added up: those of the library in float64 at least."""
        wide = FORMATS["float64"]
        is_narrow = self.format.significand_bits < wide.significand_bits
        if candidate.formula is None and is_narrow:
            return self._exactly(wide)
        return self.values(candidate)

    def _exactly(self, format_: Format) -> Array:
        if format_.name not in self._known:
            x = self._x.astype(format_.dtype)
            self._known[format_.name] = _EXACTLY[self.quantity](
                x,
                self.labels,
                ignore_index=_NONE,
                reduction="none",
                where=self._kept,
                empty=self._empty,
            )
        return self._known[format_.name]


#: No label is ignored here: those that are were left out.
_NONE = -1

_EXACTLY: dict[Quantity, Callable[..., Array]] = {
    Quantity.LOSS: nll,
    Quantity.GRADIENT: nll_grad,
}
