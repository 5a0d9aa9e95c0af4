"""Exit codes are 0, 1, 2, 130 and 70, whatever is typed, set or sent; an error is one line."""

import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import time
import warnings

import numpy as np
import pytest

from stablelse.numerics import kernel

LONG = "x" * 100_000
DIGITS = "9" * 100_000

#: Commands with a long word at the end, or in the place of LONG, and what the error names.
UNKNOWN = {
    "lse 1 --dtype": "unknown format", "lse 1 --method": "unknown method",
    "lse 1 --shift": "unknown shift", "lse 1 --fail-on": "unknown condition",
    "lse 1 --fail-on x:overflow --dtype": "unknown format",
    "scan - --fail-on": "unknown condition", "peers 1 --peer": "unknown peer",
    "demo --scene": "unknown scene", "lse 1 --empty": "'--empty'", "lse 1 --digits": "'--digits'",
    "lse 1 --temperature": "'--temperature'", "nll 1 --label": "'--label'",
    "sweep 1 --points": "'--points'", "sweep 1 --offset": "the offset", "lse --by": "'--by'",
    "scan - --max-ulp": "'--max-ulp'", "lse --row": "--row", "lse --delimiter": "delimiter",
    "lse --axis": "'--axis'", "": "not a command", "lse": "argument", "lse --LONG": "",
    "lse -LONG": "", "lse --file": "cannot read",
    "lse 1 --output": "cannot write", "lse 1 --save LONG.svg": "cannot write",
    "lse --quiet=LONG 1": "quiet",
}  # fmt: skip


@pytest.mark.parametrize("value", [LONG, f"{DIGITS}x"], ids=["long", "digits"])
@pytest.mark.parametrize("command", UNKNOWN)
def test_errors_name_the_option_and_are_short(command, value, run):
    command = command if "LONG" in command else f"{command} LONG"
    done = run("", *(word.replace("LONG", value) for word in command.split()), stdin=b"1 2\n")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert UNKNOWN[command.removesuffix(" LONG")] in line
    assert len(line) <= 500


def test_the_end_of_a_long_error_says_how_to_fix_it(run):
    done = run("lse", "--file", "no/such name " * 60 + ".csv")
    assert 490 < len(done.err) <= 501
    assert done.err.endswith(".csv: No such file or directory; check the path\n")


@pytest.mark.parametrize("columns", ["abc", "0", "-1", "7", "9" * 5000, "100000"])
@pytest.mark.parametrize("command", ["lse 1000 1001 --errors", "sweep 1 2 --points 2", "limits"])
def test_a_screen_of_any_width_shows_all(command, columns, run):
    done = run(command, columns=columns, LINES=columns)
    assert (done.code, done.err) == (0, "")
    expected = run(command, columns=30)
    assert sum(map(str.isdigit, done.out)) >= sum(map(str.isdigit, expected.out)) // 2


THREADS = "must be a positive integer, not"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STABLELSE_KERNEL", "v9", f"must be {' or '.join(kernel.available())} here, not 'v9'"),
        *(("STABLELSE_NUM_THREADS", value, THREADS) for value in ("abc", "1.5", "9" * 5000)),
        *(("OMP_NUM_THREADS", value, THREADS) for value in ("0", "-3", "²")),
    ],
)
def test_an_environment_that_cannot_be_followed_is_one_line(name, value, message, process):
    done = process("lse 1 2", **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"stablelse: error: {name} {message}")
    assert len(line) <= 500


@pytest.mark.parametrize("module", ["typer", "numpy", "rich", "stablelse.cli.evaluate"])
def test_an_error_in_an_import_is_one_line(module, process, tmp_path):
    """As in an incomplete installation."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    done = process("lse 1 2", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (70, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("stablelse: error: a bug in stablelse")
    assert module in line


def test_an_error_while_an_error_is_explained_is_one_line(run, monkeypatch):
    def broken(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr("stablelse.cli.app.with_hint", broken)
    done = run("lse", "abc")
    assert (done.code, done.out) == (70, "")
    assert done.err.count("\n") == 1
    assert "RecursionError('too deep')" in done.err


@pytest.mark.parametrize(
    "settings",
    [
        {"LC_ALL": "garbage"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "idna"},
        {"TERM": "garbage"},
    ],
)
def test_a_missing_locale_or_encoding_does_not_matter(settings, process):
    done = process("lse 1 2", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2.3132616875182226" in done.stdout
    assert done.stdout.isascii() == ("PYTHONUTF8" in settings)


@pytest.mark.parametrize("options", ["--output out.txt", "--save a.svg"])
def test_a_folder_that_is_gone_is_one_line(options, run, here):
    here.rmdir()
    assert run("lse 1 2 --quiet").code == 0
    done = run(f"lse 1 2 {options}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stablelse: error: the current folder no longer exists")


def test_a_warning_is_a_note(run, monkeypatch):
    def warning(*_):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("as\x1b libraries do", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr("stablelse.cli.limits.emit", warning)
    done = run("limits")
    assert done.notes == (r"as\x1b libraries do",)


@pytest.mark.parametrize("mebibytes", [24, 60, 100])
def test_too_little_memory_is_one_line(mebibytes, process, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 4_000_000), np.float32))
    done = process(
        f"softmax --file {tmp_path}/x.npy",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20,) * 2),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("stablelse: error: out of memory[^\n]*\n", done.stderr)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no such terminals")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("command", ["demo", "lab"])
def test_a_signal_leaves_the_terminal_as_it_was(command, number, environment):
    if command == "lab":
        pytest.importorskip("textual")
    leader, follower = pty.openpty()
    before = termios.tcgetattr(follower)
    with subprocess.Popen(
        [sys.executable, "-m", "stablelse", command],
        **dict.fromkeys(("stdin", "stdout", "stderr"), follower),
        env=environment | {"TERM": "xterm"},
        start_new_session=True,
    ) as process:
        shown, end = b"", time.monotonic() + 30
        while termios.tcgetattr(follower) == before and time.monotonic() < end:
            shown += read_soon(leader)
        for _ in range(3):
            shown += read_soon(leader)
        process.send_signal(getattr(signal, number))
        while process.poll() is None and time.monotonic() < end:
            shown += read_soon(leader)
        while rest := read_soon(leader):
            shown += rest
    assert process.returncode == (130 if number == "SIGINT" else -getattr(signal, number))
    assert termios.tcgetattr(follower) == before
    for on, off in [(b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h")]:
        assert shown.rfind(on) <= shown.rfind(off)
    os.close(leader)
    os.close(follower)


def read_soon(terminal):
    """Return what is printed within a tenth of a second."""
    return os.read(terminal, 1 << 16) if select.select([terminal], [], [], 0.1)[0] else b""
