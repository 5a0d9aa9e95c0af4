"""The survival map: a vector moved or stretched, by every method in every format."""

from dataclasses import replace

from stablelse.analysis.sweep import POINTS, sweep
from stablelse.cli.emit import emit
from stablelse.cli.input import read_one
from stablelse.cli.options import Request
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.inputs import find_formats


def run(request: Request) -> None:
    """Draw the survival map."""
    formats = find_formats(request.dtype) if request.dtype else []
    offset, scale = _ends("offset", request.offset), _ends("scale", request.scale)
    x, place = read_one(request, formats)
    result = sweep(
        x,
        request.function or "lse",
        offset=offset,
        scale=scale,
        methods=request.method or None,
        shifts=request.shift or ["max"],
        formats=[format_.name for format_ in formats] or None,
        points=POINTS if request.points is None else request.points,
    )
    emit(replace(result, intervals=request.intervals, **place._asdict()), request)


def _ends(name: str, text: str | None) -> tuple[float, float] | None:
    """Return the ends of a range such as ``-1000:1000``."""
    if text is None:
        return None
    try:  # refuses underscores, which float() accepts, and accepts the typeset minus
        start, end = (float(t.replace("_", "?").replace("−", "-")) for t in text.split(":"))
    except ValueError:
        raise ChoiceError(
            f"the {name} {text!r} is not a range: give two numbers, as in 1:1000"
        ) from None
    return start, end
