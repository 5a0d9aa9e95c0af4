"""The guard does not lie: what a vector is, what is not safe, and our own bugs."""

import json

import numpy as np
import pytest

import stablelse
from stablelse.testing import assert_stable


def test_a_condition_that_is_given_twice_counts_once(run):
    done = run("lse 1000 --fail-on overflow,overflow --fail-on overflow -q")
    assert done.err == "stablelse: failed: overflow: naive in float64, 1 vector\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("division\nby zero"), r"(ZeroDivisionError: division\nby zero)"),
        (KeyError("\x1b[2J"), "(KeyError: '\\x1b[2J')"),
        (ValueError("\x1b[2J"), r"(ValueError: \x1b[2J)"),
        (AssertionError(), "(AssertionError)"),
    ],
)
def test_a_bug_of_ours_is_no_verdict(error, told, run, monkeypatch):
    from stablelse.analysis import scan

    def broken(*_):
        raise error

    monkeypatch.setattr(scan, "extent", broken)
    done = run("scan", "-q", stdin=b"1,2\n3,4\n")
    assert (done.code, done.out) == (70, "")
    (line,) = done.err.splitlines()
    assert line.startswith("stablelse: error: a bug in stablelse, not in the input")
    assert told in line
    assert "STABLELSE_TRACEBACK=1" in line
    done = run("scan", "-q", stdin=b"1,2\n3,4\n", STABLELSE_TRACEBACK="1")
    assert done.code == 70
    assert done.err.startswith("Traceback")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv"])
def test_one_axis_is_one_vector_everywhere(name, run, tmp_path):
    x = np.array([11.0, 11.0, 12.5, 3.0])
    path = tmp_path / name
    if name == "x.npy":
        np.save(path, x)
    elif name == "x.npz":
        np.savez(path, x)
    else:
        path.write_text("".join(f"{value}\n" for value in x))
    assert float(run("lse", "--file", path, "-q").out) == stablelse.logsumexp(x)
    done = run("scan", path, "--dtype", "float16", "--fail-on", "naive:overflow")
    assert done.code == 1
    assert "of 1 vector, 4 numbers" in done.out
    assert "overflow on 1 of 1 vector; first" in done.err


@pytest.mark.parametrize(
    ("rows", "verdict", "code"),
    [
        ("nan,1\n2,3\n", "nan", 1),
        ("inf,1\n2,3\n", "nan", 1),
        ("-inf,1\n2,3\n", "right", 0),
        ("-inf,-inf\n2,3\n", "nan", 1),
        ("70000,1\n2,3\n", "does_not_fit", 1),
        ("-1e9,1\n2,3\n", "does_not_fit", 1),
        ("0,-12\n2,3\n", "no_digits", 1),
    ],
)
def test_what_is_not_a_number_is_not_safe(rows, verdict, code, run):
    """For a row that is all -inf, the shifted formula, as written, gives NaN."""
    done = run("scan", "-", "--dtype", "float16", "--json", stdin=rows.encode())
    assert done.code == code
    shifted = json.loads(done.out)["results"][1]
    assert (shifted["method"], shifted["right"] + code) == ("shifted", 2)
    assert shifted[verdict] == (1 if code else 2)


def test_what_does_not_fit_is_told_by_every_command(run):
    for command in (["lse"], ["softmax"], ["log-softmax"], ["nll", "--label", "0"]):
        out = run(*command, "70000", "1", "--dtype", "float16").out
        for method in ("naive", "shifted"):
            assert f"✗ {method:7}  70000 does not fit float16" in out
        assert out.splitlines()[0].count("✗") == 2
        assert "harmless" not in out
        assert "✓" not in out
    swept = run("sweep", "70000", "1", "--dtype", "float16", "--format", "csv").out
    assert swept.count("does_not_fit") == len(swept.splitlines()) - 1


@pytest.mark.parametrize(
    "logits",
    [
        [1 + 2j, 3],
        np.zeros((2, 3), complex),
        ["1", "2"],
        "12",
        None,
        [1, None],
        np.ma.masked_array([1.0, 2], [0, 1]),
        (x for x in (1.0, 2.0)),
        [[1, 2], [3]],
        [],
        [[]],
        np.zeros((0, 5)),
        np.zeros((2, 5, 0)),
        3.0,
        np.array(3.0),
        {"a": 1},
        np.array(["2020-01-01"], "M8[D]"),
    ],
    ids=lambda logits: repr(logits)[:30],
)
def test_what_is_not_a_vector_is_refused(logits):

    for refuse in (assert_stable, stablelse.scan):
        with pytest.raises((TypeError, ValueError)) as raised:
            refuse(logits)
        assert "\n" not in str(raised.value)
        assert str(raised.value)
    if getattr(logits, "shape", None) != (0, 5):  # a part of a scan may have no rows
        with pytest.raises((TypeError, ValueError)):
            stablelse.ScanState().update(logits)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_ulp": -1}, "max_ulp must be 0 or more"),
        ({"max_ulp": float("nan")}, "max_ulp must be 0 or more"),
        ({"dtype": "float32", "method": "shifted-float32"}, "has no method 'shifted-float32'"),
        ({"method": "best"}, "has no method 'best'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, complaint):
    assert_stable([-0.775, -0.6175], "float64")
    with pytest.raises(ValueError, match=complaint):
        assert_stable([1, 2], **options)


@pytest.mark.parametrize(
    ("logits", "options", "words"),
    [
        ([[1, 2], [70_000, 1]], {},
         ["row 2: 70000 does not fit float16", "to do: choose a format"]),
        ([[1, 2], [float("nan"), 1]], {}, ["NaN on 1 of 2", "to do: the logits have NaN"]),
        (np.zeros(70_000), {}, ["overflow on 1 of 1", "to do: use shifted-float32"]),
        ([12, 3], {"method": "naive"}, ["overflow", "to do: use shifted or shifted-float32"]),
        ([0, -12], {}, ["no digit right", "lose no digits"]),
        ([12, 3], {"method": "naive", "max_ulp": 1e9}, ["overflow"]),
        ([-0.775, -0.6175], {"dtype": "float64", "max_ulp": 4},
         ["than 4 ulp off) on 1 of 1 vector; first row 1"]),
        ([[1, 2], [1e6, 3]], {"function": "softmax"}, ["a wider range"]),
        (np.full((2, 3, 4), [0, 0, 0, 1e5]), {}, ["row (1, 1): 100000 does not fit"]),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_is_unsafe_is_told_with_what_to_do(logits, options, words):
    with pytest.raises(AssertionError) as raised:
        assert_stable(logits, **options)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_frames_are_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2], "b": [3, 70_000]})
    assert_stable(frame[:1])
    with pytest.raises(AssertionError, match="70000 does not fit float16"):
        assert_stable(frame)
    with pytest.raises((TypeError, AssertionError), match=r"not a number|NaN"):
        assert_stable(pandas.DataFrame({"a": pandas.array([1, None], "Int64")}))
