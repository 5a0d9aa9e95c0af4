"""The guard does not lie: what a vector is, output that cannot be printed, and our own bugs."""

import json
import subprocess
import sys

import numpy as np
import pytest

_COMMANDS = [
    "lse 1 2",
    "lse 1 2 -q",
    "lse 1 2 --json",
    "softmax 1 2 --format csv",
    "log-softmax 1 2 --format plain",
    "nll 1 2 --label 0",
    "scan logits.csv",
    "scan logits.csv --json",
    "sweep 0 --dtype float8_e5m2",
    "peers 0 1",
    "prove lse 1 2",
    "limits",
    "demo --list",
    "--version",
    "--help",
    "scan --help",
]


@pytest.fixture
def shell(environment, tmp_path):
    """Run the command in a shell, with its redirections, next to a file."""
    (tmp_path / "logits.csv").write_text("1,2\n12,3\n")

    def run(command, redirections):
        return subprocess.run(
            f"exec {sys.executable} -m stablelse {command} {redirections}",
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("command", "redirection"),
    [*((command, ">/dev/full") for command in _COMMANDS), *((c, ">&-") for c in _COMMANDS[:4])],
)
def test_output_that_is_lost_is_an_error(command, redirection, shell):
    done = shell(command, redirection)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if ": note: " not in line]
    assert line.startswith("stablelse: error: cannot write standard output: ")


@pytest.mark.parametrize(
    ("command", "redirections", "code"),
    [
        ("scan logits.csv -q", ">&-", 0),  # prints nothing
        ("scan logits.csv -q --fail-on naive:overflow --dtype float16", ">&-", 1),
        ("scan logits.csv --dtype float16 --output found.txt", ">&-", 0),
        ("lse 1 2", "2>&-", 0),
        ("lse 1 x", "2>&-", 2),
        ("lse 1 x", "2>/dev/full", 2),
        ("scan logits.csv --fail-on naive:overflow --dtype float16", "2>&-", 1),
        ("lse 1 2", "<&- 2>&-", 0),
        ("lse 1 x", "<&- >&- 2>&-", 2),
    ],
)
def test_streams_that_are_not_needed_may_be_closed(command, redirections, code, shell):
    done = shell(command, redirections)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_closed_stream_is_not_the_next_file(shell, tmp_path):
    """The next opened file would get the number of standard output, unless it is taken."""
    before = (tmp_path / "logits.csv").read_bytes()
    assert shell("lse --file logits.csv --row 1", ">&-").returncode == 2
    assert (tmp_path / "logits.csv").read_bytes() == before


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
    from stablelse import logsumexp

    x = np.array([11.0, 11.0, 12.5, 3.0])
    path = tmp_path / name
    if name == "x.npy":
        np.save(path, x)
    elif name == "x.npz":
        np.savez(path, x)
    else:
        path.write_text("".join(f"{value}\n" for value in x))
    assert float(run("lse", "--file", path, "-q").out) == logsumexp(x)
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


def test_zeros_that_a_sum_cannot_hold_are_not_safe(run, tmp_path):
    for n, max_ulp in ((70_000, "10"), (128_256, "1000")):
        np.save(tmp_path / "g.npy", np.zeros((1, n)))
        options = ["-q", "--dtype", "float16", "--max-ulp", max_ulp]
        done = run("scan", tmp_path / "g.npy", *options)
        assert done.code == 1
        assert "float16 shifted, overflow on 1 of 1 vector" in done.err


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
        np.zeros((5, 0)),
        3.0,
        np.array(3.0),
        {"a": 1},
        np.array(["2020-01-01"], "M8[D]"),
    ],
    ids=lambda logits: repr(logits)[:30],
)
def test_what_is_not_a_vector_is_refused(logits):
    from stablelse import ScanState, scan
    from stablelse.testing import assert_stable

    for refuse in (assert_stable, scan):
        with pytest.raises((TypeError, ValueError)) as raised:
            refuse(logits)
        assert "\n" not in str(raised.value)
        assert str(raised.value)
    if getattr(logits, "shape", None) != (0, 5):  # a part of a scan may have no rows
        with pytest.raises((TypeError, ValueError)):
            ScanState().update(logits)


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
    from stablelse.testing import assert_stable

    assert_stable([-0.775, -0.6175], "float64")
    with pytest.raises(ValueError, match=complaint):
        assert_stable([1, 2], **options)


@pytest.mark.parametrize(
    ("logits", "options", "words"),
    [
        (
            [[1, 2], [70_000, 1]],
            {},
            ["row 2: 70000 does not fit float16", "to do: choose a format"],
        ),
        ([[1, 2], [float("nan"), 1]], {}, ["NaN on 1 of 2", "to do: the logits have NaN"]),
        (np.zeros(70_000), {}, ["overflow on 1 of 1", "to do: use shifted-float32"]),
        (
            [12, 3],
            {"method": "naive"},
            ["overflow", "to do: use shifted or shifted-float32"],
        ),
        ([0, -12], {}, ["no digit right", "lose no digits"]),
        ([12, 3], {"method": "naive", "max_ulp": 1e9}, ["overflow"]),
        (
            [-0.775, -0.6175],
            {"dtype": "float64", "max_ulp": 4},
            ["than 4 ulp off) on 1 of 1 vector; first row 1"],
        ),
        ([[1, 2], [1e6, 3]], {"function": "softmax"}, ["a wider range"]),
        (np.full((2, 3, 4), [0, 0, 0, 1e5]), {}, ["row (1, 1): 100000 does not fit"]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_unsafe_is_told_with_what_to_do(logits, options, words):
    from stablelse.testing import assert_stable

    with pytest.raises(AssertionError) as raised:
        assert_stable(logits, **options)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_frames_are_read():
    pandas = pytest.importorskip("pandas")
    from stablelse.testing import assert_stable

    frame = pandas.DataFrame({"a": [1.0, 2], "b": [3, 70_000]})
    assert_stable(frame[:1])
    with pytest.raises(AssertionError, match="70000 does not fit float16"):
        assert_stable(frame)
    with pytest.raises((TypeError, AssertionError), match=r"not a number|NaN"):
        assert_stable(pandas.DataFrame({"a": pandas.array([1, None], "Int64")}))
