"""Digits lost although everything is finite: terms absorbed by a sum, numbers that cancel.

Both happen all the time and mostly do no harm: adding 1 and 1e-20 gives 1, which is right to half
an ulp. So an absorption or a cancellation is told only where it costs a decimal digit of the
result. To first order, with everything measured in units of u times the result:

- a sum s that misses lost, relatively lost/s, makes log s wrong by lost/s;
- a sum s that is right to half an ulp, relatively to u, makes log s wrong by u: next to s = 1 the
  logarithm is small, the 1 cancels, and that u is a large part of what is left;
- a logarithm l of such a sum that is right to half an ulp, to u |l|, makes y = a + l wrong by
  u and u |l|, the larger of which is many ulps of y if a and l nearly cancel; so it is with
  x - a - l, and with x - y. The a of the identity is any number of the format, and no error:
  x - a cancels exactly.

A result that is small enough for u to be a digit of it is the logarithm, and that is small, or
less than half of it, and the rest cancels.

The error of the result is relative for logsumexp and log_softmax, whose last operation passes an
absolute one on; softmax makes a relative error of an absolute one in an exponent, and a sum's
relative error stays one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.findings import DIGIT, Finding, FindingKind
from stablelse.numerics.formats import Array
from stablelse.numerics.formulas.formula import Evaluation, Kind, Operation

#: An error that costs a digit, in units of u times the result: an ulp is 2 u of it at most, so
#: that this many are DIGIT ulps at least.
_HARM = 2 * DIGIT

# What is less than this part of an operand is what a cancellation left of it.
_CANCELLED = 0.5


class Loss(NamedTuple):
    """Where one operation lost digits of the result.

    Attributes
    ----------
    operation : Operation
        The sum that absorbed, or the operation whose operands cancelled.
    kind : FindingKind
        One of `findings.LOSSES`.
    where : ndarray of bool
        Shape (m, n) or (m, 1).
    factor : ndarray
        The same shape: the error of the result in units of u times the result.
    """

    operation: Operation
    kind: FindingKind
    where: Array
    factor: Array

    def row(self, index: int) -> Loss:
        """Return the loss in one of the vectors."""
        return self._replace(where=self.where[index], factor=self.factor[index])


def absorbed(left: Any, right: Any, total: Any) -> Any:
    """Tell whether a sum of two terms equals one of them although the other is not zero."""
    return ((total == left) & (right != 0)) | ((total == right) & (left != 0))


def losses(evaluation: Evaluation) -> Iterator[Loss]:
    """Find where the vectors of an evaluation lost a decimal digit of the result or more.

    Parameters
    ----------
    evaluation : Evaluation
        Of m vectors of n elements: results of shape (m, n) and (m, 1).

    Yields
    ------
    Loss
        In the order of the operations.
    """
    with np.errstate(all="ignore"):
        scale = _scale(evaluation)
        inexact = ~_is_exact(evaluation)
        for operation in evaluation.formula.operations:
            if operation.kind is Kind.SUM:
                loss = _absorption(evaluation, operation, scale)
            elif operation.kind is Kind.LOG:
                loss = _cancellation_in_log(evaluation, operation, scale, inexact)
            elif operation.kind in (Kind.ADD, Kind.SUBTRACT) and operation.operands != ("x", "a"):
                loss = _cancellation(evaluation, operation, scale, inexact)
            else:
                continue
            if loss.where.any():
                yield loss


def _wide(evaluation: Evaluation, symbol: str) -> Array:
    """Return the absolute values of a result, in double precision at least."""
    result = evaluation.results[symbol]
    wide: Array = np.abs(result.astype(np.result_type(result.dtype, np.float64)))
    return wide


def _scale(evaluation: Evaluation) -> Array:
    """Return by what an absolute error of the logarithm is to be divided, shape (m, 1).

    By the entry of the result that it is worst for; by 1 where it goes into an exponent.
    """
    last = evaluation.formula.operations[-1]
    if last.kind in (Kind.EXP, Kind.DIVIDE):
        return np.ones((len(evaluation.value), 1))
    smallest = _wide(evaluation, last.symbol).min(axis=-1, keepdims=True)
    return _no_less_than_normal(evaluation, smallest)


def _no_less_than_normal(evaluation: Evaluation, value: Array) -> Array:
    """Return by what to divide an error at results of a size: u times that is half an ulp.

    Below the smallest normal number the ulps no longer shrink.
    """
    normal: Array = np.maximum(value, float(evaluation.format.smallest_normal))
    return normal


def _is_exact(evaluation: Evaluation) -> Array:
    """Tell which sums are that of exp(0) = 1 and nothing, but for what was absorbed: (m, 1).

    Nothing is rounded then, and what the result misses is known: an absorption, if anything.
    """
    (exponential,) = (op for op in evaluation.operations if op.symbol == "e")
    exponents = evaluation.results[exponential.operands[0]]
    exact: Array = (exponents == 0).any(axis=-1, keepdims=True) & (evaluation.results["s"] == 1)
    return exact


def _absorption(evaluation: Evaluation, operation: Operation, scale: Array) -> Loss:
    """Find the sums that miss what they absorbed.

    An addition absorbs half an ulp of its sum at most, u times it, and the sums of one level add
    up to s: over all levels no more than depth u s is lost. Only where that could be seen the
    tree is searched.
    """
    levels = evaluation.partial_sums
    depth = len(levels) - 1
    total = _wide(evaluation, operation.symbol)
    factor = np.zeros_like(total)
    suspected = np.flatnonzero((depth >= _HARM * scale) & np.isfinite(total))
    if suspected.size:
        lost = sum(_lost(below[suspected], above[suspected]) for below, above in pairwise(levels))
        unit = evaluation.format.unit_roundoff * total[suspected] * scale[suspected]
        factor[suspected] = lost / unit
    return Loss(operation, FindingKind.ABSORPTION, factor >= _HARM, factor)


def _lost(below: Array, above: Array) -> Array:
    """Return the sum of what the additions of one level absorbed, shape (m, 1)."""
    left, right, total = _additions(below, above)
    lost = np.where(absorbed(left, right, total), np.minimum(left, right), 0)
    wide = lost.astype(np.result_type(below.dtype, np.float64))
    total_lost: Array = wide.sum(axis=-1, keepdims=True)
    return total_lost


def _additions(below: Array, above: Array) -> tuple[Array, Array, Array]:
    """Return the operands and the results of the additions of one level of the tree."""
    pairs = below.shape[-1] // 2
    return below[..., 0 : 2 * pairs : 2], below[..., 1 : 2 * pairs : 2], above[..., :pairs]


def _cancellation_in_log(
    evaluation: Evaluation, operation: Operation, scale: Array, inexact: Array
) -> Loss:
    """Find the logarithms of numbers next to 1 that show the rounding of those numbers."""
    result = _wide(evaluation, operation.symbol)
    is_last = operation is evaluation.formula.operations[-1]
    factor = 1 / (_no_less_than_normal(evaluation, result) if is_last else scale)
    is_near = _HARM * _CANCELLED * result <= 1
    if operation.symbol in evaluation.per_element:
        # as in _is_exact: the quotient is 1 where the sum is e_j and nothing
        inexact = evaluation.results["e"] != evaluation.results["s"]
    where = is_near & (factor >= _HARM) & inexact
    return Loss(operation, FindingKind.CANCELLATION, where, np.broadcast_to(factor, where.shape))


def _cancellation(
    evaluation: Evaluation, operation: Operation, scale: Array, inexact: Array
) -> Loss:
    """Find the sums and differences that show the rounding of their second operand."""
    first, second = (_wide(evaluation, symbol) for symbol in operation.operands)
    result = _no_less_than_normal(evaluation, _wide(evaluation, operation.symbol))
    is_last = operation is evaluation.formula.operations[-1]
    factor = np.maximum(second, 1) / (result if is_last else scale)
    cancels = _CANCELLED * np.maximum(first, second) >= result
    where = cancels & (factor >= _HARM) & np.isfinite(first) & np.isfinite(second) & inexact
    return Loss(operation, FindingKind.CANCELLATION, where, np.broadcast_to(factor, where.shape))


def loss_finding(evaluation: Evaluation, loss: Loss) -> Finding:
    """Describe a loss in one vector, its mask of shape (n,) or (1,)."""
    indices = np.flatnonzero(loss.where)
    first = int(indices[0])
    operation = loss.operation
    per_element = operation.symbol in evaluation.per_element
    bits = min(float(np.log2(loss.factor[first])), float(evaluation.format.significand_bits))
    finding = Finding(
        kind=loss.kind,
        symbol=operation.symbol,
        element=first + 1 if per_element else None,
        span=None,
        occurrences=len(indices),
        operands=evaluation.operands(operation, first),
        result=evaluation.results[operation.symbol][first],
        threshold=None,
        harmless=False,
        bits_lost=round(bits, 1),
        indices=indices if per_element else indices[:0],
    )
    return _at_first_absorption(evaluation, finding) if operation.kind is Kind.SUM else finding


def _at_first_absorption(evaluation: Evaluation, finding: Finding) -> Finding:
    """Return the finding with the first addition that absorbed, and how many did."""
    places = [
        (depth, index, levels)
        for depth, levels in enumerate(pairwise(evaluation.partial_sums), start=1)
        for index in np.flatnonzero(absorbed(*_additions(*levels))).tolist()
    ]
    depth, index, levels = places[0]
    left, right, total = _additions(*levels)
    n = len(evaluation.partial_sums[0])
    return finding._replace(
        span=(index * 2**depth + 1, min((index + 1) * 2**depth, n)),
        occurrences=len(places),
        operands=(left[index], right[index]),
        result=total[index],
    )
