"""Kernels of exp in double-word arithmetic: where they could go wrong, and how wrong they are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from stablelse.numerics import doubleword
from stablelse.numerics.formats import Array


class Kernel(NamedTuple):
    """exp(d + d_low) = (high + low) 2**exponent, and what its docstring promises.

    Attributes
    ----------
    scratch : int
        How many arrays it needs to work in.
    bound : float
        Of the relative error.
    low : float
        Of abs(low) / high.
    """

    exp: Callable[[Array, Array, list[Array]], tuple[Array, Array, Array]]
    scratch: int
    bound: float
    low: float


#: The kernels by name.
KERNELS: dict[str, Kernel] = {"exp": Kernel(doubleword.exp, 8, 2.0**-87.5, 2.0**-36.9)}

#: Entries of the table, and the widest argument.
STEPS, CLIP = 2048, 1500.0

#: Rounded units in the last place around what matters.
NEIGHBOURS = np.arange(-3, 4)


def arguments(count: int, rng: Generator) -> dict[str, tuple[Array, Array]]:
    """Return about so many (d, d_low), by what is special about the d.

    Around every entry of the table and half way between any two there are some, at some of the
    powers of two that the table is multiplied by.
    """
    share = max(8, count // 3)
    widest = int(CLIP / np.log(2)) - 1
    k = np.arange(share) % STEPS + STEPS * rng.integers(-widest, widest, share)
    nearby = rng.choice(NEIGHBOURS, share)
    first = np.multiply.outer(np.arange(-4 * STEPS, 4 * STEPS + 1) / 2, [np.log(2) / STEPS])
    ends = np.array([CLIP, -CLIP])
    groups = {
        "zero": np.array([0.0, -0.0]),
        "tiny": rng.choice([-1.0, 1.0], share // 4) * 2.0 ** rng.uniform(-1074, -12, share // 4),
        "next to entries": _stepped(k * (np.log(2) / STEPS), nearby),
        "half way between entries": _stepped((k + 0.5) * (np.log(2) / STEPS), nearby),
        "first entries": first.ravel(),
        "ordinary": -rng.exponential(10, share // 2),
        "anywhere": rng.uniform(-CLIP, CLIP, share // 2),
        "where exp underflows": -rng.uniform(700, 760, share // 8),
        "clip": np.concatenate([ends, np.nextafter(ends, 0), rng.uniform(0.999, 1, 50) * -CLIP]),
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

    scratch = [np.empty_like(d) for _ in range(kernel.scratch)]
    words = kernel.exp(d.copy(), d_low.copy(), scratch)
    rows = zip(*(word.tolist() for word in (d, d_low, *words)), strict=True)
    with ctx.workprec(160):
        return np.array(
            [
                float(abs((arb(h) + arb(t)) * arb((1, e)) / (arb(x) + arb(y)).exp() - 1).upper())
                for x, y, h, t, e in rows
            ]
        )
