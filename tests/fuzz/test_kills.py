"""A few kills at random moments, the same each time; kills.py goes on for longer."""

import os
import signal
import subprocess
import sys

import pytest
from fuzz.kills import campaign

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")

#: Runs of all kinds, the quick ones.
NAMES = ["npy", "json", "link", "svg", "spool of numbers", "spool of an array"]


def test_the_old_file_or_the_new_one_is_left():
    found = campaign(NAMES, seed=0, is_over=lambda number: number == 24)
    assert [outcome for outcome in found if "wrong" in outcome] == []
    assert found["killed"] > 5


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(environment):
    """As nohup starts a command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from stablelse.cli.main import main; "
             "from stablelse.files import end_on_signals; end_on_signals(); "
             "print('ready', flush=True); main(['lse', '-q'])"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(b"1\n2\n")
    assert (process.returncode, out) == (0, b"2.313261687518223\n")
