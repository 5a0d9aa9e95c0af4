"""States: what pieces of vectors add up to, in any order, and what follows for the whole.

The terms of a vector sum to e**top (1 + R), R = (high + low +- error) 2**scale, with top its
largest element: R is the sum of all other terms, and keeps its digits however small it is. An error
of 0 says that all elements are equal: R is their number less one. Where the sum can still be
next to 1, near + near_low + near_lowest is the sum itself, wrong by near_error, which is infinite
elsewhere. `stablelse/numerics/kernel/state.h` derives the bounds for the kernel; what follows here
is the reference. Bounds come with the states, so both can be mixed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from stablelse.numerics import doubleword, exact, kernel, nearzero, reference, rowsums, threads
from stablelse.numerics.doubleword import fast_two_sum, two_sum
from stablelse.numerics.formats import FORMATS, Array, Format
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rounding import Approximation, check_arithmetic, settle

_NEAR = ("near", "near_low", "near_lowest")

#: One state; an array of them has one for each vector.
STATE = np.dtype(
    [(name, np.float64) for name in ("top", "high", "low", "error", "scale", "near_error", *_NEAR)]
)

# R below this power of two has a scale of its own. A term below exp(-_VANISHING) breaks ties, and
# only its sign matters: it counts as 2**_OF_VANISHING.
_TINY, _VANISHING, _OF_VANISHING = -900, 2000.0, -2800

# The sum can be next to 1 while it is at most this. Terms below exp(_LOWEST) are part of the error.
_NEXT_TO_1, _LOWEST = 1 + 2.0**-8, -100.0

_FUNCTIONS = {
    Function.SOFTMAX: (1, reference.quotient),
    Function.LOG_SOFTMAX: (2, reference.log_quotient),
}


def empty(count: int) -> Array:
    """Return states of no elements, shape (count,)."""
    states = np.zeros(count, STATE)
    states["top"] = -np.inf
    return states


def add(states: Array, rows: Array, format_: Format | None = None) -> None:
    """Add each row, shape (m, n), to a state of its own, for results in the format alone."""
    compiled = kernel.load()
    if compiled is None or not rows.size:
        add_closely(states, rows)
        return
    of = FORMATS["float64"] if rows.dtype.kind in "biu" else known_format(rows.dtype)
    x = exact.for_kernel(rows, of)
    x = exact.for_kernel(rows.astype(np.float64), FORMATS["float64"]) if x is None else x
    assert x is not None
    is_narrow = format_ is not None and x.dtype == format_.dtype
    jobs = _jobs(*x.shape)
    # The columns of a job are pieces of the same row: each has a state of its own.
    own = [states[band] if not columns.start else empty(1) for band, columns in jobs]
    threads.mapped(
        lambda place, s: compiled.add_rows(x[place], is_narrow, _floats(s)),
        list(zip(jobs, own, strict=True)),
        x.size,
    )
    for (_, columns), part in zip(jobs, own, strict=True):
        if columns.start:
            merge(states, part)


def _jobs(m: int, n: int) -> list[tuple[slice, slice]]:
    """Return what each thread does of m rows: some of them, or some columns of the one."""
    count = threads.workers(m * n)
    if m == 1:
        ends = [n * i // count for i in range(count + 1)]
        return [(slice(0, 1), slice(*pair)) for pair in pairwise(ends)]
    step = max(1, -(-m // count))
    return [(slice(i, i + step), slice(0, n)) for i in range(0, m, step)]


def merge(states: Array, others: Array) -> None:
    """Add other states to states, shape (m,), in place."""
    compiled = kernel.load()
    if compiled is not None:
        compiled.merge_states(_floats(states), _floats(others))
        return
    with np.errstate(all="ignore"):
        states[...] = _merged(states, others)


def _floats(states: Array) -> Array:
    return states.view(np.float64).reshape(len(states), STATE.itemsize // 8)


def add_closely(states: Array, rows: Array) -> None:
    """Add rows to states with the digits of the reference, which are more than the kernel's."""
    if not rows.size:
        return
    with np.errstate(all="ignore"):
        check_arithmetic()
        for band in rowsums.bands(*rows.shape):
            for columns in rowsums.pieces(rows.shape[1]):
                x = rows[band, columns].astype(np.float64)
                states[band] = _merged(states[band], _state_of(x, states[band]))


def _state_of(x: Array, before: Array) -> Array:
    """Return the states of rows that follow others."""
    rest, _ = rowsums.rests(x, None)
    states = empty(len(x))
    states["top"] = rest.largest.astype(np.float64)
    finite = np.isfinite(states["top"])
    scale = np.where(rest.exponent + np.frexp(rest.high)[1] > _TINY, 0, rest.exponent)
    known = finite & (rest.high > 0)
    lowest = np.where(x == -np.inf, np.inf, x).min(axis=1)
    words = rest.high, rest.low, np.where(lowest == states["top"], 0.0, rest.relative * rest.size)
    for name, word in zip(("high", "low", "error"), words, strict=True):
        states[name] = np.where(known, np.ldexp(word, rest.exponent - scale), 0)
    states["scale"] = np.where(known, scale, 0)
    states["near_error"] = np.inf
    (near,) = np.nonzero(
        (_plain(_merged(before, states)) <= _NEXT_TO_1) & np.isfinite(before["near_error"])
    )
    if near.size:
        states["near_error"][near] = x.shape[1] * 2.0**-144
        (some,) = np.nonzero(states["top"][near] > _LOWEST)
        if some.size:
            here = near[some]
            near_words = nearzero.total(*nearzero.exp(x[here].T))
            for name, word in zip(_NEAR, near_words, strict=True):
                states[name][here] = word
            states["near_error"][here] += nearzero.ERROR * near_words[0]
    return states


def _merged(s: Array, t: Array) -> Array:
    """Return merged states.

    With d = t.top - s.top <= 0, R = R_s + e**d (1 + R_t). The exponential is wrong by 2**-90, a
    product or a sum by 2**-102. Where d is 0 and both R are exact, their sum is.
    """
    is_other = (t["top"] > s["top"]) | np.isnan(t["top"])
    result, other = np.where(is_other, t, s), np.where(is_other, s, t)
    both = np.isfinite(result["top"]) & (other["top"] > -np.inf)
    d, d_low = two_sum(np.where(both, other["top"], 0), -np.where(both, result["top"], 0))
    vanishes = d < -_VANISHING
    high, low, k = doubleword.exp(np.maximum(d, -_VANISHING), np.where(vanishes, 0, d_low))
    one, one_low, one_error = (_unscaled(other, name) for name in ("high", "low", "error"))
    one, rest = two_sum(1.0, one)
    one, one_low = fast_two_sum(one, rest + one_low)
    term, term_low = doubleword.product((high, low), (one, one_low))
    relative = doubleword.EXP_ERROR + 2 * doubleword.ARITHMETIC_ERROR
    error = 1.001 * (high * one_error + np.where(d == 0, 0, relative) * term)
    term, term_low = np.where(vanishes, 1, term), np.where(vanishes, 0, term_low)
    error, k = np.where(vanishes, 0.5, error), np.where(vanishes, _OF_VANISHING, k)

    is_some, scale = result["high"] > 0, np.where(k > _TINY, 0, k)
    scale = np.where(is_some, np.maximum(scale, result["scale"]), scale).astype(np.int64)
    own = np.where(is_some, result["scale"], scale).astype(np.int64) - scale
    parts = np.ldexp(result["high"], own), np.ldexp(term, k - scale)
    total, rest = two_sum(*parts)
    lows = np.ldexp(result["low"], own) + np.ldexp(term_low, k - scale)
    total, total_low = fast_two_sum(total, rest + lows)
    error = np.ldexp(result["error"], own) + np.ldexp(error, k - scale)
    error = np.where((error == 0) & (d == 0), 0, error + 2.0**-101 * total)
    for name, value in (("high", total), ("low", total_low), ("error", error), ("scale", scale)):
        result[name] = np.where(both, value, result[name])

    is_near = np.isfinite(s["near_error"] + t["near_error"])
    near, first = two_sum(s["near"], t["near"])
    near_low, second = two_sum(s["near_low"], t["near_low"])
    near_low, third = two_sum(near_low, first)
    left = s["near_lowest"] + t["near_lowest"], second + third
    size = abs(s["near_lowest"]) + abs(t["near_lowest"]) + abs(second) + abs(third)
    near_error = s["near_error"] + t["near_error"] + 2.0**-51 * size
    result["near_error"] = np.where(is_near, near_error, np.inf)
    for name, value in (("near", near), ("near_low", near_low), ("near_lowest", sum(left))):
        result[name] = np.where(is_near, value, 0)
    return result


def _unscaled(states: Array, name: str) -> Array:
    unscaled: Array = np.ldexp(states[name], states["scale"].astype(np.int64))
    return unscaled


def _plain(states: Array) -> Array:
    """Return the sums of terms, about."""
    plain: Array = np.exp(states["top"]) * (1 + _unscaled(states, "high"))
    return plain


def known_of(states: Array) -> rowsums.Sums:
    """Return what the reference has to know of vectors."""
    top, zero = states["top"], np.zeros(len(states))
    relative = np.where(states["high"] > 0, states["error"] / states["high"], 0)
    rest = states["high"], states["low"], states["scale"].astype(np.int64), states["high"], relative
    return rowsums.known_of(
        rowsums.Rest(top, zero + 1, top, zero, zero, np.ones(len(states), bool), *rest)
    )


def logarithms(states: Array) -> tuple[Approximation, Array]:
    """Return the log-sum-exps of vectors of finite sums, and whether three words were needed."""
    with np.errstate(all="ignore"):
        known = known_of(states)
        y = reference.log_sum(known.x_max, known.x_max_low, known)
        first, second, third = (states[name] for name in _NEAR)
        estimate = y.high + (y.low + y.lowest)
        near = nearzero.logarithm(first, second, third, states["near_error"], estimate)
        is_near = (abs(estimate) < 2.0**-9) & (near.error < y.error) & (y.exponent == 0)
        parts = [np.where(is_near, a, b) for a, b in zip(near[:4], y[:4], strict=True)]
        return Approximation(*parts)._replace(exponent=y.exponent), is_near


def rounded(states: Array, format_: Format) -> tuple[Array, Array, Array, Array]:
    """Return log-sum-exps, whether they are settled, their bounds in ulps, and as `logarithms`."""
    finite = np.isfinite(states["top"])
    y, is_near = logarithms(states)
    with np.errstate(all="ignore"):
        value, settled, ulps = settle(y, format_, ~finite)
        value[~finite] = format_.round(states["top"][~finite])
    return value, settled | ~finite, np.where(finite, ulps, 0), is_near & finite


def elements(
    function: Function, rows: Array, states: Array, format_: Format
) -> tuple[Array, Array]:
    """Compute a function of pieces of vectors, shape (m, n); return what is in doubt too."""
    compiled, x = kernel.load(), exact.for_kernel(rows, format_)
    if compiled is None or x is None:
        return elements_closely(function, rows, states, format_)
    values, number = np.empty(rows.shape, format_.dtype), _FUNCTIONS[function][0]
    jobs = _jobs(*x.shape)
    found = threads.mapped(
        lambda *p: compiled.settle_elements(number, x[p], values[p], None, _floats(states[p[0]])),
        jobs,
        x.size,
    )
    firsts = [band.start * x.shape[1] + columns.start for band, columns in jobs]
    doubtful = [d + first for d, first in zip(found, firsts, strict=True) if d is not None]
    return values, np.concatenate([np.empty(0, np.int64), *doubtful])


def elements_closely(
    function: Function, rows: Array, states: Array, format_: Format
) -> tuple[Array, Array]:
    """Compute elements as `elements`, with the digits of the reference."""
    evaluate = _FUNCTIONS[function][1]
    values, unsettled = np.empty(rows.shape, format_.dtype), np.zeros(rows.shape, bool)
    with np.errstate(all="ignore"):
        for band in rowsums.bands(*rows.shape):
            known = known_of(states[band])
            for columns in rowsums.pieces(rows.shape[1]):
                x = rows[band, columns].T.astype(np.float64)
                is_nan = np.broadcast_to(known.is_nothing, x.shape)
                is_nothing = (x == -np.inf) | is_nan
                value, settled, _ = settle(evaluate(x, known, None), format_, is_nothing)
                of_nothing = 0.0 if function is Function.SOFTMAX else -np.inf
                value[is_nothing] = format_.round(np.where(is_nan[is_nothing], np.nan, of_nothing))
                values[band, columns] = value.T
                unsettled[band, columns] = ~(settled | is_nothing).T
    return values, np.flatnonzero(unsettled)
