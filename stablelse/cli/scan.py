"""What breaks on thousands of vectors, and a guard against it."""

from dataclasses import replace
from functools import partial
from itertools import groupby

import typer

from stablelse.analysis.results import DIGIT, Condition, parse_conditions
from stablelse.analysis.scan import DEFAULT_CONDITIONS, WAYS, ScanState, failures
from stablelse.cli import tell
from stablelse.cli.emit import emit
from stablelse.cli.input import open_numbers, parsed_to, place_of
from stablelse.cli.options import Request
from stablelse.cli.progress import NOTES, meter_of
from stablelse.numerics.formats import installed_formats
from stablelse.numerics.inputs import find_formats
from stablelse.readers.vectors import vectors
from stablelse.render.scan import failure_text


def run(request: Request) -> None:
    """Count what breaks, and exit with 1 if a condition fails."""
    conditions, max_ulp = _conditions(request.fail_on, request.max_ulp)
    installed = [format_.name for format_ in installed_formats()]
    trained_in = [name for name in ("float16", "bfloat16", "float32") if name in installed]
    formats = find_formats(request.dtype or trained_in)
    names = [format_.name for format_ in formats]
    state = ScanState(request.function or "lse", names, max_ulp)
    _take_all(state, request, parsed_to(formats))
    result = state.result()
    if not request.quiet:
        emit(replace(result, whole=bool(request.all)), request)
    failed = list(failures(result, conditions))
    for failure in failed:
        tell(f"failed: {failure_text(failure, result)}")
    if failed:
        raise typer.Exit(1)


def _take_all(state: ScanState, source: Request, dtype: str) -> None:
    """Read all vectors; by default, each file's shape says what a vector is."""
    with (meter := meter_of(source)).running():
        blocks, by = open_numbers(source, dtype, meter.gauge, alike=source.by is not None)
        for _, part in groupby(blocks, lambda block: None if by else block.source):
            for stack in vectors(part, by, NOTES.note):
                state.update(stack.values, partial(place_of, stack))
                meter.tell(state.elements, stack.source)


def _conditions(fail_on: list[str] | None, max_ulp: float | None) -> tuple[list[Condition], float]:
    """Return the conditions, and the allowed error in ulps."""
    conditions = parse_conditions(",".join(fail_on or [DEFAULT_CONDITIONS]), WAYS)
    limits = {condition.limit for condition in conditions if condition.limit is not None}
    limits |= set() if max_ulp is None else {max_ulp}
    if len(limits) > 1:
        numbers = " and ".join(f"{number:g}" for number in sorted(limits))
        raise typer.BadParameter(
            f"a scan allows one number of ulps, not {numbers}: choose one",
            param_hint="--fail-on",
        )
    return conditions, limits.pop() if limits else DIGIT
