"""The tour: every scene fits a screen, its command works, and keys lead through it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import chain

import numpy as np
import pytest

import stablelse
from stablelse.analysis.demo import SCENES, demo
from stablelse.cli import demo as demo_command
from stablelse.render.demo import TO_WRITE

OWN = [name for name in SCENES if name != "libraries"]

#: The command before a pipe, as bytes.
PIPED = {
    "yes 0 | head -n 70000": b"0\n" * 70_000,
    "seq 1 1000000": "".join(f"{i}\n" for i in range(1, 1_000_001)).encode(),
}


@pytest.mark.parametrize("name", OWN)
def test_the_command_of_a_scene_works(name, run):
    before, _, command = SCENES[name][0].rpartition("stablelse ")
    stdin = PIPED[before.rstrip(" |")] if before else b""
    done = run(*shlex.split(command), stdin=stdin)
    assert (done.code, done.err) == (0, "")
    assert done.out


def test_the_scene_of_the_libraries_claims_what_it_has_measured(run):
    facts = demo("libraries").facts
    case = facts["case"]
    assert (case.case, case.results[-1].peer) == ("one dominates at zero", "exact")
    outcomes = [result.outcome.value for result in case.results[:-2]]
    assert facts["right"] == outcomes.count("right")
    assert facts["broken"] == outcomes.count("broken")
    done = run("demo", "--scene", "libraries")
    assert done.code == 0
    assert f"Right to the last bit: {facts['right']} of {facts['asked']}." in done.out
    assert "4.248354255291589e-18" in done.out
    assert len(done.out.splitlines()) < 24


def test_the_tour_ends_with_what_to_write(run):
    """Every line is shown, and those of installed libraries give the right results."""
    out = run("demo", "--scene", "write").out
    x = np.array([[1000.0, 1001.0], [1.0, 2.0]])
    packages = {"np": np, "stablelse": stablelse, "x": x}
    with suppress(ImportError):
        import scipy.special

        packages["scipy"] = scipy
    evaluated = 0
    for title, code in TO_WRITE:
        assert code in out
        if title == "NumPy" or code.partition(".")[0] in packages:
            value = eval(code, packages)
            function = stablelse.softmax if value.ndim == 2 else stablelse.logsumexp
            np.testing.assert_array_max_ulp(value, function(x, axis=-1), 4)
            evaluated += 1
    assert evaluated >= 4


def test_without_a_terminal_it_goes_straight_through(run):
    scenes = dict(SCENES)
    del SCENES["libraries"]
    try:
        whole = run("demo")
        assert whole == run("demo", "--all")
    finally:  # in their order
        SCENES.clear()
        SCENES.update(scenes)
    assert whole.out.count("\n $ stablelse ") + whole.out.count(" | stablelse ") == len(OWN)


def _wait_for_a_key(leader):
    """Wait until the program reads single keys; earlier ones are lost."""
    import termios

    for _ in range(3000):
        if not termios.tcgetattr(leader)[3] & termios.ICANON:
            return
        time.sleep(0.01)
    raise AssertionError("it does not wait for a key")


def on_terminal(keys, expected):
    """Run the tour on a terminal, typing each key once its scene is there; return the output."""
    import pty

    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "stablelse", "demo"]
    process = subprocess.Popen(
        command,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        start_new_session=True,
    )
    os.close(follower)
    killer = threading.Timer(60, process.kill)  # a lost key must not stop the suite
    killer.start()
    shown = ""
    for key, title in zip(chain(keys, [None]), expected, strict=True):
        while title is not None and not re.search(f"{re.escape(title)}.*q quit", shown, re.S):
            shown += os.read(leader, 4096).decode()
        if key is not None:
            shown = ""
            _wait_for_a_key(leader)
            os.write(leader, key)
    with suppress(OSError):  # once the program has left the terminal
        while part := os.read(leader, 4096):
            shown += part.decode()
    os.close(leader)
    code = process.wait(timeout=30)
    killer.cancel()
    return code, shown


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no such terminals")
@pytest.mark.parametrize(
    ("keys", "titles", "ends"),
    [
        ([b" ", b"\x1b[C", b"\x1b[D", b"\x7f", b"q"],
         ["1/15 why", "2/15 scores", "3/15 overflow", "2/15 scores", "1/15 why"], 0),
        ([b" ", b"\x03"], ["1/15 why", "2/15 scores"], 130),
    ],
)  # fmt: skip
def test_keys_lead_through_it(keys, titles, ends):
    """Space and the right arrow go on, the left arrow and backspace go back."""
    code, shown = on_terminal(keys, [*titles, None])
    assert (code, "Traceback" in shown) == (ends, False)


def test_keys_that_mean_nothing_do_nothing(monkeypatch):
    typed = iter(["x", "\x1b[A", "\t", "  ", "q"])
    monkeypatch.setattr(demo_command.typer, "getchar", lambda: next(typed))
    assert [demo_command._key(), demo_command._key()] == [" ", "q"]
