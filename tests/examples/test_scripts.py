"""The examples of single files print what examples/README.md says they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = EXAMPLES / "README.md"
BLOCK = re.compile(r"^```console\n\$ python examples/(\w+\.py)\n(.*?)^```$", re.M | re.S)
PRINTED = dict(BLOCK.findall(README.read_text("utf-8")))


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("script", PRINTED)
def test_prints_what_the_readme_says(script, request):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    printed = run(script)
    if request.config.getoption("--regenerate"):
        now = re.sub(
            rf"(\$ python examples/{script}\n).*?(?=^```$)",
            lambda found: found[1] + printed,
            README.read_text("utf-8"),
            flags=re.M | re.S,
        )
        README.write_text(now, encoding="utf-8")
        return
    assert printed == PRINTED[script]


def test_every_script_is_told_of():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTED)
    told = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    assert told
    assert all((EXAMPLES / target).exists() for target in told)


def test_the_sentinel_leaks_and_where_does_not():
    where, sentinel, nan, zero = PRINTED["attention.py"].splitlines()[1:]
    assert where.split()[1:3] == ["0.0", "True"]
    assert nan.count("1.0") == zero.count("1.0") == 4
    assert (nan.count("nan,"), zero.count(" 0.0")) == (1, 2)
    assert float(sentinel.split()[3]) > 0
    assert "False" in sentinel


def test_the_hidden_markov_model_agrees_with_the_scaled_recursion():
    ours, scaled = PRINTED["hidden_markov.py"].splitlines()[:2]
    assert ours.split()[-1] == scaled.split()[-1]
