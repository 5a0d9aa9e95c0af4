"""The command scan: its screens, its failures, and the guards that use it."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

_ROWS = b"a,b,c\n1,2,3\n12,3,-30\n-20,-19,-18.5\n15,0,0\n0,-0.7,-9\n"


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ([], 0, []),
        (["--fail-on", "overflow"], 1, ["overflow: float16 naive, overflow on 2 of 5", "row 2"]),
        (["--fail-on", "naive:nan", "--fail-on", "shifted:broken"], 0, []),
        (["--fail-on", "naive:underflow,nan"], 1, ["naive, underflow on 1 of 5", "row 3", "-18.5"]),
        (["--fail-on", "naive:ulp>4, shifted:overflow"], 1, ["2 of 5", "underflow on 1 of 5"]),
        (["--fail-on", "shifted:overflow"], 0, []),
        (["--fail-on", "ulp>0.5", "--function", "softmax"], 1, ["than 0.5 ulp off", "row 1"]),
        (["--fail-on", "digits_lost,no_digits", "--max-ulp", "900"], 0, []),
        (["--fail-on", "ulp", "--max-ulp", "900"], 1, ["overflow on 2", "underflow on 1"]),
        (["--fail-on", "shifted:ulp>4"], 0, []),
        (["--fail-on", "none"], 0, []),
    ],
)
@pytest.mark.parametrize("quiet", [True, False])
def test_what_it_fails_on(told, code, words, quiet, run):
    done = run("scan", "--dtype", "float16", *told, *(["-q"] if quiet else []), stdin=_ROWS)
    assert done.code == code
    assert bool(done.out) is not quiet
    assert all(word in done.err for word in words)
    assert all(line.startswith("stablelse: failed: ") for line in done.err.splitlines())
    assert bool(done.err) is bool(code)


def test_many_files_of_many_formats(run, here):
    np.save("part-1.npy", np.ones((4, 3), np.float32))
    np.save("part-2.npy", np.full((2, 5), 12, np.float16))
    Path("rows.csv").write_bytes(_ROWS)
    done = run("scan", "part-*.npy", "rows.csv", "--dtype", "float16", "--json")
    found = json.loads(done.out)
    assert (found["rows"], found["elements"]) == (11, 37)
    naive = found["results"][0]
    assert (naive["overflow"], naive["first"][1]["source"]) == (4, "part-2.npy")
    assert (naive["worst"][1]["source"], naive["worst"][1]["row"]) == ("rows.csv", 4)
    assert found["survivors"]["naive"] is None
    by_columns = json.loads(
        run("scan", "rows.csv", "--by", "columns", "--dtype", "float16", "--json").out
    )
    assert (by_columns["rows"], by_columns["results"][0]["first"][-1]["column"]) == (3, "a")


def test_pre_commit_hook(python, tmp_path):
    """The hook of scan runs on its files; the other one is that of lint."""
    text = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    hooks = [
        dict(line.strip().split(": ", 1) for line in block.splitlines())
        for block in text.removeprefix("- ").split("\n- ")
    ]
    hook, lint = hooks
    assert (hook["id"], lint["id"], lint["entry"]) == (
        "stablelse-scan",
        "stablelse-lint",
        "stablelse lint",
    )
    names = ["logits.npy", "runs/logits-2.csv", "logits.safetensors"]
    assert all(re.search(hook["files"], name) for name in names)
    assert not re.search(hook["files"], "logits.py")
    program, *args = hook["entry"].split()
    assert program == "stablelse"
    np.save(tmp_path / "logits.npy", [[1, 2], [3, 4.0]])
    (tmp_path / "logits.csv").write_text("1,2\n70000,3\n")
    for files, code in ((["logits.npy"], 0), (["logits.npy", "logits.csv"], 1)):
        done = python("-m", "stablelse", *args, *files, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code, "")
    assert "logits.csv, row 2: 70000 does not fit float16" in done.stderr


_TESTS = """
import sys
import pytest

def test_nothing_is_imported():
    assert "numpy" not in sys.modules

def test_good(assert_stable):
    assert_stable([[1, 2], [12, 3]])
    assert_stable([[1, 2]], dtype="float32", method="naive", function="log-softmax", max_ulp=10)

def test_bad(assert_stable):
    assert_stable([[1, 2], [12, 3]], method="naive", function="lse")
"""


def test_pytest_plugin(python, tmp_path):
    (tmp_path / "test_logits.py").write_text(_TESTS)
    arguments = ["-p", "stablelse.testing", "-p", "no:cacheprovider", "-q", "-c", os.devnull]
    done = python(
        *["-m", "pytest", *arguments, "test_logits.py"],
        cwd=tmp_path,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed, 2 passed" in done.stdout
    told = "float16 naive, overflow on 1 of 2 vectors; first row 2: maximum 12"
    assert told in done.stdout
    assert "row 2 is [12  3]" in done.stdout
    assert "to do: use shifted" in done.stdout
