"""Arrays of more than two axes: the last one has the vectors, and rows are (i, j), from 1."""

import csv
import io
import json

import numpy as np
import pytest

import stablelse

X = np.arange(24.0).reshape(2, 3, 4) ** 2 / 7
Y = np.array([[0, 1, 2], [3, 0, 1]])


@pytest.fixture
def saved(here):
    np.save("x.npy", X)
    np.save("y.npy", Y)
    np.save("two.npy", X[0])


def test_places(run, saved):
    rows = [[i, j] for i in (1, 2) for j in (1, 2, 3)]
    found = json.loads(run("lse", "--file", "x.npy", "--json").out)["vectors"]
    assert [vector["row"] for vector in found] == rows
    assert [vector["x"] for vector in found] == [X[i - 1, j - 1].tolist() for i, j in rows]
    table = csv.DictReader(io.StringIO(run("lse", "--file", "x.npy", "--format", "csv").out))
    assert [row["row"] for row in table if row["method"] == "naive"] == [
        f"{i};{j}" for i, j in rows
    ]
    for args in (["lse"], ["lse", "--format", "plain"], ["softmax"], ["nll", "--labels", "y.npy"]):
        out = run(*args, "--file", "x.npy").out
        assert all(f"row ({i}, {j})" in out for i, j in rows)


def test_a_scan_names_the_place(run, saved):
    done = run("scan", "x.npy", "--dtype", "float16", "--fail-on", "naive:overflow")
    assert done.code == 1
    assert "x.npy, row (1, 3): maximum 17.2857" in done.err
    found = json.loads(run("scan", "x.npy", "--dtype", "float16", "--json").out)
    assert found["rows"] == 6
    assert found["results"][0]["first"][0]["row"] == [1, 3]


@pytest.mark.parametrize("args", [["lse"], ["softmax"], ["sweep", "--dtype", "float16"]])
def test_rows_are_chosen_by_place_or_number(args, run, saved):
    by_place = run(*args, "--file", "x.npy", "--row", "2,3")
    assert by_place.code == 0, by_place.err
    assert "row (2, 3)" in by_place.out
    assert run(*args, "--file", "x.npy", "--row", "6").out == by_place.out
    np.save("x.npy", X[:1, :1])  # its only row has a place too
    assert run(*args, "--file", "x.npy", "--row", "1,1").out.count("row (1, 1)") == 1


def test_columns_of_two_axes(run, saved):
    """That is what --by columns gives, in bounded memory too."""
    by_axis = run("lse", "--file", "two.npy", "--axis", "0", "--json").out
    assert by_axis == run("lse", "--file", "two.npy", "--by", "columns", "--json").out


def test_scan_of_an_array():
    assert stablelse.scan(X).results[0].first[0].row == (1, 3)
    turned = stablelse.scan(np.moveaxis(X, -1, 0), axis=0)
    assert [r.first for r in turned.results] == [r.first for r in stablelse.scan(X).results]
    assert stablelse.scan(X[0]).results[0].first[0].row == 3
    with pytest.raises(ValueError, match=r"x has no axis 3: its shape is \(2, 3, 4\)"):
        stablelse.scan(X, axis=3)


@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_columns_are_written_as_columns(suffix, run, saved, monkeypatch):
    """For any number read at once."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 48)
    np.save("two.npy", np.random.default_rng(2).normal(size=(3, 8)))
    for name, options in (("a", ["--axis", "0"]), ("b", ["--by", "columns"])):
        done = run("softmax", "--file", "two.npy", *options, "--output", f"{name}.{suffix}")
        assert done.code == 0, done.err
    with open(f"a.{suffix}", "rb") as a, open(f"b.{suffix}", "rb") as b:
        assert a.read() == b.read()


@pytest.mark.parametrize("options", [[], ["--axis", "-1"], ["--axis", "2"]])
def test_an_array_of_three_axes_keeps_its_shape(options, run, saved):
    x = np.random.default_rng(3).normal(size=(2, 3, 4))
    np.save("three.npy", x)
    done = run("softmax", "--file", "three.npy", *options, "--output", "out.npy")
    assert done.code == 0, done.err
    written = np.load("out.npy")
    assert written.shape == x.shape
    assert np.array_equal(written, stablelse.softmax(x, axis=-1))
    done = run("softmax", "--file", "three.npy", *options, "--row", "1,2", "--output", "one.npy")
    assert done.code == 0, done.err
    assert np.array_equal(np.load("one.npy"), written[:1, 1])
