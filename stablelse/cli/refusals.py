"""Options that contradict each other, refused before anything is read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import typer

from stablelse.cli.options import Input


class _Given(dict[str, Any]):
    """The options of a command as attributes; `None` for those of other commands."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)

    @property
    def is_without_numbers(self) -> bool:
        return not self.numbers and not self.file

    @property
    def is_for_eyes(self) -> bool:
        return not self.quiet and not self.json and self.format in ("table", "plain")

    @property
    def is_piped(self) -> bool:
        return not self.numbers and "-" in (self.file or ["-"])

    @property
    def is_for_cluster(self) -> bool:
        return bool(self.engine == "dask")

    @property
    def has_labels_in_a_file(self) -> bool:
        return any((self.labels, self.label_column, self.label_key))


class _Refusal(NamedTuple):
    """Options that contradict each other."""

    #: The command; any, if none is named.
    command: str
    clash: Callable[[_Given], Any]
    #: With options in braces.
    message: str


#: What goes with numbers as arguments, of the options for input.
_OF_NUMBERS = ("mask", "temperature")

_PICTURE = "--save keeps the picture of the table: it does not go with "
_NUMBERS = "what programs read has every number, with all its digits"
_LIST = "--list has names alone: leave out --format, --json and --save"
_LABELS = (
    "give the labels once: --labels FILE, --label-column or --label-key for a column, an array or "
    "a field of the logits' file, or --label K for a single vector"
)

#: Refused before anything is read, the first that holds.
_REFUSALS = tuple(
    _Refusal(*row)
    for row in (
        ("", lambda o: o.json and o.format not in ("table", "json"),
         "--json is --format json: it does not go with --format {format}"),
        ("", lambda o: o.save and o.quiet, _PICTURE + "--quiet"),
        ("", lambda o: o.save and o.json, _PICTURE + "--format json"),
        ("", lambda o: o.save and o.format != "table", _PICTURE + "--format {format}"),
        ("", lambda o: o.digits and not o.is_for_eyes, "--digits is for the table: " + _NUMBERS),
        ("", lambda o: o.every and not o.is_for_eyes, "--all is for the table: " + _NUMBERS),
        ("scan", lambda o: o.quiet and o.output,
         "--quiet prints nothing: it does not go with --output"),
        ("scan", lambda o: o.quiet and o.json,
         "--quiet prints nothing: it does not go with --json"),
        ("scan", lambda o: o.quiet and o.format != "table",
         "--quiet prints nothing: it does not go with --format"),
        ("", lambda o: o.quiet and o.json,
         "--quiet prints the value alone: it does not go with --json"),
        ("", lambda o: o.quiet and o.format != "table",
         "--quiet prints the value alone: it does not go with --format"),
        ("", lambda o: o.quiet and o.steps,
         "--quiet prints the value alone: it does not go with --steps"),
        ("", lambda o: o.quiet and o.errors,
         "--quiet prints the value alone: it does not go with --errors"),
        ("demo", lambda o: o.names and (o.format != "table" or o.json or o.save), _LIST),
        ("nll", lambda o: o.grad and o.reduction,
         "--grad gives the gradient of each vector's own loss, as of their sum; that of a mean is "
         "divided by the number of vectors: leave out --reduction"),
        ("nll", lambda o: o.steps and o.json,
         "--steps goes with the table: stablelse log-softmax has them in --format json"),
        ("nll", lambda o: o.steps and o.format != "table",
         "--steps goes with the table: stablelse log-softmax has them in --format {format}"),
        ("nll", lambda o: (o.label is not None) == o.has_labels_in_a_file, _LABELS),
        ("nll", lambda o: o.skip_na,
         "--skip-na would number the classes anew: fill in what is missing"),
        ("nll", lambda o: o.numbers and o.labels is None and o.label is None,
         "--label-column is for files and pipes: use --label K"),
        ("nll", lambda o: o.is_piped and o.labels is None and o.label_key is not None,
         "--label-key reads the logits' file twice, which a pipe cannot be: save it to a file"),
        ("nll", lambda o: [o.labels, o.mask].count("-") + o.is_piped > 1,
         "standard input can be read for one of logits, labels and mask"),
        ("", lambda o: o.mask == "-" and o.is_piped,
         "standard input cannot be both the mask and the numbers"),
        ("", lambda o: o.axis is not None and o.by not in (None, "rows"),
         "--axis says what a vector is: leave out --by {by}"),
        ("sweep", lambda o: o.offset is not None and o.scale is not None,
         "x is moved or stretched: leave out --offset or --scale"),
        ("peers", lambda o: o.is_without_numbers and o.function,
         "--function goes with numbers or --file, not with the gallery"),
        ("peers", lambda o: o.is_without_numbers and o.dtype,
         "--dtype goes with numbers or --file, not with the gallery"),
        ("peers", lambda o: o.whole and not o.is_without_numbers,
         "--all is for the gallery, without numbers and --file"),
        ("prove", lambda o: o.is_without_numbers and o.shift is not None,
         "--shift goes with numbers or --file, not without"),
        ("prove", lambda o: o.is_without_numbers and o.dtype,
         "--dtype goes with numbers or --file, not without"),
        ("lse", lambda o: o.scheduler is not None and not o.is_for_cluster,
         "--scheduler is for a cluster: use --engine dask"),
        ("lse", lambda o: o.is_for_cluster and (o.numbers or o.is_piped),
         "--engine dask is for files, which its workers open: name them"),
    )
)  # fmt: skip


def refuse(command: str, given: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, and those for files if none is read."""
    options = _Given(given)
    where = "with numbers as arguments" if options.numbers else "without a file"
    may_be_without = command in ("peers", "prove") and not options.file
    if options.numbers or may_be_without:
        for name in Input._fields:
            is_given = options.get(name) not in (None, [], Input._field_defaults[name])
            if is_given and name != "numbers" and not (options.numbers and name in _OF_NUMBERS):
                option = name.replace("_", "-")
                raise typer.BadParameter(
                    f"--{option} is for files and pipes: it does not go {where}"
                )
    for refusal in _REFUSALS:
        if refusal.command in ("", command) and refusal.clash(options):
            raise typer.BadParameter(refusal.message.format_map(options))
