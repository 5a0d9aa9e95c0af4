"""The numbers that a command prints are those of the library, wherever its input comes from."""

import gzip
import json

import numpy as np
import pytest

from stablelse import log_softmax, logsumexp, nll, nll_grad, softmax

X = np.array([[1.0, 1000.0, 2.0], [5.0, -3.0, 4.0]])
KEPT = np.array([[True, False, True], [True, True, False]])
B = np.array([[1.0, 0.5, 3.0], [2.0, -0.25, 1e-3]])
ONE = B[1]
CUBE = np.arange(24.0).reshape(2, 3, 4) ** 2 / 7
LABELS = np.array([[0, 1, 2], [3, 0, 1]])
LOSSES = nll(CUBE.reshape(6, 4), LABELS.ravel(), reduction="none")
LONG = np.random.default_rng(3).normal(size=20_000) * 300
INFINITE = ["inf", "nan", "-inf"]

#: The texts of files.
TEXTS = {
    "x.csv": "1,1000,2\n5,-3,4\n", "ab.csv": "a,b\n1,2\n3,4\n", "b.csv": "1,2,3\n4,5,6\n",
    "column": "0\n1\n2\n", "m-digits": "1,0,1\n1,1,0\n", "m-words": "True\tFalse\tTrue\nT\tT\tF\n",
    "m-quoted": 'a;b;c\n"true";"false";"true"\n"yes";"yes";"no"\n', "m-row": "true,false,true\n",
    "m-column": "1\n0\n1\n", "b-row": "2 -0.25 1e-3", "b-column": "b\n2\n-0.25\n1e-3\n",
    "b.json": json.dumps(B.tolist()), "y-row": "0 1 2 3 0 1", "y-column": "y\n0\n1\n2\n3\n0\n1\n",
    "y2": "0\n2\n", "abc.csv": "a,y,b\n1,1,2\n3,0,1\n", "many": "z,y\n9,1\n9,0\n",
}  # fmt: skip
ARRAYS = {
    "x": X, "m": KEPT, "m-integers": KEPT.astype(np.uint8), "b": B, "b-one": ONE, "cube": CUBE,
    "fortran": np.asfortranarray(CUBE), "big": CUBE > 5, "y": LABELS, "y-flat": LABELS.ravel(),
    "y-1": LABELS.reshape(6, 1), "vector": CUBE[0, 0], "long": LONG, "long-m": LONG > 0,
    "pairs": LONG.reshape(-1, 2), **{f"long-{x}": np.append(LONG, float(x)) for x in INFINITE},
    "x32": X.astype(np.float32), "x16": X.astype(np.float16), "x-t": X.T, "b-t": B.T,
}  # fmt: skip

AB = {
    "": ([1, 2], [3, 4]), "--by columns": ([1, 3], [2, 4]), "--by all": ([1, 2, 3, 4],),
    "--column b": ([2, 4],), "--column 2 --column a": ([2, 1], [4, 3]), "--row 2": ([3, 4],),
    "--row 2 --row 1": ([1, 2], [3, 4]),
    "-f b.csv --by rows": ([1, 2], [3, 4], [1, 2, 3], [4, 5, 6]),
}  # fmt: skip
CUBES = ["cube.npy", "fortran.npy", "cube.npy.gz"]
CUBES += ["all.npz --key cube", "all.safetensors --key cube"]
MASKS = ["m.npy", "m-integers.npy", "m-digits", "m-words", "m-quoted"]
BOTH = nll([[1.0, 2.0], [3.0, 1.0]], [1, 0], reduction="none")
DIVIDED = nll(np.array([[1.0, 2.0], [3.0, 1.0]]) / 0.3, [1, 0], reduction="none")


def along(axis, x=CUBE, **options):
    return logsumexp(np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]), axis=1, **options)


#: Commands, and the numbers that they print with --quiet; a line after | is standard input.
CASES = [
    *((f"lse -f ab.csv {options}", [logsumexp(x) for x in rows]) for options, rows in AB.items()),
    ("lse --skip-na | 1\\nNA\\n2\\n", logsumexp([1, 2])),
    ("lse --decimal , | 1,0;2,0\\n", logsumexp([1, 2])),
    ("lse -f x.npy -f - | 5,6,7\\n", [*logsumexp(X, axis=1), logsumexp([5, 6, 7])]),
    ("lse -f all.npz --key b", logsumexp(B, axis=1)),
    # masks
    *((f"lse -f x.npy --mask {mask}", logsumexp(X, axis=1, where=KEPT)) for mask in MASKS),
    *((f"softmax -f x.npy --mask {mask}", softmax(X, axis=1, where=KEPT)) for mask in MASKS),
    ("log-softmax -f x.npy --mask m-words", log_softmax(X, axis=1, where=KEPT)),
    ("lse -f x.npy --mask m-row", logsumexp(X, axis=1, where=KEPT[0])),
    *((f"lse 1 1000 2 --mask {mask}", logsumexp([1, 2])) for mask in ("m-row", "m-column")),
    ("lse -f long.npy --mask long-m.npy", logsumexp(LONG[LONG > 0])),
    ("softmax -f long.npy --mask long-m.npy", softmax(LONG, where=LONG > 0)),
    # long vectors
    ("lse -f long.npy", logsumexp(LONG)),
    ("softmax -f pairs.npy --by all", softmax(LONG)),
    ("softmax -f pairs.npy --by columns", softmax(LONG.reshape(-1, 2), axis=0).T),
    *((f"softmax -f long-{x}.npy", softmax(np.append(LONG, float(x)))) for x in INFINITE),
    *((f"lse -f cube.npy --mask big.npy --axis {axis}",
       along(axis, np.where(CUBE > 5, CUBE, -np.inf))) for axis in (0, 2)),
    ("softmax --skip-na --mask m-digits --empty uniform | -inf,2,NA\\n1,3,NA\\n",
     [1, 0, *softmax([1, 3])]),
    # weights
    *((f"lse -f x.npy --weights {b}", logsumexp(X, axis=1, b=B)) for b in ("b.npy", "b.json")),
    *((f"lse -f x.npy --weights {b}", logsumexp(X, axis=1, b=ONE))
      for b in ("b-one.npy", "b-row", "b-column")),
    *((f"lse --weights {b} {x}", logsumexp([0, 1, 2], b=ONE)) for b in ("b-row", "b-column")
      for x in ("0 1 2", "| 0 1 2\\n", "| 0\\n1\\n2\\n")),
    ("lse --weights b-row --skip-na | 0 NA 2\\n", logsumexp([0, 2], b=ONE[[0, 2]])),
    *((f"lse -f x-t.npy --axis 0 --weights {b}", logsumexp(X, axis=1, b=ONE))
      for b in ("b-row", "b-one.npy")),
    ("lse -f x-t.npy --weights b-t.npy --by columns", logsumexp(X, axis=1, b=B)),
    ("lse -f x-t.npy --weights b-column --by columns", logsumexp(X, axis=1, b=ONE)),
    ("lse -f x-t.npy --weights b-t.npy --by all", logsumexp(X, b=B)),
    # temperatures
    *((f"{command} -f {x}.npy --temperature 0.7", function(x_ / 0.7, axis=1))
      for command, function in (("lse", logsumexp), ("softmax", softmax),
                                ("log-softmax", log_softmax))
      for x, x_ in (("x", X), ("x32", X), ("x16", X))),
    ("lse -f long.npy --temperature 3", logsumexp(LONG / 3)),
    ("softmax -f long.npy --temperature 3", softmax(LONG / 3)),
    ("log-softmax -f long.npy --temperature 3", log_softmax(LONG / 3)),
    ("softmax 1000 1e308 1002 --mask m-row --temperature 0.1", softmax([10000, -np.inf, 10020])),
    ("nll 1 2 --label 1 --temperature 0.3", nll(np.array([1.0, 2.0]) / 0.3, 1)),
    *((f"nll -f abc.csv --temperature 0.3 --reduction none {labels}", DIVIDED)
      for labels in ("--label-column y", "-c a -c b --labels many --label-column y")),
    # axes
    *((f"lse -f {name}", along(2)) for name in CUBES),
    *((f"lse -f {name} --axis {axis}", along(axis))
      for name in CUBES for axis in (0, 1, 2, -1, -3)),
    *((f"lse -f vector.npy {axis}", logsumexp(CUBE[0, 0]))
      for axis in ("", "--axis 0", "--axis -1")),
    ("lse -f cube.npy --axis 1 --weights b-row", along(1, b=ONE)),
    ("lse -f cube.npy --by all", logsumexp(CUBE)),
    # labels
    *((f"nll --logits cube.npy --reduction none {labels}", LOSSES)
      for labels in ("--labels y.npy", "--labels y-flat.npy", "--labels y-1.npy", "--labels y-row",
                     "--labels y-column")),
    ("nll -f cube.npy --labels y.npy --reduction sum",
     nll(CUBE.reshape(6, 4), LABELS.ravel(), reduction="sum")),
    ("nll -f cube.npy --labels y.npy", nll(CUBE.reshape(6, 4), LABELS.ravel())),
    ("nll -f cube.npy --labels y.npy --grad",
     nll_grad(CUBE.reshape(6, 4), LABELS.ravel(), reduction="none")),
    ("nll -f all.npz --key cube --label-key y --reduction none", LOSSES),
    ("nll -f all.npz --key cube --labels all.npz --label-key y --reduction none", LOSSES),
    *((f"nll -f abc.csv --reduction none {labels}", BOTH)
      for labels in ("--label-column y", "--label-column 2", "-c a -c b --label-column y",
                     "-c a -c b --labels many --label-column y")),
    ("nll --label 2 | 1000\\n1001\\n1002\\n", nll([1000, 1001, 1002], 2)),
    ("nll --label 0 --row 2 | 1000,1\\n1001,2\\n", nll([1001, 2], 0)),
    ("nll --by columns --labels y2 --reduction none | 1000,1\\n1001,2\\n1002,3\\n",
     nll([[1000, 1001, 1002], [1, 2, 3]], [0, 2], reduction="none")),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    for name, array in ARRAYS.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "cube.npy.gz").write_bytes(gzip.compress((folder / "cube.npy").read_bytes()))
    np.savez(folder / "all.npz", cube=CUBE, y=LABELS, b=B)
    return folder


@pytest.mark.parametrize(("line", "values"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_the_library_s_values(line, values, run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    command, _, stdin = line.partition(" | ")
    if "safetensors" in command:
        save_file = pytest.importorskip("safetensors.numpy").save_file
        save_file({"cube": CUBE, "y": LABELS}, folder / "all.safetensors")
    done = run(f"{command} -q", stdin=stdin.replace("\\n", "\n").encode())
    assert (done.code, done.err) == (0, "")
    assert np.array_equal(np.array(done.out.split(), float), np.ravel(values), equal_nan=True)
