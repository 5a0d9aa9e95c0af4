"""Sums in pieces: how many additions they take."""

from functools import partial
from math import fsum

import numpy as np
import pytest

from stablelse.numerics.pairwise import _additions_in_piece, additions, pairwise


def _by_pairwise(n):
    return partial(pairwise, axis=1), additions(n, 1)


def _by_einsum(n):
    return partial(np.einsum, "ij->i"), _additions_in_piece(n)


@pytest.mark.parametrize("of", [_by_pairwise, _by_einsum])
@pytest.mark.parametrize("n", [*range(2, 60, 3), 64, 100])
def test_no_number_takes_part_in_more_additions_than_are_counted(n, of):
    # Where two numbers cancel that dwarf all others, what was added to either is lost: as many
    # different numbers are lost as there are additions on the way of one, whatever the other is.
    large = 2.0**80
    add_up, count = of(n)
    for i in {0, 1, n // 2, n - 2, n - 1}:
        rows = np.ones((n, n))
        rows[:, i] = large
        rows[range(n), range(n)] = -large
        lost = n - add_up(np.delete(rows, i, axis=0))
        assert len(np.unique(lost)) <= count
        assert lost.min() >= 2


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_vectors_never_take_more_additions_than_numbers_one_by_one(lanes):
    for n in range(2, 300):
        assert _additions_in_piece(n, lanes) <= _additions_in_piece(n, 1)


def test_a_close_sum_of_short_pieces_is_nearly_exact():
    rng = np.random.default_rng(12)
    for n in (5, 40, 87, 129, 1000, 3000):
        x = np.exp(rng.standard_normal((20, n)))
        assert additions(n, 1, closely=True) <= 13
        for row, total in zip(x, pairwise(x, 1, closely=True)[:, 0], strict=True):
            assert abs(total - fsum(row)) <= 2 * np.spacing(total)
