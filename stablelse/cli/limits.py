"""The limits of the formats."""

from stablelse.analysis.results import limits
from stablelse.cli.emit import emit
from stablelse.cli.input import find_formats
from stablelse.cli.options import Request
from stablelse.numerics.formats import installed_formats


def run(request: Request) -> None:
    """Show where exp leaves each format."""
    emit(limits(find_formats(request.dtype, ()) or installed_formats()), request)
