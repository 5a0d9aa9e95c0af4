"""The command on every kind of input: whole outputs, and one line for bad input."""

import json
import sys

import numpy as np
import pytest

LOGITS = np.array([[1, 2, 3], [1000, 3, -5], [-500, -600, -700]], np.float16)
TEXT = "".join(",".join(map(str, row)) + "\n" for row in LOGITS.tolist())


def parts(path):
    path.mkdir()
    for number, line in zip((2, 9, 10), TEXT.splitlines(), strict=True):
        (path / f"part-{number}.csv").write_text(line + "\n")


pytestmark = pytest.mark.usefixtures("here")


def test_parts(run, golden, tmp_path):
    """The table names the file of each row, and the row within the file."""
    parts(tmp_path / "parts")
    (tmp_path / "parts" / "part-2.csv").write_text("1,2,3\n4,5,6\n")
    golden("parts.txt", run("lse", "--file", "parts", "--dtype", "float16", columns=120).out)


def test_one_vector_of_several_files(run, golden, tmp_path):
    (tmp_path / "a.csv").write_text("1000\n-3\n")
    np.save("b.npy", np.array([1001.5, -np.inf]))
    golden("several.txt", run("lse", "-f", "a.csv", "-f", "b.npy").out)


def test_a_row_of_each_file(run, tmp_path):
    parts(tmp_path / "parts")
    done = run("lse", "--file", "parts", "--row", "1", "--json")
    vectors = json.loads(done.out)["vectors"]
    assert [(vector["source"], vector["row"]) for vector in vectors] == [
        (f"parts/part-{number}.csv", 1) for number in (2, 9, 10)
    ]


def test_a_key(run):
    np.savez("x.npz", a=np.arange(3.0), b=np.arange(4.0))
    document = json.loads(run("lse", "-f", "x.npz", "-k", "a", "--json").out)
    assert document["vectors"][0]["source"] == "x.npz['a']"


@pytest.mark.parametrize("package", ["pyarrow", "fsspec.core"])
def test_an_extra_that_is_missing(package, run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "x").write_bytes(b"PAR1" + bytes(100))
    path, needed = ("x", "pyarrow") if package == "pyarrow" else ("s3://b/x", "'fsspec[http]'")
    done = run("lse", "-q", "-f", path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"is not installed: pip install {needed}" in done.err
