"""How the command behaves: input, output, signals, colour, width and locale."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import stablelse
from stablelse.cli.app import COMMANDS
from stablelse.cli.options import OPTIONS
from stablelse.numerics import kernel


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("lse 1000 1001 1002", "1002.4076059644444\n"),
        ("lse -1000 -1001 -inf -1e3 -.5", "-0.5\n"),
        ("lse -inf -INF", "-inf\n"),
        ("lse inf 1", "inf\n"),
        ("lse nan 1", "nan\n"),
        ("lse -- -1 -1", "-0.3068528194400547\n"),
        ("softmax 0 0", "0.5\t0.5\n"),
        ("log-softmax 0 0", "-0.6931471805599453\t-0.6931471805599453\n"),
        ("lse 1 2 --dtype float16 --dtype bfloat16", "2.312\n2.31\n"),
        ("lse 1e400 1 --dtype longdouble", "1e400\n"),
        ("lse -0.775 -0.6175", "-5.237847950087536e-6\n"),
        ("log-softmax 0 -40", "-4.248354255291589e-18\t-40\n"),
        ("softmax inf 1", "nan\tnan\n"),
        ("log-softmax 0 1", "-1.3132616875182228\t-0.3132616875182228\n"),
        ("lse 1 2 --dtype half --dtype float16", "2.312\n"),
        ("lse 1 2 --dtype fp16 --dtype bf16", "2.312\n2.31\n"),
        ("lse 1 2 --dtype fp32", "2.3132617\n"),
        ("lse 0 -40 --method shifted", "0\n"),
        ("lse 0 -40 -m exact -m naive", "0\n4.248354255291589e-18\n"),
        ("softmax 0 0 -m division-free", "0.5\t0.5\n" * 2),
        ("nll 40 0 --label 0", "4.248354255291589e-18\n"),
        ("nll 40 0 --label 0 --method exact", "4.248354255291589e-18\n"),
        ("nll 11000 0 --label 1 --dtype longdouble", "11000\n"),
        ("lse −800", "-800\n"),
        ("lse -1.5D+02", "-150\n"),
        ("lse -∞", "-inf\n"),
    ],
)
def test_quiet(command, out, run):
    done = run(command.replace(" ", " --quiet ", 1))
    assert (done.code, done.out, done.err) == (0, out, "")


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp < 2**14, reason="longdouble is float64")
@pytest.mark.parametrize("command", ["nll --label 0", "log-softmax", "softmax", "lse"])
def test_numbers_beyond_float64_have_a_screen(command, run):
    done = run(f"{command} 1e400 -1e400 --dtype longdouble")
    assert (done.code, done.err) == (0, "")
    assert "e^(1e400) is too big for longdouble" in done.out


def test_arguments_leave_standard_input_alone(process):
    """Nothing is ever written to the pipe, and the command does not wait for it."""
    reader, writer = os.pipe()
    done = process("lse 1 -q", stdin=reader, timeout=30)
    os.close(reader)
    os.close(writer)
    assert done.stdout == "1\n"


def test_json_with_steps(run):
    document = json.loads(run("lse", "1", "2", "--json", "--steps").out)
    naive, shifted, exact = document["vectors"][0]["results"]
    assert [step["symbol"] for step in naive["steps"]] == list("xxeesy")
    assert shifted["steps"][-1]["value"] == shifted["value"]
    assert "steps" not in exact
    table = run("lse 1 2 --format csv --steps").out
    assert table.count(",2.313261687518223,") == 1
    rows = csv.DictReader(table.splitlines())
    assert [row["symbol"] for row in rows if row["method"] == "naive"] == list("xxeesy")


def test_errors_with_steps(run):
    """Either in full, one after the other."""
    head = "condition number"
    for kind in ("table", "plain"):
        both = run("lse", "1", "2", "--errors", "--steps", "--format", kind).out
        steps = run("lse", "1", "2", "--steps", "--format", kind).out
        assert both.startswith(steps)
        assert head in both
        assert head not in steps


def test_a_convention_is_not_called_correctly_rounded(run):
    for kind in ("table", "plain"):
        out = run("softmax", "inf", "1", "--format", kind).out
        assert "exact result is NaN" in out
        assert "correctly rounded" not in out


def test_a_broken_connection_is_no_end_of_the_process(run):
    assert run("lse", "1", "2", "-q").code == 0
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb", buffering=0) as stream, pytest.raises(BrokenPipeError):
        stream.write(b"1")


@pytest.mark.parametrize("command", ["lse", "softmax", "log-softmax", "nll", "sweep", "scan"])
def test_a_command_that_lacks_numbers_says_so_in_six_lines(command, run, monkeypatch):
    monkeypatch.setattr("stablelse.cli.app.is_terminal", lambda: True)
    done = run(command)
    lines = done.err.splitlines()
    assert (done.code, done.out, len(lines)) == (2, "", 6)
    assert sum(line.startswith(f"  stablelse {command} ") for line in lines) == 2
    assert lines[-1] == f"All options: stablelse {command} --help"


@pytest.mark.parametrize("args", [["--version"], ["-V"], ["-h"], ["--help"], [], ["lse", "-h"]])
def test_help_and_version(args, run):
    done = run(*args)
    assert (done.code, done.err) == (0, "")
    assert stablelse.__version__ in done.out or done.out.startswith("Usage: stablelse")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples_and_has_its_options_in_groups(command, run):
    text = run(command, "--help").out
    assert re.findall(r"^(?!Usage)(\w[\w ]+):$", text, re.MULTILINE) == [
        heading for heading in ("Examples", *OPTIONS) if f"\n{heading}:\n" in text
    ]
    assert "\nExamples:\n" in text


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_wraps_between_words(command, run):
    narrow, wide = (run(*filter(None, [command]), "-h", columns=n).out for n in (80, 500))
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.split() == wide.split()


@pytest.mark.parametrize("command", ["lse -q", "softmax -q"])
def test_a_dash_is_standard_input(command, run):
    piped = run(command, stdin=b"1\n2\n")
    assert run(command, "-", stdin=b"1\n2\n") == piped
    assert piped.code == 0


@pytest.mark.parametrize("command", ["lse -q -", "softmax -q --by all -f -"])
def test_one_end_of_file_ends_what_is_typed(command, environment):
    """A terminal that is read again after Ctrl-D waits for more."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "stablelse", *command.split()],
        stdin=theirs,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        os.write(ours, b"1 1\n\x04")
        out, _ = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, len(out) > 5) == (0, True)


_LOSSES = "nll -f x.csv --labels y.csv"
_SUM = "nll -f z.csv --label-column 1 --reduction sum --dtype float16"


@pytest.mark.parametrize(
    ("command", "fail_on", "failed"),
    [
        ("lse 1000 1001", "none", None),
        ("lse 1 2", "broken,digits_lost", None),
        ("lse 1000 1001", "shifted:broken", None),
        ("lse 1 2", "ulp>4", None),
        ("lse 1000 1001", "overflow", "overflow: naive in float64, 1"),
        ("softmax -f x.csv", "overflow", "2 vectors, first in x.csv, row 2"),
        ("log-softmax 0 -800", "naive:broken", "in float64, 1 vector"),
        ("softmax 1e3 0 -m division-free", "division-free:overflow", "overflow: division-free"),
        ("lse -0.775 -0.6175", "shifted:ulp>4", "shifted in float64"),
        ("nll 1000 1 --label 0", "shifted:broken", None),
        ("nll 1000 1 --label 0", "naive:broken", "broken: naive"),
        (_LOSSES, "overflow", "float64, 2 vectors, first in x.csv, row 2"),
        (f"{_LOSSES} --grad", "overflow", "2 vectors, first in x.csv, row 2"),
        (f"{_LOSSES} --reduction none", "overflow", "2 vectors, first in"),
        (f"{_LOSSES} --ignore-index 1", "overflow", "1 vector, first in x"),
        # each loss is rounded correctly, and their sum is not
        (_SUM, "shifted:ulp>0.5", "ulp>0.5: shifted in float16, the sum"),
        # right, for it is less than a digit off
        ("lse -2.2 -1.63 -0.95", "shifted:ulp>1", "shifted in"),
    ],
)
@pytest.mark.parametrize("form", ["-q", "--json", "--format table"])
def test_fail_on(command, fail_on, failed, form, run, here):
    (here / "x.csv").write_text("1,2\n1000,2\n1000,3\n")
    (here / "y.csv").write_text("0\n0\n1\n")
    (here / "z.csv").write_text("0,0,0.6\n" * 3)
    done = run(f"{command} {form}", "--fail-on", fail_on)
    assert (done.code, bool(done.err)) == ((1, True) if failed else (0, False))
    assert (failed or "") in done.err
    assert done.out == run(f"{command} {form}").out


@pytest.mark.parametrize("color", ["auto", "always", "never"])
def test_color(color, run):
    out = run("lse", "1000", "1001", "--color", color, TERM="xterm-256color").out
    assert ("\x1b[" in out) == (color == "always")
    assert run("lse", "1000", "1001", "--color", color, NO_COLOR="1").out.count("\x1b[3") == (
        out.count("\x1b[3")
    )


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("so", "softmax"),
        ("lse 1 --dtype bf", "bfloat16"),
        ("lse 1 --method sh", "shifted"),
        ("lse 1 --shift me", "mean"),
        ("lse 1 --color al", "always"),
        ("peers --peer to", "torch"),
        ("demo --scene underf", "underflow"),
        ("nll 1 --reduction su", "sum"),
        ("lse 1 --fail-on does", "does_not_fit"),
        ("scan x --fail-on bro", "broken"),
    ],
)
def test_completion(words, completed, run):
    count = str(len(words.split()))
    words = f"stablelse {words}"
    done = run(_STABLELSE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
    assert done.out.split() == [completed]


@pytest.mark.parametrize("kind", ["table", "plain", "json", "jsonl", "csv"])
def test_limits(kind, run):
    """On a screen, no threshold is above the true one; programs get every digit."""
    done = run("limits", "--format", kind)
    assert done.code == 0
    cut = {"709.78", "-745.13", "88.722", "11.085", "-17.328"}
    in_full = {"709.782712893384", "-745.1332191019411", "88.72283"}
    figures = set(re.findall(r"-?\d+\.\d+", done.out))
    assert (cut if kind in ("table", "plain") else in_full) <= figures


@pytest.mark.parametrize("chosen", kernel.available())
def test_the_environment_selects_a_kernel(chosen, process):
    version = process("--version", STABLELSE_KERNEL=chosen).stdout
    assert version == f"stablelse {stablelse.__version__} (kernel: {chosen})\n"
    assert process("lse 1000 1001 1002 -q", STABLELSE_KERNEL=chosen).stdout == (
        "1002.4076059644444\n"
    )
