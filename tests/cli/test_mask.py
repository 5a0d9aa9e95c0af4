"""--mask and --empty on lse, softmax and log-softmax."""

import json
import typing

import numpy as np
import pytest

import stablelse
from stablelse.cli.options import OPTIONS
from stablelse.numerics.rows import POLICIES

X = np.array([[1.0, 1000.0, 2.0], [5.0, -3.0, 4.0]])
KEPT = np.array([[True, False, True], [True, True, False]])
FUNCTIONS = {
    "lse": lambda library, x, **options: library.logsumexp(x, axis=1, keepdims=True, **options),
    "softmax": lambda library, x, **options: library.softmax(x, axis=1, **options),
    "log-softmax": lambda library, x, **options: library.log_softmax(x, axis=1, **options),
}


def saved(path, array, kind):
    """Save a mask in one of many file formats."""
    if kind == "npy":
        np.save(path, array)
    elif kind == "integers":
        np.save(path, array.astype(np.uint8))
    elif kind == "digits":
        path.write_text("".join(",".join(str(int(c)) for c in row) + "\n" for row in array))
    elif kind == "words":
        path.write_text("".join("\t".join(str(c) for c in row) + "\n" for row in array))
    elif kind == "quoted":
        path.write_text(
            "a;b;c\n" + "".join(";".join(f'"{c}"' for c in row) + "\n" for row in array)
        )
    return next(p for p in path.parent.iterdir() if p.name.startswith(path.name))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", ["npy", "integers", "digits", "words", "quoted"])
def test_a_mask_of_any_kind(kind, function, run, tmp_path):
    mask = saved(tmp_path / "mask", KEPT, kind)
    np.save(tmp_path / "x.npy", X)
    done = run(function, "--file", tmp_path / "x.npy", "--mask", mask, "--quiet")
    assert (done.code, done.err) == (0, "")
    found = np.array([line.split("\t") for line in done.out.splitlines()], float)
    assert np.array_equal(found, FUNCTIONS[function](stablelse, X, where=KEPT))


def test_one_row_masks_every_row(run, tmp_path):
    (tmp_path / "mask").write_text("true,false,true\n")
    np.savetxt(tmp_path / "x", X)
    done = run("lse", "--file", tmp_path / "x", "--mask", tmp_path / "mask", "--quiet")
    right = stablelse.logsumexp(X, axis=1, where=KEPT[0])
    assert [float(line) for line in done.out.split()] == right.tolist()


@pytest.mark.parametrize(
    "text", ["1 0 1\n", "1\n0\n1\n", "true\nfalse\ntrue\n", "T F T\n", "yes\nno\nyes\n"]
)
def test_numbers_on_the_command_line(text, run, tmp_path):
    (tmp_path / "mask").write_text(text)
    done = run("lse", "1", "1000", "2", "--mask", tmp_path / "mask", "--json")
    (vector,) = json.loads(done.out)["vectors"]
    assert {result["verdict"] for result in vector["results"]} == {"right"}
    assert vector["value"] == stablelse.logsumexp([1, 2])


@pytest.mark.parametrize("command", ["lse", "softmax"])
def test_streams_are_masked_too(command, run, tmp_path):
    x = np.arange(20000.0)
    kept = x < 700
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "mask.npy", kept)
    np.save(tmp_path / "masked.npy", np.where(kept, x, -np.inf))
    done = run(command, "-q", "--file", tmp_path / "x.npy", "--mask", tmp_path / "mask.npy")
    assert done == run(command, "-q", "--file", tmp_path / "masked.npy")
    found = np.array(done.out.split(), float)
    if command == "lse":
        assert found == stablelse.logsumexp(x[kept])
    else:
        assert np.array_equal(found > 0, kept)


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


def test_the_policies_are_those_of_the_library():
    assert typing.get_args(OPTIONS["Methods"]["empty"].type) == tuple(POLICIES)


def test_skipped_cells(run, tmp_path):
    (tmp_path / "mask").write_text("1,0,1\n1,1,1\n")
    done = run(
        *["softmax", "--skip-na", "--mask", tmp_path / "mask", "--empty", "uniform", "--quiet"],
        stdin=b"-inf,2,NA\n1,NA,1\n",
    )
    assert done.out == "1\t0\n0.5\t0.5\n"
