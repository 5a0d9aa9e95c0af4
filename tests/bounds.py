"""The errors of the kernel's phases relative to their bounds, by ball arithmetic.

Each entry of `ratios` returns the largest |error| / bound among about `count` cases; below, a
function yields errors and bounds. The bounds are from the comments in functions.h, near.h,
careful.h, long.h, weights.h, state.h and labels.h.
"""

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np
from balls import balls
from flint import arb, ctx
from native import Phases, pointer
from numpy.random import Generator

#: Enough bits for the bounds, and for terms far apart.
PRECISION = 700
NARROW, QUICK, ACCURATE = range(3)

ratios: dict[str, Callable[[Phases, Generator, int], float]] = {}


def _ratio(name: str):
    def enter(function):
        def with_precision(phases: Phases, rng: Generator, count: int) -> float:
            with ctx.workprec(PRECISION):
                return max(_largest(*found) for found in function(phases, rng, count))

        ratios[name] = with_precision
        return function

    return enter


def _largest(errors: list[arb], bounds: list[arb | float]) -> float:
    """Return the largest ratio of an error to its bound; 0 without errors."""
    parts = zip(errors, bounds, strict=True)
    return max(
        float((abs(e) / b).mid()) if b != 0 else 0.0 if e.contains(0) else np.inf for e, b in parts
    )


def _ln2() -> arb:
    return arb(2).log()


def _arguments(rng: Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and K of terms, with x - K ln 2 between -640 and 1; many are near the ends of r."""
    count = -(-count // 8) * 8
    shift = np.rint(rng.normal(size=count) * rng.choice([0, 1, 100, 1e6], count))
    down = -rng.choice([1e-6, 1e-3, 1, 30, 600], count) * rng.random(count)
    x = shift * np.log(2) + down
    step = np.log(2) / 2048
    ends = np.rint(x / step) // 2 * 2 * step + step * (1 - 1e-9 * rng.random(count))
    return np.where(rng.random(count) < 0.3, ends, x), shift


def _term_errors(x: np.ndarray, shift: np.ndarray, *words: np.ndarray) -> list[arb]:
    columns = zip(*(balls(a) for a in (x, shift, *words)), strict=True)
    return [sum(value, arb(0)) / (v - k * _ln2()).exp() - 1 for v, k, *value in columns]


def _exponential(phases, rng, count, given):
    (bound, phase, results, *accurate), (x, shift) = given, _arguments(rng, count)
    words = phases.vectors(phase, x, shift, *accurate, results=results)
    yield _term_errors(x, shift, *words), [bound] * x.size


for _name, *_given in (
    ("quick exponential", 2**-74.86, "phase_exponential", 2, 0),
    ("accurate exponential", 2**-81.83, "phase_exponential", 2, 1),
    ("narrow exponential: NARROW_TERM", 2**-52, "phase_narrow_exponential", 1),
):
    _ratio(_name)(partial(_exponential, given=_given))


@_ratio("near exponential: NEAR_TERM")
def _near_term(phases, rng, count):
    count = -(-count // 8) * 8
    x = rng.uniform(-1, 0.01, count) * rng.choice([1e-18, 1e-6, 1e-3, 1, 100], count)
    x[: count // 4] = (np.rint(rng.uniform(-1000, 0, count // 4)) + 0.4999) * np.log(2) / 1024
    t, *parts = phases.vectors("phase_near_exponential", x, results=4)
    values = [balls(a) for a in (t, *parts, x)]
    errors = [t * (1 + a + b + c) / v.exp() - 1 for t, a, b, c, v in zip(*values, strict=True)]
    yield errors, [arb(2) ** -127] * count


@_ratio("logarithm")
def _logarithm(phases, rng, count):
    count = -(-count // 8) * 8
    b = rng.uniform(-0.5, 1, count) * 2.0 ** -rng.uniform(0, 60, count)
    b = np.where(rng.random(count) < 0.4, 2.0 ** rng.uniform(0, 20, count), b)
    b_low = b * rng.uniform(-1, 1, count) * 2.0**-54
    total = 1 + b
    total_low = (np.where(abs(b) < 1, b - (total - 1), 1 - (total - b))) + b_low
    shift = np.where(rng.random(count) < 0.5, 0, np.rint(rng.normal(size=count) * 1e4))
    high, low, bound = phases.vectors(
        "phase_logarithm", total, total_low, b, b_low, shift, results=3
    )
    values = zip(*(balls(a) for a in (b, b_low, shift, high, low)), strict=True)
    errors = [y + z - ((v + w).log1p() + k * _ln2()) for v, w, k, y, z in values]
    yield errors, balls(bound)


@_ratio("narrow logarithm: 2^-50.9 + |L| 2^-52.9")
def _narrow_logarithm(phases, rng, count):
    count = -(-count // 8) * 8
    total = 2.0 ** rng.uniform(-0.5, 20, count)
    shift = np.rint(rng.normal(size=count) * rng.choice([0, 1, 1e5], count))
    (y,) = phases.vectors("phase_narrow_logarithm", total, total - 1, shift, results=1)
    values = [s.log() + k * _ln2() for s, k in zip(balls(total), balls(shift), strict=True)]
    errors = [v - w for v, w in zip(balls(y), values, strict=True)]
    yield errors, [2**-50.9 + abs(v) * 2**-52.9 for v in values]


def _rows(rng: Generator, count: int) -> list[np.ndarray]:
    """Return rows of many lengths and scales; in some, terms only grow or only fall."""
    rows = []
    for _ in range(max(count // 20, 12)):
        n = int(rng.choice([33, 257, 2040, 2041, 4096]))
        x = rng.normal(size=n) * rng.choice([1e-3, 1, 5, 200]) + rng.choice([0, -1000, 5e5])
        rows.append(np.sort(x)[:: rng.choice([-1, 1])].copy() if rng.random() < 0.5 else x)
    return rows


def _total(x: np.ndarray) -> arb:
    return sum((v.exp() for v in balls(x)), arb(0))


def _sum_ratio(phases, rng, count, tier):
    for x in _rows(rng, count):
        x = x.astype(np.float32).astype(np.float64) if tier == NARROW else x
        shift, high, low, bound, *_ = balls(phases.row("phase_sum", x, ctypes.c_int(tier)))
        error = (high + low) / (_total(x) / (shift * _ln2()).exp()) - 1
        yield [error], [bound]


for _name, _tier in (("narrow", NARROW), ("quick", QUICK), ("accurate", ACCURATE)):
    _ratio(f"{_name} sum")(partial(_sum_ratio, tier=_tier))


@_ratio("careful: lambda")
def _careful(phases, rng, count):
    for x in _rows(rng, count):
        x[rng.integers(x.size)] = x.max() + rng.choice([0, 0.1, 3, 30, 300, 700, 1500])
        high, low, bound, scale, *_ = balls(phases.row("phase_careful", x))
        p, *others = balls(np.sort(x)[::-1])
        rest = sum(((v - p).exp() for v in others), arb(0))
        error = high + low - rest.log1p() / arb(2) ** scale
        yield [error], [bound]


@_ratio("near: logsumexp")
def _near(phases, rng, count):
    for x in _rows(rng, count):
        x = np.maximum(x - x.max(), -90)
        x -= float(_total(x).log().mid()) + rng.random() * rng.choice([0, 1e-9, 9e-4])
        log_sum = _total(x).log()
        estimate = float(log_sum.mid()) + rng.uniform(-1, 1) * rng.choice([0, 2.0**-74, 2.0**-49])
        high, low, bound, *_ = balls(phases.row("phase_near", x, ctypes.c_double(estimate)))
        yield [high + low - log_sum], [bound]


@_ratio("lean quotient: its bounds before they are rounded")
def _lean(phases, rng, count):
    for _ in range(-(-count // 64)):
        total = np.full(64, (1 + rng.random()) * 2.0 ** rng.integers(0, 20))
        x = -rng.choice([1e-3, 1, 30, 600], 64) * rng.random(64)
        words = phases.vectors("phase_lean", x, total, results=3)
        for v, s, e, low, high in zip(*(balls(a) for a in (x, total, *words)), strict=True):
            error = v.exp() / s - (e + (low + high) / 2)
            yield [error], [(high - low) / 2]


def _cases(rng: Generator, count: int) -> Iterator[np.ndarray]:
    """Yield rows; in most, one entry is at the top, far below it, or close to it."""
    for x in _rows(rng, count):
        kind = rng.integers(4)
        if kind:
            beside = rng.choice([0, 0.1, 3, 30, 300, 1500])
            x[rng.integers(x.size)] = x.max() + beside if kind > 1 else x.min() - beside
            x[rng.integers(x.size, size=2)] = rng.choice([x.max(), x[0]])
        yield x


def _careful_error(n: int) -> arb:
    """careful.h: CAREFUL."""
    return arb(2) ** -80 + n * arb(2) ** -112


def _states(rng: Generator, count: int) -> Iterator[tuple[np.ndarray, tuple]]:
    """Yield rows, and where they are cut and the tier; some have elements of float32."""
    # exp errs most half a step from an entry of its table, and their difference by half its unit
    pairs = -(rng.integers(760_000, 1_090_000, (400, 1)) + 0.5) * np.log(2) / 1024 * [1, 0]
    pairs[:, 1] = rng.choice([-1, 1], 400) * np.spacing(-pairs[:, 0]) * 0.499999
    copies = rng.normal(size=(40, 1)) - [1, 0, 0]  # of the largest element
    for x in chain(pairs, copies, _cases(rng, count)):
        cut = int(rng.integers(1, x.size) if x.size < 4 else rng.integers(x.size + 1))
        yield x, (ctypes.c_int64(cut), ACCURATE)
        yield x.astype(np.float32).astype(np.float64), (ctypes.c_int64(cut), NARROW)


@_ratio("state: the rest of a sum")
def _state(phases, rng, count):
    for x, given in _states(rng, count):
        top, high, low, bound, scale, *_ = balls(phases.row("phase_state", x, *given))
        rest = sum(((v - top).exp() for v in balls(np.sort(x)[:-1])), arb(0))
        yield [high + low - rest / arb(2) ** scale], [bound]


@_ratio("state: what its elements need")
def _of_state(phases, rng, count):
    for x, given in _states(rng, count):
        y, y_low, bound, scale, q, q_low, of_q, s, s_low, shift, of_s = balls(
            phases.row("phase_of_state", x, *given)
        )
        p, *others = balls(np.sort(x)[::-1])
        rest = sum(((v - p).exp() for v in others), arb(0))
        origin = p if abs(p) > 2**20 else 0
        errors = [
            y + y_low - (rest / arb(2) ** scale if scale != 0 else rest.log1p()),
            (q + q_low) * (1 + rest) - 1,
            (s + s_low) / ((1 + rest) * (p - origin - shift * _ln2()).exp()) - 1,
        ]
        yield errors, [bound, of_q, of_s]


@_ratio("state: a sum next to 1")
def _near_state(phases, rng, count):
    for x in _rows(rng, count):
        x = np.maximum(x - x.max(), -90)
        x -= float(_total(x).log().mid()) + rng.choice([0, 1e-3, 1])
        given = ctypes.c_int64(int(rng.integers(x.size + 1))), ACCURATE
        *_, bound, first, second, third = balls(phases.row("phase_state", x, *given)[:9])
        yield [first + second + third - _total(x)], [bound]


@_ratio("label: its loss, 1 - p and the inverse")
def _label(phases, rng, count):
    # exp errs most half a step from an entry of its table: put the other element and the loss
    # there, so that both errors add up, and the label on an entry.
    entry = rng.integers(-900, 900, 400)
    pairs = np.column_stack([entry, entry - np.arange(1200, 1600) - 0.5]) * np.log(2) / 1024
    far = rng.normal(size=(40, 2)) - rng.uniform(650, 1600, (40, 1)) * [0, 1]
    for x in chain(pairs, far, _cases(rng, count)):
        label = int(rng.choice([0, x.size - 1, x.argmax(), x.argmin(), rng.integers(x.size)]))
        loss, loss_low, bound, less, less_low, inverse, low, scale, *_ = balls(
            phases.row("phase_label", x, ctypes.c_int64(label))
        )
        if inverse == 0:
            continue
        own, others = balls(x[label : label + 1])[0].exp(), _total(np.delete(x, label))
        total = own + others
        errors = [
            loss + loss_low - (others / own).log1p(),
            (less + less_low) / (others / total) - 1,
            (inverse + low) * (total / (scale * _ln2()).exp()) - 1,
        ]
        yield errors, [bound, *[_careful_error(x.size)] * 2]


@_ratio("targets: their loss")
def _targets(phases, rng, count):
    for x in _cases(rng, count):
        words = rng.random((2, x.size)) * 2.0 ** rng.choice([0.0, -30, -890])
        words[1] *= np.spacing(words[0]) * (rng.random() - 0.5)
        words[:, rng.random(x.size) < rng.choice([0, 0.5, 0.99])] = 0
        loss, low, bound, is_done, *_ = balls(phases.row("phase_targets", x, pointer(words)))
        if is_done != 0:
            t = [high + low for high, low in zip(*map(balls, words), strict=True)]
            p = balls(x.max(keepdims=True))[0]
            heads = (w * (p - v) for v, w in zip(balls(x), t, strict=True))
            log_sum = _total(x).log() - p
            yield [loss + low - (sum(heads, arb(0)) + sum(t, arb(0)) * log_sum)], [bound]


@_ratio("weights: the sums of either sign")
def _weighted(phases, rng, count):
    for x in _rows(rng, count):
        x = x[:257] - x[:257].max()
        b = rng.normal(size=x.size) * 2.0 ** rng.normal(0, rng.choice([0, 3, 30]), x.size)
        b[rng.random(x.size) < 0.1] = 0
        size = int(rng.choice([16, 100, 257]))
        found = balls(phases.row("phase_weighted", x, pointer(b), ctypes.c_int64(size)))
        unit = arb(2) ** found[4]
        terms = [w * v.exp() / unit for v, w in zip(balls(x), balls(b), strict=True)]
        sums = [sum((abs(t) for t in terms if t * s > 0), arb(0)) for s in (1, -1)]
        errors = [found[0] + found[1] - sums[0], found[2] + found[3] - sums[1]]
        yield [sum(map(abs, errors))], [sum(sums) * _careful_error(x.size)]


@_ratio("careful and weights: many terms next to the last bits of a sum")
def _many_small(phases, rng, count):
    n = 4_000_000
    for small in -rng.uniform(36.35, 36.37, max(count // 40, 4)):
        x = np.full(n, small)
        x[:2] = 0, -1
        v = balls(x[2:3])[0].exp()
        rest = (n - 2) * v + arb(-1).exp()
        high, low, bound, *_ = balls(phases.row("phase_careful", x))
        places = pointer(np.ones(n)), ctypes.c_int64(255 * phases.lanes)
        total, total_low, *_, shift = balls(phases.row("phase_weighted", x, *places)[:5])
        exact = (1 + rest) / arb(2) ** shift
        errors = [high + low - rest.log1p(), total + total_low - exact]
        yield errors, [bound, exact * _careful_error(n)]
