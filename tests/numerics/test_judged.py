"""A sample of the attack: the library and the reference misround no result."""

import numpy as np
import pytest
from families import FAMILIES, Stack, all_pairs, rng_of

from stablelse.numerics import reference
from stablelse.numerics.formats import FORMATS, find_format

flint = pytest.importorskip("flint")
judge = pytest.importorskip("judge")

FLOAT8 = ["float8_e4m3fn", "float8_e5m2"]


def assert_right(stacks, format_, *others):
    tally = judge.judge(iter(stacks), format_, *others)
    assert not tally.wrong, "\n".join(tally.wrong[:5])


@pytest.mark.parametrize(
    ("subject", "seed", "sizes"),
    [(judge.by_library, 7, (24, 60, 12)), (judge.by_reference, 21, (12, 60, 5))],
)
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, format_, subject, seed, sizes):
    find_format(format_)
    count, longest, parts = (4, 10, 2) if format_ == "longdouble" else sizes
    assert_right(judge.stacks(family, format_, count, seed, longest, parts), format_, subject)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_by_the_reference_in_pieces(family, monkeypatch):
    """Rows that are longer than a block, and shorter ones."""
    monkeypatch.setattr(reference, "BLOCK", 4)
    assert_right(judge.stacks(family, "float64", 8, 22, 14, 4), "float64", judge.by_reference)


@pytest.mark.parametrize("family", FAMILIES)
def test_longdouble_of_what_float64_holds(family):
    assert_right(judge.stacks(family, "float64", 6, 23, 30, 3), "longdouble")


@pytest.mark.parametrize("subject", [judge.by_library, judge.by_reference])
@pytest.mark.parametrize("name", FLOAT8)
def test_a_tenth_of_all_pairs_of_float8(name, subject):
    pairs = all_pairs(find_format(name)).x
    chosen = rng_of(24, name).choice(len(pairs), len(pairs) // 10, replace=False)
    assert_right([Stack(pairs[chosen])], name, subject)


@pytest.mark.parametrize("n", [2**15 - 1, 2**15, 2**15 + 1, 100_000])
def test_long_rows(n):
    stack = FAMILIES["normal"].make(rng_of(25), 1, n, FORMATS["float64"])
    assert_right([stack], "float64", judge.by_library)
    if n == 100_000:
        assert_right([stack], "float64", judge.by_reference)


def test_integers_of_64_bits():
    x = rng_of(26).integers(-(2**63), 2**63, (20, 3))
    x[10:] = 2**62 + rng_of(27).integers(-5, 5, (10, 3))
    exactly = x.astype(np.longdouble)
    if FORMATS["longdouble"].significand_bits < 63:
        pytest.skip("no format of this machine holds them")
    for subject in (judge.by_library, judge.by_reference):
        assert_right([Stack(exactly)], "float64", subject)
        for function in ("logsumexp", "softmax", "log_softmax"):
            found = [subject(function, part, None, 1, FORMATS["float64"]) for part in (x, exactly)]
            assert np.array_equal(*found)
