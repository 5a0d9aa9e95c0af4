"""Notes on what is not an error: one line on stderr, and a field in JSON."""

import json
from pathlib import Path

import pytest

CSV = b"a,b\n1,2\n3,4\n"
SAID = "standard input, line 1 is a header: a, b"


@pytest.mark.parametrize("kind", ["table", "plain", "csv"])
@pytest.mark.parametrize("command", [["lse"], ["softmax"], ["scan", "-"], ["nll"]])
def test_a_header_is_reported(command, kind, run):
    labels = ["--label-column", "b"] if command == ["nll"] else []
    stdin = CSV.replace(b"2", b"0").replace(b"4", b"0")
    done = run(*command, *labels, "--format", kind, stdin=stdin)
    assert (done.code, done.err, done.notes) == (0, "", (SAID,))


@pytest.mark.parametrize(
    "command",
    [
        ["lse"],
        ["softmax"],
        ["scan", "-"],
        ["sweep", "--file", "-", "--row", "1"],
        ["prove", "lse", "--file", "-", "--row", "1"],
        ["peers", "--file", "-", "--peer", "naive"],
        ["nll", "--label-column", "b"],
    ],
)
def test_json_has_a_field_for_the_header(command, run):
    stdin = CSV.replace(b"2", b"0").replace(b"4", b"0")
    for data, header in ((stdin, ["a", "b"]), (stdin[4:], None)):
        command = ["2" if arg == "b" else arg for arg in command]
        done = run(*command, "--json", stdin=data)
        assert (done.code, done.notes) == (0, (SAID,) if header else ())
        assert json.loads(done.out)["header"] == header


@pytest.mark.parametrize("command", [["lse"], ["softmax"], ["scan", "-"]])
def test_a_quiet_command_is_quiet(command, run):
    done = run(*command, "-q", stdin=CSV)
    assert (done.err, done.notes) == ("", ())


def test_a_file_that_is_read_twice_is_reported_once(run, tmp_path, monkeypatch):
    monkeypatch.setattr("stablelse.cli.values.GATHERED", 1)
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n2\n")
    done = run("softmax", "--by", "all", "--file", path, "-o", tmp_path / "y.npy")
    assert (done.code, done.notes) == (0, (f"{path}, line 1 is a header: a",))


def test_the_same_header_of_many_files_is_reported_once(run, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.csv").write_bytes(CSV)
    done = run("lse", "--file", tmp_path)
    assert done.notes == (f"{tmp_path / '0.csv'}, line 1 is a header: a, b",)


def test_files_beside_the_numbers_are_reported_too(run, tmp_path):
    (tmp_path / "mask.csv").write_text("keep,drop\n1,0\n")
    done = run("lse", "--mask", tmp_path / "mask.csv", "--json", stdin=CSV)
    noted = {note.rpartition(" is ")[2] for note in done.notes}
    assert noted == {"a header: a, b", "a header: keep, drop"}
    assert json.loads(done.out)["header"] == ["a", "b"]


def test_a_note_proposes_what_labels_have(run, tmp_path):
    (tmp_path / "y").write_text(",y\n7,0\n8,1\n9,1\n")
    done = run("nll --quiet --labels", tmp_path / "y", stdin=b"0,1\n2,3\n4,5\n")
    assert (done.code, done.err) == (0, "")
    assert done.notes[0].endswith("name all columns to read with --label-column")


@pytest.mark.parametrize("options", [[], ["-q"], ["-q", "--skip-na"], ["--json"]])
def test_an_index_is_left_out_and_reported(options, run):
    pandas = b",a,b\n0,0.5,1.5\n1,2.5,3.5\n"
    r = b'"","a","b"\n"1",0.5,1.5\n"2",2.5,3.5\n'
    rows = b"0.5,1.5\n2.5,3.5\n"
    note = "standard input, column 1 is an index and left out; to read it, name all columns to "
    for data in (pandas, r):
        done = run("lse", *options, stdin=data)
        assert (done.code, done.notes[-1]) == (0, note + "read with --column")
        assert len(done.notes) == (1 if "-q" in options else 2)
        expected = run("lse", *options, stdin=rows).out
        assert done.out.replace('"header": [\n    "a",\n    "b"\n  ]', '"header": null') == expected


def test_a_line_that_counts_columns_is_reported(run):
    done = run("lse", "-q", stdin=b"0,1,2\n0.5,1.5,2.5\n")
    text = "line 1 is 0 to 2; if these are column names, use --header"
    assert done.notes == (f"standard input, {text}",)
    assert len(done.out.splitlines()) == 2
    assert run("lse", "-q", "--header", stdin=b"0,1,2\n0.5,1.5,2.5\n").notes == ()


@pytest.mark.parametrize("command", [["lse", "-q"], ["softmax", "-q"], ["scan", "-", "-q"]])
def test_rows_without_numbers_are_left_out_and_reported(command, run):
    done = run(*command, "--skip-na", stdin=b"1,2\nNA,NA\n3,NA\n,\n")
    assert (done.code, done.err) == (0, "")
    (note,) = done.notes
    assert note.endswith("2 vectors have no numbers and are left out, first 2")


TOO_SMALL = {
    b"1,2\n3,1e-400\n0,0\n": "line 2, '1e-400' underflowed to 0 while it was read",
    b"0\n-1E-999\n0\n": "line 2, '-1E-999' underflowed",
    b"0." + b"0" * 400 + b"1\n0e-999\n": "line 1, '0.0000",
    b"[1, 1e-400]\n[0, 3]\n": "line 1, '1e-400' underflowed",
    b'["1e-400", 3]': "line 1, '1e-400' underflowed",
    b"0\n0e-400\n1e-320\n0.0e999\n": None,
}


@pytest.mark.parametrize("stdin", TOO_SMALL)
def test_a_number_that_is_read_as_zero_is_reported(stdin, run):
    done = run("lse -q --by all", stdin=stdin)
    (note,) = done.notes if TOO_SMALL[stdin] else (None,)
    assert done.code == 0
    assert note is None or TOO_SMALL[stdin] in note
    assert bool(done.notes) is bool(note)


def test_an_argument_that_is_read_as_zero_is_reported(run):
    (note,) = run("lse 1 1e-400 -q").notes
    what = "underflowed to 0 while it was read, before any formula ran"
    assert note == f"arguments, number 2, '1e-400' {what}"
    assert run("lse 1e-400 1 -q --dtype longdouble").notes == ()


@pytest.mark.parametrize("command", ["lse", "softmax", "log-softmax"])
def test_a_value_alone_says_what_does_not_fit(command, run):
    done = run(command, "1", "-70000", "--dtype", "float16", "-q")
    assert (done.code, done.notes) == (0, ("-70000 does not fit float16, largest 65504",))
    assert run(command, "1", "-inf", "--dtype", "float16", "-q").notes == ()


def test_notes_and_screen_fit_a_terminal(run, monkeypatch):
    """A note with many names is one line, so 80 x 24 shows all, with the next prompt."""
    monkeypatch.chdir(Path(__file__).parents[2] / "examples/digits")
    done = run("nll --logits logits.csv --labels labels.csv")
    assert done.notes[0] == "logits.csv, line 1 is a header: logit_0, logit_1 and 8 more"
    assert max(len(f"stablelse: note: {note}") for note in done.notes) <= 80
    assert len(done.notes) + done.out.count("\n") <= 23
