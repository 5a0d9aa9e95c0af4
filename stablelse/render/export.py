"""A picture taken off the screen: as text, SVG or HTML."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: The width of what is taken off the screen, where no screen tells another.
WIDTH = 100


def to_text(picture: RenderableType, width: int = WIDTH) -> str:
    """Return the picture as text without colour."""
    console = _console(width)
    with console.capture() as capture:
        console.print(picture)
    return capture.get()


def to_svg(picture: RenderableType, title: str, width: int = WIDTH) -> str:
    """Return the picture as an SVG image of a terminal; the same picture, the same text.

    Parameters
    ----------
    picture : renderable
        Anything Rich can print.
    title : str
        Shown in the window's title bar.
    width : int
        Of the terminal, in cells.
    """
    console = _console(width, record=True)
    console.print(picture)
    return console.export_svg(title=title, unique_id="stablelse", code_format=_svg_format())


def _svg_format() -> str:
    """Return Rich's frame without the fonts it would fetch from outside."""
    import re

    from rich._export_format import CONSOLE_SVG_FORMAT

    return re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def to_html(picture: RenderableType, width: int = WIDTH) -> str:
    """Return the picture as a fragment of HTML with its styles inline."""
    console = _console(width, record=True)
    console.print(picture)
    return console.export_html(
        inline_styles=True,
        code_format='<pre style="line-height:1.2;overflow-x:auto"><code>{code}</code></pre>',
    )


def _console(width: int, record: bool = False) -> Console:
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=width,
        record=record,
        force_terminal=record,
        force_jupyter=False,
        color_system="truecolor" if record else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
