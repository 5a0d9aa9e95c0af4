"""Shared by all screens: styles, rules, wrapped sentences, and plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import StringIO
from itertools import zip_longest
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from stablelse.analysis.results import BROKEN, Verdict
from stablelse.render.notation import ASCII, UNICODE, Glyphs

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.RIGHT: "bold green",
    Verdict.DIGITS_LOST: "bold yellow",
    **dict.fromkeys(BROKEN, "bold red"),
}


_SIDES: dict[str, Literal["left", "center", "right"]] = {"l": "left", "c": "center", "r": "right"}


def glyphs_for(options: ConsoleOptions) -> Glyphs:
    """Return the symbols that the console's encoding can show."""
    return ASCII if options.ascii_only else UNICODE


def grid(rows: Sequence[Sequence[Text | str]], justify: str = "", gap: int = 2) -> Iterator[Text]:
    """Yield a line for each row of cells; no cell is ever cut.

    ``justify`` has a letter for each column: l (the default), c or r.
    """
    table = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    columns = zip_longest(*table, fillvalue=Text())
    widths = [max(cell.cell_len for cell in column) for column in columns]
    for row in table:
        line = _aligned(row, widths, justify, gap)
        line.pad_left(1)
        line.rstrip()
        yield line


def named_grid(
    rows: Sequence[Sequence[Text | str]], justify: str, width: int, gap: int = 2
) -> list[Text]:
    """Return a line for each row; if it is too wide, the first cell gets its own line."""
    lines = list(grid(rows, justify, gap))
    if max(line.cell_len for line in lines) <= width:
        return lines
    names = [row[0] if isinstance(row[0], Text) else Text(row[0].strip()) for row in rows]
    lines = list(grid([[" ", *row[1:]] for row in rows], justify, min(gap, 2)))
    return [
        Text.assemble(" ", name, "\n", line) if name else line
        for name, line in zip(names, lines, strict=True)
    ]


def side_by_side(
    tables: Sequence[tuple[Text, Sequence[tuple[str, Sequence[Text]]]]], breaks: set[int], rule: str
) -> list[Text]:
    """Return the lines of tables of the same height: each a title, and headings with their cells.

    Rules follow the rows with the given numbers; the headings are row 0.
    """
    blocks = []
    for title, columns in tables:
        cells = [[Text(heading, "bold"), *texts] for heading, texts in columns]
        widths = [max(cell.cell_len for cell in column) for column in cells]
        width = max(sum(widths) + 2 * len(widths) - 2, title.cell_len)
        block = [_aligned([title], [width], "c")]
        for number, row in enumerate(zip(*cells, strict=True)):
            line = _aligned(row, widths, "r" * len(widths))
            block.append(_aligned([line], [width], "r"))
            if number in breaks and number < len(cells[0]) - 1:
                block.append(Text(rule * width, "dim"))
        blocks.append(block)
    between = Text("  ", no_wrap=True, overflow="ignore")
    lines = [between.join(parts) for parts in zip(*blocks, strict=True)]
    for line in lines:
        line.rstrip()
    return lines


def _aligned(cells: Iterable[Text], widths: Sequence[int], justify: str = "", gap: int = 2) -> Text:
    """Return a line of cells, each aligned in its column."""
    padded = [cell.copy() for cell in cells]
    for cell, width, side in zip(padded, widths, justify.ljust(len(widths), "l"), strict=False):
        cell.align(_SIDES[side], width)
    return Text(" " * gap, no_wrap=True, overflow="ignore").join(padded)


def hanging(
    sentence: str, width: int, indent: int, style: str = "", head: Text | None = None
) -> Text:
    """Return a sentence wrapped only at blanks, all lines indented; the first has a head."""
    margin = "" if head else " " * indent
    return fitted(Text.assemble(head or "", (margin + sentence, style)), width, indent)


def fitted(text: Text, width: int, indent: int | None = None) -> Text:
    """Wrap lines that are too wide, only at blanks, so that no name is cut, and indent them."""
    if text.no_wrap or max(map(len, text.plain.split("\n"))) <= width:
        return text
    lines = []
    for rest in text.split("\n"):
        margin = len(rest.plain) - len(rest.plain.lstrip()) if indent is None else indent
        room = max(width, margin + 20)
        while len(rest) > room and " " in rest.plain[margin + 1 :]:
            cut = rest.plain.rfind(" ", margin + 1, room + 1)
            cut = rest.plain.find(" ", room) if cut < 0 else cut
            lines.append(rest[:cut])
            rest = rest[cut + 1 :]
            rest.pad_left(margin)
        lines.append(rest)
    for line in lines:
        line.rstrip()
    return Text("\n", no_wrap=True, overflow="ignore").join(lines)


class Picture:
    """The picture of a result, for a console of any width and encoding."""

    def __init__(self, draw: Callable[..., Iterator[RenderableType]], result: Any) -> None:
        self.draw, self.result = draw, result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the picture line by line."""
        width = options.max_width
        for part in self.draw(self.result, glyphs_for(options), width):
            yield fitted(part, width) if isinstance(part, Text) else part


def picture(draw: Callable[..., Iterator[RenderableType]]) -> Callable[[Any], Picture]:
    """Make a function that draws a result (with given symbols and width) return a `Picture`."""
    return partial(Picture, draw)


class _PlainFile(StringIO):
    """The file of a plain console: ASCII without frames."""

    encoding = "plain"


#: The width of plain text; its lines never wrap. On narrower screens than the narrowest, they do.
ENDLESS, NARROWEST = 10_000, 30


def is_plain(options: ConsoleOptions) -> bool:
    """Whether to leave out frames and rulers: for screen readers, logs and grep."""
    return options.encoding == _PlainFile.encoding


def plain_lines(picture: RenderableType) -> list[str]:
    """Return the lines of a picture, or of a result, as text without colours and frames."""
    file = _PlainFile()
    console = console_of(file, width=ENDLESS, color_system=None, legacy_windows=False)
    console.print(picture, crop=False)
    return [line.rstrip() for line in file.getvalue().rstrip("\n").split("\n")]


def console_of(file: Any, **options: Any) -> Console:
    """Return a console that prints texts to a file unchanged."""
    console = Console(file=file, highlight=False, markup=False, emoji=False, **options)
    console.width = max(console.width, NARROWEST)
    return console
