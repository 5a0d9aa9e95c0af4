"""Softmax of more than fits in memory: two passes, and files written completely or not at all."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from files import saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.analysis.elements import LongVector
from stablelse.cli import evaluate
from stablelse.cli.streams import LongInput

X = np.random.default_rng(5).standard_normal(30_000) * 30
TEXT = "".join(f"{x!r}\n" for x in X.tolist()).encode()
FUNCTIONS = {"softmax": stablelse.softmax, "log-softmax": stablelse.log_softmax}


def read_back(path):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".csv":
        return np.loadtxt(path, delimiter=",", skiprows=1)
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    return np.stack([np.array(column.to_pylist()) for column in table.columns]).T.squeeze()


def needed(suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")


#: Vectors whose elements are hard to round.
HARD = {
    "usual": X,
    # subnormal elements, and some in doubt because of their neighbours
    "small": np.random.default_rng(6).uniform(-700, 700, 20_000),
    # elements at a relative distance of 2**-156 from the middle of two numbers
    "next to ties": np.random.default_rng(9).permuted(np.repeat([0.0, 2.0**-52], 2**13)),
    # the logarithm of the number of largest elements is below the lse's last place
    "huge": np.repeat([3e38, 1e38], [9, 20_000]),
}


@pytest.mark.parametrize("kind", ["file", "pipe"])
@pytest.mark.parametrize("command", FUNCTIONS)
@pytest.mark.parametrize(
    ("name", "dtype", "suffix"),
    [
        *((name, "float64", ".npy") for name in HARD),
        *(("usual", "f4", ".npy"), ("usual", "f2", ".npy")),
        *(("usual", "float64", ".csv"), ("usual", "float64", ".parquet")),
    ],
)
def test_exact(run, tmp_path, name, dtype, suffix, command, kind):
    needed(suffix)
    source, target = tmp_path / "x", tmp_path / f"p{suffix}"
    source.write_bytes(saved(HARD[name]) if suffix == ".npy" else TEXT)
    given = {"stdin": source.read_bytes()} if kind == "pipe" else {}
    named = [] if kind == "pipe" else ["--file", source]
    formats = ["--dtype", np.dtype(dtype).name]
    done = run(command, *named, *formats, "--output", target, **given)
    assert (done.code, done.out, done.err) == (0, "", "")
    values = read_back(target)
    assert suffix != ".npy" or values.dtype == dtype
    assert np.array_equal(values, FUNCTIONS[command](HARD[name].astype(dtype)))
    assert {path.name for path in tmp_path.iterdir()} == {"x", target.name}


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
@pytest.mark.parametrize("by", ["rows", "columns"])
def test_a_stack_of_vectors_keeps_its_shape(run, tmp_path, suffix, by):
    needed(suffix)
    target = tmp_path / f"p{suffix}"
    x = X[:600].reshape(200, 3)
    text = "".join("{!r} {!r} {!r}\n".format(*row) for row in x.tolist()).encode()
    done = run("softmax", "--by", by, "--output", target, stdin=text)
    assert (done.code, done.out, done.err) == (0, "", "")
    values, truth = read_back(target), stablelse.softmax(x, axis=1 if by == "rows" else 0)
    assert np.array_equal(values, truth)
    if suffix == ".csv":
        assert target.read_text().startswith("softmax_1,softmax_2,softmax_3\n")


def test_missing_cells_are_left_out_in_both_passes(run, tmp_path):
    source, target = tmp_path / "x.csv", tmp_path / "p.npy"
    source.write_bytes(b"NA\n" + TEXT + b"NA\n")
    done = run("softmax", "--skip-na", "--file", source, "--output", target)
    assert (done.code, done.err) == (0, "")
    assert len(np.load(target)) == len(X)


@pytest.mark.parametrize("shown", [1 << 18, 1000])
def test_a_guard_changes_no_values(run, monkeypatch, shown):
    """Neither in memory nor in parts."""
    monkeypatch.setattr(evaluate, "SHOWN", shown)
    for command in (*FUNCTIONS, "lse"):
        guarded = run(command, "-q", "--fail-on", "shifted:broken", stdin=TEXT)
        assert guarded == run(command, "-q", stdin=TEXT)


def test_errors_leave_nothing(run, tmp_path):
    done = run("softmax", "--output", tmp_path / "p.npy", stdin=TEXT + b"oops\n")
    assert done.code == 2
    assert "line 30001" in done.err
    done = run("softmax", "--output", tmp_path / "no" / "p.npy", stdin=TEXT)
    assert (done.code, done.out) == (2, "")
    assert "no such directory" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_still_to_be_had(run, tmp_path):
    target = tmp_path / "p.csv"
    run("softmax", "1", "2", "--format", "csv", "--output", target)
    assert target.read_text().startswith("function,source,")
    run("softmax", "1", "2", "--output", target)
    assert target.read_text() == "softmax\n0.2689414213699951\n0.7310585786300049\n"


#: exp of these is exact, and so are the sums, in any order.
SIMPLE = np.random.default_rng(8).choice([0.0, -np.inf, -800.0], 3000)


@pytest.mark.parametrize("command", FUNCTIONS)
@pytest.mark.parametrize("kind", ["file", "pipe"])
@pytest.mark.parametrize("options", [[], ["--dtype", "float32", "--dtype", "float64"]])
def test_the_table_of_a_long_vector_is_that_of_one_in_memory(
    run, tmp_path, monkeypatch, command, kind, options
):
    np.save(tmp_path / "x.npy", np.append(SIMPLE, 800.0 if options else 0.0))
    given = {"stdin": (tmp_path / "x.npy").read_bytes()} if kind == "pipe" else {}
    named = [] if kind == "pipe" else ["--file", tmp_path / "x.npy"]
    options = [*options, "--method", "naive", "--method", "shifted"]
    whole = run(command, *named, *options, **given)
    monkeypatch.setattr(evaluate, "SHOWN", 1000)
    in_parts, result = [], LongVector.result
    monkeypatch.setattr(LongVector, "result", lambda *a: in_parts.append(1) or result(*a))
    parts = run(command, *named, *options, **given)
    assert in_parts == [1]
    assert (parts.code, parts.err) == (0, "")
    assert parts.out == whole.out
    assert "too small" in parts.out


#: Rows that come in pieces of 32 numbers.
ROWS = {
    "one row": np.random.default_rng(11).standard_normal((1, 230)) * 300,
    "few rows": np.random.default_rng(12).standard_normal((3, 90)).astype(np.float32) * 40,
    "several axes": np.random.default_rng(13).standard_normal((2, 2, 70)),
    "without some": np.where(np.arange(220).reshape(2, 110) % 3, 1.5, -np.inf),
    "integers": np.arange(140).reshape(2, 70) * 100,
    "next to ties": np.random.default_rng(9).permuted(np.repeat([0.0, 2.0**-52], 2**8))[None],
}
for rows in ROWS.values():
    rows[..., 0] = rows.max(axis=-1)  # or a sum would lose digits, which pieces do not name
FORMS = ["--quiet", "--json", "--format jsonl", "--format csv", "--output p.npy", "--output p.csv"]


#: What is not known of rows in pieces.
_UNKNOWN = re.compile(r'"(condition_number|bound|theorem)": ("[^"]*"|[^",\n}]*)')


def known(text):
    """Return an output without what is not known of rows in pieces."""
    if not text.startswith("function,"):
        return _UNKNOWN.sub("", text)
    rows = csv.DictReader(text.splitlines())
    return [row | {"condition_number": "", "bound": "", "theorem": ""} for row in rows]


def outcomes(run, monkeypatch, command, **given):
    """Return the output of a command that reads whole rows, and when it reads them in pieces."""
    for size in (1 << 22, 256):
        monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", size)
        done = run(*command, **given)
        assert (done.code, done.err) == (0, "")
        yield known(done.out), [path.read_bytes() for path in Path().glob("p.*")]


@pytest.mark.parametrize("kind", ["file", "pipe"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", FUNCTIONS)
@pytest.mark.parametrize("name", ROWS)
def test_rows_in_pieces(run, here, monkeypatch, name, command, form, kind):
    np.save("x.npy", ROWS[name])
    given = {"stdin": Path("x.npy").read_bytes()} if kind == "pipe" else {}
    named = [] if kind == "pipe" else ["--file", "x.npy"]
    arguments = [command, *form.split(), *named, "--temperature", "2"]
    whole, pieces = outcomes(run, monkeypatch, arguments, **given)
    assert whole == pieces


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("command", [*FUNCTIONS, "lse"])
def test_rows_in_pieces_have_masks(run, here, monkeypatch, command, rows):
    x, noise = np.random.default_rng(rows).normal(size=(2, 3, 90))
    np.save("x.npy", x)
    np.save("m.npy", noise[:rows] > 0)
    arguments = [command, "-q", "--file", "x.npy", "--mask", "m.npy"]
    whole, pieces = outcomes(run, monkeypatch, arguments)
    assert whole == pieces


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_any_shape_in_pieces(run, tmp_path_factory, data):
    dtype = data.draw(st.sampled_from([np.float64, np.float32, np.float16]))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 300)))
    numbers = st.floats(-800, 800, width=16) | st.sampled_from([np.inf, -np.inf, np.nan, 0])
    x = data.draw(arrays(dtype, shape, elements=numbers, fill=numbers))
    path = tmp_path_factory.mktemp("rows") / "x.npy"
    np.save(path, x)
    for command in (*FUNCTIONS, "lse"):
        named = "float64", "--quiet", "--by", "rows", "--file", path
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(path.parent)  # away from the files of other tests
            whole, pieces = outcomes(run, patch, [command, "--dtype", *named])
        assert whole == pieces


def test_where_a_long_row_broke(run, tmp_path, monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 256)
    x = np.zeros((3, 100))
    x[1, 70] = 800
    np.save(tmp_path / "x.npy", x)
    vectors = json.loads(run("lse", "--json", "--file", tmp_path / "x.npy").out)["vectors"]
    assert [vector["row"] for vector in vectors] == [1, 2, 3]
    (found,) = vectors[1]["results"][0]["findings"]
    assert (found["element"], found["place"]["row"], found["place"]["column"]) == (71, 2, "71")
    assert "row 2" in run("lse", "--file", tmp_path / "x.npy").out


@pytest.mark.parametrize("form", ["--output p.npy", "--json", "--format jsonl"])
def test_a_long_row_that_changes(form, run, here, monkeypatch):
    monkeypatch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 256)
    x = np.zeros((2, 100))
    np.save(here / "x.npy", x)
    again = LongInput._again

    def changed(self, *columns):
        if self._row == 2:
            np.save(here / "x.npy", x + 1)
        return again(self, *columns)

    monkeypatch.setattr(LongInput, "_again", changed)
    done = run(f"softmax {form} --file x.npy")
    assert (done.code, (here / "p.npy").exists()) == (2, False)
    assert "changed while it was being read" in done.err
    if form == "--json":
        assert "changed" in json.loads(done.out)["incomplete"]
    elif "jsonl" in form:
        *_, last = map(json.loads, done.out.splitlines())
        assert "changed" in last["incomplete"]
    else:
        assert done.out == ""
