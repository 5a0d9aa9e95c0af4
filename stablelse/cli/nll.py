"""The negative log-likelihood of labels, and its gradient, by every method side by side."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TextIO

import typer

from stablelse.cli.notes import NOTES
from stablelse.cli.options import Empty, Input, Labels, Methods, Output, Quiet, Steps
from stablelse.cli.values import Tried, parse_methods

if TYPE_CHECKING:
    from stablelse.analysis.likelihood import Likelihood, Likelihoods, Loss
    from stablelse.analysis.results import Comparison
    from stablelse.numerics.formats import Format
    from stablelse.numerics.formulas.loss_methods import Quantity
    from stablelse.numerics.formulas.methods import Candidate
    from stablelse.readers import Vectors

#: How many elements are computed at once: bounds the memory that intermediate results take.
_BATCH = 1 << 18


def nll(
    context: typer.Context,
    source: Input,
    labels: Labels,
    methods: Methods,
    output: Output,
    logits: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="The logits, a vector a row: the same as --file."),
    ] = None,
    grad: Annotated[
        bool, typer.Option("--grad", help="The gradient, softmax - onehot.", show_default=False)
    ] = False,
    reduction: Annotated[
        Literal["mean", "sum", "none"] | None,
        typer.Option(help="How the losses become one.  [default: mean]"),
    ] = None,
    empty: Empty = "nan",
    steps: Steps = False,
    quiet: Quiet = False,
) -> None:
    """Show the losses."""
    from stablelse.cli.beside import proposing_no
    from stablelse.cli.labels import read_labelled
    from stablelse.cli.sink import open_sink
    from stablelse.cli.source import find_formats, is_missing
    from stablelse.numerics.formulas.loss_methods import Quantity

    source = source._replace(file=[*(source.file or []), *(logits or [])] or None)
    if is_missing(source):
        typer.echo(context.get_help())
        return
    if grad and reduction is not None:
        raise typer.BadParameter(
            "--grad gives the gradient of each vector's own loss, as of their sum; that of a mean "
            "is divided by the number of vectors: leave out --reduction"
        )
    if steps and output.kind != "table":
        raise typer.BadParameter(
            f"--steps goes with the table: stablelse log-softmax has them in --format {output.kind}"
        )
    quantity = Quantity.GRADIENT if grad else Quantity.LOSS
    formats = find_formats(source, methods.dtype)
    tried = parse_methods(quantity.function, methods, steps)._replace(empty=empty)
    parsed_to = "longdouble" if any(f.name == "longdouble" for f in formats) else "float64"
    job = _Job(quantity, tried, formats, reduction or "mean", labels.ignore_index)
    with proposing_no("--skip-na"), open_sink(output.output) as stream:
        stacks = _settled(read_labelled(source, labels, parsed_to), empty, labels.ignore_index)
        if quiet:
            _write_values(stream, stacks, job)
        elif output.kind == "table":
            _write_pictures(stream, stacks, job, output, steps)
        else:
            _write_records(stream, stacks, job, output.kind)


# What the help says: a docstring proper may not have the \b that keeps lines as they are.
nll.__doc__ = """The negative log-likelihood of labels, naive and shifted side by side.

    -log(softmax(x)_label) = lse(x) - x_label: the loss of classifiers, which libraries call
    cross-entropy. Naive it is -log(e^x_label / sum e^x_i), which breaks where e^x does.

    Labels are counted from 0. Rows are worked off one after the other, in bounded memory.

    \b
    Examples:
      stablelse nll 1000 1001 1002 --label 0
      stablelse nll --logits logits.npy --labels labels.npy --dtype float16
      stablelse nll --logits logits.csv --label-column digit
      stablelse nll --logits logits.jsonl --key logits --label-key label
      stablelse nll --logits logits.csv --labels labels.csv --quiet --reduction none
      stablelse nll --logits logits.csv --labels labels.csv --row 7 --steps
      stablelse nll --logits logits.npy --labels labels.npy --grad --dtype float16
      stablelse nll 3 1 2 --label 1 --mask kept.csv
    """


class _Job(NamedTuple):
    """What is asked for."""

    quantity: "Quantity"
    tried: Tried
    formats: "list[Format]"
    reduction: str
    ignore_index: int

    def begin(self, candidates: "list[Candidate]") -> "Likelihoods":
        """Return what takes the vectors."""
        from stablelse.analysis.likelihood import Likelihoods

        return Likelihoods(
            self.quantity,
            candidates,
            self.formats,
            self.reduction,
            self.ignore_index,
            self.tried.empty,
        )


def _settled(stacks: "Iterator[Vectors]", empty: str, ignored: int) -> "Iterator[Vectors]":
    """Complain of vectors of which nothing is left, if they are ruled out."""
    if empty != "error":
        return stacks
    from stablelse.cli.masking import settled

    return settled(stacks, empty, ignored)


def _candidates(job: _Job) -> "list[Candidate]":
    """Return what is computed."""
    from stablelse.analysis.compare import chosen_methods
    from stablelse.numerics.formulas.methods import candidates

    chosen = chosen_methods(job.tried.methods)
    return candidates(job.quantity.function, chosen, job.tried.shifts)


def _losses(stacks: "Iterator[Vectors]", found: "Likelihoods") -> "Iterator[Loss]":
    """Yield what is found of each vector."""
    from stablelse.cli.source import place_of

    for part in _parts(stacks):
        assert part.labels is not None, "these vectors are labelled"
        places = [place_of(part, index) for index in range(len(part.values))]
        yield from found.add(part.values, part.labels, part.masked, places)


def _parts(stacks: "Iterator[Vectors]") -> "Iterator[Vectors]":
    """Yield stacks that are not too large."""
    for stack in stacks:
        count, n = stack.values.shape
        rows = max(1, _BATCH // n)
        for begin in range(0, count, rows):
            yield stack.part(begin, min(begin + rows, count))


def _write_values(stream: TextIO, stacks: "Iterator[Vectors]", job: _Job) -> None:
    """Write the exact values alone, or those asked for."""
    from stablelse.numerics.formulas.formula import Method
    from stablelse.numerics.formulas.loss_methods import Quantity
    from stablelse.numerics.formulas.methods import candidates
    from stablelse.render.likelihood import values_text
    from stablelse.render.numbers import number_text

    chosen = job.tried.methods or [Method.EXACT]
    found = job.begin(candidates(job.quantity.function, chosen, job.tried.shifts))
    if job.reduction == "none" or job.quantity is Quantity.GRADIENT:
        for loss in _losses(stacks, found):
            stream.writelines(f"{values_text(result)}\n" for result in loss.results)
        return
    for part in _parts(stacks):
        assert part.labels is not None, "these vectors are labelled"
        found.add_up(part.values, part.labels, part.masked)
    totals = found.result().totals
    stream.writelines(f"{number_text(entry.value)}\n" for entry in totals)


def _write_pictures(
    stream: TextIO, stacks: "Iterator[Vectors]", job: _Job, output: Output, steps: bool
) -> None:
    """Draw the methods on one vector, below the softmax or its logarithm; or a row a vector."""
    from stablelse.cli.show import show
    from stablelse.render.walk import Walk

    found = job.begin(_candidates(job))
    for _ in _losses(stacks, found):
        pass
    result = found.result()
    if result.vectors == 1:
        comparison = _inner(job, found, result)
        show([Walk(comparison) if steps else comparison, result], stream, output)
        return
    if steps:
        raise typer.BadParameter("--steps shows one vector: choose it with --row")
    show([result], stream, output)


def _inner(job: _Job, found: "Likelihoods", result: "Likelihood") -> "Comparison":
    """Return the methods on the softmax, or its logarithm, of the only vector."""
    from stablelse.analysis.compare import compare_rows
    from stablelse.analysis.results import Place

    assert found.x is not None, "there is a vector"
    (loss,) = result.losses
    (comparison,) = compare_rows(
        found.x[None],
        job.quantity.function,
        job.tried.shifts,
        job.formats,
        [Place(loss.source, loss.row, loss.column)],
        job.tried.methods,
        errors=False,
        empty=job.tried.empty,
    )
    return comparison


def _write_records(stream: TextIO, stacks: "Iterator[Vectors]", job: _Job, kind: str) -> None:
    """Write what was found of every vector, and of all of them."""
    from stablelse.render import records
    from stablelse.render.likelihood import loss_lines, summary, total_lines

    first = next(stacks)  # what is wrong with it is told before anything is written
    found = job.begin(_candidates(job))
    losses = _losses(chain([first], stacks), found)
    if kind == "plain":
        for loss in losses:
            stream.writelines(f"{line}\n" for line in loss_lines(loss))
        stream.writelines(f"{line}\n" for line in total_lines(found.result()))
    elif kind == "csv":
        rows = (row for loss in losses for row in records.flat_rows(loss))
        stream.writelines(records.csv_lines(rows))
    elif kind == "json":
        told = map(records.record, losses)
        lines = records.json_document(
            "losses", told, lambda: summary(found.result()) | NOTES.fields()
        )
        stream.writelines(lines)
    else:
        stream.writelines(records.json_line(records.record(loss)) for loss in losses)
        stream.write(records.json_line(summary(found.result()) | NOTES.fields()))
