"""From a request to formats, methods and vectors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import typer

from stablelse.analysis import Place
from stablelse.cli.beside import with_companions
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES
from stablelse.numerics.formats import Array, Format, UnknownFormatError
from stablelse.numerics.formulas import (
    FORMULAS,
    USUAL,
    WEIGHTED,
    Candidate,
    ChoiceError,
    Method,
    candidates,
    find_method,
    find_shift,
    methods_of,
)
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import find_formats
from stablelse.printable import counted
from stablelse.readers import open_files
from stablelse.readers.blocks import Block, By, Gauge, ReadError, ReadOptions
from stablelse.readers.literals import parse_numbers
from stablelse.readers.vectors import Stream, Vectors, vectors, vectors_or_streams
from stablelse.render.numbers import number_text, place_text

#: The errors whose message the user reads, without a traceback.
INPUT_ERRORS = (ReadError, UnknownFormatError, ChoiceError)

#: How many elements are processed at once: bounds the memory of intermediate results.
BATCH = 1 << 18

#: The number of a row, or its place in an array of several axes.
_ROW = re.compile(r"[1-9][0-9]{0,17}(?:,[1-9][0-9]{0,17})*")


class Job(NamedTuple):
    """What is computed, and how."""

    function: Function
    candidates: list[Candidate]  # in each format
    formats: list[Format]
    dtype: str  # that text is parsed to
    empty: str  # the result of vectors that are completely masked or hold only -inf


def job_of(request: Request, function: Function, values_alone: bool) -> Job:
    """Return the job of a request: by default exact values only, or every usual method."""
    formats = find_formats(request.dtype or "float64")
    for format_ in formats:
        if request.mask and not format_.has_infinity:
            raise typer.BadParameter(
                f"{format_.name} has no infinity, so it cannot hold a mask: choose another --dtype"
            )
    shifts = [find_shift(shift) for shift in request.shift or ["max"]]
    methods = [find_method(name) for name in request.method or ()]
    usual = [Method.EXACT] if values_alone else USUAL
    formulas = WEIGHTED if request.weights else FORMULAS
    tried = candidates(function, methods or usual, shifts, formulas)
    if request.shift and not any(each.shift for each in tried):
        raise typer.BadParameter("--shift needs a method that has one: add --method shifted")
    if request.steps and not any(each.formula for each in tried):
        having = ", ".join(m.value for m in methods_of(function) if m is not Method.EXACT)
        raise typer.BadParameter(f"--steps needs a method that has steps: {having}")
    return Job(function, tried, formats, parsed_to(formats), request.empty)


def parsed_to(formats: Sequence[Format]) -> str:
    """Return the dtype that text is parsed to: longdouble if one of the formats is."""
    return "longdouble" if any(each.name == "longdouble" for each in formats) else "float64"


def read_options(request: Request, dtype: str, gauge: Gauge | None = None) -> ReadOptions:
    """Return how the files are to be read."""
    return ReadOptions(
        key=request.key,
        axis=request.axis,
        columns=tuple(request.column or ()),
        header=request.header,
        skip_na=request.skip_na,
        delimiter=request.delimiter,
        decimal=request.decimal,
        dtype=dtype,
        gauge=gauge,
        note=NOTES.note_of_numbers,
    )


def open_numbers(
    request: Request,
    dtype: str,
    gauge: Gauge | None = None,
    alike: bool = True,
    in_pieces: bool = False,
    last: str | None = None,
) -> tuple[Iterator[Block], By | None]:
    """Return the blocks of all files as they are, and what a vector is."""
    reading = read_options(request, dtype, gauge)._replace(in_pieces=in_pieces, last=last)
    by = By(request.by) if request.by else None
    return open_files(request.file or ["-"], reading, alike and by is not By.ROWS), by


def open_input(
    request: Request, dtype: str, gauge: Gauge | None = None, may_stream: bool = False
) -> tuple[Iterator[Block], By | None]:
    """Return the blocks of all files, masked and divided, and what a vector is."""
    may_stream = may_stream and request.by != "columns" and request.engine != "dask"
    blocks, by = open_numbers(request, dtype, gauge, in_pieces=may_stream)
    return prepared(request, blocks, dtype), by


def prepared(request: Request, blocks: Iterator[Block], dtype: str) -> Iterator[Block]:
    """Yield blocks with masks and weights, divided by the temperature."""
    if request.mask or request.weights:
        blocks = with_companions(blocks, request, dtype)
    for block in blocks:
        yield _divided(block, request.temperature) if request.temperature else block


def _divided(block: Block, temperature: float) -> Block:
    """Return a block divided by the temperature, in float64 or longdouble."""
    x = block.values.astype(np.result_type(np.float64, block.values.dtype), copy=False)
    with np.errstate(all="ignore"):
        quotients = x / temperature
        lost = np.argwhere(np.isfinite(x) & np.isinf(quotients))
    if len(lost):
        row, column = lost[0].tolist()
        raise ReadError(
            f"{block.source}, row {block.offset + row + 1}, column {block.begin + column + 1}: "
            f"{number_text(x[row, column])}/{number_text(temperature)} is too large to hold; "
            "choose a larger --temperature"
        )
    return block._replace(values=quotients)


def read_vectors(request: Request, dtype: str, gauge: Gauge | None = None) -> Iterator[Vectors]:
    """Read the vectors in stacks of bounded size; only the chosen rows of each file."""
    if request.numbers:
        yield _argument(request, dtype)
        return
    blocks, by = open_input(request, dtype, gauge)
    yield from chosen(vectors(blocks, by, NOTES.note), request.row)


def read_bounded(
    request: Request, dtype: str, most: Mapping[By, int], gauge: Gauge | None = None
) -> Iterator[Vectors | Stream]:
    """Read the vectors, and those too long for memory as streams."""
    blocks, by = open_input(request, dtype, gauge, may_stream=True)
    return vectors_or_streams(blocks, by, most, NOTES.note)


def read_one(request: Request, formats: Sequence[Format]) -> tuple[Array, Place]:
    """Read the only vector, for these formats, and its place."""
    stacks = read_vectors(request, parsed_to(formats))
    stack = only(stacks, "{} has more than one vector: choose the one to show", "--row")
    return stack.values[0], place_of(stack, 0)


def only(stacks: Iterator[Vectors], complaint: str, hint: str | None = None) -> Vectors:
    """Return the only vector, or complain."""
    stack = next(stacks)
    if len(stack.values) > 1 or next(stacks, None) is not None:
        raise typer.BadParameter(complaint.format(stack.source or "the input"), param_hint=hint)
    return stack


def _argument(request: Request, dtype: str) -> Vectors:
    """Return the vector given as arguments."""
    values = parse_numbers(request.numbers or [], dtype=dtype, note=NOTES.note)
    block = Block(values[np.newaxis], "the vector given", 0)
    (block,) = prepared(request, iter([block]), dtype)
    vector = Vectors(block.values, "", 1, By.ALL, False, None)
    return vector._replace(masked=block.masked, weights=block.weights)


def place_of(stack: Vectors | Stream, index: int) -> Place:
    """Return the place of a vector in a stack, by its position from 0."""
    number = stack.first + index
    if stack.axis is By.COLUMNS and isinstance(stack, Vectors):
        column = stack.names[index] if stack.names else str(number)
        return Place(stack.source or None, None, column)
    if len(stack.outer) > 1:
        at = np.unravel_index(number - 1, stack.outer)
        return Place(stack.source or None, tuple(int(index) + 1 for index in at))
    return Place(stack.source or None, number if stack.axis is By.ROWS else None)


def batches(stacks: Iterator[Any]) -> Iterator[Any]:
    """Yield streams, and stacks that are small enough to process."""
    for stack in stacks:
        if isinstance(stack, Stream):
            yield stack
            continue
        count, n = stack.values.shape
        rows = max(1, BATCH // n)
        for begin in range(0, count, rows):
            yield stack.part(begin, min(begin + rows, count))


def chosen(stacks: Iterator[Vectors], rows: list[str] | None) -> Iterator[Vectors]:
    """Yield the vectors of each source with these numbers, or all if there are none."""
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
        yield from _of_one_source(of_one_source, places)


def _of_one_source(stacks: Iterator[Vectors], rows: list[tuple[int, ...]]) -> Iterator[Vectors]:
    """Yield the vectors at these places one by one, and complain if one does not exist."""
    first = next(stacks)
    missing = {_number(row, first) for row in rows}
    last = 0
    for stack in chain([first], stacks):
        last = stack.first + len(stack.values) - 1
        for number in sorted(number for number in missing if stack.first <= number <= last):
            missing.remove(number)
            yield stack.part(number - stack.first, number + 1 - stack.first)
        if not missing:
            return
    has = f"it has {counted(last, 'vector')}"
    raise ReadError(f"{first.source} has no row {min(missing)}: {has}")


def _number(row: tuple[int, ...], stack: Vectors) -> int:
    """Return the number of a vector in its source, from 1."""
    if len(row) == 1:
        return row[0]
    if len(row) != len(stack.outer) or any(map(int.__gt__, row, stack.outer)):
        has = f"they go up to {stack.outer}" if stack.outer else "they have one number"
        raise ReadError(f"{stack.source} has no row {row}: its rows are counted from 1, and {has}")
    return 1 + int(np.ravel_multi_index([index - 1 for index in row], stack.outer))


def policed(stacks: Iterator[Vectors], job: Job, request: Request) -> Iterator[Vectors]:
    """Refuse vectors that are completely masked or hold only -inf, if `job.empty` says so."""
    for stack in stacks:
        if job.empty == "error":
            nothing = np.all(stack.values == -np.inf, axis=1)
            if stack.labels is not None:
                nothing &= stack.labels != request.ignore_index
            if nothing.any():
                place = place_text(place_of(stack, int(np.argmax(nothing)))) or "the vector given"
                raise ReadError(
                    f"{place} is completely masked or holds only -inf; leave it out, or choose "
                    "another --empty"
                )
        yield stack
