"""Settings and fixtures shared by the whole suite."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import alike
import pytest
from command import run_here
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=4000, print_blob=True)
settings.load_profile("suite")

# Settings of the terminal would change what is printed.
for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "_STABLELSE_COMPLETE"):
    os.environ.pop(name, None)

# A shell's background job ignores interrupts, and so would the processes that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: The beginning of lines on stderr that are not errors.
NOTE = "stablelse: note: "

#: The packages of extras that are not installed. Only without them may a test be skipped because
#: the program asks for one.
MISSING = [
    name
    for name in ("pyarrow", "ml_dtypes", "matplotlib", "distributed", "fsspec", "aiohttp")
    if find_spec(name) is None
]

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


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
    from stablelse.readers.blocks import ReadError

    try:
        return (yield)
    except (UnknownFormatError, ReadError) as error:
        if MISSING and "pip install" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(autouse=True)
def same_numbers(request):
    """Let the RNG of a module give every test the same numbers, in any order of the tests."""
    module = request.module
    if hasattr(module, "RNG"):
        state = module.__dict__.setdefault("_STATE", module.RNG.bit_generator.state)
        module.RNG.bit_generator.state = state


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def golden(request):
    """Compare a text with the golden file of that name, or write it with --regenerate.

    Without results of exponentials in it, a text is the same on all machines.
    """

    def compare(name: str, text: str, *, has_results: bool = True) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regenerate"):
            path.write_text(text, encoding="utf-8")
        kept = path.read_text(encoding="utf-8")
        assert text == (alike.expected(kept, text) if has_results else kept)

    return compare


@dataclass(frozen=True)
class Run:
    """The outcome of a command; notes are on stderr too, but are not errors."""

    code: int
    out: str
    err: str
    notes: tuple[str, ...]


@pytest.fixture
def run():
    """Run the command line in this process; a first argument with blanks is split."""

    def command(*args, stdin=b"", columns=80, encoding="utf-8", **environment) -> Run:
        words = [*shlex.split(str(args[0])), *map(str, args[1:])] if args else []
        code, out, err = run_here(words, stdin, encoding, COLUMNS=str(columns), **environment)
        if MISSING and code == 2 and "pip install" in err:
            pytest.skip(err)
        lines = err.splitlines(keepends=True)
        notes = [line for line in lines if line.startswith(NOTE)]
        return Run(
            code,
            out,
            "".join(line for line in lines if line not in notes),
            tuple(note.removeprefix(NOTE).removesuffix("\n") for note in notes),
        )

    return command


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory):
    """Return an environment whose `stablelse` is this package under this Python."""
    command = tmp_path_factory.mktemp("bin") / "stablelse"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stablelse "$@"\n')
    command.chmod(0o755)

    def now():
        path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}

    return now


@pytest.fixture
def environment(surroundings):
    return surroundings()


@pytest.fixture(scope="session")
def start(surroundings):
    """Run a program in its own process; keywords in capitals set its environment."""

    def program(*args, check=False, **options):
        settings = {name: options.pop(name) for name in list(options) if name.isupper()}
        return subprocess.run(
            list(map(str, args)),
            capture_output=True,
            encoding="utf-8",
            env=surroundings() | settings,
            check=check,
            **options,
        )

    return program


@pytest.fixture(scope="session")
def python(start):
    return partial(start, sys.executable)


#: Runs a command from a small process: after a fork, the peak is at least that of the parent.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([done.returncode, done.stdout[:1000], done.stderr, peak]))
"""


@pytest.fixture
def measured(python):
    """Run the command line in its own process; return its peak memory in bytes, too."""

    def command(*args):
        done = python("-c", MEASURE, sys.executable, "-m", "stablelse", *args, check=True)
        code, out, err, peak = json.loads(done.stdout)
        return code, out, err, peak * (1 if sys.platform == "darwin" else 1024)

    return command


@pytest.fixture
def process(python):
    """Run the command line in its own process."""
    return lambda line, **options: python("-m", "stablelse", *shlex.split(line), **options)
