"""The judge compares results of the library and of the reference with the right ones."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from balls import Vector
from families import FAMILIES, LONGEST, PARTS, Stack, rng_of

import stablelse
from stablelse.numerics import reference
from stablelse.numerics.formats import FORMATS, Array, Format

FUNCTIONS = ("logsumexp", "softmax", "log_softmax")

#: How many rows of a stack are also computed alone.
ALONE = 3

#: Takes a function's name, x, weights, the axis and the format; returns results, and for
#: logsumexp also signs.
Subject = Callable[[str, Array, Array | None, int | None, Format], Any]


class Tally:
    """Counts of vectors and results, and the wrong results."""

    def __init__(self) -> None:
        self.vectors = self.results = 0
        self.wrong: list[str] = []

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
    stacks: Iterator[Stack], format_: str, subject: Subject = by_library, seed: int = 0
) -> Tally:
    """Judge stacks: all rows together, some alone, with masks, and losses of labels."""
    tally, of, rng = Tally(), FORMATS[format_], np.random.default_rng(seed)
    for x, b in stacks:
        rows, wants = Rows(x, b), {}
        tally.vectors += len(x)
        some = rng.choice(len(x), min(len(x), ALONE), replace=False).tolist()
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
        if subject is by_library and x.dtype == of.dtype and format_ != "longdouble" and b is None:
            _judge_labels(x, None, of, wants, some, tally, rng)
            _judge_masked(x, of, some, tally, rng)
    return tally


def _judge_labels(x, mask, of, wants, some, tally, rng) -> None:
    """Judge losses of labels and gradients, in some rows also at the label itself."""
    wide = x.astype(float)
    wide = wide if mask is None else np.where(mask, wide, -np.inf)
    m, n = x.shape
    at_random = (rng.random((m, n)) * (1 if mask is None else mask)).argmax(axis=1)
    labels = np.where(rng.random(m) < 0.5, wide.argmax(axis=1), at_random)
    label = f"{x.dtype} {x.shape}{'' if mask is None else ' with a mask'}"
    losses = stablelse.nll(x, labels, axis=1, where=mask, reduction="none")
    tally.compare(f"nll, {label}", losses, 0 - wants["log_softmax"][np.arange(m), labels])
    want = wants["softmax"].copy()
    want[some] = [Vector(wide[i]).gradient(labels[i], 1, 0, np.zeros(n), of) for i in some]
    others = np.setdiff1d(np.arange(m), some)
    want[others, labels[others]] = np.nan
    unknown = np.flatnonzero(np.isnan(want.astype(float)))
    y = stablelse.nll_grad(x, labels, axis=1, where=mask, reduction="none")
    tally.compare(f"nll_grad, {label}", y, want, unknown)


def _judge_masked(x, of, some, tally, rng) -> None:
    """Judge the library with a mask: a masked element counts as -inf, whatever it is."""
    mask = rng.random(x.shape) < rng.choice([0.1, 0.5, 0.9])
    mask[np.arange(len(x)), rng.integers(0, x.shape[1], len(x))] = True
    mask &= np.isfinite(x.astype(float))
    mask |= ~mask.any(axis=1, keepdims=True)
    rows, wants = Rows(np.where(mask, x.astype(float), -np.inf)), {}
    x = x.copy()
    x[~mask] = rng.choice([np.nan, 0, 7])
    for function in FUNCTIONS:
        want = wants[function] = rows.truth(function, of)
        y = getattr(stablelse, function)(x, axis=1, where=mask)
        tally.compare(f"{function} {x.dtype} {x.shape} with a mask", y, want)
    _judge_labels(x, mask, of, wants, some, tally, rng)
