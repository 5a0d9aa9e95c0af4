"""Columns of numbers laid out so that no digit is ever cut: too wide, and they stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import pairwise
from textwrap import fill
from typing import NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from stablelse.analysis.results import BROKEN, Verdict
from stablelse.render.wording import ASCII, UNICODE, Glyphs

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.RIGHT: "bold green",
    Verdict.DIGITS_LOST: "bold yellow",
    **dict.fromkeys(BROKEN, "bold red"),
}

#: What a column of a table takes beside its text: a blank on either side and a rule.
_FRAME = 3


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
_ROUNDED = Frame(str(box.ROUNDED), str(box.ASCII))

#: Lines below the headers and between sections alone.
_RULES = "    \n    \n {0}{0} \n    \n {0}{0} \n {0}{0} \n    \n    \n"
RULES = Frame(_RULES.format("─"), _RULES.format("-"))


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    header : str
        What the column holds.
    cells : sequence of Text
        One a row.
    above : str
        A line above the header: what the columns from here on belong to, or a note.
    """

    header: str
    cells: Sequence[Text]
    above: str = ""

    @property
    def width(self) -> int:
        """The cells the column takes on the screen, its frame included."""
        heads = len(self.header), len(self.above)
        return max(*heads, *(cell.cell_len for cell in self.cells)) + _FRAME


class Group(NamedTuple):
    """Columns that belong together.

    Attributes
    ----------
    columns : sequence of Column
        At least one.
    label : Column or None
        What names the rows for these columns; neighbours that share it show it once.
    """

    columns: Sequence[Column]
    label: Column | None = None


def glyphs_for(options: ConsoleOptions) -> Glyphs:
    """Return the symbols that the console's encoding can show."""
    return ASCII if options.ascii_only else UNICODE


def stack(
    index: Column, groups: Sequence[Group], sections: frozenset[int], width: int
) -> Iterator[Table]:
    """Lay groups of columns side by side, in as many tables as the width asks for.

    Parameters
    ----------
    index : Column
        Begins every table.
    groups : sequence of Group
        A group is split only where it is too wide alone. Its label gives way where there is no
        room for it, but not the first time.
    sections : frozenset of int
        The rows after which a rule is drawn.
    width : int
        The cells there are. A column that is too wide alone makes a table that is wider.
    """
    columns, label = [index], None
    told: list[Column] = []
    for group in groups:
        is_new = group.label is not None and not any(group.label is known for known in told)
        beside = [index, group.label] if group.label is not None and is_new else [index]
        for part in _split(group.columns, width - _total(beside)):
            needed = _labelled(part, group.label, label)
            if len(columns) > 1 and _total([*columns, *needed]) > width:
                yield _table(columns, sections)
                columns = [index]
                needed = _labelled(part, group.label, None)
            if _total([*columns, *needed]) > width and not is_new:
                needed = list(part)
            columns += needed
            label, is_new = group.label, False
            told += [group.label] if group.label is not None else []
    yield _table(columns, sections)


def _labelled(part: Sequence[Column], label: Column | None, shown: Column | None) -> list[Column]:
    return [*part] if label is None or label is shown else [label, *part]


def _split(columns: Sequence[Column], width: int) -> list[Sequence[Column]]:
    if sum(column.width for column in columns) <= width:
        return [columns]
    return [[column] for column in columns]


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + 1


def _table(columns: Sequence[Column], sections: frozenset[int]) -> Table:
    table = Table(box=_ROUNDED, width=_total(columns), border_style="dim", header_style="bold")
    two_lines = any(column.above for column in columns)
    for column in columns:
        # A width of its own for every column: Rich would rather cut digits than run over.
        table.add_column(
            Text(f"{column.above}\n{column.header}" if two_lines else column.header),
            justify="right",
            no_wrap=True,
            width=column.width - _FRAME,
        )
    # One row a section, each cell a line: Rich takes as long for a cell of one line as of many.
    rows = len(columns[0].cells)
    ends = sorted({index + 1 for index in sections} | {rows})
    for begin, end in pairwise([0, *ends]):
        lines = (Text("\n").join(column.cells[begin:end]) for column in columns)
        table.add_row(*lines, end_section=True)
    return table


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
