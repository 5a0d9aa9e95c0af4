"""The picture of the libraries on the same vectors: one line per library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.peers.comparison import Outcome, PeerComparison, PeerResult
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.peer_wording import legend, missing_text, peers_title, time_text
from stablelse.render.table import hanging
from stablelse.render.wording import Glyphs, place_text, ulps_number, vector_text

OUTCOME_STYLES: dict[Outcome, str] = {
    Outcome.RIGHT: "bold green",
    Outcome.MISROUNDED: "bold yellow",
    Outcome.BROKEN: "bold red",
    Outcome.NO_ANSWER: "dim",
}


class PeerPicture:
    """A table per format with a row per library, for a console of any width and encoding.

    Parameters
    ----------
    comparison : PeerComparison
        What is shown.
    """

    def __init__(self, comparison: PeerComparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each format a title, a table, and what was called."""
        glyphs = glyphs_for(options)
        comparison = self.comparison
        function, numbers = peers_title(comparison)
        source = f"{comparison.source}: " if comparison.source else ""
        for name, group in groupby(comparison.results, key=lambda result: result.format):
            results = list(group)
            yield Text.assemble(f" {source}", (function, "bold"), f"{numbers} in ", (name, "bold"))
            yield from _tables(comparison, results, glyphs, options.max_width)
            yield from notes(results, options.max_width)
        if any(result.nanoseconds is not None for result in comparison.results):
            yield Text(
                " time: the fastest of several calls, each with all the vectors at once", "dim"
            )
        yield from missing_note(comparison.missing, options.max_width)
        yield Text()


def notes(results: Sequence[PeerResult], width: int) -> Iterator[Text]:
    """Yield a line per library: what was called, or why it was not."""
    lines = list(legend(results))
    margin = max(len(title) for title, _ in lines)
    for title, words in lines:
        yield hanging(f"{title:<{margin}} {words}", width, indent=1, style="dim")


def missing_note(missing: Sequence[str], width: int) -> Iterator[Text]:
    """Yield a line if packages are missing."""
    if missing:
        yield hanging(missing_text(missing), width, indent=1, style="dim")


def _tables(
    comparison: PeerComparison, results: Sequence[PeerResult], glyphs: Glyphs, width: int
) -> RenderResult:
    single = all(result.judged <= 1 for result in results)
    if not single:  # the exact results stand beside what is wrong
        results = [result for result in results if result.peer != "exact"]
    titles = Column("", [Text(result.title, "bold") for result in results])
    columns = [] if single else _shares(results, glyphs)
    columns.append(_column("ulps", "off", [_ulps(result, glyphs) for result in results], results))
    if any(result.nanoseconds is not None for result in results):
        columns.append(_column("ns per", "element", [time_text(result) for result in results]))
    if single:
        given = _column("", "result", [_value(r, r.worst.value, glyphs) for r in results], results)
        groups = [Group([given]), Group(columns)]
    else:
        groups = [Group(columns), Group(_worst(comparison, results, glyphs))]
    rules = {len(results) - 2} if results[-1].peer == "exact" else set()
    yield from stack(titles, groups, frozenset(rules), width)


def _shares(results: Sequence[PeerResult], glyphs: Glyphs) -> list[Column]:
    """Return how many of all results are misrounded, and how many are broken."""
    total = max(result.judged for result in results)
    wrong = [
        glyphs.dash if result.share is None else f"{result.misrounded:,} ({result.share:.1%})"
        for result in results
    ]
    broken = [glyphs.dash if result.share is None else f"{result.broken:,}" for result in results]
    return [
        _column(f"of {total:,}", "misrounded", wrong),
        _column("", "broken", broken),
    ]


def _worst(
    comparison: PeerComparison, results: Sequence[PeerResult], glyphs: Glyphs
) -> list[Column]:
    """Return where the largest error is, what was given there, and what is right."""
    to_text = vector_text if comparison.source else place_text
    columns: list[list[str]] = [[], [], []]
    for result in results:
        worst = result.worst
        element = "" if worst.element is None else f"x_{worst.element}"
        wrong = bool(result.misrounded)
        cells = (
            ", ".join(filter(None, (to_text(worst), element))),
            _value(result, worst.value, glyphs),
            _value(result, worst.exact, glyphs),
        )
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell if wrong else "")
    where, given, right = columns
    return [
        _column("worst", "at", where),
        _column("", "result", given, results),
        _column("", "exact", right),
    ]


def _column(
    above: str, header: str, cells: Sequence[str], results: Sequence[PeerResult] = ()
) -> Column:
    styles = [OUTCOME_STYLES[result.outcome] for result in results] or [""] * len(cells)
    return Column(header, [Text(*pair) for pair in zip(cells, styles, strict=True)], above)


def _value(result: PeerResult, value: object, glyphs: Glyphs) -> str:
    return glyphs.dash if result.outcome is Outcome.NO_ANSWER else glyphs.number(value)


def _ulps(result: PeerResult, glyphs: Glyphs) -> str:
    if result.ulps is None:
        return glyphs.dash
    return glyphs.number(result.ulps) if result.ulps == float("inf") else ulps_number(result.ulps)
