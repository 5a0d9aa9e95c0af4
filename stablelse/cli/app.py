"""The commands: what each is called, what its help says, and the module that runs it."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise
from pkgutil import resolve_name
from traceback import format_exception
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from stablelse import __version__
from stablelse.cli.help import is_number, page, with_hint, without_numbers, wrong_command
from stablelse.cli.options import Request, parameters, refuse
from stablelse.numerics.threads import SettingError
from stablelse.printable import printable


class Command(NamedTuple):
    """A command; its module of `stablelse.cli` is imported when it runs."""

    module: str  # its `run` gets the request
    options: str  # names in the table of `stablelse.cli.options`
    text: str  # a line for the list of commands, examples, and what else the help says
    is_waiting: bool = False  # without numbers, on a terminal, it prints its help
    quiet: str = ""  # a lighter module that runs it with --quiet

    @property
    def help(self) -> str:
        """The help, in which examples keep their lines."""
        summary, examples, *rest = inspect.cleandoc(self.text).split("\n\n")
        return "\n\n".join([summary, f"\b\nExamples:\n{examples}", *rest])


_INPUT = "file column by key header skip_na delimiter decimal axis "
_VECTORS = f"{_INPUT} numbers row mask temperature "
_OUTPUT = "format json output save color "
_EVALUATE = f"{_VECTORS} {_OUTPUT} dtype method shift empty quiet steps digits all fail_on "

COMMANDS = {
    "lse": Command("evaluate", _EVALUATE + "weights errors engine scheduler timeout", """
    Log-sum-exp, naive and shifted side by side.

      stablelse lse 1000 1001 1002
      stablelse lse -1000 -1001 -inf --shift max --shift 0
      stablelse lse -0.775 -0.6175 --errors
      stablelse lse --file logits.npy --dtype float16 --dtype float32
      stablelse lse --file 'parts/*.csv.gz' --quiet
      stablelse lse --file large.npy --engine dask --scheduler tcp://10.0.0.1:8786
      seq 1 1000 | stablelse lse --quiet

    log(e^x_1 + ... + e^x_n) = a + log(e^(x_1 - a) + ... + e^(x_n - a)), for any a.
    """, is_waiting=True, quiet="values"),
    "softmax": Command("evaluate", _EVALUATE + "errors", """
    Softmax, naive and shifted side by side.

      stablelse softmax 1000 1001 1002
      stablelse softmax --file logits.csv --row 7 --dtype float16
      stablelse softmax 1000 1001 1002 --method shifted --method division-free
      stablelse softmax --file logits.csv --quiet > probabilities.tsv
      stablelse softmax --file model.safetensors --key logits --row 1

    e^x_j / (e^x_1 + ... + e^x_n), and the same with x - a for x, for any a.
    """, is_waiting=True, quiet="values"),
    "log-softmax": Command("evaluate", _EVALUATE + "errors", """
    Log-softmax, naive and shifted side by side.

      stablelse log-softmax 0 -1000
      stablelse log-softmax --file logits.csv --by columns

    The logarithm of the softmax; shifted, x_j - a - log(e^(x_1 - a) + ... + e^(x_n - a)).
    """, is_waiting=True, quiet="values"),
    "nll": Command("nll", _EVALUATE + "logits labels label label_column label_key ignore_index "
        "grad reduction label_smoothing class_weights", """
    The loss of labels, naive and shifted side by side.

      stablelse nll 1000 1001 1002 --label 0
      stablelse nll --logits logits.npy --labels labels.npy --dtype float16
      stablelse nll --logits logits.csv --label-column digit
      stablelse nll --logits logits.csv --labels labels.csv --quiet --reduction none
      stablelse nll --logits logits.npy --labels labels.npy --grad --dtype float16
      stablelse nll 3 1 2 --label 1 --label-smoothing 0.1

    -log(softmax(x)_label) = lse(x) - x_label: the loss of classifiers, which libraries call
    cross-entropy. The naive formula, -log(e^x_label / sum e^x_i), breaks where e^x does.

    Labels count from 0. Rows are processed one after the other, in bounded memory.
    """, is_waiting=True),
    "demo": Command("demo", _OUTPUT + "scene all list", """
    A guided tour: how numbers are lost, and how to keep them.

      stablelse demo
      stablelse demo --all
      stablelse demo --scene near-zero --save near-zero.svg

    One scene per screen: space shows the next one, the left arrow the one before, and q quits.
    Every number is computed when it is shown. If the output is not a terminal, all scenes are
    printed one after the other.
    """),
    "audit": Command("audit", _INPUT + _OUTPUT + "numbers logits values values_key labels "
        "label_column label_key ignore_index function dtype fail_on quiet", """
    Grade numbers that somebody else computed.

      stablelse audit --logits logits.npy --values p.npy --dtype float32
      stablelse audit --logits x.npy --labels y.npy --values loss.npy --function nll
      stablelse audit --logits x.npy --values p.npy --fail-on 'ulp>4,nats>0.01'

    Each number is compared with the exact one, correctly rounded to --dtype: ulps, right digits,
    how many are misrounded, and how far the logarithms of probabilities are off. Rows come one
    after the other, in bounded memory. The exit code is 1 if anything that --fail-on names occurs.
    """, is_waiting=True),
    "lint": Command("lint", "paths format output color rule explain fix diff", """
    Naive formulas in your Python code.

      stablelse lint src
      stablelse lint model.py notebook.ipynb --format github
      stablelse lint src --diff
      stablelse lint --explain LSE001

    Files are parsed, never imported or run. The exit code is 1 if there are findings. A comment
    `# stablelse: ignore[LSE001]` silences a line; [tool.stablelse] in pyproject.toml has lists
    `exclude` (of globs) and `rules`.
    """),
    "lab": Command("lab", _VECTORS + "function dtype shift save exercise", """
    Move the numbers, the shift and the format, and watch.

      stablelse lab
      stablelse lab 1 2 3 --function softmax --dtype float16
      stablelse lab 1000 1001 1002 --save lab.html
      stablelse lab --exercise 1

    The terminal shows the screen of lse, softmax or log-softmax, and the keys move it; ? explains
    them. With --save, the lab is one page that needs no network, for a browser or a phone.
    """),
    "prove": Command("prove", _INPUT + _OUTPUT + "numbers row temperature function shift dtype", """
    Why the shift changes nothing, line by line, on your numbers.

      stablelse prove lse 1000 1001 1002
      stablelse prove lse 1000 1001 1002 --shift 0 --dtype float16
      stablelse prove softmax --format latex > softmax.tex

    log sum e^x_i = a + log sum e^(x_i - a), and e^x_j / sum e^x_i = e^(x_j - a) / sum e^(x_i - a),
    for any a. Every line is evaluated twice: exactly, and in the floating-point format. You see
    which lines the format breaks, and which line to compute.

    Without numbers or files, the derivation is in symbols only. Standard input is read if you say
    `--file -`. If there are many vectors, choose one with --row.
    """),
    "sweep": Command("sweep", _VECTORS + _OUTPUT + "function dtype method shift "
        "offset scale points intervals", """
    Where each method stops being right as x moves.

      stablelse sweep 0 1 2
      stablelse sweep 0 1 2 --scale 1e-3:1e6 --function softmax
      stablelse sweep 0 1 2 --offset -30:20 --dtype float16 --method naive
      stablelse sweep --file logits.csv --row 7 --save map.pdf

    The chart shows where each method is right, loses digits, overflows or underflows.
    --intervals lists the t at which that changes, to the last digit. x, t and x + t (or t x) are
    rounded to each format, and the methods are compared with the exact result for that.
    """, is_waiting=True),
    "peers": Command("peers", _VECTORS + _OUTPUT + "function dtype peer all", """
    NumPy, SciPy, PyTorch and JAX on the same vectors.

      stablelse peers
      stablelse peers --file logits.csv --function softmax --dtype float16
      seq 1 1000 | stablelse peers --file - --peer scipy

    Each is compared with the exact result. Without numbers or files, it shows which library is
    right on which hard case. Standard input is read if you say `--file -`. Only installed libraries
    are shown: `pip install scipy torch jax` adds more.
    """),
    "scan": Command("scan", _INPUT + _OUTPUT + "function dtype max_ulp fail_on all quiet", """
    What breaks on thousands of vectors: a guard for CI.

      stablelse scan logits.npy
      stablelse scan 'logits-*.npy' --function softmax --dtype bfloat16
      stablelse scan logits.csv --fail-on naive:overflow,shifted:broken -q
      stablelse scan logits.csv --fail-on 'shifted:ulp>4' --json

    Each row is a vector, in any number of files, in constant memory. A file of one row or one
    column is one vector; such a file, and one read with --by columns or --by all, must fit in
    memory. The methods are naive, shifted, and shifted-float32: shifted, with the exponentials and
    their sum in float32. The exit code is 1 if anything that --fail-on names occurs.
    """, is_waiting=True),
    "limits": Command("limits", _OUTPUT + "dtype", """
    Where exp leaves each floating-point format.

      stablelse limits
      stablelse limits --dtype float16 --dtype bfloat16

    Everything is computed from the formats. bfloat16 and float8 are shown if the extra
    `ml` is installed.
    """),
}  # fmt: skip

_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

#: A negative number, or a typo in one, begins like this; no option does.
_NEGATIVE_NUMBER = re.compile(r"-(\.?\d.*|inf|infinity|nan|\u221e)", re.IGNORECASE)

#: The context's key for the arguments as typed.
_TYPED = "stablelse.typed"


class NumberCommand(TyperCommand):
    """A command that reads negative numbers as numbers, and refuses unknown options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, examples, and the options in groups."""
        formatter.write(page(self, ctx, formatter.width))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before negative numbers, or the parser takes them for options."""
        ctx.meta[_TYPED] = list(args)
        flags = {o for p in self.params if not getattr(p, "is_flag", True) for o in p.opts}
        marked = [
            f" {arg}" if before not in flags and _NEGATIVE_NUMBER.fullmatch(arg) else arg
            for before, arg in pairwise(["", *args])
        ]
        try:
            return super().parse_args(ctx, marked)
        except _UsageError as error:
            error.ctx = error.ctx or ctx  # errors of the parser do not name their command
            raise


class LazyGroup(TyperGroup):
    """A group that makes each command on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the table."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, examples, options and the list of commands, without loading any."""
        commands = [(name, each.help.partition("\n")[0]) for name, each in COMMANDS.items()]
        formatter.write(page(self, ctx, formatter.width, commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse unknown commands, and numbers without a command."""
        is_wrong = bool(args) and args[0] not in COMMANDS and not ctx.resilient_parsing
        if is_wrong and (not args[0].startswith("-") or is_number(args[0])):
            ctx.fail(wrong_command(args, COMMANDS))
        return super().parse_args(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command with that name, or ``None``."""
        if (command := COMMANDS.get(cmd_name)) is None:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_CONTEXT)
        alone.command(cmd_name, cls=NumberCommand, help=command.help)(_callback(cmd_name, command))
        return typer.main.get_command(alone)


def _callback(name: str, command: Command) -> Callable[..., None]:
    """Return the function that Typer calls, with a parameter for each option."""

    def callback(context: typer.Context, **given: Any) -> None:
        request = Request(**{"function": name} | given, command=name)
        if request.logits:
            request.file = [*(request.file or []), *request.logits]
        if request.numbers == ["-"]:
            request.numbers, request.file = None, [*(request.file or []), "-"]
        if request.output == "-":
            request.output = None
        if command.is_waiting and request.is_without_numbers and is_terminal():
            typer.echo(without_numbers(name, command.help), err=True)
            raise typer.Exit(2)
        refuse(request)
        request.title = _title(context) if request.save else ""
        _spare_memory()
        # Every command needs NumPy. Deeper in the stack, its import takes a third longer: Python
        # keeps frames in chunks, and calls across a chunk's border map memory each time.
        is_light = request.quiet and not request.fail_on
        chosen = f"stablelse.cli.{(is_light and command.quiet) or command.module}"
        modules = ("numpy", "stablelse.cli.progress", "stablelse.cli.emit", chosen)
        _, progress, emit, module = map(import_module, modules)
        progress.NOTES.begin(quiet=bool(request.quiet))
        emit.check_sinks(request)
        module.run(request)

    signature = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *parameters(name, command.options),
    ]
    callback.__annotations__ = {p.name: p.annotation for p in signature}
    callback.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    return callback


def is_terminal() -> bool:
    """Whether there is a person at a terminal, who can read help."""
    return sys.stdin is not None and sys.stdin.isatty()


def _spare_memory() -> None:
    """Keep NumPy's linear algebra, which is not used, from starting threads, or from exiting."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with suppress(ImportError):  # where there are no such limits
        most, _ = resolve_name("resource:getrlimit")(resolve_name("resource:RLIMIT_AS"))
        if 0 <= most < 1 << 27:  # OpenBLAS would exit with 1
            raise MemoryError


def _title(context: typer.Context) -> str:
    """Return the command as typed, without its output files."""
    flags = {"--save", "--output", "-o"}
    typed = [context.command_path, *map(printable, context.meta[_TYPED])]
    kept = [b for a, b in pairwise(typed) if not flags & {a, b.partition("=")[0]}]
    return f"{typed[0]} {shlex.join(kept)}".rstrip()


_HELP = """Log-sum-exp and softmax, naive and shifted side by side: see where numbers are lost.

\b
Examples:
  stablelse lse 1000 1001 1002            what breaks, and what does not
  stablelse lse 1000 1001 1002 --quiet    the number alone, for scripts
  stablelse softmax --file logits.csv     a vector per row
  seq 1 1000 | stablelse lse              from a pipe
  stablelse lse 1 2 --save lse.svg        the picture, to keep
"""

app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, context_settings=_CONTEXT)


def _print_version(wanted: bool) -> None:
    if wanted:
        kernel = import_module("stablelse.numerics.kernel")
        typer.echo(f"stablelse {__version__} (kernel: {kernel.name()})")
        raise typer.Exit


_VERSION = typer.Option(
    "--version", "-V", callback=_print_version, is_eager=True, help="The version and its kernel."
)


@app.callback(invoke_without_command=True, help=_HELP)
def stablelse(context: typer.Context, version: Annotated[bool, _VERSION] = False) -> None:
    """Print the help if there is no command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(args: list[str] | None) -> int:
    """Run a command, and return its exit code."""
    command = typer.main.get_command(app)
    try:
        return int(command.main(args, prog_name="stablelse", standalone_mode=False) or 0)
    except (typer.Abort, SystemExit) as end:  # Typer's, if a pipe broke or input ended too early
        raise end.__cause__ or end.__context__ or end from None


#: The base class of Typer's errors for wrong usage.
_UsageError: Any = typer.BadParameter.__mro__[2]


#: What else libraries and systems say when memory is out.
_NO_MEMORY = re.compile("Cannot allocate memory|failed to map segment|can't start new thread")


def explanation(error: Exception) -> tuple[int, str]:
    """Return the exit code, and what went wrong and how to fix it."""
    if isinstance(error, _UsageError):
        command = error.ctx.command_path if getattr(error, "ctx", None) else "stablelse"
        message = error.format_message().removeprefix("Invalid value: ").removesuffix(".")
        message = with_hint(message.replace("\n\t", " "))
        if hasattr(error, "possibilities"):  # Typer's error for an unknown option
            message = _unknown(error.option_name, command.split()[-1], error.possibilities)
        return 2, f"{message} (see {command} --help)"
    is_known = isinstance(error, SettingError) or (
        isinstance(error, ValueError)
        and isinstance(error, resolve_name("stablelse.cli.input:INPUT_ERRORS"))
    )
    if is_known:
        return 2, with_hint(str(error))
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        any_length = (
            "lse, and softmax with --quiet or --output FILE.npy, take vectors of any length"
        )
        return 2, f"out of memory; {any_length}"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return 2, "the current folder no longer exists: change to one that does"
    if isinstance(error, OSError):
        place = error.filename if error.filename is not None else "standard output"
        return 2, f"cannot write {place}: {error.strerror or error}"
    if os.environ.get("STABLELSE_TRACEBACK"):
        for line in "".join(format_exception(error)).splitlines():
            typer.echo(printable(line), err=True)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return 70, (  # EX_SOFTWARE of sysexits.h
        f"a bug in stablelse, not in the input ({what}); to report it, run the command again with "
        "STABLELSE_TRACEBACK=1 and send what that prints, with the input"
    )


def _unknown(name: str, command: str, possible: Sequence[str] | None) -> str:
    """Return the error for an option that the command does not have."""
    option = name.removeprefix("--").replace("-", "_")
    having = [other for other, each in COMMANDS.items() if option in each.options.split()]
    if having:
        verb = "has" if len(having) == 1 else "have"
        return f"{command} has no {name}: {', '.join(having)} {verb} it"
    # Typer counts the dashes as letters that agree.
    close = [each for each in possible or () if get_close_matches(option, [each.lstrip("-")])]
    return f"{name} is not an option" + (f": did you mean {close[0]}?" if close else "")
