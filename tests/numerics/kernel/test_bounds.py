"""What the kernel's comments derive: its constants, and bounds of the errors of every phase."""

import importlib.util

import numpy as np
import pytest
from bounds import ratios
from native import SOURCES


@pytest.mark.parametrize("name", ratios)
def test_bound(phases, name):
    ratio = ratios[name](phases, np.random.default_rng(11), 400)
    assert 0 < ratio <= 1


def test_tables_are_derived():
    spec = importlib.util.spec_from_file_location("tables", SOURCES / "tables.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text, errors = script.tables()
    assert text == (SOURCES / "tables.h").read_text()
    # the truncation errors that the bounds in the comments use
    assert errors["A"] < -81.88
    assert errors["Q"] < -65.32
    assert errors["N"] < -56
