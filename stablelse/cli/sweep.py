"""The survival map: a vector moved or stretched, by every method in every format."""

from stablelse.analysis.sweep import OFFSETS, POINTS, Motion, Range, sweep_vector
from stablelse.cli.emit import emit
from stablelse.cli.input import find_formats, read_one
from stablelse.cli.options import FUNCTIONS, Request
from stablelse.numerics.formulas import find_method
from stablelse.numerics.functions import Function


def run(request: Request) -> None:
    """Draw the survival map."""
    range_ = _range(request.offset, request.scale)
    formats = find_formats(request.dtype, ())
    methods = [find_method(name) for name in request.method or []]
    x, place = read_one(request, formats)
    result = sweep_vector(
        x,
        Function(FUNCTIONS[request.function or "lse"]),
        range_,
        methods or None,
        [text.strip() for text in request.shift or ["max"]],
        formats or None,
        POINTS if request.points is None else request.points,
        place,
    )
    emit(result.intervals if request.intervals else result, request)


def _range(offset: str | None, scale: str | None) -> Range:
    if scale is not None:
        return Range.parsed(Motion.SCALE, scale)
    if offset is not None:
        return Range.parsed(Motion.OFFSET, offset)
    return Range(Motion.OFFSET, *OFFSETS)
