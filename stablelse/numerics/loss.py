"""The negative log-likelihood of a softmax output, -x_label + lse(x), and its gradient.

Arguments have the same meaning as in ``torch.nn.functional.cross_entropy`` (2.x), except `where`
and `empty`, which PyTorch does not have, and `axis`: PyTorch puts the classes on axis 1 of logits
with more than one axis; here they are on the last axis by default. For two axes that is the same.
Results differ where PyTorch's are wrong: every result is correctly rounded, even sums and means of
many losses; and a class of weight 0 adds nothing, whatever its logit is, where PyTorch computes
0 * inf = NaN.

With targets t (`stablelse.numerics.targets`), a = max x, S = sum exp(x_c - a) and T = sum t_c,

    loss = sum_c t_c (-log softmax(x)_c) = sum_c t_c (a - x_c) + T log S,

where nothing cancels, and log S keeps all its digits if the largest element dominates. The
gradient is T softmax(x) - t; for the largest t it is the sum of the others - T (1 - softmax(x)).
The kernel computes log S in two words, and gradients. Results in doubt, and all results without a
kernel, are computed in two words with NumPy; those still in doubt, in decimals.

Sums of losses are kept in two words, and their error bounds are added too. No such sum is a tie:
with z = e**(1/N), nonnegative rational t and differences k / N, a tie would make a product of
powers of polynomials in z, with nonnegative coefficients, a power of e; z is transcendental, so
each polynomial would have a single term of coefficient 1, and its logarithm 0 (Lindemann and
Weierstrass).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import partial
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics import decimals, doubleword, exact, kernel, reference, threads
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.decimals import Ball, Sum, SumState
from stablelse.numerics.doubleword import ARITHMETIC_ERROR, Approximation, Pair, settle, two_sum
from stablelse.numerics.formats import Array, Format, check_arithmetic, nearest, ratio
from stablelse.numerics.reference import Sums
from stablelse.numerics.rows import Rows, bands
from stablelse.numerics.targets import LossInputs, Targets, loss_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

# Error bounds of a `doubleword.total` and of a few products, relative to the sizes.
_TOTAL_ERROR, _PRODUCT_ERROR = 2.0**-93, 2.0**-98

#: The kernel takes factors and targets that are 0, or between the inverse of this and this.
_EXTREME = 2.0**100

#: Underflow loses less than this.
_TINY = 2.0**-1060

#: Losses below ten to this power are negligible beside those that any format holds.
_SMALLEST = -6000


def nll(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute the negative log-likelihood of labels: -x_label + lse(x), a cross-entropy.

    Parameters
    ----------
    logits : array_like
        Real numbers, any shape; a vector along `axis` has one logit for each of n classes.
    labels : array_like
        Integers, the shape of `logits` without `axis`: the index of the class, from 0. Or
        floating-point numbers, the shape of `logits`: the probability of each class, not negative.
    axis : int
        The axis of the classes, by default the last; PyTorch uses 1.
    weight : array_like, optional
        Shape (n,), finite and not negative: the weight of each class; 1 by default.
    label_smoothing : float
        The share of each target that is spread evenly over all unmasked classes.
    ignore_index : int
        A vector with this label is left out: its loss is 0, and a mean does not count it.
    reduction : {"none", "mean", "sum"}
        Return each loss, their sum, or the sum divided by the sum of the labels' weights (by
        the number of vectors, without weights or with probabilities); NaN if that is 0.
    dtype, return_certificate
        As in `stablelse.logsumexp`; a certificate counts losses, or their sum as one.
    where : array_like of bool, optional
        False for classes to leave out: their logits count as -inf. Broadcast to the shape of
        `logits`. The loss of a masked label is infinite.
    empty : {"nan", "zero", "uniform", "error"}
        The loss of a vector that is completely masked or holds only -inf: NaN, 0, that of equal
        logits (log n), or a ValueError.

    Returns
    -------
    scalar or ndarray
        In the format of `logits` (float64 for integers and bools): a scalar, or an array of one
        loss per vector without a reduction; with `return_certificate`, also a `Certificate`.

    Raises
    ------
    TypeError
        If the logits are not real numbers, or the labels are neither integers nor probabilities.
    ValueError
        If shapes do not fit, a label is not a class, or an option has an unknown value.

    Notes
    -----
    Results are correctly rounded: `stablelse.numerics.loss` says how.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll([[40.0, 0.0], [1.0, 2.0]], [0, 1], reduction="none")
    array([4.24835426e-18, 3.13261688e-01])
    """
    options = axis, weight, label_smoothing, ignore_index, reduction, dtype, where, empty
    inputs = loss_inputs(logits, labels, *options)
    compute = _losses if reduction == "none" else _reduced
    result, certificate = compute(inputs)
    return (result, certificate) if return_certificate else result


def nll_grad(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    weight: npt.ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
) -> Any:
    """Compute the gradient of `nll` with respect to the logits.

    For a single vector it is softmax(x) - onehot(label). With the reductions "none" and "sum"
    every vector has the gradient of its own loss; "mean" divides it as it divides the losses.

    Parameters
    ----------
    logits, labels, axis, weight, label_smoothing, ignore_index, reduction, dtype, where, empty
        As in `nll`.
    return_certificate : bool
        Also return a `Certificate`, which counts elements.

    Returns
    -------
    ndarray
        The shape and format of `logits`; float64 for integers and bools. The gradient is 0 for
        masked elements, for ignored vectors and, unless `empty` is "nan", for vectors that are
        completely masked or hold only -inf.

    Raises
    ------
    TypeError, ValueError
        As in `nll`.

    Notes
    -----
    Every element is correctly rounded, even -(1 - p) at the label and elements where a target
    cancels.

    Examples
    --------
    >>> import stablelse
    >>> stablelse.nll_grad([40.0, 0.0], 0)
    array([-4.24835426e-18,  4.24835426e-18])
    """
    options = axis, weight, label_smoothing, ignore_index, reduction, dtype, where, empty
    result, certificate = _gradient(loss_inputs(logits, labels, *options))
    return (result, certificate) if return_certificate else result


class RunningLoss:
    """The sum or the mean of losses that come in stacks, rounded once to a format.

    A single stack is reduced as in `nll`. The sums of several are added exactly, and so are their
    error bounds. If the bound leaves the rounding in doubt, the sum itself is rounded; only then
    is the result not proved.
    """

    def __init__(self, format_: Format) -> None:
        self._format = format_
        self._only: LossInputs | None = None  # the stack, if it is the only one
        self._total = self._error = self._divisor = Fraction(0)
        self._special = 0.0
        self._is_empty = True

    def add(self, logits: Array, targets: Targets, where: Array | None, empty: str) -> None:
        """Take a stack, shape (m, n), with its targets, which are labels."""
        assert targets.labels is not None, "targets are labels"
        options = targets.weight, targets.smoothing, -1, "mean", self._format.dtype, where, empty
        inputs = loss_inputs(logits, targets.labels, -1, *options)
        self._only, self._is_empty = inputs if self._is_empty else None, False
        total, error, special, _ = _summed(inputs)
        self._total += total
        self._error += error
        self._special += special
        self._divisor += inputs.divisor

    def reduced(self, reduction: str) -> Any:
        """Return the mean or the sum of all losses so far."""
        divisor = self._divisor if reduction == "mean" else Fraction(1)
        value = _rounded(self._total, self._error, self._special, divisor, self._format)
        if value is None and self._only is not None:
            value, _ = _reduced(self._only._replace(divisor=divisor))
        return nearest(self._total / divisor, self._format) if value is None else value


# ---- Losses


def _losses(inputs: LossInputs) -> tuple[Any, Certificate]:
    """Compute the loss of every row, correctly rounded, with its proof."""
    with np.errstate(all="ignore"):
        words, is_close = _losses_in_words(inputs)
        is_nothing = ~np.isfinite(words.high) & (words.error == 0)
        result, proved, _ = settle(words, inputs.format)
        result[is_nothing] = inputs.format.round(words.high[is_nothing])
    left = np.flatnonzero(~(proved | is_nothing))
    for i in left.tolist():
        result[i] = _loss_in_decimals(inputs, [i], Fraction(1))
    counts = Counter(
        {
            Rung.CONVENTION: int(is_nothing.sum()),
            Rung.KERNEL: int((proved & ~is_close).sum()),
            Rung.DOUBLE_WORD: int((proved & is_close).sum()),
            Rung.DECIMAL: left.size,
        }
    )
    shape = inputs.stack.reduced_shape(keepdims=False)
    return result.reshape(shape)[()], _certificate(inputs, counts)


def _reduced(inputs: LossInputs) -> tuple[Any, Certificate]:
    """Compute the sum of all losses over the divisor, correctly rounded, with its proof."""
    divisor = inputs.divisor
    total, error, special, rung = _summed(inputs)
    value = _rounded(total, error, special, divisor, inputs.format)
    if value is None:
        rung = Rung.DECIMAL
        value = _loss_in_decimals(inputs, range(len(inputs.nothing)), divisor)
    elif special or not divisor:
        rung = Rung.CONVENTION
    return value, _certificate(inputs, Counter([rung]))


def _certificate(inputs: LossInputs, counts: Counter[Rung]) -> Certificate:
    return Certificate.of(counts, kernel.name() if inputs.rung is Rung.KERNEL else kernel.REFERENCE)


def _rounded(
    total: Fraction, error: Fraction, special: float, divisor: Fraction, format_: Format
) -> Any:
    """Return the number that all values within the error, over a divisor, round to, if any."""
    if special or not divisor:  # an infinite loss or NaN: nothing to round
        return format_.round(special if divisor else np.nan)[()]
    low, high = (nearest(end / divisor, format_) for end in (total - error, total + error))
    return low if low == high or (np.isnan(low) and np.isnan(high)) else None


def _summed(inputs: LossInputs) -> tuple[Fraction, Fraction, float, Rung]:
    """Return the sum of finite losses, its error bound, the sum of the others, and the rung."""
    check_arithmetic()
    total = error = Fraction(0)
    with np.errstate(all="ignore"):
        words, is_close = _losses_in_words(inputs)
        is_known = words.error < np.inf
        left, words = np.flatnonzero(~is_known), words.of(is_known)
        rung = Rung.DOUBLE_WORD if is_close.any() else inputs.rung
        special = words.high[~np.isfinite(words.high)]
        if special.size:
            return total, error, float(special.sum()), rung
        for row in left.tolist():
            value, bound = _loss_as_fraction(inputs, row)
            total, error = total + value, error + bound
        top = np.frexp(words.high)[1] + words.exponent
        unit = int(np.max(top, where=words.high != 0, initial=-(2**12)))
        high, low, lost = (
            np.ldexp(part, words.exponent - unit)
            for part in (words.high, words.low + words.lowest, words.error)
        )
        # an error of 0 means a tie, but not what the loss adds to others
        if high.any():
            lost = lost.sum() + (_TOTAL_ERROR + ARITHMETIC_ERROR) * abs(high).sum()
            error += Fraction(1.001 * float(lost) + len(high) * _TINY) * Fraction(2) ** unit
            for word in doubleword.total(high, low):
                total += Fraction(float(word)) * Fraction(2) ** unit
        return total, error, 0.0, rung


def _losses_in_words(inputs: LossInputs) -> tuple[Approximation, Array]:
    """Return all losses, and which come from the reference; those not held have infinite errors."""
    is_kernel = inputs.rung is Rung.KERNEL
    is_dense = is_kernel and not inputs.targets.is_sparse
    run = partial(_losses_by_kernel if is_dense else _losses_of_band, inputs)
    size = exact.JOB if is_kernel else reference.BLOCK
    jobs = [(band,) for band in bands(inputs.rows.x.shape, size)]
    words, is_close = zip(*threads.mapped(run, jobs, inputs.rows.x.size), strict=True)
    return Approximation(*map(np.concatenate, zip(*words, strict=True))), np.concatenate(is_close)


def _losses_by_kernel(inputs: LossInputs, rows: slice) -> tuple[Approximation, Array]:
    """Return losses of targets that are not labels, from the kernel, or else the reference."""
    assert exact.compiled is not None
    some = inputs.rows.of(rows)
    place, words = some.filled().argmax(axis=1), np.empty((len(some.x), 3))
    t = np.array(inputs.targets.words(rows, some.x.shape[1], some.mask))
    exact.compiled.losses(some.x, place, some.mask, words, t)
    (high, low, error), zero = words.T, np.zeros(len(words))
    found = Approximation(high, low, zero, error, zero.astype(int))
    is_close = ~(found.error < np.inf)
    if is_close.any():
        closely = inputs._replace(rung=Rung.DOUBLE_WORD)
        left = rows.start + np.flatnonzero(is_close)
        found.put(is_close, _losses_of_band(closely, left)[0])
    return found, is_close


def _losses_of_band(inputs: LossInputs, rows: Any) -> tuple[Approximation, Array]:
    """Return sum t (a - x) + T log S. An error of 0 means that it settles a tie; see `log_sum`."""
    some = inputs.rows.of(rows)
    x = some.filled()
    known, is_close = _sums(inputs, some, x)
    if inputs.targets.is_sparse:
        labels, own = inputs.targets.of_labels(rows)
        x, t, t_low = x[np.arange(len(x)), labels][:, np.newaxis], own, np.zeros(len(own))
        t, t_low = t[np.newaxis], t_low[np.newaxis]
    else:
        t, t_low = (part.T for part in inputs.targets.words(rows, x.shape[1], some.mask))
    x = reference.as_wide(x).T
    d, d_low, is_held = reference.difference(x, known.x_max, known.x_max_low)
    counts = t != 0
    high, low = (
        np.where(counts, -part, 0.0) for part in doubleword.product((t, t_low), (d, d_low))
    )
    sizes = _TOTAL_ERROR * abs(high) + 2 * known.spread * t
    is_exact = (len(t) == 1) & ((d_low == 0) | (t == 1)) & (known.spread == 0)
    head_error = np.where(is_exact, 0.0, 1.001 * sizes + _TINY).sum(axis=0)
    head, head_low = doubleword.total(high, low)

    whole = doubleword.total(t, t_low)
    log_high, log_low = doubleword.product(whole, (known.log_high, known.log_low))
    log_error = whole[0] * (known.log_error + _TOTAL_ERROR * abs(known.log_high))
    logarithm = known._replace(log_high=log_high, log_low=log_low, log_error=1.001 * log_error)
    words = reference.log_sum(head, head_low, logarithm, 1, head_error)

    is_held = np.all(is_held & (~counts | _is_moderate(t)), axis=0) & known.is_held
    is_held &= np.isfinite(words.high)
    error = np.where(is_held, words.error, np.inf)
    words = Approximation(*np.broadcast_arrays(*words._replace(error=error)))
    is_zero, is_infinite = ~counts.any(axis=0), (counts & (x == -np.inf)).any(axis=0)
    special = np.where(is_infinite, np.inf, 0.0)
    special[known.is_nothing] = np.nan
    special[is_zero] = 0.0
    return words.but_for(is_zero | known.is_nothing | is_infinite, special), is_close


def _sums(inputs: LossInputs, some: Rows, x: Array) -> tuple[Sums, Array]:
    """Return facts about some rows, and which of them come from the reference."""
    if inputs.rung is not Rung.KERNEL or exact.compiled is None:
        return reference.sums(x), np.ones(len(x), bool)
    place, words = x.argmax(axis=1), np.empty((len(x), 3))
    exact.compiled.losses(some.x, place, some.mask, words, None)  # log S is the loss of the largest
    largest = x[np.arange(len(x)), place].astype(np.float64)
    known = Sums(*np.zeros((len(Sums._fields), len(x))))._replace(
        largest=largest,
        x_max=largest,
        is_held=np.ones(len(x), bool),
        **dict(zip(("log_high", "log_low", "log_error"), words.T, strict=True)),
        log_exponent=np.zeros(len(x), np.int64),
    )
    is_close = ~(known.log_error < np.inf)  # such as those far below 1
    if is_close.any():
        for part, other in zip(known, reference.sums(x[is_close]), strict=True):
            part[is_close] = other
    return known, is_close


def _is_moderate(x: Array) -> Array:
    """Return where products with a number neither overflow nor lose low words."""
    return (abs(x) > 2.0**-900) & (abs(x) < 2.0**900)


# ---- Gradients


def _gradient(inputs: LossInputs) -> tuple[Array, Certificate]:
    """Compute the gradient of every row over the divisor, correctly rounded, with its proof."""
    (m, n), divisor = inputs.rows.x.shape, inputs.divisor
    result, counts = np.empty((m, n), inputs.format.dtype), Counter[Rung]()
    if not divisor:
        result[...] = np.nan
        counts[Rung.CONVENTION] = result.size
        return inputs.finish_gradient(result), _certificate(inputs, counts)
    inverse, scale = 1 / divisor, (np.nan, np.nan)
    if 2**-900 < inverse < 2**900:
        scale = float(inverse), float(inverse - Fraction(float(inverse)))
    with np.errstate(all="ignore"):
        check_arithmetic()
        if inputs.rung is Rung.KERNEL:
            run = partial(_kernel_gradient, inputs, scale, result)
            jobs: list[tuple[Any]] = [(band,) for band in bands((m, n), exact.JOB)]
            doubtful = np.concatenate(threads.mapped(run, jobs, result.size))
            counts[Rung.KERNEL] = result.size - doubtful.size
        else:
            doubtful = np.arange(result.size)
        if doubtful.size:
            count, row = doubtful.size, doubtful // n
            rows = row[np.diff(row, prepend=-1) != 0]
            starts = rows[[band.start for band in bands((len(rows), n), reference.BLOCK)]]
            jobs = [(part,) for part in np.split(doubtful, np.searchsorted(row, starts[1:]))]
            run = partial(_gradient_in_words, inputs, scale, result)
            doubtful = np.concatenate(threads.mapped(run, jobs, len(rows) * n))
            counts[Rung.DOUBLE_WORD] = count - doubtful.size
    for index in np.unique(doubtful // n).tolist():
        here = doubtful[doubtful // n == index]
        result.reshape(-1)[here] = _gradient_in_decimals(inputs, index, here % n)
    counts[Rung.DECIMAL] = doubtful.size
    return inputs.finish_gradient(result), _certificate(inputs, counts)


def _factors(
    inputs: LossInputs, scale: tuple[float, float], rows: slice | Array
) -> tuple[Array, Pair, Pair, Pair | None]:
    """Return labels, T, the share of it in other classes, and t, over a divisor; None for t of 0.

    They are NaN where products underflow.
    """
    targets = inputs.targets
    if targets.is_sparse:
        labels, t = targets.of_labels(rows)
        nothing = np.zeros(len(t))
        return labels, _scaled((t, nothing), scale), (nothing, nothing), None
    some = inputs.rows.of(rows)
    parts = _scaled(targets.words(rows, some.x.shape[1], some.mask), scale)
    labels = parts[0].argmax(axis=1)
    whole = doubleword.total(parts[0].T, parts[1].T)
    others = parts[0].copy(), parts[1].copy()
    for part in others:
        part[np.arange(len(part)), labels] = 0
    return labels, whole, doubleword.total(others[0].T, others[1].T), parts


def _scaled(t: Pair, scale: tuple[float, float]) -> Pair:
    high, low = doubleword.product(t, scale)
    is_lost = (t[0] != 0) & ~(_is_moderate(t[0]) & _is_moderate(high))
    return np.where(is_lost, np.nan, high), np.where(t[0] == 0, 0.0, low)


def _kernel_gradient(
    inputs: LossInputs, scale: tuple[float, float], result: Array, rows: slice
) -> Array:
    """Compute some rows of the gradient, and return the flat indices of elements in doubt."""
    some = inputs.rows.of(rows)
    labels, s, o, t = _factors(inputs, scale, rows)
    numbers = [s[0]] if t is None else [s[0], o[0], t[0]]
    sizes = np.concatenate([part[part != 0] for part in numbers])
    in_range = ((sizes > 1 / _EXTREME) & (sizes < _EXTREME)).all()
    start = rows.start * some.x.shape[1]
    x = exact.for_kernel(some.x, inputs.format)
    if x is None or exact.compiled is None or not in_range:
        return np.arange(start, start + some.x.size)
    left: Array | None = exact.compiled.gradients(
        x,
        np.ascontiguousarray(labels),
        some.mask,
        result[rows],
        np.stack([*s, *o], axis=1),
        None if t is None else np.array(t),
    )
    return np.zeros(0, np.int64) if left is None else np.sort(left) + np.int64(start)


def _gradient_in_words(
    inputs: LossInputs, scale: tuple[float, float], result: Array, doubtful: Array
) -> Array:
    """Compute elements in doubt, at flat indices, and return those that still are.

    If the largest x has the largest t, T softmax(x) - t = o - T R / S, where o is the sum of all
    other t.
    """
    i = doubtful // result.shape[1]  # it rises
    is_first = np.diff(i, prepend=-1) != 0
    rows, k = i[is_first], np.cumsum(is_first) - 1
    wide = reference.as_wide(inputs.rows.of(rows).filled())
    (m, n), (labels, s, o, t) = wide.shape, _factors(inputs, scale, rows)
    known = reference.sums(wide)
    p = reference.quotient(wide.T, known).but_for(np.isneginf(wide.T), 0.0)
    t_high, t_low = np.zeros((2, n, m)) if t is None else np.array([part.T for part in t])
    if t is None:
        t_high[labels, np.arange(m)] = s[0]
        t_low[labels, np.arange(m)] = s[1]
    top = np.flatnonzero(wide[np.arange(m), labels] == known.largest)
    label, own = (labels[top], top), known.of(top)
    share, share_low = doubleword.product((own.high, own.low), (own.inverse, own.inverse_low))
    lost = own.error * own.inverse + (own.relative + 2 * ARITHMETIC_ERROR) * share
    p.put(label, (-share, -share_low, 0.0, 1.001 * lost, own.exponent))
    t_high[label], t_low[label] = -o[0][top], -o[1][top]

    fraction, bits = np.frexp(s[0])
    exponent = p.exponent + bits
    high, low = doubleword.product(p[:2], (fraction, np.ldexp(s[1], -bits)))
    error = 1.001 * fraction * p.error + _PRODUCT_ERROR * abs(high)
    flat, flat_low, flat_error = (np.ldexp(part, exponent) for part in (high, low, error))
    total, left = two_sum(flat, -t_high)
    flat_low = left + (flat_low - t_low)
    flat_error += 2 * _TOTAL_ERROR * abs(t_high) + _TINY + 2.0**-52 * abs(flat_low)
    parts = (total, high), (flat_low, low), (0.0, 0.0), (flat_error, error), (0, exponent)
    words = Approximation(*(np.where(t_high != 0, *pair) for pair in parts))
    words.error[:, ~((s[0] == 0) | _is_moderate(s[0]))] = np.inf
    is_nothing = np.broadcast_to(known.is_nothing, total.shape)
    value, settled, _ = settle(words, inputs.format)
    settled = (settled & np.isfinite(words.error) & known.is_held) | is_nothing
    value[is_nothing] = np.nan
    at = doubtful + (k - i) * n  # in these rows
    result.reshape(-1)[doubtful] = value.T.reshape(-1)[at]
    in_doubt: Array = doubtful[~settled.T.reshape(-1)[at]]
    return in_doubt


# ---- Decimals


def _row(inputs: LossInputs, row: int) -> tuple[Array, list[Fraction]]:
    """Return the x of a row, -inf where masked, and its t."""
    some = inputs.rows.of(slice(row, row + 1))
    t = inputs.targets.fractions(row, some.x.shape[1], None if some.mask is None else some.mask[0])
    return reference.as_wide(some.filled())[0], t


def _loss_balls(
    inputs: LossInputs, rows: Iterable[int], divisor: Fraction
) -> Iterator[tuple[Context, Ball]]:
    """Yield the sum of finite losses over a divisor with more and more digits."""
    constant, factors, sums = Fraction(0), [], []
    for row in rows:
        wide, t = _row(inputs, row)
        pairs = [(part, Fraction(*ratio(v))) for part, v in zip(t, wide, strict=True) if part]
        if pairs:
            sum_ = Sum.of(decimals.terms_of(wide, None))
            a, whole = Fraction(sum_.first.x), sum(part for part, _ in pairs)
            constant += sum((part * (a - v) for part, v in pairs), Fraction(0)) / divisor
            factors.append(whole / divisor)
            sums.append(sum_)
    for precise, *steps in zip(decimals.contexts(), *sums):  # noqa: B905 all are endless
        with localcontext(precise):
            value = _ball(constant)
            for factor, (_, state) in zip(factors, steps, strict=True):
                part = decimals.multiply(_ball(factor), decimals.log(state[1]))
                value = decimals.add(value, part)
        yield precise, value


def _loss_in_decimals(inputs: LossInputs, rows: Iterable[int], divisor: Fraction) -> Any:
    """Round the sum of finite losses over a divisor."""
    only, balls = Decimal(0), _loss_balls(inputs, rows, divisor)
    return decimals.climb([only], lambda _, ball: [ball], balls, inputs.format)[only]


def _loss_as_fraction(inputs: LossInputs, row: int) -> tuple[Fraction, Fraction]:
    """Return a loss, to 100 bits where possible, and its error bound."""
    value = error = Fraction(0)
    for precise, ball in _loss_balls(inputs, [row], Fraction(1)):
        with localcontext(precise):
            ends = ball.flat()
        if any(ends) and max(end.adjusted() for end in ends if end) < _SMALLEST:
            return Fraction(0), Fraction(1, 10 ** (-_SMALLEST - 1))  # negligible: skip the digits
        value, error = map(Fraction, ends)
        if error <= value / 2**100:
            break
    return value, error


def _gradient_in_decimals(inputs: LossInputs, row: int, classes: Array) -> list[Any]:
    """Round elements of the gradient of a row that has a softmax."""
    wide, t = _row(inputs, row)
    t = [part / inputs.divisor for part in t]
    sum_, scale = Sum.of(decimals.terms_of(wide, None)), sum(t, Fraction(0))
    return [_element(wide[j], t[j], scale, sum_, inputs.format) for j in classes.tolist()]


def _element(x: Any, t: Fraction, scale: Fraction, sum_: Sum, format_: Format) -> Any:
    """Round scale exp(x - a) / S - t."""
    if x == -np.inf or not scale:
        return nearest(-t, format_)
    entry = decimals.as_decimal(x)
    if sum_.has_one_term:  # all finite x are equal
        return nearest(scale / Fraction(sum_.first.b) - t, format_)
    unit = lcm(scale.denominator, t.denominator)
    whole, part, units = (Ball(Decimal(int(v * unit))) for v in (scale, t, Fraction(1)))

    def evaluate(_: object, state: SumState) -> list[Ball]:
        if entry == sum_.first.x:  # then it may be close to scale / n - t, which may be a tie
            less = decimals.subtract(whole, decimals.multiply(part, state[1]))
            return [decimals.divide(less, decimals.multiply(units, state[1]))]
        (p,) = decimals.quotients([entry], state)
        return [decimals.add(_ball(-t), decimals.multiply(_ball(scale), p))]

    return decimals.climb([entry], evaluate, sum_, format_)[entry]


def _ball(value: Fraction) -> Ball:
    """Return a rational number, exactly if the digits suffice."""
    numerator, denominator = (Ball(decimals.as_decimal(v)) for v in value.as_integer_ratio())
    return decimals.divide(numerator, denominator)
