"""The options as a table, the request that they make, and which of them clash."""

from __future__ import annotations

import inspect
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from math import inf, nan, ulp
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import typer

from stablelse.cli.help import is_number

#: The file types of pictures, and of figures.
PICTURES, FIGURES = (".svg", ".html", ".txt"), (".png", ".svg", ".pdf")

#: The file types of numbers, which softmax and log-softmax write, and others that hold no text.
NUMBERS = (".csv", ".npy", ".parquet")
_BINARY = (".npy", ".npz", ".parquet", ".arrow", ".gz", ".bz2", ".xz", ".zst", ".zip", ".pdf")


class Request(SimpleNamespace):
    """What the user asked of a command: its options by name, None for those it does not have."""

    def __getattr__(self, name: str) -> Any:
        if name in DEFAULTS:
            return None
        raise AttributeError(f"there is no option {name!r}")

    def given(self, *names: str) -> str:
        """Return the first of these options that differs from its default, as it is typed."""
        for name in names:
            default = DEFAULTS.get(f"{name}:{self.command}", DEFAULTS[name])
            if getattr(self, name) not in (None, [], default):
                return f"--{name.replace('_', '-')}"
        return ""

    def but(self, **changed: Any) -> Request:
        """Return the same request with some options changed."""
        return Request(**vars(self) | changed)

    @property
    def is_without_numbers(self) -> bool:
        """Whether neither numbers nor files are given."""
        return not self.numbers and not self.file

    @property
    def sources(self) -> list[str]:
        """The files that are read; - is standard input."""
        beside = (self.mask, self.weights, self.labels, self.class_weights, self.values)
        numbers = [] if self.numbers else self.file or ["-"]
        return [*numbers, *filter(None, beside)]

    @property
    def is_piped(self) -> bool:
        """Whether numbers come from a pipe, which can be read only once."""
        return not self.numbers and any(map(_pipe, self.file or ["-"]))

    @property
    def suffix(self) -> str:
        """The suffix of the output file, in lower case."""
        return Path(self.output or "").suffix.lower()

    @property
    def is_file_of_numbers(self) -> bool:
        """Whether the elements are written to a file, as its suffix says."""
        is_changed = self.quiet or self.steps or self.errors or self.format != "table"
        return "softmax" in self.command and not is_changed and self.suffix in NUMBERS

    @property
    def is_picture(self) -> bool:
        """Whether the output is for people, not for programs."""
        is_shown = self.format in ("table", "plain")
        return is_shown and not (self.quiet or self.is_file_of_numbers)


def _pipe(path: str) -> str:
    """Return the only name of the pipe that a path stands for, or "" for a file."""
    if path != "-" and (os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)):
        return ""
    return os.path.realpath("/dev/stdin" if path == "-" else path)


class Option(NamedTuple):
    """How an option is typed, and what its help says."""

    type: Any
    metavar: str | None  # if it is not the choices of a Literal
    help: str
    default: Any = None
    short: str = ""  # the short flag, if there is one
    completions: Sequence[str] | str = ()  # or the module and name that has them
    settings: Any = None  # more arguments for Typer, as a dict
    kind: Any = typer.Option

    def parameter(self, name: str, panel: str) -> inspect.Parameter:
        """Return the parameter from which Typer makes the option."""
        flag = name.replace("_", "-")
        is_switch = self.type is bool and self.default is not False
        flags = [f"--{flag}" + f"/--no-{flag}" * is_switch, *self.short.split()]
        info = self.kind(
            *(flags if self.kind is typer.Option else ()),
            metavar=self.metavar,
            help=self.help,
            rich_help_panel=panel,
            autocompletion=self._completed if self.completions else None,
            **(self.settings or {}),
        )
        type_ = self.type | None if self.default is None else self.type
        return inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[type_, info],
        )

    def _completed(self, incomplete: str) -> list[str]:
        """Return the values that begin with what was typed."""
        values = self.completions
        values = resolve_name(values) if isinstance(values, str) else values
        return [value for value in values if value.startswith(incomplete)]


def _flag(text: str, short: str = "") -> Option:
    return Option(bool, None, text, False, short)


def _format(text: str, default: str) -> Option:
    names = "stablelse.numerics.formats:FORMATS"
    return Option(list[str], "FORMAT", f"{text}  [default: {default}]", completions=names)


def _method(default: str, *names: str) -> Option:
    text = f"Only this method; repeatable.  [default: {default}]"
    return Option(list[str], "|".join(names), text, None, "-m", names)


def _shift(type_: Any, text: str) -> Option:
    return Option(type_, "max|min|mean|A", text, completions=("max", "min", "mean"))


def _saved(known: Sequence[str], text: str) -> Option:
    """Return --save, which refuses file names without one of these suffixes."""

    def check(paths: Sequence[str] | None) -> Any:
        for path in paths or ():
            suffix = Path(path).suffix.lower()
            if suffix not in known:
                raise typer.BadParameter(
                    f"{path!r} ends in none of {', '.join(known)}: the suffix says what is saved"
                )
            if suffix in FIGURES and known != PICTURES and find_spec("matplotlib") is None:
                raise typer.BadParameter(
                    f"{path!r} is a figure, which needs matplotlib: pip install matplotlib"
                )
        return paths

    metavar = f"FILE.{'|'.join(suffix[1:] for suffix in known)}"
    return Option(list[str], metavar, text, settings={"callback": check})


def _number(name: str, text: str, what: str, low: float = ulp(0), high: float = inf) -> Option:
    """Return an option for a finite number between two others."""

    def read(given: str) -> float:
        number = float(given) if is_number(given) else nan
        if not (low <= number <= high and number < inf):
            raise typer.BadParameter(f"{given.strip()!r} is not {what}")
        return number

    return Option(float, name, text, settings={"parser": read})


def _digits(text: str) -> int:
    """Read the number of digits to show."""
    number = 40 if text == "full" else int(text) if re.fullmatch("[0-9]{1,2}", text) else 0
    if not 1 <= number <= 40:
        raise typer.BadParameter(f"{text!r} is not a number of digits: give 1 to 40, or full")
    return number


_FORMATS = "The floating-point format, as `stablelse limits` lists them; repeatable."
_KINDS = ("overflow", "underflow", "nan", "does_not_fit", "no_digits", "broken", "digits_lost")
_FAIL_ON = f"{', '.join(_KINDS).replace('broken', 'broken (any of these)')}, ulp>N"
_RULES = "stablelse.render.lint:RULES"

#: The options of all commands, in the groups and the order in which help shows them: by how
#: often people need them. `NAME:COMMAND` is a command's own version of an option.
OPTIONS = {
    "Numbers and files": {
        "function:prove": Option(
            Literal["lse", "softmax"], "lse|softmax", "Which identity.", inspect.Parameter.empty,
            kind=typer.Argument),
        "numbers": Option(list[str], "[NUMBER]...", "The vector x; numbers may be negative.",
            kind=typer.Argument),
        "file": Option(
            list[str], "PATH", "A file, directory, glob or URL; repeatable; - is standard input. In"
            " text, # starts a comment.", short="-f"),
        "file:scan": Option(
            list[str], "[FILE]...", "Files, directories, globs or URLs; - is standard input. In"
            " text, # starts a comment.", kind=typer.Argument),
        "paths": Option(
            list[str], "[PATH]...", "Python files, notebooks, or folders.  [default: .]",
            kind=typer.Argument),
        "function": Option(
            Literal["lse", "softmax", "log-softmax"], None, "What to compute.  [default: lse]"),
        "logits": Option(list[str], "PATH", "The logits, a vector a row: the same as --file."),
        "values": Option(str, "PATH",
            "The numbers to grade: a row for each vector, or a number for lse and nll."),
        "values_key": Option(str, "NAME", "Which array or field of the file of --values."),
        "function:audit": Option(Literal["softmax", "log-softmax", "lse", "nll"], None,
            "What the numbers should be.  [default: softmax]"),
        "labels": Option(str, "PATH",
            "A file with a label for each vector, from 0, in any format that logits may have."),
        "label": Option(int, "K", "The label of a single vector."),
        "label_column": Option(str, "NAME|INDEX",
            "The column of the labels, from 1, in the file of --labels or in that of the logits."),
        "label_key": Option(str, "NAME",
            "The array or field of the labels, in the file of --labels or in that of the logits."),
        "column": Option(
            list[str], "NAME|INDEX", "Only this column, from 1; repeatable.", short="-c"),
        "by": Option(Literal["rows", "columns", "all"], None,
            "What a vector is; by default a row, if there are several rows and columns."),
        "row": Option(list[str], "N|I,J",
            "Only this vector, from 1, shown in full; I,J in an array of three axes."),
        "key": Option(str, "NAME",
            "Which array of a .npz or safetensors; which field of JSON, or a path: a.b[].c.",
            short="-k"),
        "mask": Option(
            str, "PATH", "A file with a cell for each number: 1 or true keeps it, 0 or false counts"
            " as -inf; or one row of them, for every row."),
        "weights": Option(
            str, "PATH", "The b of log(b_1 e^x_1 + ...), of either sign: a file with a number for"
            " each x; or one row of them, for every row."),
        "class_weights": Option(
            str, "PATH", "A file with a weight for each class, 0 or more. A mean is divided by the"
            " sum of the labels' weights."),
        "header": Option(bool, None, "Whether line 1 is a header.  [default: if it has names]"),
        "skip_na": _flag("Leave out cells that are blank, or NA and the like."),
        "delimiter": Option(str, "CHAR", "What separates cells.  [default: detected]", short="-d"),
        "decimal": Option(
            Literal[".", ","], None, "The decimal sign; a comma is never guessed.", "."),
        "axis": Option(int, "N",
            "The axis of an array along which vectors lie, from 0; -1 is the last.  [default: -1]"),
        "ignore_index": Option(int, "K", "The label of vectors to leave out.", -100),
    },
    "Methods": {
        "dtype": _format(_FORMATS, "float64"),
        "dtype:audit": _format("The floating-point format of the numbers.", "float64"),
        "dtype:lab": _format("The first floating-point format, up to float64.", "float64"),
        "dtype:sweep": _format(_FORMATS, "float16, float32, float64"),
        "dtype:scan": _format(_FORMATS, "float16, float32, and bfloat16 if installed"),
        "dtype:limits": _format("Only this format; repeatable.", "all"),
        "method": _method("all but division-free", "naive", "shifted", "division-free", "exact"),
        "method:lse": _method("all", "naive", "shifted", "exact"),
        "method:log-softmax": _method("all", "naive", "shifted", "exact"),
        "method:sweep": _method("all", "naive", "shifted", "division-free", "exact"),
        "shift": _shift(list[str], "The a of the identity; repeatable.  [default: max]"),
        "shift:lab": _shift(str, "The first a of the identity.  [default: max]"),
        "shift:prove": _shift(str, "The a of the identity.  [default: max]"),
        "offset": Option(str, "A:B", "Move x: x + t, t from A to B.  [default: -1000:1000]"),
        "scale": Option(str, "A:B", "Stretch x instead: t x, t from A to B, both positive."),
        "points": Option(
            int, "N", "How many t to try first in formats of more than 16 bits, or for more than a"
            " thousand numbers; otherwise every t is tried.  [default: 400]"),
        "temperature": _number(
            "T", "Divide x by T first, in float64; the rounded quotient is the x of all methods.",
            "a positive number"),
        "label_smoothing": _number(
            "E", "Spread this part of each target evenly over all classes: 0 to 1.  [default: 0]",
            "a number from 0 to 1", 0, 1),
        "grad": _flag("The gradient, softmax - onehot."),
        "reduction": Option(
            Literal["mean", "sum", "none"], None, "How to combine the losses.  [default: mean]"),
        "empty": Option(Literal["nan", "zero", "uniform", "error"], None,
            "The result of a vector that is completely masked or holds only -inf; lse gives -inf,"
            " or the error.", "nan"),
        "peer": Option(
            list[str], "NAME|FILE.py:FUNCTION", "Only this library and our own; repeatable: naive,"
            " logaddexp, scipy, torch, jax; or a function of yours, also MODULE:FUNCTION, which is"
            " imported and run.  [default: all installed]",
            completions=("naive", "logaddexp", "scipy", "torch", "jax")),
        "max_ulp": _number("N", "How many ulps a finite result may be off, 0.5 or more."
            "  [default: 10]", "a number of ulps: give 0.5 or more", 0.5),
    },
    "Output": {
        "scene": Option(list[str], "NAME", "Only this scene; repeatable.  [default: all]",
            completions="stablelse.analysis.demo:SCENES"),
        "quiet": _flag(
            "Only the value, for scripts: correctly rounded, or that of --method.", "-q"),
        "quiet:audit": _flag("Only the exit code.", "-q"),
        "quiet:scan": _flag("Only the exit code, and on stderr what failed.", "-q"),
        "errors": _flag("Relative errors next to their bounds, and the condition number."),
        "steps": _flag("The evaluation, operation by operation."),
        "json": _flag("Short for --format json."),
        "format": Option(
            Literal["table", "plain", "json", "jsonl", "csv"], None, "What to print.", "table"),
        "format:demo": Option(
            Literal["table", "plain", "json", "jsonl"], None, "What to print.", "table"),
        "format:lint": Option(
            Literal["plain", "json", "sarif", "github"], None, "What to print.", "plain"),
        "rule": Option(list[str], "LSE0NN", "Only this rule; repeatable.  [default: all]",
            completions=_RULES),
        "explain": Option(str, "LSE0NN", "Explain a rule, and show its formula breaking.",
            completions=_RULES),
        "fix": _flag("Rewrite what can be rewritten safely."),
        "diff": _flag("Show what --fix would rewrite."),
        "format:prove": Option(
            Literal["table", "plain", "markdown", "latex", "json", "jsonl", "csv"], None,
            "What to print.", "table"),
        "output": Option(
            str, "FILE", "Write to this file, completely or not at all; - is standard output.",
            short="-o"),
        "save": _saved(PICTURES, "Also save a picture of the table, as wide as the screen;"
            " repeatable; not with --quiet or another --format."),
        "save:sweep": _saved((*FIGURES, ".html", ".txt"), "Save a figure for a paper or a slide"
            " (.png, .svg, .pdf), or a picture of the screen (.html, .txt); repeatable; not with"
            " another --format."),
        "save:lab": _saved(
            (".html",), "Write the lab as a page, for a browser, instead; repeatable."),
        "exercise": Option(int, "N", "Ask an exercise of the lesson in the guide.",
            settings={"min": 1, "max": 5}),
        "fail_on": Option(
            list[str], "[METHOD:]VERDICT", "Exit with 1 if this occurs, with that method or any:"
            f" {_FAIL_ON}; repeatable, or separated by commas.", completions=_KINDS),
        "fail_on:scan": Option(
            list[str], "[METHOD:]VERDICT", "Exit with 1 if this occurs, with that method or any:"
            f" {_FAIL_ON} (a result more than N ulp off), or none; repeatable, or separated by"
            " commas.  [default: shifted:broken]", completions=(*_KINDS, "none")),
        "fail_on:audit": Option(
            list[str], "ulp>N|nats>N|broken", "Exit with 1 if a number is further off, or useless;"
            " repeatable, or separated by commas."),
        "digits": Option(int, "N|full",
            "How many digits the table shows.  [default: 7, and all in results]",
            settings={"parser": _digits}),
        "all": _flag("Every row, and every element of vectors of up to 262,144 numbers."),
        "all:demo": _flag("Straight through, without waiting for keys."),
        "all:peers": _flag("Every case of the gallery, with what each library gives."),
        "all:scan": _flag("Every kind of trouble, and every chart."),
        "intervals": _flag("List the intervals of t instead of the chart."),
        "list": _flag("List the names of the scenes."),
        "color": Option(Literal["auto", "always", "never"], None,
            "Whether to use colour; auto: if the terminal has it.", "auto"),
    },
    "Large files": {
        "engine": Option(Literal["local", "dask"], None,
            "Where to sum long files; dask: in parts, each read by a worker.", "local"),
        "scheduler": Option(
            str, "ADDRESS", "A Dask cluster, tcp://host:8786.  [default: $DASK_SCHEDULER_ADDRESS,"
            " or threads here]"),
        "timeout": _number("SECONDS", "How long a cluster may be silent, or without workers."
            "  [default: 10 to connect, 60 until the first result, then without limit]",
            "a positive number"),
    },
}  # fmt: skip

#: The values of options that are not given.
DEFAULTS = {key: option.default for group in OPTIONS.values() for key, option in group.items()}

#: The options for files and pipes alone.
INPUT = ("file", "key", "axis", "column", "by", "row", "header", "skip_na", "delimiter", "decimal")


def parameters(command: str, names: str) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a command's options, in the order of the table."""
    wanted = names.split()
    for panel, group in OPTIONS.items():
        for key, option in group.items():
            name, _, only = key.partition(":")
            is_this = only == command or (not only and f"{name}:{command}" not in group)
            if name in wanted and is_this:
                yield option.parameter(name, panel)


#: Commands (all, if none is named), a clash, and its message, with options in braces; {} is what
#: the clash returns. The first clash is refused before anything is read.
_REFUSALS: tuple[tuple[str, Callable[[Request], Any], str], ...] = (
    ("", lambda o: o.numbers and o.given(*INPUT),
     "{} is for files and pipes: it does not go with numbers as arguments"),
    ("peers prove", lambda o: o.is_without_numbers and o.given(
        *INPUT, "mask", "temperature", "shift", "dtype", *["function"] * (o.command == "peers")),
     "{} goes with numbers or --file, not without"),
    ("", lambda o: o.save and o.given("quiet", "json", "format"),
     "--save saves a picture of the table: it does not go with {}"),
    ("", lambda o: (o.steps or not o.is_picture) and o.given("digits", "all"),
     "{} is for the table: other output has every number, with all its digits"),
    ("scan audit", lambda o: o.quiet and o.given("output", "json", "format"),
     "--quiet prints nothing: it does not go with {}"),
    ("", lambda o: o.quiet and o.given("json", "format", "steps", "errors"),
     "--quiet prints only the value: it does not go with {}"),
    ("", lambda o: o.suffix in _BINARY and not o.is_file_of_numbers and o.suffix,
     "{output} would hold text, in spite of {}: choose another suffix; only softmax and "
     "log-softmax, as they are, write .npy and .parquet"),
    ("", lambda o: o.suffix in (".csv", ".json", ".jsonl") and o.is_picture and o.suffix[1:],
     "{output} would hold a table for people: add --format {}"),
    ("", lambda o: o.is_file_of_numbers and o.given("fail_on", "save"),
     "{output} has the numbers of one method, and no table: leave out {}"),
    ("demo", lambda o: o.list and o.given("json", "format", "save"),
     "--list prints only names: leave out {}"),
    ("nll", lambda o: o.grad and o.reduction,
     "--grad gives the gradient of each vector's own loss: leave out --reduction"),
    ("nll", lambda o: o.steps and o.given("reduction", "class_weights"),
     "--steps shows each vector's own loss: leave out {}"),
    ("nll", lambda o: o.format == "csv" and o.given("reduction"),
     "CSV has a row for each vector, and no total: leave out {}, or use --format json"),
    ("nll", lambda o: o.steps and o.format != "table",
     "--steps goes with the table: stablelse log-softmax has them in --format {format}"),
    ("nll", lambda o: (o.label is not None) == bool(o.labels or o.label_column or o.label_key),
     "give the labels in one way: --labels FILE, --label-column or --label-key for a column, an "
     "array or a field of the logits' file, or --label K for a single vector"),
    ("nll audit", lambda o: o.skip_na and (o.command == "nll" or o.function == "nll"),
     "--skip-na would renumber the classes: fill in what is missing"),
    ("nll", lambda o: o.numbers and o.labels is None and o.label is None,
     "--label-column is for files and pipes: use --label K"),
    ("nll", lambda o: o.is_piped and o.labels is None and o.label_key is not None,
     "--label-key reads the logits' file twice, and a pipe can be read only once: save a file"),
    ("", lambda o: any(pipe and n > 1 for pipe, n in Counter(map(_pipe, o.sources)).items()),
     "standard input can be read only once, like any pipe: save what it gives to a file"),
    ("", lambda o: o.axis is not None and o.by not in (None, "rows"),
     "--axis says what a vector is: leave out --by {by}"),
    ("audit", lambda o: o.values is None, "give the numbers to grade with --values"),
    ("lab", lambda o: o.exercise and (o.numbers or o.given(
        *INPUT, "mask", "function", "dtype", "shift", "temperature", "save")),
     "--exercise brings its own numbers and options: leave out all others"),
    ("lint", lambda o: o.explain and (
        o.given("rule", "fix", "diff", "format", "output") or ", ".join(o.paths or ())),
     "--explain prints an explanation, and reads no code: leave out {}"),
    ("lint", lambda o: o.diff and o.given("fix", "format", "output"),
     "--diff prints what --fix would change, as a patch: leave out {}"),
    ("sweep", lambda o: o.offset is not None and o.scale is not None,
     "x is moved or stretched: leave out --offset or --scale"),
    ("peers", lambda o: o.all and not o.is_without_numbers,
     "--all is for the gallery, without numbers and --file"),
    ("lse", lambda o: o.engine != "dask" and o.given("scheduler", "timeout"),
     "{} is for a cluster: use --engine dask"),
    ("lse", lambda o: o.engine == "dask" and o.given(
        "mask", "weights", "temperature", "row", "steps", "empty"),
     "--engine dask sums in one pass: it does not go with {}"),
    ("lse", lambda o: o.engine == "dask" and (o.numbers or o.is_piped),
     "--engine dask is for files, which its workers open: name them"),
)  # fmt: skip


def refuse(request: Request) -> None:
    """Refuse options that clash."""
    if request.json and request.given("format") and request.format != "json":
        raise typer.BadParameter(
            f"--json is --format json: it does not go with --format {request.format}"
        )
    request.format = "json" if request.json else request.format
    for commands, clashes, message in _REFUSALS:
        if not commands or request.command in commands.split():
            clash = clashes(request)
            if clash:
                raise typer.BadParameter(message.format(clash, **vars(request)))
