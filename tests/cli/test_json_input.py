"""JSON as input: the numbers that commands print are read back bit for bit, or refused."""

import gzip
import json

import numpy as np
import pytest


def values_of(run, path, *options):
    done = run("lse", "-q", "--file", path, *options)
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_what_is_printed_of_other_formats_is_read_back(dtype, run, here):
    """Rounded to float64, the numbers of a file would change: 0.1 of float16 is not 0.1."""
    np.save("x.npy", np.array([0.1, 1 / 3, 1e4], dtype) / np.array(3, dtype))
    done = run("lse", "--file", "x.npy", "--json", "--dtype", dtype)
    (here / "printed").write_text(done.out)
    options = ("--dtype", dtype if dtype == "longdouble" else "float64")
    assert values_of(run, "printed", *options) == values_of(run, "x.npy", *options)


@pytest.mark.parametrize("kind", ["json", "jsonl"])
@pytest.mark.parametrize(
    "args",
    [
        ["scan", "x.csv", "--fail-on", "none"],
        ["peers", "1", "2", "--peer", "naive"],
        ["demo"],
        ["limits"],
        ["prove", "lse"],
        ["lse", "--by", "all", "--file", "long.npy"],
    ],
    ids=" ".join,
)
def test_results_without_numbers_are_refused(args, kind, run, here):
    (here / "x.csv").write_text("1,2\n")
    np.save("long.npy", np.zeros(3_000_000, np.float32))
    printed = run(*args, "--format", kind)
    assert printed.code == 0, printed.err
    done = run("softmax", "-q", stdin=printed.out.encode())
    assert done.code == 2
    assert done.out == ""
    assert "is output of stablelse without an x; name the file it is about" in done.err


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_records_that_are_too_long_to_hold(kind, run, here, monkeypatch):
    """Only their x is kept; the rest is read too, or a truncated one would pass."""
    np.save("x.npy", np.random.default_rng(7).normal(size=(2, 900)))
    text = run("softmax", "--file", "x.npy", "--format", kind).out
    monkeypatch.setattr("stablelse.readers.json._MOST_ITEMS", 1500)
    monkeypatch.setattr("stablelse.readers.text.PIECE_BYTES", 1 << 8)
    (here / "printed").write_text(text)
    assert values_of(run, "printed") == values_of(run, "x.npy")
    assert "more than 1,500 items" in run("lse", "--file", "printed", "--key", "value").err
    for end in range(text.index('"results"'), len(text) - 2, 9_001):
        done = run("lse", "-q", stdin=text[:end].encode())
        assert done.code == 2, end


def test_other_fields_of_what_is_printed(run):
    printed = run("lse", "1000", "1001", "--json").out.encode()
    assert run("lse", "-q", "--key", "value", stdin=printed).out == "1001.3132616875182\n"
    assert run("lse", "-q", "--key", "vectors[].n", stdin=printed).out == "2\n"


def test_a_scan_names_the_row(run):
    done = run("scan", "-", "-q", "--dtype", "float16", stdin=b'[1]\n[1, 2]\n["inf", 3]\n')
    assert done.code == 1
    assert "row 3" in done.err


def test_files_of_other_lengths_and_compressed(run, tmp_path):
    (tmp_path / "a").write_text("[1000, 1001]")
    (tmp_path / "b").write_bytes(gzip.compress(b"[3]"))
    assert run("lse -q --file", tmp_path).out == "1001.3132616875182\n3\n"


LOSSES = "0.4076059644443803\n1.3132616875182228\n3.0658839037574293\n"
ROWS = [([1.0, 2.0, 3.0], 2), ([1.0, 2.0], 0), ([1.0, 2.0, 5.0], 1)]
NLL = ["nll", "-q", "--reduction", "none"]


@pytest.mark.parametrize("is_array", [True, False])
def test_labels_beside_logits(is_array, run, tmp_path):
    rows = [{"id": "a", "logits": x, "label": y} for x, y in ROWS]
    text = json.dumps(rows, indent=1) if is_array else "".join(json.dumps(r) + "\n" for r in rows)
    (tmp_path / "x").write_text(text)
    args = [*NLL, "--logits", tmp_path / "x", "--key", "logits"]
    assert run(*args, "--label-key", "label").out == LOSSES
    assert run(*args, "--label-key", "label", "--row", "2").out == LOSSES.splitlines()[1] + "\n"
    done = run(*args, "--label-key", "labels")
    assert (done.code, done.out) == (2, "")
    line = 2 if is_array else 1
    assert f"line {line} has no key 'labels'; it has 'id', 'logits', 'label'" in done.err


def test_what_nll_prints_is_read_back_with_its_labels(run, here):
    (here / "x").write_text("".join(json.dumps({"x": x, "y": y}) + "\n" for x, y in ROWS))
    for kind in ("json", "jsonl"):
        args = ["--key", "x", "--label-key", "y", "--format", kind]
        (here / "again").write_text(run("nll", "--logits", "x", *args).out)
        assert run(*NLL, "--logits", "again", "--label-key", "label").out == LOSSES


@pytest.mark.parametrize("is_piped", [True, False])
def test_a_list_column_beside_a_label_column(is_piped, run, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    logits, labels = zip(*ROWS, strict=True)
    table = pa.table({"name": ["a", "b", "c"], "label": labels, "logits": logits})
    parquet.write_table(table, tmp_path / "x")
    args = [*NLL, "--column", "logits", "--label-column", "label"]
    if is_piped:
        done = run(*args, stdin=(tmp_path / "x").read_bytes())
    else:
        done = run(*args, "--logits", tmp_path / "x")
    assert done.out == LOSSES
    done = run(*NLL, "--logits", tmp_path / "x", "--label-column", "label")
    assert "column 3 ('logits') holds lists, each a row of its own; choose it with --column" in (
        done.err
    )
