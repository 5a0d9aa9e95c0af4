"""The command sweep: what it takes, and what it complains of."""

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


def test_a_pipe_and_a_file(run, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("0\n1\n")
    piped = rows(run("sweep", *_ONE, stdin=b"0\n1\n"))
    filed = rows(run("sweep", "--file", path, *_ONE))
    named = rows(run("sweep", "0", "1", *_ONE))
    for one, other, third in zip(piped, filed, named, strict=True):
        assert one["first"] == other["first"] == third["first"]
        assert other["source"] == str(path)


def test_no_colour_without_a_terminal(run):
    assert "\x1b" not in run("sweep", "0").out


def test_no_color_is_the_same_but_for_the_colour(run):
    coloured = run("sweep", "0", "--dtype", "float64", FORCE_COLOR="1", TERM="xterm").out
    plain = run("sweep", "0", "--dtype", "float64", FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").out
    assert "\x1b[32m" in coloured
    assert "\x1b[3" not in plain


def test_ascii_is_ascii(run):
    assert run("sweep", "0", "1", encoding="ascii").out.isascii()


def test_intervals_lists_all_of_them(run):
    args = ["sweep", "-.7", "-.6", "3", "8", "--dtype", "bfloat16", "--function", "log-softmax"]
    args += ["--offset", "-90:90", "-m", "shifted"]
    listed = run(*args, "--intervals").out
    for row in rows(run(*args, "--format", "csv")):
        assert f"{row['first']} to {row['last']}\n" in listed
    assert run(*args, "--intervals", "--json").out == run(*args, "--json").out


@pytest.mark.parametrize("function", ["lse", "softmax", "log-softmax"])
def test_the_chart_is_one_screen(function, run):
    done = run("sweep", "1000", "1001", "1002", "--function", function, COLUMNS="80")
    lines = (done.out + done.err).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["0", "--offset", "5:"], "the offset '5:' is not a range: give two numbers, as in 1:1000"),
        *(
            (["0", "--offset", text], f"the offset '{text}' is not a range")
            for text in ("5", ":5", "a:b", "1:2:3", "", "1_0:20", "0x1:2")
        ),
        (["0", "--scale", "1"], "the scale '1' is not a range"),
        (["0", "--offset", "2:1"], "the offset 2:1 is empty: the first end must be smaller"),
        (["0", "--offset", "1:1"], "the offset 1:1 is empty"),
        (["0", "--offset", "nan:1"], "the offset nan:1 must have two finite ends"),
        (["0", "--offset", "0:inf"], "the offset 0:inf must have two finite ends"),
        (["0", "--offset", "0:1e999"], "the offset 0:inf must have two finite ends"),
        (["0", "--scale", "0:1"], "the scale 0:1 must be positive: start at 1e-3, for example"),
        (["0", "--scale", "-2:1"], "the scale -2:1 must be positive"),
        (["0", "--scale", "1:2", "--offset", "1:2"], "x is moved or stretched: leave out"),
        (["0", "--points", "1"], "1 points are too few"),
        (["0", "--dtype", "float16", "--offset", "1e5:1e6"], "float16 has no number in the offset"),
        (["0", "--dtype", "float17"], "unknown format 'float17'"),
        (["0", "--method", "none"], "unknown method 'none'"),
        (["0", "--method", "division-free"], "logsumexp has no division-free method"),
        (["0", "--shift", "most"], "unknown shift 'most'"),
        (["0", "no"], "arguments, number 2: 'no' is not a number"),
        (["0", "--row", "1"], "--row is for files and pipes"),
        (["0", "--function", "lsd"], "'--function'"),
        ([], "standard input has more than one vector: choose the one to show"),
    ],
)
def test_one_line_of_complaint(args, complaint, run):
    done = run("sweep", *args, stdin=b"1,2\n3,4\n")
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err
    assert done.err.startswith("stablelse: error: ")
    assert done.err.count("\n") == 1
