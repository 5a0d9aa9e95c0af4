"""stablelse nll: labels from anywhere, everything that can be wrong with them, and the output."""

import json
import math

import numpy as np
import pytest

import stablelse

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(40, 5)) * 12
LABELS = RNG.integers(0, 5, 40)


@pytest.fixture
def files(tmp_path):
    """Logits and labels."""
    np.save(tmp_path / "x.npy", LOGITS)
    np.save(tmp_path / "y.npy", LABELS)
    return tmp_path


@pytest.mark.parametrize("more", ["", "--steps", "--grad"])
def test_rows_that_are_asked_for_are_shown_in_full(more, run):
    rows = b"1000,2,0\n3,4,1\n5,6,0\n"
    first, last, both = (
        run(f"nll --label-column 3 {more} {which}", stdin=rows).out
        for which in ("--row 1", "--row 3", "--row 1 --row 3")
    )
    assert both == first + last
    assert first


def test_long_inputs_are_summed_up_part_by_part(files, run, monkeypatch):
    from stablelse.cli import input as cli_input

    common = ["nll", "--logits", files / "x.npy", "--labels", files / "y.npy", "--json"]
    for logit in (0, -np.inf):  # whose loss is infinite
        x = LOGITS.copy()
        x[17, LABELS[17]] += logit
        np.save(files / "x.npy", x)
        whole = run(*common).out
        with monkeypatch.context() as patch:
            patch.setattr(cli_input, "BATCH", 15)
            assert run(*common).out == whole


def test_what_is_ignored_is_left_out(run):
    done = run(
        *["nll", "--label-column", "3", "--ignore-index", "7", "--json"],
        stdin=b"1,2,0\nnan,2,7\n3,5,1\n",
    )
    found = json.loads(done.out)
    assert (found["vectors"], found["ignored"]) == (2, 1)
    assert [loss["row"] for loss in found["losses"]] == [1, 3]
    assert found["totals"][-1]["value"] == stablelse.nll([[1, 2], [3, 5]], [0, 1])
    done = run("nll", "--label-column", "3", "--quiet", stdin=b"1,2,-100\n3,5,-100\n")
    assert math.isnan(float(done.out))
    done = run("nll", "--label-column", "3", stdin=b"1,2,-100\n3,5,-100\n")
    assert done.code == 0
    assert "2 vectors are left out" in done.out


@pytest.mark.parametrize(
    ("empty", "loss", "slope"),
    [("nan", "nan", "nan"), ("zero", "0", "0"), ("uniform", str(stablelse.nll([0.0] * 3, 0)), "0")],
)
def test_masked_throughout(empty, loss, slope, run, tmp_path):
    (tmp_path / "mask").write_text("1 0 1\n0 0 0\n")
    (tmp_path / "y").write_text("2\n1\n")
    common = ["--labels", tmp_path / "y", "--mask", tmp_path / "mask", "--empty", empty, "-q"]
    done = run("nll", *common, "--reduction", "none", stdin=b"1,2,3\n4,5,6\n")
    assert done.out.split() == [str(stablelse.nll([1, 3], 1)), loss]
    done = run("nll", *common, "--grad", stdin=b"1,2,3\n4,5,6\n")
    first, second = (line.split("\t") for line in done.out.splitlines())
    assert first[1] == "0"
    assert second == [slope] * 3


@pytest.mark.parametrize("form", [[], ["--quiet"], ["--json"]])
def test_masked_throughout_is_an_error_where_it_is_said_to_be(form, run, tmp_path):
    (tmp_path / "mask").write_text("1 0 1\n0 0 0\n")
    args = ["nll", "--labels", tmp_path / "y", "--mask", tmp_path / "mask", "--empty", "error"]
    (tmp_path / "y").write_text("2\n1\n")
    done = run(*args, *form, stdin=b"1,2,3\n4,5,6\n")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stablelse: error: standard input, row 2 is completely masked")
    (tmp_path / "y").write_text("2\n-100\n")
    done = run(*args, *form, stdin=b"1,2,3\n4,5,6\n")
    assert (done.code, done.err) == (0, "")


def test_a_masked_label_costs_infinitely_much_by_right(run, tmp_path):
    (tmp_path / "mask").write_text("0 1\n")
    done = run("nll", "1", "2", "--label", "0", "--mask", tmp_path / "mask", "--json")
    results = json.loads(done.out)["losses"][0]["results"]
    assert {(result["value"], result["verdict"]) for result in results} == {("inf", "right")}
    done = run("nll", "1", "2", "--label", "0", "--mask", tmp_path / "mask", "--grad", "-q")
    assert done.out == "0\t1\n"


@pytest.mark.parametrize("moment", range(3))
def test_a_file_of_logits_and_labels_that_changes(moment, run, tmp_path, monkeypatch):
    """Labels of a file and logits of another that replaced it would be mixed silently."""
    from stablelse import readers

    path, count, honest = tmp_path / "x.npz", 0, readers.open_blocks
    np.savez(path, x=LOGITS, y=LABELS)

    def changing(*args):
        nonlocal count
        for block in honest(*args):
            if count == moment:
                np.savez(path, x=LOGITS[:7], y=LABELS[:7])
            count += 1
            yield block

    monkeypatch.setattr(readers, "open_blocks", changing)
    done = run("nll", "--file", path, "--key", "x", "--label-key", "y", "--quiet")
    if moment < 2:
        assert (done.code, done.out) == (2, "")
        assert "x.npz changed while it was being read" in done.err
    else:  # two blocks
        assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("dtype", ["float64", "float16", "longdouble"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("rows", [500, 150_000])
def test_what_losses_are_reduced_to_is_rounded_once(run, tmp_path, rows, reduction, dtype):
    """The command gives the library's value, for rows in one stack or in several."""
    rng = np.random.default_rng(3)
    x, labels = rng.standard_normal((rows, 3)), rng.integers(0, 3, rows)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "labels.csv", labels, fmt="%d")
    files = ["--logits", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "labels.csv")]
    done = run("nll", *files, "-q", "--reduction", reduction, "--dtype", dtype)
    expected = stablelse.nll(x.astype(dtype), labels, reduction=reduction)
    assert expected.dtype.type(done.out.strip()) == expected
