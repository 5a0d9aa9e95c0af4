"""From the input options to vectors: arguments, files or a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import HERE, Cluster, Input
from stablelse.numerics.formats import UnknownFormatError, find_format
from stablelse.numerics.formulas import UnknownShiftError
from stablelse.numerics.formulas.formula import DerivationError, MethodError, SweepError
from stablelse.readers import (
    Block,
    By,
    ReadError,
    ReadOptions,
    Stream,
    Vectors,
    parse_numbers,
    vectors,
    vectors_or_stream,
)

if TYPE_CHECKING:
    from stablelse.analysis.results import Place
    from stablelse.numerics.formats import Array, Format
    from stablelse.readers import Gauge

#: The number of a row, or its place in an array of several axes.
_ROW = re.compile(r"[1-9][0-9]{0,17}(?:,[1-9][0-9]{0,17})*")

#: The errors whose message is the user's to read, and whose traceback is nobody's.
INPUT_ERRORS = (
    ReadError,
    UnknownFormatError,
    UnknownShiftError,
    MethodError,
    DerivationError,
    SweepError,
)


def read_vectors(options: Input, dtype: str, gauge: Gauge | None = None) -> Iterator[Vectors]:
    """Read the vectors that the options name, in stacks of bounded size.

    Parameters
    ----------
    options : Input
        Where the numbers are. Standard input is read only if no other place is named.
    dtype : str
        What text is parsed to: ``"float64"`` or ``"longdouble"``.
    gauge : Gauge, optional
        Told how many bytes are read.

    Yields
    ------
    Vectors
        Stacks of vectors; of each file only those of ``options.row``, if rows are named there.

    Raises
    ------
    ReadError
        If anything of the input cannot be read, with its place.
    """
    if options.numbers:
        yield _argument(options, dtype)
        return
    blocks, by = open_input(options, dtype, gauge)
    yield from chosen(vectors(blocks, by, NOTES.note), options.row)


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


def read_bounded(
    options: Input, dtype: str, most: int, gauge: Gauge | None = None
) -> Iterator[Vectors] | Stream:
    """Read the vectors that the options name, or leave them a stream if they are long.

    Parameters
    ----------
    options, dtype, gauge
        As of :func:`read_vectors`.
    most : int
        How many numbers of a vector may be gathered in memory. With ``options.row``, all are.

    Raises
    ------
    ReadError
        If anything of what is read here cannot be; later, the rest may raise it.
    """
    if options.numbers or options.row:
        return read_vectors(options, dtype, gauge)
    blocks, by = open_input(options, dtype, gauge)
    return vectors_or_stream(blocks, by, most, NOTES.note)


def read_one(options: Input, formats: Sequence[Format]) -> tuple[Array, Place]:
    """Read the one vector that the options must name, for these formats, and where it is from.

    Raises
    ------
    ReadError
        If it cannot be read.
    typer.BadParameter
        If there are several.
    """
    wide = any(format_.name == "longdouble" for format_ in formats)
    stacks = read_vectors(options, "longdouble" if wide else "float64")
    stack = next(stacks)
    if len(stack.values) > 1 or next(stacks, None) is not None:
        where = stack.source or "the input"
        raise typer.BadParameter(
            f"{where} has more than one vector: choose the one to show", param_hint="--row"
        )
    return stack.values[0], place_of(stack, 0)


def _argument(options: Input, dtype: str) -> Vectors:
    values = parse_numbers(options.numbers or [], dtype=dtype)
    vector = Vectors(values[np.newaxis], "", 1, By.ALL, vertical=False, names=None)
    if options.mask is None:
        return vector
    from stablelse.cli.masking import masked_vector

    block = masked_vector(vector.values, options.mask)
    return vector._replace(values=block.values, masked=block.masked)


def open_input(
    options: Input, dtype: str, gauge: Gauge | None = None
) -> tuple[Iterator[Block], By | None]:
    """Return the blocks of all files that the options name, and what a vector is to be."""
    blocks, by = open_numbers(options, dtype, gauge)
    return masked_by(options, blocks), by


def open_numbers(
    options: Input, dtype: str, gauge: Gauge | None = None, alike: bool = True
) -> tuple[Iterator[Block], By | None]:
    """Return what `open_input` does, without the mask; files that are not alike may differ."""
    from stablelse.readers import open_files

    reading = read_options(options, dtype, gauge)
    by = By(options.by) if options.by else None
    if options.axis is not None and by not in (None, By.ROWS):
        raise typer.BadParameter(f"--axis says what a vector is: leave out --by {options.by}")
    return open_files(options.file or ["-"], reading, alike and by is not By.ROWS), by


def masked_by(options: Input, blocks: Iterator[Block]) -> Iterator[Block]:
    """Return blocks with -inf where the mask says so, if there is one."""
    if options.mask is None:
        return blocks
    from stablelse.cli.masking import masked_blocks

    return masked_blocks(blocks, options.mask, options.axis)


def read_options(options: Input, dtype: str, gauge: Gauge | None = None) -> ReadOptions:
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


def place_of(stack: Vectors, index: int) -> Place:
    """Return where a vector of a stack came from, by its position, from 0."""
    from stablelse.analysis.results import Place

    number = stack.first + index
    if stack.axis is By.COLUMNS:
        column = stack.names[index] if stack.names else str(number)
        return Place(stack.source or None, None, column)
    if len(stack.outer) > 1:
        at = np.unravel_index(number - 1, stack.outer)
        return Place(stack.source or None, tuple(int(index) + 1 for index in at))
    return Place(stack.source or None, number if stack.axis is By.ROWS else None)


def find_formats(options: Input, names: list[str] | None) -> list[Format]:
    """Return the formats of these names, float64 if there are none.

    Raises
    ------
    UnknownFormatError
        If there is no such format.
    typer.BadParameter
        If there is a mask, and no infinity to mask with.
    """
    formats = [find_format(name) for name in names or ["float64"]]
    for format_ in formats:
        if options.mask and not format_.has_infinity:
            raise typer.BadParameter(
                f"{format_.name} has no infinity, so that nothing can be masked in it: choose "
                "another --dtype"
            )
    return formats


def refuse_cluster(cluster: Cluster, source: Input, may_stream: bool) -> None:
    """Complain of a cluster where there is nothing for it to do."""
    if cluster == HERE:
        return
    if source.mask or not may_stream:
        raise typer.BadParameter(
            "--engine dask sums up in one pass: it does not go with --mask, --row, --steps, "
            "--errors, another --shift than max, or longdouble"
        )


def not_rows(stacks: Iterator[Vectors]) -> Iterator[Vectors]:
    """Return vectors too short for a cluster, and complain of rows, which it does not sum up."""
    first = next(stacks)
    if first.axis is By.ROWS:
        raise typer.BadParameter(
            "--engine dask sums up one vector, or one a column: say --by all or --by columns"
        )
    return chain([first], stacks)


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
