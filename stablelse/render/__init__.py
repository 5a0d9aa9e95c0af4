"""Facts into what a person or a program reads; a renderer returns a value and prints nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

#: The picture of each type of result: its name, and where the picture is drawn.
_PICTURES = {
    "Comparison": "stablelse.render.table:ComparisonPicture",
    "Steps": "stablelse.render.walk:steps_picture",
    "Errors": "stablelse.render.accuracy:errors_picture",
    "Gallery": "stablelse.render.gallery:GalleryPicture",
    "PeerComparison": "stablelse.render.peers:PeerPicture",
    "Proof": "stablelse.render.derivation:ProofPicture",
    "StreamComparison": "stablelse.render.stream:StreamPicture",
    "Scan": "stablelse.render.scan:ScanPicture",
    "Limits": "stablelse.render.limits:LimitsPicture",
}


def renderable(result: object) -> RenderableType:
    """Return the picture of a result, for a Rich console of any width and encoding."""
    module, _, name = _PICTURES[type(result).__name__].partition(":")
    picture: RenderableType = getattr(import_module(module), name)(result)
    return picture
