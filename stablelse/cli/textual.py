"""The lab in the terminal: keys and the mouse move a state, and the screen shows what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from stablelse.analysis.lab import State
from stablelse.analysis.results import Comparison
from stablelse.files import open_sink
from stablelse.numerics.formats import find_format
from stablelse.printable import printable
from stablelse.readers.blocks import ReadError
from stablelse.readers.literals import parse_numbers
from stablelse.render.export import to_svg
from stablelse.render.lab import HELP, KEYS, broken_text, command_text, status_text
from stablelse.render.layout import NARROWEST
from stablelse.render.numbers import number_text
from stablelse.render.ruler import GUTTER, RulerAxis
from stablelse.render.screen import Screen

#: Longer vectors are computed in the background, and are not edited as text.
_SHORT = 1000

#: What each key does to the state.
MOVES: dict[str, Callable[[State], State]] = {
    "left": lambda state: state.next("selected", -1),
    "right": lambda state: state.next("selected"),
    "up": lambda state: state.moved(1),
    "down": lambda state: state.moved(-1),
    "shift+up": lambda state: state.moved(10),
    "shift+down": lambda state: state.moved(-10),
    "alt+up": lambda state: state.at_threshold(1),
    "alt+down": lambda state: state.at_threshold(-1),
    "t": lambda state: state.all_moved(1),
    "T": lambda state: state.all_moved(-1),
    "a": lambda state: state.shift_moved(1),
    "A": lambda state: state.shift_moved(-1),
    "m": lambda state: replace(state, shift="max"),
    "f": lambda state: state.next("format"),
    "F": lambda state: state.next("function"),
}

#: The keys of the other actions.
_ACTIONS = {
    "o": "broken('overflow')",
    "u": "broken('underflow')",
    "c": "copy",
    "s": "save",
    "question_mark": "help",
    "q": "leave",
    "enter": "edit",
    "escape": "stop",
}


class Lab(App[State]):
    """The lab; it returns the last state."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None  # keys go to the lab, not to the line of numbers
    CSS = """
    Screen { layout: vertical; }
    Static { height: auto; }
    #status, #keys { height: 1; }
    Input, Input:focus { height: 1; border: none; padding: 0 1; background: ansi_default; }
    #picture { height: 1fr; }
    """
    BINDINGS: ClassVar = [
        *(Binding(key, f"move('{key}')") for key in MOVES),
        *(Binding(key, action) for key, action in _ACTIONS.items()),
        Binding("ctrl+q", "leave", priority=True),
        Binding("ctrl+c", "quit", priority=True),  # without a state
    ]

    def __init__(self, state: State, source: str | None = None) -> None:
        super().__init__(ansi_color=True)
        self.state, self.first, self.source = state, state, source
        self.comparison: Comparison | None = None  # of the last state that was drawn
        self.dragged: int | None = None  # the line of the ruler whose point follows the mouse
        self.is_helping = False

    def compose(self) -> ComposeResult:
        """Put the parts below each other."""
        yield Input(id="numbers", select_on_focus=False, compact=True)
        yield Static(id="verdict")
        yield Static(id="ruler")
        yield Static(id="picture")
        yield Static(id="status")
        yield Static(Text(f" {KEYS}", "dim", no_wrap=True), id="keys")

    def on_mount(self) -> None:
        """Show the first state."""
        self.query_one(Input).disabled = len(self.state.x) > _SHORT
        self.show(self.state)

    def show(self, state: State, note: str = "") -> None:
        """Compute a state and show it, in the background if it takes long."""
        self.state = state
        if len(state.x) <= _SHORT:
            self.draw(state, state.comparison(), note)
        else:
            self.query_one("#status", Static).update(Text(" computing ...", "dim"))
            self.compute(state, note)

    @work(thread=True, exclusive=True)
    def compute(self, state: State, note: str) -> None:
        """Compute in a thread; only the last state that was asked for is shown."""
        comparison = state.comparison()
        self.call_from_thread(self.draw, state, comparison, note)

    def draw(self, state: State, comparison: Comparison, note: str = "") -> None:
        """Show a state and what the methods give."""
        if state is not self.state:
            return
        self.comparison = comparison
        numbers = " ".join(map(number_text, state.x[:_SHORT]))
        line = self.query_one(Input)
        if not line.has_focus:
            line.value = numbers if len(state.x) <= _SHORT else f"{len(state.x):,} numbers"
        used = 3  # the lines of numbers, of the status and of the keys
        for name in ("verdict", "ruler", "picture"):
            parts = ("table", "why") if name == "picture" else (name,)
            room = self.size.height - used
            lines = self.lines(Screen(comparison, None, False, parts, room, state.selected))
            self.query_one(f"#{name}", Static).update(Text("\n").join(lines))
            used += len(lines)
        self.query_one("#status", Static).update(Text(f" {note or status_text(state)}", "bold"))

    @property
    def columns(self) -> int:
        """The width of the picture; a narrower terminal shows a part of it."""
        return max(self.size.width, NARROWEST)

    def lines(self, screen: Screen) -> list[Text]:
        """Return the lines of a part of the screen."""
        options = self.console.options.update(width=self.columns)
        lines: list[Any] = list(screen.__rich_console__(self.console, options))
        return [line for text in lines[:-1] for line in text.split()]  # a blank line is the last

    def on_resize(self) -> None:
        """Fit the picture into the new size."""
        if self.comparison is not None:
            self.draw(self.state, self.comparison)

    def action_move(self, key: str) -> None:
        """Change the state as the key says."""
        self.show(MOVES[key](self.state))

    def action_broken(self, how: str) -> None:
        """Move all elements to where the naive method first breaks."""
        found = self.state.broken(how)
        state, t = found or (self.state, None)
        self.show(state, broken_text(how, state, t))

    def action_edit(self) -> None:
        """Let the user type other numbers."""
        self.query_one(Input).focus()

    def action_stop(self) -> None:
        """Leave the line of numbers as it was."""
        self.set_focus(None)
        self.show(self.state)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the numbers that were typed, or say what is wrong with them."""
        try:
            if not (words := event.value.replace(",", " ").split()):
                raise ReadError("give at least one number")
            typed = parse_numbers(words)
        except ReadError as error:
            self.query_one("#status", Static).update(Text(f" {printable(str(error))}", "bold red"))
            return
        self.set_focus(None)
        self.show(self.state.with_numbers(typed.tolist()))

    def action_copy(self) -> None:
        """Copy the command, if the terminal allows it, and show it."""
        command = command_text(self.state, self.first, self.source)
        self.copy_to_clipboard(command)
        self.show(self.state, command)

    def action_save(self) -> None:
        """Save the picture in the current folder, under a new name."""
        names = (f"lab-{number}.svg" for number in count(1))
        name = next(name for name in names if not Path(name).exists())
        command = command_text(self.state, self.first, self.source)
        try:
            with open_sink(name) as file:
                file.write(to_svg(self.picture(), command, self.size.width))
        except OSError as error:
            self.show(self.state, f"cannot write {name}: {error.strerror}")
        else:
            self.show(self.state, f"saved {name}")

    def picture(self) -> Text:
        """Return the whole screen as text in colour."""
        lines = self.screen._compositor.render_strips()
        return Text("\n").join(
            Text.assemble(*((part.text, part.style or "") for part in line)) for line in lines
        )

    def action_help(self) -> None:
        """Explain the keys until the next one."""
        self.is_helping = True
        self.query_one("#picture", Static).update(Text(HELP))

    def on_key(self, event: events.Key) -> None:
        """Go back from the explanation."""
        if self.is_helping:
            self.is_helping = False
            event.prevent_default()
            event.stop()
            self.show(self.state)

    def action_leave(self) -> None:
        """Quit with the last state."""
        self.exit(self.state)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the point of x next to the mouse, or of the shift."""
        if event.widget is not None and event.widget.id == "ruler" and event.y in (1, 2):
            self.dragged = int(event.y)
            self.capture_mouse(event.widget)
            self.drag(event, take=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Let the point follow the mouse."""
        if self.dragged is not None:
            self.drag(event)

    def on_mouse_up(self) -> None:
        """Let the point go."""
        self.dragged = None
        self.capture_mouse(None)

    def drag(self, event: events.MouseEvent, take: bool = False) -> None:
        """Select the nearest point, or move the held one to the mouse."""
        axis = RulerAxis(find_format(self.state.format), self.columns)
        cell, is_shift = int(event.x) - GUTTER, self.dragged == 2
        if take:
            points = self.state.exponents if is_shift else self.state.x
            self.show(replace(self.state, selected=axis.nearest(points, cell)))
        else:
            self.show(self.state.dragged(axis.number(cell), is_shift))
