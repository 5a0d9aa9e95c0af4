"""The command that proves the identities: what it reads, prints and refuses."""

import json
import re

import pytest


def test_one_vector_of_a_file(run, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n1000,3\n")
    done = run("prove", "lse", "--file", file, "--row", "2")
    assert f"{file}, row 2: log-sum-exp, line by line 1 y = log" in " ".join(done.out.split())
    done = run("prove", "lse", "--file", "-", "--by", "all", stdin=b"1 2\n3 4\n")
    assert "4 numbers" in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("function", ["lse", "softmax"])
def test_symbols_values_and_what_follows_are_on_one_screen(function, encoding, run):
    out = run("prove", function, "1000", "1001", "1002", encoding=encoding).out
    screen = "\n".join(out.splitlines()[:23])
    assert "Compute line" in screen
    assert screen.index("Compute line") < out.index("e^1000 + e^1001")


def test_long_vectors_are_told_by_a_few_elements(run):
    done = run("prove", "softmax", *map(str, range(100)))
    assert "e^0 + e^1 + … + e^99" in done.out
    assert "and 97 more elements" in done.out
    assert len(done.out.splitlines()) < 100


def test_symbols_alone_read_no_standard_input(run):
    done = run("prove", "lse", stdin=b"not a number\n")
    assert (done.code, done.err) == (0, "")
    assert "y = a + log Σ e^(x_i − a)" in done.out
    assert json.loads(run("prove lse --json").out)["equations"]


@pytest.mark.parametrize(
    "args",
    ["lse 1000 -1001.5 1e-20 --shift -3", "softmax 12 -7 0.5 --shift -2 --dtype float8_e5m2",
     "lse", "softmax"],
)  # fmt: skip
def test_latex_is_well_formed(args, run):
    """Braces, dollars, \\left and \\right, environments and columns, as far as no TeX is needed."""
    out = run(f"prove {args} --format latex").out
    assert out.isascii()
    begun = []
    for command, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", out):
        if command == "begin":
            begun.append(name)
        else:
            assert begun.pop() == name
    assert not begun
    for line in out.splitlines():
        if line.startswith("%"):
            continue
        depth = 0
        for brace in re.findall(r"(?<!\\)[{}]", line):
            depth += 1 if brace == "{" else -1
            assert depth >= 0
        assert depth == 0
        assert line.count(r"\left(") == line.count(r"\right)")
        assert line.count("$") % 2 == 0
        assert not re.search(r"(?<![\\a-z])_(?!\{)", re.sub(r"\\_", "", line))
        columns = len(re.findall(r"(?<!\\)&", line))
        if line.startswith("  ") and "&= " not in line:
            assert columns == 3  # a number and three values, or three elements
    (align,) = re.findall(r"\\begin\{align\*\}\n(.*?)\\end\{align\*\}", out, re.DOTALL)
    lines = align.splitlines()
    assert not lines[-1].endswith("\\")
    assert all(re.search(r"\\\\(\[1ex\])?$", line) for line in lines[:-1])


def test_markdown_tables_have_as_many_cells_in_every_row(run):
    for args in ("lse 1 2", "softmax 1 2 3", "lse", "softmax"):
        out = run(f"prove {args} --format markdown").out
        tables = re.findall(r"(?:^\|.*\n)+", out, re.MULTILINE)
        assert tables
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1
        assert out.count("$") % 2 == 0
