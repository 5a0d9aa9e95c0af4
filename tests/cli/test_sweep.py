"""The command sweep: what it accepts and what it refuses."""

import csv
import json

import pytest

_ONE = ["--dtype", "float64", "--method", "naive", "--format", "csv"]


def rows(done):
    assert (done.code, done.err) == (0, "")
    return list(csv.DictReader(done.out.splitlines()))


def test_thresholds_are_told_to_the_last_digit(run):
    underflow, lost, *_, right, overflow = rows(run("sweep", "0", *_ONE))
    assert [row["verdict"] for row in (underflow, lost, right, overflow)] == [
        "underflow",
        "digits_lost",
        "right",
        "overflow",
    ]
    assert (right["last"], overflow["first"]) == ("709.782712893384", "709.7827128933841")
    assert float(lost["first"]) == -745.1332191019411
    assert (lost["ulps"] != "", overflow["ulps"]) == (True, "")


def test_json_has_the_fields_of_csv(run):
    found = json.loads(run("sweep", "0", "--dtype", "float64", "-m", "naive", "--json").out)
    own = {name: found.pop(name) for name in ("schema", "segments", "header", "x", "temperature")}
    for row, segment in zip(rows(run("sweep", "0", *_ONE)), own["segments"], strict=True):
        assert row.keys() == found.keys() | segment.keys()
        assert float(row["first"]) == segment["first"]
    line = run("sweep", "0", "--dtype", "float64", "-m", "naive", "--format", "jsonl").out
    assert json.loads(line) == found | own


@pytest.mark.parametrize(
    "ranges", [["--offset", "-30:20"], ["--offset=-30:20"], ["--offset", "−30:20"]]
)
def test_a_range_may_begin_with_a_minus(ranges, run):
    found = rows(run("sweep", "-1", "-.5", *ranges, *_ONE))
    assert (found[0]["start"], found[0]["end"], found[0]["first"]) == ("-30", "20", "-30")


def test_intervals_lists_all_of_them(run):
    args = ["sweep", "-.7", "-.6", "3", "8", "--dtype", "bfloat16", "--function", "log-softmax"]
    args += ["--offset", "-90:90", "-m", "shifted"]
    listed = run(*args, "--intervals").out
    for row in rows(run(*args, "--format", "csv")):
        assert f"{row['first']} to {row['last']}\n" in listed
    assert run(*args, "--intervals", "--json").out == run(*args, "--json").out
