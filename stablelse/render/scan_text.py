"""What a scan found in sentences, lines and records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.scan import Failure, Scan, WayScan, Witness
from stablelse.render.numbers import number_text, row_text
from stablelse.render.records import cell, field_names, record
from stablelse.render.wording import ASCII, FUNCTION_NAMES, VERDICT_WORDS, Glyphs, ulps_text


def told_verdict(verdict: Verdict, max_ulp: float) -> str:
    """Return what a verdict is called, with the number of ulps that it is given for."""
    lost = f" (more than {max_ulp:g} ulp off)" if verdict is Verdict.DIGITS_LOST else ""
    return VERDICT_WORDS[verdict] + lost


def place(witness: Witness) -> str:
    """Return where a vector came from."""
    row = witness.row
    number = f"column {witness.column}" if row is None else f"row {row_text(row)}"
    is_placed = witness.row is not None or witness.column is not None
    return ", ".join(filter(None, (witness.source, number if is_placed else "")))


def witness_text(witness: Witness, format_: str, glyphs: Glyphs) -> str:
    """Return a vector on which something goes wrong, in a few words."""
    where = place(witness)
    if witness.unfit is not None:
        text = f"{glyphs.number(witness.unfit)} does not fit {format_}"
        return (f"{where}: " if where else "") + text
    entry = f"entry {witness.element} " if witness.element else ""
    text = f"maximum {glyphs.number(witness.maximum)} gives {entry}{glyphs.number(witness.value)}"
    lost = f", {ulps_text(witness.ulps)}" if witness.ulps is not None else ""
    return (f"{where}: " if where else "") + text + lost


def unsourced(witness: Witness, scan: Scan) -> Witness:
    """Return a vector without its file, where the title names that for all of them."""
    return witness._replace(source=None) if scan.source else witness


def vectors_text(count: int) -> str:
    """Return how many vectors."""
    return f"{count:,} vector{'' if count == 1 else 's'}"


def failure_text(failure: Failure, scan: Scan) -> str:
    """Return in a line which condition is not kept, and where."""
    result = failure.result
    return (
        f"{failure.condition.text}: {result.format} {result.method}, "
        f"{told_verdict(failure.verdict, scan.max_ulp)} on {failure.vectors:,} of "
        f"{vectors_text(scan.rows)}; first {witness_text(failure.first, result.format, ASCII)}"
    )


def counts(result: WayScan) -> dict[Verdict, int]:
    """Return how many vectors there are of each verdict, the right ones first."""
    return {verdict: getattr(result, verdict.value) for verdict in VERDICTS}


def title(scan: Scan) -> tuple[str, str, str]:
    """Return what was scanned: the file, the function, and how much."""
    numbers = f"{scan.elements:,} number{'' if scan.elements == 1 else 's'}"
    source = f"{scan.source}: " if scan.source else ""
    return source, FUNCTION_NAMES[scan.function], f" of {vectors_text(scan.rows)}, {numbers}"


def scan_lines(scan: Scan) -> Iterator[str]:
    """Yield a line per format and method, the first and the worst of each kind below."""
    yield "".join(title(scan))
    for result in scan.results:
        counted = ", ".join(
            f"{told_verdict(verdict, scan.max_ulp)} {count}"
            for verdict, count in counts(result).items()
            if count or verdict is Verdict.RIGHT
        )
        yield f"{result.format} {result.method}: {counted}"
        for first, worst in zip(result.first, result.worst, strict=True):
            for which, witness in (("first", first), ("worst", worst)):
                told = witness_text(unsourced(witness, scan), result.format, ASCII)
                yield f"    {VERDICT_WORDS[witness.verdict]}, {which}: {told}"
    for method, format_ in scan.survivors.items():
        yield f"{method} survives in: {format_ or 'none of these formats'}"


def scan_record(scan: Scan) -> dict[str, Any]:
    """Return a scan as plain dicts, lists and numbers; of the histograms what is not empty."""
    plain: dict[str, Any] = record(scan)
    for distribution in plain["histograms"].values():
        edges = distribution.pop("edges")
        bins = zip(edges, edges[1:], distribution["counts"], strict=False)
        distribution["counts"] = [
            {"above": above, "to": to, "count": count} for above, to, count in bins if count
        ]
    return plain | {"survivors": scan.survivors}


def scan_rows(scan: Scan) -> Iterator[dict[str, Any]]:
    """Yield a row per format, method and verdict that occurs, and one for what is right."""
    shared = {name: cell(getattr(scan, name)) for name in ("function", "max_ulp", "rows")}
    for result in scan.results:
        row = shared | {"format": result.format, "method": result.method}
        blank: dict[str, Any] = dict.fromkeys(
            f"{which}_{name}"
            for which in ("first", "worst")
            for name in field_names(Witness)
            if name != "verdict"
        )
        yield row | {"verdict": Verdict.RIGHT.value, "count": result.right} | blank
        for first, worst in zip(result.first, result.worst, strict=True):
            places = {
                f"{which}_{name}": cell(getattr(witness, name))
                for which, witness in (("first", first), ("worst", worst))
                for name in field_names(Witness)
                if name != "verdict"
            }
            count = getattr(result, first.verdict.value)
            yield row | {"verdict": first.verdict.value, "count": count} | places


def edge_text(value: float) -> str:
    """Return an edge of a histogram; thresholds to two digits after the point."""
    return number_text(round(value, 2))


def advice_text(scan: Scan, failure: Failure) -> str:
    """Return what helps against a failure, in a line."""
    result, verdict = failure.result, failure.verdict
    if verdict is Verdict.NAN:
        return "to do: the logits have NaN or infinities; find out where they come from"
    if verdict is Verdict.DOES_NOT_FIT:
        return "to do: choose a format with a wider range, or clip the logits"
    found = [r.method for r in scan.results if r.format == result.format and r.survives]
    others = [method for method in found if method not in ("naive", result.method)]
    if verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS) or not others:
        return "to do: use stablelse's own functions, which lose no digits, or a wider format"
    return f"to do: compute it {' or '.join(others)}; in {result.format} that survives"
