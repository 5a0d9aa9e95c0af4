"""The command that compares the libraries: what it reads, prints and refuses."""

import csv
import io
import json
from dataclasses import fields

import numpy as np
import pytest

from stablelse.analysis import gallery as gallery_module
from stablelse.analysis import peers as peers_module
from stablelse.analysis.peers import PeerComparison, PeerResult

ONLY = ["--peer", "naive", "--no-time"]


@pytest.fixture
def short_gallery(monkeypatch):
    """Show only two cases: this tests how the gallery is printed."""
    cases = [case for case in gallery_module.CASES if case.name == "one dominates at zero"]
    monkeypatch.setattr(gallery_module, "CASES", cases)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


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


@pytest.mark.usefixtures("short_gallery")
def test_the_gallery_as_records(run):
    document = json.loads(run("peers", *ONLY, "--json").out)
    fields = {"schema", "cases", "missing", "left_out", "header", "temperature"}
    assert set(document) == fields
    lines = run("peers", *ONLY, "--format", "jsonl").out.splitlines()
    own = {"schema": 1, "header": None, "temperature": None}
    assert [json.loads(line) for line in lines] == [case | own for case in document["cases"]]
    rows = rows_of(run("peers", *ONLY, "--format", "csv").out)
    assert [(row["function"], row["peer"], row["outcome"]) for row in rows] == [
        (function, peer, outcome)
        for function in ("logsumexp", "log_softmax")
        for peer, outcome in [("naive", "broken"), ("stablelse", "right"), ("exact", "right")]
    ]


def test_json(run):
    document = json.loads(run("peers", "0", "-40", *ONLY, "--json").out)
    assert list(document) == ["schema", *PeerComparison.__annotations__, "header", "temperature"]
    naive, own, exact = document["results"]
    assert list(naive) == [field.name for field in fields(PeerResult) if field.repr]
    assert (naive["value"], own["value"], exact["value"]) == (0, *[4.248354255291589e-18] * 2)
    assert naive["worst"]["exact"] == own["value"]
    assert naive["call"] == "np.log(np.sum(np.exp(x), axis=-1))"
    assert (naive["version"], naive["nanoseconds"]) == (np.__version__, None)


def test_a_row_per_library(run, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a,b\n0,-40\n1000,1\n")
    done = run("peers", "-f", file, "--function", "softmax", *ONLY, "--format", "csv")
    naive, own = rows_of(done.out)
    assert (naive["judged"], naive["misrounded"], naive["ulps"]) == ("4", "1", "inf")
    assert (naive["worst_source"], naive["worst_row"], naive["worst_element"]) == (
        str(file),
        "2",
        "1",
    )
    assert (own["share"], own["worst_value"]) == ("0", own["worst_exact"])
    done = run("peers", "-f", file, "--by", "columns", *ONLY, "--format", "csv")
    assert rows_of(done.out)[0]["worst_column"] == "a"


def test_several_files(run, tmp_path):
    """Vectors of different lengths, and the place of the worst with its file."""
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("1,2,1000\n3,4,5\n")
    files = ["-f", tmp_path / "a.csv", "-f", tmp_path / "b.csv", "--by", "rows"]
    done = run("peers", *files, *ONLY, columns=200)
    assert "log-sum-exp of 4 vectors in float64" in done.out
    assert f"{tmp_path / 'b.csv'}, row 1" in done.out
    assert "naive       2 (50.0%)       1       inf" in (
        run("peers", *files, *ONLY, "--format", "plain").out
    )


def test_standard_input_where_it_is_asked_for(run):
    done = run("peers", "--file", "-", *ONLY, stdin=b"0\n-40\n")
    assert "standard input: log-sum-exp of 2 numbers" in done.out


def test_the_time_is_told(run):
    assert "ns per" in run("peers", "1", "2", "--peer", "naive").out
    assert "ns per element" in run("peers", "1", "2", "--peer", "naive", "--format", "plain").out
    rows = rows_of(run("peers", "1", "2", "--peer", "naive", "--format", "csv").out)
    assert [float(row["nanoseconds"] or 0) > 0 for row in rows] == [True, True, False]


def test_the_gallery_fits_the_screen(run):
    pytest.importorskip("ml_dtypes")
    for columns in (80, 120):
        lines = run("peers", "--peer", "logaddexp", columns=columns).out.splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) <= 23


def test_a_library_that_is_not_installed(run, monkeypatch):
    there = {"numpy", "stablelse"}
    monkeypatch.setattr(peers_module, "find_spec", lambda name: name if name in there else None)
    done = run("peers", "1", "--peer", "torch")
    assert (done.code, done.out) == (2, "")
    assert "torch is not installed: pip install torch" in done.err
    assert done.err.count("\n") == 1
    done = run("peers", "1", "2", "--no-time")
    assert "not installed: scipy, torch, jax (pip install scipy torch jax)" in done.out
    assert "SciPy" not in done.out


def test_help_names_every_library(run):
    out = " ".join(run("peers", "--help").out.split())
    assert ", ".join(row.name for row in peers_module.PEERS[:-1]) in out
    assert out.index("Examples:") < out.index("Numbers and files:")
