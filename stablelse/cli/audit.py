"""The audit: numbers that somebody else computed, graded against the exact ones."""

from __future__ import annotations

from functools import partial

import numpy as np
import typer

from stablelse.analysis.audit import Audit
from stablelse.analysis.results import parse_conditions
from stablelse.cli import tell
from stablelse.cli.beside import open_beside
from stablelse.cli.emit import emit
from stablelse.cli.input import batches, parsed_to, place_of, read_vectors
from stablelse.cli.labels import read_labelled
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, meter_of
from stablelse.numerics.formats import Array
from stablelse.numerics.functions import Function, LossFunction
from stablelse.numerics.inputs import find_formats
from stablelse.printable import counted
from stablelse.readers.blocks import Note, ReadError, ReadOptions
from stablelse.readers.vectors import Beside, Vectors

#: The options of the logits' file, and those of the file of values.
_OPTIONS = {"--file": "--values", "--key": "--values-key"}


def run(request: Request) -> None:
    """Grade the values, and exit with 1 if a condition occurs."""
    formats = find_formats(request.dtype or "float64")
    if len(formats) > 1:
        raise typer.BadParameter("values are graded in one format: give --dtype once")
    is_loss = request.function == "nll"
    function = LossFunction.LOSS if is_loss else Function(request.function or "softmax")
    if is_loss != bool(request.labels or request.label_column or request.label_key):
        what = "nll needs labels: give --labels" if is_loss else "labels go with --function nll"
        raise typer.BadParameter(what)
    result = Audit(function, formats[0].name)
    conditions = parse_conditions(
        ",".join(request.fail_on or ["none"]), [], ["broken"], ["ulp", "nats"]
    )
    dtype = parsed_to(formats)
    with (meter := meter_of(request)).running():
        read = read_labelled if is_loss else read_vectors
        reading = ReadOptions(key=request.values_key, dtype=dtype)
        values = Beside(open_beside([request.values], reading, _OPTIONS), "give one for each")
        for stack in batches(meter.following(read(request, dtype))):
            is_single = function in (Function.LOGSUMEXP, LossFunction.LOSS)
            given = _taken(stack, values, 1 if is_single else stack.values.shape[1], request)
            if not request.dtype and given.dtype.kind == "f" and given.dtype.itemsize < 8:
                text = f"is graded in {formats[0].name}: name its --dtype"
                NOTES.note(Note(f"{given.dtype} or narrower, {text}", request.values))
            place, labels = partial(place_of, stack), stack.labels
            result.update(stack.values, given, place, labels, request.ignore_index)
        values.end("the logits")
    if not result.rows:
        raise ReadError(f"every label is {request.ignore_index}, which --ignore-index leaves out")
    if not request.quiet:
        emit(result, request, meter)
    if found := [condition.text for condition in conditions if result.has(condition)]:
        tell(f"failed: {', '.join(found)}: {result.ulps:g} ulp, {result.nats:g} nats off")
        raise typer.Exit(1)


def _taken(stack: Vectors, values: Beside, width: int, request: Request) -> Array:
    """Return the values of a stack: rows as wide as the result, or one vector in any layout."""
    rows = len(stack.values)
    pieces = values.take(rows)
    if len(pieces) == 1 and 1 in pieces[0].values.shape and 1 in (rows, width):
        first = pieces[0].values.reshape(-1)
        rest = values.take(rows * width - len(first))  # one number a line
        first = np.concatenate([first, *(piece.values.reshape(-1) for piece in rest)])
        if len(first) == rows * width:
            return first.reshape(rows, width)
    for piece in pieces:
        if piece.values.shape[1] != width:
            raise ReadError(
                f"{piece.source} has {counted(piece.values.shape[1], 'number')} a row, but "
                f"{request.function or 'softmax'} of {stack.source or 'the logits'} has {width:,}"
            )
    if sum(len(piece.values) for piece in pieces) < rows:
        raise ReadError(f"{request.values} has fewer rows than the logits: give one for each")
    return np.concatenate([piece.values for piece in pieces])
