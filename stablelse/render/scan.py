"""What breaks on many vectors: counts, places, and charts of where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.scan import Distribution, Scan, Threshold, WayScan, thresholds
from stablelse.numerics.formats import find_format
from stablelse.render.columns import VERDICT_STYLES
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.scan_text import (
    counts,
    edge_text,
    title,
    told_verdict,
    unsourced,
    witness_text,
)
from stablelse.render.table import hanging
from stablelse.render.wording import VERDICT_WORDS, Glyphs

#: The longest bar of a chart; what is beside it on a line takes less than the rest of 80 columns.
_BAR = 40


class ScanPicture:
    """Tables and charts, for a console of any width and encoding.

    Parameters
    ----------
    scan : Scan
        What is shown.
    """

    def __init__(self, scan: Scan) -> None:
        self.scan = scan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the counts, the first and worst vectors, the charts, and what survives."""
        glyphs = glyphs_for(options)
        scan = self.scan
        source, function, extent = title(scan)
        yield Text.assemble(" ", source, (function, "bold"), extent)
        yield from self._table(options)
        for result in scan.results:
            for line in _places(result, scan, glyphs):
                yield hanging(line, options.max_width, indent=1)
        yield Text()
        formats = [find_format(name) for name in dict.fromkeys(r.format for r in scan.results)]
        for name, distribution in scan.histograms._asdict().items():
            yield from _chart(name, distribution, thresholds(name, formats))
        for method, format_ in scan.survivors.items():
            line = f" {method} survives in "
            survives = (format_, "green") if format_ else ("none of these formats", "red")
            yield Text.assemble(line, survives)
        yield Text()

    def _table(self, options: ConsoleOptions) -> Iterator[Text]:
        results = self.scan.results
        formats = [
            "" if index and results[index - 1].format == r.format else r.format
            for index, r in enumerate(results)
        ]
        labels = Column("format", [Text(name, "bold") for name in formats])
        columns = [Column("method", [Text(result.method) for result in results])]
        for verdict in VERDICTS:
            counted = [counts(result)[verdict] for result in results]
            if verdict is Verdict.RIGHT or any(counted):
                style = "" if verdict is Verdict.RIGHT else VERDICT_STYLES[verdict]
                cells = [Text(f"{count:,}", style if count else "") for count in counted]
                columns.append(Column(VERDICT_WORDS[verdict], cells))
        ends = frozenset(i - 1 for i, name in enumerate(formats) if name and i)
        groups = [Group([column]) for column in columns]
        yield from stack(labels, groups, ends, options.max_width)  # type: ignore[misc]  # tables


def _places(result: WayScan, scan: Scan, glyphs: Glyphs) -> Iterator[str]:
    for first, worst in zip(result.first, result.worst, strict=True):
        told = witness_text(unsourced(first, scan), result.format, glyphs)
        again = witness_text(unsourced(worst, scan), result.format, glyphs)
        more = "" if again == told else f"; worst {again}"
        word = told_verdict(first.verdict, scan.max_ulp)
        yield f"{result.format} {result.method}, {word}: first {told}{more}"


def _chart(name: str, found: Distribution, lines: Sequence[Threshold]) -> Iterator[Text]:
    """Yield a bar for every bin from the first to the last that has numbers, and thresholds."""
    filled = [index for index, count in enumerate(found.counts) if count]
    nan = f", NaN {found.nan:,}" if found.nan else ""
    yield Text.assemble(" ", (name, "bold"), f" of the vectors{nan}")
    if not filled:
        return
    most = max(found.counts)
    bins = range(filled[0], filled[-1] + 1)
    labels = {i: _range_text(found, i) for i in bins}
    width = max(map(len, labels.values()))
    for index in bins:
        for mark in lines:
            if mark.value == found.edges[index] and index > filled[0]:
                yield Text(f"   {'':{width}} -- {_mark_text(name, mark)}")
        count = found.counts[index]
        bar = "#" * -(-count * _BAR // most)
        yield Text(f"   {labels[index]:>{width}} {bar}{' ' if bar else ''}{count:,}")
    yield Text()


def _range_text(found: Distribution, index: int) -> str:
    low, high = found.edges[index], found.edges[index + 1]
    if high == float("inf"):
        return f"above {edge_text(low)}"
    if low == float("-inf"):
        return f"to {edge_text(high)}"
    return f"{edge_text(low)} to {edge_text(high)}"


def _mark_text(name: str, mark: Threshold) -> str:
    """Return what happens beyond a threshold."""
    if name == "spreads":
        return f"{edge_text(mark.value)}: the smallest terms vanish in {mark.format} from here on"
    beyond = "above" if mark.kind == "overflow" else "below"
    zero = "overflows" if mark.kind == "overflow" else "is 0"
    return f"{edge_text(mark.value)}: e^x {zero} in {mark.format} {beyond}"
