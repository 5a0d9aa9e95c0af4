"""Files of labels and masks: what an error or a note proposes has to work for that file."""

import re

import pytest

#: Bad labels, and how the error has to end.
LABELS = {
    "0\nNA\n1\n": "is 'NA', which is not a number; fill it in",
    "name,1\n0,1\n": "such as 'name' and '1'; correct the file",
    "0\nx\n1\n": "'x' is not a number; correct it",
    "1;2;a\n0 0 0\n": "'1;2;a' is not a number; correct it",
    "0\n1e999\n1\n": "before any formula ran; write inf if you mean it",
    '"",a\n"",1\n': "delete it, or choose the columns with --label-column",
    '{"a":[0],"b":[1]}': "choose one of its keys with --label-key: 'a', 'b'",
    "[0,null,1]": "is null; fill it in",
    "0,1\n1,0\n0,0\n": "choose the column of labels with --label-column",
}

MASKS = {
    "1,1\nNA,0\n0,1\n": "is 'NA', which is not a number; fill it in",
    "a,1\n1,1\n": "such as 'a' and '1'; correct the file",
    "1,1\n1,x\n": "'x' is not a number; correct it",
    "1,1\n1.5,1\n": "1.5 is not a mask value; 1 or true keeps a number, 0 or false masks it",
    '{"a":[[1]],"b":[[1]]}': "has several fields of numbers; correct the file",
}


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("0,1\n2,3\n4,5\n")
    return tmp_path


@pytest.mark.parametrize("text", LABELS)
def test_labels(text, numbers, run):
    (numbers / "y").write_text(text)
    done = run("nll", "--file", "x", "--labels", "y", "--quiet")
    assert done.code == 2
    assert done.err.endswith(f"{LABELS[text]}\n")
    assert set(re.findall(r"--[a-z-]+", done.err)) <= {"--labels", "--label-column", "--label-key"}


@pytest.mark.parametrize("text", MASKS)
@pytest.mark.parametrize("command", ["lse", "softmax"])
def test_masks(text, command, numbers, run):
    (numbers / "m").write_text(text)
    done = run(command, "--file", "x", "--by", "rows", "--mask", "m", "--quiet")
    assert done.code == 2
    assert done.err.endswith(f"{MASKS[text]}\n")
    assert "--" not in done.err


def test_a_directory(numbers, run):
    (numbers / "d" / "e").mkdir(parents=True)
    done = run("nll", "--file", "x", "--labels", "d")
    assert "say which files are wanted, for example --labels 'd/**/*.csv'" in done.err
    done = run("lse", "--file", "x", "--mask", "d")
    assert "say which files are wanted, for example --mask 'd/**/*.csv'" in done.err


def test_a_note(numbers, run):
    (numbers / "y").write_text(",y\n7,0\n8,1\n9,1\n")
    done = run("nll", "--file", "x", "--labels", "y", "--quiet")
    assert (done.code, done.err) == (0, "")
    (note,) = done.notes
    assert note.endswith("name all columns to read with --label-column")


def test_nll_proposes_no_option_that_it_refuses(run, tmp_path):
    (tmp_path / "x.csv").write_text("1,2\n3,NA\n")
    done = run("nll", "--file", tmp_path / "x.csv", "--label-column", "1", "-q")
    assert done.code == 2
    assert "line 2, column 2 is 'NA'" in done.err
    assert "--skip-na" not in done.err
