"""Losses of labelled rows and their gradients, correctly rounded.

With e the label's term of the sum, R the sum of all others, and q = R / e,

    -log softmax(x)_label = log(1 + q),    1 - softmax(x)_label = q / (1 + q),

so both keep all their digits where a label dominates. Where t is spread over the classes,

    sum_c t_c (-log softmax(x)_c) = sum_c t_c (a - x_c) + T log S,    a = max x, T = sum_c t_c,

log S being the loss of the largest element; and the gradient is T softmax(x) - t, which for the
largest t is sum of the others - T (1 - softmax(x)). The kernel computes all this in two words; the
rows and elements that it leaves in doubt, and all of them without a kernel, are computed in two
words of NumPy; and what is still in doubt is computed in decimals.

Sums of losses are sums of two words, with the errors of all of them. No such sum is a tie, unless
weights are negative: with z = e**(1/N) and nonnegative rational t and differences k / N, it would
say that a product of powers of polynomials in z, with nonnegative coefficients, is a power of e;
z is transcendental, so each polynomial would have a single term of coefficient 1, and its
logarithm 0 (Lindemann and Weierstrass).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import partial
from itertools import islice
from math import lcm
from typing import Any

import numpy as np

from stablelse.numerics import decimals, doubleword, exact, reference, rowsums, threads
from stablelse.numerics.certificate import Certificate, Ledger, Rung
from stablelse.numerics.decimals import Ball, State, Sum
from stablelse.numerics.doubleword import (
    ARITHMETIC_ERROR,
    Pair,
    two_product,
    two_sum,
)
from stablelse.numerics.formats import FORMATS, Array, Format, format_of, nearest, ratio
from stablelse.numerics.rounding import Approximation, check_arithmetic, settle
from stablelse.numerics.rows import Rows
from stablelse.numerics.targets import LossInputs

# Bounds of the error of a `doubleword.total` and of a few products, relative to the sizes.
_TOTAL_ERROR, _PRODUCT_ERROR = 2.0**-93, 2.0**-98

#: Factors and targets that the kernel takes, beside 0, are between the inverse of this and this.
_EXTREME = 2.0**100

#: Underflow costs less than this.
_TINY = 2.0**-1060

#: With negative weights losses may cancel, or be a tie: 40, 80, ... 2560 digits are tried.
_PRECISIONS = 7

#: Losses below ten to this power are nothing beside those that any format holds.
_SMALLEST = -6000

#: Rows, as an index into arrays of them.
_Rows = slice | Array


# ---- Losses


def losses(inputs: LossInputs) -> tuple[Array, Certificate]:
    """Compute the loss of every row, correctly rounded, shape (m,), and what proves them."""
    m, ledger = len(inputs.x), Ledger()
    result, settled = np.empty(m, inputs.format.dtype), np.zeros(m, bool)
    with np.errstate(all="ignore"):
        for rung in exact.rungs():
            rows = np.flatnonzero(~settled)
            words = _losses_in_words(inputs, rows, rung)
            is_nothing = ~np.isfinite(words.high) & (words.error == 0)
            value, proved, ulps = settle(words, inputs.format, is_nothing)
            value[is_nothing] = inputs.format.round(words.high[is_nothing])
            ledger.enter(rung, int(proved.sum()), ulps[proved])
            ledger.enter(Rung.CONVENTION, int(is_nothing.sum()))
            result[rows], settled[rows] = value, proved | is_nothing
            if rung is Rung.KERNEL and inputs.targets.is_sparse:
                near = rows[~settled[rows] & (words.error < np.inf)]
                near = near[inputs.targets.of_labels()[near] == 1]
                result[near], by_reference = _as_log_softmax(inputs, near)
                settled[near] = True
                ledger.enter(Rung.KERNEL, near.size - by_reference)
                ledger.enter(Rung.DOUBLE_WORD, by_reference)
    for i in np.flatnonzero(~settled).tolist():
        result[i] = _loss_in_decimals(inputs, [i], Fraction(1))
        ledger.enter(Rung.DECIMAL, 1)
    return result, ledger.close(exact.rungs()[0])


def _as_log_softmax(inputs: LossInputs, rows: Array) -> tuple[Array, int]:
    """Return losses, and how many at most the reference settled.

    Of labels far below the largest x they are often ties, but for a term that two words lose.
    """
    labels = inputs.targets.labels
    assert labels is not None
    if not rows.size:
        return np.empty(0, inputs.format.dtype), 0
    x, mask = inputs.of(rows)
    some = Rows(x, inputs.format.dtype, mask)
    found = exact.evaluate("log_softmax", some, certified=True)
    assert found.certificate is not None
    value = 0 - found.value[np.arange(rows.size), labels[rows]]
    return value, min(rows.size, found.certificate.reference)


def reduced_loss(inputs: LossInputs, divisor: Fraction) -> tuple[Any, Certificate]:
    """Compute the sum of all losses over a divisor, correctly rounded, and what proves it."""
    rows, ledger = _counted(inputs), Ledger()
    with np.errstate(all="ignore"):
        for rung in exact.rungs():
            words, special = _all_in_words(inputs, rows, rung)
            if special.size or not divisor:  # an infinite loss, or NaN: there is nothing to round
                ledger.enter(Rung.CONVENTION, 1)
                total = special.sum() * (1 if divisor > 0 else -1) if divisor else np.nan
                return inputs.format.round(np.float64(total))[()], ledger.close(exact.rungs()[0])
            value, settled, ulps = settle(_total(words, divisor), inputs.format)
            if settled.all():
                ledger.enter(rung, 1, ulps)
                return value[0], ledger.close(exact.rungs()[0])
    ledger.enter(Rung.DECIMAL, 1)
    return _loss_in_decimals(inputs, rows.tolist(), divisor), ledger.close(exact.rungs()[0])


def summed(inputs: LossInputs) -> tuple[Fraction, Fraction, float]:
    """Return the sum of all finite losses, a bound of its error, and the sum of all others."""
    with np.errstate(all="ignore"):
        words, special = _all_in_words(inputs, _counted(inputs), exact.rungs()[0])
        if special.size:
            return Fraction(0), Fraction(0), float(special.sum())
        total = _total(words, Fraction(1))
    unit = Fraction(2) ** int(np.broadcast_to(total.exponent, 1)[0])
    high, low, error = (Fraction(float(part[0])) for part in (total.high, total.low, total.error))
    return (high + low) * unit, error * unit, 0.0


def _counted(inputs: LossInputs) -> Array:
    """Return the rows whose losses count."""
    counted = ~inputs.targets.ignored
    if inputs.empty == "zero":
        counted &= ~inputs.nothing
    return np.flatnonzero(counted)


def _all_in_words(inputs: LossInputs, rows: Array, rung: Rung) -> tuple[Approximation, Array]:
    """Return the losses of rows, each with a finite error, and those that are infinite or NaN."""
    words = _losses_in_words(inputs, rows, rung)
    if rung is Rung.KERNEL:
        unknown = np.flatnonzero(~(words.error < np.inf))  # NaN for longdouble
        words.put(unknown, _losses_in_words(inputs, rows[unknown], Rung.DOUBLE_WORD))
    for i in np.flatnonzero(~(words.error < np.inf)).tolist():
        words.put(i, _loss_in_many_words(inputs, rows[i]))
    return words, words.high[~np.isfinite(words.high) & (words.error == 0)]


def _losses_in_words(inputs: LossInputs, rows: Array, rung: Rung) -> Approximation:
    """Return the losses of some rows. The error is infinite where a rung does not know one."""
    n = inputs.x.shape[1]
    jobs = [(band,) for band in _bands(rows, len(inputs.x), n, rung)]
    if not jobs:
        none = np.zeros(0)
        return Approximation(none, none, none, none, np.zeros(0, np.int64))
    of_band = partial(_sparse_losses if inputs.targets.is_sparse else _dense_losses, inputs, rung)
    parts = threads.mapped(of_band, jobs, n * len(rows))
    return Approximation(*map(np.concatenate, zip(*parts, strict=True)))


def _bands(rows: Array, m: int, n: int, rung: Rung) -> Iterator[_Rows]:
    """Cut some of m rows into bands; of all of them, the bands are slices, which are not copied."""
    size = exact.JOB if rung is Rung.KERNEL else rowsums.BLOCK
    step = max(1, size // n)
    for start in range(0, len(rows), step):
        band = slice(start, min(start + step, len(rows)))
        yield band if len(rows) == m else rows[band]


def _sparse_losses(inputs: LossInputs, rung: Rung, rows: _Rows) -> Approximation:
    """Return t times the loss of the label."""
    targets = inputs.targets
    assert targets.labels is not None, "probabilities are not sparse"
    x, mask = inputs.of(rows)
    words = _label_losses(x, targets.labels[rows], mask, rung)
    t = targets.of_labels()[rows]
    fraction, exponent = np.frexp(t)
    high, low = two_product(words.high, fraction)
    low += words.low * fraction
    error = 1.001 * abs(fraction) * words.error + ARITHMETIC_ERROR * abs(high)
    is_nothing = ~np.isfinite(words.high) & (words.error == 0)
    loss = Approximation(high, low, np.zeros(len(t)), error, words.exponent + exponent)
    return loss.but_for((t == 0) | is_nothing, np.where(t == 0, 0.0, words.high * t))


def _dense_losses(inputs: LossInputs, rung: Rung, rows: _Rows) -> Approximation:
    """Return sum t (a - x) + T log S."""
    x, mask = inputs.of(rows)
    t, t_low = (part.T for part in inputs.targets.words(rows, x.shape[1], mask))
    wide = _wide(x, mask)
    largest = wide.argmax(axis=1)
    log = _label_losses(x, largest, mask, rung)
    a, a_low, _ = rowsums.words_of(wide[np.arange(len(x)), largest].astype(np.longdouble))
    d, d_low, is_held = rowsums.difference(wide.T, a, a_low)
    high, low = (
        np.where(t == 0, 0.0, -part) for part in doubleword.product((t, t_low), (d, d_low))
    )
    whole = doubleword.total(t, t_low)
    log_high, log_low, log_error = (np.ldexp(part, log.exponent) for part in (*log[:2], log.error))
    own, own_low = doubleword.product(whole, (log_high, log_low))
    sizes = abs(high).sum(axis=0) + abs(t).sum(axis=0) * log_high
    high, low = doubleword.total(high, low)
    high, rest = two_sum(high, own)
    error = 1.001 * (_TOTAL_ERROR * sizes + abs(whole[0]) * log_error) + _TINY
    is_held = np.all(is_held & ((t == 0) | _is_moderate(t)), axis=0)
    error = np.where(is_held & np.isfinite(high), error, np.inf)
    counts = t != 0
    infinite = np.where(counts & (-np.inf == wide.T), np.copysign(np.inf, t), 0.0).sum(axis=0)
    is_nan = np.isnan(log.high) & (log.error == 0)
    special = np.where(is_nan, np.nan, infinite)
    special[~counts.any(axis=0)] = 0
    has_no_nan = (log.error < np.inf) | (rung is not Rung.KERNEL)
    is_known = is_nan | ((infinite != 0) & has_no_nan) | ~counts.any(axis=0)
    zero = np.zeros(len(x))
    loss = Approximation(high, low + (own_low + rest), zero, error, zero.astype(np.int64))
    return loss.but_for(is_known, special)


def _wide(x: Array, mask: Array | None) -> Array:
    """Return a copy of rows in float64, or longdouble where it takes that, -inf where masked."""
    wide = np.array(rowsums.as_wide(x))
    if mask is not None:
        wide[~mask] = -np.inf
    return wide


def _total(words: Approximation, divisor: Fraction) -> Approximation:
    """Return the sum of words over a divisor, shape (1,)."""
    if not len(words.high):
        zero = np.zeros(1)
        return Approximation(zero, zero, zero, zero)
    top = int(
        np.max(np.frexp(words.high)[1] + words.exponent, where=words.high != 0, initial=-(2**20))
    )
    high, low, error = (np.ldexp(part, words.exponent - top) for part in (*words[:2], words.error))
    sizes = abs(high).sum()
    lost = 1.001 * (error.sum() + _TOTAL_ERROR * sizes)
    lost += len(high) * _TINY if words.error.any() else 0.0
    bits = divisor.denominator.bit_length() - divisor.numerator.bit_length()
    inverse, inverse_low = _words(1 / (divisor * Fraction(2) ** bits))
    high, low = doubleword.product(doubleword.total(high, low), (inverse, inverse_low))
    lost = 1.001 * (lost * abs(inverse) + _PRODUCT_ERROR * abs(high))
    high, low, lost = (np.array([part]) for part in (high, low, lost))
    return Approximation(high, low, np.zeros(1), lost, np.array([top + bits]))


def _is_moderate(x: Array) -> Array:
    """Return where products with a number neither overflow nor lose low words."""
    return (abs(x) > 2.0**-900) & (abs(x) < 2.0**900)


def _words(value: Fraction) -> tuple[float, float]:
    """Return a number of moderate size in two words."""
    high = float(value)
    return high, float(value - Fraction(high))


# ---- The label's loss in two words, and one minus its probability


def _label_losses(x: Array, labels: Array, mask: Array | None, rung: Rung) -> Approximation:
    if rung is not Rung.KERNEL:
        return _in_words(_wide(x, mask), labels)[1]
    words = np.full((len(x), 3), [np.nan, 0.0, np.inf])
    rows = exact.for_kernel(x, format_of(x.dtype) or FORMATS["float64"])
    if rows is not None and exact.compiled is not None:
        exact.compiled.losses(rows, np.ascontiguousarray(labels), mask, words)
    high, low, error = words.T
    return Approximation(high, low, np.zeros(len(x)), error, np.zeros(len(x), np.int64))


def _in_words(wide: Array, labels: Array) -> tuple[rowsums.Sums, Approximation, Approximation]:
    """Return what is known of rows, the losses of labels, and 1 - p of them, shape (m,).

    As the kernel does it (labels.h), in NumPy: the loss is log S - d, without cancellation, and
    1 - p is R / S of the largest element; of others p is at most 1/2. Where two words do not hold
    x, the error is infinite; where there is nothing to round, it is 0.
    """
    rest, _ = rowsums.rests(wide, None)
    known, own = rowsums.known_of(rest), wide[np.arange(len(wide)), labels]
    high, low, lowest, error, exponent = reference.log_quotient(own, known, None)
    loss = -high, -(low + lowest), error + ARITHMETIC_ERROR * abs(high), exponent

    p = reference.quotient(own, known)
    flat, flat_low, flat_error = (np.ldexp(part, p.exponent) for part in (*p[:2], p.error))
    less, less_low = two_sum(1.0, -flat)
    other = less, less_low - flat_low, flat_error + ARITHMETIC_ERROR, 0
    inverse = known.inverse, known.inverse_low
    share, share_low = doubleword.product((rest.high, rest.low), inverse)
    of_rest = rest.relative * rest.size * known.inverse
    top = share, share_low, of_rest + (known.error + 2 * ARITHMETIC_ERROR) * share, rest.exponent
    is_top = own == rest.largest
    less_words = [np.where(is_top, one, two) for one, two in zip(top, other, strict=True)]

    def approximation(words: Any, of_absent: float) -> Approximation:
        high, low, error, exponent = words
        error = np.where(known.is_held, 1.001 * error, np.inf)
        found = Approximation(high, low, np.zeros(len(wide)), error, exponent)
        special = np.where(known.is_nothing, np.nan, of_absent)
        return found.but_for(known.is_nothing | (own == -np.inf), special)

    return known, approximation(loss, np.inf), approximation(less_words, 1.0)


# ---- Gradients


def gradient(inputs: LossInputs, divisor: Fraction) -> tuple[Array, Certificate]:
    """Compute the gradient of every row over a divisor, correctly rounded, and what proves it."""
    x, ledger = inputs.x, Ledger()
    result = np.empty(x.shape, inputs.format.dtype)
    if not divisor:
        result[...] = np.nan
        ledger.enter(Rung.CONVENTION, result.size)
        return result, ledger.close(exact.rungs()[0])
    is_moderate = 2**-900 < abs(1 / divisor) < 2**900
    scale = _words(1 / divisor) if is_moderate else (np.nan, np.nan)
    flat, doubtful, rows = result.reshape(-1), np.zeros(0, np.int64), np.arange(len(x))
    count = result.size  # of the results in doubt: all, at first
    with np.errstate(all="ignore"):
        check_arithmetic()
        for rung in exact.rungs():
            of_band = _kernel_gradient if rung is Rung.KERNEL else _gradient_in_words
            jobs = [(band,) for band in _bands(rows, len(x), x.shape[1], rung)]
            run = partial(of_band, inputs, scale, result, doubtful)
            parts = threads.mapped(run, jobs, len(rows) * x.shape[1])
            left = np.concatenate([np.zeros(0, np.int64), *parts])
            ledger.enter(rung, count - left.size)
            doubtful, count, rows = left, left.size, np.unique(left // x.shape[1])
    for row in rows.tolist():
        here = doubtful[doubtful // x.shape[1] == row]
        flat[here] = _gradient_in_decimals(inputs, row, here % x.shape[1], divisor)
    ledger.enter(Rung.DECIMAL, doubtful.size)
    return result, ledger.close(exact.rungs()[0])


def _factors(
    inputs: LossInputs, scale: tuple[float, float], rows: _Rows
) -> tuple[Array, Pair, Pair, Pair | None]:
    """Return labels, T, what other classes have of it, and t, over a divisor; None for t of 0.

    They are NaN where products underflow.
    """
    targets = inputs.targets
    if targets.is_sparse:
        assert targets.labels is not None, "probabilities are not sparse"
        t = targets.of_labels()[rows]
        nothing = np.zeros(len(t))
        return targets.labels[rows], _scaled((t, nothing), scale), (nothing, nothing), None
    x, mask = inputs.of(rows)
    parts = _scaled(targets.words(rows, x.shape[1], mask), scale)
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
    inputs: LossInputs, scale: tuple[float, float], result: Array, _: Array, rows: _Rows
) -> Array:
    """Compute some rows of the gradient, and return the flat indices of what is in doubt."""
    x, mask = inputs.of(rows)
    labels, s, o, t = _factors(inputs, scale, rows)
    numbers = [s[0]] if t is None else [s[0], o[0], t[0]]
    sizes = np.concatenate([abs(part[part != 0]) for part in numbers])
    in_range = ((sizes > 1 / _EXTREME) & (sizes < _EXTREME)).all()
    is_signed = t is not None and inputs.targets.is_signed
    start = (rows.start if isinstance(rows, slice) else int(rows[0])) * x.shape[1]
    x_here = exact.for_kernel(x, inputs.format)
    if x_here is None or exact.compiled is None or is_signed or not in_range:
        return np.arange(start, start + x.size)
    left: Array | None = exact.compiled.gradients(
        x_here,
        np.ascontiguousarray(labels),
        mask,
        result[rows],
        np.stack([*s, *o], axis=1),
        None if t is None else np.array(t),
    )
    return np.zeros(0, np.int64) if left is None else left + np.int64(start)


def _gradient_in_words(
    inputs: LossInputs, scale: tuple[float, float], result: Array, doubtful: Array, rows: _Rows
) -> Array:
    """Compute in some rows what is in doubt, and return what still is."""
    x, mask = inputs.of(rows)
    wide, (labels, s, o, t) = _wide(x, mask), _factors(inputs, scale, rows)
    label = labels, np.arange(len(x))
    known, _, less = _in_words(wide, labels)
    p = reference.quotient(wide.T, known).but_for(np.isneginf(wide.T), 0.0)
    t_high, t_low = np.zeros((2, *wide.T.shape)) if t is None else np.array([part.T for part in t])
    p.put(label, less)
    for part in (p.high, p.low):
        part[label] *= -1
    t_high[label], t_low[label] = -o[0], -o[1]

    fraction, bits = np.frexp(s[0])
    exponent = p.exponent + bits
    high, low = doubleword.product(p[:2], (fraction, np.ldexp(s[1], -bits)))
    error = 1.001 * abs(fraction) * p.error + _PRODUCT_ERROR * abs(high)
    flat, flat_low, flat_error = (np.ldexp(part, exponent) for part in (high, low, error))
    total, rest = two_sum(flat, -t_high)
    flat_low = rest + (flat_low - t_low)
    flat_error += 2 * _TOTAL_ERROR * abs(t_high) + _TINY + 2.0**-52 * abs(flat_low)
    is_sum = t_high != 0
    flat_error[:, ~((s[0] == 0) | _is_moderate(s[0]))] = np.inf
    if inputs.targets.is_signed:  # T may cancel
        flat_error[is_sum] = np.inf
    parts = (total, high), (flat_low, low), (0.0, 0.0), (flat_error, error), (0, exponent)
    words = Approximation(*(np.where(is_sum, *pair) for pair in parts))
    words.error[flat_error == np.inf] = np.inf
    is_nothing = np.broadcast_to(known.is_nothing, total.shape)
    value, settled, _ = settle(words, inputs.format, is_nothing)
    settled = (settled & np.isfinite(words.error) & known.is_held) | is_nothing
    value[is_nothing] = np.nan
    every = np.arange(len(inputs.x))[rows, np.newaxis] * x.shape[1] + np.arange(x.shape[1])
    wanted = np.isin(every, doubtful) if doubtful.size else np.ones(every.shape, bool)
    result.reshape(-1)[every[wanted]] = value.T[wanted]
    left: Array = every[wanted & ~settled.T]
    return left


# ---- Decimals


def _row(inputs: LossInputs, row: int) -> tuple[Array, list[Fraction]]:
    """Return the x of a row, -inf where masked, and its t."""
    x, mask = inputs.of(slice(row, row + 1))
    t = inputs.targets.fractions(row, x.shape[1], None if mask is None else mask[0])
    return _wide(x, mask)[0], t


def _loss_balls(
    inputs: LossInputs, rows: list[int], divisor: Fraction
) -> Iterator[tuple[Context, Ball]]:
    """Yield the sum of losses over a divisor, each of them finite, with more and more digits."""
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
    for precise, *states in zip(decimals.contexts(), *sums):  # noqa: B905 both are without an end
        with localcontext(precise):
            value = _ball(constant)
            for factor, (_, state) in zip(factors, states, strict=True):
                value = decimals.add(
                    value, decimals.multiply(_ball(factor), decimals.log(state[1]))
                )
        yield precise, value


def _loss_in_decimals(inputs: LossInputs, rows: list[int], divisor: Fraction) -> Any:
    """Round the sum of losses over a divisor. What may be a tie after all digits counts as one."""
    balls = _loss_balls(inputs, rows, divisor)
    value = Ball(Decimal(0))
    for precise, value in islice(balls, _PRECISIONS) if inputs.targets.is_signed else balls:
        with localcontext(precise):
            found = decimals.nearest_to(value, inputs.format)
        if found is not None:
            return found
    tail = value.tail if value.tail.adjusted() > _SMALLEST else Decimal(0)
    return nearest(Fraction(value.head) + Fraction(tail), inputs.format)


def _loss_in_many_words(inputs: LossInputs, row: int) -> tuple[float, float, float, float, int]:
    """Return a loss as `Approximation` has it."""
    balls = _loss_balls(inputs, [row], Fraction(1))
    for precise, ball in islice(balls, _PRECISIONS) if inputs.targets.is_signed else balls:
        with localcontext(precise):
            ends = ball.flat()
        if any(ends) and max(end.adjusted() for end in ends if end) < _SMALLEST:
            return 0.0, 0.0, 0.0, 1.0, 3 * _SMALLEST  # a fraction would have too many digits
        value, error = map(Fraction, ends)
        if error <= abs(value) / 2**100:
            break
    size = max(abs(value), error)
    bits = size.numerator.bit_length() - size.denominator.bit_length() if size else 0
    unit = Fraction(2) ** bits
    high, low = _words(value / unit)
    return high, low, 0.0, 1.001 * float(error / unit) + 2.0**-100 * abs(high), bits


def _gradient_in_decimals(
    inputs: LossInputs, row: int, classes: Array, divisor: Fraction
) -> list[Any]:
    """Round elements of the gradient of a row that has a softmax."""
    wide, t = _row(inputs, row)
    sum_ = Sum.of(decimals.terms_of(wide, None))
    scale = sum(t, Fraction(0)) / divisor
    return [
        _element_in_decimals(wide[j], t[j] / divisor, scale, sum_, inputs.format)
        for j in classes.tolist()
    ]


def _element_in_decimals(x: Any, t: Fraction, scale: Fraction, sum_: Sum, format_: Format) -> Any:
    """Round scale exp(x - a) / S - t."""
    if x == -np.inf or not scale:
        return nearest(-t, format_)
    entry = decimals.as_decimal(x)
    if sum_.has_one_term:  # all finite x are equal
        return nearest(scale / Fraction(sum_.first.b) - t, format_)
    unit = lcm(scale.denominator, t.denominator)
    whole, part, units = (Ball(Decimal(int(v * unit))) for v in (scale, t, Fraction(1)))

    def evaluate(_: object, state: State) -> list[Ball]:
        if entry == sum_.first.x:  # then it may be next to scale / n - t, which may be a tie
            less = decimals.subtract(whole, decimals.multiply(part, state[1]))
            return [decimals.divide(less, decimals.multiply(units, state[1]))]
        (p,) = decimals.quotients([entry], state)
        return [decimals.add(_ball(-t), decimals.multiply(_ball(scale), p))]

    return decimals.climb([entry], evaluate, sum_, format_)[entry]


def _ball(value: Fraction) -> Ball:
    """Return a rational number: exactly, if so many digits hold it."""
    numerator, denominator = (Ball(decimals.as_decimal(v)) for v in value.as_integer_ratio())
    return decimals.divide(numerator, denominator)
