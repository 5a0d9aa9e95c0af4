"""Facts into what a person or a program reads; a renderer returns a value and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    "Likelihood": "stablelse.render.likelihood:LikelihoodPicture",
    "StreamComparison": "stablelse.render.stream:StreamPicture",
    "Sweep": "stablelse.render.chart:SweepPicture",
    "Scene": "stablelse.render.tour:ScenePicture",
    "Scan": "stablelse.render.scan:ScanPicture",
    "Limits": "stablelse.render.limits:LimitsPicture",
}


#: Where the records of every result are made.
_RECORDS = "stablelse.render.records"


def records_of(result: object) -> Iterator[dict[str, Any]]:
    """Return what JSON has of a result."""
    found: Iterator[dict[str, Any]] = import_module(_RECORDS).records_of(result)
    return found


def flat_records_of(result: object) -> Iterator[dict[str, Any]]:
    """Return what CSV has of a result."""
    found: Iterator[dict[str, Any]] = import_module(_RECORDS).flat_records_of(result)
    return found


def renderable(result: object) -> RenderableType:
    """Return the picture of a result, for a Rich console of any width and encoding."""
    module, _, name = _PICTURES[type(result).__name__].partition(":")
    picture: RenderableType = getattr(import_module(module), name)(result)
    return picture
