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
    assert run("peers", *ONLY, "--all", "--json").out == run("peers", *ONLY, "--json").out


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
