"""--mask and --empty on lse, softmax and log-softmax."""

import json
import typing

import numpy as np
import pytest

import stablelse
from stablelse.cli.options import OPTIONS
from stablelse.numerics.rows import POLICIES

FUNCTIONS = {
    "lse": lambda library, x, **options: library.logsumexp(x, axis=1, keepdims=True, **options),
    "softmax": lambda library, x, **options: library.softmax(x, axis=1, **options),
    "log-softmax": lambda library, x, **options: library.log_softmax(x, axis=1, **options),
}


@pytest.mark.parametrize("empty", POLICIES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies(function, empty, run, tmp_path):
    x = np.array([[1.0, 2.0, 3.0], [-np.inf, -np.inf, 7.0], [-np.inf] * 3, [4.0, 5.0, 6.0]])
    kept = np.array([[True] * 3, [True, True, False], [True] * 3, [False] * 3])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "mask.npy", kept)
    common = ["--file", tmp_path / "x.npy", "--mask", tmp_path / "mask.npy", "--empty", empty]
    done = run(function, *common, "--quiet")
    if empty == "error":
        assert done.code == 2
        assert "x.npy, row 2 is completely masked or holds only -inf" in done.err
        return
    right = FUNCTIONS[function](stablelse, x, where=kept, empty=empty)
    for more in ([], ["--method", "exact"]):
        done = run(function, *common, "--quiet", *more)
        found = np.array([line.split("\t") for line in done.out.splitlines()], float)
        assert np.array_equal(found, right, equal_nan=True)
    done = run(function, *common, "--format", "jsonl")
    for line, values in zip(done.out.splitlines(), right, strict=True):
        value = json.loads(line)["value"]
        assert np.array_equal(np.array(value, float).reshape(-1), values, equal_nan=True)
    # what is shown is the input, and the formulas have no policy
    third = json.loads(done.out.splitlines()[2])
    assert third["x"] == ["-inf"] * 3
    if function != "lse":
        assert all(result["value"] == ["nan"] * 3 for result in third["results"][:2])


def test_the_policies_are_those_of_the_library():
    assert typing.get_args(OPTIONS["Methods"]["empty"].type) == tuple(POLICIES)


@pytest.mark.parametrize(("kind", "of_mask"), [("f2", "f8"), ("f8", "?")])
def test_masks_come_in_blocks_of_other_sizes(kind, of_mask, run, tmp_path, monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 64)
    x, noise = np.random.default_rng(5).normal(size=(2, 30, 4))
    np.save(tmp_path / "x.npy", x.astype(kind))
    np.save(tmp_path / "m.npy", (noise > 0).astype(of_mask))
    done = run("lse -q --dtype float64 --file", tmp_path / "x.npy", "--mask", tmp_path / "m.npy")
    right = stablelse.logsumexp(x.astype(kind).astype(float), axis=1, where=noise > 0)
    assert np.array_equal(np.array(done.out.split(), float), right)


@pytest.mark.parametrize(
    ("line", "words"),
    {
        "softmax": "The exact result is NaN too",
        "softmax --empty uniform": "the largest exact entry is 0.5",
        "log-softmax --empty uniform": "the largest exact entry is -0.6931472",
        "nll --label 0 --empty zero": "the exact result is 0",
    }.items(),
)
def test_the_screen_says_what_the_policy_gives(line, words, run):
    done = run(*line.split(), "-inf", "-inf")
    assert "NaN ✗" in done.out
    assert words in " ".join(done.out.split())
