"""Every phase's error is within its bound, which the kernel's comments derive."""

import numpy as np
import pytest
from bounds import ratios


@pytest.mark.parametrize("name", ratios)
def test_bound(phases, name):
    ratio = ratios[name](phases, np.random.default_rng(11), 400)
    assert 0 < ratio <= 1
