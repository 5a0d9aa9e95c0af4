"""The installed libraries on the same vectors."""

from dataclasses import replace
from functools import partial

from stablelse.analysis.gallery import gallery
from stablelse.analysis.peers import choose_peers, compare_stacks
from stablelse.cli.emit import emit
from stablelse.cli.input import parsed_to, place_of, read_vectors
from stablelse.cli.options import Request
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import find_formats


def run(request: Request) -> None:
    """Show each library's results."""
    names = request.peer or []
    if request.is_without_numbers:
        emit(replace(gallery(names), whole=request.all), request)
        return
    choose_peers(names)  # refuses wrong names before anything is read
    formats = find_formats(request.dtype or "float64")
    vectors = read_vectors(request, parsed_to(formats))
    stacks = ((stack.values, partial(place_of, stack)) for stack in vectors)
    function = Function(request.function or "lse")
    emit(compare_stacks(stacks, function, formats, names), request)
