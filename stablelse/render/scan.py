"""The results of a scan: a table, the first and worst vectors, charts, and records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from rich.text import Text

from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.scan import Distribution, Failure, Scan, WayScan, Witness, thresholds
from stablelse.numerics.formats import find_format
from stablelse.printable import counted, printable
from stablelse.render.layout import VERDICT_STYLES, grid, hanging, picture
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import number_text, place_text, vector_text
from stablelse.render.records import cell, field_names, record
from stablelse.render.sweep import mark
from stablelse.render.words import FUNCTION_NAMES, RESULT_WORDS, VERDICT_WORDS, ulps_text

#: The longest bar of a chart; how many lines the table, the troubles and the bars may take
#: together, and the fewest bars.
_BAR, _LINES, _FEWEST = 30, 16, 4

#: The charts, by field of `Histograms`, and what happens beyond a threshold.
_CHARTS = {
    "maxima": "the largest element of each vector",
    "minima": "the smallest element of each vector",
    "spreads": "the largest minus the smallest",
}
_BEYOND = {
    "overflow": ("e^x is {infinity} in", Verdict.OVERFLOW),
    "underflow": ("e^x is 0 in", Verdict.UNDERFLOW),
    "vanishing": ("e^(x {minus} max) can be 0 in", Verdict.RIGHT),
}

_ADVICE = {
    Verdict.NAN: "the logits have NaN or infinities; find out where they come from",
    Verdict.DOES_NOT_FIT: "choose a format with a wider range, or clip the logits",
}
_WIDER = "use stablelse's own functions, which lose no digits, or a wider format"


@picture
def scan_picture(scan: Scan, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the counts, the first and worst vectors, charts, and the safe formats."""
    yield hanging(_title(scan), width, 1, "bold")
    yield Text()
    table = _table(scan, glyphs)
    ordered = sorted(_troubles(scan, glyphs), key=lambda trouble: -trouble[0])
    lines = [hanging(line, width, indent=1) for _, line in ordered]
    room, shown = 1000 if scan.whole else _LINES - len(table), list[Text]()
    for line in lines:
        room -= line.plain.count("\n") + 1
        if shown and room < _FEWEST:
            break
        shown.append(line)
    if len(shown) < len(lines):
        shown.append(Text(f" and {len(lines) - len(shown)} more: --all shows them", "dim"))
    yield from [*table, *shown]
    if room >= _FEWEST:
        yield Text()
    for name in _CHARTS if scan.whole else ["maxima"]:
        yield hanging(_CHARTS[name], width, len(name) + 3, head=Text(f" {name}  ", "bold"))
        yield from _chart(name, scan, max(_FEWEST, room), width, glyphs)
    survivors = [f"{way} {name or 'none'}" for way, name in scan.survivors.items()]
    yield hanging(f"Smallest safe format: {', '.join(survivors)}.", width, indent=1)


def _table(scan: Scan, glyphs: Glyphs) -> list[Text]:
    """Return one or two header lines, and a line of counts per method and format."""
    shown = [v for v in VERDICTS if v is Verdict.RIGHT or any(r.vectors(v) for r in scan.results)]
    rows: list[list[Text]] = []
    format_ = ""
    for result in scan.results:
        mark = (glyphs.good, "green") if result.survives else (glyphs.bad, "red")
        if result.survives and result.digits_lost:
            mark = (glyphs.fair, "yellow")
        name = "" if result.format == format_ else result.format
        format_ = result.format
        row = [Text(name, "bold"), Text.assemble(mark, f" {result.method}")]
        for verdict in shown:
            count = result.vectors(verdict)
            style = "" if verdict is Verdict.RIGHT else VERDICT_STYLES[verdict]
            row.append(Text(f"{count:,}", style if count else "dim"))
        rows.append(row)
    halves = [VERDICT_WORDS[verdict].rpartition(" ") for verdict in shown]
    heads = [[Text(), Text(), *(Text(half[at], "bold") for half in halves)] for at in (0, 2)]
    if not any(above for above, *_ in halves):
        del heads[0]
    return list(grid([*heads, *rows], "ll" + "r" * len(shown)))


def _troubles(scan: Scan, glyphs: Glyphs) -> Iterator[tuple[int, str]]:
    """Yield for each trouble its count, and the first and the worst vector."""
    where = vector_text if scan.source else place_text
    for result in scan.results:
        for first, worst in zip(result.first, result.worst, strict=True):
            text = _witness_text(where(first), first, result, scan, glyphs)
            again = _witness_text(where(worst), worst, result, scan, glyphs)
            rest = "" if again == text else f"; worst {again}"
            word = _verdict_text(first.verdict, scan.max_ulp)
            yield (
                result.vectors(first.verdict),
                f"{result.format} {result.method}, {word}: first {text}{rest}",
            )


def _chart(name: str, scan: Scan, most: int, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield a bar per bin, with a mark and a note beyond a threshold."""
    distribution: Distribution = getattr(scan.histograms, name)
    used = dict.fromkeys(result.format for result in scan.results)
    limits = thresholds(name, [find_format(format_) for format_ in used])
    if distribution.nan:
        yield Text(f"   NaN {distribution.nan:,}")
    if distribution.minimum is None:
        return
    bins = list(zip(pairwise(distribution.edges), distribution.counts, strict=True))
    filled = [index for index, (_, count) in enumerate(bins) if count]
    bins = bins[filled[0] : filled[-1] + 1]
    if len(bins) > most:
        bins = [(ends, count) for ends, count in bins if count]
    notes = []
    for (low, high), _ in bins:
        beyond = {
            limit.format: limit.kind
            for limit in limits
            if (high <= limit.value if limit.kind == "underflow" else low >= limit.value)
        }
        note, verdict = _BEYOND.get(next(iter(beyond.values()), ""), ("", Verdict.RIGHT))
        note = note.format(infinity=glyphs.infinity, minus=glyphs.minus)
        notes.append((f"   {note} {', '.join(beyond)}" if beyond else "", verdict))
    ranges, largest = [_range_text(*ends) for ends, _ in bins], max(count for _, count in bins)
    beside = max(map(len, ranges)) + len(f"{largest:,}") + max(len(note) for note, _ in notes) + 5
    longest = max(1, min(_BAR, width - beside))
    rows: list[list[Text | str]] = []
    for label, (_, count), (note, verdict) in zip(ranges, bins, notes, strict=True):
        symbol, style = mark(verdict, glyphs)
        line = Text("|" if glyphs is ASCII else "│")
        line.append(symbol * -(-count * longest // largest), style)
        rows.append(["", label, line.append(f" {count:,}").append(note, style)])
    yield from grid(rows, "lrl", 1)


def _range_text(low: float, high: float) -> str:
    above, to = (number_text(round(end, 2)) for end in (low, high))
    if high == float("inf"):
        return f"above {above}"
    return f"to {to}" if low == float("-inf") else f"{above} to {to}"


def _title(scan: Scan) -> str:
    numbers = f"{counted(scan.rows, 'vector')}, {counted(scan.elements, 'number')}"
    text = f"{FUNCTION_NAMES[scan.function]} of {numbers}"
    return f"{printable(scan.source)}: {text}" if scan.source else text


def _verdict_text(verdict: Verdict, max_ulp: float) -> str:
    lost = f" (more than {max_ulp:g} ulp off)" if verdict is Verdict.DIGITS_LOST else ""
    return VERDICT_WORDS[verdict] + lost


def _witness_text(where: str, witness: Witness, result: WayScan, scan: Scan, glyphs: Glyphs) -> str:
    """Return where something goes wrong, and what."""
    if witness.unfit is not None:
        text = f"{glyphs.number(witness.unfit)} does not fit {result.format}"
    else:
        name = RESULT_WORDS[scan.function]
        entry = f"{name}_{witness.element} = " if witness.element and name else ""
        text = f"maximum {glyphs.number(witness.maximum)} gives {entry}"
        text += glyphs.number(witness.value)
        text += f", {ulps_text(witness.ulps)}" if witness.ulps is not None else ""
    return f"{where}: {text}" if where else text


def failure_text(failure: Failure, scan: Scan) -> str:
    """Return one line that says which condition failed, and where."""
    condition, result, first = failure
    return (
        f"{condition.text}: {result.format} {result.method}, "
        f"{_verdict_text(first.verdict, scan.max_ulp)} on {result.vectors(first.verdict):,} of "
        f"{counted(scan.rows, 'vector')}; first "
        f"{_witness_text(place_text(first), first, result, scan, ASCII)}"
    )


def advice_text(scan: Scan, failure: Failure) -> str:
    """Return one line that says how to fix a failure."""
    result, verdict = failure.result, failure.first.verdict
    same = [r.method for r in scan.results if r.format == result.format and r.survives]
    others = [method for method in same if method not in ("naive", result.method)]
    if verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS) or not others:
        advice = _WIDER
    else:
        advice = f"use {' or '.join(others)}, which survives in {result.format}"
    return f"to do: {_ADVICE.get(verdict, advice)}"


def scan_record(scan: Scan) -> dict[str, Any]:
    """Return a scan as dicts, lists and numbers, without empty bins."""
    plain: dict[str, Any] = record(scan)
    for distribution in plain["histograms"].values():
        edges = distribution.pop("edges")
        bins = zip(edges, edges[1:], distribution["counts"], strict=False)
        distribution["counts"] = [
            {"above": above, "to": to, "count": count} for above, to, count in bins if count
        ]
    return plain | {"survivors": scan.survivors}


def scan_rows(scan: Scan) -> Iterator[dict[str, Any]]:
    """Yield a row per format, method and verdict that occurs, and always one for right."""
    shared = {name: cell(getattr(scan, name)) for name in ("function", "max_ulp", "rows")}
    names = [name for name in field_names(Witness) if name != "verdict"]
    for result in scan.results:
        way = {"format": result.format, "method": result.method}
        for first, worst in ((None, None), *zip(result.first, result.worst, strict=True)):
            verdict = first.verdict if first else Verdict.RIGHT
            yield (
                shared
                | way
                | {"verdict": verdict.value, "count": result.vectors(verdict)}
                | {
                    f"{which}_{name}": cell(getattr(witness, name, None))
                    for which, witness in (("first", first), ("worst", worst))
                    for name in names
                }
            )
