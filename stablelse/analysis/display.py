"""How every result shows itself: on a Rich console, in a notebook, in JSON and in CSV.

This is the one place of the analysis that knows of render, and only when something is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


class Displayed:
    """A result that shows itself as the command line would."""

    def __rich__(self) -> RenderableType:
        from stablelse.render import renderable

        return renderable(self)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what JSON has of the result: its fields, as dicts, lists, strings and numbers."""
        from stablelse.render.records import records

        return records(self)

    def flat_records(self) -> Iterator[dict[str, Any]]:
        """Yield what CSV has of the result: the fields of each inner result, flat."""
        from stablelse.render import form

        rows: Iterator[dict[str, Any]] = form(self, "csv")(self)
        return rows

    def __str__(self) -> str:
        from stablelse.render.export import to_text

        return to_text(self.__rich__())

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Return what a notebook shows: of the two types those that are wanted."""
        from stablelse.render.export import NOTEBOOK

        wanted = (set(NOTEBOOK) if include is None else set(include)) - set(exclude or ())
        picture = self.__rich__()
        return {kind: draw(picture) for kind, draw in NOTEBOOK.items() if kind in wanted}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the picture in IPython, which prints named tuples on its own otherwise."""
        printer.text(self._repr_mimebundle_(include=["text/plain"])["text/plain"])
