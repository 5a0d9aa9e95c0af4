"""The installed libraries on the same vectors."""

from functools import partial

import typer

from stablelse.analysis.gallery import GalleryCases, gallery
from stablelse.analysis.peers import Stack, UnknownPeerError, choose_peers, compare_stacks
from stablelse.cli.emit import emit
from stablelse.cli.input import find_formats, parsed_to, place_of, read_vectors
from stablelse.cli.options import FUNCTIONS, Request
from stablelse.numerics.functions import Function


def run(request: Request) -> None:
    """Show what each library gives."""
    names = request.peer or []
    try:
        choose_peers(names)
    except UnknownPeerError as error:
        raise typer.BadParameter(str(error), param_hint="--peer") from None
    if request.is_without_numbers:
        shown = gallery(names)
        is_table = request.format == "table"
        emit(GalleryCases(**vars(shown)) if request.all and is_table else shown, request)
        return
    formats = find_formats(request.dtype)
    vectors = read_vectors(request, parsed_to(formats))
    stacks = (Stack(stack.values, partial(place_of, stack)) for stack in vectors)
    function = Function(FUNCTIONS[request.function or "lse"])
    emit(compare_stacks(stacks, function, formats, names, time=request.time), request)
