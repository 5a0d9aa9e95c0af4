"""The examples of single files print what the texts of examples/ say they print."""

import re
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


@pytest.mark.parametrize(("text", "script"), [(t, script) for t in TEXTS for script in TOLD[t]])
def test_prints_what_the_text_says(text, script, request, start):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    program = ["bash"] if script.endswith(".sh") else [sys.executable, "-W", "error"]
    done = start(*program, EXAMPLES / script, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout
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
