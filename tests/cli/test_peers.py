"""The command that compares the libraries: what it reads, prints and refuses."""

import json
from dataclasses import fields

import numpy as np
import pytest

from stablelse.analysis import gallery as gallery_module
from stablelse.analysis import peers as peers_module
from stablelse.analysis.peers import PeerComparison, PeerResult

ONLY = ["--peer", "naive"]


@pytest.fixture
def short_gallery(monkeypatch):
    """Show only two cases: this tests how the gallery is printed."""
    cases = [case for case in gallery_module.CASES if case.name == "one dominates at zero"]
    monkeypatch.setattr(gallery_module, "CASES", cases)


@pytest.mark.usefixtures("short_gallery")
def test_the_gallery_reads_no_standard_input(run):
    done = run("peers", *ONLY, stdin=b"not a number\n")
    assert (done.code, done.err) == (0, "")
    assert "one dominates at zero log-softmax" in " ".join(done.out.split())
    assert "4.248354255291589e-18" not in done.out


@pytest.mark.usefixtures("short_gallery")
def test_every_case_of_the_gallery(run):
    done = run("peers", *ONLY, "--all")
    assert done.out.index("right, of 2") < done.out.index("one dominates at zero: log-sum-exp")
    assert "4.248354255291589e-18" in done.out


def test_json(run):
    document = json.loads(run("peers", "0", "-40", *ONLY, "--json").out)
    assert list(document) == ["schema", *PeerComparison.__annotations__, "header", "temperature"]
    naive, own, exact = document["results"]
    assert list(naive) == [field.name for field in fields(PeerResult) if field.repr]
    assert (naive["value"], own["value"], exact["value"]) == (0, *[4.248354255291589e-18] * 2)
    assert naive["worst"]["exact"] == own["value"]
    assert naive["call"] == "np.log(np.sum(np.exp(x), axis=-1))"
    assert naive["version"] == np.__version__


def test_a_library_that_is_not_installed(run, monkeypatch):
    there = {"numpy", "stablelse"}
    monkeypatch.setattr(peers_module, "find_spec", lambda name: name if name in there else None)
    done = run("peers", "1", "--peer", "torch")
    assert (done.code, done.out) == (2, "")
    assert "torch is not installed: pip install torch" in done.err
    assert done.err.count("\n") == 1
    done = run("peers", "1", "2")
    assert "not installed: scipy, torch, jax (pip install scipy torch jax)" in done.out
    assert "SciPy" not in done.out
    document = json.loads(run("peers", "1", "2", "--peer", "numpy", "--json").out)  # the package
    peers = [result["peer"] for result in document["results"]]
    assert (peers, document["missing"]) == (["naive", "logaddexp", "stablelse", "exact"], [])


#: A module with functions of a user.
OWN = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from own_sibling import right_lse
print("loaded")
@dataclass
class Settings:
    size: int = 1
def naive_lse(x, axis):
    print("called")
    return np.log(np.exp(x).sum(axis))
def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()
def changing_lse(x):
    x -= x.max()
    return np.log(np.exp(x).sum()) + 1001
def lse_of_none(x):
    return None
def lse_of_text(x):
    return "1001.3"
def complex_lse(x):
    return 1001.3 + 0j
def long_lse(x):
    return x
def exiting_lse(x):
    raise SystemExit(3)
def wrong():
    return 1
"""

#: A function, and what it returns, or why there is no answer.
OWN_ANSWERS = {
    "naive_lse": "inf",
    "right_lse": 1001.3132616875182,
    "changing_lse": 1001.3132616875182,
    "softmax": "its name says softmax, not logsumexp",
    "lse_of_none": "TypeError: expected numbers, not None",
    "lse_of_text": "TypeError: expected numbers, not strings",
    "complex_lse": "TypeError: expected real numbers",
    "long_lse": "returns 2 numbers a row, not 1",
    "exiting_lse": "SystemExit: 3",
    "wrong": "TypeError: ",
    "missing": "has no missing",
}


@pytest.fixture
def own(here, monkeypatch):
    """Go to a folder with functions of a user."""
    (here / "own_module.py").write_text(OWN)
    (here / "own_sibling.py").write_text("from stablelse import logsumexp as right_lse")
    monkeypatch.syspath_prepend(here)  # the command does too, and this is undone


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("home", ["own_module", "own_module.py"])
def test_functions_of_the_user(home, run):
    for name, answer in OWN_ANSWERS.items():
        done = run("peers", "1000", "1001", "--peer", f"{home}:{name}", "--json")
        assert done.code == 0
        result, ours, _ = json.loads(done.out)["results"]
        assert (result["peer"], ours["outcome"]) == (f"{home}:{name}", "right")
        assert answer == result["value"] or answer in str(result["reason"])
    assert "loaded" in run("peers", "1", "--peer", "own_module.py:wrong").err
    done = run("peers", "1", "2", "--function", "softmax", "--peer", f"{home}:softmax", "--json")
    assert json.loads(done.out)["results"][0]["outcome"] == "right"
    assert run("peers", "--all", "--peer", f"{home}:naive_lse").code == 0
    own = ["--peer", f"{home}:naive_lse", "--peer", "own_sibling:right_lse"]
    assert " right_lse " in run("peers", "1", *own, *own).out
    both = ["--peer", "own_sibling:right_lse", "--peer", f"{home}:right_lse"]
    titles = [line.split()[1] for line in run("peers", "1", *both).out.splitlines()[2:4]]
    assert titles == ["own_sibling:right_lse", f"{home}:right_lse"]


def test_a_long_reason_fits_the_screen(run, tmp_path):
    (tmp_path / "own.py").write_text("raise ValueError('a long message ' * 20)\n")
    out = run("peers", "1", "2", "--peer", tmp_path / "own.py:lse").out
    assert "cannot be imported" in out
    assert "a long message a long message" in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_names_every_library(run):
    out = " ".join(run("peers", "--help").out.split())
    assert ", ".join(row.name for row in peers_module.PEERS[:-1]) in out
    assert out.index("Examples:") < out.index("Numbers and files:")
