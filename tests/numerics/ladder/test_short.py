"""Short rows in two words of Python's own floats: right, or left to the next rung."""

import numpy as np
import pytest

from stablelse.numerics import decimals
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.ladder import short

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_shifted_numbers_are_settled_in_two_words_and_right(function):
    settled, rng = 0, np.random.default_rng(12)
    for _ in range(300):
        x = rng.choice([-3000.0, 600.0, 12345.678]) + rng.normal(size=rng.integers(1, 11))
        found = getattr(short, function)(x.tolist())
        if found is not None:
            right = getattr(decimals, function)(x, FORMATS["float64"])
            assert np.array_equal(found[0], right[0] if function == "logsumexp" else right)
            settled += 1
    assert settled > 250
