"""Exponentials in integers, against ball arithmetic."""

import numpy as np
import pytest

from stablelse.numerics.ladder import fixedpoint, limbs

RNG = np.random.default_rng(23)

#: Entries of the table that multiplies all others.
STEP = np.log(2) / 2**22


def arguments():
    """Return d and d_low by what is special about d."""
    k = -RNG.integers(0, 148 * 2**22, 300)
    groups = {
        "zero": np.array([0.0, -0.0, -5e-324, -1e-300, -(2.0**-150), -(2.0**-149)]),
        "tiny": -(2.0 ** RNG.uniform(-160, -20, 300)),
        "next to entries": k * STEP,
        "half way between entries": (k + 0.5) * STEP,
        "ordinary": -RNG.exponential(10, 300),
        "anywhere": RNG.uniform(-103, 0, 600),
        "vanishing": np.array([-103.0, np.nextafter(-103, -np.inf), -200.0, -1e300, -np.inf]),
    }
    for name, values in groups.items():
        d = np.minimum(values, 0)
        low = RNG.uniform(-0.5, 0.5, d.shape) * np.spacing(abs(np.maximum(d, -1e3)))
        low[~(d >= -103)] = 0
        yield pytest.param(d, np.where(d == 0, 0, low), id=name)


@pytest.mark.parametrize(("d", "d_low"), list(arguments()))
def test_exp_keeps_its_bound(d, d_low):
    flint = pytest.importorskip("flint")
    found = np.stack(limbs.exp(d, d_low))
    assert ((found[1:] >= 0) & (found[1:] < 2**30)).all()
    with flint.ctx.workprec(400):
        for x, y, entry in zip(d.tolist(), d_low.tolist(), found.T.tolist(), strict=True):
            truth = (flint.arb(x) + flint.arb(y)).exp() * 2**150
            assert abs(limbs.integer(entry) - truth) <= limbs.EXP_ERROR


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 90), (2, 4096), (2, 9000)], ids=str)
def test_sums_are_those_of_all_terms(shape):
    """In columns, in rows, in several pieces: no term is left out or counted twice."""
    x = np.minimum(RNG.normal(-3, 3, shape), 0)
    sums = fixedpoint._sums(x, np.zeros((len(x), 1)))
    for row, total in zip(x, sums, strict=True):
        found = np.stack(limbs.exp(row, np.zeros(row.shape)))
        assert total == sum(map(limbs.integer, found.T.tolist()))
