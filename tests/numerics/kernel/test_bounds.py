"""What the kernel's comments derive: its constants, and bounds of the errors of every phase."""

import ctypes
import hashlib
import importlib.util
import os

import numpy as np
import pytest
from bounds import ratios
from native import PHASES, SOURCES, Phases, build, compiler, instruction_sets


@pytest.fixture(scope="session", params=instruction_sets() if compiler() else [])
def phases(request, pytestconfig):
    """The phases by themselves: values and bounds; compiled only if a source changes."""
    sources = [PHASES, *sorted(SOURCES.glob("*.[ch]"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    target = pytestconfig.cache.mkdir("kernels") / f"{request.param}-{digest}.so"
    if not target.exists():
        part = target.with_suffix(f".{os.getpid()}")
        build(PHASES, instruction_sets()[request.param], part)
        part.replace(target)
    return Phases(ctypes.CDLL(str(target)))


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
