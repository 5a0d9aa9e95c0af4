"""What breaks on thousands of vectors, and a guard against it."""

from dataclasses import replace
from functools import partial
from itertools import groupby

import typer

from stablelse.analysis.results import DIGIT, Condition, parse_conditions
from stablelse.analysis.scan import DEFAULT_CONDITIONS, ScanState, failures, ways
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
    installed = [format_.name for format_ in installed_formats()]
    trained_in = [name for name in ("float16", "bfloat16", "float32") if name in installed]
    formats = find_formats(request.dtype or trained_in)
    conditions, max_ulp = _conditions(request, {way.value for f in formats for way in ways(f)})
    state = ScanState(request.function or "lse", [f.name for f in formats], max_ulp)
    with (meter := meter_of(request)).running():
        is_alike = request.by is not None  # by default, each file's shape says what a vector is
        blocks, by = open_numbers(request, parsed_to(formats), meter.gauge, is_alike)
        for _, part in groupby(blocks, lambda block: None if by else block.source):
            for stack in vectors(part, by, NOTES.note):
                state.update(stack.values, partial(place_of, stack))
                meter.tell(state.elements, stack.source)
    result = state.result()
    if not request.quiet:
        emit(replace(result, whole=bool(request.all)), request)
    failed = list(failures(result, conditions))
    for failure in failed:
        tell(f"failed: {failure_text(failure, result)}")
    if failed:
        raise typer.Exit(1)


def _conditions(request: Request, methods: set[str]) -> tuple[list[Condition], float]:
    """Return the conditions, on some of these methods, and the allowed error in ulps."""
    text = ",".join(request.fail_on or [DEFAULT_CONDITIONS])
    conditions = parse_conditions(text, sorted(methods))
    given = (*(condition.limit for condition in conditions), request.max_ulp)
    limits = {limit for limit in given if limit is not None}
    if len(limits) > 1:
        numbers = " and ".join(f"{number:g}" for number in sorted(limits))
        text = f"a scan allows one number of ulps, not {numbers}: choose one"
        raise typer.BadParameter(text, param_hint="--fail-on")
    return conditions, limits.pop() if limits else DIGIT
