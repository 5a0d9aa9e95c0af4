"""The audit of given numbers, functions of the user, and assert_accurate."""

import json

import numpy as np
import pytest
import scipy.special

import stablelse
from stablelse.analysis.audit import EDGES
from stablelse.testing import assert_accurate

X = np.random.default_rng(5).normal(0, 20, (60, 7))
Y = np.arange(60) % 7


@pytest.fixture
def files(here):
    """Logits, labels, and what the library makes of them, in a folder."""
    made = {
        "x": X,
        "y": Y,
        "softmax": stablelse.softmax(X, axis=1),
        "log-softmax": stablelse.log_softmax(X, axis=1),
        "lse": stablelse.logsumexp(X, axis=1),
        "nll": stablelse.nll(X, Y, reduction="none"),
    }
    for name, values in made.items():
        np.save(f"{name}.npy", values)
    np.savetxt("x.csv", X, delimiter=",")
    return made


def audited(run, *args, code=0):
    done = run("audit", "--json", "--logits", "x.npy", *args)
    assert (done.code, done.err if not code else "") == (code, "")
    return json.loads(done.out)


def test_narrow_values_without_a_dtype_are_noted(run, files):
    np.save("narrow.npy", files["softmax"].astype(np.float32))
    args = ["audit", "--logits", "x.npy", "--values", "narrow.npy"]
    note = "narrow.npy, float32 or narrower, is graded in float64: name its --dtype"
    assert run(*args).notes == (note,)
    assert run(*args, "--dtype", "float64").notes == ()


@pytest.mark.parametrize("name", ["softmax", "log-softmax", "lse", "nll"])
def test_exact_numbers_pass(run, files, name):
    labels = ["--labels", "y.npy"] if name == "nll" else []
    args = ["--values", f"{name}.npy", "--function", name, *labels]
    found = audited(run, *args)
    assert (found["rows"], found["misrounded"], found["ulps"]) == (60, 0, 0)
    assert found["numbers"] == files[name].size
    done = run("audit", "--logits", "x.npy", *args, "--fail-on", "ulp>0.5,nats>0,broken")
    assert done.code == 0
    assert "every number is correctly rounded" in done.out


def test_vectors_whose_label_is_ignored_are_left_out(run, files):
    np.save("y.npy", np.where(Y == 3, -100, Y))
    np.save("nll.npy", np.where(Y == 3, np.nan, files["nll"] + (Y == 4)))
    found = audited(run, "--values", "nll.npy", "--function", "nll", "--labels", "y.npy")
    assert (found["rows"], found["misrounded"], found["worst"][-1]["nats"]) == (51, 8, 1)


@pytest.mark.parametrize(
    ("x", "given", "nats"),
    [("-inf", "1e-20", 699.082), ("nan", "3", np.inf), ("-1e3", "5e-324", 0.693147)],
)
def test_no_logarithm_is_close_to_an_infinite_one(run, x, given, nats):
    done = run(f"audit 0 {x} --values - -q --fail-on nats>0.5", stdin=f"1 {given}\n".encode())
    assert (done.code, f"{nats} nats off" in done.err) == (1, True)


def test_the_screen_says_how_many_digits_are_right_or_that_there_is_none(run):
    fewer = run("audit", "0", "1", "2", "--values", "-", stdin=b"0.09 0.24 0.67\n").out
    assert "at least 1.7 of 16 digits are right" in fewer
    one_ulp = run("audit 0 0 --values -", stdin=b"0.5 0.5000000000000001").out
    assert "at least 15 of 16 digits are right" in one_ulp
    none = run("audit", "0", "1", "2", "--values", "-", stdin=b"0.09 0.24 -0.67\n").out
    assert "1 without a right digit" in none
    assert "at least" not in none


def test_errors_are_counted_in_ulps_and_nats(run, files):
    values = files["log-softmax"].copy()
    values[3, 2] += 0.25
    values[5] = np.nextafter(values[5], 0)
    values[7, 0] = np.nan
    np.save("log-softmax.npy", values)
    found = audited(run, "--values", "log-softmax.npy", "--function", "log-softmax")
    assert (found["misrounded"], found["broken"], found["outside"]) == (9, 1, 2)
    assert found["nats"] == "inf"
    assert [part["numbers"] for part in found["histogram"]] == [
        411, *(7 if edge == 1 else 2 if edge == EDGES[-1] else 0 for edge in EDGES[1:])
    ]  # fmt: skip
    worst, second, *_ = found["worst"]
    assert (worst["row"], worst["element"], worst["value"], worst["ulps"]) == (8, 1, "nan", "inf")
    assert (second["row"], second["element"], second["nats"]) == (4, 3, 0.25)


def test_formats_and_conditions(run, files):
    np.save("p.npy", scipy.special.softmax(X.astype(np.float32), axis=1))
    args = ["--logits", "x.npy", "--values", "p.npy", "--dtype", "float32", "-q", "--fail-on"]
    for condition, code in {"ulp>1e6": 0, "ulp>0.5": 1, "nats>1e-9": 1, "broken": 0}.items():
        done = run("audit", *args, condition)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith(f"stablelse: failed: {condition}: " if code else "")


def test_rows_may_be_lines_of_text_or_one_vector(run, files):
    np.savetxt("p.csv", files["softmax"], delimiter=",", fmt="%.17g")
    assert run("audit --logits x.csv --values p.csv").code == 0
    done = run(
        "audit - --values lse.npy --function lse",
        stdin=b"\n".join(b",".join(b"%.17g" % v for v in row) for row in X),
    )
    assert done.code == 0
    (one := files["softmax"][:1]).ravel().tofile("p.txt", sep="\n", format="%.17g")
    np.save("one.npy", X[:1])
    done = run("audit --logits one.npy --values p.txt --json")
    assert json.loads(done.out)["numbers"] == one.size


def test_screen(run, files):
    values = files["softmax"] * (1 + 1e-12)
    np.save("softmax.npy", values)
    done = run("audit --logits x.npy --values softmax.npy")
    lines = done.out.splitlines()
    assert lines[0] == " softmax of x.npy in float64: 420 numbers in 60 rows"
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "worst rows" in done.out
    rows = run("audit --logits x.npy --values softmax.npy --format csv").out.splitlines()
    assert len(rows) == 6


def changing(x, axis):
    """Change x, and return the softmax of what x was changed to."""
    x -= 2 * x
    return stablelse.softmax(x, axis=axis)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_assert_accurate(dtype):
    for name, function in {
        "softmax": stablelse.softmax,
        "lse": stablelse.logsumexp,
        "log-softmax": stablelse.log_softmax,
    }.items():
        assert_accurate(function, name, max_ulp=0.5, dtype=dtype)
    with pytest.raises(AssertionError, match="ulp from the exact"):
        assert_accurate(lambda x: np.log(np.exp(x).sum()), "lse", dtype=dtype)
    with pytest.raises(AssertionError, match="ulp from the exact"):
        assert_accurate(changing, "softmax", dtype=dtype)
    with pytest.raises(AssertionError, match=r"entry 2 of softmax of \[0. 1.\]"):
        assert_accurate(lambda x: np.array([0.2689414, 0.7]), "softmax", 4, "float32", [0, 1])


@pytest.mark.parametrize(
    "options",
    [{"max_ulp": np.nan}, {"max_ulp": -1}, *({"logits": x} for x in ([], np.zeros((0, 3)), "12"))],
)
def test_what_cannot_be_tried_is_refused(options):
    with pytest.raises((TypeError, ValueError), match=r"must be|no logits|not strings"):
        assert_accurate(stablelse.softmax, "softmax", **options)


@pytest.mark.parametrize(("command", "said"), [("audit", "of the numbers"), ("lab", "The first")])
def test_one_format_is_what_the_help_says(run, command, said):
    about = run(command, "--help").out.split("--dtype FORMAT")[1].split(" --")[0]
    assert said in about
    assert "repeatable" not in about


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("softmax", lambda rows: rows[..., :1], "returns 1 numbers for a row of 7: softmax has 7"),
        ("lse", lambda rows: rows, "returns 7 numbers for a row of 7: lse has 1"),
    ],
)
def test_a_result_of_another_shape_is_said_to_be_one(name, function, message):
    with pytest.raises(AssertionError, match=message):
        assert_accurate(function, name, logits=X)
