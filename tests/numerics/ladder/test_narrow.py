"""Long rows of narrow formats: what is in doubt is settled by a sum in two words."""

import numpy as np
import pytest
from families import FAMILIES, rng_of

from stablelse.exact import Rung
from stablelse.numerics.blocks import Blocks, by_vector
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.ladder import elementwise, narrow

FLOAT32 = FORMATS["float32"]
FUNCTIONS = (elementwise.softmax, elementwise.log_softmax)


def special_rows():
    """Return rows of all kinds: tame, to be shifted, underflowing, with what is not finite."""
    rng = rng_of(41)
    rows = rng.normal(size=(9, 400))
    rows[1] *= 30
    rows[2] = rng.uniform(-700, 700, 400)
    rows[3] -= 90
    rows[4] = 0
    rows[5, 7] = 30
    rows[6:, 3] = -np.inf, np.nan, np.inf
    return rows.astype(np.float32)


@pytest.fixture(params=[1, 10**6], ids=["cut at once", "cut where in doubt"])
def all_in_doubt(request, monkeypatch):
    """Let every row be long, and every element be in doubt."""
    monkeypatch.setattr(narrow, "_LONG", 1)
    monkeypatch.setattr(narrow, "_VERY_LONG", request.param)
    monkeypatch.setattr(narrow, "flat_indices", lambda flags: np.arange(flags.size))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_all_elements_of_long_rows_in_doubt(function, all_in_doubt, monkeypatch):
    rows = special_rows()
    with np.errstate(all="ignore"):
        found, certificate = function(rows, FLOAT32)
        monkeypatch.undo()
        expected, _ = function(rows, FLOAT32)
    assert np.array_equal(found, expected, equal_nan=True)
    # Of the nine rows, one must be shifted, and two are NaN.
    assert certificate.settled[Rung.FLOAT64] > 5.9 * rows.shape[1]
    assert certificate.settled[Rung.QUICK] >= rows.shape[1]


@pytest.mark.usefixtures("all_in_doubt")
@pytest.mark.parametrize("family", ["next to a tie of softmax", "next to a tie of log_softmax"])
def test_ties_of_long_rows(family):
    pytest.importorskip("flint")
    from judge import Tally

    tally = Tally()
    for stack in FAMILIES[family].stacks(FLOAT32, 10, rng_of(43, family), 60, parts=5):
        tally.judge(stack, FLOAT32)
    assert not tally.examples, "\n".join(map(str, tally.examples))


@pytest.mark.parametrize("shape", [(3, 5), (2000, 30), (3, 9000)])
def test_an_operation_by_vectors_leaves_the_buffers_of_numpy_alone(shape):
    x, number = np.ones(shape), np.arange(shape[0])[:, np.newaxis] + 0.5
    size = np.getbufsize()
    by_vector(np.subtract, x, number, x)
    assert np.getbufsize() == size
    assert np.array_equal(x, np.broadcast_to(1 - number, shape))


@pytest.mark.parametrize("m", [2, 3])
def test_what_is_loaded_in_its_place_is_not_moved(m):
    blocks = Blocks((m, 50), FLOAT32, buffers=1)
    x, place = special_rows()[:m, :50], np.empty((m, 50))
    assert blocks.load(x, place) is place
    assert np.array_equal(place, x)
    wide = x.astype(float)
    assert blocks.load(wide, place) is wide
