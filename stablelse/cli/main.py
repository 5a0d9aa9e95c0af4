"""The command's entry: one line on stderr if anything goes wrong, and the right exit code."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
from collections.abc import Sequence
from traceback import format_exception
from typing import TYPE_CHECKING, Any, TextIO

import typer

from stablelse.cli import tell
from stablelse.cli.app import COMMANDS, app
from stablelse.cli.help import with_hint
from stablelse.numerics.threads import SettingError
from stablelse.printable import printable

if TYPE_CHECKING:
    from types import FrameType

#: The base class of Typer's errors for wrong usage.
_UsageError: Any = typer.BadParameter.__mro__[2]


_OUT_OF_MEMORY = (
    "out of memory; lse, and softmax with --quiet or --output FILE.npy, take vectors of any length"
)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 if a check said no, 2, 70 for a bug, 130 on Ctrl-C."""
    _open_closed_streams()
    gc.set_threshold(50_000)  # a short run ends before there is garbage to collect
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, _on_broken_pipe)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for odd file names
    sys.exit(_exit_code(args))


def _exit_code(args: list[str] | None) -> int:
    try:
        code = typer.main.get_command(app).main(args, prog_name="stablelse", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except KeyboardInterrupt:
        return 130
    except _UsageError as error:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "stablelse"
        name, possible = getattr(error, "option_name", ""), getattr(error, "possibilities", None)
        message = _INSTEAD.get(name) or with_hint(error.format_message())
        if name and name not in _INSTEAD:
            message = _unknown(name, command.split()[-1], possible)
        return _complain(f"{message} (see {command} --help)")
    except OSError as error:
        _silence(sys.stdout)
        place = error.filename if error.filename is not None else "standard output"
        return _complain(f"cannot write {place}: {error.strerror or error}")
    except (ValueError, MemoryError) as error:
        if _is_input_error(error):
            return _complain(with_hint(str(error)))
        return _complain(_OUT_OF_MEMORY) if isinstance(error, MemoryError) else _confess(error)
    except Exception as error:  # anything unforeseen
        return _confess(error)


def _unknown(name: str, command: str, possible: Sequence[str] | None) -> str:
    """Return the error for an option that the command does not have."""
    option = name.removeprefix("--").replace("-", "_")
    having = [other for other, each in COMMANDS.items() if option in each.options.split()]
    if having:
        who = f"{', '.join(having)} {'has' if len(having) == 1 else 'have'} it"
        instead = _INSTEAD.get(f"{command} {name}")
        return f"{command} has no {name}: {who}" + (f"; {instead}" if instead else "")
    return f"{name} is not an option" + (f": did you mean {possible[0]}?" if possible else "")


_ADD = "add the logarithms of the weights to the numbers"

#: What to do instead of former options, or those of another command.
_INSTEAD = {
    "softmax --weights": _ADD,
    "log-softmax --weights": _ADD,
    "--exact": "results are always exact: leave out --exact",
    "--no-exact": "results are always exact: leave out --no-exact, or choose with --method",
}


def _open_closed_streams() -> None:
    """Replace closed streams, or the next opened file would get the number of one."""
    # Writing to a closed standard output must fail, since the output would be lost.
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            flags = os.O_RDWR if name == "stderr" else os.O_RDONLY
            os.dup2(os.open(os.devnull, flags), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _confess(error: Exception) -> int:
    """Say in one line that this is a bug in stablelse, and how to report it."""
    if os.environ.get("STABLELSE_TRACEBACK"):
        lines = "".join(format_exception(error)).split("\n")
        sys.stderr.write("\n".join(map(printable, lines)))
        return _BUG
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _complain(
        f"a bug in stablelse, not in the input ({what}); to report it, run the command again with "
        "STABLELSE_TRACEBACK=1 and send what that prints, with the input"
    )
    return _BUG


#: EX_SOFTWARE of sysexits.h.
_BUG = 70


def _is_input_error(error: Exception) -> bool:
    """Whether the error is about the input; any other is a bug."""
    loaded = sys.modules.get("stablelse.cli.input")  # without it, nothing was read
    return isinstance(error, (SettingError, *getattr(loaded, "INPUT_ERRORS", ())))


def _complain(message: str) -> int:
    try:
        tell(f"error: {message}")
    except OSError:  # only the exit code can say it
        _silence(sys.stderr)
    return 2


def _on_broken_pipe(signum: int, _: FrameType | None) -> None:
    """End by the signal, as `| head` expects, if standard output broke; else the write fails."""
    poll = select.poll()
    poll.register(1, 0)  # no events: errors are always reported
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def _silence(stream: TextIO) -> None:
    """Keep the interpreter from flushing unwritten output at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
