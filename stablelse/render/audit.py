"""An audit on the screen, and its worst rows as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from stablelse.analysis.audit import RATIOS, Audit
from stablelse.numerics.formats import FORMATS
from stablelse.printable import counted, printable
from stablelse.render.layout import grid, hanging, picture
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import bound_text, number_text, place_text, rough_text, vector_text
from stablelse.render.records import cell
from stablelse.render.words import FUNCTION_NAMES, all_digits, ulps_number

#: The longest bar of the histogram.
_BAR = 30


@picture
def audit_picture(audit: Audit, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the counts, the histogram, and the worst rows."""
    of = f" of {printable(audit.source)}" if audit.source else ""
    what = f"{FUNCTION_NAMES[audit.function]}{of} in {audit.format}"
    numbers = f"{counted(audit.numbers, 'number')} in {counted(audit.rows, 'row')}"
    yield hanging(f"{what}: {numbers}", width, 1, "bold")
    yield Text()
    yield from _counts(audit, glyphs)
    yield Text()
    yield from _histogram(audit, glyphs)
    if audit.worst:
        yield Text()
        rows: list[list[Text | str]] = [["worst rows", "computed", "exact", "ulp", "nats"]]
        for judged in audit.worst:
            place = (vector_text if audit.source else place_text)(judged) or "the vector"
            entry = f", entry {judged.element:,}" if judged.element else ""
            cells = (glyphs.number(judged.value), glyphs.number(judged.exact))
            ulps = glyphs.literal(ulps_number(judged.ulps))
            rows.append([printable(place) + entry, *cells, ulps, glyphs.rough(judged.nats)])
        yield from grid(rows, "lrrrr")
    yield Text()


def _counts(audit: Audit, glyphs: Glyphs) -> Iterator[Text]:
    """Yield what is wrong, or that nothing is."""
    if not audit.misrounded:
        yield Text.assemble((f" {glyphs.good} every number is correctly rounded", "bold green"))
        return
    mark, style = (glyphs.bad, "bold red") if audit.broken else (glyphs.fair, "bold yellow")
    share = rough_text(100 * audit.misrounded / audit.numbers)
    most = glyphs.literal(ulps_number(audit.ulps))
    yield Text.assemble(
        (f" {mark} ", style), f"{audit.misrounded:,} misrounded ({share} %), at most {most} ulp off"
    )
    if audit.broken:
        yield Text.assemble((f" {mark} ", style), f"{audit.broken:,} without a right digit")
    else:
        digits, every = bound_text(audit.digits, 2), all_digits(FORMATS[audit.format])
        yield Text(f"   at least {digits} of {every} digits are right")
    low, high = map(number_text, RATIOS)
    yield Text(f"   logarithms are at most {glyphs.rough(audit.nats)} nats off")
    yield Text(f"   {audit.outside:,} ratios of probabilities are not within {low} to {high}")


def _histogram(audit: Audit, glyphs: Glyphs) -> Iterator[Text]:
    """Yield a bar for each class of errors that has numbers."""
    most = max(each.numbers for each in audit.histogram)
    bar = "#" if glyphs is ASCII else "█"
    rows: list[list[Text | str]] = [["ulp off", "numbers", ""]]
    names = [f"up to {number_text(each.ulps)}" for each in audit.histogram]
    names[0], names[-1] = "0", "more"
    for name, each in zip(names, audit.histogram, strict=True):
        if each.numbers:
            length = max(1, round(_BAR * each.numbers / most))
            rows.append([name, f"{each.numbers:,}", bar * length])
    yield from grid(rows, "rrl")


def audit_rows(audit: Audit) -> Iterator[dict[str, Any]]:
    """Yield a flat row for each of the worst rows, or one without them."""
    names = ("function", "format", "rows", "numbers", "misrounded", "broken", "nats", "outside")
    outer = {name: cell(getattr(audit, name)) for name in names}
    for judged in audit.worst:
        yield outer | {f"worst_{k}": cell(v) for k, v in judged._asdict().items()}
    if not audit.worst:
        yield outer
