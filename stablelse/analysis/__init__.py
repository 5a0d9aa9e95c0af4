"""From numbers to facts: what each method computed, what broke, and where; no words, no colours.

Results display themselves: that is the only place where the analysis uses render.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from stablelse.render import form

if TYPE_CHECKING:
    from rich.console import RenderableType


class Place(NamedTuple):
    """Where a vector or a number came from."""

    source: str | None = None  # the file
    row: int | tuple[int, ...] | None = None  # from 1, or (i, j) in an array of three axes
    column: str | None = None  # its name, or its number from 1


class Displayed:
    """A result that shows itself as the command line would."""

    def __rich__(self) -> RenderableType:
        picture: RenderableType = form(self, "table")(self)
        return picture

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the result's fields for JSON, as dicts, lists, strings and numbers."""
        records: Iterator[dict[str, Any]] = form(self, "records")(self)
        return records

    def flat_records(self) -> Iterator[dict[str, Any]]:
        """Yield the rows for CSV: the fields of each inner result, flat."""
        rows: Iterator[dict[str, Any]] = form(self, "elements")(self)
        return rows

    def __str__(self) -> str:
        text: str = form(self, "text")(self.__rich__())
        return text

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Return what a notebook shows, in the types that it wants."""
        bundle: dict[str, Any] = form(self, "notebook")(self.__rich__(), include, exclude)
        return bundle
