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
BLOCK = re.compile(
    r"^```console\n\$ (?:python|bash) examples/(\w+\.(?:py|sh))\n(.*?)^```$", re.M | re.S
)
PRINTED = dict(BLOCK.findall(README.read_text("utf-8")))


def run(script: str, folder: Path) -> str:
    """Run an example; `stablelse` is this very package under this very Python."""
    command = folder / "stablelse"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stablelse "$@"\n')
    command.chmod(0o755)
    program = ["bash"] if script.endswith(".sh") else [sys.executable, "-W", "error"]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*program, EXAMPLES / script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("script", PRINTED)
def test_prints_what_the_readme_says(script, request, tmp_path):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    printed = run(script, tmp_path)
    if request.config.getoption("--regenerate"):
        now = re.sub(
            rf"(\$ \w+ examples/{script}\n).*?(?=^```$)",
            lambda found: found[1] + printed,
            README.read_text("utf-8"),
            flags=re.M | re.S,
        )
        README.write_text(now, encoding="utf-8")
        return
    assert printed == PRINTED[script]


def test_every_script_is_told_of():
    scripts = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.sh")]
    assert {path.name for path in scripts} == set(PRINTED)
    told = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    assert told
    assert all((EXAMPLES / target).exists() for target in told)


def test_the_sentinel_leaks_and_infinity_does_not():
    infinity, sentinel = PRINTED["attention.py"].splitlines()[1:]
    assert infinity.split()[1:3] == ["0.0", "True"]
    assert float(sentinel.split()[3]) > 0
    assert "False" in sentinel


def test_the_hidden_markov_model_agrees_with_the_scaled_recursion():
    ours, scaled = PRINTED["hidden_markov.py"].splitlines()[:2]
    assert ours.split()[-1] == scaled.split()[-1]
