"""The examples of single files print what the texts of examples/ say they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TEXTS = sorted(EXAMPLES.glob("*.md"))
BLOCK = re.compile(
    r"^```console\n\$ (?:python|bash) examples/(\w+\.(?:py|sh))\n(.*?)^```$", re.M | re.S
)
TOLD = {path: dict(BLOCK.findall(path.read_text("utf-8"))) for path in TEXTS}
PRINTED = {script: printed for told in TOLD.values() for script, printed in told.items()}


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


@pytest.mark.parametrize(("text", "script"), [(t, script) for t in TEXTS for script in TOLD[t]])
def test_prints_what_the_text_says(text, script, request, tmp_path):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    printed = run(script, tmp_path)
    if request.config.getoption("--regenerate"):
        now = re.sub(
            rf"(\$ \w+ examples/{script}\n).*?(?=^```$)",
            lambda found: found[1] + printed,
            text.read_text("utf-8"),
            flags=re.M | re.S,
        )
        text.write_text(now, encoding="utf-8")
        return
    assert printed == PRINTED[script]


def test_every_script_is_told_of():
    scripts = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.sh")]
    assert {path.name for path in scripts} == set(PRINTED)
    for text in TEXTS:
        targets = re.findall(r"\]\(([^)]+)\)", text.read_text("utf-8"))
        local = [target for target in targets if not target.startswith("http")]
        assert local
        assert all((EXAMPLES / target).exists() for target in local)


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
