"""Results of the libraries on the screen: a comparison, and the gallery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import isinf

from rich.text import Text

from stablelse.analysis.gallery import Gallery
from stablelse.analysis.peers import Outcome, PeerComparison, PeerResult, Task
from stablelse.printable import counted, printable
from stablelse.render.layout import grid, hanging, picture
from stablelse.render.notation import Glyphs
from stablelse.render.numbers import place_text, vector_text
from stablelse.render.words import ulps_number, ulps_text

TASK_NAMES: dict[Task, str] = {
    Task.LOGSUMEXP: "log-sum-exp",
    Task.SOFTMAX: "softmax",
    Task.LOG_SOFTMAX: "log-softmax",
    Task.WEIGHTED: "log-sum-exp with weights",
    Task.SIGNED: "log-sum-exp with weights and sign",
    Task.GRADIENT: "gradient of log-sum-exp",
}

#: Shorter names, for a column.
_SHORT_NAMES = TASK_NAMES | {
    Task.LOGSUMEXP: "lse",
    Task.WEIGHTED: "lse, b",
    Task.SIGNED: "lse, b, sign",
    Task.GRADIENT: "gradient",
}

_STYLES: dict[Outcome, str] = {
    Outcome.RIGHT: "bold green",
    Outcome.MISROUNDED: "bold yellow",
    Outcome.BROKEN: "bold red",
    Outcome.NO_ANSWER: "dim",
}


@picture
def peer_picture(comparison: PeerComparison, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield for each format a title, a row per library, and what was called."""
    of = counted(comparison.vectors, "vector")
    if comparison.n is not None:
        numbers = counted(comparison.n, "number")
        of = numbers if comparison.vectors == 1 else f"{of} of {numbers}"
    source = f"{printable(comparison.source)}: " if comparison.source else ""
    function = TASK_NAMES[comparison.function]
    for name, group in groupby(comparison.results, key=lambda result: result.format):
        results = list(group)
        if name != comparison.results[0].format:
            yield Text()
        yield hanging(f"{source}{function} of {of} in {name}", width, 1, "bold")
        yield Text()
        if comparison.vectors == 1:
            yield from _rows_of_one(results, comparison.function, glyphs)
        else:
            yield from _rows_of_many(comparison, results, glyphs)
        yield Text()
        for result in results[: -1 if comparison.vectors == 1 else None]:
            yield hanging(f"{result.title:<9}  {_remark(result)}", width, indent=1, style="dim")
    yield from missing_note(comparison.missing, width)
    yield Text()


def _rows_of_one(results: Sequence[PeerResult], task: Task, glyphs: Glyphs) -> Iterator[Text]:
    """Yield each library's result on a single vector, or its worst element."""
    rows = []
    element = max(results, key=lambda r: -1 if r.ulps is None else r.ulps).worst.element
    for result in results:
        style = "" if result.peer == "exact" else _STYLES[result.outcome]
        given, words = _given_text(result, task, element, glyphs), _outcome_text(result)
        cells = [_mark(result, glyphs), result.title, given, words]
        rows.append([Text(cell, style) for cell in cells])
    return grid(rows)


def _rows_of_many(
    comparison: PeerComparison, results: Sequence[PeerResult], glyphs: Glyphs
) -> Iterator[Text]:
    """Yield how many results of each library are wrong, and where the worst one is."""
    total = max(result.judged for result in results)
    where = vector_text if comparison.source else place_text
    is_any_wrong = any(result.misrounded for result in results)
    heads = ["", f"of {total:,}", "misrounded", "broken", "ulps off", "at" * is_any_wrong]
    rows: list[list[str | Text]] = [[*heads]]
    for result in results:
        style = _STYLES[result.outcome]
        cells = [glyphs.dash] * 3
        if result.share is not None and result.ulps is not None:
            misrounded = f"{result.misrounded:,} ({result.share:.1%})"
            ulps = glyphs.literal(ulps_number(result.ulps or 0))
            cells = [misrounded, f"{result.broken:,}", ulps]
        element = f"x_{result.worst.element}" if result.worst.element else ""
        place = ", ".join(filter(None, (where(result.worst), element)))
        head = [Text(text, style) for text in (_mark(result, glyphs), result.title)]
        rows.append([*head, *cells, place if result.misrounded else ""])
    yield from grid(rows, "llrrr")


@picture
def gallery_picture(gallery: Gallery, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a row per case with a column of marks per library, and all results if asked for."""
    yield hanging("hard cases, each result compared with the exact one", width, 1, "bold")
    yield from grid(list(_summary(gallery, glyphs)), "llcccccc", gap=1)
    notes = [
        f"{glyphs.good} right to the last bit; {glyphs.fair} misrounded; {glyphs.bad} broken: "
        f"{glyphs.infinity}, NaN, or no digit is right",
        *(f"left out: {sentence}" for sentence in gallery.left_out),
    ]
    for note in notes:
        yield hanging(note, width, indent=1, style="dim")
    yield from missing_note(gallery.missing, width)
    if not gallery.whole:
        yield Text(" stablelse peers --all shows what each library gives", "dim")
        return
    yield Text()
    for comparison in gallery.cases:
        yield from case_picture(comparison, glyphs, width)
        yield Text()


#: Titles that are too wide for a column, in two lines.
_TWO_LINES = {"logaddexp": ("log-", "addexp"), "PyTorch": ("Py-", "Torch")}
_TWO_LINES["stablelse"] = ("stable-", "lse")


def _summary(gallery: Gallery, glyphs: Glyphs) -> Iterator[list[str | Text]]:
    """Yield a row of marks per case, and how many cases each library gets right."""
    columns = list(zip(*(case.results[:-1] for case in gallery.cases), strict=True))
    heads = [_TWO_LINES.get(column[0].title, ("", column[0].title)) for column in columns]
    yield ["", "", *(Text(above, "bold") for above, _ in heads)]
    yield ["", "", *(Text(below, "bold") for _, below in heads)]
    for case in gallery.cases:
        marks = [
            Text(_mark(result, glyphs) or glyphs.dash, _STYLES[result.outcome])
            for result in case.results[:-1]
        ]
        yield [case.case or "", Text(_SHORT_NAMES[case.function], "dim"), *marks]
    outcomes = ([result.outcome for result in column] for column in columns)
    rights = (Text(str(each.count(Outcome.RIGHT)), "bold") for each in outcomes)
    yield [Text(f"right, of {len(gallery.cases)}", "bold"), "", *rights]


def case_picture(comparison: PeerComparison, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield what the vector is, why it is hard, and a line per library."""
    yield Text.assemble(" ", (f"{comparison.case}: {TASK_NAMES[comparison.function]}", "bold"))
    yield hanging(comparison.note or "", width, indent=3, style="dim")
    yield from _rows_of_one(comparison.results, comparison.function, glyphs)


def missing_note(missing: Sequence[str], width: int) -> Iterator[Text]:
    """Yield a note on packages that are not installed, if any, and how to get them."""
    if missing:
        names = dict.fromkeys(missing)
        text = f"not installed: {', '.join(names)} (pip install {' '.join(names)})"
        yield hanging(text, width, indent=1, style="dim")


def _mark(result: PeerResult, glyphs: Glyphs) -> str:
    marks = {Outcome.RIGHT: glyphs.good, Outcome.MISROUNDED: glyphs.fair}
    marks[Outcome.BROKEN] = glyphs.bad
    return "" if result.peer == "exact" else marks.get(result.outcome, "")


def _given_text(result: PeerResult, task: Task, element: int | None, glyphs: Glyphs) -> str:
    if result.outcome is Outcome.NO_ANSWER:
        return glyphs.dash
    worst, value = result.worst, result.value
    if task is Task.SIGNED:
        return f"{glyphs.number(value[0])}, sign {glyphs.number(value[1])}"
    if worst.element is None:
        return glyphs.number(worst.value)
    name = "log p" if task is Task.LOG_SOFTMAX else "p"
    if result.outcome is Outcome.RIGHT and element is not None and value is not None:
        return f"{name}_{element} = {glyphs.number(value[element - 1])}"
    return f"{name}_{worst.element} = {glyphs.number(worst.value)}"


def _outcome_text(result: PeerResult) -> str:
    if result.outcome is Outcome.NO_ANSWER:
        return (result.reason or "").partition(":")[0]  # a message may be long
    if result.outcome is Outcome.RIGHT:
        right = "" if result.peer == "exact" else "right"
        return "NaN by convention" if result.worst.value != result.worst.value else right
    broken = "broken" if result.ulps is None or isinf(result.ulps) else "no digit is right"
    words = [broken if result.outcome is Outcome.BROKEN else ulps_text(result.ulps or 0)]
    words += [f"in {result.returned}"] if result.returned != result.format else []
    return ", ".join(words)


def _remark(result: PeerResult) -> str:
    """Return the call, and why there is no answer or another dtype."""
    parts = [result.call, result.reason]
    if result.returned not in (None, result.format):
        parts.append(f"returns {result.returned}, rounded to {result.format}")
    return "; ".join(filter(None, parts))
