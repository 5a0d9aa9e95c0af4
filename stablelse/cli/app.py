"""The commands and how they are found: each is loaded only when it is called for."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from stablelse import __version__

#: Each command: the function that is it, and what the list of commands says of it.
COMMANDS = {
    "lse": ("stablelse.cli.evaluate:lse", "Log-sum-exp, naive and shifted side by side."),
    "softmax": ("stablelse.cli.evaluate:softmax", "Softmax, naive and shifted side by side."),
    "log-softmax": ("stablelse.cli.evaluate:log_softmax", "The logarithm of the softmax."),
    "nll": ("stablelse.cli.nll:nll", "The loss of labels, and its gradient, the same way."),
    "demo": ("stablelse.cli.demo:demo", "A guided tour of the ways in which numbers are lost."),
    "prove": ("stablelse.cli.prove:prove", "Why the shift changes nothing, line by line."),
    "sweep": ("stablelse.cli.sweep:sweep", "Where each method stops being right as x moves."),
    "peers": ("stablelse.cli.peers:peers", "NumPy, SciPy, PyTorch and JAX on the same vectors."),
    "scan": ("stablelse.cli.scan:scan", "What breaks on thousands of vectors: a guard for CI."),
    "limits": ("stablelse.cli.limits:limits", "Where exp leaves each floating-point format."),
}

_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

#: What a negative number begins with, or a typo in one: no option does.
_NEGATIVE_NUMBER = re.compile(r"-(\.?\d.*|inf|infinity|nan|\u221e)", re.IGNORECASE)


#: Where the context keeps the arguments as they were typed.
TYPED = "stablelse.typed"


class NumberCommand(TyperCommand):
    """A command that takes negative numbers for numbers, and unknown options for errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Mark what begins like a negative number by a blank, which keeps its value.

        The parser takes every other token that begins with a dash for an option.
        """
        ctx.meta[TYPED] = list(args)
        marked = [f" {arg}" if _NEGATIVE_NUMBER.fullmatch(arg) else arg for arg in args]
        return super().parse_args(ctx, marked)


class LazyGroup(TyperGroup):
    """A group that imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the table."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands from the table, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, ``None`` if there is none."""
        if cmd_name not in COMMANDS:
            return None
        home, _ = COMMANDS[cmd_name]
        module, _, name = home.partition(":")
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        from stablelse.cli.bundles import bundled

        function = bundled(getattr(import_module(module), name))
        alone.command(cmd_name, cls=NumberCommand, context_settings=_CONTEXT)(function)
        return typer.main.get_command(alone)


_HELP = """Log-sum-exp and softmax, naive and shifted side by side: see where numbers are lost.

\b
Examples:
  stablelse lse 1000 1001 1002            what breaks, and what does not
  stablelse lse 1000 1001 1002 --quiet    the number alone, for scripts
  stablelse softmax --file logits.csv     a vector per row
  seq 1 1000 | stablelse lse              from a pipe
  stablelse nll 1000 1001 --label 0       the loss of a label
  stablelse prove lse 1000 1001 1002      why the shift changes nothing, line by line
  stablelse sweep 0 1 2 --dtype float16   where each method stops being right as x moves
  stablelse lse 1 2 --save lse.svg        the picture, to keep: also .html and .txt
  stablelse demo                          a guided tour
  stablelse peers                         what NumPy, SciPy, PyTorch and JAX get wrong
  stablelse scan logits.npy               what breaks on thousands of vectors
  stablelse limits                        where exp leaves each format
"""

app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, context_settings=_CONTEXT)


def _print_version(wanted: bool) -> None:
    if wanted:
        from stablelse.numerics import kernel

        typer.echo(f"stablelse {__version__} (kernel: {kernel.name()})")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=_HELP)
def stablelse(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="The version and its kernel."
        ),
    ] = False,
) -> None:
    """Print the help where no command is called for."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
