"""SciPy's own tests of its functions pass with these in their place."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from scipy._lib import _array_api

TESTS = "scipy.special.tests.test_logsumexp"


def test_scipys_own_tests(tmp_path, environment, python):
    if find_spec(TESTS) is None:
        pytest.skip("SciPy came without its tests")
    if not hasattr(_array_api, "xp_capabilities_table"):
        pytest.skip("SciPy before 1.16 has other tests")
    command = ["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path, "--pyargs", TESTS]
    plugins = ["-p", "scipys", "-p", "no:cacheprovider", "-p", "no:randomly"]
    folders = os.pathsep.join([str(Path(__file__).parents[1]), environment["PYTHONPATH"]])
    done = python(*command, *plugins, cwd=tmp_path, PYTHONPATH=folders)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 100
