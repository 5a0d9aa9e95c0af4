"""The lab in the terminal: every key and the mouse, and what the command refuses."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.analysis.lab import BREAKS, State
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import find_format
from stablelse.numerics.functions import Function

pytest.importorskip("textual", reason="textual is not installed")

from stablelse.cli.textual import MOVES, Lab
from stablelse.render.lab import EXERCISES, answer_text, command_text

START = State((1000.0, 1001.0, 1002.0))
_FLOAT16 = State((1.0, 2.0, 3.0), Function.SOFTMAX, "float16")
_LOST = State((0.0, -40.0), Function.LOG_SOFTMAX, "float32", shift=-40.0, selected=1)


def played(state, *keys, size=(80, 24), act=None):
    """Press keys in the lab; return it, with its screen as lines."""

    async def play():
        lab = Lab(state)
        async with lab.run_test(size=size) as pilot:
            await pilot.press(*keys)
            if act is not None:
                await act(pilot)
            await pilot.pause()
            lab.seen = [
                "".join(part.text for part in line)
                for line in lab.screen._compositor.render_strips()
            ]
            lab.drawn = lab.export_screenshot(title="stablelse lab")
        return lab

    return asyncio.run(play())


#: What each key makes of (1000, 1001, 1002).
KEYS = {
    "left": {"selected": 2},
    "right": {"selected": 1},
    "up": {"x": (1001.0, 1001.0, 1002.0)},
    "down": {"x": (999.0, 1001.0, 1002.0)},
    "shift+up": {"x": (1010.0, 1001.0, 1002.0)},
    "shift+down": {"x": (990.0, 1001.0, 1002.0)},
    "alt+up": {},
    "alt+down": {"x": (709.7827128933841, 1001.0, 1002.0)},
    "t": {"x": (1001.0, 1002.0, 1003.0)},
    "T": {"x": (999.0, 1000.0, 1001.0)},
    "a": {"shift": 1003.0},
    "A": {"shift": 1001.0},
    "m": {},
    "f": {"format": "float32"},
    "F": {"function": Function.SOFTMAX},
}


def test_every_key_moves_the_state():
    seen = {}

    async def press_all(pilot):
        for key in MOVES:
            pilot.app.show(START)
            await pilot.press(key)
            seen[key] = pilot.app.state

    played(START, act=press_all)
    assert seen == {key: replace(START, **changed) for key, changed in KEYS.items()}


def test_the_screen_fits_and_says_what_lse_says(run):
    lines = played(START).seen
    said = run("lse 1000 1001 1002").out.splitlines()
    assert len(lines) == 24
    for line in (line for line in said if not line.startswith(" x ")):  # one point is marked
        assert line.rstrip() in [seen.rstrip() for seen in lines]
    assert max(map(len, lines)) <= 80
    assert lines[-1].rstrip().endswith("q quit")


@pytest.mark.parametrize("how", BREAKS)
def test_the_keys_that_break_naive(how):
    lab = played(State((1.0, 2.0, 3.0)), how[0])
    naive, shifted, _ = lab.state.comparison().results
    assert naive.verdict in BREAKS[how]
    assert shifted.verdict is Verdict.RIGHT
    assert f"x + t first has an {how} at t = " in lab.seen[-2]


@given(
    st.lists(st.floats(-20, 20, width=16), min_size=1, max_size=4),
    st.sampled_from(list(Function)),
    st.sampled_from(["float16", "float32", "float64"]),
    st.sampled_from(list(BREAKS)),
)
def test_the_first_break_is_the_first(x, function, name, how):
    state, format_ = State(tuple(x), function, name), find_format(name)
    moved, t = state.broken(how)
    assert moved.comparison().results[0].verdict in BREAKS[how]
    if how == "overflow" or function is Function.LOGSUMEXP:  # a quotient can vanish and come back
        beyond = format_.dtype.type(-np.inf if how == "overflow" else np.inf)
        before = np.nextafter(format_.dtype.type(t), beyond)
        x_before = (format_.round(np.array(x)) + before).astype(float)
        there = state.with_numbers(x_before.tolist()).comparison().results[0]
        assert there.verdict not in BREAKS[how]


def test_numbers_are_edited_in_place():
    lab = played(START, "enter", "end", *" 5", "enter")
    assert lab.state.x == (1000.0, 1001.0, 1002.0, 5.0)
    lab = played(START, "enter", "end", "x", "enter")
    assert lab.state == START
    assert "not a number" in lab.seen[-2]
    assert played(START, "enter", "end", *" 7", "escape").state == START
    assert "at least one number" in played(START, "enter", "end", "ctrl+u", "enter").seen[-2]


def test_a_tiny_terminal_shows_a_part():
    assert played(START, "up", size=(10, 3)).state != START


def dragging(line, begin, end):
    """Drag what is on a line of the ruler from one column to another."""

    async def drag(pilot):
        await pilot.mouse_down("#ruler", offset=(begin, line))
        await pilot.hover("#ruler", offset=(end, line))
        await pilot.mouse_up("#ruler", offset=(end, line))

    return drag


def test_the_mouse_drags_a_point_and_the_shift():
    state = played(START, act=dragging(1, 70, 40)).state
    assert sum(x < 710 for x in state.x) == 1
    assert state.shift == "max"
    odd = State((math.nan, 1000.0, math.inf))
    assert set(odd.x[1:]) - set(played(odd, act=dragging(1, 70, 40)).state.x)
    assert State((math.inf,)).dragged(3, True).shift == "max"
    state = played(START, act=dragging(2, 43, 60)).state
    assert state.x == START.x
    assert state.a < 1000


def test_help_save_copy_and_quit(here):
    lab = played(START, "question_mark")
    assert any("alt to the next threshold" in line for line in lab.seen)
    lab = played(START, "question_mark", "up", "s", "s")
    assert lab.state == START
    assert "saved lab-2.svg" in lab.seen[-2]
    assert sorted(path.name for path in here.iterdir()) == ["lab-1.svg", "lab-2.svg"]
    lab = played(START, "f", "a", "c", "q")
    command = "stablelse lse 1000 1001 1002 --shift 1003 --dtype float32"
    assert lab.clipboard == command
    assert command_text(lab.return_value, START, None) == command


def test_a_long_vector_is_computed_in_the_background():
    x = tuple(np.random.default_rng(3).standard_normal(20_000).tolist())

    async def wait(pilot):
        await pilot.app.workers.wait_for_complete()

    lab = played(State(x), "t", act=wait)
    assert lab.comparison.n == 20_000
    assert any("20,000 numbers in" in line for line in lab.seen)


@pytest.mark.parametrize(
    ("name", "state", "keys"),
    [("overflow", START, ()), ("softmax", _FLOAT16, ("o",)), ("lost", _LOST, ())],
)
def test_three_states_look_the_same(name, state, keys, golden):
    golden(f"lab-{name}.svg", played(state, *keys).drawn)


@pytest.mark.parametrize("number", range(1, 6))
def test_exercises_are_asked_and_accept_the_true_answer_alone(run, number):
    exercise = EXERCISES[number - 1]
    done = run(f"lab --exercise {number}")
    question, answer = done.out.splitlines()
    assert (done.code, question[-1], answer[:12]) == (0, "?", "The answer: ")
    truth = exercise.answer(exercise.state)
    for guess, verdict in {f" {truth} ": "Yes", "12.3": "No", "what": "No"}.items():
        assert answer_text(exercise, guess).startswith(f"{verdict}: ")


def test_files_and_pages(run, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1000,1001\n")
    done = run(f"lab --file {tmp_path}/x.csv --row 2 --shift min --save {tmp_path}/lab.html")
    assert (done.code, done.out, done.err) == (0, "", "")
    text = (tmp_path / "lab.html").read_text(encoding="utf-8")
    assert '"state": {"x": ["1000", "1001"], "shift": "1000"' in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
