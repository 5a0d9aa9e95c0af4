"""What each command can be asked for: options, in bundles."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from stablelse.cli.help import is_number

#: What a picture can be saved as, and a figure, where a result is drawn as one.
PICTURES, FIGURES = (".svg", ".html", ".txt"), (".png", ".svg", ".pdf")

#: The names of values that may also be something else: they complete.
_METHODS = ("naive", "shifted", "division-free", "exact")
_SHIFTS = ("max", "min", "mean")
_PEERS = ("naive", "logaddexp", "scipy", "torch", "jax")
FORMAT_NAMES = (
    *("float16", "bfloat16", "float32", "float64"),
    *("float8_e4m3fn", "float8_e5m2", "longdouble"),
)


def _completing(values: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what completes the beginning of a value."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def _methods(default: str) -> Any:
    """Return the option that chooses the methods."""
    return typer.Option(
        "--method",
        "-m",
        metavar="naive|shifted|division-free|exact",
        autocompletion=_completing(_METHODS),
        help=f"Only this method; repeatable.  [default: {default}]",
    )


def _shifts(text: str) -> Any:
    """Return the option that chooses the a of the identity."""
    return typer.Option(metavar="max|min|mean|A", autocompletion=_completing(_SHIFTS), help=text)


def _formats(text: str, default: str) -> Any:
    """Return the option that chooses the floating-point formats."""
    return typer.Option(
        metavar="FORMAT",
        autocompletion=_completing(FORMAT_NAMES),
        help=f"{text}  [default: {default}]",
    )


#: The functions by the names of their commands.
FUNCTIONS = {"lse": "logsumexp", "softmax": "softmax", "log-softmax": "log_softmax"}

_Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        "-k",
        metavar="NAME",
        help="Which array of a .npz or safetensors; which field of JSON, or a path: a.b[].c.",
    ),
]
_Axis = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Which axis of an array has the vectors, from 0 or, backward, -1.  [default: -1]",
    ),
]
_Column = Annotated[
    list[str] | None,
    typer.Option("--column", "-c", metavar="NAME|INDEX", help="Only this column, from 1."),
]
_By = Annotated[
    Literal["rows", "columns", "all"] | None,
    typer.Option(help="What one vector is; a row, if there are several rows and columns."),
]
_Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Otherwise: if line 1 holds names, and no numbers."),
]
_SkipNa = Annotated[
    bool,
    typer.Option(
        "--skip-na", help="Leave out cells that are blank, NA or #N/A.", show_default=False
    ),
]
_Delimiter = Annotated[
    str | None, typer.Option("--delimiter", "-d", metavar="CHAR", help="Otherwise: detected.")
]
_Decimal = Annotated[
    Literal[".", ","], typer.Option(help="The decimal sign; a comma is never guessed.")
]


def _temperature(text: str) -> float:
    """Read what the numbers are divided by."""
    number = float(text) if is_number(text) and "," not in text else 0.0
    if not 0 < number < inf:
        raise typer.BadParameter(f"{text!r} is not a temperature: give a positive number")
    return number


class Input(NamedTuple):
    """Where the numbers come from, and how a file is read."""

    numbers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NUMBER]...", help="The vector x; negative numbers as they are."),
    ] = None
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help="A file, directory, glob or URL; repeatable; - is standard input. In text, # at"
            " the beginning of a line or after a blank starts a comment.",
        ),
    ] = None
    key: _Key = None
    axis: _Axis = None
    column: _Column = None
    by: _By = None
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|I,J",
            help="Only this vector, from 1, shown in full; I,J in an array of three axes.",
        ),
    ] = None
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="A file with a cell for each number: 1 or true keeps it, 0 or false counts as"
            " -inf; or one row of them, for every row.",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            parser=_temperature,
            help="Divide x by T first, in float64; the rounded quotient is the x of all methods.",
        ),
    ] = None


class Files(NamedTuple):
    """Files that are named one after another, and how they are read."""

    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Files, directories, globs or URLs; - is standard input. In text, # starts a"
            " comment.",
        ),
    ] = None
    key: _Key = None
    axis: _Axis = None
    column: _Column = None
    by: _By = None
    header: _Header = None
    skip_na: _SkipNa = False
    delimiter: _Delimiter = None
    decimal: _Decimal = "."


class Labels(NamedTuple):
    """Where the labels of vectors are."""

    labels: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The labels, counted from 0: a file as the logits may be in, one for each vector.",
        ),
    ] = None
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|INDEX",
            help="The column of the labels, from 1: of the file of --labels, or of the logits'.",
        ),
    ] = None
    label_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which array or field of --labels; without it, of the logits' file.",
        ),
    ] = None
    label: Annotated[
        int | None, typer.Option(metavar="K", help="The label of a single vector.")
    ] = None
    ignore_index: Annotated[
        int, typer.Option(metavar="K", help="A label that says to leave its vector out.")
    ] = -100


class Methods(NamedTuple):
    """How the numbers are computed with."""

    method: Annotated[
        list[str] | None,
        _methods("all but division-free"),
    ] = None
    shift: Annotated[
        list[str] | None,
        _shifts("The a of the identity; repeatable.  [default: max]"),
    ] = None
    dtype: Annotated[
        list[str] | None,
        _formats(
            "The floating-point format, as `stablelse limits` lists them; repeatable.", "float64"
        ),
    ] = None


def _check_suffixes(paths: Sequence[str] | None, known: Sequence[str]) -> Any:
    """Refuse a file name without the suffix of a picture or a figure."""
    for path in paths or ():
        suffix = Path(path).suffix.lower()
        if suffix not in known:
            raise typer.BadParameter(
                f"{path!r} ends in none of {', '.join(known)}: the suffix says what is saved"
            )
        if suffix in FIGURES and known != PICTURES and find_spec("matplotlib") is None:
            raise typer.BadParameter(
                f"{path!r} is a figure, which needs matplotlib: pip install matplotlib brings it"
            )
    return paths


def _check_pictures(paths: list[str] | None) -> Any:
    return _check_suffixes(paths, PICTURES)


def _check_figures(paths: list[str] | None) -> Any:
    return _check_suffixes(paths, tuple(dict.fromkeys((*FIGURES, *PICTURES))))


_Json = Annotated[bool, typer.Option("--json", help="Short for --format json.", show_default=False)]
_File = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there, whole or not at all."),
]
_Format = Annotated[
    Literal["table", "plain", "json", "jsonl", "csv"], typer.Option(help="What is printed.")
]
_Save = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.svg|html|txt",
        callback=_check_pictures,
        help="Keep the picture of the table as well, as wide as the screen; repeatable; not with"
        " --quiet or another --format.",
    ),
]


_Color = Annotated[
    Literal["auto", "always", "never"],
    typer.Option(help="Whether pictures have colour; auto: on a terminal that has it."),
]


class Output(NamedTuple):
    """What is printed and saved, and where to."""

    format: _Format = "table"
    json: _Json = False
    output: _File = None
    save: _Save = None
    color: _Color = "auto"
    title: str = ""  # no option: the command as it was typed, where a picture is saved


class NotesOutput(NamedTuple):
    """What is printed and saved, also in the forms that notes and slides are written in."""

    format: Annotated[
        Literal["table", "plain", "markdown", "latex", "json", "jsonl", "csv"],
        typer.Option(help="What is printed."),
    ] = "table"
    json: _Json = False
    output: _File = None
    save: _Save = None
    color: _Color = "auto"
    title: str = ""


class FigureOutput(NamedTuple):
    """What is printed and saved, where the result is also drawn as a figure."""

    format: _Format = "table"
    json: _Json = False
    output: _File = None
    save: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.png|svg|pdf|html|txt",
            callback=_check_figures,
            help="Keep a figure for a paper or a slide (.png, .svg, .pdf), or the picture of the"
            " screen (.html, .txt); repeatable; not with another --format.",
        ),
    ] = None
    color: _Color = "auto"
    title: str = ""


class Cluster(NamedTuple):
    """Where the work is done."""

    engine: Annotated[
        Literal["local", "dask"], typer.Option(help="Where long files are summed up.")
    ] = "local"
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="A Dask cluster, tcp://host:8786.  [default: $DASK_SCHEDULER_ADDRESS, or"
            " processes here]",
        ),
    ] = None


#: In this process.
HERE = Cluster()

_Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="The value alone, for scripts: correctly rounded, or that of --method.",
        show_default=False,
    ),
]
_Empty = Annotated[
    Literal["nan", "zero", "uniform", "error"],
    typer.Option(help="What becomes of a vector that is completely masked or holds only -inf."),
]
_Errors = Annotated[
    bool,
    typer.Option(
        "--errors",
        help="Relative errors beside their bounds, and the condition number.",
        show_default=False,
    ),
]
_Steps = Annotated[
    bool,
    typer.Option("--steps", help="The evaluation, operation by operation.", show_default=False),
]
_Dtype = Annotated[
    list[str] | None,
    _formats("The floating-point format; repeatable.", "float64"),
]


def _digits(text: str) -> int:
    """Read how many digits numbers are to have."""
    number = 40 if text == "full" else int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 40:
        raise typer.BadParameter(f"{text!r} is not a number of digits: give 1 to 40, or full")
    return number


_Digits = Annotated[
    int | None,
    typer.Option(
        metavar="N|full",
        parser=_digits,
        help="How many digits numbers have in the table.  [default: 7, and all in results]",
    ),
]
_All = Annotated[
    bool,
    typer.Option("--all", help="Every element and every row, however many.", show_default=False),
]


_FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[METHOD:]VERDICT",
        help="Exit with 1 if that occurs, of naive, of shifted or of any: overflow, underflow,"
        " nan, does_not_fit, no_digits, broken (any of these), digits_lost, ulp>N; repeatable,"
        " or a list with commas.",
    ),
]


class Evaluate(NamedTuple):
    """What lse, softmax and log-softmax are asked for."""

    source: Input
    methods: Methods
    output: Output
    cluster: Cluster = HERE
    empty: _Empty = "nan"
    errors: _Errors = False
    steps: _Steps = False
    digits: _Digits = None
    every: _All = False
    quiet: _Quiet = False
    fail_on: _FailOn = None
    function: str = "lse"  # no option: the command


class Nll(NamedTuple):
    """What nll is asked for."""

    source: Input
    labels: Labels
    methods: Methods
    output: Output
    logits: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="The logits, a vector a row: the same as --file."),
    ] = None
    grad: Annotated[
        bool, typer.Option("--grad", help="The gradient, softmax - onehot.", show_default=False)
    ] = False
    reduction: Annotated[
        Literal["mean", "sum", "none"] | None,
        typer.Option(help="How the losses become one.  [default: mean]"),
    ] = None
    empty: _Empty = "nan"
    steps: _Steps = False
    digits: _Digits = None
    every: _All = False
    quiet: _Quiet = False
    fail_on: _FailOn = None


class Demo(NamedTuple):
    """What demo is asked for."""

    output: Output
    scene: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this scene; repeatable.  [default: all]"),
    ] = None
    straight: Annotated[
        bool, typer.Option("--all", help="Straight through, without waiting for keys.")
    ] = False
    names: Annotated[bool, typer.Option("--list", help="The names of the scenes.")] = False


class Prove(NamedTuple):
    """What prove is asked for."""

    function: Annotated[
        Literal["lse", "softmax"],
        typer.Argument(metavar="lse|softmax", help="Whose identity.", show_default=False),
    ]
    source: Input
    output: NotesOutput
    shift: Annotated[
        str | None,
        _shifts("The a of the identity.  [default: max]"),
    ] = None
    dtype: _Dtype = None


class Sweep(NamedTuple):
    """What sweep is asked for."""

    source: Input
    output: FigureOutput
    offset: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Move x: x + t, t from A to B.  [default: -1000:1000]"),
    ] = None
    scale: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Stretch x instead: t x, t from A to B, both positive."),
    ] = None
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"], typer.Option(help="What to compute.")
    ] = "lse"
    method: Annotated[
        list[str] | None,
        _methods("all"),
    ] = None
    shift: Annotated[
        list[str] | None,
        _shifts("The a of the identity; repeatable.  [default: max]"),
    ] = None
    dtype: Annotated[
        list[str] | None,
        _formats(
            "The floating-point format, as `stablelse limits` lists them; repeatable.",
            "float16, float32, float64",
        ),
    ] = None
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many t are tried first in float32 and wider formats; in narrower ones, every"
            " t is.  [default: 400]",
        ),
    ] = None
    intervals: Annotated[
        bool, typer.Option("--intervals", help="List the intervals of t instead of the chart.")
    ] = False


class Peers(NamedTuple):
    """What peers is asked for."""

    source: Input
    output: Output
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"] | None,
        typer.Option(help="What to compute.  [default: lse]"),
    ] = None
    dtype: _Dtype = None
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=_completing(_PEERS),
            help="Only this library beside our own; repeatable: naive, logaddexp, scipy, torch,"
            " jax.  [default: all installed]",
        ),
    ] = None
    whole: Annotated[
        bool, typer.Option("--all", help="Every case of the gallery, with what each library gives.")
    ] = False
    time: Annotated[
        bool, typer.Option("--time/--no-time", help="How long each takes per element.")
    ] = True


class Scan(NamedTuple):
    """What scan is asked for."""

    source: Files
    output: Output
    function: Annotated[
        Literal["lse", "softmax", "log-softmax"],
        typer.Option(help="What to compute of each vector."),
    ] = "lse"
    dtype: Annotated[
        list[str] | None,
        _formats(
            "The floating-point format; repeatable.", "float16, float32, and bfloat16 if installed"
        ),
    ] = None
    max_ulp: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=0.5, help="How many ulps a finite result may lose.  [default: 10]"
        ),
    ] = None
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[METHOD:]VERDICT",
            help="Exit with 1 if that occurs, of that method or any: overflow, underflow, nan,"
            " does_not_fit, no_digits, broken (any of these), digits_lost, ulp>N (any result more"
            " than N ulp off); repeatable, or a list with commas; none.  [default: shifted:broken]",
        ),
    ] = None
    whole: Annotated[
        bool, typer.Option("--all", help="Every kind of trouble, and the charts of all bins.")
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Nothing but the exit code, and on stderr what failed.",
            show_default=False,
        ),
    ] = False


class Limits(NamedTuple):
    """What limits is asked for."""

    output: Output
    dtype: Annotated[
        list[str] | None,
        _formats("Only this format; repeatable.", "all"),
    ] = None
