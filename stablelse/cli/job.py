"""What a request asks for in the words of the library: names become formats, methods and shifts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from stablelse.cli.options import Input, Methods
from stablelse.cli.source import find_formats
from stablelse.numerics.formats import Format
from stablelse.numerics.formulas import (
    FORMULAS,
    USUAL,
    Candidate,
    Shift,
    candidates,
    find_method,
    find_shift,
)
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function

if TYPE_CHECKING:
    from stablelse.readers import Vectors

#: How many elements are worked on at once: bounds the memory that intermediate results take.
BATCH = 1 << 18


class Job(NamedTuple):
    """What is computed, and how.

    Attributes
    ----------
    function : Function
        What is computed.
    methods : list of Method or None
        Those asked for; ``None`` for the usual ones.
    shifts : list of Shift
        The a's of the identity.
    formats : list of Format
        What is computed in.
    empty : str
        What is made of vectors that are masked throughout or hold -inf alone.
    """

    function: Function
    methods: list[Method] | None
    shifts: list[Shift]
    formats: list[Format]
    empty: str = "nan"

    @classmethod
    def of(
        cls, function: Function, source: Input, options: Methods, empty: str, steps: bool
    ) -> Job:
        """Return what is asked for, or raise where there is no such thing."""
        formats = find_formats(source, options.dtype)
        shifts = [find_shift(shift.strip()) for shift in options.shift or ["max"]]
        methods = [find_method(name) for name in options.method or ()] or None
        candidates(function, methods or USUAL, shifts)
        if steps and methods and not FORMULAS.keys() & set(methods):
            formulas = ", ".join(method.value for method in FORMULAS)
            raise typer.BadParameter(f"--steps needs a method that has steps: {formulas}")
        return cls(function, methods, shifts, formats, empty)

    @property
    def dtype(self) -> str:
        """What text is parsed to."""
        return parsed_to(self.formats)

    def candidates(self, usual: Sequence[Method] = USUAL) -> list[Candidate]:
        """Return what is computed in each format: what is asked for, or the usual methods."""
        return candidates(self.function, self.methods or usual, self.shifts)

    @property
    def has_usual_shift(self) -> bool:
        """Whether the largest number is the only shift."""
        return [shift.name for shift in self.shifts] == ["max"]

    @property
    def is_exact(self) -> bool:
        """Whether the exact value is asked for, and no other."""
        return self.methods in (None, [Method.EXACT])


def parsed_to(formats: Sequence[Format]) -> str:
    """Return what text is parsed to: longdouble, if one of the formats is."""
    is_wide = any(format_.name == "longdouble" for format_ in formats)
    return "longdouble" if is_wide else "float64"


def batches(stacks: Iterator[Vectors]) -> Iterator[Vectors]:
    """Yield stacks that are not too large to work on."""
    for stack in stacks:
        count, n = stack.values.shape
        rows = max(1, BATCH // n)
        for begin in range(0, count, rows):
            yield stack.part(begin, min(begin + rows, count))
