"""Kernels of exp in several words: where they could go wrong, and how wrong they are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from stablelse.numerics import doubleword
from stablelse.numerics.formats import Array


class Kernel(NamedTuple):
    """exp(d + d_low) as words, whose sum is to be multiplied by 2**exponent.

    Attributes
    ----------
    exp : callable
        From d and d_low to a tuple of words and the exponent.
    bound : float
        Of the relative error, as it is promised.
    widest : float
        Of the absolute value of d.
    entries : int
        Of the table of powers of two.
    """

    exp: Callable[[Array, Array], tuple[tuple[Array, ...], Array]]
    bound: float
    widest: float
    entries: int


def _reference(d: Array, d_low: Array) -> tuple[tuple[Array, ...], Array]:
    *words, exponent = doubleword.exp(d, d_low)
    return tuple(words), exponent


#: The kernels by name.
KERNELS: dict[str, Kernel] = {
    "reference": Kernel(_reference, doubleword.EXP_ERROR, doubleword.FARTHEST, doubleword.STEPS),
}

#: Units in the last place around what matters.
NEIGHBOURS = np.arange(-3, 4)


def arguments(kernel: Kernel, count: int, rng: Generator) -> dict[str, tuple[Array, Array]]:
    """Return about so many (d, d_low), by what is special about the d.

    There are some around every entry of the table, and half way between any two, at one or
    another of the powers of two that the table is multiplied by.
    """
    share, widest, entries = max(8, count // 3), kernel.widest, kernel.entries
    powers = int(widest / np.log(2)) - 1
    j = np.resize(rng.permutation(entries), share)
    k = j + entries * rng.integers(-powers, powers, share)
    nearby = rng.choice(NEIGHBOURS, share)
    step = np.log(2) / entries
    ends = np.array([widest, -widest])
    groups = {
        "zero": np.array([0.0, -0.0]),
        "tiny": rng.choice([-1.0, 1.0], share // 4) * 2.0 ** rng.uniform(-1074, -12, share // 4),
        "next to entries": _stepped(k * step, nearby),
        "half way between entries": _stepped((k + 0.5) * step, nearby),
        "first entries": np.arange(-share // 4, share // 4) / 2 * step,
        "ordinary": -rng.exponential(10, share // 4),
        "anywhere": rng.uniform(-widest, widest, share // 2),
        "next to the widest": np.concatenate(
            [ends, np.nextafter(ends, 0), rng.uniform(0.99, 1, share // 8) * -widest]
        ),
    }
    return {group: (d, _low(d, rng)) for group, d in groups.items()}


def _stepped(d: Array, steps: Array) -> Array:
    """Move numbers by some units in the last place."""
    return d + steps * np.spacing(d)


def _low(d: Array, rng: Generator) -> Array:
    """Return lower words: nothing, all that there may be, or something between."""
    part = rng.choice([0.0, 0.5, -0.5, np.nan], d.shape)
    part = np.where(np.isnan(part), rng.uniform(-0.5, 0.5, d.shape), part)
    return part * np.spacing(abs(d))


def errors(kernel: Kernel, d: Array, d_low: Array) -> Array:
    """Return upper bounds of the relative errors, by ball arithmetic."""
    from flint import arb, ctx

    words, exponent = kernel.exp(d, d_low)
    parts = zip(*(part.tolist() for part in (d, d_low, exponent, *words)), strict=True)
    with ctx.workprec(160):
        return np.array(
            [
                float(abs(sum(map(arb, w)) * arb((1, e)) / (arb(x) + arb(y)).exp() - 1).upper())
                for x, y, e, *w in parts
            ]
        )
