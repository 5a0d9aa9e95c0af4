"""The picture of the gallery: case by case a line per library, and a table of how each did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.gallery import Gallery, Standing
from stablelse.analysis.peers import Task
from stablelse.analysis.peers.comparison import Outcome, PeerComparison
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.peer_wording import TASK_NAMES, case_lines
from stablelse.render.peers import OUTCOME_STYLES, missing_note, notes
from stablelse.render.table import hanging
from stablelse.render.wording import Glyphs


class GalleryPicture:
    """Every case and what each library gave, for a console of any width and encoding.

    Parameters
    ----------
    gallery : Gallery
        What is shown.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the cases, and a table with a row per library."""
        glyphs = glyphs_for(options)
        width = options.max_width
        yield Text(" vectors on which libraries go wrong, and what each of them gives", "bold")
        yield Text()
        for comparison in self.gallery.cases:
            yield from case_picture(comparison, glyphs, width)
        for sentence in self.gallery.left_out:
            yield hanging(f"left out: {sentence}", width, indent=1, style="dim")
        yield from _summary(self.gallery.standings, len(self.gallery.cases), glyphs, width)
        first = next((c for c in self.gallery.cases if c.function is Task.LOGSUMEXP), None)
        yield from notes(first.results, width) if first else ()
        yield from missing_note(self.gallery.missing, width)
        yield Text()


_MARKS = {Outcome.RIGHT: "good", Outcome.BROKEN: "bad"}


def case_picture(comparison: PeerComparison, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield what the vector is, why it is hard, and a line per library."""
    yield Text.assemble(" ", (f"{comparison.case}: {TASK_NAMES[comparison.function]}", "bold"))
    yield hanging(comparison.note or "", width, indent=3, style="dim")
    lines = list(case_lines(comparison.results, comparison.function, glyphs))
    name_width = max(len(result.title) for result, _, _ in lines)
    given_width = max(len(given) for _, given, _ in lines)
    mark_width = max(len(glyphs.good), len(glyphs.bad))
    for result, given, words in lines:
        is_exact = result is comparison.results[-1]
        attribute = None if is_exact else _MARKS.get(result.outcome)
        mark = getattr(glyphs, attribute) if attribute else ""
        head = f" {mark:<{mark_width}} {result.title:<{name_width}}  {given:<{given_width}}"
        line = f"{head}  {words}"
        style = "" if is_exact else OUTCOME_STYLES[result.outcome]
        if len(line) <= width:
            yield Text(line, style)
        else:
            yield Text(head, style)
            yield hanging(words, width, indent=mark_width + name_width + 4, style=style)
    yield Text()


def _summary(standings: Sequence[Standing], cases: int, glyphs: Glyphs, width: int) -> RenderResult:
    """Yield a row per library: how many cases it got right, and the worst of all."""
    yield Text.assemble(" of ", (f"{cases} cases", "bold"), ", each held against the exact value")
    titles = Column("", [Text(standing.title, "bold") for standing in standings])
    counts = [
        Column(header, [Text(f"{getattr(s, outcome.name.lower()):,}") for s in standings], above)
        for outcome, above, header in (
            (Outcome.RIGHT, "", "right"),
            (Outcome.MISROUNDED, "mis-", "rounded"),
            (Outcome.BROKEN, "", "broken"),
            (Outcome.NO_ANSWER, "no", "answer"),
        )
    ]
    worst = [Text(standing.worst_case or glyphs.dash) for standing in standings]
    yield from stack(titles, [Group([*counts, Column("worst case", worst)])], frozenset(), width)
