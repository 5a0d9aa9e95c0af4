"""The limits of the formats."""

from stablelse.analysis.limits import limits
from stablelse.cli.emit import emit
from stablelse.cli.options import Limits
from stablelse.numerics.formats import find_format, installed_formats


def run(request: Limits) -> None:
    """Show where exp leaves each format."""
    names = request.dtype
    emit(limits([find_format(n) for n in names] if names else installed_formats()), request)
