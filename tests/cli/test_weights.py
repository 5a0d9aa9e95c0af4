"""--weights: what is read, computed and refused."""

import json

import numpy as np
import pytest

import stablelse


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
    (tmp_path / "b").write_text("-0.3 1.1 -2.3 1.334162306496188")
    assert "naive    the sum has the wrong sign. " in run("lse 0.9 0.3 -0.1 0", *weights).out
    (tmp_path / "b").write_text("1 -1")
    many = run("lse", *weights, stdin=b"1 2\n2 1\n")
    assert "log(−Σ): 1.541324854612918" in many.out
