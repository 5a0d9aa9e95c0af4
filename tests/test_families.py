"""The families keep their promises: in the format, the same for the same seed, and hard."""

import numpy as np
import pytest
from families import FAMILIES, LONGEST, all_pairs, rng_of, with_partners

from stablelse.numerics.formats import FORMATS, find_format


def stack(family, format_, m=60, n=7):
    if family.startswith("next to"):  # completed in ball arithmetic
        pytest.importorskip("flint")
    return FAMILIES[family].make(rng_of(5, family, format_.name), m, n, format_)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_of_a_format(family, name):
    format_ = find_format(name)
    if not FAMILIES[family].suits(format_):
        return
    for n in (FAMILIES[family].least, 7):
        x, b = stack(family, format_, n=n)
        for part in (x,) if b is None else (x, b):
            assert part.shape == (60, n)
            assert part.dtype == format_.dtype or family.startswith("narrowed")
            wide = part.astype(np.longdouble)
            assert (np.isfinite(wide) | (wide == -np.inf)).all()
            assert np.isfinite(wide).any(axis=1).all()
        assert np.array_equal(x, stack(family, format_, n=n).x)


def test_a_family_has_vectors_of_all_lengths():
    stacks = list(FAMILIES["all equal"].stacks(FORMATS["float32"], 2000, rng_of(1)))
    lengths = [x.shape[1] for x, _ in stacks]
    assert sum(len(x) for x, _ in stacks) >= 2000
    assert lengths == sorted(lengths)
    assert lengths[0] == 1
    assert LONGEST / 2 < lengths[-1] <= LONGEST


@pytest.mark.parametrize(("name", "distance"), [("float32", 1e-9), ("float64", 1e-28)])
def test_next_to_ties_of_logsumexp(name, distance):
    """Half of the values are this close to the middle of two numbers, in units of their gap."""
    pytest.importorskip("flint")
    from balls import Vector, balls
    from flint import ctx

    format_, distances = FORMATS[name], []
    for row in stack("next to a tie of logsumexp", format_).x:
        with ctx.workprec(400):
            true = Vector(row).log_sum()
            near = format_.dtype.type(float(true))
            beside = [np.nextafter(near, end * format_.largest) for end in (-1, 1)]
            number, below, above = balls(np.array([near, *beside]))
            middles = (number + below) / 2, (number + above) / 2
            distances.append(min(float(abs(true - m) / (above - number)) for m in middles))
    assert np.median(distances) < distance


def test_exhaustive_ones_are_complete():
    for name, finite in (("float8_e4m3fn", 254), ("float8_e5m2", 248)):
        x, _ = all_pairs(find_format(name))
        infinite = name == "float8_e5m2"  # -inf, beside a finite number
        assert len({row.tobytes() for row in x}) == len(x) == finite**2 + 2 * finite * infinite
    for x, _ in with_partners():
        assert x.shape == (2**16 - 2**11, 2)  # without infinities and NaN
