"""The judge compares results of the library, the reference and the kernels with the right ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from balls import Vector
from families import FAMILIES, LONGEST, PARTS, Stack, rng_of
from native import FORMATS as OF_KERNELS
from native import FUNCTIONS, Emulated, Kernel

import stablelse
from stablelse.numerics import reference, states
from stablelse.numerics.formats import FORMATS, Array, Format

#: How many rows of a stack are also computed alone.
ALONE = 3

#: Takes a function's name, x, weights, the axis and the format; returns results, and for
#: logsumexp also signs.
Subject = Callable[[str, Array, Array | None, int | None, Format], Any]


class Tally:
    """Counts of vectors, results, results that kernels left in doubt, and wrong results."""

    def __init__(self) -> None:
        self.vectors = self.results = self.of_kernels = self.in_doubt = 0
        self.wrong: list[str] = []

    def add(
        self, name: str, y: Array, doubtful: Array, want: Array, unknown: Array | tuple[()] = ()
    ) -> None:
        """Compare what a kernel settled with the right results, where they are known."""
        self.of_kernels += y.size
        self.in_doubt += doubtful.size
        self.compare(name, y, want, np.union1d(doubtful, unknown))

    def compare(self, name: str, y: Array, want: Array, but: Array | tuple[()] = ()) -> None:
        """Compare all but some results with the correctly rounded ones; zero must be +0."""
        y, want = np.asarray(y), np.asarray(want)
        assert y.shape == want.shape
        got, expected = (part.reshape(-1).astype(np.longdouble) for part in (y, want))
        same = (got == expected) & ~((got == 0) & np.signbit(got))
        same |= np.isnan(got) & np.isnan(expected)
        same[np.asarray(but, int)] = True
        self.results += got.size
        for i in np.flatnonzero(~same).tolist():
            self.wrong.append(f"{name}, result {i}: {got[i]!r}, not {expected[i]!r}")


def by_library(function: str, x: Array, b: Array | None, axis: int | None, format_: Format) -> Any:
    """Compute with the public functions."""
    dtype = None if x.dtype == format_.dtype else format_.dtype
    if function == "logsumexp":
        return stablelse.logsumexp(x, axis=axis, b=b, return_sign=True, dtype=dtype)
    return getattr(stablelse, function)(x, axis=axis, dtype=dtype)


def by_reference(
    function: str, x: Array, b: Array | None, axis: int | None, format_: Format
) -> Any:
    """Compute with the reference."""
    weights = () if b is None else (np.atleast_2d(b),)
    *results, _ = getattr(reference, function)(np.atleast_2d(x), format_, *weights)
    results = [result if axis is not None else result[0] for result in results]
    return results if function == "logsumexp" else results[0]


class Rows:
    """The right results of rows, with or without weights."""

    def __init__(self, x: Array, b: Array | None = None) -> None:
        self._vectors = [
            Vector(row, w) for row, w in zip(x, [None] * len(x) if b is None else b, strict=True)
        ]

    def truth(self, function: str, format_: Format) -> Array:
        """Return the correctly rounded results of a function."""
        results = [getattr(vector, function)(format_) for vector in self._vectors]
        return np.stack([r[0] if function == "logsumexp" else r for r in results])

    def signs(self) -> Array:
        """Return the signs of the sums."""
        return np.array([vector.logsumexp(FORMATS["float64"])[1] for vector in self._vectors])


def stacks(
    name: str, format_: str, count: int, seed: int, longest: int = LONGEST, parts: int = PARTS
) -> Iterator[Stack]:
    """Make about `count` rows of a family; none if it does not suit the format."""
    family, of = FAMILIES[name], FORMATS[format_]
    if family.suits(of):
        rng = rng_of(seed, name, format_)
        yield from family.stacks(of, count, rng, longest, min(count, parts))


def judge(
    stacks: Iterator[Stack],
    format_: str,
    subject: Subject = by_library,
    kernels: Sequence[Kernel] = (),
    seed: int = 0,
) -> Tally:
    """Judge stacks: all rows together, some alone, and what the kernels settle."""
    tally, of, rng = Tally(), FORMATS[format_], np.random.default_rng(seed)
    for x, b in stacks:
        rows, wants = Rows(x, b), {}
        tally.vectors += len(x)
        some = rng.choice(len(x), min(len(x), ALONE), replace=False).tolist()
        is_native = x.dtype == of.dtype and format_ in OF_KERNELS
        for function in FUNCTIONS if b is None else FUNCTIONS[:1]:
            label = f"{function} to {format_} of {x.dtype} {x.shape}"
            y = subject(function, x, b, 1, of)
            if function == "logsumexp":
                y, signs = map(np.asarray, y)
                tally.compare(f"sign of {label}", signs + 0.0, rows.signs() + 0.0)
            want = wants[function] = rows.truth(function, of)
            tally.compare(label, y, want)
            for i in some:
                alone = subject(function, x[i], None if b is None else b[i], None, of)
                alone = np.asarray(alone[0] if function == "logsumexp" else alone)
                tally.compare(f"{label}, row {i} alone", alone, want[i])
            for kernel in kernels if is_native else ():
                _judge_kernel(kernel, function, x, b, want, rows, tally, rng)
        if kernels and is_native and b is None:
            _judge_states(kernels, x, of, wants, tally, rng)
            _judge_labels(kernels, x, None, of, wants, some, tally, rng)
            _judge_masked(kernels, x, of, some, tally, rng)
    return tally


def _judge_kernel(kernel, function, x, b, want, rows, tally, rng) -> None:
    """Judge what a kernel settles, for rows in some memory layout."""
    label = f"{kernel.name} {function} {x.dtype} {x.shape}"
    if b is not None:
        y, signs, doubtful = kernel.weighted(laid_out(x, rng), laid_out(b, rng))
        tally.compare(f"sign of {label}", signs + 0.0, rows.signs() + 0.0, doubtful)
    else:
        y, doubtful = kernel(function, laid_out(x, rng))
    tally.add(label, y, doubtful, want)


def _judge_states(kernels, x, of, wants, tally, rng) -> None:
    """Judge results from states of pieces of rows, merged in any order."""
    edges, order = pieces_of(x.shape[1], rng)
    is_narrow = of.name != "float64" and bool(rng.integers(2))
    for kernel in kernels:
        label = f"{kernel.name} {x.dtype} {x.shape} in pieces {edges}, {order}"
        found = kernel.states(laid_out(x, rng), edges, order, narrow=is_narrow)
        y, settled, *_ = states.rounded(found.view(states.STATE)[:, 0], of)
        tally.add(f"logsumexp, {label}", y, np.flatnonzero(~settled), wants["logsumexp"])
        for function in FUNCTIONS[1:]:
            y, doubtful = kernel.of_states(function, laid_out(x, rng), found)
            tally.add(f"{function}, {label}", y, doubtful, wants[function])


def _judge_labels(kernels, x, mask, of, wants, some, tally, rng) -> None:
    """Judge losses of labels and gradients, in some rows also at the label itself."""
    wide = x.astype(float)
    wide = wide if mask is None else np.where(mask, wide, -np.inf)
    m, n = x.shape
    at_random = (rng.random((m, n)) * (1 if mask is None else mask)).argmax(axis=1)
    labels = np.where(rng.random(m) < 0.5, wide.argmax(axis=1), at_random)
    places = np.arange(m), labels
    label = f"{x.dtype} {x.shape}{'' if mask is None else ' with a mask'}"
    losses = stablelse.nll(x, labels, axis=1, where=mask, reduction="none")
    tally.compare(f"nll, {label}", losses, 0 - wants["log_softmax"][places])
    want = wants["softmax"].copy()
    own = [Vector(wide[i]).gradient(labels[i], 1, 0, np.zeros(n), of) for i in some]
    want[some] = own
    others = np.setdiff1d(np.arange(m), some)
    want[others, labels[others]] = np.nan
    unknown = np.flatnonzero(np.isnan(want.astype(float)))
    y = stablelse.nll_grad(x, labels, axis=1, where=mask, reduction="none")
    tally.compare(f"nll_grad, {label}", y, want, unknown)
    plain = np.tile([1.0, 0, 0, 0], (m, 1))
    for kernel in kernels:
        given = laid_out(x, rng), labels, plain, None, mask
        y, doubtful = kernel.gradients(*given)
        tally.add(f"{kernel.name} nll_grad, {label}", y, doubtful, want, unknown)
    of_some = None if mask is None else mask[some]
    _judge_targets(kernels, x[some], wide[some], of_some, labels[some], of, tally, rng)


def _judge_targets(kernels, x, wide, mask, labels, of, tally, rng) -> None:
    """Judge gradients with targets close to the probabilities, so that these cancel."""
    factors = np.zeros((len(x), 4))
    factors[:, 0] = rng.choice([1, 0.3, -1.5, 2.0**-40, 1.7 * 2.0**-100], len(x))
    factors[:, 2] = rng.choice([0, 0.25, 1e-9], len(x))
    targets = np.zeros((2, *x.shape))
    with np.errstate(over="ignore"):
        p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p *= factors[:, :1] / p.sum(axis=1, keepdims=True)
    near = p * (1 + rng.choice([-1, 1], p.shape) * 2.0 ** -rng.uniform(1, 52, p.shape))
    is_held = (abs(near) > 2.0**-100) & (abs(near) != abs(factors[:, :1]))
    targets[0] = np.where(is_held & (rng.random(p.shape) < 0.8), near, 0)
    targets[0][np.isneginf(wide)] = 0
    targets[1] = targets[0] * rng.uniform(-1, 1, p.shape) * 2.0**-54
    rows = zip(wide, labels, factors, *targets, strict=True)
    right = np.stack(
        [Vector(v).gradient(i, s, o, t, of, low) for v, i, (s, _, o, _), t, low in rows]
    )
    for kernel in kernels:
        y, doubtful = kernel.gradients(x, labels, factors, targets, mask)
        name = f"{kernel.name} with targets {x.dtype} {x.shape}"
        unknown = np.flatnonzero(np.isnan(right.astype(float)))
        tally.compare(name, y, right, np.union1d(doubtful, unknown))


def _judge_masked(kernels, x, of, some, tally, rng) -> None:
    """Judge the library and kernels with a mask: a masked element counts as -inf."""
    mask = rng.random(x.shape) < rng.choice([0.1, 0.5, 0.9])
    mask[np.arange(len(x)), rng.integers(0, x.shape[1], len(x))] = True
    mask &= np.isfinite(x.astype(float))
    mask |= ~mask.any(axis=1, keepdims=True)
    rows, wants = Rows(np.where(mask, x.astype(float), -np.inf)), {}
    x = x.copy()
    x[~mask] = rng.choice([np.nan, 0, 7])
    for function in FUNCTIONS:
        label = f"{function} {x.dtype} {x.shape} with a mask"
        y = getattr(stablelse, function)(x, axis=1, where=mask)
        want = wants[function] = rows.truth(function, of)
        tally.compare(label, y, want)
        for kernel in kernels:
            y, doubtful = kernel(function, laid_out(x, rng), mask=laid_out(mask, rng))
            tally.add(f"{kernel.name} {label}", y, doubtful, want)
            if not isinstance(kernel, Emulated):
                row = slice(some[0], some[0] + 1)
                pieces = pieces_of(x.shape[1], rng)
                y, doubtful = kernel.in_pieces(function, x[row], *pieces, mask[row])
                tally.add(f"{kernel.name} {label}, in pieces", y, doubtful, want[row])
    _judge_labels(kernels, x, mask, of, wants, some, tally, rng)


def pieces_of(n: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the edges of some pieces of a row, and an order of the pieces."""
    edges = sorted({0, n, *rng.integers(0, n + 1, 3).tolist()})
    return edges, rng.permutation(len(edges) - 1).tolist()


def laid_out(x: Array, rng: np.random.Generator) -> Array:
    """Return an array's numbers with other strides, or at another address."""
    kind = rng.choice(["plain", "moved", "spaced", "transposed", "backwards"])
    if kind == "moved":
        room, offset = np.zeros(x.nbytes + 64, np.uint8), int(rng.integers(1, 64))
        y = room[offset : offset + x.nbytes].view(x.dtype).reshape(x.shape)
        y[:] = x
        return y
    if kind == "spaced":
        y = np.zeros((2 * len(x), 3 * x.shape[1]), x.dtype)[::2, ::3]
        y[:] = x
        return y
    if kind == "transposed":
        return np.asfortranarray(x)
    return x[::-1, ::-1].copy()[::-1, ::-1] if kind == "backwards" else x
