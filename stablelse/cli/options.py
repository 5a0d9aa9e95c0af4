"""The options as a table, the request that they make, and which of them clash."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from math import nan, ulp
from pathlib import Path
from pkgutil import resolve_name
from sys import float_info
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import typer

from stablelse.cli.help import is_number

#: The file types of pictures, and of figures.
PICTURES, FIGURES = (".svg", ".html", ".txt"), (".png", ".svg", ".pdf")

#: The functions, by the names of their commands.
FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax", "log-softmax": "log_softmax"}

#: The format names that completion offers.
FORMAT_NAMES = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "float8_e4m3fn",
    "float8_e5m2",
    "longdouble",
]


class Request(SimpleNamespace):
    """What the user asked of a command: its options by name, None for those it does not have."""

    def __getattr__(self, name: str) -> Any:
        if name in DEFAULTS:
            return None
        raise AttributeError(f"there is no option {name!r}")

    def given(self, *names: str) -> str:
        """Return the first of these options that differs from its default, as it is typed."""
        for name in names:
            if getattr(self, name) not in (None, [], DEFAULTS[name]):
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
    def is_piped(self) -> bool:
        """Whether the numbers come from standard input."""
        return not self.numbers and "-" in (self.file or ["-"])

    @property
    def is_picture(self) -> bool:
        """Whether the output is for people, not for programs."""
        return not self.quiet and self.format in ("table", "plain")


class Option(NamedTuple):
    """How an option is typed, and what its help says."""

    type: Any
    metavar: str | None  # if it is not the choices of a Literal
    help: str
    default: Any = None
    flags: str = ""  # if they are not just the name
    completions: Sequence[str] | str = ()  # or the module and name that has them
    settings: Any = None  # more arguments for Typer, as a dict
    kind: Any = typer.Option

    def parameter(self, name: str, panel: str) -> inspect.Parameter:
        """Return the parameter from which Typer makes the option."""
        flags = self.flags or f"--{name.replace('_', '-')}"
        info = self.kind(
            *(flags.split() if self.kind is typer.Option else ()),
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


def _number(what: str, low: float, high: float, fix: str) -> dict[str, Any]:
    """Return the settings with which Typer reads a number between two others."""

    def read(text: str) -> float:
        number = float(text) if is_number(text.strip()) and "," not in text else nan
        if not low <= number <= high:
            raise typer.BadParameter(f"{text.strip()!r} is not a {what}: give {fix}")
        return number

    return {"parser": read}


def _digits(text: str) -> int:
    """Read the number of digits to show."""
    number = 40 if text == "full" else int(text) if re.fullmatch("[0-9]{1,2}", text) else 0
    if not 1 <= number <= 40:
        raise typer.BadParameter(f"{text!r} is not a number of digits: give 1 to 40, or full")
    return number


def _ending_in(known: Sequence[str]) -> Callable[[Sequence[str] | None], Any]:
    """Return a check that refuses file names without one of these suffixes."""

    def check(paths: Sequence[str] | None) -> Any:
        for path in paths or ():
            suffix = Path(path).suffix.lower()
            if suffix not in known:
                raise typer.BadParameter(
                    f"{path!r} ends in none of {', '.join(known)}: the suffix says what is saved"
                )
            if suffix in FIGURES and known != PICTURES and find_spec("matplotlib") is None:
                raise typer.BadParameter(
                    f"{path!r} is a figure, which needs matplotlib: pip install matplotlib "
                    "brings it"
                )
        return paths

    return check


def _format(text: str, default: str) -> Option:
    return Option(list[str], "FORMAT", f"{text}  [default: {default}]", completions=FORMAT_NAMES)


def _method(default: str) -> Option:
    names = ("naive", "shifted", "division-free", "exact")
    text = f"Only this method; repeatable.  [default: {default}]"
    return Option(list[str], "|".join(names), text, None, "--method -m", names)


def _shift(type_: Any, text: str) -> Option:
    names = ("max", "min", "mean")
    return Option(type_, "max|min|mean|A", text, completions=names)


_FORMATS = "The floating-point format, as `stablelse limits` lists them; repeatable."
_VERDICTS = (
    *("overflow", "underflow", "nan", "does_not_fit"),
    *("no_digits", "broken", "digits_lost", "none"),
)
_FAIL_ON = (
    "overflow, underflow, nan, does_not_fit, no_digits, broken (any of these), digits_lost, ulp>N"
)

#: The options of all commands, in the groups and the order in which help shows them: by how
#: often people need them. `NAME:COMMAND` is a command's own version of an option.
OPTIONS = {
    "Numbers and files": {
        "function:prove": Option(
            Literal["lse", "softmax"], "lse|softmax", "Which identity.", inspect.Parameter.empty,
            kind=typer.Argument),
        "numbers": Option(list[str], "[NUMBER]...", "The vector x; numbers may be negative.",
            kind=typer.Argument),
        "function": Option(
            Literal["lse", "softmax", "log-softmax"], None, "What to compute.  [default: lse]"),
        "file": Option(
            list[str], "PATH", "A file, directory, glob or URL; repeatable; - is standard input."
            " In text, # at the beginning of a line or after a blank starts a comment.",
            flags="--file -f"),
        "file:scan": Option(
            list[str], "[FILE]...", "Files, directories, globs or URLs; - is standard input. In"
            " text, # starts a comment.", kind=typer.Argument),
        "paths": Option(
            list[str], "[PATH]...", "Python files, notebooks, or folders.  [default: .]",
            kind=typer.Argument),
        "logits": Option(list[str], "PATH", "The logits, a vector a row: the same as --file."),
        "values": Option(str, "PATH",
            "The numbers to grade: a row for each vector, or a number for lse and nll."),
        "values_key": Option(
            str, "NAME", "Which array or field of the file of --values."),
        "function:audit": Option(Literal["softmax", "log-softmax", "lse", "nll"], None,
            "What the numbers should be.  [default: softmax]"),
        "labels": Option(str, "PATH",
            "A file with a label for each vector, from 0, in any format that logits may have."),
        "label": Option(int, "K", "The label of a single vector."),
        "label_column": Option(str, "NAME|INDEX",
            "The column of the labels, from 1, in the file of --labels or in that of the logits."),
        "label_key": Option(
            str, "NAME", "The array or field of the labels, in the file of --labels or in that of"
            " the logits."),
        "column": Option(
            list[str], "NAME|INDEX", "Only this column, from 1.", flags="--column -c"),
        "by": Option(Literal["rows", "columns", "all"], None,
            "What a vector is; by default a row, if there are several rows and columns."),
        "row": Option(list[str], "N|I,J",
            "Only this vector, from 1, shown in full; I,J in an array of three axes."),
        "key": Option(str, "NAME",
            "Which array of a .npz or safetensors; which field of JSON, or a path: a.b[].c.",
            flags="--key -k"),
        "mask": Option(
            str, "PATH", "A file with a cell for each number: 1 or true keeps it, 0 or false counts"
            " as -inf; or one row of them, for every row."),
        "weights": Option(
            str, "PATH", "The b of log(b_1 e^x_1 + ...), of either sign: a file with a number for"
            " each x; or one row of them, for every row."),
        "class_weights": Option(
            str, "PATH", "A file with a weight for each class, 0 or more. A mean is divided by the"
            " sum of the labels' weights."),
        "header": Option(bool, None, "Whether line 1 is a header.  [default: if it has names]",
            flags="--header/--no-header"),
        "skip_na": Option(bool, None, "Leave out cells that are blank, NA or #N/A.", False),
        "delimiter": Option(
            str, "CHAR", "What separates cells.  [default: detected]", flags="--delimiter -d"),
        "decimal": Option(
            Literal[".", ","], None, "The decimal sign; a comma is never guessed.", "."),
        "axis": Option(int, "N",
            "The axis of an array along which vectors lie, from 0; -1 is the last.  [default: -1]"),
        "ignore_index": Option(int, "K", "The label of vectors to leave out.", -100),
    },
    "Methods": {
        "dtype": _format(_FORMATS, "float64"),
        "dtype:sweep": _format(_FORMATS, "float16, float32, float64"),
        "dtype:audit": _format("The floating-point format of the numbers.", "float64"),
        "dtype:scan": _format(_FORMATS, "float16, float32, and bfloat16 if installed"),
        "dtype:limits": _format("Only this format; repeatable.", "all"),
        "method": _method("all but division-free"),
        "method:sweep": _method("all"),
        "shift": _shift(list[str], "The a of the identity; repeatable.  [default: max]"),
        "shift:lab": _shift(str, "The first a of the identity.  [default: max]"),
        "dtype:lab": _format("The first floating-point format, up to float64.", "float64"),
        "shift:prove": _shift(str, "The a of the identity.  [default: max]"),
        "offset": Option(str, "A:B", "Move x: x + t, t from A to B.  [default: -1000:1000]"),
        "scale": Option(str, "A:B", "Stretch x instead: t x, t from A to B, both positive."),
        "points": Option(
            int, "N", "How many t to try first in float32 and wider formats; narrower ones try"
            " every t.  [default: 400]"),
        "temperature": Option(
            float, "T", "Divide x by T first, in float64; the rounded quotient is the x of all"
            " methods.",
            settings=_number("temperature", ulp(0), float_info.max, "a positive number")),
        "label_smoothing": Option(
            float, "E", "Spread this part of each target evenly over all classes: 0 to 1."
            "  [default: 0]", settings=_number("label smoothing", 0, 1, "a number from 0 to 1")),
        "grad": Option(bool, None, "The gradient, softmax - onehot.", False),
        "reduction": Option(
            Literal["mean", "sum", "none"], None, "How to combine the losses.  [default: mean]"),
        "empty": Option(Literal["nan", "zero", "uniform", "error"], None,
            "The result of a vector that is completely masked or holds only -inf.", "nan"),
        "peer": Option(
            list[str], "NAME|FILE.py:FUNCTION", "Only this library and our own; repeatable: naive,"
            " logaddexp, scipy, torch, jax; or a function of yours, also MODULE:FUNCTION, which is"
            " imported and run.  [default: all installed]",
            completions=("naive", "logaddexp", "scipy", "torch", "jax")),
        "time": Option(
            bool, None, "Measure the time per element.", True, "--time/--no-time"),
        "max_ulp": Option(float, "N", "How many ulps a finite result may be off.  [default: 10]",
            settings={"min": 0.5}),
    },
    "Output": {
        "scene": Option(list[str], "NAME", "Only this scene; repeatable.  [default: all]",
            completions="stablelse.analysis.demo:SCENES"),
        "quiet": Option(bool, None,
            "Only the value, for scripts: correctly rounded, or that of --method.",
            False, "--quiet -q"),
        "quiet:audit": Option(bool, None, "Only the exit code.", False, "--quiet -q"),
        "quiet:scan": Option(
            bool, None, "Only the exit code, and on stderr what failed.", False,
            "--quiet -q"),
        "errors": Option(
            bool, None, "Relative errors next to their bounds, and the condition number.", False),
        "steps": Option(bool, None, "The evaluation, operation by operation.", False),
        "json": Option(bool, None, "Short for --format json.", False),
        "format": Option(
            Literal["table", "plain", "json", "jsonl", "csv"], None, "What to print.", "table"),
        "format:lint": Option(
            Literal["plain", "json", "sarif", "github"], None, "What to print.", "plain"),
        "rule": Option(
            list[str], "LSE0NN", "Only this rule; repeatable.  [default: all]",
            completions="stablelse.analysis.lint:RULES"),
        "explain": Option(
            str, "LSE0NN", "Explain a rule, and show its formula breaking.",
            completions="stablelse.analysis.lint:RULES"),
        "fix": Option(bool, None, "Rewrite what can be rewritten safely.", False),
        "diff": Option(bool, None, "Show what --fix would rewrite.", False),
        "format:prove": Option(
            Literal["table", "plain", "markdown", "latex", "json", "jsonl", "csv"], None,
            "What to print.", "table"),
        "output": Option(
            str, "FILE", "Write to this file, completely or not at all.", flags="--output -o"),
        "save": Option(
            list[str], "FILE.svg|html|txt", "Also save a picture of the table, as wide as the"
            " screen; repeatable; not with --quiet or another --format.",
            settings={"callback": _ending_in(PICTURES)}),
        "save:sweep": Option(
            list[str], "FILE.png|svg|pdf|html|txt", "Save a figure for a paper or a slide (.png,"
            " .svg, .pdf), or a picture of the screen (.html, .txt); repeatable; not with another"
            " --format.",
            settings={"callback": _ending_in((*FIGURES, ".html", ".txt"))}),
        "save:lab": Option(
            list[str], "FILE.html", "Write the lab as a page, for a browser, instead; repeatable.",
            settings={"callback": _ending_in((".html",))}),
        "exercise": Option(int, "N", "Ask an exercise of the lesson in the guide: 1 to 5.",
            settings={"min": 1, "max": 5}),
        "fail_on": Option(
            list[str], "[METHOD:]VERDICT", "Exit with 1 if this occurs with naive, shifted or, by"
            f" default, any: {_FAIL_ON}; repeatable, or separated by commas.",
            completions=_VERDICTS),
        "fail_on:scan": Option(
            list[str], "[METHOD:]VERDICT", "Exit with 1 if this occurs, with that method or any:"
            f" {_FAIL_ON} (a result more than N ulp off), or none; repeatable, or separated by"
            " commas.  [default: shifted:broken]", completions=_VERDICTS),
        "fail_on:audit": Option(
            list[str], "ulp>N|nats>N|broken", "Exit with 1 if a number is further off, or useless;"
            " repeatable, or separated by commas."),
        "digits": Option(int, "N|full",
            "How many digits the table shows.  [default: 7, and all in results]",
            settings={"parser": _digits}),
        "all": Option(bool, None, "Every element and every row, however many.", False),
        "all:demo": Option(bool, None, "Straight through, without waiting for keys.", False),
        "all:peers": Option(
            bool, None, "Every case of the gallery, with what each library gives.", False),
        "all:scan": Option(
            bool, None, "Every kind of trouble, and every chart.", False),
        "intervals": Option(
            bool, None, "List the intervals of t instead of the chart.", False),
        "list": Option(bool, None, "List the names of the scenes.", False),
        "color": Option(Literal["auto", "always", "never"], None,
            "Whether to use colour; auto: if the terminal has it.", "auto"),
    },
    "Large files": {
        "engine": Option(Literal["local", "dask"], None,
            "Where to sum long files; dask: in parts, each read by a worker.", "local"),
        "scheduler": Option(
            str, "ADDRESS", "A Dask cluster, tcp://host:8786.  [default: $DASK_SCHEDULER_ADDRESS,"
            " or threads here]"),
        "timeout": Option(float, "SECONDS",
            "How long a cluster may be silent, or without workers.  [default: 10 to connect, 60"
            " until the first result, then without limit]",
            settings=_number("timeout", ulp(0), float_info.max, "a positive number")),
    },
}  # fmt: skip

#: The values of options that are not given.
DEFAULTS = {
    key.partition(":")[0]: option.default
    for group in OPTIONS.values()
    for key, option in group.items()
}

#: Input options that also go with numbers as arguments.
BESIDE_NUMBERS = ("mask", "weights", "temperature")

#: The options that say where numbers come from and how to read a file.
INPUT = (
    *("file", "key", "axis", "column", "by", "row", "header", "skip_na", "delimiter", "decimal"),
    *BESIDE_NUMBERS,
)


def parameters(command: str, names: str) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a command's options, in the order of the table."""
    wanted = names.split()
    for panel, group in OPTIONS.items():
        for key, option in group.items():
            name, _, only = key.partition(":")
            is_this = only == command or (not only and f"{name}:{command}" not in group)
            if name in wanted and is_this:
                yield option.parameter(name, panel)


_PICTURE = "--save saves a picture of the table: it does not go with "
_LABELS = (
    "give the labels once: --labels FILE, --label-column or --label-key for a column, an array or "
    "a field of the logits' file, or --label K for a single vector"
)

#: Commands (all, if none is named), a clash, and its message, with options in braces; {} is what
#: the clash returns. The first clash is refused before anything is read.
_REFUSALS: tuple[tuple[str, Callable[[Request], Any], str], ...] = (
    ("", lambda o: o.save and o.quiet, _PICTURE + "--quiet"),
    ("", lambda o: o.save and o.given("format"), _PICTURE + "--format {format}"),
    ("lse softmax log-softmax nll",
     lambda o: not o.is_picture and o.given("digits", "all"),
     "{} is for the table: other formats have every number, with all its digits"),
    ("scan", lambda o: o.quiet and o.given("output", "json", "format"),
     "--quiet prints nothing: it does not go with {}"),
    ("", lambda o: o.quiet and o.given("json", "format", "steps", "errors"),
     "--quiet prints only the value: it does not go with {}"),
    ("", lambda o: str(o.output).lower().endswith((".npy", ".parquet")) and (
        "softmax" not in o.command or o.given("quiet", "format", "json", "steps", "errors")),
     "{output} would hold text: only softmax and log-softmax, as they are, write such files"),
    ("demo", lambda o: o.list and o.given("format", "json", "save"),
     "--list prints only names: leave out --format, --json and --save"),
    ("nll", lambda o: o.grad and o.reduction,
     "--grad gives the gradient of each vector's own loss (for that of the mean, divide by the "
     "number of vectors): leave out --reduction"),
    ("nll", lambda o: o.steps and o.format != "table",
     "--steps goes with the table: stablelse log-softmax has them in --format {format}"),
    ("nll", lambda o: (o.label is not None) == bool(o.labels or o.label_column or o.label_key),
     _LABELS),
    ("nll", lambda o: o.skip_na,
     "--skip-na would renumber the classes: fill in what is missing"),
    ("nll", lambda o: o.numbers and o.labels is None and o.label is None,
     "--label-column is for files and pipes: use --label K"),
    ("nll", lambda o: o.is_piped and o.labels is None and o.label_key is not None,
     "--label-key reads the logits' file twice, and a pipe can be read only once: save a file"),
    ("", lambda o: [o.labels, o.mask, o.weights, o.class_weights].count("-") + o.is_piped > 1,
     "standard input can be read only once: save the numbers, or what goes with them, to a file"),
    ("", lambda o: o.axis is not None and o.by not in (None, "rows"),
     "--axis says what a vector is: leave out --by {by}"),
    ("audit", lambda o: o.values is None,
     "give the numbers to grade with --values"),
    ("lint", lambda o: o.fix and o.diff, "--diff shows what --fix does: leave out one of them"),
    ("sweep", lambda o: o.offset is not None and o.scale is not None,
     "x is moved or stretched: leave out --offset or --scale"),
    ("peers", lambda o: o.is_without_numbers and o.given("function", "dtype"),
     "{} goes with numbers or --file, not with the gallery"),
    ("peers", lambda o: o.all and not o.is_without_numbers,
     "--all is for the gallery, without numbers and --file"),
    ("prove", lambda o: o.is_without_numbers and o.given("shift", "dtype"),
     "{} goes with numbers or --file, not without"),
    ("lse", lambda o: o.engine != "dask" and o.given("scheduler", "timeout"),
     "{} is for a cluster: use --engine dask"),
    ("lse", lambda o: o.engine == "dask" and (o.numbers or o.is_piped),
     "--engine dask is for files, which its workers open: name them"),
)  # fmt: skip


def refuse(request: Request) -> None:
    """Refuse options that clash, and those for files if none is read."""
    if request.json and request.format not in ("table", "json"):
        raise typer.BadParameter(
            f"--json is --format json: it does not go with --format {request.format}"
        )
    request.format = "json" if request.json else request.format
    if request.numbers:
        for_files = request.given(*(name for name in INPUT if name not in BESIDE_NUMBERS))
        where = "with numbers as arguments"
    else:
        may_be_without = request.command in ("peers", "prove") and not request.file
        for_files = request.given(*INPUT) if may_be_without else ""
        where = "without a file"
    if for_files:
        raise typer.BadParameter(f"{for_files} is for files and pipes: it does not go {where}")
    for commands, clashes, message in _REFUSALS:
        if not commands or request.command in commands.split():
            clash = clashes(request)
            if clash:
                raise typer.BadParameter(message.format(clash, **vars(request)))
