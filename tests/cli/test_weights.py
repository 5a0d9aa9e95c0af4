"""--weights: what is read, computed and refused."""

import json

import numpy as np
import oracle
import pytest

import stablelse
from stablelse.numerics.formats import FORMATS

X = np.array([[0.0, 1.0, 2.0], [1000.0, 1001.0, 1002.0]])
B = np.array([[1.0, 0.5, 3.0], [2.0, -0.25, 1e-3]])
ONE = B[1]


def logarithms(x, b):
    return stablelse.logsumexp(x, axis=1, b=b).tolist()


def numbers(text):
    return [float(line) for line in text.split()]


@pytest.mark.parametrize("kind", ["npy", "csv", "json"])
@pytest.mark.parametrize(
    "b", [B, ONE[np.newaxis], ONE[:, np.newaxis]], ids=("all", "row", "column")
)
def test_a_weight_for_each_number_or_a_row_for_all(b, kind, run, tmp_path):
    path = tmp_path / f"b.{kind}"
    if kind == "npy":
        np.save(path, b)
    elif kind == "csv":
        np.savetxt(path, b, delimiter=",")
    else:
        path.write_text(json.dumps(b.tolist()))
    np.save(tmp_path / "x.npy", X)
    done = run("lse", "-f", tmp_path / "x.npy", "--weights", path, "-q")
    assert (done.code, done.err) == (0, "")
    b = b if b.shape == X.shape else b.ravel()
    rows = zip(X, np.broadcast_to(b, X.shape), strict=True)
    true = [oracle.logsumexp(x, weights)[0] for x, weights in rows]
    assert numbers(done.out) == [oracle.rounded_to(y, FORMATS["float64"]) for y in true]


@pytest.mark.parametrize("text", ["2 -0.25 1e-3", "2\n-0.25\n1e-3\n", "b\n2\n-0.25\n1e-3\n"])
def test_arguments_and_pipes(text, run, tmp_path):
    (tmp_path / "b").write_text(text)
    weights = ["--weights", tmp_path / "b", "-q"]
    right = logarithms(X[:1], ONE)
    assert numbers(run("lse", "0", "1", "2", *weights).out) == right
    for piped in (b"0 1 2\n", b"0\n1\n2\n"):
        assert numbers(run("lse", *weights, stdin=piped).out) == right
    assert numbers(run("lse", *weights, "--skip-na", stdin=b"0 NA 2\n").out) == logarithms(
        X[:1, [0, 2]], ONE[[0, 2]]
    )


def test_a_row_of_weights_needs_no_axis(run, tmp_path):
    x = np.stack([X, X + 1, X / 2])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "b.npy", ONE)
    (tmp_path / "b").write_text("2 -0.25 1e-3")
    right = stablelse.logsumexp(x, axis=0, b=ONE[:, np.newaxis, np.newaxis]).ravel().tolist()
    for name in ("b", "b.npy"):
        done = run(
            "lse", "-f", tmp_path / "x.npy", "--axis", "0", "--weights", tmp_path / name, "-q"
        )
        assert np.array_equal(numbers(done.out), right, equal_nan=True)


def test_columns_have_weights_of_their_own_or_one_column_for_all(run, tmp_path):
    np.savetxt(tmp_path / "x", X.T)
    for b, saved in ((B, B.T), (ONE, ONE[:, np.newaxis])):
        np.savetxt(tmp_path / "b", saved)
        files = ["-f", tmp_path / "x", "--weights", tmp_path / "b"]
        assert numbers(run("lse", *files, "--by", "columns", "-q").out) == logarithms(X, b)
    np.savetxt(tmp_path / "b", B.T)
    done = run("lse", *files, "--by", "all", "-q")
    assert numbers(done.out) == [stablelse.logsumexp(X, b=B)]


def test_long_vectors_masks_temperatures_and_formats(run, tmp_path):
    rng = np.random.default_rng(3)
    x, b = rng.normal(size=(2, 20_000)) * [[300], [1]]
    kept = rng.random(20_000) < 0.5
    for name, array in (("x", x), ("b", b), ("kept", kept)):
        np.save(tmp_path / f"{name}.npy", array)
    files = ["-f", tmp_path / "x.npy", "--weights", tmp_path / "b.npy", "--by", "all"]
    done = run("lse", *files, "--mask", tmp_path / "kept.npy", "--temperature", "3", "--json")
    (vector,) = json.loads(done.out)["vectors"]
    value, sign = stablelse.logsumexp(x / 3, b=b, where=kept, return_sign=True)
    assert (vector["value"], vector["results"][-1]["sign"]) == (value, sign)
    assert vector["weights"] == b.tolist()
    done = run("lse", "1", "2", *files[2:4], "--dtype", "float16", "-q")
    assert (done.code, "b.npy has 1 column, but the vector given has 2: " in done.err) == (2, True)


@pytest.mark.parametrize("format_", ["float16", "float32", "float64", "bfloat16"])
def test_x_and_weights_are_rounded_to_the_format(format_, run, tmp_path):
    dtype = stablelse.numerics.formats.find_format(format_).dtype
    (tmp_path / "b").write_text("0.1 -0.7 0.3")
    done = run("lse", "1.1", "2.2", "3.3", "--weights", tmp_path / "b", "-q", "--dtype", format_)
    x, b = (np.array(v, dtype) for v in ([1.1, 2.2, 3.3], [0.1, -0.7, 0.3]))
    assert dtype.type(done.out) == stablelse.logsumexp(x, b=b, dtype=dtype)


def test_a_negative_sum_has_the_logarithm_of_its_size_and_a_sign(run, tmp_path):
    (tmp_path / "b").write_text("1 -1")
    weights = ["--weights", tmp_path / "b"]
    value, sign = stablelse.logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    for options in ([], ["--fail-on", "broken"], ["-m", "shifted"]):
        done = run("lse", "1", "2", *weights, "-q", *options)
        assert (done.code, done.out) == (0, "nan\n")
        note = "a sum is negative, and its logarithm NaN: --json has log |sum| and the sign"
        assert done.notes == (note,)
    (vector,) = json.loads(run("lse", "1", "2", *weights, "--json").out)["vectors"]
    assert vector["value"] == value
    assert [result["sign"] for result in vector["results"]] == [sign] * 3 == [-1] * 3
    many = run("lse", *weights, stdin=b"1 2\n2 1\n")
    assert "log(−Σ): 1.541324854612918" in many.out
