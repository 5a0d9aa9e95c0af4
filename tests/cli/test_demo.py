"""The tour: every scene fits a screen, its command works, and keys lead through it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import chain

import pytest

from stablelse.analysis.tour import SCENES, UnknownSceneError, tour
from stablelse.render.tour import WORDS

OWN = [name for name in SCENES if name != "libraries"]

#: What stands before a pipe, as bytes.
PIPED = {
    "yes 0 | head -n 70000": b"0\n" * 70_000,
    "seq 1 1000000": "".join(f"{i}\n" for i in range(1, 1_000_001)).encode(),
}


def test_every_scene_has_words():
    assert list(WORDS) == list(SCENES)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", OWN)
def test_a_scene_fits_a_screen(name, columns, run):
    done = run("demo", "--scene", name, columns=columns)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) < 24  # one is for the keys
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("name", SCENES)
def test_numbers_are_computed_not_written(name):
    """The words have no figures but those of formulas and of names."""
    words = WORDS[name]
    text = f"{words.title} {words.before} {words.after}"
    for known in ("float64", "float16", "e^0 = 1", "a = 0", "log 0"):
        text = text.replace(known, "")
    figures = set(re.findall(r"\d+", re.sub(r"\{[^}]*\}", "", text)))
    assert figures <= {"0", "1"}


@pytest.mark.parametrize("name", OWN)
def test_the_command_of_a_scene_works(name, run):
    before, _, command = SCENES[name].command.rpartition("stablelse ")
    stdin = PIPED[before.rstrip(" |")] if before else b""
    done = run(*shlex.split(command), stdin=stdin)
    assert (done.code, done.err) == (0, "")
    assert done.out


def test_the_scene_of_the_libraries(run):
    (scene,) = tour(["libraries"])
    (case,) = scene.facts.cases
    assert case.case == "one dominates at zero"
    assert case.results[-1].peer == "exact"
    done = run("demo", "--scene", "libraries")
    assert done.code == 0
    assert "4.248354255291589e-18" in done.out
    assert len(done.out.splitlines()) < 24


def test_what_is_told_is_what_the_library_says():
    (scene,) = tour(["near-zero"])
    told = {figure.name: figure.value for figure in scene.facts.figures}
    assert told["value"] == -5.237847950087536e-06
    assert (told["naive_ulps"], told["shifted_ulps"]) == (26_829, 62_271)
    (scene,) = tour(["one-pass"])
    assert scene.facts.passes[-1].value == 1001.3490122167682


def test_a_scene_that_is_not_there(run):
    done = run("demo", "--scene", "overflw")
    assert (done.code, done.out) == (2, "")
    assert "there is no scene 'overflw': did you mean overflow? choose from overflow," in done.err
    assert done.err.count("\n") == 1
    with pytest.raises(UnknownSceneError, match="choose from"):
        next(tour(["nowhere"]))


def test_without_a_terminal_it_goes_straight_through(run, monkeypatch):
    monkeypatch.delitem(SCENES, "libraries")
    whole = run("demo")
    assert whole == run("demo", "--all")
    assert whole.out.count("\n $ stablelse ") + whole.out.count(" | stablelse ") == len(OWN)


def _wait_for_a_key(leader):
    """Wait until the program reads single keys: what comes before that is thrown away."""
    import termios

    for _ in range(3000):
        if not termios.tcgetattr(leader)[3] & termios.ICANON:
            return
        time.sleep(0.01)
    raise AssertionError("it does not wait for a key")


def on_terminal(keys, expected):
    """Run the tour on a terminal, typing each key when its scene is there; return what it shows."""
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
    shown = ""
    for key, title in zip(chain(keys, [None]), expected, strict=True):
        while title is not None and not re.search(f"{re.escape(title)}.*q leaves", shown, re.S):
            shown += os.read(leader, 4096).decode()
        if key is not None:
            shown = ""
            _wait_for_a_key(leader)
            os.write(leader, key)
    with suppress(OSError):  # the terminal's end, once the program has left it
        while part := os.read(leader, 4096):
            shown += part.decode()
    os.close(leader)
    return process.wait(timeout=30), shown


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no such terminals")
def test_keys_lead_through_it():
    keys = [b" ", b"\x1b[C", b"\x7f", b"q"]
    titles = ["1/11 overflow", "2/11 underflow", "3/11 shift", "2/11 underflow"]
    code, _ = on_terminal(keys, [*titles, None])
    assert code == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no such terminals")
def test_an_interrupt_ends_it():
    code, shown = on_terminal([b"x", b"\x03"], ["1/11 overflow", "2/11 underflow", None])
    assert code == 130
    assert "Traceback" not in shown


def test_the_list_is_names_alone(run, tmp_path):
    for more in (["--json"], ["--save", str(tmp_path / "x.svg")]):
        done = run("demo", "--list", *more)
        assert (done.code, done.out) == (2, "")
        assert "--list has names alone" in done.err
    assert list(tmp_path.iterdir()) == []


def test_libraries_that_are_not_there_are_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    done = run("demo", "--scene", "libraries")
    assert done.code == 0
    assert "jax" in done.out
