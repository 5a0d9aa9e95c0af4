"""States: the sums of pieces of vectors, merged in any order, and the results for whole vectors.

The terms of a vector sum to e**top (1 + R), R = (high + low +- error) 2**scale, with top its
largest element: R is the sum of all other terms, and keeps its digits however small it is. An error
of 0 means that all elements are equal: R is their number minus one. While the sum can still be
close to 1, near is the sum itself in three words, with the error near_error, otherwise infinite.
`stablelse/numerics/kernel/state.h` derives the bounds for the kernel; the reference is here. Each
state has its bound, so both can be mixed. `Whole` reads the numbers of a vector again for results
that its state leaves in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from stablelse.numerics import decimals, doubleword, exact, kernel, reference, threads
from stablelse.numerics.certificate import Rung
from stablelse.numerics.decimals import ExactTerm, Sum, as_decimal
from stablelse.numerics.doubleword import Approximation, settle, two_sum
from stablelse.numerics.formats import FORMATS, Array, Format, check_arithmetic
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rows import bands

#: One state; arrays have one for each vector.
STATE = np.dtype(
    [(name, float) for name in ("top", "high", "low", "error", "scale", "near_error")]
    + [("near", float, 3)]
)

# An R below this power of two has its own scale. A term below exp(-_VANISHING) only breaks ties,
# so only its sign matters: it counts as 2**_OF_VANISHING.
_TINY, _VANISHING, _OF_VANISHING = -900, 2000.0, -2800

# A sum up to this can be close to 1. Terms below exp(_LOWEST) are part of the error.
_NEXT_TO_1, _LOWEST = 1 + 2.0**-8, -100.0


def empty(count: int) -> Array:
    """Return states of no elements, shape (count,)."""
    states = np.zeros(count, STATE)
    states["top"] = -np.inf
    return states


def add(states: Array, rows: Array, format_: Format | None = None) -> None:
    """Add each row, shape (m, n), to its own state, for results in this format only."""
    compiled = kernel.load()
    if compiled is None or not rows.size:
        add_closely(states, rows)
        return
    of = FORMATS["float64"] if rows.dtype.kind in "biu" else known_format(rows.dtype)
    x = exact.for_kernel(rows, of)
    x = rows.astype(np.float64) if x is None else x
    is_narrow = format_ is not None and x.dtype == format_.dtype
    jobs = _jobs(*x.shape)
    # If jobs are pieces of the same row, each has its own state.
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
    """Return each thread's share of m rows: some of them, or some columns of a single one."""
    count = threads.workers(m * n)
    if m == 1:
        ends = [n * i // count for i in range(count + 1)]
        return [(slice(0, 1), slice(*pair)) for pair in pairwise(ends)]
    step = max(1, -(-m // count))
    return [(slice(i, i + step), slice(0, n)) for i in range(0, m, step)]


def merge(states: Array, others: Array) -> None:
    """Merge other states into states, shape (m,), in place."""
    compiled = kernel.load()
    if compiled is not None:
        compiled.merge_states(_floats(states), _floats(others))
        return
    with np.errstate(all="ignore"):
        states[...] = _merged(states, others)


def _floats(states: Array) -> Array:
    return states.view(np.float64).reshape(len(states), STATE.itemsize // 8)


def add_closely(states: Array, rows: Array) -> None:
    """Add rows to states with the reference, which has more digits than the kernel."""
    if not rows.size:
        return
    with np.errstate(all="ignore"):
        check_arithmetic()
        for band in bands(rows.shape, reference.BLOCK):
            for columns in reference.pieces(rows.shape[1]):
                x = rows[band, columns].astype(np.float64)
                states[band] = _merged(states[band], _state_of(x, states[band]))


def _state_of(x: Array, before: Array) -> Array:
    """Return the states of rows, given those of the elements before."""
    known, states = reference.sums(x), empty(len(x))
    is_finite = ~known.is_nothing
    is_level = np.where(x == -np.inf, np.inf, x).min(axis=1) == known.x_max
    states["top"] = known.x_max
    states["near_error"] = np.inf
    error = np.where(is_level, 0.0, known.error)
    _put(states, is_finite & (known.high > 0), known.high, known.low, error, known.exponent)
    may_be_near = _plain(before) + _plain(states) <= _NEXT_TO_1
    near = np.flatnonzero(may_be_near & np.isfinite(before["near_error"]))
    states["near_error"][near] = x.shape[1] * 2.0**-144
    some = near[states["top"][near] > _LOWEST]
    if some.size:
        total = reference.near_sums(x[some])
        states["near_error"][some] += doubleword.TRIPLE_ERROR * total[0]
        states["near"][some] = np.stack(total, axis=-1)
    return states


def _put(states: Array, where: Array, high: Array, low: Array, error: Array, k: Array) -> None:
    """Set R to (high + low +- error) 2**k in some of the states."""
    scale = np.where(k + np.frexp(high)[1] > _TINY, 0, k)
    for name, word in (("high", high), ("low", low), ("error", error)):
        states[name] = np.where(where, np.ldexp(word, k - scale), states[name])
    states["scale"] = np.where(where, scale, states["scale"])


def _merged(s: Array, t: Array) -> Array:
    """Return merged states.

    With d = t.top - s.top <= 0, R = R_s + e**d (1 + R_t). The exponential has an error of 2**-90, a
    product of 2**-101, a sum of 2**-94. If d is 0 and both R are exact, so is their sum.
    """
    is_other = (t["top"] > s["top"]) | np.isnan(t["top"])
    result, other = np.where(is_other, t, s), np.where(is_other, s, t)
    both = np.isfinite(result["top"]) & (other["top"] > -np.inf)
    d, d_low = two_sum(np.where(both, other["top"], 0), -np.where(both, result["top"], 0))
    vanishes = d < -_VANISHING
    high, low, k = doubleword.exp(np.maximum(d, -_VANISHING), np.where(vanishes, 0, d_low))
    rest = _unscaled(other, "high"), _unscaled(other, "low")
    term, term_low = doubleword.product((high, low), doubleword.plus((1.0, 0.0), rest))
    relative = doubleword.EXP_ERROR + 2 * doubleword.ARITHMETIC_ERROR
    error = 1.001 * (high * _unscaled(other, "error") + np.where(d == 0, 0, relative) * term)
    term, term_low = np.where(vanishes, 1, term), np.where(vanishes, 0, term_low)
    error, k = np.where(vanishes, 0.5, error), np.where(vanishes, _OF_VANISHING, k)

    own = np.where(result["high"] > 0, result["scale"], reference.OF_ZERO).astype(np.int64)
    exponents = np.stack([own, k])
    words = np.stack([result["high"], term]), np.stack([result["low"], term_low])
    high, low, top = reference.total_of(*words, exponents)
    error = np.ldexp(np.stack([result["error"], error]), exponents - top).sum(axis=0)
    is_exact = (d == 0) & (s["error"] + t["error"] == 0)  # a scaled error may vanish
    error = np.where(is_exact, 0, error + doubleword.SUM_ERROR * high)
    _put(result, both, high, low, error, top)

    pairs = [np.stack(pair) for pair in zip(s["near"].T, t["near"].T, strict=True)]
    near, near_error = doubleword.total(*pairs), s["near_error"] + t["near_error"]
    # the lowest words are below 2**-90 of the sum, and rounded a few times
    near_error += 2.0**-51 * abs(pairs[2]).sum(axis=0) + 2.0**-140 * near[0]
    result["near_error"] = near_error
    result["near"] = np.where(np.isfinite(near_error), near, 0).T
    return result


def _unscaled(states: Array, name: str) -> Array:
    unscaled: Array = np.ldexp(states[name], states["scale"].astype(np.int64))
    return unscaled


def _plain(states: Array) -> Array:
    """Return the approximate sums of terms."""
    return np.asarray(np.exp(states["top"]) * (1 + _unscaled(states, "high")))


def known_of(states: Array) -> reference.Sums:
    """Return the facts about vectors that the reference needs."""
    top, zero, is_held = states["top"], np.zeros(len(states)), np.ones(len(states), bool)
    high, low, error = (states[name] for name in ("high", "low", "error"))
    rest = high, low, error, states["scale"].astype(np.int64)
    facts = reference.facts_of(*rest, zero + 1)
    return reference.Sums(top, top, zero, zero, is_held, *rest, *facts)


def logarithms(states: Array) -> tuple[Approximation, Array]:
    """Return the log-sum-exps of vectors with finite sums, and whether they took three words."""
    with np.errstate(all="ignore"):
        known = known_of(states)
        y = reference.log_sum(known.x_max, known.x_max_low, known)
        estimate = y.high + (y.low + y.lowest)
        first, second, third = states["near"].T
        near = reference.near_logarithm((first, second, third), states["near_error"], estimate)
        is_near = (abs(estimate) < 2.0**-9) & (near.error < y.error) & (y.exponent == 0)
        parts = [np.where(is_near, a, b) for a, b in zip(near[:4], y[:4], strict=True)]
        return Approximation(*parts)._replace(exponent=y.exponent), is_near


def rounded(states: Array, format_: Format) -> tuple[Array, Array, Array, Array]:
    """Return log-sum-exps, whether settled, their bounds in ulps, and whether in three words."""
    finite = np.isfinite(states["top"])
    y, is_near = logarithms(states)
    with np.errstate(all="ignore"):
        value, settled, ulps = settle(y, format_)
        value[~finite] = format_.round(states["top"][~finite])
    return value, settled | ~finite, np.where(finite, ulps, 0), is_near & finite


def elements(
    function: Function, rows: Array, states: Array, format_: Format
) -> tuple[Array, Array]:
    """Compute a function of pieces of vectors, shape (m, n); also return what is in doubt."""
    compiled, x = kernel.load(), exact.for_kernel(rows, format_)
    if compiled is None or x is None or not rows.size:
        return elements_closely(function, rows, states, format_)
    values, number = np.empty(rows.shape, format_.dtype), exact.NAMES.index(function.value)
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
    """Compute the same as `elements`, with the reference."""
    values, doubtful = np.empty(rows.shape, format_.dtype), np.zeros(rows.shape, bool)
    with np.errstate(all="ignore"):
        for band in bands(rows.shape, reference.BLOCK):
            known = known_of(states[band])
            for columns in reference.pieces(rows.shape[1]):
                x = rows[band, columns].T.astype(np.float64)
                found = reference.elements(function.value, x, known, format_)
                values[band, columns], doubtful[band, columns] = found[0].T, found[1].T
    return values, np.flatnonzero(doubtful)


class Whole:
    """A vector that is too long for memory, to compute its elements.

    `parts` returns the numbers, rounded to the format, in parts of shape (n,), the same each time.
    """

    def __init__(self, state: Array, parts: Callable[[], Iterable[Array]]) -> None:
        self._state, self._parts = state, parts

    def rounded(self, format_: Format) -> tuple[Any, Rung]:
        """Return the log-sum-exp, correctly rounded from the parts, and its rung."""
        value, settled, _, is_near = rounded(self._close_state, format_)
        if settled[0]:
            return value[0], Rung.TRIPLE_WORD if is_near[0] else Rung.DOUBLE_WORD
        return self._sum.logsumexp(format_)[0], Rung.DECIMAL

    def elements(self, function: Function, x: Array, format_: Format) -> Array:
        """Compute the elements that belong to x, shape (n,); NaN if the sum is NaN or infinite."""
        rows = x[np.newaxis]
        values, doubtful = elements(function, rows, self._state, format_)
        if doubtful.size:
            values[0, doubtful] = self._climbed(function, x[doubtful], format_)
        row: Array = values[0]
        return row

    def _climbed(self, function: Function, x: Array, format_: Format) -> Array:
        """Return elements of finite x, correctly rounded from the parts."""
        different, back = np.unique(x.astype(np.float64), return_inverse=True)
        rows = format_.round(different)[np.newaxis]
        (values,), doubtful = elements_closely(function, rows, self._close_state, format_)
        if doubtful.size:
            wanted, of = different[doubtful], decimals.ELEMENTS[function.value]
            values[doubtful] = decimals.elements_of(wanted, of, self._sum, format_)
        result: Array = values[back]
        return result

    @cached_property
    def _close_state(self) -> Array:
        """The state, with more digits than the kernel's.

        Each merge adds up to `SUM_ERROR` of the sum. Blocks are merged in pairs, and pairs in
        pairs, so the error grows with the logarithm of their number, and hardly any element of a
        vector needs decimal arithmetic, which would take hours for all its terms.
        """
        rows = (part[np.newaxis, c] for part in self._parts() for c in reference.pieces(len(part)))
        blocks = [empty(0)]
        for row in rows:
            blocks.append(empty(1))
            add_closely(blocks[-1], row)
        states = np.concatenate(blocks)
        with np.errstate(all="ignore"):
            while len(states) > 1:
                odd = states[len(states) & ~1 :]
                states = np.concatenate([_merged(states[:-1:2], states[1::2]), odd])
        return states

    @cached_property
    def _sum(self) -> Sum:
        """The sum of all terms at every precision; each takes one pass."""
        parts, top, second, count = self._parts, float(self._state["top"][0]), -np.inf, 0
        for part in parts():
            count += int(np.count_nonzero(part == top))
            below = part[part < top]
            second = max(second, float(below.max(initial=-np.inf)))
        first = ExactTerm(as_decimal(top), Decimal(count))
        if second == -np.inf:
            return Sum(first, first.x, list)
        return Sum(first, as_decimal(second), lambda: (_terms_below(top, x) for x in parts()))


def _terms_below(x_max: float, x: Array) -> Iterator[ExactTerm]:
    """Return a term for each different finite number of a part below the largest of all."""
    some = x[(x < x_max) & (x > -np.inf)].astype(np.float64)
    entries, counts = np.unique(some, return_counts=True)
    pairs = zip(entries, counts.tolist(), strict=True)
    return (ExactTerm(as_decimal(entry), Decimal(count)) for entry, count in pairs)
