"""Judge what the kernel settled by ball arithmetic, on families of rows and on solved near-ties."""

from collections.abc import Iterator

import numpy as np
from balls import Vector, balls, nearest
from families import FAMILIES, rng_of
from flint import arb, ctx
from native import FUNCTIONS, Kernel

from stablelse.numerics.formats import FORMATS

#: Families whose rows the kernel takes: no weights, and x in the format of the results.
PLAIN = [name for name in FAMILIES if "weights" not in name and name not in ("narrowed", "widened")]
WEIGHTED = [name for name in FAMILIES if "weights" in name and "narrowed" not in name]


class Tally:
    """Results, those in doubt, and those that were settled wrong."""

    def __init__(self) -> None:
        self.results = self.in_doubt = 0
        self.wrong: list[str] = []

    def add(self, name: str, y: np.ndarray, doubtful: np.ndarray, want: np.ndarray) -> None:
        """Compare results with the correctly rounded ones; zero must be +0."""
        y, want = y.reshape(-1), want.reshape(-1)
        settled = np.ones(y.size, bool)
        settled[doubtful] = False
        got, expected = y.astype(np.float64), want.astype(np.float64)
        same = (got == expected) & ~((got == 0) & np.signbit(got))
        bad = np.flatnonzero(settled & ~(same | (np.isnan(got) & np.isnan(expected))))
        self.results += y.size
        self.in_doubt += doubtful.size
        self.wrong += [f"{name} [{i}]: {y[i]}, not {want[i]}" for i in bad]


def truth(function: str, x: np.ndarray) -> np.ndarray:
    """Return the correctly rounded results of rows of finite numbers and -inf."""
    format_ = FORMATS[x.dtype.name]
    rows = [Vector(row) for row in x]
    if function == "logsumexp":
        return np.array([row.logsumexp(format_)[0] for row in rows], x.dtype)
    return np.stack([getattr(row, function)(format_) for row in rows])


def stacks(name: str, format_: str, count: int, seed: int, longest: int) -> Iterator[np.ndarray]:
    """Make about `count` rows of a family, of several lengths."""
    family, of = FAMILIES[name], FORMATS[format_]
    if family.suits(of):
        rng = rng_of(seed, name, format_)
        for stack in family.stacks(of, count, rng, longest, parts=min(count, 12)):
            yield np.asarray(stack.x)


def judge(kernel: Kernel, name: str, format_: str, count: int, seed: int, longest: int) -> Tally:
    """Judge a family."""
    tally = Tally()
    for x in stacks(name, format_, count, seed, longest):
        for function in FUNCTIONS:
            y, doubtful = kernel(function, x)
            label = f"{name} {format_} {function} {x.shape}"
            tally.add(label, y, doubtful, truth(function, x))
    return tally


def judge_weighted(
    kernel: Kernel, name: str, format_: str, count: int, seed: int, longest: int
) -> Tally:
    """Judge logsumexp of a family with weights, and the signs of the sums."""
    tally, of = Tally(), FORMATS[format_]
    if not FAMILIES[name].suits(of):
        return tally
    rng = rng_of(seed, name, format_)
    for stack in FAMILIES[name].stacks(of, count, rng, longest, parts=min(count, 12)):
        x, b = np.asarray(stack.x), np.asarray(stack.b)
        y, signs, doubtful = kernel.weighted(x, b)
        rows = [Vector(v, w).logsumexp(of) for v, w in zip(x, b, strict=True)]
        label = f"{name} {format_} {x.shape}"
        tally.add(label, y, doubtful, np.array([value for value, _ in rows], x.dtype))
        settled = np.setdiff1d(np.arange(len(x)), doubtful)
        wrong = [i for i in settled if signs[i] != rows[i][1]]
        tally.wrong += [f"{label} [{i}]: sign {signs[i]}" for i in wrong]
    return tally


def near_tie(function: str, format_: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Return a row with a result as close to the middle of two numbers as one element can bring it.

    The element is solved for at 400 bits; the smaller it is, the closer it comes. Also returns the
    index of the result in its row.
    """
    of = FORMATS[format_]
    n = int(rng.choice([3, 9, 31, 33, 40, 64, 130]))
    scale, offset = ((1, 0), (5, 0), (0.1, 3), (2, -80), (1, 700), (30, 0))[rng.integers(6)]
    if function == "softmax":
        offset = min(offset, 10)
    x = of.round(rng.normal(size=n) * scale + offset).astype(of.dtype)
    kind = rng.choice(["plain", "far", "masked"])
    if kind == "far":
        x[-1] = of.round(float(x.max()) - rng.uniform(650, 760))
    if kind == "masked" and of.has_infinity:
        x[-1] = -np.inf
    if not (np.isfinite(x.astype(float)) | np.isneginf(x.astype(float))).all():
        return near_tie(function, format_, rng)
    j = 1 + int(np.argmax(x[1:])) if rng.random() < 0.5 else 1 + int(rng.integers(n - 2))
    with ctx.workprec(400):
        terms = [v.exp() for v in balls(x[np.isfinite(x)])]
        rest = sum(terms[1:], arb(0))
        xj = balls(x[j : j + 1])[0]
        total = rest * (1 + arb(2) ** arb(-rng.uniform(2, of.significand_bits - 18 + 20)))
        results = {
            "logsumexp": total.log(),
            "softmax": xj.exp() / total,
            "log_softmax": xj - total.log(),
        }
        value = results[function]
        number = of.dtype.type(nearest(value.mid(), of))
        beside = np.nextafter(number, of.dtype.type(rng.choice([-np.inf, np.inf])))
        if not np.isfinite(beside.astype(float)):
            return x[None], 0
        low, high = balls(np.array([number, beside]))
        middle = (low + high) / 2
        sums = {
            "logsumexp": lambda: middle.exp(),
            "softmax": lambda: xj.exp() / middle,
            "log_softmax": lambda: (xj - middle).exp(),
        }
        missing = sums[function]() - rest
        if missing > 0:
            x[0] = of.dtype.type(nearest(missing.log().mid(), of))
    return x[None], 0 if function == "logsumexp" else j
