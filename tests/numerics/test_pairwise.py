"""Sums in pieces: how many additions they take."""

import numpy as np
import pytest

from stablelse.numerics.pairwise import additions, pairwise, sum_of_row


@pytest.mark.parametrize("bearable", [None, 0, 13])
@pytest.mark.parametrize("n", [*range(2, 60, 3), 100, 129, 300])
def test_no_number_takes_part_in_more_additions_than_are_counted(n, bearable):
    # Where two numbers cancel that dwarf all others, what was added to either is lost: as many
    # different numbers are lost as there are additions on the way of one, whatever the other is.
    large = 2.0**80
    some = {0, 1, n // 2, n - 2, n - 1}
    for i in some:
        rows = np.ones((n, n))
        rows[:, i] = large
        rows[range(n), range(n)] = -large
        lost = n - pairwise(np.delete(rows, i, axis=0), 1, bearable=bearable)
        assert len(np.unique(lost)) <= additions(n, 1, bearable)
        assert lost.min() >= 2


def test_a_row_has_the_same_sum_alone():
    rng = np.random.default_rng(11)
    for n in (*range(1, 140), 1000, 5000):
        x = np.exp(rng.standard_normal((3, n)))
        for bearable in (None, 0, 13):
            together = pairwise(x, 1, bearable=bearable)[:, 0]
            assert [sum_of_row(row, bearable) for row in x] == together.tolist()
            assert np.allclose(together, x.sum(axis=1), rtol=1e-14)
