"""SciPy's own tests of its functions pass with these in their place."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from scipy._lib import _array_api

TESTS = "scipy.special.tests.test_logsumexp"


def test_scipys_own_tests(tmp_path, environment):
    if find_spec(TESTS) is None:
        pytest.skip("SciPy came without its tests")
    if not hasattr(_array_api, "xp_capabilities_table"):
        pytest.skip("SciPy before 1.16 has other tests")
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path]
    plugins = ["-p", "scipys", "-p", "no:cacheprovider", "-p", "no:randomly"]
    folders = [str(Path(__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    done = subprocess.run(
        [*command, *plugins, "--pyargs", TESTS],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 100
