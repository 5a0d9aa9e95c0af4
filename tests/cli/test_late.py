"""An error after many results: what was printed is complete, and JSON says that it is not all."""

import csv
import json

import pytest

ROWS = 600
COMPLAINT = f"bad.csv, line {ROWS + 1}, column 2: 'x' is not a number"

#: Commands that print a result once it is known.
COMMANDS = [
    "softmax -f good.csv -f bad.csv",
    "lse -f good.csv -f bad.csv --by rows",
    "nll --logits good.csv --logits bad.csv --label-column 3",
    "nll --logits good.csv --logits bad.csv --label-column 3 --grad",
]


@pytest.fixture
def late(run, here):
    """Run a command on a good file and then one whose last line is bad."""
    good = "".join(f"{row / 7},{row},1\n" for row in range(ROWS))
    (here / "good.csv").write_text(good)
    (here / "bad.csv").write_text(f"{good}1,x,0\n")

    def command(line):
        done = run(line)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert done.err.startswith(f"stablelse: error: {COMPLAINT}")
        return done.out

    return command


@pytest.mark.parametrize("command", COMMANDS)
def test_json_says_that_it_is_incomplete(command, late, run, tmp_path):
    out = late(f"{command} --json")
    document = json.loads(out)
    assert document["incomplete"].startswith(COMPLAINT)
    (records,) = [value for value in document.values() if isinstance(value, list)]
    assert len(records) >= ROWS
    (tmp_path / "part.json").write_text(out)
    done = run("lse -q -f part.json")
    assert (done.code, done.out) == (2, "")
    assert "part.json is incomplete, as its end says" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_lines_are_complete_and_the_last_one_says_that_more_is_missing(command, late):
    lines = [json.loads(line) for line in late(f"{command} --format jsonl").splitlines()]
    assert len(lines) > ROWS
    assert [line for line in lines if "incomplete" in line] == lines[-1:]


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_have_whole_rows(command, late):
    out = late(f"{command} --format csv")
    assert out.endswith("\n")
    assert len({len(row) for row in csv.reader(out.splitlines())}) == 1
    for shown_at_the_end in (command, "scan good.csv bad.csv", "scan good.csv bad.csv --json"):
        assert late(shown_at_the_end) == ""


@pytest.mark.parametrize("options", ["", "--json", "--format jsonl", "--format csv", "-q"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_not_replaced(command, options, late, tmp_path):
    (tmp_path / "out.txt").write_text("old")
    assert late(f"{command} {options} -o out.txt") == ""
    assert (tmp_path / "out.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3
