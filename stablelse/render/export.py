"""The picture of a screen as text, as SVG, as a page and as a piece of HTML.

Pictures fetch nothing, and the same picture gives the same bytes in every terminal and environment:
only the width matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from io import StringIO
from typing import Literal
from zlib import crc32

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from stablelse.render.layout import console_of

#: The width of a picture without a screen.
WIDTH = 100

#: Fonts of macOS, Windows, Linux and Android that have every symbol of the pictures and draw frames
#: without gaps.
FONTS = "Menlo,Consolas,'DejaVu Sans Mono','Droid Sans Mono',monospace"

#: The advance of a character and the height of a frame's vertical lines in Menlo and DejaVu Sans
#: Mono, in em; the other fonts are close. Lines of this height have frames without gaps.
_ADVANCE, _HEIGHT = 0.602, 1.164

#: The height of a line in Rich's SVG, in pixels.
_SVG_LINE = 20 * 1.22


def to_text(picture: RenderableType, width: int = WIDTH) -> str:
    """Return the picture as text without colour."""
    return _taken(picture, width, None).export_text()


def to_svg(picture: RenderableType, title: str, width: int = WIDTH) -> str:
    """Return the picture as an SVG image of a terminal; the same picture, the same text."""
    console = _taken(picture, width)
    text = console.export_text(clear=False, styles=True)
    # Two pictures on one page need different ids: each is a checksum of the text.
    unique_id = f"stablelse-{crc32(f'{title}{text}'.encode()):08x}"
    room = console.width - 16  # next to the three buttons, in the title's larger letters
    svg = console.export_svg(
        title=title if len(title) <= room else f"{title[: room - 1]}…",
        unique_id=unique_id,
        font_aspect_ratio=_ADVANCE * _SVG_LINE / _HEIGHT / 20,
        code_format=_SVG.replace("TITLE", escape(title).replace("{", "{{").replace("}", "}}")),
    )
    return _LINE_ENDS.sub("", svg)


def to_html(picture: RenderableType) -> str:
    """Return the picture as a piece of HTML with inline styles, for a notebook.

    Its colours are readable on light and on dark backgrounds.
    """
    style = f"font-family:{FONTS};line-height:1.15;white-space:pre;overflow-x:auto"
    return f'<pre style="{style}">{_spans(picture, WIDTH)}</pre>'


def to_page(picture: RenderableType, title: str, width: int = WIDTH) -> str:
    """Return the picture as a page, without scripts, light or dark as the reader prefers."""
    return _PAGE.format(title=escape(title), fonts=FONTS, picture=_spans(picture, width))


#: The file types of a picture: the suffix, and the function of the picture, a title and a width.
SAVED: dict[str, Callable[[RenderableType, str, int], str]] = {
    ".svg": to_svg,
    ".html": to_page,
    ".txt": lambda picture, title, width: to_text(picture, width),
}


def bundle(
    picture: RenderableType, include: Iterable[str] | None, exclude: Iterable[str] | None
) -> dict[str, str]:
    """Return a picture for a notebook by MIME type, in the types that it wants."""
    drawn = {"text/plain": to_text(picture).rstrip("\n"), "text/html": to_html(picture)}
    wanted = (set(drawn) if include is None else set(include)) - set(exclude or ())
    return {kind: text for kind, text in drawn.items() if kind in wanted}


#: With a colour scheme, the browser chooses the colours of background, text and scroll bars.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 1rem; }}
h1, pre {{ margin: 0 0 1em; font: 0.875rem/1.15 {fonts}; }}
h1 {{ font-weight: bold; overflow-wrap: anywhere; }}
pre {{ overflow-x: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<pre>{picture}</pre>
</body>
</html>
"""

#: Rich clips each line, which cuts the frames' vertical lines, and draws the line ends as text.
_LINE_ENDS = re.compile(r'<text [^>]*>\n</text>| clip-path="url\(#[\w-]+-line-\d+\)"')


#: The frame that Rich fills in; Rich's own frame would fetch fonts.
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: FONTS; font-size: SIZE; }}
.{unique_id}-title {{ font: bold 18px Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("SIZE", f"{_SVG_LINE / _HEIGHT:.2f}px").replace("FONTS", FONTS)


def _spans(picture: RenderableType, width: int) -> str:
    """Return the picture's text as HTML with inline styles."""
    console = _taken(picture, width)
    html = console.export_html(theme=_THEME, inline_styles=True, code_format="{code}")
    return _DECORATION.sub("", html.strip("\n"))


#: Rich adds this to every colour, but only underlines need it, and they take the text's colour.
_DECORATION = re.compile("; text-decoration-color: #[0-9a-f]{6}")


#: Colours that are readable on white and on black. Their luminance is about 0.18, so the contrast
#: (WCAG 2.2) with white, (1 + 0.05) / (0.18 + 0.05) = 4.5, is about that with the black of dark
#: pages. Dim text is half-way between the first two.
_THEME = TerminalTheme(
    (236, 236, 236),
    (0, 0, 0),
    [
        (0x76, 0x76, 0x76),  # black
        (0xE0, 0x31, 0x3F),  # red
        (0x1F, 0x8A, 0x3D),  # green
        (0xA8, 0x6A, 0x00),  # yellow
        (0x2F, 0x7B, 0xE0),  # blue
        (0xC0, 0x40, 0xB8),  # magenta
        (0x0A, 0x85, 0x96),  # cyan
        (0x76, 0x76, 0x76),  # white
    ],
)


def _taken(
    picture: RenderableType, width: int, colours: Literal["truecolor"] | None = "truecolor"
) -> Console:
    """Return a console that has recorded the picture, as wide as its widest line."""
    console = console_of(
        StringIO(),
        width=width,
        height=25,  # otherwise Rich asks the environment
        record=True,
        force_terminal=True,
        force_jupyter=False,
        color_system=colours,
        no_color=False,
        legacy_windows=False,
    )
    console.print(picture, crop=False)
    lines = console.export_text(clear=False).splitlines()
    console.width = max([width, *map(cell_len, lines)])
    return console
