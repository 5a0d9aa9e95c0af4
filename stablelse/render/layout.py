"""What screens share: styles, rules, wrapped sentences, and plain text."""

from __future__ import annotations

from io import StringIO
from textwrap import fill

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from stablelse.analysis.results import BROKEN, Verdict
from stablelse.render.wording import ASCII, UNICODE, Glyphs

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.RIGHT: "bold green",
    Verdict.DIGITS_LOST: "bold yellow",
    **dict.fromkeys(BROKEN, "bold red"),
}


class Frame(box.Box):
    """A box with another one for screens of ASCII, and none in plain text."""

    def __init__(self, unicode: str, ascii_: str) -> None:
        super().__init__(unicode)
        self.ascii_ = box.Box(ascii_, ascii=True)

    def substitute(self, options: ConsoleOptions, safe: bool = True) -> box.Box:
        """Return the box that a console can show."""
        if is_plain(options):
            return _NO_FRAME
        return self.ascii_ if options.ascii_only else super().substitute(options, safe)


_NO_FRAME = box.Box("    \n" * 8, ascii=True)

#: Lines below the headers and between sections alone.
_RULES = "    \n    \n {0}{0} \n    \n {0}{0} \n {0}{0} \n    \n    \n"
RULES = Frame(_RULES.format("─"), _RULES.format("-"))


def glyphs_for(options: ConsoleOptions) -> Glyphs:
    """Return the symbols that the console's encoding can show."""
    return ASCII if options.ascii_only else UNICODE


def hanging(
    sentence: str, width: int, indent: int, style: str = "", head: Text | None = None
) -> Text:
    """Return a sentence wrapped at blanks only, every line indented; the first has a head."""
    margin = " " * indent
    wrapped = fill(
        sentence,
        max(width, indent + 20),
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    head = head or Text()
    return Text.assemble(head, (wrapped[head.cell_len :], style), no_wrap=True, overflow="ignore")


class _PlainFile(StringIO):
    """What a plain console writes to: ASCII without frames."""

    encoding = "plain"


#: So wide is plain text that its lines are never broken.
_ENDLESS = 10_000


def is_plain(options: ConsoleOptions) -> bool:
    """Whether text is wanted without frames and rulers, for a screen reader, a log, or grep."""
    return options.encoding == _PlainFile.encoding


def plain_lines(picture: RenderableType) -> list[str]:
    """Return the lines of a picture as text without colours, frames and rulers."""
    file = _PlainFile()
    console = Console(
        file=file,
        width=_ENDLESS,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(picture, crop=False)
    return [line.rstrip() for line in file.getvalue().rstrip("\n").split("\n")]
