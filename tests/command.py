"""Runs the command line in this process."""

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def run_here(
    args: Sequence[str], stdin: bytes = b"", encoding: str = "utf-8", **settings: str
) -> tuple[int, str, str]:
    """Return the exit code, and what was printed on stdout and stderr."""
    from stablelse.cli.main import main

    streams = {
        "stdin": io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)), "utf-8"),
        "stdout": io.TextIOWrapper(io.BytesIO(), encoding, newline="\n"),
        "stderr": io.TextIOWrapper(io.BytesIO(), encoding, newline="\n"),
    }
    with _in_place(streams, {"COLUMNS": "80", **settings}):
        try:
            main(list(args))
        except SystemExit as stop:
            code = stop.code
    printed = []
    for name in ("stdout", "stderr"):
        streams[name].flush()
        printed.append(streams[name].buffer.getvalue().decode(encoding))
    return code, *printed


@contextmanager
def _in_place(streams: dict, settings: dict[str, str]) -> Iterator[None]:
    """Replace the standard streams and the settings of the terminal for a while."""
    before = {name: getattr(sys, name) for name in streams}
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    os.environ.update(settings)
    try:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        yield
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            if handler is not signal.getsignal(number):
                signal.signal(number, handler)
