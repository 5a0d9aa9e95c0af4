"""The picture of a screen: as text, as SVG, as a page and as a piece of HTML.

No picture fetches anything, and the same picture makes the same bytes in every terminal and
environment: only the width matters.
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

#: The width of a picture that no screen determines.
WIDTH = 100

#: The columns that an upright telephone shows at a readable size: 42 of them at 14 pixels
#: are 354 wide, and the narrowest of today's screens are 360.
NARROW = 42

#: Fonts that have every symbol of the pictures and draw their frames without gaps, where they are
#: installed: on a Mac, on Windows, on Linux, on Android.
FONTS = "Menlo,Consolas,'DejaVu Sans Mono','Droid Sans Mono',monospace"

#: The advance of a character and the height of the frames' upright lines, of Menlo and DejaVu Sans
#: Mono, in em; the other fonts are close to that. Lines this high have frames without gaps.
_ADVANCE, _HEIGHT = 0.602, 1.164

#: The height of a line of Rich's SVG, in pixels.
_SVG_LINE = 20 * 1.22


def to_text(picture: RenderableType, width: int = WIDTH) -> str:
    """Return the picture as text without colour."""
    return _printable(_taken(picture, width, None).export_text())


def to_svg(picture: RenderableType, title: str, width: int = WIDTH) -> str:
    """Return the picture as an SVG image of a terminal; the same picture, the same text."""
    console = _taken(picture, width)
    text = console.export_text(clear=False, styles=True)
    # The ids of two pictures on one page must differ: each is a checksum of the text.
    unique_id = f"stablelse-{crc32(f'{title}{text}'.encode(errors='backslashreplace')):08x}"
    room = console.width - 16  # beside the three buttons, in the title's larger letters
    svg = console.export_svg(
        title=title if len(title) <= room else f"{title[: room - 1]}…",
        unique_id=unique_id,
        font_aspect_ratio=_ADVANCE * _SVG_LINE / _HEIGHT / 20,
        code_format=_svg_format(title),
    )
    return _printable(_LINE_ENDS.sub("", svg))


def to_html(picture: RenderableType, width: int = WIDTH) -> str:
    """Return the picture as a piece of HTML with its styles inline, as a notebook wants it.

    All its colours are readable on a light ground and on a dark one.
    """
    style = f"font-family:{FONTS};line-height:1.15;white-space:pre;overflow-x:auto"
    return f'<pre style="{style}">{_spans(picture, width)}</pre>'


def to_page(picture: RenderableType, title: str, width: int = WIDTH) -> str:
    """Return the picture as a page of its own, without scripts, light or dark as the reader is."""
    pictures, styles = f"<pre>{_spans(picture, width)}</pre>", ""
    if width > NARROW:
        pictures += f'\n<pre class="narrow" hidden>{_spans(picture, NARROW)}</pre>'
        room = width * _ADVANCE * 0.875 + 2  # in em, beside the margins
        font = 93 / _ADVANCE / NARROW  # in vw: the margins take 7 of 100 on a telephone
        styles = _NARROW_STYLES.format(room=f"{room:.2f}", font=f"{font:.3f}")
    page = _PAGE.format(title=escape(title), fonts=FONTS, styles=styles, pictures=pictures)
    return _printable(page)


#: What a picture can be saved as: the suffix of the file, and what makes it of the picture, a
#: title and a width.
SAVED: dict[str, Callable[[RenderableType, str, int], str]] = {
    ".svg": to_svg,
    ".html": to_page,
    ".txt": lambda picture, title, width: to_text(picture, width),
}

_NOTEBOOK: dict[str, Callable[[RenderableType], str]] = {
    "text/plain": lambda picture: to_text(picture).rstrip("\n"),
    "text/html": to_html,
}


def bundle(
    picture: RenderableType, include: Iterable[str] | None, exclude: Iterable[str] | None
) -> dict[str, str]:
    """Return what a notebook is given of a picture, by MIME type: of both those wanted."""
    wanted = (set(_NOTEBOOK) if include is None else set(include)) - set(exclude or ())
    return {kind: draw(picture) for kind, draw in _NOTEBOOK.items() if kind in wanted}


#: A scheme that is light or dark makes the browser choose the ground, the text and the bars.
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
{styles}</style>
</head>
<body>
<h1>{title}</h1>
{pictures}
</body>
</html>
"""

_NARROW_STYLES = """\
@media (max-width: {room}em) {{
  body {{ margin: 0.75rem; }}
  pre {{ display: none; }}
  pre.narrow {{ display: block; font-size: clamp(0.6875rem, {font}vw, 1rem); }}
}}
"""


#: Rich clips every line on its own, which cuts the frames' upright lines, and draws its end.
_LINE_ENDS = re.compile(r'<text [^>]*>\n</text>| clip-path="url\(#[\w-]+-line-\d+\)"')


def _svg_format(title: str) -> str:
    """Return the frame that Rich fills in: without the fonts that its own would fetch."""
    escaped = escape(title).replace("{", "{{").replace("}", "}}")
    size = f"{_SVG_LINE / _HEIGHT:.2f}px"
    return _SVG.replace("SIZE", size).replace("FONTS", FONTS).replace("TITLE", escaped)


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
"""


def _spans(picture: RenderableType, width: int) -> str:
    """Return the picture's text as HTML, every style inline."""
    console = _taken(picture, width)
    html = console.export_html(theme=_THEME, inline_styles=True, code_format="{code}")
    return _DECORATION.sub("", html.strip("\n"))


#: What Rich adds to every colour, although only underlines have it, which take the text's anyway.
_DECORATION = re.compile("; text-decoration-color: #[0-9a-f]{6}")


#: Colours that are readable on white and on black. Their luminance is next to 0.18, so that the
#: contrast (WCAG 2.2) is about as large with white, (1 + 0.05) / (0.18 + 0.05) = 4.5, as it is with
#: what dark pages have for black. What is dim lies half-way between the first two.
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
        height=25,  # without it, Rich asks the environment
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


#: Control characters and halves of pairs: no page, image or file may hold them. To compile what is
#: left after all others takes ten times as long.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _printable(text: str) -> str:
    """Return the text with escapes for what cannot be shown, such as a file's name may have."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
