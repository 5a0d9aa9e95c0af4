"""--temperature: what is divided, how it is rounded, and what is refused."""

import json

import numpy as np
import pytest

import stablelse

X = np.array([[1.0, 1000.3, 2.1], [5.0, -np.inf, 4.0]])
FUNCTIONS = {
    "lse": lambda x: stablelse.logsumexp(x, axis=1, keepdims=True),
    "softmax": lambda x: stablelse.softmax(x, axis=1),
    "log-softmax": lambda x: stablelse.log_softmax(x, axis=1),
}


def _numbers(text):
    return np.array([line.split("\t") for line in text.splitlines()], float)


@pytest.mark.parametrize("command", FUNCTIONS)
@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_the_quotient_in_float64_is_the_input(command, kind, run, tmp_path):
    x = X.astype(kind)
    np.save(tmp_path / "x.npy", x)
    done = run(command, "-f", tmp_path / "x.npy", "--temperature", "0.7", "-q")
    assert np.array_equal(_numbers(done.out), FUNCTIONS[command](x.astype(float) / 0.7))


def test_arguments_masks_and_every_method(run, tmp_path):
    (tmp_path / "mask.txt").write_text("1 0 1\n")
    arguments = ["1000", "1e308", "1002", "--mask", tmp_path / "mask.txt", "--temperature", "0.1"]
    for method in ("shifted", "exact"):
        done = run("softmax", *arguments, "-q", "-m", method)
        assert done == run("softmax", "10000", "-inf", "10020", "-q", "-m", method)
    for command in (["prove", "lse"], ["sweep"], ["peers", "--no-time"], ["lse"]):
        done = run(*command, "1", "3", "--temperature", "2")
        assert (done.code, done.out) == (0, run(*command, "0.5", "1.5").out)


@pytest.mark.parametrize("command", [["lse"], ["nll", "--label", "0"], ["sweep"], ["prove", "lse"]])
def test_json_says_what_x_was_divided_by(command, run):
    for given, recorded in ((["--temperature", "0.5"], 0.5), ([], None)):
        document = json.loads(run(*command, "1", "3", "--json", *given).out)
        assert document["temperature"] == recorded


def test_labels_are_not_divided(run, tmp_path):
    (tmp_path / "x.csv").write_text("a,b,y\n1,2,1\n3,1,0\n")
    (tmp_path / "y.csv").write_text("1\n0\n")
    file = ["nll", "-f", tmp_path / "x.csv", "-q", "--temperature", "0.3"]
    file += ["--reduction", "none"]
    losses = stablelse.nll(np.array([[1.0, 2.0], [3.0, 1.0]]) / 0.3, [1, 0], reduction="none")
    assert _numbers(run(*file, "--label-column", "y").out)[:, 0].tolist() == losses.tolist()
    columns = ["-c", "a", "-c", "b", "--labels", tmp_path / "y.csv"]
    assert _numbers(run(*file, *columns).out)[:, 0].tolist() == losses.tolist()
    alone = run("nll", "1", "2", "--label", "1", "--temperature", "0.3", "-q").out
    assert float(alone) == stablelse.nll(np.array([1.0, 2.0]) / 0.3, 1)


@pytest.mark.parametrize("command", FUNCTIONS)
def test_a_long_vector_is_divided_in_every_pass(command, run, tmp_path):
    x = np.random.default_rng(1).normal(size=30_000) * 300
    np.save(tmp_path / "x.npy", x)
    done = run(command, "-f", tmp_path / "x.npy", "--temperature", "3", "-q", "--by", "all")
    assert np.array_equal(_numbers(done.out).ravel(), FUNCTIONS[command]((x / 3)[None]).ravel())


def test_a_longdouble_is_divided_as_such(run):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("longdouble is float64 here")
    text = run("lse", "1", "--temperature", "3", "--dtype", "longdouble", "-q").out
    assert np.longdouble(text.strip()) == np.longdouble(1) / 3
