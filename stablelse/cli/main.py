"""The command's entry: one line on stderr if anything goes wrong, and the right exit code."""

try:
    import gc
    import os
    import sys
    import warnings
    from importlib import import_module

    from stablelse.cli import silence, tell
    from stablelse.files import end_on_signals
except KeyboardInterrupt:  # until `main` begins, Ctrl-C is Python's
    raise SystemExit(130) from None


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 if a check said no, 2, 70 for a bug, 130 on Ctrl-C."""
    end_on_signals()
    _open_closed_streams()
    warnings.showwarning = lambda message, *_, **__: tell(f"note: {message}")
    gc.set_threshold(50_000)  # a short run ends before there is garbage to collect
    os.environ.setdefault("COMP_WORDS", "")  # completion fails without these
    os.environ.setdefault("COMP_CWORD", "0")
    for name in ("COLUMNS", "LINES"):  # Rich would fail on some values
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdigit() and size.strip("0") and len(size) < 6):
            os.environ.pop(name, None)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            try:
                "1".encode(stream.encoding, "backslashreplace")
            except UnicodeError:  # an encoding for other things, from PYTHONIOENCODING
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors="backslashreplace")  # for odd file names
    try:
        code = _exit_code(args)
    except KeyboardInterrupt:
        code = 130
    except MemoryError:
        tell("error: out of memory")
        code = 2
    except Exception as error:  # in an import, or while an error was explained
        tell(f"error: a bug in stablelse, or it is not completely installed ({error!r})")
        code = 70
    sys.exit(code)


def _exit_code(args: list[str] | None) -> int:
    app = import_module("stablelse.cli.app")
    try:
        code: int = app.run(args)
        sys.stdout.flush()
    except Exception as error:
        if isinstance(error, OSError):
            silence(sys.stdout)
        code, message = app.explanation(error)
        tell(f"error: {message}")
    return code


def _open_closed_streams() -> None:
    """Replace closed streams, or the next opened file would get the number of one."""
    # Writing to a closed stream must fail, since the output would be lost.
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDONLY), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
