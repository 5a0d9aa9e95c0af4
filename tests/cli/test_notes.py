"""What is not an error but must not go unsaid: one line on stderr, and a field in JSON."""

import json

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
        ["peers", "--file", "-", "--peer", "numpy", "--no-time"],
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
    monkeypatch.setattr("stablelse.cli.unbounded.GATHERED", 1)
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


def test_no_control_character_reaches_the_terminal(run):
    done = run("lse", stdin=b'a,"\x1b[31mred\x07"\n1,2\n')
    assert done.notes == (SAID.replace(" b", " '\\x1b[31mred\\x07'"),)
