"""lse, softmax and log-softmax: only the values, printed or written to a file of numbers.

`evaluate` shows the methods; this module needs only readers and numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pkgutil import resolve_name
from typing import Any

import numpy as np
import typer

from stablelse.cli.emit import NUMBER_WRITERS, Values, WrittenRows, emit
from stablelse.cli.input import Job, job_of, policed, read_bounded, read_vectors
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, Meter, meter_of
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function, does_not_fit
from stablelse.printable import counted
from stablelse.readers.blocks import By, Note, ReadError
from stablelse.readers.vectors import Stream, Vectors
from stablelse.render import Many
from stablelse.render.numbers import number_text

#: The longest vector that is read into memory, to be shown element by element.
GATHERED = 10_000


def run(request: Request) -> None:
    """Print only the values, for --quiet."""
    job = evaluation_of(request)
    with (meter := meter_of(request)).running():
        emit(Many("values", _values(request, job, meter)), request, meter)


def evaluation_of(request: Request) -> Job:
    """Return the job, or complain if a cluster cannot do it."""
    is_quiet = request.quiet and not request.fail_on
    is_for_programs = bool(is_quiet or request.is_file_of_numbers)
    job = job_of(request, Function(request.function or "lse"), is_for_programs)
    if request.engine == "dask" and not _may_stream(request, job):
        raise typer.BadParameter(
            "--engine dask sums in one pass: it does not go with a --shift other than max, or "
            "longdouble"
        )
    return job


def _may_stream(request: Request, job: Job) -> bool:
    """Whether the job can be done on a stream."""
    if request.numbers or request.row or job.empty != "nan" or request.steps or request.weights:
        return False
    if job.dtype == "longdouble":
        return False
    shifts = {each.shift.name for each in job.candidates if each.shift is not None}
    if job.function is Function.LOGSUMEXP:
        return shifts <= {"max"}
    if request.quiet or request.is_file_of_numbers:
        return len(job.candidates) == len(job.formats) == 1 and not job.candidates[0].formula
    return not request.errors and "mean" not in shifts


def read_input(
    request: Request, job: Job, meter: Meter, most: int = GATHERED
) -> Iterator[Vectors | Stream]:
    """Read the vectors, and those of more than `most` numbers as streams."""
    if not _may_stream(request, job):
        yield from policed(read_vectors(request, job.dtype, meter.gauge), job, request)
        return
    longest = {By.ALL: most}
    if job.function is Function.LOGSUMEXP:
        longest[By.COLUMNS] = GATHERED
    found = read_bounded(request, job.dtype, longest, meter.gauge)
    for stack in found:
        if request.engine == "dask" and stack.axis is By.ROWS:
            raise typer.BadParameter(
                "--engine dask sums one vector, or one per column: use --by all or --by columns"
            )
        yield stack


def long_input(request: Request, meter: Meter) -> Callable[[], Any]:
    """Return what makes the only `LongInput`, once there is a stream: most runs need none."""
    return cache(lambda: resolve_name("stablelse.cli.streams:LongInput")(request, meter))


def values_of(
    results: Iterable[Any], request: Request, is_vertical: bool = False
) -> Iterator[Values]:
    """Yield the values of results or totals: the exact ones, or those of the chosen methods."""
    for result in results:
        if request.method or result.method is Method.EXACT:
            value = np.atleast_1d(result.value)
            if getattr(result, "sign", None) is not None:
                value = _logarithms(value, np.atleast_1d(result.sign))
            yield Values(value, is_vertical)


def _logarithms(values: Array, signs: Array) -> Array:
    """Return the logarithms of weighted sums: NaN, with a note on stderr, if one is negative."""
    if (signs < 0).any():
        text = "a sum is negative, and its logarithm NaN: --json has log |sum| and the sign"
        NOTES.note(Note(text))
    return np.where(signs < 0, np.nan, values).astype(values.dtype)


def _values(request: Request, job: Job, meter: Meter) -> Iterator[Values]:
    """Yield only the values, vector by vector as they come."""
    long = long_input(request, meter)
    narrow = [format_ for format_ in job.formats if format_.significand_bits < 53]
    for stack in meter.following(read_input(request, job, meter)):
        if isinstance(stack, Stream):
            yield from _values_of_long(stack, long, job)
            continue
        for format_ in narrow:
            _note_unfit(stack, format_)
        columns = [
            candidate.values(job.function, stack.values, format_, job.empty, stack.kept)
            if stack.weights is None
            else _logarithms(*candidate.weighted_values(stack.values, stack.weights, format_))
            for format_ in job.formats
            for candidate in job.candidates
        ]
        for rows in zip(*columns, strict=True):
            yield from (Values(row, stack.vertical) for row in rows)


def _values_of_long(stream: Stream, long: Callable[[], Any], job: Job) -> Iterator[Values]:
    if job.function is Function.LOGSUMEXP:
        for comparison in long().fold(stream, job):
            for result in comparison.results:
                yield Values(np.atleast_1d(result.value), True)
                _note_doubt(result)
        return
    for elements in long().elements(stream, job):  # in lines or in one line, as it came
        yield Values(elements, stream.vertical, goes_on=True)
    yield Values(np.empty(0), stream.vertical)


def _note_doubt(result: Any) -> None:
    """Say on stderr that a value may not be correctly rounded."""
    if result.error_bound and result.error_bound > 0.5:
        text = (
            "the value could not be proved to be correctly rounded: pipes, URLs and the files of "
            f"a cluster are read only once; it is within {result.error_bound:.2g} ulp"
        )
        NOTES.note(Note(text))


def _note_unfit(stack: Vectors, format_: Format) -> None:
    """Say on stderr that a number does not fit the format, since the value does not show it."""
    unfit = does_not_fit(stack.values, format_.round(stack.values)).tolist()
    if any(unfit):
        row = stack.values[unfit.index(True)]
        large = next(x for x in row if abs(x) < float("inf") and abs(x) > format_.largest)
        largest = number_text(format_.largest)
        text = f"{number_text(large)} does not fit {format_.name}, largest {largest}"
        NOTES.note(Note(text, stack.source))


def write_file(request: Request, job: Job, meter: Meter) -> None:
    """Write the elements of the vectors to a file of numbers."""
    path = request.output
    if len(job.candidates) * len(job.formats) > 1:
        raise typer.BadParameter(
            f"{path} can only hold the values of one method in one format: choose one of each, "
            "or use --format csv for a table of all"
        )
    blocks = _blocks(request, job, meter)
    NUMBER_WRITERS[request.suffix](path, blocks, job.formats[0], job.function.value)


def _blocks(request: Request, job: Job, meter: Meter) -> Iterator[WrittenRows]:
    """Yield elements in the source's order."""
    (candidate,) = job.candidates
    long = long_input(request, meter)
    width = None
    columns: list[Array] = []
    for stack in meter.following(read_input(request, job, meter)):
        if isinstance(stack, Stream):
            parts: Iterable[Array] = (
                elements[np.newaxis] for elements in long().elements(stack, job)
            )
        else:
            x, format_ = stack.values, job.formats[0]
            parts = [candidate.values(job.function, x, format_, job.empty, stack.kept)]
        for values in parts:
            here = stack.n
            if stack.axis is By.ALL:
                values, here = values.T, 1
            if width not in (None, here):
                noun = "column" if stack.axis is By.COLUMNS else "row"
                raise ReadError(
                    f"{stack.source}, {noun} {stack.first} has {counted(here, 'number')}, but "
                    f"those before have {width:,}: a file needs vectors of the same length; print "
                    "them instead"
                )
            width = here
            if stack.axis is By.COLUMNS:
                columns.append(values)
            else:
                is_last = request.axis in (None, -1, len(stack.outer))
                yield WrittenRows(values, width, stack.outer if is_last else ())
    if columns:
        rows = np.concatenate(columns).T
        yield WrittenRows(rows, rows.shape[1], ())
