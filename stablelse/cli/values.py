"""What is to be computed, and the values of it alone."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import Methods, Output

if TYPE_CHECKING:
    from stablelse.numerics.formats import Array, Format
    from stablelse.numerics.formulas.formula import Method
    from stablelse.numerics.formulas.shifted import Shift
    from stablelse.numerics.functions import Function
    from stablelse.readers import Vectors


#: How many numbers of one vector are gathered, to be shown element by element.
GATHERED = 10_000

#: How many are for a table of a softmax, which takes some 20 times as much memory: in parts, the
#: numbers are read twice, and what is lost in a sum is not looked for.
SHOWN = 1 << 18


class Tried(NamedTuple):
    """What is computed, and how.

    Attributes
    ----------
    function : Function
        What is computed.
    methods : list of Method or None
        Those asked for; ``None`` for the usual ones.
    shifts : list of Shift
        The a's of the identity.
    empty : str
        What is made of vectors that are masked throughout or hold -inf alone.
    """

    function: "Function"
    methods: "list[Method] | None"
    shifts: "list[Shift]"
    empty: str = "nan"

    @property
    def has_usual_shift(self) -> bool:
        """Whether the largest number is the only shift."""
        return [shift.name for shift in self.shifts] == ["max"]

    @property
    def is_division_free(self) -> bool:
        """Whether softmax without a division is asked for, among other methods."""
        return "division-free" in [method.value for method in self.methods or []]

    @property
    def is_right(self) -> bool:
        """Whether the exact value is asked for, and no other."""
        return [method.value for method in self.methods or []] in ([], ["exact"])


class Asked(NamedTuple):
    """What is asked for: what to compute, and how to show it."""

    tried: Tried
    formats: "list[Format]"
    output: Output
    steps: bool
    errors: bool
    quiet: bool


def parse_methods(function: "Function", options: Methods, steps: bool) -> Tried:
    """Return what is asked for, or raise where there is no such thing."""
    from stablelse.numerics.formulas.shifted import find_shift

    shifts = [find_shift(shift.strip()) for shift in options.shift or ["max"]]
    if not options.method:
        return Tried(function, None, shifts)
    from stablelse.numerics.formulas.methods import FORMULAS, candidates, find_method

    methods = [find_method(name) for name in options.method]
    candidates(function, methods, shifts)
    if steps and not FORMULAS.keys() & set(methods):
        formulas = ", ".join(method.value for method in FORMULAS)
        raise typer.BadParameter(f"--steps needs a method that has steps: {formulas}")
    return Tried(function, methods, shifts)


def policed(stacks: "Iterator[Vectors]", tried: Tried) -> "Iterator[Vectors]":
    """Return vectors as the policy has those of which nothing is left."""
    from stablelse.numerics.functions import Function

    is_moot = tried.function is Function.LOGSUMEXP and tried.empty != "error"
    if tried.empty == "nan" or is_moot:  # the logarithm of nothing is -inf
        return stacks
    from stablelse.cli.masking import settled

    return settled(stacks, tried.empty)


def write_values(
    stream: TextIO, stacks: "Iterator[Vectors]", tried: Tried, formats: "list[Format]"
) -> None:
    """Write the values alone, the exact ones or those asked for: a vector a line, as it came."""
    from stablelse.render.numbers import number_text

    every = computations(tried, formats)
    narrow = [format_ for format_ in formats if format_.significand_bits < 53]
    for stack in stacks:
        for format_ in narrow:
            _note_unfit(stack, format_)
        separator = "\n" if stack.vertical else "\t"
        columns = [compute(stack.values) for compute in every]
        for rows in zip(*columns, strict=True):
            for row in rows:
                stream.write(separator.join(map(number_text, row)) + "\n")


def _note_unfit(stack: "Vectors", format_: "Format") -> None:
    """Say on stderr that a number does not fit the format: its value alone would not."""
    from stablelse.analysis.verdicts import does_not_fit
    from stablelse.readers import Note
    from stablelse.render.numbers import number_text

    unfit = does_not_fit(stack.values, format_.round(stack.values)).tolist()
    if any(unfit):
        row = stack.values[unfit.index(True)]
        large = next(x for x in row if abs(x) < float("inf") and abs(x) > format_.largest)
        largest = number_text(format_.largest)
        text = f"{number_text(large)} does not fit {format_.name}, largest {largest}"
        NOTES.note(Note(text, stack.source))


def computations(tried: Tried, formats: "list[Format]") -> "list[Callable[[Array], Array]]":
    """Return what gives the values of a stack of vectors, one for every line of a vector."""
    from functools import partial

    from stablelse.numerics.formulas.formula import Method
    from stablelse.numerics.formulas.methods import candidates

    computed = candidates(tried.function, tried.methods or [Method.EXACT], tried.shifts)
    return [
        partial(candidate.values, tried.function, format_=format_, empty=tried.empty)
        for format_ in formats
        for candidate in computed
    ]
