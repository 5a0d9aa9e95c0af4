"""Settings and fixtures shared by the whole suite."""

import io
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import alike
import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=400, print_blob=True)
settings.load_profile("suite")

# A shell's background job ignores interrupts, and so would the processes that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: The beginning of lines on stderr that are not errors.
NOTE = "stablelse: note: "

#: The end of errors about a missing extra.
NEEDED = re.compile(r"pip install (pyarrow|ml_dtypes|matplotlib|distributed|'fsspec)")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="write golden files, README blocks and pictures anew instead of comparing; with -n 0",
    )


def pytest_sessionstart(session):
    if session.config.getoption("--regenerate"):
        alike.keep_digests()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Skip tests that fail with the program's own error about a missing extra."""
    from stablelse.numerics.formats import UnknownFormatError
    from stablelse.readers import ReadError

    try:
        return (yield)
    except (UnknownFormatError, ReadError) as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture
def golden(request):
    """Compare a text with the golden file of that name, or write it with --regenerate."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regenerate"):
            path.write_text(text, encoding="utf-8")
        assert text == alike.expected(path.read_text(encoding="utf-8"), text)

    return compare


@dataclass(frozen=True)
class Run:
    """The outcome of a command; notes are on stderr too, but are not errors."""

    code: int
    out: str
    err: str
    notes: tuple[str, ...]


@pytest.fixture
def run(monkeypatch):
    """Run the command line in this process; a first argument with blanks is split."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "_STABLELSE_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    sigpipe = signal.getsignal(signal.SIGPIPE)

    def command(*args, stdin=b"", columns=80, encoding="utf-8", **environment) -> Run:
        from stablelse.cli.main import main

        monkeypatch.setenv("COLUMNS", str(columns))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stdin_bytes = io.BufferedReader(io.BytesIO(stdin))
        streams = {
            "stdin": io.TextIOWrapper(stdin_bytes, "utf-8"),
            "stdout": io.TextIOWrapper(io.BytesIO(), encoding, newline="\n"),
            "stderr": io.TextIOWrapper(io.BytesIO(), encoding, newline="\n"),
        }
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            with pytest.raises(SystemExit) as stop:
                main([*shlex.split(str(args[0])), *map(str, args[1:])] if args else [])
        printed = []
        for name in ("stdout", "stderr"):
            streams[name].flush()
            printed.append(streams[name].buffer.getvalue().decode(encoding))
        if stop.value.code == 2 and NEEDED.search(printed[1]):
            pytest.skip(printed[1])
        out, err = printed
        lines = err.splitlines(keepends=True)
        notes = [line for line in lines if line.startswith(NOTE)]
        return Run(
            stop.value.code,
            out,
            "".join(line for line in lines if line not in notes),
            tuple(note.removeprefix(NOTE).removesuffix("\n") for note in notes),
        )

    yield command
    signal.signal(signal.SIGPIPE, sigpipe)


@pytest.fixture
def environment():
    """Return an environment in which subprocesses find this package."""
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "COLUMNS": "80"}


@pytest.fixture
def process(environment):
    """Run the command line in its own process; keywords in capitals set its environment."""

    def command(line, **options):
        settings = {name: options.pop(name) for name in list(options) if name.isupper()}
        return subprocess.run(
            [sys.executable, "-m", "stablelse", *shlex.split(line)],
            capture_output=True,
            text=True,
            env=environment | settings,
            check=False,
            **options,
        )

    return command
