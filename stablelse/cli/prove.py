"""The proof of the identities, on the user's numbers."""

from dataclasses import replace

from stablelse.analysis.prove import prove
from stablelse.cli.emit import emit
from stablelse.cli.input import read_one
from stablelse.cli.options import Request
from stablelse.numerics.inputs import find_formats


def run(request: Request) -> None:
    """Show the derivation, with the only vector of the input, or in symbols."""
    if request.is_without_numbers:
        emit(prove(None, request.function), request)
        return
    formats, shift = find_formats(request.dtype or "float64"), request.shift or "max"
    x, place = read_one(request, formats)
    proof = prove(x, request.function, shift=shift, formats=[format_.name for format_ in formats])
    emit(replace(proof, **place._asdict()), request)
