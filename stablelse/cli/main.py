"""The command's entry: one line on stderr for anything that goes wrong, and honest exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import typer

from stablelse.cli.app import app

if TYPE_CHECKING:
    from types import FrameType

#: What Typer raises for wrong usage, by the class that all of them derive from.
_UsageError: Any = typer.BadParameter.__mro__[2]


_OUT_OF_MEMORY = (
    "out of memory; lse as it is, and softmax with --quiet or --output FILE.npy, take any number "
    "of numbers"
)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    args : list of str, optional
        The arguments; those of the process by default.

    Raises
    ------
    SystemExit
        Code 0; 1 where a check that was asked for says no; 2 for wrong usage or bad input,
        with one line on stderr; 130 on Ctrl-C.
    """
    gc.set_threshold(50_000)  # a short run is over before there is any garbage to collect
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, _on_broken_pipe)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name no locale can spell
    sys.exit(_exit_code(args))


def _exit_code(args: list[str] | None) -> int:
    try:
        code = typer.main.get_command(app).main(args, prog_name="stablelse", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(code or 0)
    except KeyboardInterrupt:
        return 130
    except _UsageError as error:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "stablelse"
        return _complain(f"{_one_line(error.format_message())} (see {command} --help)")
    except OSError as error:
        _silence_stdout()
        place = error.filename if error.filename is not None else "standard output"
        return _complain(f"cannot write {place}: {error.strerror or error}")
    except (ValueError, MemoryError) as error:
        if _is_input_error(error):
            return _complain(_one_line(str(error)))
        if isinstance(error, MemoryError):
            return _complain(_OUT_OF_MEMORY)
        raise


def _is_input_error(error: Exception) -> bool:
    """Whether the error speaks of the input: any other is a bug, and shows its traceback."""
    from stablelse.numerics.settings import SettingError

    if isinstance(error, SettingError):  # of the environment: it may be what ended an import
        return True
    from stablelse.cli.source import INPUT_ERRORS

    return isinstance(error, INPUT_ERRORS)


def _complain(message: str) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"stablelse: error: {message}\n")
    return 2


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _on_broken_pipe(signum: int, _: FrameType | None) -> None:
    """End by the signal, as `| head` expects of any tool, if it is standard output that broke.

    Anything else that breaks, such as the connection to a server, is an error with a name.
    """
    import select

    poll = select.poll()
    poll.register(1, 0)  # no event is asked for: errors are told unasked
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def _silence_stdout() -> None:
    """Keep the interpreter from flushing at exit what could not be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return
