"""What the libraries gave as plain lines: for a screen reader, a log, or grep."""

from __future__ import annotations

from collections.abc import Iterator

from stablelse.analysis.gallery import Gallery
from stablelse.analysis.peers.comparison import Outcome, PeerComparison, PeerResult
from stablelse.render.numbers import number_text
from stablelse.render.peer_wording import TASK_NAMES, case_lines, missing_text, time_text
from stablelse.render.wording import ASCII, place_text, ulps_text, vector_text


def peer_lines(comparison: PeerComparison) -> Iterator[str]:
    """Yield a line per library, format by format, and one if packages are missing."""
    name = comparison.case or comparison.source
    prefix = f"{name}, " if name else ""
    prefix += TASK_NAMES[comparison.function]
    if comparison.vectors == 1:
        lines = case_lines(comparison.results, comparison.function, ASCII)
        told = [(result, f"{given} ({words})") for result, given, words in lines]
    else:
        told = [(result, _many_text(result, bool(name))) for result in comparison.results]
    for result, words in told:
        time = time_text(result)
        words += f", {time} ns per element" if time else ""
        yield f"{prefix}, {result.format}, {result.title}: {words}"
    if comparison.missing and not comparison.case:
        yield missing_text(comparison.missing)


def gallery_lines(gallery: Gallery) -> Iterator[str]:
    """Yield a line per case and library, one per library in the end, and what is missing."""
    for comparison in gallery.cases:
        yield from peer_lines(comparison)
    for row in gallery.standings:
        worst = f"; worst: {row.worst_case}" if row.worst_case else ""
        yield (
            f"{row.title}: {row.right} right, {row.misrounded} misrounded, {row.broken} broken, "
            f"{row.no_answer} without an answer{worst}"
        )
    yield from (f"left out: {sentence}" for sentence in gallery.left_out)
    if gallery.missing:
        yield missing_text(gallery.missing)


def _many_text(result: PeerResult, source_told: bool) -> str:
    """Return what became of many results, and the worst of them."""
    if result.outcome is Outcome.NO_ANSWER or result.ulps is None:
        return result.reason or ""
    text = f"{result.misrounded:,} of {result.judged:,} misrounded, {result.broken:,} broken"
    if not result.misrounded:
        return text
    worst = result.worst
    element = "" if worst.element is None else f"x_{worst.element}"
    vector = vector_text(worst) if source_told else place_text(worst)
    place = ", ".join(filter(None, (vector, element)))
    error = "" if result.ulps == float("inf") else f", {ulps_text(result.ulps)}"
    numbers = f"{number_text(worst.value)} for {number_text(worst.exact)}"
    return f"{text}; worst at {place}: {numbers}{error}"
