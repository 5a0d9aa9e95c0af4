"""What a request asks for: its numbers as vectors, and its names as formats, methods and shifts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import typer

from stablelse.analysis import Place
from stablelse.cli.beside import with_companions
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES
from stablelse.numerics.formats import Array, Format, UnknownFormatError, find_format
from stablelse.numerics.formulas import (
    FORMULAS,
    USUAL,
    WEIGHTED,
    Candidate,
    ChoiceError,
    Formulas,
    Method,
    Shift,
    candidates,
    find_method,
    find_shift,
)
from stablelse.numerics.functions import Function
from stablelse.readers import (
    Block,
    By,
    Gauge,
    ReadError,
    ReadOptions,
    Stream,
    Vectors,
    open_files,
    parse_numbers,
    vectors,
    vectors_or_stream,
)
from stablelse.render.numbers import number_text, place_text

#: The errors whose message is for the user to read, without a traceback.
INPUT_ERRORS = (
    ReadError,
    UnknownFormatError,
    ChoiceError,
)

#: How many elements are worked on at once: bounds the memory that intermediate results take.
BATCH = 1 << 18

#: The number of a row, or its place in an array of several axes.
_ROW = re.compile(r"[1-9][0-9]{0,17}(?:,[1-9][0-9]{0,17})*")


class Job(NamedTuple):
    """What is computed, and how."""

    function: Function
    methods: list[Method] | None  # None for the usual ones
    shifts: list[Shift]
    formats: list[Format]
    empty: str = "nan"  # what becomes of vectors that are completely masked or hold only -inf
    formulas: Formulas = FORMULAS

    @classmethod
    def of(cls, function: Function, options: Request) -> Job:
        """Return what is asked for, or raise if it does not exist."""
        formats = find_formats(options.dtype)
        for format_ in formats:
            if options.mask and not format_.has_infinity:
                raise typer.BadParameter(
                    f"{format_.name} has no infinity, so it cannot hold a mask: choose "
                    "another --dtype"
                )
        shifts = [find_shift(shift.strip()) for shift in options.shift or ["max"]]
        methods = [find_method(name) for name in options.method or ()] or None
        formulas = WEIGHTED if options.weights else FORMULAS
        candidates(function, methods or USUAL, shifts, formulas)
        if options.steps and methods and not FORMULAS.keys() & set(methods):
            having = ", ".join(method.value for method in FORMULAS)
            raise typer.BadParameter(f"--steps needs a method that has steps: {having}")
        return cls(function, methods, shifts, formats, options.empty, formulas)

    @property
    def dtype(self) -> str:
        """What text is parsed to."""
        return parsed_to(self.formats)

    def candidates(self, usual: Sequence[Method] = USUAL) -> list[Candidate]:
        """Return what is computed in each format: what is asked for, or the usual methods."""
        return candidates(self.function, self.methods or usual, self.shifts, self.formulas)

    @property
    def has_usual_shift(self) -> bool:
        """Whether the largest number is the only shift."""
        return [shift.name for shift in self.shifts] == ["max"]

    @property
    def is_exact(self) -> bool:
        """Whether the exact value is asked for, and no other."""
        return self.methods in (None, [Method.EXACT])


def find_formats(names: list[str] | None, default: Sequence[str] = ("float64",)) -> list[Format]:
    """Return the formats of these names; one that is named twice counts once."""
    return list(dict.fromkeys(find_format(name) for name in names or default))


def parsed_to(formats: Sequence[Format]) -> str:
    """Return what text is parsed to: longdouble, if one of the formats is."""
    is_wide = any(format_.name == "longdouble" for format_ in formats)
    return "longdouble" if is_wide else "float64"


def read_options(options: Request, dtype: str, gauge: Gauge | None = None) -> ReadOptions:
    """Return how the files are to be read."""
    return ReadOptions(
        key=options.key,
        axis=options.axis,
        columns=tuple(options.column or ()),
        header=options.header,
        skip_na=options.skip_na,
        delimiter=options.delimiter,
        decimal=options.decimal,
        dtype=dtype,
        gauge=gauge,
        note=NOTES.note_of_numbers,
    )


def open_numbers(
    options: Request, dtype: str, gauge: Gauge | None = None, alike: bool = True
) -> tuple[Iterator[Block], By | None]:
    """Return the blocks of all files without mask and weights, and what a vector is to be."""
    reading = read_options(options, dtype, gauge)
    by = By(options.by) if options.by else None
    return open_files(options.file or ["-"], reading, alike and by is not By.ROWS), by


def prepared(options: Request, blocks: Iterator[Block], dtype: str) -> Iterator[Block]:
    """Return blocks with -inf where the mask says so and with weights, over the temperature."""
    blocks = with_companions(blocks, options, dtype)
    if options.temperature is None:
        return blocks
    return map(partial(_divided, options.temperature), blocks)


def _divided(temperature: float, block: Block) -> Block:
    """Return a block divided by the temperature, in float64 or longdouble."""
    x = block.values.astype(np.result_type(np.float64, block.values.dtype), copy=False)
    with np.errstate(all="ignore"):
        quotients = x / temperature
        lost = np.argwhere(np.isfinite(x) & np.isinf(quotients))
    if len(lost):
        row, column = lost[0].tolist()
        raise ReadError(
            f"{block.source}, row {block.offset + row + 1}, column {column + 1}: "
            f"{number_text(x[row, column])}/{number_text(temperature)} is too large to hold; "
            "choose a larger --temperature"
        )
    return block._replace(values=quotients)


def open_input(
    options: Request, dtype: str, gauge: Gauge | None = None
) -> tuple[Iterator[Block], By | None]:
    """Return the blocks of all files, prepared, and what a vector is to be."""
    blocks, by = open_numbers(options, dtype, gauge)
    return prepared(options, blocks, dtype), by


def read_vectors(options: Request, dtype: str, gauge: Gauge | None = None) -> Iterator[Vectors]:
    """Read the vectors in stacks of bounded size; of each file only the rows that are named."""
    if options.numbers:
        yield _argument(options, dtype)
        return
    blocks, by = open_input(options, dtype, gauge)
    yield from chosen(vectors(blocks, by, NOTES.note), options.row)


def read_bounded(
    options: Request, dtype: str, most: int, gauge: Gauge | None = None
) -> Iterator[Vectors] | Stream:
    """Read the vectors, or leave them a stream if one has more than `most` numbers."""
    if options.numbers or options.row:
        return read_vectors(options, dtype, gauge)
    blocks, by = open_input(options, dtype, gauge)
    return vectors_or_stream(blocks, by, most, NOTES.note)


def read_one(options: Request, formats: Sequence[Format]) -> tuple[Array, Place]:
    """Read the one vector that must be there, for these formats, and where it is from."""
    stacks = read_vectors(options, parsed_to(formats))
    stack = next(stacks)
    if len(stack.values) > 1 or next(stacks, None) is not None:
        where = stack.source or "the input"
        raise typer.BadParameter(
            f"{where} has more than one vector: choose the one to show", param_hint="--row"
        )
    return stack.values[0], place_of(stack, 0)


def _argument(options: Request, dtype: str) -> Vectors:
    values = parse_numbers(options.numbers or [], dtype=dtype)
    block = Block(values[np.newaxis], "the vector given", 0)
    (block,) = prepared(options, iter([block]), dtype)
    vectors_ = Vectors(block.values, "", 1, By.ALL, False, None)
    return vectors_._replace(masked=block.masked, weights=block.weights)


def place_of(stack: Vectors, index: int) -> Place:
    """Return where a vector of a stack came from, by its position, from 0."""
    number = stack.first + index
    if stack.axis is By.COLUMNS:
        column = stack.names[index] if stack.names else str(number)
        return Place(stack.source or None, None, column)
    if len(stack.outer) > 1:
        at = np.unravel_index(number - 1, stack.outer)
        return Place(stack.source or None, tuple(int(index) + 1 for index in at))
    return Place(stack.source or None, number if stack.axis is By.ROWS else None)


def batches(stacks: Iterator[Vectors]) -> Iterator[Vectors]:
    """Yield stacks that are not too large to work on."""
    for stack in stacks:
        count, n = stack.values.shape
        rows = max(1, BATCH // n)
        for begin in range(0, count, rows):
            yield stack.part(begin, min(begin + rows, count))


def chosen(stacks: Iterator[Vectors], rows: list[str] | None) -> Iterator[Vectors]:
    """Yield of each source the vectors of these numbers; all, if none are named."""
    if not rows:
        yield from stacks
        return
    for row in rows:
        if _ROW.fullmatch(row) is None:
            raise typer.BadParameter(
                f"{row!r} is not a row: give its number, from 1; in an array of three axes I,J",
                param_hint="--row",
            )
    places = [tuple(map(int, row.split(","))) for row in rows]
    for _, of_one_source in groupby(stacks, key=attrgetter("source")):
        yield from _chosen(of_one_source, places)


def _chosen(stacks: Iterator[Vectors], rows: list[tuple[int, ...]]) -> Iterator[Vectors]:
    """Yield the vectors at these places one by one, and complain of those there are not."""
    first = next(stacks)
    missing = {_number(row, first) for row in rows}
    last = 0
    for stack in chain([first], stacks):
        last = stack.first + len(stack.values) - 1
        for number in range(stack.first, last + 1):
            if number in missing:
                missing.remove(number)
                yield stack.one(number - stack.first)
        if not missing:
            return
    plural = "vector" if last == 1 else "vectors"
    raise ReadError(f"{first.source} has no row {min(missing)}: it has {last:,} {plural}")


def _number(row: tuple[int, ...], stack: Vectors) -> int:
    """Return the number of a vector of a source, from 1."""
    if len(row) == 1:
        return row[0]
    if len(row) != len(stack.outer) or any(map(int.__gt__, row, stack.outer)):
        has = f"they go up to {stack.outer}" if stack.outer else "they have one number"
        raise ReadError(f"{stack.source} has no row {row}: its rows are counted from 1, and {has}")
    return 1 + int(np.ravel_multi_index([index - 1 for index in row], stack.outer))


def policed(stacks: Iterator[Vectors], job: Job, ignored: int | None = None) -> Iterator[Vectors]:
    """Return vectors as `job.empty` has those that are completely masked or hold only -inf."""
    is_moot = job.function is Function.LOGSUMEXP or ignored is not None
    if job.empty == "error":
        return map(_refusing_nothing(ignored), stacks)
    # under "uniform", what is not masked of such a vector is 0, and everything if all is masked;
    # the logarithm of nothing is -inf, and the loss knows the policy itself
    return map(_uniform, stacks) if job.empty == "uniform" and not is_moot else stacks


def _is_nothing(stack: Vectors) -> Array:
    nothing: Array = np.all(stack.values == -np.inf, axis=1)
    return nothing


def _refusing_nothing(ignored: int | None) -> Callable[[Vectors], Vectors]:
    def check(stack: Vectors) -> Vectors:
        nothing = _is_nothing(stack)
        if stack.labels is not None:
            nothing &= stack.labels != ignored
        if nothing.any():
            place = place_text(place_of(stack, int(np.argmax(nothing)))) or "the vector given"
            raise ReadError(
                f"{place} is completely masked or holds only -inf; leave it out, or choose "
                "another --empty"
            )
        return stack

    return check


def _uniform(stack: Vectors) -> Vectors:
    kept = np.ones(stack.values.shape, bool) if stack.masked is None else ~stack.masked
    kept |= ~kept.any(axis=1, keepdims=True)
    zero = stack.values.dtype.type(0)
    is_zero = _is_nothing(stack)[:, np.newaxis] & kept
    return stack._replace(values=np.where(is_zero, zero, stack.values))
