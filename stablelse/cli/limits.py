"""The limits of the formats."""

from stablelse.analysis.results import limits
from stablelse.cli.emit import emit
from stablelse.cli.options import Request
from stablelse.numerics.formats import installed_formats
from stablelse.numerics.inputs import find_formats


def run(request: Request) -> None:
    """Show where exp leaves each format."""
    emit(limits(find_formats(request.dtype) if request.dtype else installed_formats()), request)
