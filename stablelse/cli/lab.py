"""The lab: move the numbers, the shift and the format, and watch naive and shifted."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import typer

from stablelse.analysis.lab import LONGEST, State, lab_formats
from stablelse.cli.input import only, read_vectors
from stablelse.cli.options import Request
from stablelse.cli.screen import terminal_restored
from stablelse.files import open_sink
from stablelse.numerics.formulas import find_shift
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import find_formats
from stablelse.render.lab import (
    EXERCISES,
    MOST_SLIDERS,
    PAGE_FORMATS,
    Exercise,
    answer_text,
    command_text,
    exercise_text,
    page,
)

#: Leaves the alternate screen; the mouse, pasting and the keys are as usual, the cursor is shown.
_LEAVE = "\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[<u\x1b[?1049l\x1b[?25h"

#: The numbers of a lab without any.
_START = ["1000", "1001", "1002"]


def run(request: Request) -> None:
    """Save the lab as a page, ask an exercise, or run the lab in the terminal."""
    if request.exercise:
        _ask(EXERCISES[request.exercise - 1])
        return
    state, source = _state(request), (request.file or [None])[0]
    if not request.save:
        _show(state, source)
        return
    if len(state.x) > MOST_SLIDERS:
        raise typer.BadParameter(
            f"a page has a slider for each number: {MOST_SLIDERS} at most, not {len(state.x):,}"
        )
    if state.format not in PAGE_FORMATS:
        raise typer.BadParameter(f"a page has no {state.format}: {', '.join(PAGE_FORMATS)}")
    for path in request.save:
        with open_sink(path) as file:
            file.write(page(state, request.title))


def _state(request: Request) -> State:
    """Return the first state."""
    found = find_formats(request.dtype or "float64")
    if len(found) > 1:
        raise typer.BadParameter("the lab shows one format at a time: give --dtype once")
    if found[0].name not in lab_formats():
        raise typer.BadParameter(f"the lab goes up to float64: {found[0].name} is wider")
    if request.is_without_numbers:
        request = request.but(numbers=_START)
    stack = only(
        read_vectors(request, "float64"), "{} has more than one vector: choose one", "--row"
    )
    x = stack.values[0].astype(float)
    if len(x) > LONGEST:
        raise typer.BadParameter(f"the lab takes {LONGEST:,} numbers at most, not {len(x):,}")
    shift = find_shift(request.shift or "max")
    a = "max" if shift.name == "max" else float(shift.rule(x)[0])
    return State(tuple(x.tolist()), Function(request.function or "lse"), found[0].name, a)


def _show(state: State, source: str | None) -> None:
    """Run the lab in the terminal, and leave the command of its last state there."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.BadParameter(
            "the lab needs a terminal: write it as a page instead, with --save lab.html"
        )
    if find_spec("textual") is None:
        raise typer.BadParameter(
            "the lab in the terminal needs textual: pip install textual brings it; "
            "or write a page, which needs nothing else, with --save lab.html"
        )
    from stablelse.cli.textual import Lab

    with terminal_restored(_LEAVE):
        last: Any = Lab(state, source).run()
    if last is None:
        raise KeyboardInterrupt
    typer.echo(command_text(last, state, source))


def _ask(exercise: Exercise) -> None:
    """Ask for the answer on a terminal; elsewhere, print it."""
    typer.echo(exercise_text(exercise))
    given = None
    if sys.stdin.isatty():
        with suppress(EOFError):
            given = input("Your answer: ")
    typer.echo(answer_text(exercise, given))
