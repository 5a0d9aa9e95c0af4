"""The proof of the identities, on the user's numbers."""

from stablelse.analysis.prove import prove, prove_vector
from stablelse.cli.emit import emit
from stablelse.cli.input import find_formats, read_one
from stablelse.cli.options import FUNCTIONS, Request
from stablelse.numerics.formulas import find_shift
from stablelse.numerics.functions import Function


def run(request: Request) -> None:
    """Show the derivation, on the one vector that the input must be, or in symbols."""
    function = Function(FUNCTIONS[request.function])
    if request.is_without_numbers:
        emit(prove(None, function.value), request)
        return
    formats = find_formats(request.dtype)
    shift = find_shift((request.shift or "max").strip())
    x, place = read_one(request, formats)
    emit(prove_vector(x, function, shift, formats, place), request)
