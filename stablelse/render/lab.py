"""The lab as a page, and its state and exercises in words."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from html import escape
from importlib.resources import files
from math import frexp, log10
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import compare
from stablelse.analysis.lab import State, lab_formats
from stablelse.analysis.results import MethodResult
from stablelse.numerics.formats import ALIASES, FORMATS
from stablelse.numerics.functions import Function
from stablelse.printable import printable
from stablelse.render.notation import UNICODE
from stablelse.render.numbers import bound_text, number_text
from stablelse.render.records import record
from stablelse.render.words import (
    FUNCTION_NAMES,
    KIND_WORDS,
    SENTENCES,
    VERDICT_WORDS,
    cut_text,
    symbol_text,
)

#: The most numbers in a command, and on the page, which has a slider for each.
_MOST, MOST_SLIDERS = 1000, 12

#: The formats of the page.
PAGE_FORMATS = ("float64", "float32", "float16", "bfloat16")

#: bfloat16 without its extra, which the page does not need.
_BFLOAT16 = SimpleNamespace(
    significand_bits=8,
    largest=(2 - 2.0**-7) * 2.0**127,
    smallest_normal=2.0**-126,
    underflow_threshold=-92.5,
    overflow_threshold=88.5,
)


class Exercise(NamedTuple):
    """A question about a state, and what computes the true answer."""

    state: State
    question: str
    answer: Callable[[State], float | str]


_BROKEN = State((1000.0, 1001.0, 1002.0))
_GIVES = " in float64. What does naive give{}: a number, 0, inf, -inf or nan?"

#: The exercises of the lesson in the guide, in its order.
EXERCISES = (
    Exercise(_BROKEN, _GIVES.format(""), State.first_entry),
    Exercise(State((-1000.0, -1001.0), Function.SOFTMAX),
             _GIVES.format(" for x_1"), State.first_entry),
    Exercise(State((1.0, 2.0, 3.0), format="float16"),
             " in float16. What is the smallest t for which naive overflows at x + t?",
             State.first_overflow),
    Exercise(_BROKEN, " in float64. What is the smallest whole shift a for which shifted is right?",
             State.smallest_shift),
    Exercise(State((40.0, 41.0)),
             ". Which is the narrowest of float16, float32 and float64 where naive is right?",
             State.narrowest_format),
)  # fmt: skip

#: The keys, in a line and in full.
KEYS = "←→ select  ↑↓ move  t all  a shift  m max  f format  F function  ? help  q quit"
HELP = """\
 left right     select an element
 up down        move it by 1, with shift by 10, with alt to the next threshold
 t T            move all elements up, down
 a A            move the shift up, down; m makes it the largest element again
 f F            the next format, the next function
 o u            move all elements until naive overflows, or underflows
 enter          edit the numbers; enter again takes them, escape does not
 mouse          drag a point of x, or the points of x − a to move the shift
 c s            copy the command that shows this state, save its picture
 q              quit; the command stays on the screen

 Any key goes back to the numbers."""


def broken_text(how: str, state: State, t: float | None) -> str:
    """Return at which t the numbers of a state broke, or that there is none."""
    if t is None:
        return f"there is no t with an {how} in {state.format}"
    return f"x + t first has an {how} at t = {number_text(t)}"


def status_text(state: State) -> str:
    """Return the selected number and the shift."""
    chosen = f"x_{state.selected + 1:,} = {number_text(state.x[state.selected])}"
    return f"{chosen}   a = {'max' if state.shift == 'max' else number_text(state.a)}"


def command_text(state: State, first: State, source: str | None) -> str:
    """Return the command that shows a state; `first` is what was read from `source`."""
    numbers = " ".join(map(number_text, state.x[:_MOST]))
    if len(state.x) > _MOST:
        if state.x != first.x or source is None:
            return f"{len(state.x):,} moved numbers are too many for a command"
        numbers = f"--file {shlex.quote(printable(source))}"
    shift = "" if state.shift == "max" else f" --shift {number_text(state.a)}"
    dtype = "" if state.format == "float64" else f" --dtype {state.format}"
    return f"stablelse {state.function.command} {numbers}{shift}{dtype}"


def exercise_text(exercise: Exercise) -> str:
    """Return the question of an exercise, with its numbers."""
    state = exercise.state
    name = f"{FUNCTION_NAMES[state.function]} of {' '.join(map(number_text, state.x))}"
    return f"{name}{exercise.question}"


def answer_text(exercise: Exercise, given: str | None) -> str:
    """Return the true answer of an exercise, and whether a given one is right."""
    state, answer = exercise.state, exercise.answer(exercise.state)
    shown = answer if isinstance(answer, str) else number_text(answer)
    if given is None:
        return f"The answer: {shown}"
    verdict = "Yes" if is_right(answer, given.strip().lower()) else "No"
    return f"{verdict}: {shown}\nSee it: {command_text(state, state, None)}"


def is_right(answer: float | str, given: str) -> bool:
    """Return whether an answer is right: to 1 % if it is a number."""
    if isinstance(answer, str):
        return ALIASES.get(given, given) == answer
    try:
        number = float(given.replace("∞", "inf").replace("−", "-"))
    except ValueError:
        return False
    return bool(np.isclose(number, answer, rtol=0.01, atol=0, equal_nan=True))


def page(state: State, title: str) -> str:
    """Return the lab as one page that needs nothing else, with a first state."""
    text = (files("stablelse.render") / "lab.html").read_text(encoding="utf-8")
    data = json.dumps(_data(state), ensure_ascii=True, allow_nan=False)
    # "<" could end the script; json escapes everything that is not ASCII
    filled = {"title": escape(title), "data": data.replace("<", "\\u003c")}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], text)


def _data(state: State) -> dict[str, Any]:
    names = [name for name in PAGE_FORMATS if name in lab_formats()]
    functions: list[dict[str, Any]] = []
    exact: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for function in Function:
        comparison = compare(state.x, function.value, formats=names, errors=False)
        naive, shifted, *_ = comparison.results
        each: dict[str, Any] = {"name": function.value, "title": FUNCTION_NAMES[function]}
        each |= {"command": function.command, "naive": list(_operations(naive))}
        functions.append(each | {"shifted": list(_operations(shifted))})
        for result in comparison.results[2::3]:
            values = record(result.value)
            values = values if isinstance(values, list) else [values]
            exact[result.format][function.value] = list(map(str, values))
    return {
        "functions": functions,
        "formats": list(map(_limits, PAGE_FORMATS)),
        "verdicts": {verdict.value: words for verdict, words in VERDICT_WORDS.items()},
        "kinds": {kind.value: words for kind, words in KIND_WORDS.items()},
        "sentences": SENTENCES,
        "state": {
            "x": list(map(number_text, state.x)),
            "shift": "max" if state.shift == "max" else number_text(state.a),
            "format": state.format,
            "function": state.function.value,
        },
        "exact": exact,
    }


def _operations(result: MethodResult) -> Iterator[list[Any]]:
    """Yield each operation: symbol, kind, operands, heading, and whether each element has it."""
    assert result.evaluation is not None
    for operation in result.evaluation.operations:
        symbol, kind, operands = operation
        heading = symbol_text(result, symbol, UNICODE)
        names = [operand.symbol for operand in operands]
        yield [symbol, kind.value, names, heading, operation.per_element]


def _limits(name: str) -> dict[str, Any]:
    """Return the numbers of a format that the page needs."""
    format_ = _BFLOAT16 if name == "bfloat16" else FORMATS[name]
    low, high = float(format_.underflow_threshold), float(format_.overflow_threshold)
    largest, normal = float(format_.largest), float(format_.smallest_normal)
    p = format_.significand_bits
    return {
        **{"name": name, "p": p, "emin": frexp(normal)[1] - 1, "digits": round(p * log10(2))},
        **{"largest": largest, "normal": normal, "low": low, "high": high},
        **{"lowText": bound_text(low), "highText": bound_text(high)},
        **{"largestText": cut_text(largest), "smallestText": cut_text(2 * normal * 2.0**-p)},
    }
