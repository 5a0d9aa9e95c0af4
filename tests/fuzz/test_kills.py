"""Runs that are killed at random moments leave the old file or the new one, whole.

Half of the signals come at any moment, the others just after a temporary file appeared; some come
twice. With python -m pytest --hypothesis-profile=search tests/fuzz/test_kills.py there are many
more.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import cycle, islice

import numpy as np
import pytest
from hypothesis import settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TURNS = 24 * settings.default.max_examples // settings.get_profile("suite").max_examples

#: What an interrupted run says on stderr, unless Python itself ends it before its first line.
SAID = re.compile(
    r"(stablelse: interrupted"
    r"( after [\d,]+ numbers, [\d.]+ \w+( of [\d.]+ \w+)?(, in [\w. ]+)?)?\n)?"
)

#: The arguments, what the run writes, and what it gets on standard input.
RUNS = [
    ("softmax -f x.npy -o out.npy", "out.npy", None),
    ("softmax -f rows.npy --json -o out.json", "out.json", None),
    ("lse -f x.npy -o link.txt", "out.txt", None),
    ("lse 1 2 1000 --save out.svg", "out.svg", None),
    ("softmax -o out.npy", "out.npy", "x.csv"),
    ("softmax -f - -o out.npy", "out.npy", "fortran.npy"),
    ("limits -o out.txt", "out.txt", None),
]


@pytest.fixture
def template(tmp_path):
    """A folder with the input of all runs, and what their output replaces."""
    folder = tmp_path / "template"
    (folder / "tmp").mkdir(parents=True)
    x = np.random.default_rng(0).normal(size=100_000)
    np.save(folder / "x.npy", x)
    np.savetxt(folder / "x.csv", x)
    np.save(folder / "rows.npy", x[:3000].reshape(-1, 3))
    np.save(folder / "fortran.npy", np.asfortranarray(x.reshape(-1, 4)))
    for _, target, _ in RUNS:
        (folder / target).write_bytes(b"old")
    (folder / "link.txt").symlink_to("out.txt")
    return folder


def held(folder):
    """Return what a folder holds: the bytes of each file, or where a symbolic link leads."""
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in files
    }


@contextmanager
def begun(run, template, environment):
    """Begin a run in a new folder, where its temporary files are too."""
    args, _, source = run
    folder = template.with_name("run")
    shutil.copytree(template, folder, symlinks=True)
    feeder = source and subprocess.Popen(["cat", source], cwd=folder, stdout=subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, "-m", "stablelse", *args.split()],
        cwd=folder,
        env=environment | {"TMPDIR": str(folder / "tmp"), "SOURCE_DATE_EPOCH": "0"},
        stdin=feeder.stdout if feeder else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if feeder:
            feeder.stdout.close()
        yield folder, process
    if feeder:
        feeder.wait()
    shutil.rmtree(folder)


def test_the_old_file_or_the_new_one_is_left(template, environment):
    rng, before, killed, finished = random.Random(0), held(template), 0, {}
    for run in RUNS:
        start = time.monotonic()
        with begun(run, template, environment) as (folder, process):
            assert process.communicate()[1] == ""
            finished[run] = time.monotonic() - start, held(folder)
            assert finished[run][1][run[1]] != b"old"
    for run in islice(cycle(RUNS), TURNS):
        number, delay = rng.choice(SIGNALS), rng.random()
        with begun(run, template, environment) as (folder, process):
            if rng.random() < 0.5:  # when a file has appeared
                names = sorted(folder.rglob("*"))
                while process.poll() is None and sorted(folder.rglob("*")) == names:
                    pass
                time.sleep(delay * 0.03)
            else:
                time.sleep(delay * 1.1 * finished[run][0])
            for _ in range(rng.choice([1, 2])):
                process.send_signal(number)
            err = process.communicate()[1]
            after = held(folder)
        assert after in (before, finished[run][1]), (run, number, sorted(after))
        is_interrupt = number == signal.SIGINT
        if process.returncode == 0 and after == finished[run][1]:
            continue
        killed += 1
        if is_interrupt and "KeyboardInterrupt" in err and "/stablelse/" not in err:
            continue  # before the first line of the command, by Python
        assert process.returncode in ((130, -number) if is_interrupt else (-number,)), err
        assert SAID.fullmatch(err)
    assert killed > 5


@pytest.mark.parametrize("is_ignored", [True, False])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_run_that_waits_for_input_ends_unless_it_ignored_signals_from_the_start(
    number, is_ignored, environment
):
    """As nohup starts a command."""
    code = (
        "from stablelse.cli.main import main; from stablelse.files import end_on_signals; "
        "end_on_signals(); print('ready', flush=True); main(['lse', '-q'])"
    )
    before = signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
    finally:
        signal.signal(number, before)
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        if not is_ignored:
            process.wait(timeout=30)
        out, err = process.communicate("1\n2\n" if is_ignored else None)
    if is_ignored:
        assert (process.returncode, out, err) == (0, "2.313261687518223\n", "")
    else:
        assert (process.returncode, out) == (130 if number == signal.SIGINT else -number, "")
        assert SAID.fullmatch(err)
